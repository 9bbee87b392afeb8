"""Checkpoints for the tree's tests, built from the model's classes alone."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from inspector_app.checkpoint.model import (
    Checkpoint,
    Kind,
    Node,
    Section,
    StorageRef,
    TensorInfo,
    contiguous_stride,
)
from inspector_app.ui.tree_building import building
from inspector_app.ui.tree_nodes import TreeRows


def node(parent: Node, key: str | int, kind: str, type_name: str = "", value: Any = None) -> Node:
    child = Node(key, kind, type_name, value, parent)
    parent.children = [*parent.children, child]
    return child


def tensor(
    parent: Node,
    key: str | int,
    shape: tuple[int, ...] = (2, 3),
    dtype: str = "float32",
    storage: StorageRef | None = None,
    **facts: Any,
) -> TensorInfo:
    child = TensorInfo(
        key, dtype, shape, contiguous_stride(shape), storage, 0, parent=parent, **facts
    )
    if storage is None:
        child.storage = StorageRef(f"{id(child)}", child.nbytes)
    parent.children = [*parent.children, child]
    return child


def mapping() -> Node:
    return Node("", Kind.MAPPING, "dict")


def state_dict(keys: list[str], shape: tuple[int, ...] = (2, 3)) -> Checkpoint:
    root = mapping()
    children = []
    for key in keys:
        child = TensorInfo(key, "float32", shape, contiguous_stride(shape), None, 0, parent=root)
        child.storage = StorageRef(key, child.nbytes)
        children.append(child)
    root.children = children
    return checkpoint(root)


def checkpoint(root: Node, sections: tuple[Section, ...] = ()) -> Checkpoint:
    tensors = [child for child in root.walk() if isinstance(child, TensorInfo)]
    return Checkpoint("x.pth", "torch-zip", 1, root, tensors=tensors, sections=list(sections))


def language_model(layers: int = 12) -> Checkpoint:
    """A training checkpoint with tied weights, repeated layers, an optimizer and values."""
    root = mapping()
    node(root, "epoch", Kind.SCALAR, "int", 10)
    model = node(root, "model", Kind.MAPPING, "collections.OrderedDict")
    embedding = tensor(model, "wte.weight", (500, 64))
    for layer in range(layers):
        for name, shape in [
            ("ln_1.weight", (64,)),
            ("attn.qkv.weight", (192, 64)),
            ("attn.qkv.bias", (192,)),
            ("mlp.up.weight", (256, 64)),
        ]:
            tensor(model, f"h.{layer}.{name}", shape, "bfloat16")
    tensor(model, "lm_head.weight", (500, 64), storage=embedding.storage)
    optimizer = node(root, "optimizer", Kind.MAPPING, "dict")
    state = node(optimizer, "state", Kind.MAPPING, "dict")
    for index in range(2):
        entry = node(state, index, Kind.MAPPING, "dict")
        tensor(entry, "step", ())
        tensor(entry, "exp_avg", (64, 64 + index))
    groups = node(optimizer, "param_groups", Kind.SEQUENCE, "list")
    group = node(groups, 0, Kind.MAPPING, "dict")
    node(group, "lr", Kind.SCALAR, "float", 3e-4)
    node(root, "config", Kind.OBJECT, "argparse.Namespace")
    return checkpoint(root, (Section(("model",), "model"), Section(("optimizer",), "optimizer")))


def run(steps: Generator[Any, None, Any]) -> Any:
    """Drive a generator to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def rows_of(source: Checkpoint) -> TreeRows:
    return run(building(source))


def outline(rows: TreeRows, below: int = -1, depth: int = 0) -> list[str]:
    """Every row as an indented label."""
    lines = []
    for row in rows.children(below):
        lines.append("  " * depth + rows.labels[row])
        lines += outline(rows, row, depth + 1)
    return lines
