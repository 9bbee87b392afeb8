"""The checklist before resuming: what is wrong or missing is found, and said with its reason."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler
from trainings import OPTIMIZERS, network, state_of, trained

from inspector_app.analysis.resume_checklist import Check, Checklist, CheckStatus, checklist
from inspector_app.analysis.training_words import TEMPLATES


def checked(folder: Path, saved: Any, values: bool = False) -> Checklist:
    return checklist(state_of(folder / "x.pth", saved), values)


def codes(found: Checklist) -> dict[str, str]:
    return {check.words.code: check.status for check in found.checks}


def with_code(found: Checklist, code: str) -> Check:
    (check,) = [each for each in found.checks if each.words.code == code]
    return check


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """A checkpoint with everything in it, after three epochs of one step."""
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 10)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).pow(2).mean().backward()
        optimizer.step()
        scheduler.step()
    return {
        "epoch": 2,
        "global_step": 3,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
        "rng": torch.get_rng_state(),
    }


@pytest.fixture
def saved(whole: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(whole)


def test_everything_is_there(saved: dict[str, Any], tmp_path: Path) -> None:
    found = checked(tmp_path, saved, values=True)
    assert found.resumable
    assert found.finite
    assert codes(found) == {
        "resume-model": "ok",
        "resume-finite": "ok",
        "resume-optimizer": "ok",
        "resume-shapes-fit": "ok",
        "resume-names-order": "ok",
        "resume-steps": "ok",
        "resume-scheduler-epochs": "ok",
        "part-scaler": "ok",
        "part-rng": "ok",
        "resume-progress": "ok",
        "resume-no-data-loader": "note",
    }


@pytest.mark.parametrize(
    ("part", "code", "status"),
    [
        ("model", "resume-no-model", CheckStatus.FAILED),
        ("optimizer", "resume-no-optimizer", CheckStatus.FAILED),
        ("scheduler", "resume-scheduler-lost", CheckStatus.WARNING),
        ("scaler", "resume-no-scaler", CheckStatus.NOTE),
        ("rng", "resume-no-rng", CheckStatus.NOTE),
    ],
)
def test_a_part_is_absent(
    part: str, code: str, status: str, saved: dict[str, Any], tmp_path: Path
) -> None:
    del saved[part]
    found = checked(tmp_path, saved)
    assert with_code(found, code).status == status
    assert found.resumable == (status != CheckStatus.FAILED)


def test_a_bare_state_dict_cannot_be_resumed(tmp_path: Path) -> None:
    found = checked(tmp_path, network().state_dict())
    assert not found.resumable
    assert "momentum" in with_code(found, "resume-no-optimizer").words.message
    assert with_code(found, "resume-no-progress").status == CheckStatus.WARNING
    assert with_code(found, "resume-no-scheduler").status == CheckStatus.NOTE


def test_weights_that_are_not_finite(saved: dict[str, Any], tmp_path: Path) -> None:
    saved["model"]["3.weight"][0, 0] = float("nan")
    saved["optimizer"]["state"][0]["exp_avg_sq"][0, 0] = float("inf")
    assert checked(tmp_path, saved).resumable  # nobody looked
    found = checked(tmp_path, saved, values=True)
    assert not found.resumable
    message = with_code(found, "resume-not-finite").words.message
    assert message.startswith("2 tensors have NaN or infinite values")
    assert "model/3.weight" in message
    assert "optimizer/state/0/exp_avg_sq" in message


def test_a_file_that_is_cut_off(saved: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(saved, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-300])
    from inspector_app.analysis.training_state import training_state
    from inspector_app.checkpoint import open_checkpoint

    found = checklist(training_state(open_checkpoint(path)))
    assert not found.resumable
    assert with_code(found, "resume-model-torn").status == CheckStatus.FAILED


def test_entries_are_missing(saved: dict[str, Any], tmp_path: Path) -> None:
    del saved["optimizer"]["state"][4], saved["optimizer"]["state"][5]
    check = with_code(checked(tmp_path, saved), "resume-entries-missing")
    assert check.status == CheckStatus.WARNING
    assert "2 of 8 parameters have no state (3.weight, 3.bias)" in check.words.message


def test_a_state_that_is_empty(saved: dict[str, Any], tmp_path: Path) -> None:
    saved["optimizer"]["state"] = {}
    found = checked(tmp_path, saved)
    assert with_code(found, "resume-state-empty").status == CheckStatus.FAILED
    saved["epoch"] = saved["global_step"] = 0
    found = checked(tmp_path, saved)
    assert with_code(found, "resume-state-not-begun").status == CheckStatus.WARNING


def test_sgd_without_momentum_keeps_nothing(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = checked(
        tmp_path, {"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    )
    assert with_code(found, "resume-sgd-plain").status == CheckStatus.OK
    assert found.resumable


def test_what_a_step_needs_is_missing(saved: dict[str, Any], tmp_path: Path) -> None:
    del saved["optimizer"]["state"][1]["exp_avg_sq"]
    found = checked(tmp_path, saved)
    message = with_code(found, "resume-slots-missing").words.message
    assert message.startswith("1 parameters lack exp_avg_sq (0.bias)")
    assert not found.resumable


def test_a_wrong_shape(saved: dict[str, Any], tmp_path: Path) -> None:
    for slot in ("exp_avg", "exp_avg_sq"):
        saved["optimizer"]["state"][0][slot] = torch.zeros(9, 9)
    found = checked(tmp_path, saved)
    assert "0 [9, 9]" in with_code(found, "resume-shapes").words.message
    assert not found.resumable


def test_a_named_parameter_of_another_shape(tmp_path: Path) -> None:
    model, other = network(), network()
    optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    other[4] = torch.nn.Linear(5, 3)
    found = checked(tmp_path, {"model": other.state_dict(), "optimizer": optimizer.state_dict()})
    assert "4.weight [2, 5], 4.bias [2]" in with_code(found, "resume-shapes").words.message


def test_more_parameters_than_the_model_has(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 3)
    more = torch.nn.Linear(3, 3)
    optimizer = torch.optim.SGD([*model.parameters(), *more.parameters()], lr=0.1, momentum=0.9)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    found = checked(tmp_path, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    message = with_code(found, "resume-too-many").words.message
    assert message.startswith("The optimizer has 4 parameters and the model only 2")


def test_another_order(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Linear(6, 5))
    optimizer = torch.optim.SGD(list(model.parameters())[::-1], lr=0.1, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    found = checked(tmp_path, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    assert with_code(found, "resume-order").status == CheckStatus.WARNING


def test_frozen_parameters_are_named(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Linear(6, 5))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1, momentum=0.9)
    for parameter in model[1].parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    found = checked(tmp_path, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    check = with_code(found, "resume-left-out")
    assert check.status == CheckStatus.NOTE
    assert "(0.weight, 0.bias)" in check.words.message


def test_ambiguous_names(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1, momentum=0.9)
    for parameter in model[1].parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    found = checked(tmp_path, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    message = with_code(found, "resume-ambiguous").words.message
    assert message.startswith("For 2 of 2 parameters several of the model's come into question")


def test_states_without_a_group_and_groups_twice(saved: dict[str, Any], tmp_path: Path) -> None:
    saved["optimizer"]["state"][99] = {"exp_avg": torch.zeros(2)}
    assert (
        "1 entries that no param group lists (99)"
        in with_code(checked(tmp_path, saved), "resume-stray").words.message
    )
    saved["optimizer"]["param_groups"][0]["params"].append(0)
    found = checked(tmp_path, saved)
    assert with_code(found, "resume-twice").status == CheckStatus.FAILED
    saved["optimizer"]["param_groups"] = []
    assert "resume-no-groups" in codes(checked(tmp_path, saved))


def test_step_counters(saved: dict[str, Any], tmp_path: Path) -> None:
    saved["optimizer"]["state"][2]["step"] = torch.tensor(1.0)
    message = with_code(checked(tmp_path, saved), "resume-steps-differ").words.message
    assert message.startswith("Most parameters have made 3 steps, 1 have not (1.weight 1)")
    saved["optimizer"]["state"][2]["step"] = torch.tensor(3.0)
    saved["global_step"] = 12
    assert "resume-steps-multiple" in codes(checked(tmp_path, saved))
    saved["global_step"] = 13
    found = checked(tmp_path, saved)
    assert with_code(found, "resume-steps-other").status == CheckStatus.WARNING
    assert found.resumable


def test_of_many_counters_some_are_read(tmp_path: Path) -> None:
    count = 2_100
    weights = {f"w{number}": torch.ones(1) for number in range(count)}
    state = {number: {"step": 4, "exp_avg": torch.ones(1)} for number in range(count)}
    groups = [{"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.0, "params": list(range(count))}]
    saved = {"model": weights, "optimizer": {"state": state, "param_groups": groups}}
    message = with_code(checked(tmp_path, saved), "resume-steps-sampled").words.message
    assert message == "2048 of 2100 parameters were looked at; all of them have made 4 steps."


def test_a_scheduler_of_another_time(saved: dict[str, Any], tmp_path: Path) -> None:
    saved["scheduler"]["last_epoch"] = 7
    found = checked(tmp_path, saved)
    message = with_code(found, "resume-scheduler-elsewhere").words.message
    assert message.startswith("CosineAnnealingLR: it has made 7 steps, which fits neither (epoch 2")
    del saved["epoch"], saved["global_step"], saved["optimizer"]
    assert "resume-scheduler-alone" in codes(checked(tmp_path, saved))
    saved["scheduler"]["last_epoch"] = -1
    assert "resume-scheduler-uncounted" in codes(checked(tmp_path, saved))


def test_a_scheduler_that_counts_batches(saved: dict[str, Any], tmp_path: Path) -> None:
    saved["scheduler"]["last_epoch"] = 40
    del saved["global_step"], saved["optimizer"]
    message = with_code(checked(tmp_path, saved), "resume-scheduler-batches").words.message
    assert "would be 20 for each epoch" in message


def test_rates_that_do_not_agree(saved: dict[str, Any], tmp_path: Path) -> None:
    saved["optimizer"]["param_groups"][0]["lr"] = 0.5
    found = checked(tmp_path, saved)
    assert "the param groups have 0.5" in with_code(found, "resume-scheduler-rates").words.message
    saved["scheduler"]["_last_lr"] = [0.1, 0.2]
    found = checked(tmp_path, saved)
    assert with_code(found, "resume-scheduler-groups").status == CheckStatus.FAILED


def test_mixed_precision_without_a_scaler(saved: dict[str, Any], tmp_path: Path) -> None:
    del saved["scaler"]
    saved["args"] = {"lr": 0.1, "batch_size": 2, "amp": True}
    check = with_code(checked(tmp_path, saved), "resume-no-scaler-but-mixed")
    assert check.status == CheckStatus.WARNING
    saved["args"]["amp"] = False
    assert "resume-no-scaler" in codes(checked(tmp_path, saved))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_can_be_resumed(name: str, tmp_path: Path) -> None:
    model, optimizer = trained(name)
    saved = {"epoch": 2, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    found = checked(tmp_path, saved, values=True)
    assert found.resumable
    assert with_code(found, "resume-optimizer").status == CheckStatus.OK


def test_every_sentence_is_said_somewhere() -> None:
    """A code that nobody uses would never be seen to be wrong."""
    folder = Path(__file__).parents[2] / "inspector_app" / "analysis"
    text = "".join(
        path.read_text() for path in folder.glob("*.py") if path.name != "training_words.py"
    )
    used = {code for code in TEMPLATES if f'"{code}"' in text}
    # Those that a code and an ending make.
    used |= {code for code in TEMPLATES if code.removesuffix("-over") in used}
    assert set(TEMPLATES) == used
