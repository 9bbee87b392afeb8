"""The structure of two checkpoints: parts, keys, statuses, and what checksums may decide."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inspector_app.analysis.comparison import Comparison, Evidence, Status
from inspector_app.analysis.diff import model_keys
from inspector_app.analysis.key_mapping import KeyMapping, Rule
from inspector_app.checkpoint.model import SectionKind
from tests.analysis.comparisons import compared, compared_files
from tests.checkpoint.torch_files import prototypes, write

ADDED = torch.tensor([1.0, 2.0])


class Adding(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + ADDED


def model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def trained(seed: int = 0, epoch: int = 10) -> dict[str, Any]:
    made = model(seed)
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-3)
    made(torch.rand(5, 4)).sum().backward()
    optimizer.step()
    return {"model": made.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}


def statuses(comparison: Comparison) -> dict[str, str]:
    return {pair.key: pair.status for pair in comparison.pairs}


def only(comparison: Comparison) -> tuple[str, str]:
    (pair,) = comparison.pairs
    return pair.status, pair.evidence


# --- parts


def test_forms_of_one_model(tmp_path: Path) -> None:
    made = model()
    state = made.state_dict()
    forms: dict[str, Path] = {}
    for name, value in (("bare", state), ("whole", made), ("training", {"state_dict": state})):
        forms[name] = tmp_path / f"{name}.pth"
        torch.save(value, forms[name])
    torch.save(state, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    forms["legacy"] = tmp_path / "legacy.pth"
    forms["script"] = tmp_path / "script.pt"
    with prototypes():
        torch.jit.script(made).save(forms["script"])
    forms["safetensors"] = tmp_path / "x.safetensors"
    safetensors.torch.save_file(state, forms["safetensors"])
    for a, a_path in forms.items():
        for b, b_path in forms.items():
            found = compared_files(a_path, b_path)
            assert {pair.key for pair in found.pairs} == state.keys(), (a, b)
            zipped = {a, b}.isdisjoint({"legacy", "safetensors"})
            status = Status.IDENTICAL if zipped else Status.UNCOMPARED
            assert found.summary() == {status: len(state)}, (a, b)
            evidence = Evidence.CHECKSUM if zipped else Evidence.HEADER
            assert {pair.evidence for pair in found.pairs} == {evidence}
            assert found.differs() == (not zipped)
            assert found.values == []


def test_constants_of_compiled_code_are_no_keys(tmp_path: Path) -> None:
    with prototypes():
        made = torch.jit.trace(nn.Sequential(nn.Linear(2, 2), Adding()), torch.ones(2))
    made.save(tmp_path / "a.pt")
    torch.save(nn.Sequential(nn.Linear(2, 2)).state_dict(), tmp_path / "b.pth")
    found = compared_files(tmp_path / "a.pt", tmp_path / "b.pth")
    assert set(statuses(found)) == {"0.weight", "0.bias"}
    assert found.left_out == [("a", ("constants",), 1)]
    found = compared_files(tmp_path / "a.pt", tmp_path / "a.pt")
    assert found.summary() == {"identical": 3}


def test_initializers_of_onnx_match_by_name(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    state = model().state_dict()
    made = [onnx.numpy_helper.from_array(value.numpy(), key) for key, value in state.items()]
    graph = onnx.helper.make_graph([], "g", [], [], initializer=made)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "b.onnx")
    torch.save({"model": state, "epoch": 3}, tmp_path / "a.pth")
    found = compared_files(tmp_path / "a.pth", tmp_path / "b.onnx")
    assert found.summary() == {Status.UNCOMPARED: len(state)}
    assert found.sections == (("model",), ())


def test_training_checkpoints(tmp_path: Path) -> None:
    a, b = trained(0, 10), trained(0, 20)
    b["optimizer"]["param_groups"][0]["lr"] = 1e-4
    found = compared(tmp_path, a, b)
    assert {pair.part for pair in found.pairs} == {SectionKind.MODEL, SectionKind.OPTIMIZER}
    assert "optimizer/state/0/exp_avg" in statuses(found)
    assert set(statuses(found).values()) == {Status.IDENTICAL}
    assert [tuple(value) for value in found.values] == [
        (("epoch",), 10, 20),
        (("optimizer", "param_groups", 0, "lr"), 1e-3, 1e-4),
    ]
    assert found.differs()


def test_a_training_checkpoint_against_its_model(tmp_path: Path) -> None:
    a = trained()
    found = compared(tmp_path, a, a["model"])
    assert found.sections == (("model",), ())
    assert found.left_out == [("a", ("optimizer",), 12), ("a", ("epoch",), 0)]
    assert set(statuses(found).values()) == {Status.IDENTICAL}
    assert not found.differs()


def test_sections_of_one_kind_under_other_names_match(tmp_path: Path) -> None:
    a, b = trained(0), trained(1)
    b = {"net": b["model"], "optim_state": b["optimizer"], "epoch": 10}
    found = compared(tmp_path, a, b)
    assert found.sections == (("model",), ("net",))
    assert found.left_out == []
    assert "optimizer/state/0/exp_avg" in statuses(found)


def test_several_models_are_told_apart(tmp_path: Path) -> None:
    big = nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 5), nn.Linear(5, 1)).state_dict()
    small = {"disc.weight": torch.ones(3), "disc.bias": torch.ones(3)}
    a = {"netD": small, "netG": big}
    assert compared(tmp_path, a, big).sections == (("netG",), ())
    assert compared(tmp_path, small, a).sections == ((), ("netD",))
    both = compared(tmp_path, a, dict(reversed(a.items())))
    assert set(statuses(both).values()) == {Status.IDENTICAL}
    assert len(both.pairs) == len(big) + len(small)


def test_what_lies_in_no_section(tmp_path: Path) -> None:
    a = trained() | {"masks": {"m": torch.ones(2)}, "queue": torch.ones(3), "old": [torch.ones(1)]}
    b = trained() | {"masks": {"n": torch.ones(2)}}
    found = compared(tmp_path, a, b)
    differing = {key: status for key, status in statuses(found).items() if status != "identical"}
    assert differing == {"masks/m": "missing", "masks/n": "unexpected", "queue": "missing"}
    assert found.left_out == [("a", ("old",), 1)]


def test_a_bare_state_dict_has_no_place_for_other_tensors(tmp_path: Path) -> None:
    other = {
        "rng_state": torch.get_rng_state(),
        "queue": torch.ones(3),
        "masks": {"m": torch.ones(1)},
    }
    a = {"model": model().state_dict(), **other}
    found = compared(tmp_path, a, a["model"])
    assert found.summary() == {"identical": 7}
    assert found.left_out == [("a", (key,), 1) for key in other]
    assert not found.differs()
    # Against its like everything is compared.
    b = a | {"rng_state": other["rng_state"] ^ 1}
    found = compared(tmp_path, a, b)
    assert found.summary() == {"identical": 9, "changed": 1}
    assert {pair.part for pair in found.pairs} == {SectionKind.MODEL, SectionKind.RNG, ""}
    del b["rng_state"]
    assert compared(tmp_path, a, b).left_out == [("a", ("rng_state",), 1)]


def test_files_without_a_known_section(tmp_path: Path) -> None:
    found = compared(tmp_path, [torch.ones(2), {"x": torch.ones(1)}], [torch.ones(2)])
    assert statuses(found) == {"0": Status.IDENTICAL}
    assert found.left_out == [("a", (1,), 1)]
    assert only(compared(tmp_path, torch.ones(2), torch.zeros(2)))[0] == Status.CHANGED


def test_keys_of_other_types_are_not_mixed_up(tmp_path: Path) -> None:
    found = compared(tmp_path, {1: torch.ones(2)}, {"1": torch.ones(2)})
    assert [pair.status for pair in found.pairs] == [Status.MISSING, Status.UNEXPECTED]


# --- headers


def test_reasons_and_notes(tmp_path: Path) -> None:
    a = {"w": torch.ones(2, 3), "v": torch.ones(2, 3), "u": torch.ones(4), "t": torch.ones(2, 3)}
    b = {
        "w": torch.ones(3, 2),
        "v": torch.ones(2, 3, dtype=torch.float64),
        "u": nn.Parameter(torch.ones(4)),
        "t": torch.ones(3, 2).t(),
    }
    found = {pair.key: pair for pair in compared(tmp_path, a, b).pairs}
    assert found["w"].reasons == ("shape",)
    assert found["v"].reasons == ("dtype",)
    assert found["u"].notes == ("requires_grad",)
    assert found["u"].status == Status.IDENTICAL
    assert found["t"].notes == ("stride",)
    assert found["t"].status == Status.UNCOMPARED


def test_a_stride_that_moves_nothing_is_not_noted(tmp_path: Path) -> None:
    odd = torch.as_strided(torch.ones(3), (1, 3), (77, 1))
    found = compared(tmp_path, {"w": torch.ones(1, 3)}, {"w": odd})
    assert [pair.notes for pair in found.pairs] == [()]


def test_order(tmp_path: Path) -> None:
    keys = [f"k{index}.weight" for index in range(5)]
    a = {key: torch.ones(1) for key in keys[:4]}
    b = {key: torch.ones(1) for key in (keys[4], keys[3], keys[1])}
    found = compared(tmp_path, a, b)
    assert list(statuses(found)) == [
        "k0.weight",
        "k1.weight",
        "k2.weight",
        "k3.weight",
        "k4.weight",
    ]


# --- checksums


def test_views_of_one_storage_are_not_decided(tmp_path: Path) -> None:
    base = torch.arange(10.0)
    torch.manual_seed(0)
    assert only(compared(tmp_path, {"w": base[2:5]}, {"w": base[3:6]})) == ("uncompared", "header")
    assert only(compared(tmp_path, {"w": base[2:5]}, {"w": base[2:5]})) == ("uncompared", "header")
    clone = base[2:5].clone()
    assert only(compared(tmp_path, {"w": base[2:5]}, {"w": clone})) == ("uncompared", "header")
    assert only(compared(tmp_path, {"w": clone}, {"w": clone})) == ("identical", "checksum")


def test_signed_zeros_and_nan_payloads_are_bits(tmp_path: Path) -> None:
    zeros = compared(tmp_path, {"w": torch.zeros(3)}, {"w": -torch.zeros(3)})
    assert only(zeros) == ("changed", "checksum")
    nans = [
        torch.tensor(np.array([bits], np.uint32).view(np.float32))
        for bits in (0x7FC00000, 0x7FC00001)
    ]
    assert only(compared(tmp_path, {"w": nans[0]}, {"w": nans[1]})) == ("changed", "checksum")
    assert only(compared(tmp_path, {"w": nans[0]}, {"w": nans[0]})) == ("identical", "checksum")


def test_no_checksum_decides_nothing(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"w": torch.ones(3)}, tmp_path / "b.pth")
    finally:
        torch.serialization.set_crc32_options(before)
    torch.save({"w": torch.ones(3)}, tmp_path / "a.pth")
    a, b = tmp_path / "a.pth", tmp_path / "b.pth"
    # torch writes a checksum of the record in another way then, or none.
    found = compared_files(a, b)
    record = found.b.tensors[0].storage.record
    if record.crc32 == 0:
        assert only(found) == ("uncompared", "header")


def test_a_damaged_archive_decides_nothing(tmp_path: Path) -> None:
    for name in ("a.pth", "b.pth"):
        torch.save({"w": torch.ones(3000)}, tmp_path / name)
    data = bytearray((tmp_path / "b.pth").read_bytes())
    # The size in the directory's entry of the storage: one byte less.
    place = data.rindex(b"/data/0", 0, data.rindex(b"/version"))
    header = data.rindex(b"PK\x01\x02", 0, place)
    size = int.from_bytes(data[header + 24 : header + 28], "little")
    data[header + 20 : header + 28] = (size - 1).to_bytes(4, "little") * 2
    (tmp_path / "b.pth").write_bytes(data)
    found = compared_files(tmp_path / "a.pth", tmp_path / "b.pth")
    assert found.b.problems
    assert only(found) == ("uncompared", "header")


def test_a_cut_file_decides_nothing(tmp_path: Path) -> None:
    for name in ("a.pth", "b.pth"):
        torch.save({"w": torch.ones(30), "v": torch.ones(9000)}, tmp_path / name)
    os.truncate(tmp_path / "b.pth", 12_000)
    found = compared_files(tmp_path / "a.pth", tmp_path / "b.pth")
    assert Status.IDENTICAL not in found.summary()


def test_other_byte_orders_are_not_decided(tmp_path: Path) -> None:
    value = {"w": torch.tensor([1.0, 2.0])}
    a = write(value, tmp_path / "a.pth")
    b = write(value, tmp_path / "b.pth", byteorder="big")
    assert only(compared_files(a, b)) == ("uncompared", "header")
    assert only(compared_files(b, b)) == ("identical", "checksum")


def test_tensors_of_several_parts(tmp_path: Path) -> None:
    dense = torch.eye(4)
    other = torch.diag(torch.tensor([1.0, 2, 3, 4]))
    with prototypes():
        a, b = (
            {
                "s": value.to_sparse(),
                "c": (value + scale).to_sparse_csr(),
                "q": torch.quantize_per_channel(
                    value, torch.full((4,), scale), torch.zeros(4), 0, torch.qint8
                ),
                "p": torch.quantize_per_tensor(dense, scale, 0, torch.qint8),
            }
            for value, scale in ((dense, 0.0), (other, 0.5))
        )
    # The column indices are half of the storage of the COO tensor that they come from.
    same = {"s": "identical", "c": "uncompared", "q": "identical", "p": "identical"}
    assert statuses(compared(tmp_path, a, a)) == same
    found = compared(tmp_path, a, b)
    # Another number of values and another scale are left to those who read bytes.
    assert statuses(found) == {"s": "changed", "c": "uncompared", "q": "changed", "p": "uncompared"}


def test_meta_and_empty_tensors_have_nothing_to_compare(tmp_path: Path) -> None:
    value = {"m": torch.empty(3, device="meta"), "e": torch.empty(0, 3)}
    found = compared(tmp_path, value, value)
    assert set(statuses(found).values()) == {Status.IDENTICAL}
    assert {pair.evidence for pair in found.pairs} == {Evidence.HEADER}


@st.composite
def views(draw: st.DrawFn) -> torch.Tensor:
    base = torch.tensor(
        draw(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0]), min_size=6, max_size=8))
    )
    base = base.to(draw(st.sampled_from((torch.float32, torch.int16, torch.bool))))
    match draw(st.integers(0, 5)):
        case 0:
            return base[:6].reshape(2, 3)
        case 1:
            return base[:6].reshape(3, 2).t()
        case 2:
            return base[:6].clone().reshape(2, 3)
        case 3:
            return base[:6].clone().reshape(3, 2).t()
        case 4:
            return base[:1].clone().expand(2, 3)
    return base[:3].clone().expand(2, 3)


@given(views(), views())
def test_checksums_never_say_what_is_not_so(
    tmp_path: Path, a: torch.Tensor, b: torch.Tensor
) -> None:
    """Against torch's bits, for all kinds of views."""
    (pair,) = compared(tmp_path, {"x.w": a}, {"x.w": b}).pairs
    if pair.status in (Status.IDENTICAL, Status.CHANGED):
        assert pair.evidence == Evidence.CHECKSUM
        whole = [bytes(each.contiguous().numpy().tobytes()) for each in (a, b)]
        assert (whole[0] == whole[1]) == (pair.status == Status.IDENTICAL)
    elif pair.status == Status.MISMATCHED:
        assert a.dtype != b.dtype


# --- mappings


def test_prefixes_rules_and_renames(tmp_path: Path) -> None:
    state = model().state_dict()
    b = {f"module.{key}": value for key, value in state.items()}
    assert compared(tmp_path, state, b).summary() == {"missing": 7, "unexpected": 7}
    found = compared(tmp_path, state, b, KeyMapping(strip_b=("module.",)))
    assert found.summary() == {"identical": 7}
    assert list(statuses(found)) == list(state)
    found = compared(tmp_path, b, state, KeyMapping(strip_a=("module.",)))
    assert found.summary() == {"identical": 7}
    assert list(statuses(found)) == list(b)
    b["extra"] = torch.ones(1)
    mapping = KeyMapping(rules=(Rule(r"^module\.", ""),), renames=(("extra", "0.weight"),))
    found = compared(tmp_path, state, b, mapping)
    assert found.pairs[0].notes[-1] == "renamed"
    assert found.pairs[0].reasons == ("shape",)
    collided = found.pairs[-1]
    assert (collided.status, collided.notes) == (Status.UNEXPECTED, ("collides",))
    # As it is called in B: two keys cannot be 0.weight.
    assert collided.key == "module.0.weight"
    assert [sorted(keys) for keys in model_keys(found)] == [sorted(state), sorted(b)]


def test_a_mapping_applies_to_the_model_alone(tmp_path: Path) -> None:
    a, b = trained(), trained()
    b["model"] = {f"state.{key}": value for key, value in b["model"].items()}
    found = compared(tmp_path, a, b, KeyMapping(strip_b=("state.",), rules=(Rule("^state$", "x"),)))
    assert set(statuses(found).values()) == {Status.IDENTICAL}


@pytest.mark.parametrize("count", [3_000])
def test_many_tensors_in_short_steps(tmp_path: Path, count: int) -> None:
    state = {f"layers.{index}.weight": torch.ones(1) for index in range(count)}
    assert compared(tmp_path, state, state).summary() == {"identical": count}
