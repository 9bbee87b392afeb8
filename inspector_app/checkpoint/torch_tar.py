"""The first format of ``torch.save`` (before 0.1.10): a tar of three pickles.

Layout (``legacy_load`` in ``torch/serialization.py``): ``storages``, ``tensors`` (see
`tar_storages`) and ``pickle``, in which a persistent id is the key of a tensor or a
storage. torch reads such files with ``weights_only=False`` alone.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, Problem
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import (
    Checkpoint,
    CodeText,
    Progress,
    Record,
    StorageRef,
    TensorInfo,
)
from inspector_app.checkpoint.pickle_globals import global_uses
from inspector_app.checkpoint.pickle_machine import PickleMachine
from inspector_app.checkpoint.pickle_nodes import GlobalRef, PersistentId
from inspector_app.checkpoint.pickle_tree import PickleTree
from inspector_app.checkpoint.sections import find_sections
from inspector_app.checkpoint.tar_members import members
from inspector_app.checkpoint.tar_storages import TarStorages, key_text
from inspector_app.checkpoint.torch_rebuild import (
    BadTensorError,
    ResolveStorage,
    TensorRebuilder,
    pairs_of,
    storage_reference,
)

_NAMES = ("sys_info", "pickle", "storages", "tensors")
_LOOKED_AT = 16
_MOST_PROBLEMS = 100


def recognise(source: ByteSource) -> bool:
    """Whether the first members of a tar are those that torch writes."""
    return any(member.name in _NAMES for member in members(source, _LOOKED_AT))


class _TarMachine(PickleMachine):
    """Puts the tensors where the stream refers to them by key."""

    tensors: dict[str, TensorInfo]

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._referred: set[int] = set()

    def _persistent(self, pid: Any, position: int) -> Any:
        if type(pid) is tuple and len(pid) == 3 and type(pid[0]) is GlobalRef:
            # A container's class, its file and its source.
            self.sources.append((pid[0].full_name, pid[2]))
            return pid[0]
        tensor = self.tensors.get(key_text(pid))
        if tensor is None:
            return super()._persistent(pid, position)
        self._referred.add(id(tensor))
        return tensor

    def _as_call(self, tensor: TensorInfo) -> Any:
        # No run of opcodes made it: it stays what it is, whatever an opcode does to it.
        return tensor if id(tensor) in self._referred else super()._as_call(tensor)


class _TarRebuilder(TensorRebuilder):
    """Also takes a storage's description where its id should stand.

    Scripts that write tars do that; torch refuses them.
    """

    def storage(self, value: Any) -> tuple[StorageRef, str]:
        return super().storage(PersistentId(value, 0) if type(value) is tuple else value)


class _TarTree(PickleTree):
    def __init__(self, limits: Limits, resolve: ResolveStorage, big_endian: bool) -> None:
        super().__init__(limits, resolve, big_endian)
        self._rebuilder = _TarRebuilder(resolve, self._note, big_endian)


def read(source: ByteSource, limits: Limits = DEFAULT) -> Generator[Progress, None, Checkpoint]:
    """Read the structure of a legacy tar.

    Raises:
        BrokenFile: there is no ``pickle`` in it.
    """
    problems: list[Problem] = []
    found: dict[str, Record] = {}

    def report(code: str, where: str = "", **details: object) -> None:
        if len(problems) < _MOST_PROBLEMS:
            problems.append(Problem(code, where, details))

    for member in members(source, report=report):
        if member.name in found:
            # The last one counts, as in `tarfile`.
            problems.append(Problem("duplicate-entry", member.name, {"count": 2}))
        if member.nbytes > source.size - member.offset:
            problems.append(Problem("entry-bounds", member.name))
        found[member.name] = member
    for name in _NAMES[1:]:
        if name not in found:
            problems.append(Problem("missing-record", details={"record": name}))
    if "pickle" not in found:
        raise BrokenFile("broken", source.path, reason="the archive has no pickle")
    parts = TarStorages(source, limits)
    if "storages" in found:
        yield from parts.read_storages(found["storages"])
    if "tensors" in found:
        yield from parts.read_tensors(found["tensors"])
    pickle = found["pickle"]
    end = pickle.offset + pickle.nbytes
    machine = _TarMachine(source, pickle.offset, end, limits, where="pickle")
    machine.tensors = parts.tensors
    yield from machine.run()
    big_endian = _is_big_endian(source, found.get("sys_info"), limits)

    def resolve(reference: PersistentId) -> tuple[StorageRef, str]:
        pid = reference.pid
        key = storage_reference(pid)[0] if type(pid) is tuple else key_text(pid)
        if key not in parts.storages:
            raise BadTensorError("its storage is missing")
        return parts.storages[key]

    tree = _TarTree(limits, resolve, big_endian)
    root = yield from tree.build(machine.value)
    checkpoint = Checkpoint(source.path, "torch-tar", source.size, root)
    checkpoint.tensors = tree.tensors
    checkpoint.code = [
        CodeText(name, text=text) for name, text in machine.sources if isinstance(text, str)
    ]
    checkpoint.globals = global_uses([*parts.globals, *machine.globals.values()])
    checkpoint.problems = [*problems, *parts.problems, *machine.problems, *tree.problems]
    checkpoint.storages = {("", key): ref for key, (ref, _) in parts.storages.items()}
    checkpoint.files = [source.path]
    checkpoint.modified_ns = source.modified_ns
    checkpoint.metadata = {
        "pickle_protocol": str(machine.protocol),
        "byteorder": "big" if big_endian else "little",
    }
    checkpoint.sections = find_sections(root)
    return checkpoint


def _is_big_endian(source: ByteSource, member: Record | None, limits: Limits) -> bool:
    """What ``sys_info`` says; torch itself does not look at it."""
    if member is None:
        return False
    end = member.offset + member.nbytes
    machine = PickleMachine(source, member.offset, end, limits, where="sys_info")
    for _ in machine.run():
        pass
    return dict(pairs_of(machine.value)).get("little_endian") is False
