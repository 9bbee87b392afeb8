"""Optimizers are recognised by their states: all of torch's, and others by the keys they write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from trainings import OPTIMIZERS, network, state_of, trained

from inspector_app.analysis.optimizer_kind import KINDS, TORCH, recognise
from inspector_app.analysis.parameter_names import How
from inspector_app.analysis.training_state import training_state
from inspector_app.checkpoint import open_checkpoint


def test_every_optimizer_of_torch_is_tried() -> None:
    made = {
        name
        for name, each in vars(torch.optim).items()
        if isinstance(each, type) and issubclass(each, torch.optim.Optimizer)
    }
    assert made - {"Optimizer"} == set(OPTIMIZERS)
    assert {kind.name for kind in KINDS if kind.library == TORCH} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_after_some_steps(name: str, tmp_path: Path) -> None:
    model, optimizer = trained(name)
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    state = state_of(tmp_path / "x.pth", saved)
    (found,) = state.optimizers
    assert found.recognised.names == (name,)
    assert found.recognised.library == TORCH
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    given = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
    assert [entry.named.name for entry in found.entries] == given
    for entry, key in zip(found.entries, given, strict=True):
        kept = saved["optimizer"]["state"].get(entry.id, {})
        assert [slot.name for slot in entry.slots] == list(kept)
        if kept and name != "LBFGS":
            assert entry.shape == model.state_dict()[key].shape
    assert found.flat == (name == "LBFGS")
    tensors = [
        value
        for kept in saved["optimizer"]["state"].values()
        for value in kept.values()
        if isinstance(value, torch.Tensor)
    ]
    assert found.nbytes == sum(tensor.nbytes for tensor in tensors)
    assert state.model_nbytes == sum(tensor.nbytes for tensor in model.state_dict().values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_before_the_first_step(name: str, tmp_path: Path) -> None:
    """The options alone tell, but where two classes have the same ones."""
    _, optimizer = trained(name, steps=0)
    (found,) = state_of(tmp_path / "x.pth", {"optimizer": optimizer.state_dict()}).optimizers
    assert name in found.recognised.names
    if name not in ("Adamax", "RAdam"):
        assert found.recognised.names == (name,)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_adam_before_it_said_which(name: str, tmp_path: Path) -> None:
    """Until torch 2.7 both had the same keys: both are named, unless the file says which."""
    _, optimizer = trained(name)
    saved = optimizer.state_dict()
    for group in saved["param_groups"]:
        del group["decoupled_weight_decay"]
    (found,) = state_of(tmp_path / "x.pth", {"optimizer": saved}).optimizers
    assert found.kind == "Adam or AdamW"
    told = {"optimizer": saved, "args": {"optimizer": name.lower(), "lr": 1e-3}}
    (found,) = state_of(tmp_path / "y.pth", told).optimizers
    assert found.kind == name


def test_variants(tmp_path: Path) -> None:
    for name, expected in (
        ("SGD", ("momentum", "nesterov")),
        ("Adam", ("amsgrad",)),
        ("RMSprop", ("momentum", "centered")),
        ("AdamW", ()),
    ):
        _, optimizer = trained(name, steps=1)
        (found,) = state_of(tmp_path / "x.pth", {"optimizer": optimizer.state_dict()}).optimizers
        assert found.variant == expected


OTHERS: dict[str, tuple[tuple[str, ...], dict[str, Any], tuple[str, ...]]] = {
    "lion": (("Lion",), {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0}, ("exp_avg",)),
    "Adafactor of transformers": (
        ("Adafactor",),
        dict.fromkeys(
            "lr eps clip_threshold decay_rate beta1 weight_decay scale_parameter relative_step "
            "warmup_init".split(),
            None,
        ),
        ("step", "exp_avg_sq_row", "exp_avg_sq_col", "RMS"),
    ),
    "AdamW of transformers": (
        ("AdamW",),
        dict.fromkeys("lr betas eps weight_decay correct_bias".split(), 0.1),
        ("step", "exp_avg", "exp_avg_sq"),
    ),
    "apex": (
        ("FusedAdam",),
        dict.fromkeys("lr bias_correction betas eps weight_decay".split(), 0.1),
        ("exp_avg", "exp_avg_sq"),
    ),
    "bitsandbytes Adam": (
        ("Adam8bit", "AdamW8bit", "LAMB8bit"),
        dict.fromkeys("lr betas eps weight_decay alpha t_alpha t_beta3".split(), None),
        ("state1", "state2", "qmap1", "qmap2", "absmax1", "absmax2", "step"),
    ),
    "bitsandbytes Lion": (
        ("Lion8bit", "SGD8bit", "RMSprop8bit", "Adagrad8bit", "LARS8bit"),
        {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0},
        ("state1", "qmap1", "absmax1", "step"),
    ),
    "old Adam": (
        ("Adam", "AdamW"),
        {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False},
        ("step", "exp_avg", "exp_avg_sq"),
    ),
    "very old Adam or RAdam": (
        ("Adam", "RAdam"),
        {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0},
        ("step", "exp_avg", "exp_avg_sq"),
    ),
    "adabelief": (
        ("AdaBelief",),
        {"lr": 0.1, "betas": (0.9, 0.9), "eps": 1e-8, "weight_decay": 0, "amsgrad": False},
        ("step", "exp_avg", "exp_avg_var"),
    ),
    "nobody knows": ((), {"lr": 0.1, "spice": 3}, ("flavour",)),
}


@pytest.mark.parametrize("which", OTHERS)
def test_others(which: str) -> None:
    names, options, slots = OTHERS[which]
    assert recognise(options, options, slots).names == names


def test_torchao_keeps_torchs_options() -> None:
    _, optimizer = trained("AdamW", steps=0)
    options = optimizer.state_dict()["param_groups"][0]
    slots = ("step", "exp_avg", "exp_avg_sq")
    wrapped = recognise(options, options, slots, ["torchao.optim.subclass_8bit.OptimState8bit"])
    assert wrapped.names == ("AdamW8bit",)
    assert wrapped.library == "torchao.optim"


def test_shapes_of_factored_states(tmp_path: Path) -> None:
    model = nn.Conv2d(3, 5, (2, 4))
    optimizer = torch.optim.Adafactor(model.parameters())
    model(torch.randn(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    (found,) = state_of(tmp_path / "x.pth", saved).optimizers
    assert [entry.shape for entry in found.entries] == [(5, 3, 2, 4), (5,)]
    assert [entry.named.name for entry in found.entries] == ["weight", "bias"]


def test_a_pickled_optimizer_names_its_class(tmp_path: Path) -> None:
    model = network()
    # Not in the model's order: the parameters themselves are in the file.
    groups = [{"params": list(layer.parameters())} for layer in (model[4], model[0], model[3])]
    optimizer = torch.optim.RMSprop(groups, momentum=0.9)
    model(torch.randn(8, 4)).pow(2).mean().backward()
    optimizer.step()
    (found,) = state_of(
        tmp_path / "x.pth", {"model": model.state_dict(), "o": optimizer}
    ).optimizers
    assert found.recognised.names == ("RMSprop",)
    names = ["4.weight", "4.bias", "0.weight", "0.bias", "3.weight", "3.bias"]
    assert [entry.named.name for entry in found.entries] == names
    assert [entry.shape for entry in found.entries] == [
        model.state_dict()[name].shape for name in names
    ]
    assert {entry.named.how for entry in found.entries} == {How.GIVEN}


def test_the_corpus(corpus: Path) -> None:
    for name, kind, count in (
        ("analogdevicesinc__ai8x-synthesis/ai85-mnist-qat8.pth.tar", "SGD", 31),
        ("analogdevicesinc__ai8x-synthesis/test-firetestnet-cifar10.pth.tar", "SGD", 4),
        ("chemprop__chemprop/example_model_v2_regression_mol.ckpt", "Adam or AdamW", 10),
        ("shaltielshmid__TorchSharp.PyBridge/adam_load.pth", "Adam or AdamW", 4),
        ("shaltielshmid__TorchSharp.PyBridge/sgd_load.pth", "SGD", 2),
        ("txie-93__cgcnn/band-gap.pth.tar", "SGD", 30),
    ):
        state = training_state(open_checkpoint(corpus / name))
        (found,) = state.optimizers
        assert found.kind == kind
        assert len(found.entries) == count
        for entry in found.entries:
            if state.models:
                assert entry.named.name
            if entry.shape is not None and state.models:
                tensor = state.models[0].tensors[entry.named.name]
                assert tensor.shape == entry.shape
            assert entry.named.how != How.GIVEN
