"""What ``torch.save`` writes today: a zip with ``data.pkl`` and one record a storage.

Layout (``torch/serialization.py`` and ``caffe2/serialize/inline_container.h`` of torch
2.13): below the archive's root stand ``data.pkl``, ``byteorder``, ``data/<key>`` for each
storage, ``version`` and ``.data/serialization_id``. Storages are referred to by the
persistent id ``("storage", class, key, location, numel)``.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import suppress

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, CheckpointError, Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import (
    Checkpoint,
    Kind,
    Node,
    PathElement,
    Progress,
    Record,
    StorageRef,
)
from inspector_app.checkpoint.pickle_globals import global_uses
from inspector_app.checkpoint.pickle_machine import PickleMachine
from inspector_app.checkpoint.pickle_nodes import GlobalRef, PersistentId
from inspector_app.checkpoint.pickle_tree import PickleTree
from inspector_app.checkpoint.record_source import MemorySource
from inspector_app.checkpoint.sections import find_sections
from inspector_app.checkpoint.storage_table import StorageTable
from inspector_app.checkpoint.torch_rebuild import BadTensorError, storage_reference
from inspector_app.checkpoint.zip_checks import ascii_lower
from inspector_app.checkpoint.zip_checksums import verifying
from inspector_app.checkpoint.zip_directory import ENCRYPTED, STORED, ZipDirectory
from inspector_app.checkpoint.zip_local import LOCAL

_SLICE = 5_000
_SHOWN_OF_A_KIND = 20
_BYTE_ORDER_BYTES = 16
# kMinSupportedFileFormatVersion, kMaxSupportedFileFormatVersion of caffe2/serialize/versions.h.
_OLDEST, _LATEST = 1, 10
_NUMBER = re.compile(r"\+?[0-9]{1,20}")
# Small text records that say something about the file.
_METADATA = ("version", ".data/version", ".format_version", ".storage_alignment")
_WRITTEN = ("data.pkl", "byteorder", ".data/serialization_id", *_METADATA)


def recognise(directory: ZipDirectory) -> bool:
    """Whether there is a ``data.pkl`` in the archive's root."""
    return directory.get(_inside(directory, "data.pkl")) is not None


class ZipPickle:
    """One pickle of an archive, and the storages that it refers to.

    Args:
        directory: the archive.
        name: the pickle's full name.
        storages: the prefix of the storages' records, such as ``archive/data/``.
        file: the archive's path, where that is not the checkpoint's own.

    Attributes (after `read`):
        node, tensors: what the pickle holds.
        globals: what it names.
        finished: the pickle was read to its end.
        problems: in the order they were found.
        placed: the storages referred to, by file and key.
    """

    def __init__(self, directory: ZipDirectory, name: str, storages: str, file: str = "") -> None:
        self._directory = directory
        self._name = name
        self._prefix = storages
        self._file = file
        self._table = StorageTable()
        self.byte_order = _byte_order(directory)
        self.problems: list[Problem] = []
        self.globals: dict[tuple[str, str], GlobalRef] = {}
        self.tree = PickleTree(directory.limits, self._resolve, self.byte_order == "big")
        self.placed: dict[tuple[str, str], StorageRef] = {}
        self.protocol = 0
        self.finished = False
        # Of the records that the pickle refers to.
        self.used: set[str] = set()

    @property
    def storages(self) -> dict[str, StorageRef]:
        return self._table.by_key

    def read(
        self, key: PathElement = "", parent: Node | None = None
    ) -> Generator[Progress, None, Node]:
        """Execute the pickle inertly, build its tree and look up its storages' records.

        Raises:
            BrokenFile: the record cannot be read at all.
        """
        directory = self._directory
        record = directory.get(self._name)
        if record is None:
            raise BrokenFile("missing-record", directory.source.path, record=self._name)
        self._name = record.name
        self.used.add(record.name)
        machine = self._machine(record)
        yield from machine.run()
        if record.method == STORED:
            # What was unpacked has been checked.
            yield from self._check_sum(record)
        self.globals = machine.globals
        self.protocol = machine.protocol
        self.finished = machine.finished
        self.problems.extend(machine.problems)
        left = record.nbytes - (machine.end - self._start)
        if machine.finished and left > 0:
            self.problems.append(Problem("several-pickles", self._name, {"count": left}))
        node = yield from self.tree.build(machine.value, key, parent)
        self.problems.extend(self.tree.problems)
        yield from self.tree.release()
        yield from self._attach()
        for reference in machine.references:
            # Also what the tree does not show is in use.
            with suppress(BadTensorError):
                self.used.add(f"{self._prefix}{storage_reference(reference.pid)[0]}")
        return node

    def _check_sum(self, record: Record) -> Generator[Progress, None, None]:
        done = 0
        # Without flags what follows its bytes is not read.
        steps = verifying(self._directory, record._replace(flags=0))
        while True:
            try:
                done += next(steps)
            except StopIteration as end:
                found: list[Problem] = end.value
                self.problems.extend(found)
                return
            yield Progress("pickle", done, record.nbytes)

    def _machine(self, record: Record) -> PickleMachine:
        directory = self._directory
        if record.flags & ENCRYPTED:
            # Scanners give up at the mark, so it may be a false one.
            if not directory.is_plain(record):
                raise BrokenFile("encrypted-entry", directory.source.path, record.name)
            self.problems.append(Problem("falsely-encrypted", record.name))
        if record.method == STORED:
            self._start = directory.data_offset(record)
            source: ByteSource = directory.source
            end = self._start + record.nbytes
        else:
            # A compressed pickle is small enough to be held; torch never writes one.
            self._start = 0
            source = MemorySource(directory.source, directory.read(record))
            end = source.size
        return PickleMachine(
            source,
            self._start,
            end,
            directory.limits,
            self._table,
            where=self._name,
            expected=len(directory.order),
        )

    def _resolve(self, reference: PersistentId) -> tuple[StorageRef, str]:
        key, dtype, location, nbytes, _ = storage_reference(reference.pid)
        return self._table.get(key, nbytes, location), dtype

    def _attach(self) -> Generator[Progress, None, None]:
        """Give each storage its record, and compare the two lengths."""
        directory = self._directory
        records = directory.records
        used = self.used
        prefix = self._prefix
        file = self._file
        placed = self.placed
        missing = different = 0
        for number, storage in enumerate(self._table.by_key.values()):
            if number % _SLICE == 0:
                yield Progress("storages", number, len(self._table.by_key))
            record = records.get(prefix + storage.key) or directory.get(prefix + storage.key)
            storage.record = record
            storage.file = file
            placed[file, storage.key] = storage
            if record is None:
                missing += 1
                if storage.nbytes and missing <= _SHOWN_OF_A_KIND:
                    name = f"{prefix}{storage.key}"
                    self.problems.append(Problem("missing-record", self._name, {"record": name}))
                continue
            used.add(record.name)
            if record.nbytes != storage.nbytes:
                different += 1
                if different <= _SHOWN_OF_A_KIND:
                    self.problems.append(
                        Problem(
                            "storage-size",
                            record.name,
                            {"expected": storage.nbytes, "found": record.nbytes},
                        )
                    )
        for key, what in list(self._table.conflicts.items())[:_SHOWN_OF_A_KIND]:
            self.problems.append(
                Problem("bad-tensor", f"{prefix}{key}", {"what": f"one storage with {what}"})
            )


def read(
    source: ByteSource, directory: ZipDirectory, limits: Limits
) -> Generator[Progress, None, Checkpoint]:
    """Read the structure of a torch zip.

    Raises:
        BrokenFile: ``data.pkl`` cannot be read.
    """
    pickle = ZipPickle(directory, _inside(directory, "data.pkl"), _inside(directory, "data/"))
    root = yield from pickle.read()
    if root.kind == Kind.SCALAR and root.value is None and not pickle.finished:
        first = pickle.problems[0]
        nested = directory.get(first.where)
        reason = first.message
        if nested is not None and source.read(directory.data_offset(nested), 4) == LOCAL:
            reason = "the pickle is an archive itself; unpack it first"
        raise BrokenFile("broken", source.path, first.where, reason=reason)
    checkpoint = Checkpoint(
        source.path, "torch-zip", source.size, root, modified_ns=source.modified_ns
    )
    checkpoint.tensors = pickle.tree.tensors
    checkpoint.globals = global_uses(pickle.globals.values())
    checkpoint.metadata = metadata(directory, pickle)
    found = yield from _other_entries(directory, pickle)
    checkpoint.problems = [*directory.problems, *pickle.problems, *found]
    checkpoint.storages = pickle.placed
    checkpoint.files = [source.path]
    checkpoint.sections = find_sections(root)
    return checkpoint


def metadata(directory: ZipDirectory, pickle: ZipPickle) -> dict[str, str]:
    """What the archive states about itself, in short text records."""
    stated = {"pickle_protocol": str(pickle.protocol)}
    _check_version(directory)
    if pickle.byte_order:
        stated["byteorder"] = pickle.byte_order
    for name in _METADATA:
        text = _small_text(directory, _inside(directory, name))
        if text:
            stated[name.lstrip(".").rpartition("/")[2]] = text
    return stated


def _check_version(directory: ZipDirectory) -> None:
    """Report a version that torch refuses, or the lack of one: ``PyTorchStreamReader::init`` in
    caffe2/serialize/inline_container.cc, which reads a number as ``std::stoull`` does."""
    name = _inside(directory, ".data/version")
    record = directory.get(name)
    if record is None:
        name = _inside(directory, "version")
        record = directory.get(name)
    if record is None:
        directory.report("missing-record", record=name)
        return
    text = _small_text(directory, name)
    number = _NUMBER.match(text)
    if number is None or not _OLDEST <= int(number[0]) <= _LATEST:
        directory.report("bad-version", name, value=text)


def _small_text(directory: ZipDirectory, name: str, most: int = _SLICE) -> str:
    """The text of a small record, or "" where there is none that can be read."""
    record = directory.get(name)
    if record is None or record.nbytes > most:
        return ""
    try:
        return directory.read(record).decode("utf-8", "replace").strip()
    except CheckpointError as error:
        # That it cannot be read is no reason not to show the rest.
        directory.report(error.code, record.name, **error.details)
        return ""


def _byte_order(directory: ZipDirectory) -> str:
    name = _inside(directory, "byteorder")
    text = _small_text(directory, name, _BYTE_ORDER_BYTES)
    if text not in ("little", "big", ""):
        directory.report("bad-byteorder", name, value=text)
    return text


def hidden_pickles(
    directory: ZipDirectory, known: set[str]
) -> Generator[Progress, None, list[Problem]]:
    """Pickles under other names than those `known`, which torch reads."""
    order = directory.order
    found = []
    for start in range(0, len(order), _SLICE):
        for record in order[start : start + _SLICE]:
            name = record[0]
            if name[-1:] in "lL" and name[-4:].lower() == ".pkl" and name not in known:
                found.append(Problem("hidden-pickle", name))
        yield Progress("names", start, len(order))
    return _few(found)


def _other_entries(
    directory: ZipDirectory, pickle: ZipPickle
) -> Generator[Progress, None, list[Problem]]:
    """Entries that `torch.save` does not write, pickles first; such as ``other.pkl``."""
    used = pickle.used
    others: list[Record] = []
    order = directory.order
    for start in range(0, len(order), _SLICE):
        others += [record for record in order[start : start + _SLICE] if record[0] not in used]
        yield Progress("names", start, len(order))
    known = {_inside(directory, name) for name in _WRITTEN}
    # What a pickle that was cut would have referred to is not known.
    folder = "" if pickle.finished and not pickle.tree.problems else _inside(directory, "data/")
    hidden, unused = [], []
    for number, record in enumerate(others):
        if number % _SLICE == 0:
            yield Progress("names", number, len(others))
        name = record.name
        if name[-4:].lower() == ".pkl":
            hidden.append(Problem("hidden-pickle", name))
        elif (
            ascii_lower(name) not in known
            and name.startswith(_inside(directory, ""))
            and not (folder and name.startswith(folder))
            and (record.nbytes or not name.endswith("/"))
        ):
            unused.append(Problem("unused-entry", name))
    return [*_few(hidden), *_few(unused)]


def _few(problems: list[Problem]) -> list[Problem]:
    more = len(problems) - _SHOWN_OF_A_KIND
    if more <= 0:
        return problems
    last = Problem("more-of-a-kind", details={"count": more, "kind": problems[0].code})
    return [*problems[:_SHOWN_OF_A_KIND], last]


def _inside(directory: ZipDirectory, name: str) -> str:
    return f"{directory.root}/{name}" if directory.root else name
