"""The lines for loading are run, on files that torch and its kin wrote, and must work."""

import argparse
import collections
import copy
import datetime
import json
import pathlib
import pickle
import random
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from torch import nn

from inspector_app.analysis.loading_code import (
    discouraged,
    discouraged_reason,
    loading_code,
    resume_code,
    tensor_line,
)
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import Checkpoint, Section

State = dict[str, torch.Tensor]


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def run(code: str | None, **names: Any) -> dict[str, Any]:
    """Run the lines as somebody would who pasted them; the names that exist then."""
    assert code is not None
    namespace: dict[str, Any] = dict(names)
    with warnings.catch_warnings():
        # torch's own deprecations (TorchScript, pickled storages) are not the lines' fault.
        warnings.simplefilter("ignore")
        exec(compile(code, "<loading code>", "exec"), namespace)
    return namespace


def trained() -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    """A network, its optimizer and scheduler after a few steps."""
    net = network(1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.rand(8, 3)).sum().backward()
        optimizer.step()
        scheduler.step()
    return net, optimizer, scheduler


def fresh() -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    net = network(2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.5)
    return net, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 9)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def in_order(state: State) -> State:
    return {key: state[key] for key in sorted(state)}


def prefixed(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


NET = network(1)
STATE: State = NET.state_dict()
FORMS: dict[str, Callable[[], Any]] = {
    "bare": lambda: STATE,
    "bare, parameters": lambda: dict(NET.named_parameters()) | dict(NET.named_buffers()),
    "training": lambda: {"epoch": 3, "model_state_dict": STATE, "loss": 0.5},
    "DataParallel": lambda: nn.DataParallel(NET).state_dict(),
    "DataParallel within": lambda: {"net": nn.DataParallel(NET).state_dict(), "epoch": 1},
    "compiled": lambda: prefixed("_orig_mod.", STATE),
    "stacked": lambda: {"state_dict": prefixed("module._orig_mod.", STATE)},
    "stacked the other way": lambda: prefixed("_orig_mod.module.", STATE),
    "compiled parts": lambda: {key.replace("0.", "0._orig_mod."): v for key, v in STATE.items()},
    "AveragedModel": lambda: torch.optim.swa_utils.AveragedModel(NET).state_dict(),
    "numbers among the tensors": lambda: {**STATE, "epoch": 3, "config": {"a": 1}},
    "many among the tensors": lambda: {**STATE, **{f"number{i}": i for i in range(12)}, 7: "x"},
    "Namespace": lambda: {"state_dict": STATE, "args": argparse.Namespace(lr=0.1)},
    "numpy scalars": lambda: {
        "model": STATE,
        "best": np.float64(0.5),
        "step": np.int32(3),
        "flag": np.bool_(True),
        "half": np.float16(1),
        "name": np.str_("x"),
        "z": np.complex64(1j),
    },
    "numpy array": lambda: {"model": STATE, "curve": np.arange(4), "names": np.array(["a", "bc"])},
    "plain data": lambda: {
        "model": STATE,
        "where": pathlib.Path("/data"),
        "when": datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc),
        "took": datetime.timedelta(seconds=3),
        "counts": collections.defaultdict(int),
        "frozen": frozenset({1}),
        "range": range(3),
        "version": torch.torch_version.TorchVersion("2.0"),
        "simple": types.SimpleNamespace(a=1),
        "dtype": torch.float16,
        "size": torch.Size([1]),
    },
    "a key that needs quoting": lambda: {"mo\"d'el\n\\": STATE, "epoch": 1},
    "Lightning": lambda: {
        "epoch": 1,
        "state_dict": STATE,
        "callbacks": {"EarlyStopping{}": {"best_score": torch.tensor(1.0), "patience": 3}},
        "optimizer_states": [],
        "hyper_parameters": {"hidden": 3},
    },
    "a tuple": lambda: (STATE, 3),
    "an average, too": lambda: {"model": STATE, "model_ema": network(9).state_dict()},
}


@pytest.fixture(autouse=True)
def _nothing_stays_allowed() -> Any:
    """The lines allow classes for one call: for the rest of the program nothing changes."""
    before = set(torch.serialization.get_safe_globals())
    yield
    after = set(torch.serialization.get_safe_globals())
    assert {each for each in after - before if not _registered(each)} == set()


def _registered(allowed: Any) -> bool:
    """Torch's own submodules allow their classes when something imports them."""
    kind = allowed[0] if isinstance(allowed, tuple) else allowed
    return kind.__module__.startswith("torch.")


def saved(value: Any, path: Path, legacy: bool = False) -> Checkpoint:
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return open_checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("form", FORMS)
def test_the_model_gets_its_weights(form: str, legacy: bool, tmp_path: Path) -> None:
    checkpoint = saved(FORMS[form](), tmp_path / 'it\'s a "file".pth', legacy)
    code = loading_code(checkpoint)
    assert "weights_only=True" in code
    model = network(5).train()
    run(code, model=model)
    assert same(dict(model.state_dict()), dict(STATE))
    assert not model.training
    assert discouraged_reason(checkpoint) is None


@pytest.mark.parametrize("form", FORMS)
def test_each_tensor_by_its_line(form: str, tmp_path: Path) -> None:
    value = FORMS[form]()
    checkpoint = saved(value, tmp_path / "x.pth")
    for tensor in checkpoint.tensors:
        expected = value
        for key in tensor.path:
            expected = expected[key]
        found = run(tensor_line(checkpoint, tensor))["tensor"]
        assert torch.equal(found, expected)


def test_several_models_have_variables_of_their_own(tmp_path: Path) -> None:
    states = {"netG": network(1), "netD": network(2), "torch": network(3), "a b": network(4)}
    value = {name: net.state_dict() for name, net in states.items()}
    code = loading_code(saved(value, tmp_path / "x.pth"))
    models = {name: network(9) for name in ("netG", "netD", "model", "a_b")}
    run(code, **models)
    for name, model in zip(states, models.values(), strict=True):
        assert same(dict(model.state_dict()), dict(states[name].state_dict()))


def test_an_average_is_mentioned_and_not_loaded(tmp_path: Path) -> None:
    code = loading_code(saved(FORMS["an average, too"](), tmp_path / "x.pth"))
    assert '# The averaged weights (EMA) are in checkpoint["model_ema"]' in code


def test_a_class_of_other_code_is_imported_and_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_settings.py").write_text(
        "class Settings:\n    def __init__(self): self.a = 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = __import__("their_settings")
    value = {"model": STATE, "s": settings.Settings()}
    code = loading_code(saved(value, tmp_path / "x.pth"))
    assert "weights_only=True" in code
    assert "from their_settings import Settings\n" in code
    assert "# This allows the file to make objects of their_settings.Settings" in code
    model = network(5)
    assert run(code, model=model)["checkpoint"]["s"].a == 1
    assert same(dict(model.state_dict()), dict(STATE))
    monkeypatch.delitem(sys.modules, "their_settings")


class Config:
    """Saved as if the script that trains had defined it."""

    def __init__(self) -> None:
        self.depth = 3


def test_a_class_of_the_training_script_is_expected_where_the_lines_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Config, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Config", Config, raising=False)
    code = loading_code(saved({"model": STATE, "config": Config()}, tmp_path / "x.pth"))
    result = run(code, model=network(5), Config=Config)
    assert result["checkpoint"]["config"].depth == 3


def test_a_function_of_other_code_needs_trust(tmp_path: Path) -> None:
    value = {"model": STATE, "activation": torch.nn.functional.gelu, "loss": nn.functional.l1_loss}
    code = loading_code(saved(value, tmp_path / "x.pth"))
    assert "weights_only=False" in code
    assert "torch.nn.functional.l1_loss" in code
    model = network(5)
    run(code, model=model)
    assert same(dict(model.state_dict()), dict(STATE))


FILLED: dict[str, Any] = {
    "defaultdict": collections.defaultdict(int, a=1),
    "deque": collections.deque([1, 2]),
}


@pytest.mark.parametrize("name", FILLED)
def test_containers_that_torch_does_not_fill_need_trust(name: str, tmp_path: Path) -> None:
    checkpoint = saved({"model": STATE, "x": FILLED[name]}, tmp_path / "x.pth")
    code = loading_code(checkpoint)
    assert f"collections.{name}" in code
    assert run(code, model=network(5))["checkpoint"]["x"] == FILLED[name]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_protocols(protocol: int, legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(STATE, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    model = network(5)
    code = loading_code(open_checkpoint(path))
    assert (f"weights_only={protocol < 4}") in code
    run(code, model=model)
    assert same(dict(model.state_dict()), dict(STATE))


class Touch:
    """Creates a file when it is unpickled the unsafe way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        import os

        return os.mkdir, (str(self.path),)


def test_a_hostile_file_is_not_loaded_with_weights_only_off(tmp_path: Path) -> None:
    made = tmp_path / "made"
    checkpoint = saved({"model": STATE, "x": Touch(made)}, tmp_path / "x.pth")
    code = loading_code(checkpoint)
    assert "weights_only=False" not in code
    assert "posix.mkdir" in code or "nt.mkdir" in code
    with pytest.raises(pickle.UnpicklingError):
        run(code, model=network())
    raw = tmp_path / "x.pkl"
    raw.write_bytes(pickle.dumps({"x": Touch(made)}, 2))
    assert run(loading_code(open_checkpoint(raw)))["checkpoint"] is None
    assert not made.exists()


def test_a_whole_model_says_why_that_is_discouraged(tmp_path: Path) -> None:
    for value, path in ((NET, ""), ({"model": NET, "epoch": 3}, "model")):
        checkpoint = saved(value, tmp_path / "x.pth")
        problem = discouraged(checkpoint)
        assert problem is not None
        assert problem.where == path
        reason = discouraged_reason(checkpoint)
        assert reason is not None
        assert "torch.nn.modules.container.Sequential" in reason
        assert "state_dict" in reason
        code = loading_code(checkpoint)
        assert "weights_only=False" in code
        result = run(code)
        assert same(dict(result["state_dict"]), dict(STATE))
        assert not result["model"].training
        for tensor in checkpoint.tensors:
            assert torch.equal(
                run(tensor_line(checkpoint, tensor))["tensor"], STATE[str(tensor.key)]
            )


def training_checkpoint(net: nn.Module, optimizer: Any, scheduler: Any) -> dict[str, Any]:
    return {
        "epoch": 3,
        "global_step": 120,
        "model_state_dict": nn.DataParallel(net).state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": scheduler.state_dict(),
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
        "args": argparse.Namespace(lr=0.1),
        "torch_rng": torch.get_rng_state(),
        "random_rng": random.getstate(),
        "numpy_rng": np.random.get_state(),
    }


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_training_goes_on_where_it_was(legacy: bool, tmp_path: Path) -> None:
    net, optimizer, scheduler = trained()
    value = training_checkpoint(net, optimizer, scheduler)
    expected = (torch.rand(2), random.random(), np.random.rand())
    checkpoint = saved(value, tmp_path / "x.pth", legacy)
    model, new_optimizer, new_scheduler = fresh()
    model.eval()
    scaler = torch.amp.GradScaler("cpu")
    torch.manual_seed(99)
    result = run(
        resume_code(checkpoint),
        model=model,
        optimizer=new_optimizer,
        scheduler=new_scheduler,
        scaler=scaler,
    )
    assert same(dict(model.state_dict()), dict(net.state_dict()))
    assert same(new_optimizer.state_dict(), optimizer.state_dict())
    assert same(new_scheduler.state_dict(), scheduler.state_dict())
    assert result["start_epoch"] == 4
    assert result["step"] == 120
    assert isinstance(result["device"], torch.device)
    assert next(model.parameters()).device.type == result["device"].type
    assert model.training
    assert torch.equal(torch.rand(2), expected[0])
    assert (random.random(), np.random.rand()) == expected[1:]
    # One more step gives what the run would have given.
    for each, step in ((net, optimizer), (model, new_optimizer)):
        step.zero_grad()
        each(torch.ones(8, 3)).sum().backward()
        step.step()
    assert same(dict(model.state_dict()), dict(net.state_dict()))


def test_a_scaler_gets_its_state(tmp_path: Path) -> None:
    net, optimizer, _ = trained()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(torch.ones(1))
    value = {"m": net.state_dict(), "o": optimizer.state_dict(), "s": scaler.state_dict()}
    code = resume_code(saved(value, tmp_path / "x.pth"))
    model, new_optimizer, _ = fresh()
    other = torch.amp.GradScaler("cpu")
    run(code, model=model, optimizer=new_optimizer, scaler=other)
    assert other.get_scale() == 8.0


def test_lists_of_optimizers_are_lists(tmp_path: Path) -> None:
    net, first, scheduler = trained()
    second = torch.optim.SGD(net.parameters(), 0.25, momentum=0.5)
    value = {
        "state_dict": net.state_dict(),
        "optimizer_states": [first.state_dict(), second.state_dict()],
        "lr_schedulers": [scheduler.state_dict()],
        "epoch": 0,
    }
    code = resume_code(saved(value, tmp_path / "x.pth"))
    model, optimizer, new_scheduler = fresh()
    optimizers = [optimizer, torch.optim.SGD(model.parameters(), 0.5)]
    result = run(code, model=model, optimizers=optimizers, scheduler=new_scheduler)
    assert same(optimizers[0].state_dict(), first.state_dict())
    assert optimizers[1].param_groups[0]["lr"] == 0.25
    assert same(new_scheduler.state_dict(), scheduler.state_dict())
    assert result["start_epoch"] == 1
    assert code is not None
    assert "torch.optim.SGD(" in code


def test_a_gan_resumes_both(tmp_path: Path) -> None:
    pairs = {}
    value: dict[str, Any] = {}
    for letter in "GD":
        net, optimizer, _ = trained()
        pairs[letter] = (net, optimizer)
        value[f"net{letter}"] = net.state_dict()
        value[f"opt{letter}"] = optimizer.state_dict()
    code = resume_code(saved(value, tmp_path / "x.pth"))
    new = {letter: fresh() for letter in "GD"}
    run(
        code,
        netG=new["G"][0],
        netD=new["D"][0],
        optG=new["G"][1],
        optD=new["D"][1],
    )
    for letter in "GD":
        assert same(dict(new[letter][0].state_dict()), dict(pairs[letter][0].state_dict()))
        assert same(new[letter][1].state_dict(), pairs[letter][1].state_dict())


def test_rng_states_in_a_mapping(tmp_path: Path) -> None:
    net, optimizer, _ = trained()
    cuda = [torch.zeros(16, dtype=torch.uint8)]
    rng = {"python": random.getstate(), "cpu": torch.get_rng_state(), "cuda": cuda}
    expected = torch.rand(3)
    value = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "rng": rng}
    code = resume_code(saved(value, tmp_path / "x.pth"))
    assert code is not None
    assert 'torch.cuda.set_rng_state_all(checkpoint["rng"]["cuda"])' in code
    model, new_optimizer, _ = fresh()
    torch.manual_seed(4)
    run(code, model=model, optimizer=new_optimizer)
    assert torch.equal(torch.rand(3), expected)


def test_what_cannot_be_resumed_has_no_lines(tmp_path: Path) -> None:
    assert resume_code(saved(STATE, tmp_path / "x.pth")) is None
    assert resume_code(saved({"model": STATE, "epoch": 3}, tmp_path / "y.pth")) is None


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    safetensors.torch.save_file(prefixed("module.", STATE), path, metadata={"format": "pt"})
    checkpoint = open_checkpoint(path)
    model = network(5)
    run(loading_code(checkpoint), model=model)
    assert same(dict(model.state_dict()), dict(STATE))
    for tensor in checkpoint.tensors:
        found = run(tensor_line(checkpoint, tensor))["tensor"]
        assert torch.equal(found, STATE[str(tensor.key).removeprefix("module.")])


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards(kind: str, tmp_path: Path) -> None:
    names = list(STATE)
    parts = {f"model-0000{i}-of-00002.{kind}": names[i - 1 :: 2] for i in (1, 2)}
    for file, keys in parts.items():
        part = {key: STATE[key].clone() for key in keys}
        if kind == "bin":
            torch.save(part, tmp_path / file)
        else:
            safetensors.torch.save_file(part, tmp_path / file)
    weight_map = {key: file for file, keys in parts.items() for key in keys}
    stem = "pytorch_model.bin" if kind == "bin" else "model.safetensors"
    index = tmp_path / f"{stem}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    for path in (index, tmp_path):
        checkpoint = open_checkpoint(path)
        model = network(5)
        run(loading_code(checkpoint), model=model)
        assert same(dict(model.state_dict()), dict(STATE))
        for tensor in checkpoint.tensors:
            found = run(tensor_line(checkpoint, tensor))["tensor"]
            assert torch.equal(found, STATE[str(tensor.key)])


def test_torchscript(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(copy.deepcopy(NET).eval()).save(str(path))
    checkpoint = open_checkpoint(path)
    result = run(loading_code(checkpoint))
    assert same(dict(result["state_dict"]), dict(STATE))
    assert not result["model"].training
    for tensor in checkpoint.tensors:
        if len(tensor.path) == 1:
            found = run(tensor_line(checkpoint, tensor))["tensor"]
            assert torch.equal(found, STATE[str(tensor.key)])
    assert discouraged_reason(checkpoint) is None
    assert resume_code(checkpoint) is None


class WithConstant(nn.Module):
    """Has a parameter, a buffer and a tensor that is neither."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("offset", torch.ones(2))
        self.factor = torch.full((2,), 2.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.linear(x) + self.offset) * self.factor


def test_exported_program(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    net = WithConstant().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net, (torch.rand(2, 3),)), path)
    checkpoint = open_checkpoint(path)
    result = run(loading_code(checkpoint))
    assert same(in_order(result["state_dict"]), in_order(net.state_dict()))
    x = torch.rand(2, 3)
    assert torch.allclose(result["model"](x), net(x))
    found = {
        tensor.key: run(tensor_line(checkpoint, tensor)).get("tensor")
        for tensor in checkpoint.tensors
    }
    assert same({key: found[key] for key in net.state_dict()}, net.state_dict())
    assert torch.equal(found["factor"], net.factor)


def test_onnx(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    onnx.save(onnx.helper.make_model(graph), path)
    checkpoint = open_checkpoint(path)
    assert np.array_equal(run(loading_code(checkpoint))["weights"]["w"], weight)
    found = run(tensor_line(checkpoint, checkpoint.tensors[0]))["tensor"]
    assert np.array_equal(found, weight)


def test_a_raw_pickle_of_numpy_says_what_it_does(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps({"w": np.arange(3), "b": np.float32(1)}, 2))
    code = loading_code(open_checkpoint(path))
    assert "trust" in code
    assert np.array_equal(run(code)["checkpoint"]["w"], np.arange(3))


EVIL = "x'\n\r\u2028\x0b\x1c\x85\"\"\"'''\\\nraise SystemExit('escaped')\n#"


def test_nothing_from_the_file_becomes_code(tmp_path: Path) -> None:
    folder = tmp_path / "a'b\nraise SystemExit('escaped')\n#"
    folder.mkdir()
    value = {
        EVIL: STATE,
        EVIL + "2": network(3).state_dict(),
        EVIL + "_ema": STATE,
        EVIL + "optimizer": trained()[1].state_dict(),
        EVIL + "args": {EVIL: 1, "lr": 1, "batch_size": 2},
        EVIL + "rng": [torch.get_rng_state()],
        "epoch": 3,
    }
    checkpoint = saved(value, folder / "x.pth")
    # A hostile stream can name anything; torch.save would not.
    odd = type(checkpoint.globals[0])(f"os.{EVIL}", ("call",), False)
    for names in ([], [odd]):
        checkpoint.globals += names
        checkpoint.root.type_name = EVIL
        for code in (
            loading_code(checkpoint),
            resume_code(checkpoint),
            *(tensor_line(checkpoint, tensor) for tensor in checkpoint.tensors[:3]),
        ):
            assert code is not None
            tree = compile(code, "<code>", "exec")
            assert "SystemExit" not in tree.co_names
            for line in code.splitlines():
                assert not line.startswith("raise")


@pytest.mark.parametrize(
    "name",
    [
        "torch.serialization.os.system",
        "torch.x.subprocess.Popen",
        "foo-bar.Baz",
        "a b.C",
        "x.class.Y",
        "m.K\nimport os",
        "ａ.B",
        ".X",
    ],
)
def test_names_that_are_no_names_are_refused(name: str, tmp_path: Path) -> None:
    checkpoint = saved({"model": STATE}, tmp_path / "x.pth")
    checkpoint.globals.append(type(checkpoint.globals[0])(name, ("call",), False))
    code = loading_code(checkpoint)
    compile(code, "<code>", "exec")
    assert "safe_globals" not in code
    assert "weights_only=True" in code


def test_keys_with_odd_letters_stay_readable(tmp_path: Path) -> None:
    code = loading_code(saved({"modèle": STATE, "epoch": 1}, tmp_path / "x.pth"))
    assert 'checkpoint["modèle"]' in code


class Recorder:
    """Takes whatever is loaded into it."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = dict(state)

    def eval(self) -> None: ...

    def train(self) -> None: ...

    def to(self, device: torch.device) -> None: ...


def corpus_files() -> list[str]:
    corpus = Path(__file__).resolve().parents[2] / "../shared/corpus"
    refused = {"README.md", "adam1.dat"}
    return sorted(
        str(path.relative_to(corpus))
        for path in corpus.rglob("*")
        if path.is_file() and path.name not in refused
    )


@pytest.mark.parametrize("name", corpus_files())
def test_real_files(name: str, corpus: Path) -> None:
    checkpoint = open_checkpoint(corpus / name)
    code = loading_code(checkpoint)
    compile(code, "<code>", "exec")
    if checkpoint.format in ("torch-zip", "torch-legacy") and "weights_only=True" in code:
        models = {variable: Recorder() for variable in _loaded_variables(code)}
        try:
            run(code, **models)
        except ImportError:
            pytest.skip("needs code that is not installed")
        sections = [s for s in checkpoint.sections if s.kind == "model"]
        assert len(models) == len(sections)
        for section, model in zip(sections, models.values(), strict=True):
            _agrees(checkpoint, section, model)
    resume = resume_code(checkpoint)
    if resume is not None:
        names = {variable: Recorder() for variable in _loaded_variables(resume)}
        try:
            run(resume, **names)
        except ImportError:
            pytest.skip("needs code that is not installed")
        assert all(each.state for each in names.values())


def _loaded_variables(code: str) -> list[str]:
    return [line.split(".")[0] for line in code.splitlines() if ".load_state_dict(" in line]


def _agrees(checkpoint: Checkpoint, section: Section, model: Recorder) -> None:
    node = checkpoint.find(section.path)
    assert node is not None
    shapes = {str(c.key): c.shape for c in node.children if c in checkpoint.tensors}
    for key, shape in shapes.items():
        loaded = model.state.get(key, model.state.get(key.removeprefix("module.")))
        assert loaded is not None
        assert tuple(loaded.shape) == shape
