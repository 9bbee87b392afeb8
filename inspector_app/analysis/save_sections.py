"""Which parts of a checkpoint are saved: its model, what was chosen, its moving average."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

from inspector_app.analysis.key_mapping import suggesting_prefixes
from inspector_app.analysis.out_building import Replacement
from inspector_app.checkpoint.errors import CannotSave
from inspector_app.checkpoint.model import (
    Checkpoint,
    Kind,
    Node,
    Progress,
    SectionKind,
    TensorInfo,
    TreePath,
)

_SAMPLE = 1_000
_MODELS = (SectionKind.MODEL, SectionKind.EMA)
# Half of the tensors have to be found in a moving average: the others are buffers.
_MATCHED = 0.5


def path_text(path: Sequence[object]) -> str:
    return "/".join(map(str, path)) or "(the whole file)"


def model_nodes(checkpoint: Checkpoint) -> list[Node]:
    """The state_dicts in it: sections that are models; else averages; else its root, if
    tensors lie there."""
    for kind in _MODELS:
        paths = [section.path for section in checkpoint.sections if section.kind == kind]
        found = [node for path in paths if (node := checkpoint.find(path)) is not None]
        if found:
            return found
    root = checkpoint.root
    if any(isinstance(child, TensorInfo) for child in root.children[:_SAMPLE]):
        return [root]
    return []


def the_model(checkpoint: Checkpoint) -> Node:
    """The one state_dict in it.

    Raises:
        CannotSave: there is none, or more than one.
    """
    found = model_nodes(checkpoint)
    if not found:
        raise CannotSave("save-no-model", checkpoint.path)
    if len(found) > 1:
        names = ", ".join(path_text(node.path) for node in found)
        raise CannotSave("save-several-models", checkpoint.path, sections=names)
    return found[0]


def chosen_nodes(checkpoint: Checkpoint, paths: Iterable[TreePath]) -> list[Node]:
    """The nodes of the parts that were asked for, without those within another.

    Raises:
        CannotSave: there is no such part.
    """
    found: list[Node] = []
    for path in paths:
        node = checkpoint.find(path)
        if node is None or node.kind not in (
            Kind.MAPPING,
            Kind.SEQUENCE,
            Kind.MODULE,
            Kind.OBJECT,
            Kind.TENSOR,
        ):
            names = ", ".join(path_text(each.path) for each in checkpoint.sections)
            raise CannotSave(
                "save-no-section", checkpoint.path, section=path_text(path), sections=names or "—"
            )
        if node not in found:
            found.append(node)
    return [node for node in found if not any(above in found for above in _above(node))]


def _above(node: Node) -> Iterable[Node]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def siblings_left(nodes: Sequence[Node]) -> list[Node]:
    """What stands beside `nodes`, or beside a node above one, and holds none of them."""
    kept = {*nodes, *(above for node in nodes for above in _above(node))}
    parents = dict.fromkeys(above for node in nodes for above in _above(node))
    return [child for parent in parents for child in parent.children if child not in kept]


def average_of(
    checkpoint: Checkpoint, model: Node
) -> Generator[Progress, None, tuple[Node, dict[TensorInfo, Replacement]]]:
    """The moving average of `model`, and the tensors that take its values.

    Raises:
        CannotSave: there is none, or it is not that of this model.
    """
    paths = [each.path for each in checkpoint.sections if each.kind == SectionKind.EMA]
    averages = [node for path in paths if (node := checkpoint.find(path)) is not None]
    averages = [node for node in averages if node is not model]
    if not averages:
        raise CannotSave("save-no-average", checkpoint.path)
    wanted = {child.key: child for child in model.children if isinstance(child, TensorInfo)}
    best: tuple[Node, dict[TensorInfo, Replacement]] = (averages[0], {})
    for average in averages:
        made = yield from _matched(checkpoint, wanted, average)
        if len(made) > len(best[1]):
            best = (average, made)
    node, found = best
    if len(found) < max(1, _MATCHED * len(wanted)):
        raise CannotSave(
            "save-average-keys",
            checkpoint.path,
            section=path_text(node.path),
            total=len(wanted),
            matched=len(found),
        )
    return node, found


def _matched(
    checkpoint: Checkpoint, wanted: dict[str | int, TensorInfo], average: Node
) -> Generator[Progress, None, dict[TensorInfo, Replacement]]:
    tensors = {str(child.key): child for child in average.children if isinstance(child, TensorInfo)}
    suggestions = yield from suggesting_prefixes([*map(str, wanted)], [*tensors])
    prefixes = [("", ""), *((each.a_prefix, each.b_prefix) for each in suggestions[:1])]
    best: dict[TensorInfo, Replacement] = {}
    for mine, theirs in prefixes:
        bare = {key.removeprefix(theirs): tensor for key, tensor in tensors.items()}
        found = {}
        for key, tensor in wanted.items():
            value = bare.get(str(key).removeprefix(mine))
            if value is not None and value.shape == tensor.shape:
                found[tensor] = Replacement(checkpoint, value, "ema")
        if len(found) > len(best):
            best = found
    return best
