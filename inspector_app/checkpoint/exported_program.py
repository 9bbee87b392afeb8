"""``torch.export`` archives (``.pt2``): JSON, raw tensor bytes, and pickles in between.

Layouts, as ``torch/export/pt2_archive/_package.py`` of torch 2.13 reads and writes them:

- ``archive_format`` (``pt2``), ``models/NAME.json``, ``data/weights/NAME_weights_config.json``
  with the bytes of each storage in ``data/weights/weight_N``, the same for
  ``data/constants``, ``data/sample_inputs/NAME.pt``, ``extra/…``, and compiled models below
  ``data/aotinductor``;
- before the JSON of weights (torch 2.8): ``data/weights/NAME.pt``, ``data/constants/NAME.pt``;
- before the archive (torch 2.1 to 2.7): ``serialized_exported_program.json`` with
  ``serialized_state_dict.pt``, ``serialized_constants.pt``, ``serialized_example_inputs.pt``.

The pickles (``.pt``, tensor subclasses, opaque objects) go through the inert machine.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from inspector_app.checkpoint import export_metadata, json_document
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.embedded import Embedded
from inspector_app.checkpoint.errors import BrokenFile, CheckpointError, Problem
from inspector_app.checkpoint.export_metadata import TensorMeta
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import (
    Checkpoint,
    CodeText,
    Kind,
    Node,
    Progress,
    Record,
    StorageRef,
    TensorDetails,
    TensorInfo,
)
from inspector_app.checkpoint.pickle_globals import global_uses
from inspector_app.checkpoint.sections import find_sections
from inspector_app.checkpoint.tensor_runs import view_bytes
from inspector_app.checkpoint.torch_zip import hidden_pickles
from inspector_app.checkpoint.zip_directory import ZipDirectory

_OLD_PROGRAM = "serialized_exported_program.json"
_OLD_VERSION = "version"
_FORMAT = "archive_format"
_MODELS = "models/"
_WEIGHTS = "data/weights/"
_CONSTANTS = "data/constants/"
_SAMPLE_INPUTS = "data/sample_inputs/"
_EXTRA = "extra/"
_FACTS = (_FORMAT, "archive_version", "byteorder", ".data/version", "version")
_MOST_TEXT = 4096
_STEP = 500
_CODE_ENDINGS = (".cpp", ".py", ".h", ".cu")


def recognise(directory: ZipDirectory) -> bool:
    """Whether the archive has the marks of torch.export."""
    if _OLD_PROGRAM in directory.records:
        return True
    record = directory.get(f"{directory.root}/{_FORMAT}")
    try:
        return record is not None and directory.read(record, _MOST_TEXT).strip() == b"pt2"
    except CheckpointError as error:
        directory.report(error.code, error.where, **error.details)
        return False


def read(
    source: ByteSource, directory: ZipDirectory, limits: Limits = DEFAULT
) -> Generator[Progress, None, Checkpoint]:
    """Read the programs of the archive.

    The tensors of the one program have their state_dict keys as path; those of several
    programs lie below the program's name. Below ``constants`` are the tensors that are no
    part of the state_dict, below ``sample_inputs`` what the program was exported with, and
    ``graph`` says what it takes, gives and computes.
    """
    reader = _Reader(source, directory, limits)
    return (yield from reader.read())


class _Reader:
    def __init__(self, source: ByteSource, directory: ZipDirectory, limits: Limits) -> None:
        self.source = source
        self.directory = directory
        self.limits = limits
        old = _OLD_PROGRAM in directory.records
        self.prefix = "" if old else f"{directory.root}/"
        self.checkpoint = Checkpoint(
            source.path,
            "torch-export",
            source.size,
            Node("", Kind.MAPPING, "dict"),
            problems=directory.problems,
            metadata={},
            files=[source.path],
            modified_ns=source.modified_ns,
        )
        self.metadata: dict[str, str] = {}
        # Pickles that are read, whatever they are called.
        self.known: set[str] = set()
        self.embedded = Embedded(directory, limits, self.checkpoint)
        if old:
            # The old archive has no root that entries could lie outside of.
            directory.problems[:] = [
                problem
                for problem in directory.problems
                if problem.code not in ("outside-root", "no-root")
            ]

    def read(self) -> Generator[Progress, None, Checkpoint]:
        names = self.program_names()
        yield Progress("programs", 0, len(names))
        root = self.checkpoint.root
        if list(names) in (["model"], [""]):
            yield from self.read_program(root, *names.popitem())
        else:
            programs = []
            for name, record in names.items():
                node = Node(name, Kind.MAPPING, "dict", parent=root)
                programs.append(node)
                yield from self.read_program(node, name, record)
            root.children = programs
        if not root.children and not self.read_compiled():
            raise BrokenFile("broken", self.source.path, reason="the archive has no program")
        self.read_facts()
        self.checkpoint.problems += yield from hidden_pickles(self.directory, self.known)
        self.checkpoint.metadata = self.metadata
        self.checkpoint.globals = global_uses(self.embedded.globals)
        self.checkpoint.sections = find_sections(self.checkpoint.root)
        return self.checkpoint

    def program_names(self) -> dict[str, Record]:
        """Each program's JSON, by name; the old format's has none."""
        old = self.directory.get(_OLD_PROGRAM)
        if old is not None:
            return {"": old}
        start = f"{self.prefix}{_MODELS}"
        return {
            name[len(start) : -len(".json")]: record
            for name, record in self.directory.records.items()
            if name.startswith(start) and name.endswith(".json")
        }

    def read_program(
        self, node: Node, name: str, record: Record
    ) -> Generator[Progress, None, None]:
        node.kind = Kind.MODULE
        node.type_name = "torch.export.ExportedProgram"
        document = self.json(record)
        children: list[Node] = []
        if name:
            children += yield from self.read_payloads(node, name, _WEIGHTS, "weights", "weight")
            constants = yield from self.read_payloads(
                node, name, _CONSTANTS, "constants", "constant"
            )
            inputs = self.directory.get(f"{self.prefix}{_SAMPLE_INPUTS}{name}.pt")
        else:
            children += yield from self.read_pickled(node, "serialized_state_dict.pt")
            constants = yield from self.read_pickled(node, "serialized_constants.pt")
            inputs = self.directory.get("serialized_example_inputs.pt")
        self.check_keys(document, children)
        if constants:
            children.append(_below("constants", constants, node))
        if inputs is not None:
            child = yield from self.embedded.read(inputs, "sample_inputs", node)
            if child is not None:
                children.append(child)
        if document is not None:
            children.append(export_metadata.graph_node(document, node))
            label = f"{name}/" if name not in ("", "model") else ""
            self.metadata |= {f"{label}{k}": v for k, v in export_metadata.facts(document)}
        node.children = children

    def check_keys(self, document: Any, children: list[Node]) -> None:
        """The graph refers to tensors by name: each has to be there."""
        found = {child.key for child in children}
        for name in export_metadata.state_names(document):
            if name not in found:
                self.report("missing-record", name, record=f"of the tensor {name}")

    def read_payloads(
        self, node: Node, program: str, folder: str, plural: str, singular: str
    ) -> Generator[Progress, None, list[Node]]:
        """The tensors that a config describes, or those of the pickle in its place."""
        pickled = f"{folder}{program}.pt"
        if f"{self.prefix}{pickled}" in self.directory.records:
            return (yield from self.read_pickled(node, pickled))
        record = self.directory.get(f"{self.prefix}{folder}{program}_{plural}_config.json")
        if record is None:
            self.report("missing-record", program, record=f"{folder}{program}_{plural}_config.json")
            return []
        payloads = json_document.mapping(self.json(record), "config")
        children: list[Node] = []
        for count, (key, payload) in enumerate(payloads.items()):
            if count % _STEP == 0:
                yield Progress("tensors", count, len(payloads))
            child = yield from self.read_payload(node, key, folder, payload)
            if child is not None:
                children.append(child)
        return children

    def read_payload(
        self, node: Node, key: str, folder: str, payload: Any
    ) -> Generator[Progress, None, Node | None]:
        path = json_document.text(payload, "path_name")
        record = self.directory.get(f"{self.prefix}{folder}{path}")
        if json_document.mapping(payload).get("use_pickle") is True:
            if record is None:
                self.report("missing-record", key, record=f"{folder}{path}")
                return None
            self.known.add(record.name)
            return (yield from self.embedded.read(record, key, node))
        meta = export_metadata.tensor_meta(json_document.mapping(payload).get("tensor_meta"))
        if isinstance(meta, str):
            self.report("bad-tensor", key, what=meta)
            return None
        parameter = json_document.mapping(payload).get("is_param") is True
        return self.tensor(node, key, f"{folder}{path}", record, meta, parameter)

    def tensor(
        self,
        node: Node,
        key: str,
        storage_key: str,
        record: Record | None,
        meta: TensorMeta,
        parameter: bool,
    ) -> TensorInfo:
        storages = self.checkpoint.storages
        needed = view_bytes(meta.shape, meta.stride, meta.storage_offset, DTYPES[meta.dtype].bits)
        storage = storages.get(("", storage_key))
        if storage is None:
            nbytes = needed if record is None else record.nbytes
            storage = StorageRef(storage_key, nbytes, meta.device, record=record)
            storages["", storage_key] = storage
        if record is None:
            self.report("missing-record", key, record=storage_key)
        elif needed > record.nbytes:
            self.report("view-bounds", key, needed=needed, available=record.nbytes)
        tensor = TensorInfo(
            key,
            meta.dtype,
            meta.shape,
            meta.stride,
            storage,
            meta.storage_offset,
            meta.device,
            meta.requires_grad,
            node,
            meta.layout,
            TensorDetails(parameter=parameter),
        )
        self.checkpoint.tensors.append(tensor)
        return tensor

    def read_pickled(self, node: Node, name: str) -> Generator[Progress, None, list[Node]]:
        """The entries of a pickled mapping, as children of `node`."""
        record = self.directory.get(f"{self.prefix}{name}")
        if record is None:
            self.report("missing-record", record=name)
            return []
        found = yield from self.embedded.read(record, "", node)
        if found is None:
            return []
        for child in found.children:
            child.parent = node
        return list(found.children)

    def read_compiled(self) -> bool:
        """Whether there are compiled models; their sources are listed."""
        start = f"{self.prefix}data/aotinductor/"
        below = [r for r in self.directory.order if r.name.startswith(start)]
        self.checkpoint.code = [
            CodeText(record.name, record) for record in below if record.name.endswith(_CODE_ENDINGS)
        ]
        root = self.checkpoint.root
        root.children = [
            Node(record.name[len(start) :], Kind.OBJECT, "compiled", f"{record.nbytes} bytes", root)
            for record in below
        ]
        return bool(below)

    def read_facts(self) -> None:
        """Short texts beside the programs."""
        extra = f"{self.prefix}{_EXTRA}"
        for record in self.directory.order:
            short = record.name[len(self.prefix) :]
            if short in _FACTS or record.name.startswith(extra):
                self.metadata[short] = self.text(record)

    def text(self, record: Record) -> str:
        if record.nbytes > _MOST_TEXT:
            return f"{record.nbytes} bytes"
        try:
            return self.directory.read(record, _MOST_TEXT).decode().strip()
        except (UnicodeDecodeError, CheckpointError):
            return f"{record.nbytes} bytes"

    def json(self, record: Record) -> Any:
        try:
            data = self.directory.read(record, self.limits.json_bytes)
            twice: list[str] = []
            value, problem = json_document.parse(data, record.name, self.limits, twice)
            for key in twice:
                self.report("duplicate-key", f"{record.name}: {key}")
        except CheckpointError as error:
            value = None
            problem = Problem(error.code, error.where, error.details)
        if problem is not None:
            self.checkpoint.problems.append(problem)
        return value

    def report(self, code: str, where: str = "", **details: object) -> None:
        self.directory.report(code, where, **details)


def _below(key: str, children: list[Node], parent: Node) -> Node:
    node = Node(key, Kind.MAPPING, "dict", parent=parent)
    for child in children:
        child.parent = node
    node.children = children
    return node
