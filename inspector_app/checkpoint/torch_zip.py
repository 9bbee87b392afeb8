"""What ``torch.save`` writes today: a zip with ``data.pkl`` and one record a storage.

Layout (``torch/serialization.py`` and ``caffe2/serialize/inline_container.h`` of torch
2.13): below the archive's root stand ``data.pkl``, ``byteorder``, ``data/<key>`` for each
storage, ``version`` and ``.data/serialization_id``. Storages are referred to by the
persistent id ``("storage", class, key, location, numel)``.
"""

from __future__ import annotations

from collections.abc import Generator

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, Problem
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
from inspector_app.checkpoint.torch_rebuild import storage_reference
from inspector_app.checkpoint.zip_directory import STORED, ZipDirectory

_SLICE = 5_000
_SHOWN_OF_A_KIND = 20
_BYTE_ORDER_BYTES = 16
# Small text records that say something about the file.
_METADATA = ("version", ".data/version", ".format_version", ".storage_alignment")


def recognise(directory: ZipDirectory) -> bool:
    """Whether there is a ``data.pkl`` in the archive's root."""
    return _inside(directory, "data.pkl") in directory.records


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
        record = directory.records[self._name]
        machine = self._machine(record)
        yield from machine.run()
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
        return node

    def _machine(self, record: Record) -> PickleMachine:
        directory = self._directory
        if record.method == STORED and not record.flags & 1:
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
        records = self._directory.records
        prefix = self._prefix
        file = self._file
        placed = self.placed
        missing = different = 0
        for number, storage in enumerate(self._table.by_key.values()):
            record = records.get(prefix + storage.key)
            storage.record = record
            storage.file = file
            placed[file, storage.key] = storage
            if record is None:
                missing += 1
                if storage.nbytes and missing <= _SHOWN_OF_A_KIND:
                    name = f"{prefix}{storage.key}"
                    self.problems.append(Problem("missing-record", self._name, {"record": name}))
            elif record.nbytes != storage.nbytes:
                different += 1
                if different <= _SHOWN_OF_A_KIND:
                    self.problems.append(
                        Problem(
                            "storage-size",
                            record.name,
                            {"expected": storage.nbytes, "found": record.nbytes},
                        )
                    )
            if number % _SLICE == 0:
                yield Progress("storages", number, len(self._table.by_key))
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
        raise BrokenFile(
            "broken", source.path, pickle.problems[0].where, reason=pickle.problems[0].message
        )
    checkpoint = Checkpoint(
        source.path, "torch-zip", source.size, root, modified_ns=source.modified_ns
    )
    checkpoint.tensors = pickle.tree.tensors
    checkpoint.globals = global_uses(pickle.globals.values())
    checkpoint.metadata = metadata(directory, pickle)
    checkpoint.problems = [*directory.problems, *pickle.problems]
    checkpoint.problems.extend((yield from _hidden_pickles(directory)))
    checkpoint.storages = pickle.placed
    checkpoint.files = [source.path]
    checkpoint.sections = find_sections(root)
    return checkpoint


def metadata(directory: ZipDirectory, pickle: ZipPickle) -> dict[str, str]:
    """What the archive states about itself, in short text records."""
    stated = {"pickle_protocol": str(pickle.protocol)}
    if pickle.byte_order:
        stated["byteorder"] = pickle.byte_order
    for name in _METADATA:
        record = directory.records.get(_inside(directory, name))
        if record is not None and record.nbytes <= _SLICE:
            text = directory.read(record).decode("utf-8", "replace").strip()
            stated[name.lstrip(".").rpartition("/")[2]] = text
    return stated


def _byte_order(directory: ZipDirectory) -> str:
    record = directory.records.get(_inside(directory, "byteorder"))
    if record is None or record.nbytes > _BYTE_ORDER_BYTES:
        return ""
    text = directory.read(record).decode("ascii", "replace").strip()
    if text not in ("little", "big"):
        directory.problems.append(Problem("bad-byteorder", record.name, {"value": text}))
    return text


def _hidden_pickles(directory: ZipDirectory) -> Generator[Progress, None, list[Problem]]:
    """Pickles under other names than torch reads, such as ``data.PKL``."""
    known = {_inside(directory, "data.pkl"), _inside(directory, "constants.pkl")}
    order = directory.order
    found = []
    for start in range(0, len(order), _SLICE):
        for record in order[start : start + _SLICE]:
            name = record[0]
            if name[-1:] in "lL" and name[-4:].lower() == ".pkl" and name not in known:
                found.append(Problem("hidden-pickle", name))
        yield Progress("names", start, len(order))
    return found


def _inside(directory: ZipDirectory, name: str) -> str:
    return f"{directory.root}/{name}" if directory.root else name
