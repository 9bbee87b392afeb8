"""The numbers of an optimizer get the names of their parameters, or the candidates: never a
wrong name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from trainings import network, state_of

from inspector_app.analysis.optimizer_state import Entry, OptimizerState
from inspector_app.analysis.parameter_names import How, Named, Parameter, Wanted, name_parameters
from inspector_app.analysis.training_state import TrainingState

Groups = list[list[int]]


def saved_with(
    tmp_path: Path, model: nn.Module, groups: list[list[nn.Parameter]], **more: Any
) -> TrainingState:
    """What is found after a step of Adam with these groups."""
    optimizer = torch.optim.Adam([{"params": group} for group in groups])
    for group in groups:
        for parameter in group:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), **more}
    return state_of(tmp_path / "x.pth", saved)


def found_in(state: TrainingState) -> OptimizerState:
    (optimizer,) = state.optimizers
    return optimizer


def names(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.named.name for entry in entries]


def twins(count: int = 3) -> nn.Sequential:
    """Layers that shapes do not tell apart."""
    return nn.Sequential(*(nn.Linear(4, 4) for _ in range(count)))


def test_all_parameters_in_order(tmp_path: Path) -> None:
    model = twins()
    found = found_in(saved_with(tmp_path, model, [list(model.parameters())]))
    assert names(found.entries) == [name for name, _ in model.named_parameters()]
    assert {entry.named.how for entry in found.entries} == {How.ORDER}
    assert found.in_order
    assert found.left_out == ()


def test_a_unique_shape_decides_whatever_the_order(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2))
    found = found_in(saved_with(tmp_path, model, [list(model.parameters())[::-1]]))
    assert names(found.entries) == [name for name, _ in model.named_parameters()][::-1]
    assert {entry.named.how for entry in found.entries} == {How.SHAPE}
    assert not found.in_order


def test_names_that_the_file_has(tmp_path: Path) -> None:
    model = twins()
    given = list(model.named_parameters())[::-1]
    optimizer = torch.optim.SGD(given, lr=0.1, momentum=0.9)
    for _, parameter in given:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    found = found_in(state_of(tmp_path / "x.pth", saved))
    assert names(found.entries) == [name for name, _ in given]
    assert {entry.named.how for entry in found.entries} == {How.GIVEN}


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_names_of_a_wrapped_model(wrapper: str, tmp_path: Path) -> None:
    """The model was wrapped when it was saved, and not when the optimizer was made; or so."""
    model = twins(2)
    optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1, momentum=0.9)
    weights = {f"{wrapper}{key}": value for key, value in model.state_dict().items()}
    found = found_in(state_of(tmp_path / "x.pth", {"m": weights, "o": optimizer.state_dict()}))
    assert names(found.entries) == list(weights)
    saved = optimizer.state_dict()
    saved["param_groups"][0]["param_names"] = list(weights)
    found = found_in(state_of(tmp_path / "x.pth", {"m": model.state_dict(), "o": saved}))
    assert names(found.entries) == list(model.state_dict())


def test_frozen_parameters_between_equal_ones_are_ambiguous(tmp_path: Path) -> None:
    model = twins(3)
    found = found_in(saved_with(tmp_path, model, [[model[0].weight, model[2].weight]]))
    assert names(found.entries) == ["", ""]
    first, second = (entry.named for entry in found.entries)
    assert first == Named("", How.OPEN, ("0.weight", "1.weight"), 2)
    assert second == Named("", How.OPEN, ("1.weight", "2.weight"), 2)
    assert found.left_out == ()


def test_frozen_parameters_that_shapes_tell_apart(tmp_path: Path) -> None:
    model = network()
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    found = found_in(saved_with(tmp_path, model, [trained]))
    expected = [name for name, p in model.named_parameters() if p.requires_grad]
    # The norm's weight and bias, and the frozen bias before them, have one shape.
    assert names(found.entries)[2:] == expected[2:]
    assert all(
        entry.named.name in ("", name) and (entry.named.name or name in entry.named.candidates)
        for entry, name in zip(found.entries, expected, strict=True)
    )


def test_groups_with_and_without_decay(tmp_path: Path) -> None:
    model = twins(3)
    decay = [p for p in model.parameters() if p.ndim > 1]
    none = [p for p in model.parameters() if p.ndim <= 1]
    found = found_in(saved_with(tmp_path, model, [decay, none]))
    assert names(found.entries) == [f"{n}.weight" for n in range(3)] + [
        f"{n}.bias" for n in range(3)
    ]


def test_groups_that_nothing_tells_apart(tmp_path: Path) -> None:
    """A backbone and a head of the same shapes, the head first."""
    model = twins(2)
    found = found_in(
        saved_with(tmp_path, model, [list(model[1].parameters()), list(model[0].parameters())])
    )
    assert names(found.entries) == [""] * 4
    assert found.entries[0].named.candidates == ("0.weight", "1.weight")


def test_one_group_decides_for_another(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(3, 4), nn.Linear(4, 4))
    first, *_, last = (layer.weight for layer in model)
    # After the (4, 3) only one (4, 4) is left; so the other group has the other.
    found = found_in(saved_with(tmp_path, model, [[model[1].weight, last], [first]]))
    assert names(found.entries) == ["1.weight", "3.weight", "0.weight"]


def test_tied_parameters_are_one(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 4), nn.Linear(4, 6, bias=False))
    model[2].weight = model[0].weight
    found = found_in(saved_with(tmp_path, model, [list(model.parameters())]))
    assert names(found.entries) == ["0.weight", "1.weight", "1.bias"]
    assert found.left_out == ()


def test_buffers_and_scalars(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logit_scale = nn.Parameter(torch.tensor(2.0))
            self.register_buffer("inv_freq", torch.ones(7))
            self.register_buffer("position_ids", torch.arange(5))
            self.norm = nn.BatchNorm1d(4)
            self.shift = nn.Parameter(torch.ones(1))

    model = Scaled()
    found = found_in(saved_with(tmp_path, model, [list(model.parameters())]))
    assert names(found.entries) == [name for name, _ in model.named_parameters()]
    assert [entry.shape for entry in found.entries] == [(), (1,), (4,), (4,)]
    assert found.left_out == ("inv_freq",)


def test_state_that_is_keyed_by_name(tmp_path: Path) -> None:
    model = twins(1)
    state = {key: {"step": 1, "exp_avg": value} for key, value in model.state_dict().items()}
    groups = [{"lr": 0.1, "params": list(state)}]
    saved = {"model": model.state_dict(), "optim": {"state": state, "param_groups": groups}}
    found = found_in(state_of(tmp_path / "x.pth", saved))
    assert names(found.entries) == ["0.weight", "0.bias"]
    assert {entry.named.how for entry in found.entries} == {How.GIVEN}


def test_no_state_means_no_shapes(tmp_path: Path) -> None:
    model = twins(2)
    plain = torch.optim.SGD(model.parameters(), lr=0.1).state_dict()
    found = found_in(state_of(tmp_path / "x.pth", {"model": model.state_dict(), "o": plain}))
    assert names(found.entries) == [name for name, _ in model.named_parameters()]
    half = torch.optim.SGD(model[1].parameters(), lr=0.1).state_dict()
    found = found_in(state_of(tmp_path / "y.pth", {"model": model.state_dict(), "o": half}))
    assert names(found.entries) == ["", ""]
    assert found.entries[0].named.candidates == ("0.weight", "0.bias", "1.weight")


def test_two_models_and_their_optimizers(tmp_path: Path) -> None:
    generator, critic = nn.Linear(3, 8), nn.Linear(8, 1)
    saved = {"netG": generator.state_dict(), "netD": critic.state_dict()}
    for key, model in (("optG", generator), ("optD", critic)):
        optimizer = torch.optim.Adam(model.parameters())
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        saved[key] = optimizer.state_dict()
    state = state_of(tmp_path / "x.pth", saved)
    assert [names(optimizer.entries) for optimizer in state.optimizers] == [
        ["netG/weight", "netG/bias"],
        ["netD/weight", "netD/bias"],
    ]


def test_one_optimizer_of_two_models(tmp_path: Path) -> None:
    one, two = nn.Linear(3, 8), nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*one.parameters(), *two.parameters()])
    for parameter in (*one.parameters(), *two.parameters()):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    saved = {"encoder": one.state_dict(), "decoder": two.state_dict(), "o": optimizer.state_dict()}
    found = found_in(state_of(tmp_path / "x.pth", saved))
    assert names(found.entries) == [
        "encoder/weight",
        "encoder/bias",
        "decoder/weight",
        "decoder/bias",
    ]


def test_equal_models_leave_it_open(tmp_path: Path) -> None:
    student, teacher = nn.Linear(3, 3), nn.Linear(3, 3)
    optimizer = torch.optim.Adam(student.parameters())
    for parameter in student.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    saved = {
        "student": student.state_dict(),
        "teacher": teacher.state_dict(),
        "o": optimizer.state_dict(),
    }
    found = found_in(state_of(tmp_path / "x.pth", saved))
    assert found.entries[0].named.candidates == ("student/weight", "teacher/weight")
    assert names(found.entries) == ["", ""]


@st.composite
def placings(draw: st.DrawFn) -> tuple[list[Parameter], Groups]:
    """A model of few shapes with ties, and groups of some of its parameters, each in order."""
    shapes = [(2,), (3,), (2, 3), ()]
    count = draw(st.integers(1, 9))
    parameters = []
    for number in range(count):
        tied = draw(st.integers(0, 9))
        if parameters and tied == 0:
            other = draw(st.sampled_from(parameters))
            parameters.append(Parameter(f"p{number}", other.shape, other.identity))
        else:
            parameters.append(Parameter(f"p{number}", draw(st.sampled_from(shapes)), number))
    # As `parameters()` does it: of tied ones the first.
    first = {
        parameter.identity: place for place, parameter in reversed(list(enumerate(parameters)))
    }
    groups: Groups = [[] for _ in range(draw(st.integers(1, 3)))]
    for place in sorted(first.values()):
        group = draw(st.integers(-1, len(groups) - 1))
        if group >= 0:
            groups[group].append(place)
    return parameters, groups


@given(placings(), st.data())
def test_never_wrong(placing: tuple[list[Parameter], Groups], data: st.DataObject) -> None:
    """Whatever is frozen or tied, and however it is grouped: a name is the right one, and where
    there is none the right one is a candidate."""
    parameters, groups = placing
    wanted = []
    for group in groups:
        row = []
        for place in group:
            known = data.draw(st.integers(0, 9))
            parameter = parameters[place]
            shape = None if known == 0 else parameter.shape
            row.append(Wanted(shape, parameter.name if known == 1 else ""))
        wanted.append(row)
    found = name_parameters(wanted, [parameters])
    assert found.in_order
    by_name = {parameter.name: parameter for parameter in parameters}
    for group, row in zip(groups, found.groups, strict=True):
        assert len(group) == len(row)
        for place, named in zip(group, row, strict=True):
            truth = parameters[place].identity
            if named.name:
                assert by_name[named.name].identity == truth
                assert named.total == 1
            else:
                assert named.total == len(named.candidates) > 1
                assert truth in {by_name[name].identity for name in named.candidates}


@given(placings())
def test_every_candidate_is_possible(placing: tuple[list[Parameter], Groups]) -> None:
    """Of one group: for each candidate there is a way to place the others."""
    parameters, groups = placing
    if len({parameter.identity for parameter in parameters}) < len(parameters):
        return
    group = groups[0]
    wanted = [Wanted(parameters[place].shape) for place in group]
    (found,) = name_parameters([wanted], [parameters]).groups
    for at, named in enumerate(found):
        for name in named.candidates:
            fixed = list(wanted)
            place = next(n for n, p in enumerate(parameters) if p.name == name)
            before, after = parameters[:place], parameters[place + 1 :]
            assert _fits(fixed[:at], before)
            assert _fits(fixed[at + 1 :], after)


def _fits(wanted: list[Wanted], parameters: list[Parameter]) -> bool:
    rest = iter(parameters)
    return all(any(each.shape == parameter.shape for parameter in rest) for each in wanted)


@given(placings(), st.randoms())
def test_in_any_order_shapes_alone_decide(
    placing: tuple[list[Parameter], Groups], random: Any
) -> None:
    parameters, groups = placing
    shuffled = [list(group) for group in groups]
    for group in shuffled:
        random.shuffle(group)
    wanted = [[Wanted(parameters[place].shape) for place in group] for group in shuffled]
    found = name_parameters(wanted, [parameters])
    by_name = {parameter.name: parameter for parameter in parameters}
    for group, row in zip(shuffled, found.groups, strict=True):
        for place, named in zip(group, row, strict=True):
            if named.how == How.SHAPE:
                assert by_name[named.name].identity == parameters[place].identity
            elif not found.in_order:
                assert parameters[place].identity in {
                    by_name[name].identity for name in named.candidates
                }


@pytest.mark.parametrize("count", [1, 40])
def test_many_candidates_are_counted(count: int) -> None:
    parameters = [Parameter(f"p{number}", (2,), number) for number in range(count + 200)]
    (found,) = name_parameters([[Wanted((2,))] * count], [parameters]).groups
    assert all(not named.name and named.total == 201 for named in found)
    assert all(len(named.candidates) == 16 for named in found)


def test_no_model_and_no_parameter() -> None:
    assert name_parameters([[Wanted((2,))]], []).groups == [[Named("", How.OPEN, (), 0)]]
    found = name_parameters([[Wanted((9,))]], [[Parameter("p", (2,), 0)]])
    assert found.groups == [[Named("", How.OPEN, (), 0)]]
    assert not found.in_order
