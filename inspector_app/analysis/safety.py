"""What a file would import and call if it were loaded the unsafe way, and what is odd about it.

Nothing is imported, called or hashed to find out: the streams are executed by the inert
machine once more, this time with a record of every use (`checkpoint.pickle_trace`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

from inspector_app.analysis.needed_globals import NeededGlobals, needed_globals
from inspector_app.analysis.safety_groups import group_of
from inspector_app.analysis.safety_report import (
    GROUPS,
    HOWS,
    CodeFound,
    FoundGlobal,
    PickleStream,
    SafetyReport,
    Use,
)
from inspector_app.analysis.safety_streams import StreamWalk
from inspector_app.analysis.safety_verdict import broken_verdict, verdict_of
from inspector_app.checkpoint import uncollected
from inspector_app.checkpoint.allowed_globals import is_allowed
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import CheckpointError, Problem, UnreadableFile
from inspector_app.checkpoint.inert_text import arguments_text
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Checkpoint, CodeText, Kind, Node, Progress
from inspector_app.checkpoint.pickle_trace import PickleTrace
from inspector_app.checkpoint.record_source import MemorySource
from inspector_app.checkpoint.script_tree import is_builtin_name
from inspector_app.checkpoint.trace_places import Places, placing

_PICKLED = frozenset(
    {"torch-zip", "torch-legacy", "torch-tar", "torchscript", "torch-export", "pickle"}
)
_MOST_USES = 1_000  # of one global that are listed; of an allowed one far fewer
_MOST_ALLOWED_USES = 50


def examine(
    checkpoint: Checkpoint, limits: Limits = DEFAULT, briefly: bool = False
) -> Generator[Progress, None, SafetyReport]:
    """Look into every pickle of the files that `checkpoint` consists of, in short steps.

    `briefly` lists no uses of allowed globals, which are nearly all there are.

    Raises:
        CheckpointError: a file is gone, or has become unreadable.
    """
    needed = needed_globals(checkpoint)
    found = _Globals(briefly)
    walk = StreamWalk(checkpoint, limits, allowable(checkpoint, needed), found.take, briefly)
    if checkpoint.format in _PICKLED:
        for path in checkpoint.files or [checkpoint.path]:
            yield from uncollected(walk.file(path))
    return SafetyReport(
        checkpoint.path,
        checkpoint.format,
        found.sorted(),
        tuple(_together(checkpoint.problems, walk.problems)),
        tuple(_code(checkpoint, code) for code in checkpoint.code),
        tuple(walk.streams),
        verdict_of(checkpoint, walk.loaded, needed),
    )


def examine_broken(
    path: str, error: CheckpointError, limits: Limits = DEFAULT
) -> Generator[Progress, None, SafetyReport]:
    """The same of a file of which nothing can be shown: what its pickles name before they
    break, with `error` as an anomaly.

    Raises:
        UnreadableFile: it is gone, or has become unreadable.
    """
    checkpoint = Checkpoint(path, "broken", 0, Node("", Kind.MAPPING), files=[path])
    checkpoint.problems = [Problem(error.code, error.where, error.details)]
    found = _Globals()
    walk = StreamWalk(checkpoint, limits, frozenset(), found.take)
    try:
        yield from uncollected(walk.file(path))
    except UnreadableFile:
        raise
    except CheckpointError as stopped:
        walk.problems.append(Problem(stopped.code, stopped.where, stopped.details))
    return SafetyReport(
        path,
        checkpoint.format,
        found.sorted(),
        tuple(_together(checkpoint.problems, walk.problems)),
        (),
        tuple(walk.streams),
        broken_verdict(walk.loaded, error.message, checkpoint.problems),
    )


def allowable(checkpoint: Checkpoint, needed: NeededGlobals) -> frozenset[str]:
    """The globals that ``add_safe_globals`` can be told to allow without allowing calls."""
    never = {*needed.refused, *needed.functions}
    return frozenset(
        found.name for found in checkpoint.globals if not found.allowed and found.name not in never
    )


def tracing(
    stream: PickleStream, limits: Limits = DEFAULT
) -> Generator[Progress, None, Places | None]:
    """Where in the tree the bytes of one stream stand; None if it is no part of the tree.

    Raises:
        CheckpointError: the file is gone, or has become unreadable.
    """
    if stream.path is None:
        return None
    with ByteSource(stream.file) as file:
        source = file if stream.data is None else MemorySource(file, stream.data)
        machine = PickleTrace(
            source, stream.start, stream.end, limits, stream.name, stream.expected
        )
        yield from uncollected(machine.run())
        steps = placing(machine.value, machine.spans, limits, stream.path, stream.script)
        return (yield from uncollected(steps))


class _Globals:
    """Collects the uses of every stream, by name; `briefly` of those outside alone."""

    def __init__(self, briefly: bool = False) -> None:
        self._briefly = briefly
        self._uses: dict[str, list[Use]] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._allowed: dict[str, bool] = {}

    def take(
        self, index: int, machine: PickleTrace, places: Places | None, shift: int, script: bool
    ) -> None:
        for traced in machine.traced.values():
            if script and is_builtin_name(traced.module, traced.name):
                continue
            name = f"{traced.module}.{traced.name}"
            allowed = is_allowed(traced.module, traced.name)
            # A name that torch reads otherwise in one place is not allowed anywhere.
            self._allowed[name] = allowed and self._allowed.get(name, True)
            uses = self._uses.setdefault(name, [])
            counts = self._counts.setdefault(name, {})
            used = len(traced.counts) > 1
            for how, count in traced.counts.items():
                if how != "named" or not used:
                    counts[how] = counts.get(how, 0) + count
            most = _MOST_USES if not allowed else 0 if self._briefly else _MOST_ALLOWED_USES
            for use in traced.uses:
                if len(uses) >= most:
                    break
                if use.how == "named" and used:
                    continue
                text = "" if use.how == "named" else arguments_text(use.arguments)
                path = None if places is None else places.path_at(use.offset)
                uses.append(Use(use.how, index, use.offset + shift, path, text))

    def sorted(self) -> tuple[FoundGlobal, ...]:
        found = [
            FoundGlobal(
                name,
                group_of(name, self._allowed[name]),
                self._allowed[name],
                tuple(uses),
                sum(self._counts[name].values()),
                tuple((how, self._counts[name][how]) for how in HOWS if how in self._counts[name]),
            )
            for name, uses in self._uses.items()
        ]
        found.sort(key=lambda each: (GROUPS.index(each.group), each.name))
        return tuple(found)


def _together(read: Iterable[Problem], traced: Iterable[Problem]) -> list[Problem]:
    """What the reader found, and what only tracing showed."""
    seen = set()
    kept = []
    for problem in (*read, *traced):
        key = (problem.code, problem.where, problem.message)
        if key not in seen:
            seen.add(key)
            kept.append(problem)
    return kept


def _code(checkpoint: Checkpoint, code: CodeText) -> CodeFound:
    if code.record is None:
        where = "class source"
    else:
        where = "compiled model" if checkpoint.format == "torch-export" else "TorchScript"
    return CodeFound(code.name, where, code.text, code.record)
