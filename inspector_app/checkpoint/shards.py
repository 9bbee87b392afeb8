"""Checkpoints in several files, with an index that says which file has which tensor.

Source: Hugging Face's ``model.safetensors.index.json`` and ``pytorch_model.bin.index.json``
(https://huggingface.co/docs/transformers/big_models, "Sharded checkpoints"): a JSON object
with ``weight_map``, from key to the name of a file in the same folder, and ``metadata``.

The shards make one tree: sorted by name, as transformers loads them, each with its tensors
in its own order. What the shards' containers state and ``metadata`` of the index become one
``__metadata__``, last. A shard that is missing or broken is a `Problem`, and so is a key
that is promised and absent, or present and not listed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Mapping

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import (
    BrokenFile,
    CheckpointError,
    LimitExceeded,
    Problem,
    UnreadableFile,
)
from inspector_app.checkpoint.json_document import parse
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import (
    Checkpoint,
    GlobalUse,
    Kind,
    Node,
    Progress,
    Section,
    StorageRef,
    TensorInfo,
)
from inspector_app.checkpoint.named_files import OutsideFolderError, file_in
from inspector_app.checkpoint.safetensors import metadata_node
from inspector_app.checkpoint.safetensors_header import METADATA

# Reads one file with the reader that it is for: `recognise.reader_of`, which knows this one.
ReadFile = Callable[[str, Limits], Generator[Progress, None, Checkpoint]]

_ENDING = ".index.json"
_SAFETENSORS_ENDING = ".safetensors.index.json"
_RECOGNISED_WITHIN = 1 << 16
_READ_BYTES = 1 << 20
_MOST_PROBLEMS = 1_000
# The largest models that are published have hundreds.
_MOST_SHARDS = 10_000
_STEP = 1_000


def find_index(folder: str) -> str | None:
    """The shard index in `folder`: of several one for safetensors, then the shortest name.

    Raises:
        UnreadableFile: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name for entry in entries if entry.name.endswith(_ENDING) and entry.is_file()
            ]
    except PermissionError:
        raise UnreadableFile("permission", folder) from None
    except OSError as error:
        raise UnreadableFile("os-error", folder, reason=str(error.strerror)) from None
    if not names:
        return None
    names.sort(key=lambda name: (not name.endswith(_SAFETENSORS_ENDING), len(name), name))
    return os.path.join(folder, names[0])


def recognise(source: ByteSource) -> bool:
    """Whether `source` is a JSON object with a ``weight_map``."""
    if not source.read(0, 64).lstrip(b" \t\r\n").startswith(b"{"):
        return False
    if b'"weight_map"' in source.read(0, 4096):
        return True
    # Some other JSON has it late or not at all; what follows it is only names.
    return b'"weight_map"' in source.read(0, _RECOGNISED_WITHIN)


def read(
    source: ByteSource, limits: Limits, read_file: ReadFile
) -> Generator[Progress, None, Checkpoint]:
    """The checkpoint whose index is `source`; `read_file` reads each shard.

    Raises:
        BrokenFile: the index cannot be read.
        LimitExceeded: it is longer than `limits.json_bytes`.
        UnreadableFile: the operating system reports an error.
    """
    twice: list[str] = []
    index = yield from _index(source, limits, twice)
    merging = _Merging(source, limits, read_file)
    for key in twice:
        merging.report("duplicate-key", key)
    yield from merging.list_shards(index)
    for number, name in enumerate(sorted(merging.promised)):
        yield from merging.shard(number, name)
    return (yield from merging.checkpoint(index))


def _index(
    source: ByteSource, limits: Limits, twice: list[str]
) -> Generator[Progress, None, dict[str, object]]:
    if source.size > limits.json_bytes:
        raise LimitExceeded("limit", source.path, what="the index", limit=limits.json_bytes)
    parts = []
    for offset in range(0, source.size, _READ_BYTES):
        parts.append(source.read(offset, _READ_BYTES))
        yield Progress("index", offset, source.size)
    try:
        index, problem = parse(b"".join(parts), "", limits, twice)
    except LimitExceeded as error:
        error.path = source.path
        raise
    if problem is not None:
        raise BrokenFile(problem.code, source.path, reason=problem.details["reason"])
    if not isinstance(index, dict) or not isinstance(index.get("weight_map"), dict):
        reason = "the index has no weight_map from keys to files"
        raise BrokenFile("broken", source.path, reason=reason)
    return index


class _Merging:
    def __init__(self, source: ByteSource, limits: Limits, read_file: ReadFile) -> None:
        self.source = source
        self.read_file = read_file
        self.limits = limits
        self.folder = os.path.dirname(source.path)
        self.promised: dict[str, set[str]] = {}
        self.weight_map: dict[str, object] = {}
        self.cut = False
        self.targets: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.root = Node("", Kind.MAPPING, "dict")
        self.nodes: dict[str | int, Node] = {}
        self.shards: list[Checkpoint] = []
        self.metadata: dict[str, str] = {}
        self.storages: dict[tuple[str, str], StorageRef] = {}

    def list_shards(self, index: Mapping[str, object]) -> Generator[Progress, None, None]:
        weight_map = index["weight_map"]
        if not isinstance(weight_map, dict):
            return
        self.weight_map = weight_map
        for number, (key, name) in enumerate(weight_map.items()):
            if isinstance(name, str):
                if name not in self.promised and len(self.promised) >= _MOST_SHARDS:
                    if not self.cut:
                        self.report("tree-limit", "weight_map", limit=_MOST_SHARDS)
                    self.cut = True
                    continue
                self.promised.setdefault(name, set()).add(key)
            else:
                self.report("bad-tensor", key, what="the index names no file for it")
            if number % _STEP == 0:
                yield Progress("index", number, len(weight_map))

    def shard(self, number: int, name: str) -> Generator[Progress, None, None]:
        try:
            path = file_in(self.folder, name)
        except OutsideFolderError:
            self.report("shard-outside", "", shard=name)
            return
        target = os.path.realpath(path)
        known = self.targets.setdefault(target, name)
        if known != name:
            self.report("broken-shard", "", shard=name, reason=f"it is {known} once more")
            return
        try:
            checkpoint = yield from self.read_shard(path, number)
        except CheckpointError as error:
            if error.code == "not-found":
                self.report("missing-shard", "", shard=name)
            else:
                self.report("broken-shard", "", shard=name, reason=error.message)
            return
        self.shards.append(checkpoint)
        for problem in checkpoint.problems:
            where = f"{name}: {problem.where}" if problem.where else name
            self.add_problem(Problem(problem.code, where, problem.details))
        yield from self.merge(checkpoint, name, path)

    def read_shard(self, path: str, number: int) -> Generator[Progress, None, Checkpoint]:
        with ByteSource(path) as source:
            if recognise(source):
                raise BrokenFile("broken", path, reason="it is a shard index itself")
        stage = f"shard {number + 1} of {len(self.promised)}"
        steps = self.read_file(path, self.limits)
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                checkpoint: Checkpoint = end.value
                return checkpoint
            yield Progress(stage, progress.done, progress.total)

    def merge(self, shard: Checkpoint, name: str, path: str) -> Generator[Progress, None, None]:
        """Put the shard's nodes under the common root."""
        promised = self.promised[name]
        children = shard.root.children
        present: set[str | int] = set()
        for (file, storage_key), storage in shard.storages.items():
            storage.file = file or path
            self.storages[storage.file, storage_key] = storage
        for number, node in enumerate(children):
            key = node.key
            present.add(key)
            if key == METADATA and node.kind == Kind.MAPPING:
                continue
            listed = key in promised
            if not listed and isinstance(node, TensorInfo):
                self.report("unlisted-key", str(key), shard=name, key=str(key))
            if key in self.nodes and not listed:
                # Another shard's, which the index lists or which was first.
                if isinstance(node, TensorInfo):
                    self.report("duplicate-key", str(key))
            else:
                self.nodes[key] = node
                node.parent = self.root
            if number % _STEP == 0:
                yield Progress("merging", number, len(children))
        for absent in sorted(promised - present):
            self.report("missing-key", absent, key=absent, shard=name)
        for fact, text in shard.metadata.items():
            self.metadata.setdefault(fact, text)

    def checkpoint(self, index: Mapping[str, object]) -> Generator[Progress, None, Checkpoint]:
        formats = sorted({shard.format for shard in self.shards})
        if len(formats) > 1:
            self.report("bad-header", reason=f"the shards are of {' and '.join(formats)} format")
        metadata = {**self.metadata, **_facts(index)}
        children = list(self.nodes.values())
        if metadata:
            children.append(metadata_node(metadata, self.root))
        self.root.children = children
        tensors: list[TensorInfo] = []
        for shard in self.shards:
            for number, tensor in enumerate(shard.tensors):
                below = _below_root(tensor, self.root)
                if self.nodes.get(below.key) is below:
                    tensors.append(tensor)
                if number % _STEP == 0:
                    yield Progress("merging", number, len(shard.tensors))
        checkpoint = Checkpoint(
            path=self.source.path,
            format=self.shards[0].format if self.shards else self.promised_format(),
            file_bytes=self.source.size + sum(shard.file_bytes for shard in self.shards),
            root=self.root,
            tensors=tensors,
            sections=self.sections(),
            globals=self.globals(),
            problems=self.problems,
            metadata=metadata,
            code=[code for shard in self.shards for code in shard.code],
            storages=self.storages,
            files=[self.source.path, *(file for shard in self.shards for file in shard.files)],
            modified_ns=self.source.modified_ns,
        )
        for shard in self.shards:
            checkpoint.stamps |= shard.stamps
        return checkpoint

    def promised_format(self) -> str:
        """What the shards would be, told by their names, where none can be read."""
        safetensors = any(name.endswith(".safetensors") for name in self.promised)
        return "safetensors" if safetensors else "torch-zip"

    def sections(self) -> list[Section]:
        found: dict[tuple[tuple[str | int, ...], str], Section] = {}
        for shard in self.shards:
            for section in shard.sections:
                found.setdefault((section.path, section.kind), section)
        return list(found.values())

    def globals(self) -> list[GlobalUse]:
        uses: dict[str, GlobalUse] = {}
        for shard in self.shards:
            for use in shard.globals:
                known = uses.get(use.name)
                ways = {*use.use, *(known.use if known else ())}
                if len(ways) > 1:
                    ways.discard("named")
                uses[use.name] = GlobalUse(use.name, tuple(sorted(ways)), use.allowed)
        return [uses[name] for name in sorted(uses)]

    def report(self, code: str, where: str = "", **details: object) -> None:
        self.add_problem(Problem(code, where, details))

    def add_problem(self, problem: Problem) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)
        elif len(self.problems) == _MOST_PROBLEMS:
            self.problems.append(Problem("more-problems", "", {"limit": _MOST_PROBLEMS}))


def _below_root(tensor: TensorInfo, root: Node) -> Node:
    """The child of `root` that `tensor` is or lies in; `tensor`'s own root if in neither."""
    node: Node = tensor
    while node.parent is not None and node.parent is not root:
        node = node.parent
    return node


def _facts(index: Mapping[str, object]) -> dict[str, str]:
    metadata = index.get("metadata")
    if not isinstance(metadata, dict):
        return {}
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
        if isinstance(value, str | int | float | bool)
    }
