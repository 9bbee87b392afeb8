"""The commands: parse, call, print.

Each command imports what it needs when it runs, and none but `open` imports Qt. Exit
statuses are those of diff(1): 0 nothing to report, 1 something found, 2 trouble, which is
one line on stderr and never a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Command, Trouble

if TYPE_CHECKING:
    import argparse
    from typing import TextIO

PROGRAM = "checkpoint-inspector"
OTHER_PROCESS = "--other-process"  # how a bundle starts `analysis.other_process`
FOUND_NOTHING = 0
FOUND_SOMETHING = 1
TROUBLE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
PIPE_CLOSED = 141  # 128 + SIGPIPE


def _declare_open(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="checkpoints to open")
    parser.add_argument(
        "--screenshot", metavar="OUT.png", help="paint the window once, write it here and end"
    )
    parser.add_argument(
        "--new-window", action="store_true", help="do not reuse a window that is already open"
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="compare two files; of fewer the window asks for the others",
    )


def _open(arguments: argparse.Namespace) -> int:
    files, compare = arguments.files, arguments.compare
    if compare and len(files) > 2:
        raise Trouble(f"two files can be compared, not {len(files)}")
    if compare and len(files) < 2 and arguments.screenshot:
        raise Trouble("--screenshot paints the comparison of two files, and asks for none")
    others = {"compare": True} if compare else {}
    return _open_files(files, arguments.screenshot, arguments.new_window, **others)


def _open_files(
    files: list[str], screenshot: str | None = None, new_window: bool = False, **others: bool
) -> int:
    try:
        from inspector_app.ui.app import run as run_window
    except ImportError as error:
        if (error.name or "").startswith("inspector_app"):
            raise
        raise Trouble(f"the window cannot be opened: {error}") from None
    return run_window(files, screenshot, new_window, **others)


def _declare_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a checkpoint, a shard index or its folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument(
        "--textconv",
        action="store_true",
        help="a line for each tensor and value, with checksums: what git diff compares",
    )
    parser.add_argument("--quiet", action="store_true", help="the summary and problems only")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def _show(arguments: argparse.Namespace) -> int:
    import gc

    from inspector_app.terminal.progress_line import drive

    # Nothing that is built here is garbage before the process ends.
    collecting = gc.isenabled()
    gc.disable()
    try:
        checkpoint = drive(arguments.file, not (arguments.no_progress or arguments.quiet))
        if arguments.json:
            from inspector_app.terminal.show_json import json_parts

            _write(json_parts(checkpoint))
        elif arguments.textconv:
            from inspector_app.terminal.textconv import textconv_parts

            _write(textconv_parts(checkpoint))
        else:
            from inspector_app.terminal.show_text import text_parts
            from inspector_app.terminal.style import Style

            _write(text_parts(checkpoint, Style.of(sys.stdout), tree=not arguments.quiet))
    finally:
        if collecting:
            gc.enable()
    return FOUND_NOTHING


def _declare_stats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a checkpoint, a shard index or its folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument(
        "--select",
        metavar="GLOB",
        action="append",
        help="only tensors whose name or key matches; may be given several times",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="exact quantiles of large float32 tensors too, in a second pass",
    )
    parser.add_argument("--quiet", action="store_true", help="the summary and what is wrong only")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def _stats(arguments: argparse.Namespace) -> int:
    from inspector_app.terminal.stats_command import stats

    try:
        wrong, failed = stats(arguments, _write)
    except LookupError as error:
        raise Trouble(f"{arguments.file}: {error}") from None
    if failed is not None:
        raise failed
    return FOUND_SOMETHING if wrong else FOUND_NOTHING


def _declare_diff(parser: argparse.ArgumentParser) -> None:
    from inspector_app.terminal.diff_command import declare

    declare(parser)


def _diff(arguments: argparse.Namespace) -> int:
    import gc

    from inspector_app.terminal.diff_command import diff, without_other_options

    if arguments.window:
        without_other_options(arguments)
        return _open_files([arguments.a, arguments.b], compare=True)
    # Nothing that is built here is garbage before the process ends.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return FOUND_SOMETHING if diff(arguments, _write) else FOUND_NOTHING
    finally:
        if collecting:
            gc.enable()


def _declare_export(parser: argparse.ArgumentParser) -> None:
    from inspector_app.terminal.export_command import declare

    declare(parser)


def _export(arguments: argparse.Namespace) -> int:
    from inspector_app.terminal.export_command import export

    return FOUND_SOMETHING if export(arguments, _write) else FOUND_NOTHING


def _declare_quantize(parser: argparse.ArgumentParser) -> None:
    from inspector_app.terminal.quantize_command import declare

    declare(parser)


def _quantize(arguments: argparse.Namespace) -> int:
    from inspector_app.terminal.quantize_command import quantize

    return FOUND_SOMETHING if quantize(arguments, _write) else FOUND_NOTHING


def _declare_training(parser: argparse.ArgumentParser) -> None:
    from inspector_app.terminal.training_command import declare

    declare(parser)


def _training(arguments: argparse.Namespace) -> int:
    from inspector_app.terminal.training_command import training

    return FOUND_SOMETHING if training(arguments, _write) else FOUND_NOTHING


def _declare_run(parser: argparse.ArgumentParser) -> None:
    from inspector_app.terminal.run_command import declare

    declare(parser)


def _run(arguments: argparse.Namespace) -> int:
    from inspector_app.terminal.run_command import run_checkpoints

    return FOUND_SOMETHING if run_checkpoints(arguments, _write) else FOUND_NOTHING


def _declare_convert(parser: argparse.ArgumentParser) -> None:
    from inspector_app.terminal.convert_command import declare

    declare(parser)


def _convert(arguments: argparse.Namespace) -> int:
    from inspector_app.terminal.convert_command import convert

    return FOUND_SOMETHING if convert(arguments, _write) else FOUND_NOTHING


def _declare_transfer(parser: argparse.ArgumentParser) -> None:
    from inspector_app.terminal.transfer_command import declare

    declare(parser)


def _transfer(arguments: argparse.Namespace) -> int:
    from inspector_app.terminal.transfer_command import transfer

    return FOUND_SOMETHING if transfer(arguments, _write) else FOUND_NOTHING


def _declare_desktop(parser: argparse.ArgumentParser) -> None:
    from inspector_app.terminal.desktop_command import declare

    declare(parser)


def _desktop(arguments: argparse.Namespace) -> int:
    from inspector_app.terminal.desktop_command import desktop

    return FOUND_SOMETHING if desktop(arguments, _write) else FOUND_NOTHING


def _declare_scan(parser: argparse.ArgumentParser) -> None:
    from inspector_app.terminal.scan_command import declare

    declare(parser)


def _scan(arguments: argparse.Namespace) -> int:
    from inspector_app.terminal.scan_command import scan

    return scan(arguments, _write)


COMMANDS = {
    "open": Command("open files in a window", _declare_open, _open),
    "show": Command("print what is in a file", _declare_show, _show),
    "convert": Command(
        "save another form: weights only, another dtype, …", _declare_convert, _convert
    ),
    "diff": Command("compare two checkpoints", _declare_diff, _diff),
    "export": Command(
        "export a model, and prove that it computes the same", _declare_export, _export
    ),
    "quantize": Command("show what quantization would cost", _declare_quantize, _quantize),
    "transfer": Command("load what fits into another checkpoint", _declare_transfer, _transfer),
    "training": Command(
        "show the state of a training, and whether it can be resumed", _declare_training, _training
    ),
    "run": Command("list the checkpoints of a run, and which is the best", _declare_run, _run),
    "scan": Command("list what files would import and call", _declare_scan, _scan),
    "stats": Command("measure the values of a file's tensors", _declare_stats, _stats),
    "desktop": Command("make double clicks open files here", _declare_desktop, _desktop),
}


def run(argv: list[str]) -> int:
    """Run one command line and return the exit status."""
    file = ""
    try:
        if argv == [OTHER_PROCESS]:
            from inspector_app.analysis.other_process import serve

            serve()
        if argv and argv[0] in COMMANDS:
            command, rest = argv[0], argv[1:]
        else:
            command, rest = "open", argv
        if command == "open" and not any(word.startswith("-") for word in rest):
            # A double click: the window need not wait for argparse.
            return _open_files(rest)
        from inspector_app.terminal.parser import parser_of

        parser = parser_of(PROGRAM, COMMANDS, command, explicit=rest is not argv)
        arguments = parser.parse_args(rest)
        file = getattr(arguments, "file", "")
        status = COMMANDS[command].run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except SystemExit as end:  # argparse after --help and --version
        return end.code if isinstance(end.code, int) else TROUBLE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return PIPE_CLOSED
    except CheckpointError as error:
        return _complain(str(error) if error.path else f"{plain(file)}: {error}")
    except Trouble as error:
        return _complain(plain(str(error), 1000))
    except MemoryError:
        return _complain(f"{plain(file)}: there is not enough memory")
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        if isinstance(error, OSError) and error.filename and error.strerror:
            # A name that is too long, say: what the system refuses is no fault of ours.
            return _complain(f"{plain(str(error.filename))}: {error.strerror}")
        reason = plain(f"{type(error).__name__}: {error}", 500)
        place = f"{plain(file)}: " if file else ""
        return _complain(
            f"{place}this is a fault of {PROGRAM} ({reason}); python -X dev shows where"
        )


def _write(parts: Iterable[str]) -> None:
    """Write to stdout; what its encoding lacks is escaped instead of failing."""
    stdout = sys.stdout
    if stdout is None:
        raise Trouble("stdout is closed")
    reconfigure = getattr(stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    for part in parts:
        _send(stdout, part)
    _send(stdout, "")


def _send(stdout: TextIO, part: str) -> None:
    try:
        stdout.write(part)
        if not part:
            stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_stdout()
        raise Trouble(f"stdout: {error.strerror}") from None


def _discard_stdout() -> None:
    """Let the interpreter's last flush go nowhere: it would complain again."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def _complain(sentence: str) -> int:
    if sys.stderr is not None:
        print(f"{PROGRAM}: {sentence}", file=sys.stderr)
    return TROUBLE
