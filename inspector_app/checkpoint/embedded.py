"""Pickles inside the entries of an archive: what they hold becomes part of its tree."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from inspector_app.checkpoint import zip_directory
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import CheckpointError, Problem
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import (
    Checkpoint,
    Node,
    PathElement,
    Progress,
    Record,
    StorageRef,
)
from inspector_app.checkpoint.pickle_machine import PickleMachine
from inspector_app.checkpoint.pickle_nodes import GlobalRef, PersistentId
from inspector_app.checkpoint.pickle_tree import PickleTree
from inspector_app.checkpoint.record_source import MemorySource, RecordSource
from inspector_app.checkpoint.torch_rebuild import BadTensorError
from inspector_app.checkpoint.torch_zip import ZipPickle
from inspector_app.checkpoint.zip_directory import STORED, ZipDirectory


class Embedded:
    """Reads entries that are torch zips or raw pickles.

    Args:
        directory: the archive.
        checkpoint: is given the tensors, storages and problems that are found.

    Attributes:
        globals: what the pickles name.
    """

    def __init__(self, directory: ZipDirectory, limits: Limits, checkpoint: Checkpoint) -> None:
        self._directory = directory
        self._limits = limits
        self._checkpoint = checkpoint
        self.globals: list[GlobalRef] = []

    def read(
        self, record: Record, key: PathElement, parent: Node
    ) -> Generator[Progress, None, Node | None]:
        """The tree of an entry; None, and a problem, if it cannot be read at all."""
        try:
            source = self._source(record)
            if zip_directory.recognise(source):
                return (yield from self._zip(source, record, key, parent))
            return (yield from self._pickle(source, record, key, parent))
        except CheckpointError as error:
            self._checkpoint.problems.append(Problem(error.code, record.name, error.details))
            return None

    def _source(self, record: Record) -> ByteSource:
        directory = self._directory
        if record.method == STORED and not record.flags & zip_directory.ENCRYPTED:
            return RecordSource(directory.source, directory.data_offset(record), record.nbytes)
        return MemorySource(directory.source, directory.read(record))

    def _zip(
        self, source: ByteSource, record: Record, key: PathElement, parent: Node
    ) -> Generator[Progress, None, Node]:
        # Its headers lie close together, and nobody comes back for them.
        limits = self._limits._replace(checked_headers=DEFAULT.checked_headers)
        inner = yield from zip_directory.reading(source, limits)
        prefix = f"{inner.root}/" if inner.root else ""
        if f"{prefix}data.pkl" not in inner.records:
            raise CheckpointError("broken", reason="it is an archive without data.pkl")
        pickle = ZipPickle(inner, f"{prefix}data.pkl", f"{prefix}data/")
        node = yield from pickle.read(key, parent)
        self.globals.extend(pickle.globals.values())
        self._take(pickle.tree, [*inner.problems, *pickle.problems], record)
        self._take_storages(pickle.placed.values(), source, record)
        return node

    def _pickle(
        self, source: ByteSource, record: Record, key: PathElement, parent: Node
    ) -> Generator[Progress, None, Node]:
        machine = PickleMachine(source, 0, source.size, self._limits, where=record.name)
        yield from machine.run()
        tree = PickleTree(self._limits, _no_storage)
        node = yield from tree.build(machine.value, key, parent)
        self.globals.extend(machine.globals.values())
        self._take(tree, [*machine.problems, *tree.problems], record)
        return node

    def _take(self, tree: PickleTree, problems: list[Problem], record: Record) -> None:
        self._checkpoint.tensors.extend(tree.tensors)
        for problem in problems:
            where = f"{record.name}: {problem.where}" if problem.where else record.name
            self._checkpoint.problems.append(Problem(problem.code, where, problem.details))

    def _take_storages(
        self, storages: Iterable[StorageRef], source: ByteSource, record: Record
    ) -> None:
        """Their keys and places are the inner archive's: make them the file's."""
        for storage in storages:
            storage.key = f"{record.name}:{storage.key}"
            if storage.record is not None:
                storage.record = _in_file(storage.record, source)
            self._checkpoint.storages["", storage.key] = storage


def _in_file(record: Record, source: ByteSource) -> Record | None:
    if not isinstance(source, RecordSource):
        return None
    return record._replace(
        offset=record.offset + source.base if record.offset >= 0 else -1,
        header_offset=record.header_offset + source.base,
    )


def _no_storage(reference: PersistentId) -> tuple[StorageRef, str]:
    raise BadTensorError("a plain pickle has no storages")
