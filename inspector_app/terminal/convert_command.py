"""`convert`: save a checkpoint, or the average of several, in another form."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from inspector_app.analysis.key_mapping import BadRuleError, Rule
from inspector_app.analysis.save_options import (
    CASTS,
    ENDINGS,
    Averaging,
    DtypeRule,
    SaveOptions,
    Ties,
)
from inspector_app.checkpoint.dtypes import find
from inspector_app.checkpoint.model import Checkpoint, SectionKind, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.terminal.progress_line import ProgressLine, drive, share_bar

if TYPE_CHECKING:
    from inspector_app.analysis.save_plan import SavePlan
    from inspector_app.saving.save import Proof, Saved

Write = Callable[[Iterable[str]], None]
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_SHORT = {"fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="SRC DST: a checkpoint and the file to write, whose ending says what: "
        f"{' '.join(ENDINGS)}; several SRC before it with --average, --weights or --ema-decay",
    )
    parser.add_argument(
        "--best", action="store_true", help="write SRC_best beside SRC, instead of a DST"
    )
    parser.add_argument(
        "--clean",
        action="store_true",
        help="a copy of tensors and plain data only, read again to prove that it names nothing "
        "outside torch's allowlist; DST is a .pth",
    )
    what = parser.add_argument_group("what is kept")
    what.add_argument(
        "--section",
        metavar="S",
        action="append",
        help="a part, as a/b, or what it is for: model, ema, optimizer …; one alone becomes the "
        "whole file; may be repeated. Without it .pth keeps everything, the others the model",
    )
    what.add_argument(
        "--ema",
        action="store_true",
        help="the model takes the values of its moving average, which is then left out",
    )
    for name, words in (
        ("keep", "only tensors whose name or key matches"),
        ("drop", "leave out whatever has a name or key that matches"),
    ):
        what.add_argument(
            f"--{name}", metavar="GLOB", action="append", default=[], help=f"{words}; repeatable"
        )
    keys = parser.add_argument_group("its keys", "in this order; _metadata goes with them")
    add_key_rules(keys)
    keys.add_argument("--add-prefix", metavar="P", default="", help="put this before them")
    form = parser.add_argument_group("its form")
    form.add_argument(
        "--dtype",
        metavar="[GLOB=]D",
        action="append",
        default=[],
        help=f"cast the model's floating-point tensors, or whatever matches: {' '.join(CASTS)}",
    )
    form.add_argument("--device", metavar="D", default="", help="instead of every tag, as cpu")
    form.add_argument(
        "--contiguous", action="store_true", help="drop bytes of storages that no tensor shows"
    )
    form.add_argument(
        "--ties",
        choices=(Ties.KEEP, Ties.CLONE),
        default=Ties.KEEP,
        help="tensors that are one: keep them so (in safetensors written once, with the other "
        "names in its metadata), or give each its own bytes",
    )
    form.add_argument(
        "--max-shard-size", metavar="N", help="split safetensors, as 5GB, and write an index"
    )
    mean = parser.add_argument_group("several into one", "in float64, rounded once")
    mean.add_argument("--average", action="store_true", help="the mean")
    mean.add_argument("--weights", metavar="W,W…", help="the weighted mean")
    mean.add_argument(
        "--ema-decay", metavar="D", type=float, help="D·average + (1-D)·next, from the first on"
    )
    parser.add_argument("--force", action="store_true", help="replace DST")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written")
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument("--quiet", action="store_true", help="print only what is wrong")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def add_key_rules(group: argparse._ArgumentGroup) -> None:
    """`--strip-prefix` and `--map`."""
    group.add_argument(
        "--strip-prefix",
        metavar="P",
        action="append",
        default=[],
        help="keys lose this prefix; may be repeated",
    )
    group.add_argument(
        "--map",
        metavar="REGEX=>REPL",
        action="append",
        default=[],
        help="replace in keys what matches; may be repeated",
    )


def convert(arguments: argparse.Namespace, write: Write) -> bool:
    """Plan, write and print; whether tensors were lost that the user did not leave out.

    Raises:
        CheckpointError: a file cannot be read or written, or the options do not fit it.
        Trouble: an option is wrong.
    """
    sources, target = _files(arguments)
    visible = not (arguments.no_progress or arguments.quiet)
    averaging = _averaging(arguments)
    if len(sources) > 1 and averaging is None:
        raise Trouble("several SRC become one by --average, --weights or --ema-decay")
    dtypes = tuple(map(_dtype_rule, arguments.dtype))
    rules = parsed_rules(arguments.map)
    most = None if arguments.max_shard_size is None else parsed_size(arguments.max_shard_size)
    proof = None
    if arguments.clean:
        from inspector_app.analysis.clean_copy import check_target, proving

        check_target(target)
        proof = proving
    checkpoints = [drive(source, visible) for source in sources]
    sections = None
    if arguments.section is not None:
        sections = tuple(section_of(text, checkpoints[0]) for text in arguments.section)
    options = SaveOptions(
        sections=sections,
        use_ema=arguments.ema,
        strip_prefix=tuple(arguments.strip_prefix),
        rules=rules,
        add_prefix=arguments.add_prefix,
        keep=tuple(arguments.keep),
        drop=tuple(arguments.drop),
        dtypes=dtypes,
        device=arguments.device,
        contiguous=arguments.contiguous,
        ties=arguments.ties,
        averaging=averaging,
        max_shard_bytes=most,
    )
    from inspector_app.analysis.save_plan import plan

    made = plan(checkpoints, target, options)
    saved = None
    if not arguments.dry_run:
        saved = driven(made, arguments.force, ProgressLine(visible), proof)
    show(made, saved, arguments, write)
    return bool(made.lost_tensors)


def _files(arguments: argparse.Namespace) -> tuple[list[str], str]:
    from inspector_app.saving.save import best_name

    files: list[str] = arguments.files
    if arguments.best:
        if len(files) > 1:
            raise Trouble("--best takes one SRC and names the result itself")
        return files, best_name(files[0])
    if len(files) < 2:
        raise Trouble("name what to write: convert SRC DST")
    return files[:-1], files[-1]


def _averaging(arguments: argparse.Namespace) -> Averaging | None:
    chosen = [arguments.average, arguments.weights is not None, arguments.ema_decay is not None]
    if sum(chosen) > 1:
        raise Trouble("of --average, --weights and --ema-decay one is enough")
    if arguments.average:
        return Averaging("mean")
    if arguments.weights is not None:
        try:
            weights = tuple(map(float, arguments.weights.split(",")))
        except ValueError:
            raise Trouble("--weights are numbers with commas between them, as 0.25,0.75") from None
        if not all(abs(weight) < float("inf") for weight in weights):
            raise Trouble("--weights have to be finite")
        return Averaging("weighted", weights)
    if arguments.ema_decay is not None:
        return Averaging("ema", decay=arguments.ema_decay)
    return None


def _dtype_rule(text: str) -> DtypeRule:
    pattern, _, name = text.rpartition("=")
    found = find(_SHORT.get(name, name))
    return DtypeRule(found.name if found else name, pattern)


def parsed_rules(texts: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of `--map`.

    Raises:
        Trouble: one is none.
    """
    try:
        return tuple(Rule.parse(text) for text in texts)
    except BadRuleError as error:
        raise Trouble(f"--map {error}") from None


def parsed_size(text: str) -> int:
    """Bytes from ``5GB`` (decimal) or ``5GiB``.

    Raises:
        Trouble: it is no size from 1 byte up.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is not None:
        base = 1024 if found[3] else 1000
        size = int(float(found[1]) * base ** _POWERS[found[2].lower()])
        if size >= 1:
            return size
    raise Trouble(f"--max-shard-size {plain(text)}: write a size such as 5GB or 500MB")


def section_of(text: str, checkpoint: Checkpoint) -> TreePath:
    """The path of a part: by its name, or by what it is for where one part is for that.

    Raises:
        Trouble: there is none, or there are several.
    """
    kinds = [value for name, value in vars(SectionKind).items() if name.isupper()]
    for node in checkpoint.root.walk():
        if node.name == text and not node.key == text == "":
            return node.path
    matching = [section for section in checkpoint.sections if section.kind == text]
    if len(matching) == 1:
        return matching[0].path
    names = ", ".join(
        f"{section.kind} at {'/'.join(map(str, section.path)) or 'the root'}"
        for section in (matching or checkpoint.sections)
    )
    if matching:
        raise Trouble(f"--section {plain(text)}: there are several; choose among {plain(names)}")
    hint = f"; parts are {plain(names, 1000)}" if names else ""
    what = "no such part" if text not in kinds else "no part of this kind"
    raise Trouble(f"--section {plain(text)}: {plain(checkpoint.path)} has {what}{hint}")


def driven(plan: SavePlan, force: bool, line: ProgressLine, proof: Proof | None = None) -> Saved:
    """Write what `plan` says, with a bar."""
    from inspector_app.analysis.quantities import size_text
    from inspector_app.saving.save import saving

    steps = saving(plan, force, proof)
    with closing(steps):
        try:
            while True:
                progress = next(steps)
                if not line.due:
                    continue
                if progress.proving:
                    share = 100 * progress.done // max(progress.total, 1)
                    line.show(f"reading it again: {share} %")
                else:
                    sizes = f"{size_text(progress.done)} of {size_text(progress.total)}"
                    line.show(f"{share_bar(progress.done, progress.total)}  {sizes}")
        except StopIteration as end:
            saved: Saved = end.value
            return saved
        finally:
            line.erase()


def show(plan: SavePlan, saved: Saved | None, arguments: argparse.Namespace, write: Write) -> None:
    """Print what was written, or would be."""
    from inspector_app.terminal.convert_report import json_parts, text_parts
    from inspector_app.terminal.style import Style

    if arguments.json:
        write(json_parts(plan, saved, arguments.clean))
    elif not arguments.quiet:
        clean = arguments.clean and saved is not None
        write(text_parts(plan, saved, Style.of(sys.stdout), clean=clean))
    elif plan.lost_tensors or (saved is not None and saved.overflows):
        write(text_parts(plan, saved, Style.of(sys.stdout), wrong_only=True))
