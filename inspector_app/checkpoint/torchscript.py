"""TorchScript archives: ``torch.jit.save``, also for mobile (``.ptl``).

Layout (``torch/csrc/jit/serialization/export_module.cpp`` of torch 2.13): below the
archive's root stand ``data.pkl`` with the module and its storages in ``data/<key>``,
``constants.pkl`` (a tuple of tensors that the code refers to) with ``constants/<key>``,
``code/**.py`` with ``.debug_pkl`` beside each, ``extra/…``, and for mobile
``bytecode.pkl``. The code is listed, not read.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, CheckpointError
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import (
    Checkpoint,
    CodeText,
    Kind,
    Progress,
    Record,
    StorageRef,
)
from inspector_app.checkpoint.pickle_globals import global_uses
from inspector_app.checkpoint.pickle_machine import PickleMachine
from inspector_app.checkpoint.pickle_nodes import GlobalRef
from inspector_app.checkpoint.script_tree import ScriptTree, is_builtin
from inspector_app.checkpoint.sections import find_sections
from inspector_app.checkpoint.torch_zip import ZipPickle, hidden_pickles, metadata
from inspector_app.checkpoint.zip_directory import ZipDirectory

# What the mobile format and older ones have besides; the lists of `export_module.cpp`.
_PICKLES = (
    "data.pkl",
    "constants.pkl",
    "bytecode.pkl",
    "attributes.pkl",
    "metadata.pkl",
    "mobile_debug_handles.pkl",
)
_MOST_TEXT = 4096
_VERSION_BYTES = 16


def recognise(directory: ZipDirectory) -> bool:
    """Whether the archive's root has the two pickles of TorchScript."""
    root = directory.root
    names = (f"{root}/data.pkl", f"{root}/constants.pkl")
    return all(directory.get(name) is not None for name in names)


class _ScriptPickle(ZipPickle):
    def __init__(self, directory: ZipDirectory, name: str, storages: str) -> None:
        super().__init__(directory, name, storages)
        self.tree = ScriptTree(directory.limits, self._resolve, self.byte_order == "big")


def read(
    source: ByteSource, directory: ZipDirectory, limits: Limits = DEFAULT
) -> Generator[Progress, None, Checkpoint]:
    """Read the structure of a TorchScript archive.

    The root is the module; its tensors have the keys that ``torch.jit.load(…).state_dict()``
    gives them, whatever other attributes hold tensors is listed with them. Tensors that the
    code refers to stand below ``constants``.

    Raises:
        BrokenFile: ``data.pkl`` cannot be read.
    """
    prefix = f"{directory.root}/"
    main = _ScriptPickle(directory, f"{prefix}data.pkl", f"{prefix}data/")
    root = yield from main.read()
    if root.kind == Kind.SCALAR and root.value is None and main.problems:
        first = main.problems[0]
        raise BrokenFile("broken", source.path, first.where, reason=first.message)
    checkpoint = Checkpoint(source.path, "torchscript", source.size, root)
    checkpoint.modified_ns = source.modified_ns
    checkpoint.files = [source.path]
    checkpoint.tensors = main.tree.tensors
    checkpoint.problems = list(main.problems)
    _take_storages(checkpoint, main.placed.values(), "data")
    named = [*main.globals.values()]
    named += yield from _read_constants(checkpoint, directory, f"{prefix}constants")
    checkpoint.globals = global_uses(each for each in named if not is_builtin(each))
    checkpoint.code = [
        CodeText(record.name[len(prefix) :], record)
        for record in directory.order
        if record.name.startswith(f"{prefix}code/") and record.name.endswith(".py")
    ]
    stated = metadata(directory, main)
    bytecode = directory.get(f"{prefix}bytecode.pkl")
    if bytecode is not None:
        stated["bytecode_version"] = _bytecode_version(directory, bytecode, limits)
    stated |= dict(_extra_files(directory, f"{prefix}extra/"))
    checkpoint.metadata = stated
    checkpoint.sections = find_sections(root)
    known = {f"{prefix}{name}" for name in _PICKLES}
    checkpoint.problems += yield from hidden_pickles(directory, known | main.used)
    # Reading the parts may have added to them.
    checkpoint.problems[:0] = directory.problems
    return checkpoint


def _read_constants(
    checkpoint: Checkpoint, directory: ZipDirectory, name: str
) -> Generator[Progress, None, list[GlobalRef]]:
    """Hang the constants below the root, if there are any; returns what they name."""
    constants = _ScriptPickle(directory, f"{name}.pkl", f"{name}/")
    root = checkpoint.root
    try:
        node = yield from constants.read("constants", root)
    except BrokenFile as error:
        directory.report(error.code, f"{name}.pkl", **error.details)
        return []
    checkpoint.problems.extend(constants.problems)
    if node.children:
        root.children = [*root.children, node]
        checkpoint.tensors.extend(constants.tree.tensors)
        _take_storages(checkpoint, constants.placed.values(), "constants")
    return list(constants.globals.values())


def _take_storages(checkpoint: Checkpoint, storages: Iterable[StorageRef], folder: str) -> None:
    """Enter the storages; both folders number theirs from 0, so the folder is in the key."""
    for storage in storages:
        if folder != "data":
            storage.key = f"{folder}/{storage.key}"
        checkpoint.storages["", storage.key] = storage


def _bytecode_version(directory: ZipDirectory, record: Record, limits: Limits) -> str:
    """The number that ``bytecode.pkl`` begins with: ``(version, function, …)``."""
    try:
        start = directory.data_offset(record)
    except BrokenFile as error:
        directory.report(error.code, record.name, **error.details)
        return "?"
    machine = PickleMachine(directory.source, start, start + _VERSION_BYTES, limits)
    for _ in machine.run():
        pass
    version = machine.value[0] if type(machine.value) in (tuple, list) else machine.value
    return str(version) if type(version) is int else "?"


def _extra_files(directory: ZipDirectory, prefix: str) -> Iterator[tuple[str, str]]:
    for record in directory.order:
        if record.name.startswith(prefix):
            text = f"{record.nbytes} bytes"
            if record.nbytes <= _MOST_TEXT:
                try:
                    text = directory.read(record).decode()
                except (CheckpointError, UnicodeDecodeError):
                    text = f"{record.nbytes} bytes that are no text"
            yield f"extra/{record.name[len(prefix) :]}", text
