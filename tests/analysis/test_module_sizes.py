"""The parts of a model and its layers, from the keys."""

from __future__ import annotations

from inspector_app.analysis.module_sizes import sizing
from inspector_app.checkpoint.model import (
    Checkpoint,
    Kind,
    Node,
    Section,
    StorageRef,
    TensorInfo,
    contiguous_stride,
)


def add(parent: Node, key, shape=None, storage=None):
    if shape is None:
        child = Node(key, Kind.MAPPING, "dict", parent=parent)
    else:
        child = TensorInfo(key, "float32", shape, contiguous_stride(shape), storage, 0)
        child.parent = parent
        child.storage = storage or StorageRef(str(id(child)), child.nbytes)
    parent.children = [*parent.children, child]
    return child


def sizes_of(root: Node, *sections: Section, shared=()):
    tensors = [node for node in root.walk() if isinstance(node, TensorInfo)]
    checkpoint = Checkpoint("x", "torch-zip", 1, root, tensors=tensors, sections=list(sections))
    steps = sizing(checkpoint, shared)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def root() -> Node:
    return Node("", Kind.MAPPING, "dict")


def test_parts_are_modules_by_their_parameters():
    top = root()
    for key, shape in [
        ("model.embed.weight", (100, 8)),
        ("model.layers.0.mlp.weight", (64, 8)),
        ("model.layers.1.mlp.weight", (64, 8)),
        ("model.norm.weight", (8,)),
        ("head.weight", (100, 8)),
    ]:
        add(top, key, shape)
    sizes = sizes_of(top)
    # "model" has most of them, so it is taken apart; numbered layers are not.
    assert [(part.name, part.elements) for part in sizes.parts] == [
        ("model.layers", 1024),
        ("head", 800),
        ("model.embed", 800),
        ("model.norm", 8),
    ]
    assert sizes.parts[0].first.key == "model.layers.0.mlp.weight"
    assert sizes.parts[0].last.key == "model.layers.1.mlp.weight"
    assert sum(part.nbytes for part in sizes.parts) == 4 * (1024 + 800 + 800 + 8)
    assert [layer.name for layer in sizes.layers] == [
        "model.embed",
        "model.layers.0",
        "model.layers.1",
        "model.norm",
        "head",
    ]


def test_a_bare_parameter_and_a_sequential():
    top = root()
    for key in ("0.weight", "0.bias", "2.weight", "scale"):
        add(top, key, (4,))
    sizes = sizes_of(top)
    assert {part.name for part in sizes.parts} == {"0", "2", "scale"}
    assert [layer.name for layer in sizes.layers] == ["0", "2", "scale"]
    assert len(sizes.layers[0].tensors) == 2


def test_what_lies_beside_the_model_is_one_part_each():
    top = root()
    model = add(top, "model")
    add(model, "a.weight", (4, 4))
    add(model, "b.weight", (4, 4))
    add(model, "b.running_var", (4,))
    state = add(add(add(top, "optimizer"), "state"), 0)
    add(state, "exp_avg", (4, 4))
    sizes = sizes_of(top, Section(("model",), "model"), Section(("optimizer",), "optimizer"))
    assert {part.name: part.elements for part in sizes.parts} == {
        "a": 16,
        "b": 20,
        "optimizer": 16,
    }
    assert [len(layer.tensors) for layer in sizes.layers] == [1, 1]


def test_tied_weights_count_once():
    top = root()
    storage = StorageRef("0", 64)
    add(top, "embed.weight", (4, 4), storage)
    add(top, "head.weight", (4, 4), storage)
    add(top, "norm.weight", (4,))
    sizes = sizes_of(top, shared={id(storage)})
    assert {part.name: part.elements for part in sizes.parts} == {"embed": 16, "norm": 4}


def test_many_parts_and_deep_keys_end():
    top = root()
    for number in range(300):
        add(top, f"m{number}." + "deep." * 50 + "weight", (2,))
    sizes = sizes_of(top)
    assert len(sizes.parts) == 300
    assert sum(part.elements for part in sizes.parts) == 600


def test_an_empty_file_has_no_parts():
    sizes = sizes_of(root())
    assert sizes.parts == []
    assert sizes.layers == []
