"""The ``storages`` and ``tensors`` members of a legacy tar: pickles between raw bytes.

Source: ``legacy_load`` in ``torch/serialization.py``. ``storages`` is a count, then for
each storage a pickle ``(key, location, storage class)``, the number of elements as int64
and the elements; after them a pickled list of views ``(key, root key, offset, elements)``.
``tensors`` is a count, then for each tensor a pickle ``(key, storage key, class)``, the
number of dimensions as int32 and four bytes of padding, sizes, strides and offset as int64.
"""

from __future__ import annotations

from collections.abc import Generator
from struct import Struct
from typing import Any

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.dtypes import DTYPES, STORAGE_CLASSES
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Progress, Record, StorageRef, TensorInfo
from inspector_app.checkpoint.pickle_machine import PickleMachine
from inspector_app.checkpoint.pickle_nodes import GlobalRef
from inspector_app.checkpoint.tensor_runs import view_bytes

_INT64 = Struct("<q")
_INT32 = Struct("<i4x")
# A pickle between raw bytes is short; the machine would read 64 KiB ahead.
_SHORT = 512
_MOST_DIMENSIONS = 64


class StreamEndError(Exception):
    """The member ends, or goes on with something else than torch would write."""


class TarStorages:
    """Reads the two members and collects what they declare.

    Attributes:
        storages: by key, with their dtype.
        tensors: by key.
        globals: what the pickles name.
        problems: what is wrong with the members.
    """

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self.storages: dict[str, tuple[StorageRef, str]] = {}
        self.tensors: dict[str, TensorInfo] = {}
        self.globals: list[GlobalRef] = []
        self.problems: list[Problem] = []

    def read_storages(self, member: Record) -> Generator[Progress, None, None]:
        stream = _Stream(self, member)
        try:
            count = stream.pickle()
            if type(count) is not int:
                raise StreamEndError("the number of storages is no number")
            for done in range(min(count, self._limits.tensors)):
                self._storage(stream, member)
                yield Progress("storages", done, count)
            views = stream.pickle(_SHORT + 100 * count)
            if type(views) is list:
                for view in views:
                    self._view(view, member)
        except StreamEndError as error:
            self._report(member.name, str(error))

    def read_tensors(self, member: Record) -> Generator[Progress, None, None]:
        stream = _Stream(self, member)
        try:
            count = stream.pickle()
            if type(count) is not int:
                raise StreamEndError("the number of tensors is no number")
            for done in range(min(count, self._limits.tensors)):
                self._tensor(stream, member)
                yield Progress("tensors", done, count)
        except StreamEndError as error:
            self._report(member.name, str(error))

    def _storage(self, stream: _Stream, member: Record) -> None:
        described = stream.pickle()
        if type(described) is not tuple or len(described) != 3:
            raise StreamEndError("a storage is not described as torch would do it")
        key, location, kind = described
        dtype = STORAGE_CLASSES.get(kind.name) if type(kind) is GlobalRef else None
        if dtype is None or not isinstance(location, str):
            raise StreamEndError("a storage's class or location is unknown")
        kind.uses.add("persistent-id")
        (count,) = stream.unpack(_INT64)
        if count < 0:
            raise StreamEndError("a storage has a negative length")
        nbytes = count * DTYPES[dtype].itemsize
        record = Record(member.name, stream.place, nbytes, packed_bytes=nbytes)
        whole = stream.skip(nbytes)
        name = key_text(key)
        storage = StorageRef(name, nbytes, location, record=record if whole else None)
        if name in self.storages:
            self.problems.append(Problem("duplicate-key", name))
        self.storages[name] = storage, dtype
        if not whole:
            raise StreamEndError(f"the bytes of storage {name} reach beyond the end")

    def _view(self, view: Any, member: Record) -> None:
        if type(view) is not tuple or len(view) != 4:
            self._report(member.name, "a storage's view is not described as torch would do it")
            return
        key, root_key, offset, count = view
        found = self.storages.get(key_text(root_key))
        if found is None or type(offset) is not int or type(count) is not int:
            self._report(member.name, "a storage's view refers to no storage")
            return
        root, dtype = found
        itemsize = DTYPES[dtype].itemsize
        start, nbytes = offset * itemsize, count * itemsize
        if offset < 0 or count < 0 or start + nbytes > root.nbytes:
            details = {"needed": start + nbytes, "available": root.nbytes}
            self.problems.append(Problem("view-bounds", member.name, details))
            return
        record = None
        if root.record is not None:
            record = Record(member.name, root.record.offset + start, nbytes, packed_bytes=nbytes)
        storage = StorageRef(key_text(key), nbytes, root.device, record=record)
        self.storages[storage.key] = storage, dtype

    def _tensor(self, stream: _Stream, member: Record) -> None:
        described = stream.pickle()
        if type(described) is not tuple or len(described) != 3:
            raise StreamEndError("a tensor is not described as torch would do it")
        key, storage_key, _ = described
        (dimensions,) = stream.unpack(_INT32)
        if not 0 <= dimensions <= _MOST_DIMENSIONS:
            raise StreamEndError(f"a tensor has {dimensions} dimensions")
        numbers = Struct(f"<{dimensions}q")
        shape, stride = stream.unpack(numbers), stream.unpack(numbers)
        (offset,) = stream.unpack(_INT64)
        found = self.storages.get(key_text(storage_key))
        where = key_text(key)
        if found is None:
            self.problems.append(Problem("bad-tensor", where, {"what": "its storage is missing"}))
            return
        storage, dtype = found
        if min((0, offset, *shape, *stride)) < 0:
            self.problems.append(
                Problem("bad-tensor", where, {"what": "a size, stride or offset is negative"})
            )
            return
        needed = view_bytes(shape, stride, offset, DTYPES[dtype].bits)
        if needed > storage.nbytes:
            details = {"needed": needed, "available": storage.nbytes}
            self.problems.append(Problem("view-bounds", where, details))
        self.tensors[where] = TensorInfo("", dtype, shape, stride, storage, offset, storage.device)

    def _report(self, where: str, reason: str) -> None:
        self.problems.append(Problem("broken-record", where, {"reason": reason}))

    def run(self, machine: PickleMachine, where: str) -> Any:
        """The value of a short pickle.

        Raises:
            StreamEndError: it breaks.
        """
        for _ in machine.run():
            pass
        self.globals.extend(machine.globals.values())
        if not machine.finished:
            raise StreamEndError(f"a pickle breaks at byte {machine.end}")
        return machine.value


class _Stream:
    """A position in a member."""

    def __init__(self, owner: TarStorages, member: Record) -> None:
        self._owner = owner
        self._source = owner._source
        self.place = member.offset
        self._end = min(member.offset + member.nbytes, self._source.size)

    def pickle(self, at_most: int = _SHORT) -> Any:
        end = min(self.place + at_most, self._end)
        machine = PickleMachine(self._source, self.place, end, self._owner._limits)
        value = self._owner.run(machine, "")
        self.place = machine.end
        return value

    def unpack(self, form: Struct) -> tuple[int, ...]:
        data = self._source.read(self.place, min(form.size, self._end - self.place))
        if len(data) < form.size:
            raise StreamEndError("it ends too early")
        self.place += form.size
        return form.unpack(data)

    def skip(self, count: int) -> bool:
        """Go on behind `count` bytes; False if there are fewer."""
        self.place += count
        return self.place <= self._end


def key_text(key: Any) -> str:
    """A key of the legacy format: an integer, or the same as text."""
    return str(key) if type(key) is int else key if isinstance(key, str) else ""
