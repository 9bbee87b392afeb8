"""`training --rehearse` on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from inspector_app.cli import run
from inspector_app.terminal.rehearsal import Tried, text_lines
from inspector_app.terminal.style import Style
from inspector_app.worker.rehearsal_protocol import Finding, RateCurves, Rehearsed, ResumeCurves


@pytest.fixture
def trained(tmp_path: Path) -> Any:
    """Writes a checkpoint of a short training, after `change` to its parts."""

    def make(change: Any = None) -> Path:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 6], 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            scheduler.step()
        parts = {
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "scheduler_state_dict": scheduler.state_dict(),
            "epoch": 2,
        }
        if change is not None:
            change(parts)
        path = tmp_path / "run.pth"
        torch.save(parts, path)
        return path

    return make


def said(capsys: pytest.CaptureFixture[str], path: Path, *options: str) -> tuple[int, str, str]:
    status = run(["training", str(path), "--rehearse", *options])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_training_that_goes_on(trained, capsys, tmp_path) -> None:
    status, out, _ = said(capsys, trained(), "--json")
    rehearsal = json.loads(out)["rehearsal"]
    assert status == 0
    assert rehearsal["works"]
    (optimizer,) = rehearsal["optimizers"]
    assert (optimizer["class"], optimizer["scheduler"]) == ("SGD", "MultiStepLR")
    assert optimizer["stepped"]
    assert optimizer["scheduler_stepped"]
    assert optimizer["parameters_changed"] == 4
    (rates,) = rehearsal["rates"]
    assert rates["at"] == 3
    assert rates["past"][0] == pytest.approx([0.1, 0.1, 0.01, 0.01])
    assert rates["future"][0][:3] == pytest.approx([0.01, 0.01, 0.001])

    status, out, _ = said(capsys, tmp_path / "run.pth")
    assert "a step was taken: 4 parameters moved" in out
    assert "step 3: began at 0.1, now 0.01, then 0.01, 0.01, 0.001" in out


def test_a_training_that_fails_has_a_sentence_and_status_1(trained, capsys) -> None:
    def turn(parts: dict[str, Any]) -> None:
        state = parts["optimizer_state_dict"]["state"]
        state[0], state[2] = state[2], state[0]

    status, out, _ = said(capsys, trained(turn), "--json")
    found = json.loads(out)["rehearsal"]["optimizers"][0]["findings"]
    assert status == 1
    codes = [each["code"] for each in found]
    assert codes[0] in ("order-changed", "state-shape")
    assert "step-fails" in codes
    assert all(each["advice"] for each in found)


def test_text_fits_into_a_narrow_terminal() -> None:
    details = {"count": 2, "total": 6, "first": "first.weight, first.bias"}
    finding = Finding("state-missing", details)
    curves = ResumeCurves((1.0, 0.5), (1.0, 0.9), 8, True)
    rates = RateCurves("StepLR", 3, ((0.1,) * 4,), ((0.1,) * 20,), "", (finding,))
    result = Rehearsed("AdamW", "StepLR", True, True, 6, ((0.1, 0.01),) * 5, (finding,), curves)
    lines = list(text_lines(Tried((result,), (rates,)), Style(width=50)))
    assert max(map(len, lines)) <= 50
    wide = list(text_lines(Tried((result,), (rates,)), Style()))
    assert " ".join(" ".join(lines).split()) == " ".join(" ".join(wide).split())


def test_an_interpreter_without_torch_is_one_sentence(trained, capsys, tmp_path) -> None:
    status, out, err = said(capsys, trained(), "--python", str(tmp_path / "no-python"))
    assert status == 2
    assert out == ""
    assert "cannot be started" in err
    assert err.count("\n") == 1


def test_weights_alone_have_nothing_to_rehearse(tmp_path, capsys) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    status, out, _ = said(capsys, path, "--json", "--python", sys.executable)
    rehearsal = json.loads(out)["rehearsal"]
    assert (rehearsal["optimizers"], rehearsal["rates"]) == ([], [])
    assert status == 1
