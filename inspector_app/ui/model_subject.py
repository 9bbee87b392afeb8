"""What a wizard has to know of a checkpoint, taken once: its tab may close."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from inspector_app.checkpoint.model import Checkpoint, Kind, Node, SectionKind, TensorInfo, TreePath
from inspector_app.worker.consent import globals_that_run
from inspector_app.worker.protocol import SourceKind
from inspector_app.worker.source_listing import config_of

HOLDS_GRAPH = ("torchscript", "torch-export")
_EXPORTED = (SectionKind.MODEL, SectionKind.EMA)
_MODULE_DEPTH = 2
_MOST_CHILDREN = 200
_MOST_SOURCES = 40
_LONGEST_FOLDER = 2_000


class Subject(NamedTuple):
    """
    Attributes:
        path: absolute.
        format: as in `Checkpoint`.
        nbytes: of the file.
        stamp: changes with the file: its length and time.
        sections: paths of state_dicts with what they are for; models first, then averages.
        modules: whole pickled models: the path and the class of each.
        globals: what loading a whole model would import, with how it is used.
        config: what the model was built with, as far as the file says.
        config_file: a Hugging Face ``config.json`` beside it, or "".
        sources: Python files beside it.
    """

    path: str
    format: str
    nbytes: int
    stamp: str
    sections: tuple[tuple[TreePath, str], ...]
    modules: tuple[tuple[TreePath, str], ...]
    globals: tuple[tuple[str, str], ...]
    config: Mapping[str, object]
    config_file: str
    sources: tuple[str, ...]

    @property
    def folder(self) -> str:
        return self.path if os.path.isdir(self.path) else os.path.dirname(self.path)

    def source_kinds(self) -> list[str]:
        """Where the model can come from, what needs the least of the user first."""
        kinds = []
        if self.format in HOLDS_GRAPH or self.modules:
            kinds.append(SourceKind.FILE)
        if self.config_file:
            kinds.append(SourceKind.TRANSFORMERS)
        return [*kinds, SourceKind.CODE]


def subject_of(checkpoint: Checkpoint) -> Subject:
    """Take from `checkpoint` what the wizard needs."""
    path = os.path.abspath(checkpoint.path)
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    sections = [each for each in checkpoint.sections if each.kind in _EXPORTED]
    sections.sort(key=lambda each: _EXPORTED.index(each.kind))
    config_file = os.path.join(folder, "config.json")
    return Subject(
        path=path,
        format=checkpoint.format,
        nbytes=checkpoint.file_bytes,
        stamp=f"{checkpoint.file_bytes}:{checkpoint.modified_ns}",
        sections=tuple((each.path, each.kind) for each in sections),
        modules=tuple(_modules(checkpoint.root)),
        globals=tuple((each.name, ", ".join(each.use)) for each in globals_that_run(checkpoint)),
        config=config_of(checkpoint),
        config_file=config_file if os.path.isfile(config_file) else "",
        sources=tuple(_sources(folder)),
    )


def part_at(checkpoint: Checkpoint, node: Node) -> TreePath | None:
    """What can be exported of where `node` stands: a pickled model, a section of weights, or
    else the innermost mapping with tensors of its own; None where there is none."""
    above: list[Node] = []
    at: Node | None = node
    while at is not None:
        above.append(at)
        at = at.parent
    if checkpoint.format in HOLDS_GRAPH:
        return ()
    for each in reversed(above):
        if each.kind == Kind.MODULE:
            return each.path
    wanted = {each.path for each in checkpoint.sections if each.kind in _EXPORTED}
    for each in above:
        if each.path in wanted:
            return each.path
    for each in above:
        some = each.children[:_MOST_CHILDREN]
        if each.kind == Kind.MAPPING and any(isinstance(child, TensorInfo) for child in some):
            return each.path
    return None


def _modules(root: Node) -> Iterator[tuple[TreePath, str]]:
    level = [root]
    for _ in range(_MODULE_DEPTH):
        below: list[Node] = []
        for node in level:
            if node.kind == Kind.MODULE:
                yield node.path, node.type_name
            elif node.kind in (Kind.MAPPING, Kind.OBJECT):
                below.extend(node.children[:_MOST_CHILDREN])
        level = below


def _sources(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_LONGEST_FOLDER), strict=False)]
    except OSError:
        return []
    found = sorted(name for name in names if name.endswith(".py") and not name.startswith("__"))
    return [os.path.join(folder, name) for name in found[:_MOST_SOURCES]]
