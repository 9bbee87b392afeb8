"""Finds every pickle of a file, and traces each.

Those that torch reads come first; then other entries of the archive, what follows a
stream, and bytes inside a stream that are pickles or archives themselves, to a bounded
depth. What nobody would load is traced too: a program that is told to may.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import count

from inspector_app.analysis.safety_bytes import (
    below,
    export_path,
    head_of,
    is_usual,
)
from inspector_app.analysis.safety_report import PickleStream
from inspector_app.checkpoint import raw_pickle, torch_legacy, torch_tar, zip_directory
from inspector_app.checkpoint.allowed_globals import is_allowed
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import (
    BrokenFile,
    CheckpointError,
    LimitExceeded,
    Problem,
)
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Checkpoint, Progress, Record, TreePath
from inspector_app.checkpoint.nested_bytes import encoded, may_be_pickle
from inspector_app.checkpoint.pickle_machine import PickleMachine
from inspector_app.checkpoint.pickle_nodes import BytesPlace
from inspector_app.checkpoint.pickle_trace import PickleTrace
from inspector_app.checkpoint.record_source import MemorySource, RecordSource
from inspector_app.checkpoint.tar_members import members
from inspector_app.checkpoint.tar_storages import TarStorages
from inspector_app.checkpoint.trace_budget import BudgetSpent, TraceBudget
from inspector_app.checkpoint.trace_places import Places, placing
from inspector_app.checkpoint.weights_only import WeightsOnlyRules
from inspector_app.checkpoint.zip_directory import ENCRYPTED, STORED, ZipDirectory
from inspector_app.checkpoint.zip_local import LOCAL

_ENDINGS = (".pkl", ".pickle", ".debug_pkl", ".pt", ".pth", ".joblib", ".dill")
LEGACY_PARTS = (
    ("magic number", 0),
    ("protocol version", 0),
    ("system information", 0),
    ("object", 6),
    ("storage keys", 0),
)
_DEEPEST = 3
_MOST_STREAMS = 2_000
_KEPT_BYTES = 64 << 20
_STEP = 5_000
# What is spent beside the opcodes: on a stream, an entry, and a byte of what is looked into.
_STREAM_COST = 40_000
_ENTRY_COST = 500
_SHARE_OF_BYTES = 8
_TRIED_BYTES = 1 << 20  # by `raw_pickle.recognise`

Steps = Generator[Progress, None, None]
# Index, trace, places if it is part of the tree, what to add to offsets, TorchScript or not.
Take = Callable[[int, PickleTrace, "Places | None", int, bool], None]


class LoadedStream:
    """A stream that ``torch.load`` would read, and what it would say.

    Attributes:
        index: among the streams.
        refusals: by default, and with the globals allowed that can be.
        broken: why it cannot be read to its end, or "".
        cut: it was not read to its end because of a limit.
        offset: where that is.
        value: what it makes, still inert.
    """

    __slots__ = ("broken", "cut", "index", "offset", "refusals", "value")

    def __init__(self, index: int, machine: PickleTrace, rules: tuple[WeightsOnlyRules, ...]):
        self.index = index
        self.refusals = (rules[0].refusal, rules[-1].refusal)
        broken = [each for each in machine.problems if each.code != "odd-opcode"]
        self.broken = "" if machine.finished or not broken else broken[-1].message
        self.cut = any(each.code == "pickle-limit" for each in machine.problems)
        self.offset = machine.end
        self.value = machine.value if type(machine.value) is int else None


class StreamWalk:
    """Traces the streams of the files of a checkpoint.

    Args:
        checkpoint: what was read of them.
        allowed: globals that the second verdict takes as allowed.
        take: is given each traced stream, with its index and places.
        briefly: find no places of streams that name nothing outside the allowlist.

    Attributes:
        streams: in the order they were traced.
        loaded: those that torch reads, in its order.
        problems: of streams and archives that the reader did not look into.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        limits: Limits,
        allowed: frozenset[str],
        take: Take,
        briefly: bool = False,
    ) -> None:
        self._checkpoint = checkpoint
        self._limits = limits
        self._allowed = allowed
        self._take = take
        self._briefly = briefly
        self._kept = 0
        self._depth = 0
        self._full = False
        self._file = checkpoint.path
        self._expected = len(checkpoint.tensors) + len(checkpoint.storages)
        self._budget = TraceBudget(limits, 0, 0)
        self.streams: list[PickleStream] = []
        self.loaded: list[LoadedStream] = []
        self.problems: list[Problem] = []

    def file(self, path: str) -> Steps:
        """Trace what the file at `path` holds.

        Raises:
            CheckpointError: it is gone, or has become unreadable.
        """
        with ByteSource(path) as source:
            self._file = path
            self._budget = TraceBudget(self._limits, source.size, self._expected)
            try:
                yield from self._container(source, "", (), "loaded")
            except BudgetSpent:
                details: dict[str, object] = {
                    "what": self._budget.what,
                    "limit": self._budget.limit,
                }
                self._note(Problem("limit", details=details))

    def _container(self, source: ByteSource, name: str, path: TreePath | None, role: str) -> Steps:
        if not name:
            yield from self._opened(source, name, path, role)
            return
        # One entry may stand in an archive many times.
        self._budget.charge(_STREAM_COST + source.size // _SHARE_OF_BYTES)
        try:
            yield from self._opened(source, name, path, role)
        except (BrokenFile, LimitExceeded) as error:
            # What is broken inside a file is no reason not to tell of the rest.
            self._note(Problem(error.code, name, error.details))

    def _opened(self, source: ByteSource, name: str, path: TreePath | None, role: str) -> Steps:
        # In the order of `checkpoint.recognise`, which is torch's.
        if source.read(0, 4) == LOCAL:
            yield from self._zip(source, name, path, role)
        elif torch_legacy.recognise(source):
            yield from self._legacy(source, name, path, role)
        elif torch_tar.recognise(source):
            yield from self._tar(source, name, path, role)
        elif self._is_pickle(source):
            yield from self._following(source, 0, source.size, name, path, role, parts=0)
            if zip_directory.recognise(source):
                # An archive is found from its end, whatever stands before it.
                yield from self._zip(source, name, None, "extra")
        elif zip_directory.recognise(source):
            if role == "loaded":
                # torch takes a file for a zip only if it begins like one.
                yield from self._stream(source, 0, source.size, name or "first bytes", role, None)
            yield from self._zip(source, name, path, "extra")

    def _is_pickle(self, source: ByteSource) -> bool:
        if source.read(0, 1) != b"\x80":
            self._budget.charge(40 * min(source.size, _TRIED_BYTES))
        return raw_pickle.recognise(source, self._limits)

    def _deeper(self, steps: Steps, name: str) -> Steps:
        """`steps` into what lies inside another stream or archive, if that is not too deep."""
        if self._depth >= _DEEPEST:
            what = "how many pickles and archives lie in each other"
            self._note(Problem("limit", name, {"what": what, "limit": _DEEPEST}))
            return
        self._depth += 1
        try:
            yield from steps
        finally:
            self._depth -= 1

    # --- one stream

    def _stream(
        self,
        source: ByteSource,
        start: int,
        end: int,
        name: str,
        role: str,
        path: TreePath | None,
        parts: int = 0,
        script: bool = False,
    ) -> Generator[Progress, None, PickleTrace | None]:
        """Trace one stream and what is nested in it; None if there are too many."""
        if len(self.streams) >= _MOST_STREAMS:
            if not self._full:
                self._full = True
                self._note(Problem("pickle-count", details={"limit": _MOST_STREAMS}))
            return None
        rules: tuple[WeightsOnlyRules, ...] = ()
        if role == "loaded":
            rules = (WeightsOnlyRules(storage_parts=parts),)
            if self._allowed:
                rules += (WeightsOnlyRules(self._allowed, parts),)
        self._budget.charge(_STREAM_COST)
        machine = PickleTrace(
            source,
            start,
            end,
            self._limits,
            name,
            expected=self._expected,
            rules=rules,
            budget=self._budget,
        )
        yield from machine.run()
        if role != "loaded" and not (machine.finished or machine.limited or machine.traced):
            # Bytes that only begin like a pickle.
            return machine
        places = None
        if path is not None and not (self._briefly and _is_allowed(machine)):
            places = yield from placing(machine.value, machine.spans, self._limits, path, script)
        index = len(self.streams)
        place = source.place_of(start)
        data = None
        if place is None:
            shift = -start
            data = source.read(start, machine.end - start) if self._may_keep(source) else b""
        else:
            shift = place[1] - start
        self.streams.append(
            PickleStream(
                name or "pickle",
                self._file,
                start + shift,
                machine.end + shift,
                data,
                path,
                role,
                machine.protocol,
                machine.finished,
                script,
                self._expected,
            )
        )
        for problem in machine.problems:
            self._note(_shifted(problem, shift))
        if role == "loaded":
            self.loaded.append(LoadedStream(index, machine, rules))
        self._take(index, machine, places, shift, script)
        self._budget.charge(0)
        yield from self._nested(machine, name)
        return machine

    def _may_keep(self, source: ByteSource) -> bool:
        self._kept += source.size
        return self._kept <= _KEPT_BYTES

    def _note(self, problem: Problem) -> None:
        if len(self.problems) < self._limits.globals:
            self.problems.append(problem)

    def _following(
        self,
        source: ByteSource,
        start: int,
        end: int,
        name: str,
        path: TreePath | None,
        role: str,
        parts: int = 5,
        script: bool = False,
    ) -> Steps:
        """A stream, and those that follow it in the same bytes."""
        machine = yield from self._stream(source, start, end, name, role, path, parts, script)
        for number in count(2):
            if machine is None or not machine.finished or machine.end >= end:
                return
            start = machine.end
            machine = yield from self._stream(
                source, start, end, f"{name or 'pickle'} ({number})", "extra", None
            )

    def _nested(self, machine: PickleTrace, name: str) -> Steps:
        """Bytes in the stream that are pickles or archives themselves."""
        outer = self._expected
        for offset, value in machine.found_bytes:
            source: ByteSource
            if isinstance(value, BytesPlace):
                source = RecordSource(machine.source, value.offset, value.nbytes)
            else:
                data = encoded(value)
                if data is None:
                    continue
                source = MemorySource(machine.source, data)
            place = f"bytes at {offset}" + (f" of {name}" if name else "")
            self._expected = 0
            try:
                yield from self._deeper(self._container(source, place, None, "nested"), place)
            except CheckpointError as error:
                self._note(Problem(error.code, place, error.details))
            finally:
                self._expected = outer

    # --- containers

    def _legacy(self, source: ByteSource, name: str, path: TreePath | None, role: str) -> Steps:
        start = 0
        label = f"{name}: " if name else ""
        for part, parts in LEGACY_PARTS:
            here = path if part == "object" else None
            machine = yield from self._stream(
                source, start, source.size, f"{label}pickle of the {part}", role, here, parts
            )
            if machine is None or not machine.finished:
                return
            start = machine.end
        for problem in self._checkpoint.problems:
            if problem.code == "trailing-bytes" and not name:
                left = problem.details.get("count")
                if type(left) is int and 0 < left < source.size:
                    yield from self._sniffed(source, source.size - left, "trailing bytes")

    def _sniffed(self, source: ByteSource, start: int, name: str) -> Steps:
        if may_be_pickle(source.read(start, 16)):
            rest = RecordSource(source, start, source.size - start)
            yield from self._container(rest, name, None, "extra")

    def _tar(self, source: ByteSource, name: str, path: TreePath | None, role: str) -> Steps:
        label = f"{name}: " if name else ""
        for member in members(source):
            self._budget.charge(_ENTRY_COST if name else 0)
            start, end = member.offset, min(member.offset + member.nbytes, source.size)
            where = f"{label}{member.name}"
            if member.name == "pickle":
                yield from self._following(source, start, end, where, path, role, parts=6)
            elif member.name in ("storages", "tensors"):
                parts = _TarParts(source, self._limits, self._budget)
                if member.name == "storages":
                    yield from parts.read_storages(member)
                else:
                    yield from parts.read_tensors(member)
                for place in parts.naming:
                    yield from self._stream(source, place, end, f"{where} at {place}", role, None)
            else:
                rest = RecordSource(source, start, end - start)
                if may_be_pickle(rest.read(0, 16)):
                    inner = "loaded" if member.name == "sys_info" else "extra"
                    yield from self._deeper(self._container(rest, where, None, inner), where)

    def _zip(self, source: ByteSource, name: str, path: TreePath | None, role: str) -> Steps:
        directory = yield from zip_directory.reading(source, self._limits)
        self._budget.charge(_ENTRY_COST * len(directory.order) if name else 0)
        known = 0 if name else len(directory.problems)
        label = f"{name}: " if name else ""
        root = f"{directory.root}/" if directory.root else ""
        main = directory.get(f"{root}data.pkl")
        constants = directory.get(f"{root}constants.pkl")
        script = main is not None and constants is not None
        taken: set[int] = set()
        for record, place in ((main, path), (constants, below(path, "constants"))):
            if record is not None:
                taken.add(record.header_offset)
                try:
                    yield from self._record(directory, record, label, role, place, script)
                except CheckpointError as error:
                    self._note(Problem(error.code, f"{label}{record.name}", error.details))
        storages = self._storages_of(source) if not name else set()
        for number, record in enumerate(directory.order):
            if number % _STEP == 0:
                yield Progress("entries", number, len(directory.order))
            if record.header_offset in taken or record.header_offset in storages:
                continue
            head = head_of(directory, record)
            if may_be_pickle(head) or (head and record.name.lower().endswith(_ENDINGS)):
                inner = export_path(record.name[len(root) :]) if path == () else None
                expected = script or is_usual(record.name[len(root) :])
                if not expected and may_be_pickle(head) and not name:
                    self._note(Problem("hidden-pickle", record.name))
                try:
                    yield from self._record(directory, record, label, "extra", inner, script)
                except CheckpointError as error:
                    self._note(Problem(error.code, f"{label}{record.name}", error.details))
        for problem in directory.problems[known:]:
            self._note(problem)

    def _storages_of(self, source: ByteSource) -> set[int]:
        """Where the entries are that are known to be values of tensors."""
        return {
            storage.record.header_offset
            for storage in self._checkpoint.storages.values()
            if storage.record is not None
            and (storage.file or self._checkpoint.path) == source.path
            and ":" not in storage.key
        }

    def _record(
        self,
        directory: ZipDirectory,
        record: Record,
        label: str,
        role: str,
        path: TreePath | None,
        script: bool,
    ) -> Steps:
        where = f"{label}{record.name}"
        if record.method == STORED and not record.flags & ENCRYPTED:
            start = directory.data_offset(record)
            source: ByteSource = RecordSource(directory.source, start, record.nbytes)
        else:
            self._budget.unpack(max(record.nbytes, record.packed_bytes))
            source = MemorySource(directory.source, directory.read(record))
        if source.read(0, 4) == LOCAL:
            self._budget.charge(_STREAM_COST + source.size // _SHARE_OF_BYTES)
            yield from self._deeper(self._zip(source, where, path, role), where)
            return
        yield from self._following(source, 0, source.size, where, path, role, 5, script)


class _TarParts(TarStorages):
    """Notes where the pickles stand that name something."""

    def __init__(self, source: ByteSource, limits: Limits, budget: TraceBudget) -> None:
        super().__init__(source, limits)
        self.naming: list[int] = []
        self._budget = budget

    def run(self, machine: PickleMachine, where: str) -> object:
        value = super().run(machine, where)
        self._budget.charge(40 * (machine.end - machine.start))
        if machine.globals and len(self.naming) < _MOST_STREAMS:
            self.naming.append(machine.start)
        return value


def _shifted(problem: Problem, shift: int) -> Problem:
    """A problem with its offset as the reader of the file would say it."""
    offset = problem.details.get("offset")
    if type(offset) is not int or not shift:
        return problem
    return Problem(problem.code, problem.where, {**problem.details, "offset": offset + shift})


def _is_allowed(machine: PickleTrace) -> bool:
    return all(is_allowed(module, name) for module, name in machine.traced)
