"""The rules of what is suspicious, at their bounds; figures of several tensors together."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis import suspicious
from inspector_app.analysis.distribution import of_sorted
from inspector_app.analysis.figures import Figures, figures_of, figures_of_distribution, together
from inspector_app.analysis.findings import Finding, Findings
from inspector_app.analysis.stats import measuring
from inspector_app.analysis.suspicious import Reason, duplicates, suspicions, unmoved
from inspector_app.analysis.tensor_roles import Roles
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import (
    Checkpoint,
    Kind,
    Node,
    Record,
    Section,
    StorageRef,
    TensorInfo,
    contiguous_stride,
)
from inspector_app.checkpoint.values import ValueReader


def tensor(key="w", shape=(64, 32), dtype="float32", storage=None, offset=0) -> TensorInfo:
    made = TensorInfo(key, dtype, shape, contiguous_stride(shape), storage, offset)
    if storage is None:
        made.storage = StorageRef(key, made.nbytes)
    return made


def figures(values) -> Figures:
    array = np.asarray(values, np.float64)
    finite = np.sort(array[np.isfinite(array)])
    nans, infinities = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    return figures_of_distribution(of_sorted(finite, nans=nans, infinities=infinities))


def roles_of(*tensors: TensorInfo, kind: str = "") -> Roles:
    """The roles in a checkpoint of these tensors, which are all in one section."""
    section = Node("part", Kind.MAPPING, "dict")
    root = Node("", Kind.MAPPING, "dict")
    section.parent, root.children, section.children = root, [section], list(tensors)
    for made in tensors:
        made.parent = section
    sections = [Section(("part",), kind)] if kind else []
    return Roles(Checkpoint("x", "torch-zip", 1, root, tensors=list(tensors), sections=sections))


def reasons(values, kind="", **facts) -> list[tuple[str, float]]:
    made = tensor(**facts)
    found = suspicions(made, figures(values), roles_of(made, kind=kind))
    return [(entry.reason, entry.number) for entry in found]


def test_the_worst_comes_first():
    assert reasons([math.nan, math.nan, math.inf, 2e4, 1]) == [
        (Reason.NAN, 2),
        (Reason.INFINITE, 1),
        (Reason.EXPLODING, 2e4),
    ]
    assert list(suspicious.REASONS)[:3] == [Reason.NAN, Reason.INFINITE, Reason.EXPLODING]


def test_ordinary_values_are_not_suspicious():
    assert reasons([0.5, -0.25, 0.0]) == []


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([0.0, -0.0], [(Reason.ALL_ZERO, 2)]),
        ([0.0], []),
        ([], []),
        ([1.5, 1.5], [(Reason.CONSTANT, 1.5)]),
        ([1.5], []),
        ([1.5, 1.5, math.nan], [(Reason.NAN, 1)]),
        ([0.0, 0.0, math.inf], [(Reason.INFINITE, 1)]),
    ],
)
def test_all_zero_and_constant(values, found):
    assert reasons(values) == found


def test_exploding_is_beyond_its_bound_and_not_at_it():
    bound = suspicious.EXPLODING
    assert reasons([bound, 1.0]) == []
    above = math.nextafter(bound, math.inf)
    assert reasons([-above, 1.0]) == [(Reason.EXPLODING, above)]


def test_scales_that_say_nothing_are_not_exploding():
    assert reasons([1e6, 1.0], dtype="int64") == []
    assert reasons([1e6, 1.0], key="bn.running_var") == []
    assert reasons([1e6, 1.0], kind="optimizer") == []


@pytest.mark.parametrize(
    ("key", "shape", "value", "listed", "is_unmoved"),
    [
        ("fc.weight", (4, 4), 0.0, True, False),
        ("fc.bias", (4,), 0.0, False, True),
        ("fc.bias", (4,), 0.5, True, False),
        ("lstm.bias_ih_l0", (4,), 0.0, False, True),
        ("attn.in_proj_bias", (4,), 0.0, False, True),
        ("norm.weight", (4,), 1.0, False, True),
        ("norm.weight", (4,), 0.0, True, False),
        ("norm.weight", (1, 4, 1, 1), 1.0, False, True),
        ("fc.weight", (4, 4), 1.0, True, False),
        ("bn.running_mean", (4,), 0.0, False, True),
        ("bn.running_var", (4,), 1.0, False, True),
        ("bn/moving_variance", (4,), 1.0, False, True),
        ("onnx::Conv_12", (4,), 0.0, True, False),
    ],
)
def test_what_begins_constant_may_stay_so(key, shape, value, listed, is_unmoved):
    made = tensor(key, shape)
    roles = roles_of(made)
    found = figures([value] * 4)
    assert bool(suspicions(made, found, roles)) == listed
    assert unmoved(made, found, roles) == is_unmoved


def test_what_is_no_number_of_a_model_may_be_constant():
    assert reasons([0.0, 0.0], dtype="int64") == []
    assert reasons([0.0, 0.0], dtype="bool") == []
    for kind in ("optimizer", "scheduler", "grad-scaler", "rng"):
        assert reasons([0.0, 0.0], kind=kind) == []
        made = tensor("bias", (2,))
        assert not unmoved(made, figures([0.0, 0.0]), roles_of(made, kind=kind))
    assert reasons([0.0, 0.0], kind="model") == [(Reason.ALL_ZERO, 2)]
    assert reasons([0.0, 0.0], kind="ema") == [(Reason.ALL_ZERO, 2)]


def test_the_command_warns_of_the_zeros_that_the_window_lists(tmp_path):
    state = {
        "fc.weight": torch.zeros(3, 3),
        "fc.bias": torch.zeros(3),
        "lstm.bias_hh_l0": torch.zeros(4),
        "norm.weight": torch.zeros(3),
        "gate": torch.zeros(1),
        "ids": torch.zeros(3, dtype=torch.int64),
        "ok.weight": torch.randn(3, 3),
    }
    saved = {"model": state, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3, 3)}}}}
    saved["optimizer"]["param_groups"] = [{"params": [0]}]
    torch.save(saved, tmp_path / "x.pth")
    checkpoint = open_checkpoint(str(tmp_path / "x.pth"))
    roles, findings = Roles(checkpoint), Findings(checkpoint)
    listed, warned = set(), set()
    with ValueReader(checkpoint) as reader:
        for progress in measuring(reader, checkpoint.tensors):
            for stats in progress.finished:
                key = stats.tensor.key
                if Finding.ALL_ZERO in findings.of(stats):
                    warned.add(key)
                found = suspicions(stats.tensor, figures_of(stats), roles)
                if any(entry.reason == Reason.ALL_ZERO for entry in found):
                    listed.add(key)
    assert listed == warned == {"fc.weight", "norm.weight"}


def zip_storage(key: str, crc32: int, nbytes: int = 8192) -> StorageRef:
    record = Record(f"archive/data/{key}", 64, nbytes, 0, crc32)
    return StorageRef(key, nbytes, record=record)


def groups(*tensors: TensorInfo) -> list[list[str]]:
    steps = duplicates(tensors)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return [[str(member.key) for member in group] for group in end.value]


def test_duplicates_by_checksum():
    same = [tensor(key, storage=zip_storage(key, 7)) for key in ("a", "b")]
    other = tensor("c", storage=zip_storage("c", 8))
    assert groups(*same, other) == [["a", "b"]]


def test_what_a_checksum_cannot_tell_is_no_duplicate():
    a = tensor("a", storage=zip_storage("a", 7))
    # Without a checksum, small, another shape or dtype, part of its record, transposed.
    assert groups(*(tensor(k, storage=zip_storage(k, 0)) for k in "ab")) == []
    assert groups(*(tensor(k, (8,), storage=zip_storage(k, 7, 32)) for k in "ab")) == []
    assert groups(a, tensor("b", (32, 64), storage=zip_storage("b", 7))) == []
    assert groups(a, tensor("b", dtype="int32", storage=zip_storage("b", 7))) == []
    assert groups(a, tensor("b", (32, 32), storage=zip_storage("b", 7))) == []
    turned = tensor("b", storage=zip_storage("b", 7))
    turned.stride = (1, 64)
    assert groups(a, turned) == []


def test_a_shared_storage_is_no_duplicate_of_itself():
    storage = zip_storage("a", 7)
    assert groups(tensor("a", storage=storage), tensor("tied", storage=storage)) == []


def test_duplicates_and_figures_of_a_real_file(tmp_path):
    weight = torch.randn(64, 32)
    state = {"a": weight, "b": weight.clone(), "tied": weight, "c": weight + 1, "n": weight / 0}
    state["empty"] = torch.empty(0)
    torch.save(state, tmp_path / "x.pth")
    checkpoint = open_checkpoint(str(tmp_path / "x.pth"))
    assert groups(*checkpoint.tensors) == [["a", "b"]]
    with ValueReader(checkpoint) as reader:
        found = {
            stats.tensor.key: figures_of(stats)
            for progress in measuring(reader, checkpoint.tensors)
            for stats in progress.finished
        }
    assert found["a"].l2 == pytest.approx(weight.double().norm().item())
    assert found["n"].infinities == weight.numel()
    assert found["empty"].count == 0
    assert not found["empty"].constant


def test_without_values_the_figures_say_why(tmp_path):
    torch.save({"m": torch.empty(3, device="meta")}, tmp_path / "x.pth")
    checkpoint = open_checkpoint(str(tmp_path / "x.pth"))
    with ValueReader(checkpoint) as reader:
        (progress,) = [p for p in measuring(reader, checkpoint.tensors) if p.finished]
    missing = figures_of(progress.finished[0])
    assert "meta" in missing.error
    assert suspicions(checkpoint.tensors[0], missing, Roles(checkpoint)) == []


numbers = st.floats(-1e6, 1e6, width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])


@given(st.lists(st.lists(numbers, max_size=12), min_size=1, max_size=5))
def test_together_is_the_same_as_all_at_once(parts):
    found = reduce(together, map(figures, parts))
    whole = figures([value for part in parts for value in part])
    for name in ("count", "nans", "infinities", "zeros", "least", "most"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), nan_ok=True)
    for name in ("mean", "std", "l2"):
        scale = max(whole.magnitude, 1e-300)
        assert getattr(found, name) == pytest.approx(
            getattr(whole, name), rel=1e-9, abs=1e-9 * scale, nan_ok=True
        )


def test_together_survives_counts_beyond_float64():
    huge = Figures(10**400, 0, 0, 0, 1, 3, 2.0, 1.0, 5.0)
    found = together(huge, huge)
    assert found.count == 2 * 10**400
    assert found.mean == 2.0
