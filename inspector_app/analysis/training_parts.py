"""What else a training keeps: grad scaler, random numbers, data loader, callbacks and loops."""

from __future__ import annotations

from typing import NamedTuple

from inspector_app.analysis.node_values import SingleValues, entries
from inspector_app.analysis.training_figures import words_of
from inspector_app.analysis.training_words import Words, number_text
from inspector_app.checkpoint.model import (
    Checkpoint,
    Kind,
    Node,
    SectionKind,
    TensorInfo,
    TreePath,
)
from inspector_app.checkpoint.random_states import is_numpy_state, is_python_state

_LOOKED_AT = 256
_DEEPEST = 3
_LISTED = 8


class PartKind:
    """What a part is, besides the kinds of sections."""

    SCALER = SectionKind.SCALER
    RNG = SectionKind.RNG
    DATA_LOADER = "data-loader"
    CALLBACKS = "callbacks"
    LOOPS = "loops"


class PartState(NamedTuple):
    """One part.

    Attributes:
        kind: of `PartKind`.
        path: where it lies.
        words: what it says.
        file: the file that it lies in; "" for the checkpoint's own.
    """

    kind: str
    path: TreePath
    words: Words
    file: str = ""


def parts_of(checkpoint: Checkpoint, values: SingleValues, file: str = "") -> list[PartState]:
    """The parts of a checkpoint, in its order as far as its sections tell."""
    found: list[PartState] = []
    taken: set[int] = set()
    for section in checkpoint.sections:
        node = checkpoint.find(section.path)
        if node is None:
            continue
        taken.add(id(node))
        if section.kind == SectionKind.SCALER:
            found.append(PartState(PartKind.SCALER, section.path, _scaler(node, values), file))
        elif section.kind == SectionKind.RNG:
            found.append(PartState(PartKind.RNG, section.path, _generators(node), file))
    for node in _below(checkpoint.root, taken):
        part = _named_part(node)
        if part is not None:
            found.append(PartState(part[0], node.path, part[1], file))
    return found


def _below(root: Node, taken: set[int]) -> list[Node]:
    """Nodes of the first levels that are in no section, and in no part that is named."""
    found: list[Node] = []
    todo = [(root, 0)]
    while todo and len(found) < _LOOKED_AT:
        node, depth = todo.pop()
        for child in node.children[:_LOOKED_AT]:
            if id(child) in taken or child.kind not in (Kind.MAPPING, Kind.SEQUENCE, Kind.OBJECT):
                continue
            found.append(child)
            if depth < _DEEPEST and child.kind == Kind.MAPPING and _named_part(child) is None:
                todo.append((child, depth + 1))
    return found


def _named_part(node: Node) -> tuple[str, Words] | None:
    words = set(words_of(node.key))
    keys = entries(node)
    if {"_snapshot", "_steps_since_snapshot"} <= keys.keys() or "_num_yielded" in keys:
        return PartKind.DATA_LOADER, Words("part-data-loader")
    if node.key == "callbacks":
        names = [str(child.key).partition("{")[0] for child in node.children[:_LISTED]]
        return PartKind.CALLBACKS, _listed("part-callbacks", names, len(node.children))
    if node.key == "loops":
        names = [str(child.key) for child in node.children[:_LISTED]]
        return PartKind.LOOPS, _listed("part-loops", names, len(node.children))
    if {"dataloader", "datamodule", "sampler"} & words or {"data", "loader"} <= words:
        return PartKind.DATA_LOADER, Words("part-data-loader")
    if node.key == "train_iterator" or {"train", "iterator"} <= words:
        return PartKind.DATA_LOADER, Words("part-data-loader")
    if words and words <= {"grad", "scaler", "amp", "state", "dict"} and "scaler" in words:
        # What a scaler that is switched off saves.
        return PartKind.SCALER, Words("part-scaler-off")
    return None


def _listed(code: str, names: list[str], count: int) -> Words:
    more = ", …" if count > len(names) else ""
    return Words(code, {"names": ", ".join(names) + more})


def _scaler(node: Node, values: SingleValues) -> Words:
    parts = entries(node)
    scale = values.number(parts.get("scale", parts.get("loss_scale")))
    tracker = values.number(parts.get("_growth_tracker", parts.get("unskipped")))
    if scale is None:
        return Words("part-scaler-plain")
    return Words("part-scaler", {"scale": number_text(scale), "steps": number_text(tracker or 0)})


def _generators(node: Node) -> Words:
    """Which generators' states are in a part."""
    names: dict[str, None] = {}
    todo = [(node, 0)]
    while todo and len(names) < _LISTED:
        each, depth = todo.pop(0)
        if isinstance(each, TensorInfo):
            big = each.numel > 1_000
            device = "cuda" in str(each.name).lower()
            names["torch CUDA" if device else "torch CPU" if big else "torch device"] = None
        elif is_python_state(each):
            names["Python"] = None
        elif is_numpy_state(each) or any(child.key == "bit_generator" for child in each.children):
            names["NumPy"] = None
        elif depth < _DEEPEST:
            todo += [(child, depth + 1) for child in each.children[:_LOOKED_AT]]
    return Words("part-rng", {"names": ", ".join(names) or "?"})
