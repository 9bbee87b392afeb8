"""The command and the Python that a dialog gives do what the dialog does."""

from __future__ import annotations

import shlex

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from inspector_app.analysis.convert_line import command_line
from inspector_app.analysis.key_mapping import Rule
from inspector_app.analysis.save_code import python_code
from inspector_app.analysis.save_options import Averaging, DtypeRule, SaveOptions, Ties
from inspector_app.analysis.save_plan import plan
from inspector_app.checkpoint import open_checkpoint
from inspector_app.cli import run as main
from inspector_app.saving.save import saving

MODEL = (("model",),)
OPTIONS = {
    "weights": (".safetensors", SaveOptions(sections=MODEL)),
    "model": (".safetensors", SaveOptions()),
    "average": (".safetensors", SaveOptions(use_ema=True)),
    "keys": (
        ".safetensors",
        SaveOptions(
            sections=MODEL,
            strip_prefix=("module.",),
            rules=(Rule(r"^layer(\d)", r"blocks.\1"),),
            add_prefix="-x.",
            keep=("*weight", "*bias"),
            drop=("*layer0*",),
        ),
    ),
    "values": (
        ".pth",
        SaveOptions(
            sections=MODEL,
            dtypes=(DtypeRule("bfloat16"), DtypeRule("float64", "*bias")),
            contiguous=True,
            ties=Ties.CLONE,
            device="cpu",
        ),
    ),
    "everything": (".pth", SaveOptions(dtypes=(DtypeRule("float16"),))),
    "all but one": (".pth", SaveOptions(drop=("optimizer",))),
    "two parts": (".pth", SaveOptions(sections=(("model",), ("optimizer",)))),
    "array": (".npz", SaveOptions(sections=MODEL, drop=("*half*",), ties=Ties.CLONE)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("code")
    torch.manual_seed(0)
    for n in range(3):
        model = {
            "module.layer0.weight": torch.randn(3, 4),
            "module.layer1.weight": torch.randn(4, 3).T,
            "module.layer1.bias": torch.randn(3),
            "module.half": torch.randn(3).bfloat16(),
            "module.steps": torch.tensor(n),
        }
        model["module.head.weight"] = model["module.layer0.weight"]
        average = {key: value * 3 for key, value in model.items()}
        state = {0: {"step": 1, "exp_avg": torch.randn(3)}}
        optimizer = {"state": state, "param_groups": [{"lr": 0.1, "params": [0]}]}
        whole = {"model": model, "ema": average, "optimizer": optimizer, "epoch": n}
        torch.save(whole, made / f"run's {n}.pth")
        torch.save(model, made / f"bare {n}.pth")
    return made


def loaded(path):
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".npz":
        numpy = pytest.importorskip("numpy")
        with numpy.load(path) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return torch.load(path, weights_only=True)


def assert_equal(one, other) -> None:
    assert type(one) is type(other) or isinstance(one, dict)
    if isinstance(one, dict):
        assert list(one) == list(other) or set(one) == set(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_equal(a, b)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    else:
        assert one == other


def carried_out(sources, target, options):
    """The plan, carried out."""
    made = plan([open_checkpoint(path) for path in sources], target, options)
    for _ in saving(made):
        pass
    return made


@pytest.mark.parametrize("name", OPTIONS)
def test_code_and_command_write_the_same(folder, tmp_path, capsys, name):
    ending, options = OPTIONS[name]
    sources = [str(folder / "run's 0.pth")]
    ours, theirs, command = (tmp_path / f"{each}{ending}" for each in ("ours", "code", "line"))
    made = carried_out(sources, ours, options)
    code = python_code(made, options, str(theirs))
    exec(compile(code, name, "exec"), {})
    assert_equal(loaded(ours), loaded(theirs))
    words = shlex.split(command_line(sources, str(command), options))
    assert main(words[1:]) == 0, capsys.readouterr().err
    assert command.read_bytes() == ours.read_bytes()
    if ending == ".safetensors":
        with safe_open(ours, "pt") as one, safe_open(theirs, "pt") as other:
            assert one.metadata() == other.metadata()


@pytest.mark.parametrize(
    "averaging",
    [Averaging(), Averaging("weighted", (0.5, -1.25, 3.0)), Averaging("ema", decay=0.75)],
)
def test_averages(folder, tmp_path, capsys, averaging):
    options = SaveOptions(averaging=averaging)
    sources = [str(folder / f"bare {n}.pth") for n in range(3)]
    ours, theirs, command = (tmp_path / f"{each}.pth" for each in ("ours", "code", "line"))
    made = carried_out(sources, ours, options)
    exec(compile(python_code(made, options, str(theirs)), "average", "exec"), {})
    assert_equal(loaded(ours), loaded(theirs))
    words = shlex.split(command_line(sources, str(command), options))
    assert main(words[1:]) == 0, capsys.readouterr().err
    assert command.read_bytes() == ours.read_bytes()


def test_what_was_written_is_read_again(folder, tmp_path, capsys):
    """From safetensors, in shards, and consent to replace."""
    first = tmp_path / "first.safetensors"
    carried_out([str(folder / "bare 0.pth")], first, SaveOptions())
    options = SaveOptions(max_shard_bytes=60)
    line = command_line([str(first)], str(tmp_path / "second.safetensors"), options)
    assert main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    assert (tmp_path / "second.safetensors.index.json").exists()
    again = SaveOptions(strip_prefix=("module.",))
    made = carried_out([str(first)], tmp_path / "third.pth", again)
    exec(compile(python_code(made, again, str(tmp_path / "code.pth")), "third", "exec"), {})
    assert_equal(loaded(tmp_path / "third.pth"), loaded(tmp_path / "code.pth"))
    line = command_line([str(first)], str(tmp_path / "third.pth"), again, force=True)
    assert main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    assert main(shlex.split(line)[1:-1]) == 2
