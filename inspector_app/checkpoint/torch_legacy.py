"""What ``torch.save`` wrote before torch 1.6: a stream of five pickles, then the storages.

The pickles are the magic number, the protocol version, facts about the system, the object
and the sorted storage keys; then follow, for each key, the number of elements as int64
and the raw bytes (``_legacy_save`` and ``_legacy_load`` in ``torch/serialization.py``).
A persistent id has a sixth field: the part of the storage that is meant, or None.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.errors import BrokenFile, Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Checkpoint, CodeText, Kind, Progress, Record, StorageRef
from inspector_app.checkpoint.pickle_globals import global_uses
from inspector_app.checkpoint.pickle_machine import PickleMachine
from inspector_app.checkpoint.pickle_nodes import GlobalRef, PersistentId
from inspector_app.checkpoint.pickle_tree import PickleTree
from inspector_app.checkpoint.sections import find_sections
from inspector_app.checkpoint.storage_table import StorageTable
from inspector_app.checkpoint.torch_rebuild import BadTensorError, pairs_of, storage_reference

MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
PROTOCOL_VERSION = 1001
_PARTS = ("magic number", "protocol version", "system information", "object", "storage keys")
_SLICE = 500


def recognise(source: ByteSource) -> bool:
    """Whether the file begins with the pickled magic number."""
    head = source.read(0, 32)
    return head[:1] == b"\x80" and MAGIC in head[2:]


class LegacyStream:
    """The pickles of one legacy stream, which may begin anywhere in a file."""

    def __init__(self, source: ByteSource, limits: Limits, start: int = 0) -> None:
        self._source = source
        self._limits = limits
        self._position = start
        self._table = StorageTable()
        self._element_bytes: dict[str, int] = {}
        self._views: dict[tuple[str, str], tuple[StorageRef, int]] = {}
        self.globals: list[GlobalRef] = []
        self.problems: list[Problem] = []
        self.metadata: dict[str, str] = {}
        self.code: list[CodeText] = []
        self.big_endian = False
        self.finished = False

    @property
    def storages(self) -> dict[str, StorageRef]:
        return self._table.by_key

    def read(self) -> Generator[Progress, None, PickleTree]:
        """Read the pickles and find the storages; the tree's root is `root` afterwards."""
        values: list[Any] = []
        for part in _PARTS:
            value = yield from self._pickle(part)
            values.append(value)
            if part == "system information" and self.finished:
                self._system(value)
            if not self.finished:
                break
        tree = PickleTree(self._limits, self._resolve, self.big_endian)
        self.root = yield from tree.build(values[3] if len(values) > 3 else None)
        self.problems.extend(tree.problems)
        if self.finished:
            yield from self._storages(values[4])
        self._place_views()
        return tree

    def _pickle(self, part: str) -> Generator[Progress, None, Any]:
        machine = PickleMachine(
            self._source,
            self._position,
            self._source.size,
            self._limits,
            self._table,
            where=f"pickle of the {part}",
        )
        yield from machine.run()
        self._position = machine.end
        self.globals.extend(machine.globals.values())
        self.problems.extend(machine.problems)
        self.code.extend(
            CodeText(name, text=text) for name, text in machine.sources if isinstance(text, str)
        )
        self.finished = machine.finished
        for tensor in machine.recurring:
            if tensor.storage is not None:
                itemsize = DTYPES[tensor.dtype].itemsize
                self._element_bytes.setdefault(tensor.storage.key, itemsize)
        for reference in machine.references:
            # Also what the tree does not show has a place in the file. What is wrong with
            # a reference is said where the tree meets it.
            with suppress(BadTensorError):
                self._resolve(reference)
        if part == "object":
            self.metadata["pickle_protocol"] = str(machine.protocol)
        if part == "protocol version" and machine.finished:
            if machine.value != PROTOCOL_VERSION or type(machine.value) is not int:
                text = str(machine.value) if type(machine.value) is int else "no number"
                self.problems.append(Problem("legacy-protocol", part, {"value": text}))
            else:
                self.metadata["protocol_version"] = str(machine.value)
        return machine.value

    def _system(self, value: Any) -> None:
        facts = dict(pairs_of(value))
        if type(facts.get("little_endian")) is bool:
            self.big_endian = not facts["little_endian"]
            self.metadata["byteorder"] = "big" if self.big_endian else "little"

    def _resolve(self, reference: PersistentId) -> tuple[StorageRef, str]:
        key, dtype, location, nbytes, view = storage_reference(reference.pid)
        itemsize = DTYPES[dtype].itemsize if dtype else 1
        root = self._table.get(key, nbytes, location)
        self._element_bytes.setdefault(key, itemsize)
        if view is None:
            return root, dtype
        if type(view) is not tuple or len(view) != 3:
            raise BadTensorError("the view of a storage is not (key, offset, size)")
        _, offset, size = view
        if type(offset) is not int or type(size) is not int or min(offset, size) < 0:
            raise BadTensorError("the view of a storage has no possible place")
        if (offset + size) * itemsize > root.nbytes:
            raise BadTensorError("the view of a storage reaches beyond it")
        name = f"{key}[{offset}:{offset + size}]"
        known = self._views.get((key, name))
        if known is None:
            part = StorageRef(name, size * itemsize, location)
            known = self._views[key, name] = (part, offset * itemsize)
        return known[0], dtype

    def _storages(self, keys: Any) -> Generator[Progress, None, None]:
        if type(keys) is not list:
            self.problems.append(
                Problem("broken-pickle", _PARTS[4], {"offset": self._position, "reason": "no list"})
            )
            return
        source = self._source
        for number, key in enumerate(keys):
            name = key if isinstance(key, str) else str(key) if type(key) is int else ""
            storage = self._table.by_key.get(name)
            if storage is None:
                # Without a persistent id its element size, and so its end, is unknown.
                self.problems.append(Problem("missing-record", _PARTS[4], {"record": name or "?"}))
                return
            header = source.read(self._position, 8)
            elements = int.from_bytes(header, "little", signed=True)
            nbytes = elements * self._element_bytes.get(name, 1)
            if len(header) < 8 or nbytes < 0 or self._position + 8 + nbytes > source.size:
                reason = f"storage {name} and those after it are cut off"
                self.problems.append(Problem("truncated", f"storage {name}", {"reason": reason}))
                return
            storage.record = Record("", self._position + 8, nbytes, packed_bytes=nbytes)
            if nbytes != storage.nbytes:
                self.problems.append(
                    Problem(
                        "storage-size",
                        f"storage {name}",
                        {"expected": storage.nbytes, "found": nbytes},
                    )
                )
            self._position += 8 + nbytes
            if number % _SLICE == 0:
                yield Progress("storages", number, len(keys))
        missing = [key for key, storage in self._table.by_key.items() if storage.record is None]
        for key in missing[:20]:
            self.problems.append(Problem("missing-record", _PARTS[4], {"record": key}))
        if self._position < source.size:
            left = source.size - self._position
            self.problems.append(Problem("trailing-bytes", "", {"count": left}))

    def _place_views(self) -> None:
        for (key, _), (part, offset) in self._views.items():
            record = self._table.by_key[key].record
            if record is not None and offset + part.nbytes <= record.nbytes:
                part.record = Record(
                    "", record.offset + offset, part.nbytes, packed_bytes=part.nbytes
                )


def read(source: ByteSource, limits: Limits) -> Generator[Progress, None, Checkpoint]:
    """Read the structure of a legacy stream.

    Raises:
        BrokenFile: it ends before its object begins.
    """
    stream = LegacyStream(source, limits)
    tree = yield from stream.read()
    if stream.root.kind == Kind.SCALAR and stream.root.value is None and not stream.finished:
        problem = stream.problems[0]
        raise BrokenFile("broken", source.path, problem.where, reason=problem.message)
    return Checkpoint(
        source.path,
        "torch-legacy",
        source.size,
        stream.root,
        tensors=tree.tensors,
        sections=find_sections(stream.root),
        globals=global_uses(stream.globals),
        problems=stream.problems,
        metadata=stream.metadata,
        code=stream.code,
        storages={("", key): storage for key, storage in stream.storages.items()},
        files=[source.path],
        modified_ns=source.modified_ns,
    )
