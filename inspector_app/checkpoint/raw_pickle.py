"""A bare pickle, such as ``pickle.dump`` writes it."""

from __future__ import annotations

from collections.abc import Generator

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Checkpoint, CodeText, Kind, Progress, StorageRef
from inspector_app.checkpoint.pickle_globals import global_uses
from inspector_app.checkpoint.pickle_machine import HIGHEST_PROTOCOL, PickleMachine
from inspector_app.checkpoint.pickle_nodes import PersistentId
from inspector_app.checkpoint.pickle_tree import PickleTree
from inspector_app.checkpoint.sections import find_sections
from inspector_app.checkpoint.storage_table import StorageTable
from inspector_app.checkpoint.torch_rebuild import storage_reference

# What a pickle without PROTO (protocols 0 and 1) can begin with and be worth showing.
_FIRST_OPCODES = b"(]}c)"
# With these, too, if it goes on to call something: a number, a text, a constant.
_OTHER_OPCODES = frozenset(b"NIJKMLFGVSUTX\x88\x89\x8c\x8d\x8f\x95")
_CALLED = frozenset({"call", "newobj", "build"})
_TRIED_BYTES = 1 << 20


def recognise(source: ByteSource, limits: Limits) -> bool:
    """Whether the file begins like a pickle.

    Protocol 2 and later say so; an older one must be a whole, small stream to STOP, since
    any text could begin with one of its opcodes, or call a function: that would have run by
    the time an unpickler finds the stream broken.
    """
    head = source.read(0, 2)
    if head[:1] == b"\x80":
        return len(head) == 2 and head[1] <= HIGHEST_PROTOCOL
    if not head or (head[0] not in _FIRST_OPCODES and head[0] not in _OTHER_OPCODES):
        return False
    machine = PickleMachine(source, 0, min(source.size, _TRIED_BYTES), limits)
    for _ in machine.run():
        pass
    if machine.finished and head[0] in _FIRST_OPCODES:
        return True
    return any(
        not _CALLED.isdisjoint(found.uses) and found.full_name.isprintable()
        for found in machine.globals.values()
    )


def read(source: ByteSource, limits: Limits) -> Generator[Progress, None, Checkpoint]:
    """Read the structure of a pickle.

    Raises:
        BrokenFile: it breaks before anything was understood.
    """
    table = StorageTable()

    def resolve(reference: PersistentId) -> tuple[StorageRef, str]:
        key, dtype, location, nbytes, _ = storage_reference(reference.pid)
        return table.get(key, nbytes, location), dtype

    machine = PickleMachine(source, 0, source.size, limits, table)
    yield from machine.run()
    problems = machine.problems
    if machine.value is None and not machine.finished:
        problem = problems[0]
        raise BrokenFile("broken", source.path, reason=problem.message)
    tree = PickleTree(limits, resolve)
    root = yield from tree.build(machine.value)
    problems.extend(tree.problems)
    left = source.size - machine.end
    if machine.finished and left:
        problems.append(Problem("several-pickles", "", {"count": left}))
    if root.kind == Kind.SCALAR:
        # So that a lone number or text has a row in the tree.
        root.key = "value"
    return Checkpoint(
        source.path,
        "pickle",
        source.size,
        root,
        tensors=tree.tensors,
        sections=find_sections(root),
        globals=global_uses(machine.globals.values()),
        problems=problems,
        metadata={"pickle_protocol": str(machine.protocol)},
        code=[CodeText(name, text=text) for name, text in machine.sources if isinstance(text, str)],
        storages={("", key): storage for key, storage in table.by_key.items()},
        files=[source.path],
        modified_ns=source.modified_ns,
    )
