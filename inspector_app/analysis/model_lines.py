"""The models in a checkpoint, as variables and expressions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from inspector_app.analysis.access import access
from inspector_app.analysis.python_text import variable
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, Section, SectionKind

# What the lines themselves use.
TAKEN = ("torch", "checkpoint", "state_dict", "key", "value", "part", "shard", "device")

_FIRST_KEYS = 64


@dataclass(frozen=True, slots=True)
class LoadedPart:
    """A part of a loaded checkpoint and the variable of what it is loaded into.

    Attributes:
        name: the variable.
        expression: leads to the part.
        node: the part.
    """

    name: str
    expression: str
    node: Node

    @property
    def whole(self) -> bool:
        """It is a pickled object and not its state_dict."""
        return self.node.kind in (Kind.MODULE, Kind.OBJECT)


def parts_of_kind(
    checkpoint: Checkpoint, kind: str, name: str, taken: Collection[str] = ()
) -> list[LoadedPart]:
    """The sections of one kind. A single one is called `name`, several after their keys."""
    found: list[tuple[Section, Node, str]] = []
    for section in checkpoint.sections:
        node = checkpoint.find(section.path) if section.kind == kind else None
        expression = access("checkpoint", node) if node is not None else None
        if node is not None and expression is not None:
            found.append((section, node, expression))
    if len(found) == 1:
        return [LoadedPart(name, found[0][2], found[0][1])]
    parts: list[LoadedPart] = []
    used = {*TAKEN, *taken}
    for section, node, expression in found:
        own = variable(_last_text(section), used, name)
        used.add(own)
        parts.append(LoadedPart(own, expression, node))
    return parts


def _last_text(section: Section) -> str:
    texts = [element for element in section.path if isinstance(element, str)]
    if section.path and isinstance(section.path[-1], int):
        # Of a list, whose key is a plural.
        return ""
    return texts[-1] if texts else ""


def model_parts(checkpoint: Checkpoint) -> list[LoadedPart]:
    """The models to load; averages where the file has nothing else."""
    return parts_of_kind(checkpoint, SectionKind.MODEL, "model") or parts_of_kind(
        checkpoint, SectionKind.EMA, "model"
    )


def whole_model_lines(part: LoadedPart) -> list[str]:
    """Lines that take a pickled model out, and its state_dict from it."""
    return [
        f"{part.name} = {part.expression}",
        f"{part.name}.eval()",
        "# What to keep instead of the pickled object:",
        f"state_dict = {part.name}.state_dict()",
        '# torch.save(state_dict, "state_dict.pth")',
    ]


def is_lightning(checkpoint: Checkpoint) -> bool:
    """Whether Lightning wrote the file, and can load it by itself."""
    first = checkpoint.root.children[:_FIRST_KEYS]
    return any(child.key == "pytorch-lightning_version" for child in first)
