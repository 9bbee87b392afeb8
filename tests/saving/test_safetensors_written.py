"""safetensors, its shards, and npz: the libraries themselves are the judges."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from torch import nn
from written import bits, differences, load, save

from inspector_app.analysis.save_options import DtypeRule, SaveOptions, Ties
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CannotSave
from tests.checkpoint import torch_files
from tests.checkpoint.torch_files import write

DTYPES = (
    "float64 float32 float16 bfloat16 complex64 int64 int32 int16 int8 uint8 uint16 uint32 uint64 "
    "bool float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz"
).split()


def test_every_dtype_that_it_has(tmp_path: Path) -> None:
    value = {name: torch_files.filled(name, 3, 5) for name in DTYPES}
    value |= {f"{name} view": torch_files.filled(name, 4, 6)[1:, ::2].t() for name in DTYPES}
    value |= {"scalar": torch.tensor(2.5), "empty": torch.empty(0, 3)}
    source = write(value, tmp_path / "a.pth")
    plan, saved = save(source, tmp_path / "b.safetensors")
    assert not plan.left
    after = safetensors.torch.load_file(tmp_path / "b.safetensors")
    assert after.keys() == value.keys()
    for key, tensor in value.items():
        assert after[key].dtype == tensor.dtype
        assert after[key].shape == tensor.shape
        assert bits(after[key]) == bits(tensor), key
    assert open_checkpoint(tmp_path / "b.safetensors").problems == []
    assert saved.nbytes == os.path.getsize(tmp_path / "b.safetensors")
    assert abs(plan.written_bytes - saved.nbytes) < 20_000


def test_e8m0_is_written_as_the_library_names_it(tmp_path: Path) -> None:
    source = write({"scale": torch_files.filled("float8_e8m0fnu", 8)}, tmp_path / "a.pth")
    save(source, tmp_path / "b.safetensors")
    checkpoint = open_checkpoint(tmp_path / "b.safetensors")
    assert checkpoint.tensors[0].dtype == "float8_e8m0fnu"
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert list(file.keys()) == ["scale"]


def test_what_it_has_no_room_for_is_lost_and_told(tmp_path: Path) -> None:
    with torch_files.prototypes():
        quantized = torch_files.quantized()["qint8 per tensor"]
    value = {
        "plain.weight": torch.ones(2),
        "double complex": torch.ones(2, dtype=torch.complex128),
        "quantized": quantized,
        "sparse": torch_files.sparse()["coo"],
        "meta": torch.empty(3, device="meta"),
        "epoch": 3,
    }
    source = write(value, tmp_path / "a.pth")
    plan, _ = save(source, tmp_path / "b.safetensors")
    assert list(safetensors.torch.load_file(tmp_path / "b.safetensors")) == ["plain.weight"]
    lost = {each.name: each.why for each in plan.lost_tensors}
    assert lost == {
        "double complex": "dtype",
        "quantized": "form",
        "sparse": "form",
        "meta": "form",
    }
    assert [each.name for each in plan.left if each.chosen] == ["epoch"]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embedding.weight


def test_tied_tensors_are_written_once_with_their_other_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Tied()
    source = write(model.state_dict(), tmp_path / "a.pth")
    plan, _ = save(source, tmp_path / "b.safetensors")
    assert plan.aliases == (("head.weight", "embedding.weight"),)
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "head.weight": "embedding.weight"}
        assert list(file.keys()) == ["embedding.weight"]
    other = Tied()
    # As save_model writes it, so that its counterpart reads it.
    assert safetensors.torch.load_model(other, tmp_path / "b.safetensors") == (set(), [])
    assert torch.equal(other.head.weight, model.embedding.weight)


def test_tied_tensors_are_cloned_where_that_is_chosen(tmp_path: Path) -> None:
    model = Tied()
    source = write(model.state_dict(), tmp_path / "a.pth")
    plan, _ = save(source, tmp_path / "b.safetensors", SaveOptions(ties=Ties.CLONE))
    assert not plan.aliases
    after = safetensors.torch.load_file(tmp_path / "b.safetensors")
    Tied().load_state_dict(after, strict=True)


def test_the_model_of_a_training_is_taken(tmp_path: Path) -> None:
    torch.manual_seed(0)
    value = torch_files.optimizer_state()
    source = write(value, tmp_path / "a.pth")
    plan, _ = save(source, tmp_path / "b.safetensors")
    after = safetensors.torch.load_file(tmp_path / "b.safetensors")
    assert (
        differences(
            dict(value["model_state_dict"]), {k: after[k] for k in value["model_state_dict"]}
        )
        == []
    )
    left = {each.name: each for each in plan.left}
    moments = [
        s for state in value["optimizer_state_dict"]["state"].values() for s in state.values()
    ]
    assert left["optimizer_state_dict"].tensors == len(moments)
    assert left["optimizer_state_dict"].nbytes == sum(tensor.nbytes for tensor in moments)
    assert left["epoch"].tensors == 0
    assert plan.saved_bytes > 0


def test_its_own_metadata_stays(tmp_path: Path) -> None:
    safetensors.torch.save_file({"w": torch.ones(3)}, tmp_path / "a.safetensors", {"made": "by me"})
    save(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "made": "by me"}
    save(tmp_path / "a.safetensors", tmp_path / "c.pth")
    assert list(load(tmp_path / "c.pth")) == ["w"]


def test_shards_have_an_index_that_names_them(tmp_path: Path) -> None:
    value = {f"layer.{n}.weight": torch.full((100,), float(n)) for n in range(10)}
    source = write(value, tmp_path / "a.pth")
    _, saved = save(source, tmp_path / "m.safetensors", SaveOptions(max_shard_bytes=1000))
    names = sorted(name for name in os.listdir(tmp_path) if name.endswith(".safetensors"))
    assert names == [f"m-{n:05d}-of-00005.safetensors" for n in range(1, 6)]
    index = json.loads((tmp_path / "m.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 4000
    assert list(index["weight_map"]) == list(value)
    after = {}
    for name in names:
        after |= safetensors.torch.load_file(tmp_path / name)
    assert differences(value, {key: after[key] for key in value}) == []
    # Our own reader puts them together, and writes one file of them again.
    assert Path(saved.files[0]).name == "m.safetensors.index.json"
    whole = open_checkpoint(saved.files[0])
    assert whole.problems == []
    save(Path(saved.files[0]), tmp_path / "again.pth")
    assert differences(value, load(tmp_path / "again.pth")) == []


def test_replaced_shards_have_names_that_no_older_index_knows(tmp_path: Path) -> None:
    options = SaveOptions(max_shard_bytes=1000)
    for number in (1, 2):
        value = {f"{n}.weight": torch.full((100,), float(n * number)) for n in range(6)}
        source = write(value, tmp_path / f"{number}.pth")
        target = tmp_path / "m.safetensors"
        if number == 2:
            with pytest.raises(CannotSave, match="there is such a file already"):
                save(source, target, options)
        before = {name for name in os.listdir(tmp_path) if name.startswith("m-")}
        _, saved = save(source, target, options, force=number == 2)
        assert not before & {Path(path).name for path in saved.files}
        named = {name for name in os.listdir(tmp_path) if name.startswith("m-")}
        assert named == {Path(path).name for path in saved.files[1:]}
        save(Path(saved.files[0]), tmp_path / f"again{number}.pth")
        assert differences(value, load(tmp_path / f"again{number}.pth")) == []


def test_one_shard_is_one_file(tmp_path: Path) -> None:
    source = write({"w": torch.ones(10)}, tmp_path / "a.pth")
    save(source, tmp_path / "m.safetensors", SaveOptions(max_shard_bytes=10**9))
    assert (tmp_path / "m.safetensors").exists()
    assert not (tmp_path / "m.safetensors.index.json").exists()


def test_no_shard_of_the_source_is_written_over(tmp_path: Path) -> None:
    value = {f"{n}.weight": torch.full((100,), float(n)) for n in range(6)}
    source = write(value, tmp_path / "a.pth")
    _, saved = save(source, tmp_path / "m.safetensors", SaveOptions(max_shard_bytes=1000))
    before = {path: Path(path).read_bytes() for path in saved.files}
    with pytest.raises(CannotSave, match="one of several files that are read"):
        save(Path(saved.files[0]), Path(saved.files[1]), force=True)
    assert {path: Path(path).read_bytes() for path in saved.files} == before


def test_npz_is_what_numpy_reads(tmp_path: Path) -> None:
    names = "float64 float32 float16 complex64 complex128 int64 int8 uint8 uint16 bool".split()
    value = {f"{name}.weight": torch_files.filled(name, 3, 4)[:, ::2] for name in names}
    value |= {"scalar.bias": torch.tensor(3.5), "empty.weight": torch.empty(0, 2)}
    value |= {"long.weight": torch.zeros([1] * 30), "vector.weight": torch.arange(5)}
    source = write(value, tmp_path / "a.pth")
    save(source, tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz", allow_pickle=False) as after:
        assert list(after) == list(value)
        for key, tensor in value.items():
            assert after[key].shape == tuple(tensor.shape), key
            assert after[key].tobytes() == bits(tensor), key


def test_npz_says_what_numpy_has_no_dtype_for(tmp_path: Path) -> None:
    value = {"a.weight": torch.ones(2, dtype=torch.bfloat16), "b.weight": torch.ones(2)}
    source = write(value, tmp_path / "a.pth")
    plan, _ = save(source, tmp_path / "b.npz")
    assert [(each.name, each.why) for each in plan.lost_tensors] == [("a.weight", "dtype")]
    plan, _ = save(source, tmp_path / "c.npz", SaveOptions(dtypes=(DtypeRule("float32"),)))
    assert not plan.left
    with np.load(tmp_path / "c.npz") as after:
        assert after["a.weight"].dtype == np.float32


def test_several_models_have_to_be_chosen_from(tmp_path: Path) -> None:
    twins = {name: nn.Linear(2, 2).state_dict() for name in ("netG", "netD")}
    source = write(twins, tmp_path / "a.pth")
    with pytest.raises(CannotSave, match="several models in it; choose among netG, netD"):
        save(source, tmp_path / "b.safetensors")
    options = SaveOptions(sections=(("netG",), ("netD",)))
    save(source, tmp_path / "b.safetensors", options)
    after = safetensors.torch.load_file(tmp_path / "b.safetensors")
    assert set(after) == {f"{n}.{k}" for n in ("netG", "netD") for k in ("weight", "bias")}
    save(source, tmp_path / "c.pth", options)
    assert differences(twins, load(tmp_path / "c.pth")) == []
