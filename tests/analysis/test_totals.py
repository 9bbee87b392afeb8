from __future__ import annotations

from inspector_app.analysis.totals import Totals, adding_up
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, Section, StorageRef, TensorInfo


def totals(checkpoint: Checkpoint) -> Totals:
    steps = adding_up(checkpoint)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def tensor(key: str, parent: Node, storage: StorageRef | None, **changes) -> TensorInfo:
    arguments = {"dtype": "float32", "shape": (2, 5), "stride": (5, 1), "storage_offset": 0}
    made = TensorInfo(key, storage=storage, parent=parent, **(arguments | changes))
    parent.children = [*parent.children, made]
    return made


def build() -> Checkpoint:
    root = Node("", Kind.MAPPING)
    model = Node("model", Kind.MAPPING, parent=root)
    optimizer = Node("optimizer", Kind.MAPPING, parent=root)
    root.children = [model, optimizer]
    shared, own = StorageRef("0", 40), StorageRef("1", 80)
    tensors = [
        tensor("a", model, shared),
        tensor("b", model, shared, device="cuda:0"),
        tensor("m", optimizer, own, dtype="int64"),
    ]
    wrapped = tensor("w", model, None, dtype="bfloat16")
    inner = tensor("data", wrapped, StorageRef("2", 10), dtype="int8")
    tensors += [wrapped, inner]
    return Checkpoint(
        "x.pth",
        "torch-zip",
        1_000,
        root,
        tensors,
        sections=[Section(("model",), "model"), Section(("optimizer",), "optimizer")],
        storages={("", "0"): shared, ("", "1"): own, ("", "2"): inner.storage},
    )


def test_everything_is_counted_once():
    result = totals(build())
    assert (result.whole.tensors, result.whole.elements) == (4, 40)
    assert result.whole.nbytes == 40 + 40 + 80 + 10
    assert (result.storages, result.storage_bytes) == (3, 130)
    assert list(result.dtypes) == ["float32", "int64", "bfloat16"]
    assert result.devices["cuda:0"].tensors == 1


def test_sections_have_their_share():
    result = totals(build())
    assert [(section.kind, share.tensors) for section, share in result.sections] == [
        ("model", 3),
        ("optimizer", 1),
    ]


def test_sharing_is_by_storage():
    checkpoint = build()
    (group,) = totals(checkpoint).sharing.values()
    assert [one.key for one in group] == ["a", "b"]


def test_an_empty_checkpoint():
    result = totals(Checkpoint("x", "pickle", 0, Node("", Kind.SCALAR)))
    assert result.whole.tensors == result.storages == 0
    assert result.dtypes == {}


def test_the_sample(samples):
    result = totals(open_checkpoint(samples / "digits_cnn_epoch_4.pth"))
    shares = {section.kind: share for section, share in result.sections}
    assert shares["model"].tensors == 16
    assert shares["optimizer"].tensors == 30
    assert result.whole.tensors >= 46
