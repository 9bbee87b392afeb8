"""`transfer`: load what fits of one checkpoint into another, or into a model class."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, closing
from fnmatch import translate
from typing import TYPE_CHECKING, TypeVar

from inspector_app.analysis.key_mapping import KeyMapping, stripping, suggesting_prefixes
from inspector_app.analysis.save_options import ENDINGS
from inspector_app.analysis.save_sections import chosen_nodes, the_model
from inspector_app.analysis.transfer_plan import Act, Choice, Initial, TransferOptions, Where
from inspector_app.checkpoint.model import Checkpoint, Progress, TensorInfo, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.terminal.convert_command import (
    add_key_rules,
    driven,
    parsed_rules,
    section_of,
)
from inspector_app.terminal.progress_line import ProgressLine, drive

if TYPE_CHECKING:
    from inspector_app.analysis.transfer_plan import TransferPlan

Result = TypeVar("Result")
Write = Callable[[Iterable[str]], None]
_KINDS = (
    "zeros",
    "ones",
    "normal",
    "uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "xavier_normal",
    "xavier_uniform",
)
_PLACES = (Where.BEGIN, Where.CENTRE, Where.END)
_INITIAL = re.compile(r"([a-z_]+)(?:\(([^()]*)\))?")


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="SRC", help="the checkpoint whose weights are taken")
    parser.add_argument(
        "--into",
        metavar="TARGET",
        required=True,
        help="a checkpoint, all of which is kept but what fits; or FILE.py:NAME or "
        "package.module:NAME, a model class with the values it begins with",
    )
    parser.add_argument(
        "out",
        metavar="OUT",
        help=f"the file to write; its ending says what: {' '.join(ENDINGS)}",
    )
    keys = parser.add_argument_group("how SRC's keys are matched")
    add_key_rules(keys)
    keys.add_argument("--section", metavar="S", help="where the weights are in SRC, as a/b")
    keys.add_argument("--into-section", metavar="S", help="where they belong in TARGET")
    acts = parser.add_argument_group(
        "what becomes of single keys",
        "GLOB is for TARGET's keys; without it, all that are of another shape (--fit) or that "
        "SRC has not (--init). The last that matches counts.",
    )
    acts.add_argument(
        "--keep", metavar="GLOB", action="append", default=[], help="keep TARGET's own"
    )
    acts.add_argument(
        "--fit",
        metavar="[GLOB=]WHERE",
        action="append",
        default=[],
        help=f"slice or pad to TARGET's shape, the rest stays TARGET's: {' '.join(_PLACES)}, one "
        "for all axes or one for each, as end,begin",
    )
    acts.add_argument(
        "--init",
        metavar="[GLOB=]KIND",
        action="append",
        default=[],
        help=f"new values: {' '.join(_KINDS)}; normal(0.02) and uniform(0.1) have an amount",
    )
    acts.add_argument("--seed", type=int, default=0, help="of new values")
    acts.add_argument("--cast", action="store_true", help="what flows gets TARGET's dtypes")
    model = parser.add_argument_group("where TARGET is a model class")
    model.add_argument(
        "--model-args", metavar="JSON", default="{}", help="its keyword arguments, as an object"
    )
    model.add_argument(
        "--python", metavar="INTERPRETER", default="", help="the Python that runs its code"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT")
    parser.add_argument("--dry-run", action="store_true", help="say what would flow")
    parser.add_argument(
        "--as-python",
        action="store_true",
        help="print Python that does the same, and write nothing",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument("--quiet", action="store_true", help="print nothing but what is skipped")
    parser.add_argument("--verbose", action="store_true", help="what the model's code prints")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def transfer(arguments: argparse.Namespace, write: Write) -> bool:
    """Plan, write and print; whether keys of the source were skipped.

    Raises:
        CheckpointError: a file cannot be read or written, or a choice cannot be carried out.
        Trouble: an option is wrong, or the model cannot be built.
    """
    visible = not (arguments.no_progress or arguments.quiet)
    line = ProgressLine(visible)
    planned_only = arguments.dry_run or arguments.as_python
    rules = parsed_rules(arguments.map)
    from inspector_app.analysis.transfer import planning_result, planning_transfer

    with ExitStack() as stack:
        source = drive(arguments.file, visible)
        into = arguments.into
        if is_class(into):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="inspector-"))
            into = _fresh(arguments, os.path.join(folder, "model.pth"), line)
        target = drive(into, visible)
        options = _options(arguments, source, target, KeyMapping(rules=rules))
        plan = _ended(planning_transfer(source, target, options))
        out = arguments.out
        files: tuple[str, ...] = ()
        if not planned_only:
            files = driven(_ended(planning_result(plan, out)), arguments.force, line).files
        _show(plan, out, files, arguments, write)
        told = not (arguments.json or arguments.quiet or arguments.as_python)
        if told and plan.skipped and not (arguments.strip_prefix or arguments.map):
            write(
                _hint(_keys(target, options.target_section), _keys(source, options.source_section))
            )
    return plan.skipped > 0


def _hint(wanted: list[str], given: list[str]) -> list[str]:
    """What would make more keys match."""
    found = _ended(suggesting_prefixes(wanted, given))
    prefixes = [each for each in (found[0].b_prefix, found[0].a_prefix) if each] if found else []
    if not prefixes:
        return []
    options = " ".join(f"--strip-prefix {shlex.quote(plain(each))}" for each in prefixes)
    return [f"  {found[0].matched:,} of {found[0].total:,} keys would match with {options}\n"]


def is_class(text: str) -> bool:
    """Whether TARGET names a class and no file."""
    if os.path.exists(text):
        return False
    before, colon, name = text.rpartition(":")
    return bool(colon) and name.replace(".", "_").isidentifier() and bool(before)


def _show(
    plan: TransferPlan,
    out: str,
    files: tuple[str, ...],
    arguments: argparse.Namespace,
    write: Write,
) -> None:
    from inspector_app.analysis.transfer_report import (
        json_text,
        skipped,
        skipped_line,
        text_parts,
    )

    if arguments.as_python:
        from inspector_app.analysis.transfer_code import transfer_code

        write([transfer_code(plan, out)])
    elif arguments.json:
        write([json_text(plan, out, files, arguments.into)])
    elif arguments.quiet:
        write(f"{skipped_line(each)}\n" for each in skipped(plan))
    else:
        write(text_parts(plan, out, into=arguments.into))


def _ended(steps: Generator[Progress, None, Result]) -> Result:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


# --- options


def _options(
    arguments: argparse.Namespace, source: Checkpoint, target: Checkpoint, mapping: KeyMapping
) -> TransferOptions:
    here = None if arguments.section is None else section_of(arguments.section, source)
    there = None if arguments.into_section is None else section_of(arguments.into_section, target)
    wanted = _keys(target, there)
    mapping = stripping(arguments.strip_prefix, wanted, _keys(source, here), mapping)
    choices, mismatched, missing = _choices(arguments, wanted)
    return TransferOptions(
        mapping=mapping,
        source_section=here,
        target_section=there,
        choices=choices,
        mismatched=mismatched,
        missing=missing,
        cast=arguments.cast,
    )


def _keys(checkpoint: Checkpoint, path: TreePath | None) -> list[str]:
    node = the_model(checkpoint) if path is None else chosen_nodes(checkpoint, [path])[0]
    return [str(child.key) for child in node.children if isinstance(child, TensorInfo)]


def _choices(
    arguments: argparse.Namespace, keys: list[str]
) -> tuple[dict[str, Choice], Choice, Choice]:
    mismatched = missing = Choice(Act.KEEP)
    choices: dict[str, Choice] = {}
    given = [
        *((text, Choice(Act.KEEP)) for text in arguments.keep),
        *(_fit(text) for text in arguments.fit),
        *(_init(text, arguments.seed) for text in arguments.init),
    ]
    for pattern, choice in given:
        if pattern:
            matches = re.compile(translate(pattern)).match
            found = [key for key in keys if matches(key)]
            if not found:
                raise Trouble(f"no key of TARGET matches {plain(pattern)}")
            choices |= dict.fromkeys(found, choice)
        elif choice.act == Act.FIT:
            mismatched = choice
        else:
            missing = choice
    return choices, mismatched, missing


def _fit(text: str) -> tuple[str, Choice]:
    pattern, _, places = text.rpartition("=")
    where = tuple(places.replace("center", Where.CENTRE).split(","))
    if not set(where) <= set(_PLACES):
        raise Trouble(f"--fit {plain(text)}: say {', '.join(_PLACES)}, for all axes or for each")
    return pattern, Choice(Act.FIT, where)


def _init(text: str, seed: int) -> tuple[str, Choice]:
    pattern, _, form = text.rpartition("=")
    found = _INITIAL.fullmatch(form)
    try:
        amount = float(found[2]) if found is not None and found[2] is not None else 0.02
    except ValueError:
        found = None
    if found is None or found[1] not in _KINDS or not 0 <= amount < float("inf"):
        raise Trouble(f"--init {plain(text)}: say one of {', '.join(_KINDS)}")
    return pattern, Choice(Act.INITIALISE, initial=Initial(found[1], amount, seed))


# --- a model class


def _fresh(arguments: argparse.Namespace, path: str, line: ProgressLine) -> str:
    """Have a worker build the model and save what it begins with."""
    from inspector_app.terminal.model_options import failure_text
    from inspector_app.worker import protocol
    from inspector_app.worker.export_run import ExportPlan, exporting
    from inspector_app.worker.protocol import (
        Inputs,
        Log,
        ModelChoice,
        ModelSource,
        SourceKind,
        StateDictOptions,
        Weights,
    )

    try:
        given = json.loads(arguments.model_args)
    except (ValueError, RecursionError) as error:
        raise Trouble(f"--model-args is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise Trouble("--model-args is no JSON object")
    plan = ExportPlan(
        model=ModelChoice(
            checkpoint=os.path.abspath(arguments.file),
            source=ModelSource(SourceKind.CODE, arguments.into, given),
            weights=Weights(load=False),
        ),
        inputs=Inputs(()),
        options=StateDictOptions(),
        target=path,
        interpreter=arguments.python,
        proof=None,
    )
    with closing(exporting(plan)) as steps:
        try:
            while True:
                event = next(steps)
                if isinstance(event, protocol.Progress):
                    line.show(f"{plain(event.stage)} …")
                elif isinstance(event, Log) and arguments.verbose:
                    print(plain(event.text, 2_000), file=sys.stderr)
        except StopIteration as end:
            outcome = end.value
        finally:
            line.erase()
    if outcome.failed is not None:
        raise Trouble(f"{plain(arguments.into)}: {failure_text(outcome.failed)}")
    return path
