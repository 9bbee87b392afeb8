"""What is chosen against the same done by hand in torch."""

from __future__ import annotations

import fnmatch
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from written import bits, differences, load, run_steps, save

from inspector_app.analysis.key_mapping import Rule
from inspector_app.analysis.save_options import CASTS, Averaging, DtypeRule, SaveOptions, Ties
from inspector_app.analysis.save_plan import plan, planning
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CannotSave
from tests.checkpoint import torch_files
from tests.checkpoint.torch_files import write

FLOATS = "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2".split()


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    """A state_dict with views, ties and several dtypes."""
    bases = []
    for dtype in draw(
        st.lists(st.sampled_from([*FLOATS, "int64", "uint8"]), min_size=1, max_size=3)
    ):
        shape = draw(st.lists(st.integers(0, 5), min_size=0, max_size=3))
        torch.manual_seed(draw(st.integers(0, 99)))
        bases.append((torch.randn(shape) * 50).to(getattr(torch, dtype)))
    state = {}
    for number in range(draw(st.integers(1, 6))):
        tensor = draw(st.sampled_from(bases))
        how = draw(st.sampled_from(["same", "t", "part", "step", "expand"]))
        if how == "t" and tensor.dim():
            tensor = tensor.permute(*reversed(range(tensor.dim())))
        elif how == "part" and tensor.dim() and tensor.shape[0]:
            tensor = tensor[1:]
        elif how == "step" and tensor.dim():
            tensor = tensor[..., ::2]
        elif how == "expand":
            tensor = tensor.unsqueeze(0).expand(3, *tensor.shape)
        part = draw(st.sampled_from(["encoder", "decoder", "module.encoder"]))
        state[f"{part}.{number}.weight"] = tensor
    return state


OPTIONS = st.builds(
    SaveOptions,
    strip_prefix=st.sampled_from([(), ("module.",)]),
    add_prefix=st.sampled_from(["", "model."]),
    rules=st.sampled_from([(), (Rule(r"\.(\d)\.", r".n\1."),)]),
    keep=st.sampled_from([(), ("*weight",), ("*encoder*", "*.1.*")]),
    drop=st.sampled_from([(), ("decoder*",)]),
    dtypes=st.sampled_from(
        [(), (DtypeRule("bfloat16"),), (DtypeRule("float16"), DtypeRule("float32", "*.0.*"))]
    ),
    contiguous=st.booleans(),
    ties=st.sampled_from([Ties.KEEP, Ties.CLONE]),
)


def by_hand(state: dict[str, torch.Tensor], options: SaveOptions) -> dict[str, torch.Tensor]:
    made = {}
    for key, tensor in state.items():
        if any(fnmatch.fnmatchcase(key, glob) for glob in options.drop):
            continue
        if options.keep and not any(fnmatch.fnmatchcase(key, glob) for glob in options.keep):
            continue
        for rule in options.dtypes:
            floating = tensor.is_floating_point()
            if fnmatch.fnmatchcase(key, rule.pattern) if rule.pattern else floating:
                # One rounding from the source's own: a later rule wins.
                tensor = state[key].to(getattr(torch, rule.dtype))
        for prefix in options.strip_prefix:
            key = key.removeprefix(prefix)
        for rule in options.rules:
            key = re.sub(rule.pattern, rule.replacement, key)
        made[options.add_prefix + key] = tensor
    return made


@settings(max_examples=60)
@given(tensors(), OPTIONS, st.sampled_from([".pth", ".safetensors"]))
def test_any_options_give_what_torch_gives(
    tmp_path_factory: pytest.TempPathFactory,
    state: dict[str, torch.Tensor],
    options: SaveOptions,
    ending: str,
) -> None:
    folder = tmp_path_factory.mktemp("options")
    source = write(state, folder / "a.pth")
    wanted = by_hand(state, options)
    target = folder / f"b{ending}"
    if not wanted:
        with pytest.raises(CannotSave, match="nothing would be left"):
            save(source, target, options)
        return
    made, _ = save(source, target, options)
    if ending == ".pth":
        after = load(target)
    else:
        import safetensors.torch

        after = safetensors.torch.load_file(target)
        after |= {alias: after[kept] for alias, kept in made.aliases}
    assert after.keys() == wanted.keys()
    for key, tensor in wanted.items():
        assert (after[key].dtype, after[key].shape) == (tensor.dtype, tensor.shape), key
        same = torch.equal(after[key].double().nan_to_num(7e77), tensor.double().nan_to_num(7e77))
        assert same, key
        if not options.dtypes:
            assert bits(after[key]) == bits(tensor)


@pytest.mark.parametrize("target", CASTS)
@pytest.mark.parametrize("source", ["float64", "float32", "float16", "bfloat16", "int64", "bool"])
def test_casts_round_as_torch_does(source: str, target: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    numbers = torch.cat(
        [
            torch.randn(4000, dtype=torch.float64),
            torch.randn(2000, dtype=torch.float64) * 1e5,
            torch.randn(2000, dtype=torch.float64) * 1e-6,
            torch.tensor([0.0, -0.0, 1e39, -1e39, 65519.9, 65520.0, 448.0, 464.0, 465.0, 57344.0]),
            torch.tensor([61439.0, 61440.0, 3.4e38, 1e-45, 2.0**-149, 240.0, 249.0, 1 + 2**-8]),
        ]
    )
    if source in ("int64", "bool"):
        value = numbers.clamp(-1e6, 1e6).to(getattr(torch, source))
    else:
        special = torch.tensor([float("inf"), float("-inf"), float("nan")], dtype=torch.float64)
        value = torch.cat([numbers, special]).to(getattr(torch, source))
    path = write({"x.weight": value}, tmp_path / "a.pth")
    options = SaveOptions(dtypes=(DtypeRule(target, "x*"),))
    _, saved = save(path, tmp_path / "b.pth", options)
    after = load(tmp_path / "b.pth")["x.weight"]
    wanted = value.to(getattr(torch, target))
    assert after.dtype == wanted.dtype
    as_float, wanted_float = after.to(torch.float64), wanted.to(torch.float64)
    assert torch.equal(torch.isnan(as_float), torch.isnan(wanted_float))
    finite = ~torch.isnan(wanted_float)
    assert bits(after[finite]) == bits(wanted[finite])
    before = value.double()
    lost = int((torch.isfinite(before) & ~torch.isfinite(wanted_float)).sum())
    if target == "float8_e4m3fn":
        # It has no infinity, and torch gives the largest number.
        lost = int((torch.isfinite(before) & (before.float().abs() > 464)).sum())
    assert sum(each.count for each in saved.overflows) == lost


def test_a_plain_cast_is_for_the_model_alone(tmp_path: Path) -> None:
    value = torch_files.optimizer_state()
    source = write(value, tmp_path / "a.pth")
    save(source, tmp_path / "b.pth", SaveOptions(dtypes=(DtypeRule("bfloat16"),)))
    after = load(tmp_path / "b.pth")
    assert {t.dtype for t in after["model_state_dict"].values()} == {torch.bfloat16, torch.int64}
    assert differences(value["optimizer_state_dict"], after["optimizer_state_dict"]) == []


def test_metadata_goes_with_the_keys(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    wrapped = nn.DataParallel(nn.Sequential(OrderedDict(body=model)))
    source = write({"model": wrapped.state_dict(), "epoch": 3}, tmp_path / "a.pth")
    options = SaveOptions(
        sections=(("model",),),
        strip_prefix=("module.",),
        rules=(Rule(r"^body\.", "features."),),
        add_prefix="net.",
    )
    save(source, tmp_path / "b.pth", options)
    after = load(tmp_path / "b.pth")
    holder = nn.Sequential(OrderedDict(net=nn.Sequential(OrderedDict(features=model))))
    wanted = holder.state_dict()
    assert list(after) == list(wanted)
    assert {k: v for k, v in wanted._metadata.items() if k} == {
        key: facts for key, facts in after._metadata.items() if key
    }
    holder.load_state_dict(after, strict=True)


def test_a_quantized_state_dict_loads_after_its_prefix_is_dropped(tmp_path: Path) -> None:
    def quantized() -> nn.Module:
        torch.manual_seed(0)
        with torch_files.prototypes():
            return torch.ao.quantization.quantize_dynamic(
                nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), {nn.Linear}
            )

    with torch_files.prototypes():
        wrapped = nn.Sequential(OrderedDict(module=quantized())).state_dict()
        source = write(wrapped, tmp_path / "a.pth")
        save(source, tmp_path / "b.pth", SaveOptions(strip_prefix=("module.",)))
        after = load(tmp_path / "b.pth")
        model = quantized()
        model.load_state_dict(after, strict=True)
        assert torch.equal(model(torch.ones(1, 4)), quantized()(torch.ones(1, 4)))


def test_the_moving_average_takes_the_models_place(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    average = torch.optim.swa_utils.AveragedModel(model)
    for parameter in model.parameters():
        parameter.data += 1
    source = write(
        {"model": model.state_dict(), "model_ema": average.state_dict(), "epoch": 4},
        tmp_path / "a.pth",
    )
    made, _ = save(source, tmp_path / "b.pth", SaveOptions(use_ema=True))
    after = load(tmp_path / "b.pth")
    assert list(after) == ["model", "epoch"]
    assert list(after["model"]) == list(model.state_dict())
    wanted = average.module.state_dict()
    assert all(torch.equal(after["model"][key], wanted[key]) for key in wanted)
    assert [(each.name, each.why) for each in made.left] == [("model_ema", "replaced")]
    save(source, tmp_path / "c.safetensors", SaveOptions(use_ema=True))
    plain = write(model.state_dict(), tmp_path / "d.pth")
    with pytest.raises(CannotSave, match="no moving average"):
        save(plain, tmp_path / "e.pth", SaveOptions(use_ema=True))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64", "complex64"])
@pytest.mark.parametrize("kind", ["mean", "weighted", "ema"])
def test_averages_are_those_of_torch_in_float64(dtype: str, kind: str, tmp_path: Path) -> None:
    torch.manual_seed(2)
    states, paths = [], []
    for number in range(3):
        weight = torch.randn(50, 40, dtype=torch.float64)
        if dtype == "complex64":
            weight = torch.complex(weight, torch.randn(50, 40, dtype=torch.float64))
        weight = weight.to(getattr(torch, dtype))
        state = {"a.weight": weight, "a.t": weight.t(), "n": torch.tensor(number)}
        states.append(state)
        paths.append(write({"model": state, "epoch": number}, tmp_path / f"{number}.pth"))
    weights, decay = (0.2, 0.5, 0.7), 0.9
    made, _ = save(
        paths, tmp_path / "b.pth", SaveOptions(averaging=Averaging(kind, weights, decay))
    )
    after = load(tmp_path / "b.pth")
    number = getattr(torch, dtype)

    def wide(tensor: torch.Tensor) -> torch.Tensor:
        """In float64; of complex numbers both parts alike."""
        return torch.view_as_real(tensor).double() if tensor.is_complex() else tensor.double()

    for key in ("a.weight", "a.t"):
        values = [wide(state[key]) for state in states]
        if kind == "mean":
            total = (values[0] + values[1] + values[2]) / 3
        elif kind == "weighted":
            parts = [value * weight for value, weight in zip(values, weights, strict=True)]
            total = (parts[0] + parts[1] + parts[2]) / sum(weights)
        else:
            total = values[0]
            for value in values[1:]:
                total = decay * total + (1 - decay) * value
        wanted = torch.view_as_complex(total.float()) if number.is_complex else total.to(number)
        assert bits(after[key]) == bits(wanted), key
    # Counters are those of the last.
    assert after["n"].item() == 2
    assert "epoch" in {each.name for each in made.left}


def test_averaging_says_what_does_not_match(tmp_path: Path) -> None:
    one = write({"a.weight": torch.ones(2)}, tmp_path / "1.pth")
    two = write({"a.weight": torch.ones(3)}, tmp_path / "2.pth")
    three = write({"b.weight": torch.ones(2)}, tmp_path / "3.pth")
    options = SaveOptions(averaging=Averaging())
    for paths, sentence in (
        ([one, two], "a.weight has another shape"),
        ([one, three], "a.weight is missing"),
        ([one], "two files or more"),
    ):
        with pytest.raises(CannotSave, match=sentence):
            save(paths, tmp_path / "b.pth", options)
    with pytest.raises(CannotSave, match="1 weights were given for 2 files"):
        save([one, one], tmp_path / "b.pth", SaveOptions(averaging=Averaging("weighted", (1.0,))))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (SaveOptions(sections=(("nothing",),)), "there is no part nothing"),
        (SaveOptions(dtypes=(DtypeRule("int8"),)), "int8 is no dtype to cast to"),
        (SaveOptions(rules=(Rule(r".*\.", ""),)), "two tensors would be called weight"),
        (SaveOptions(max_shard_bytes=10), "a shard size is only for .safetensors"),
    ],
)
def test_options_that_do_not_fit_are_a_sentence(
    options: SaveOptions, sentence: str, tmp_path: Path
) -> None:
    value = {"a.weight": torch.ones(2), "b.weight": torch.ones(2)}
    source = write({"model": value}, tmp_path / "a.pth")
    with pytest.raises(CannotSave, match=re.escape(sentence)):
        save(source, tmp_path / "b.pth", options)
    assert not (tmp_path / "b.pth").exists()


def test_device_tags_are_replaced(tmp_path: Path) -> None:
    source = write({"a.weight": torch.ones(2)}, tmp_path / "a.pth", location="cuda:1")
    save(source, tmp_path / "kept.pth")
    assert open_checkpoint(tmp_path / "kept.pth").tensors[0].device == "cuda:1"
    save(source, tmp_path / "b.pth", SaveOptions(device="cpu"))
    assert torch.load(tmp_path / "b.pth", weights_only=True)["a.weight"].sum() == 2


def test_planning_takes_short_steps_and_reads_nothing(tmp_path: Path) -> None:
    value = {f"{n}.weight": torch.zeros(1) for n in range(5000)}
    checkpoint = open_checkpoint(write(value, tmp_path / "a.pth"))
    (tmp_path / "a.pth").unlink()
    steps = planning([checkpoint], tmp_path / "b.safetensors", SaveOptions())
    assert sum(1 for _ in steps) > 5
    made = run_steps(planning([checkpoint], tmp_path / "b.safetensors", SaveOptions()))
    assert len(made.tensors) == 5000
    assert len(plan([checkpoint], tmp_path / "b.pth", SaveOptions()).tensors) == 5000


def test_names_and_written_objects_are_the_callers(tmp_path: Path) -> None:
    value: dict[str, Any] = {"model": {"a.weight": torch.ones(2)}, "epoch": 1}
    checkpoint = open_checkpoint(write(value, tmp_path / "a.pth"))
    made = plan([checkpoint], tmp_path / "b.pth", SaveOptions())
    assert [each.name for each in made.tensors] == ["model/a.weight"]
    one = plan([checkpoint], tmp_path / "b.pth", SaveOptions(sections=(("model",),)))
    assert [each.name for each in one.tensors] == ["a.weight"]
