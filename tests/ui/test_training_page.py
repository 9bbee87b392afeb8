"""The page of a training: what it says, a rehearsal by a real worker, and where rows lead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence

from inspector_app.analysis.resume_check import CheckStatus, Subject
from inspector_app.analysis.training_words import TEMPLATES
from inspector_app.ui.side_pages import SUMMARY, TRAINING
from inspector_app.ui.text_table import TextTable
from inspector_app.ui.training_page import TrainingPage
from inspector_app.ui.training_words import STATUSES, SUBJECTS

WORKER_MS = 60_000


def without_scheduler(parts: dict[str, Any]) -> None:
    """No worker is asked for the learning rate then."""
    del parts["scheduler"]


def checkpoint(path: Path, change: Any = None) -> Path:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
        scheduler.step()
    parts = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "epoch": 3,
        "history": {"loss": [3.0, 2.0, 1.5]},
        "args": {"lr": 0.1, "arch": "tiny", "amp": True},
    }
    if change is not None:
        change(parts)
    torch.save(parts, path)
    return path


@pytest.fixture
def turned(qtbot, opened):
    """Opens a file and turns to its training by a click."""

    def turn(path: Path) -> tuple[Any, TrainingPage]:
        tab = opened(path)
        bar = tab.side.pages.bar
        qtbot.waitUntil(lambda: bar.isTabVisible(TRAINING), timeout=5_000)
        qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(TRAINING).center())
        page = tab.side.pages.training
        qtbot.waitUntil(page.is_settled, timeout=10_000)
        qtbot.wait(20)  # until it is laid out: a click goes to a place
        return tab, page

    return turn


def test_weights_alone_have_no_such_page(qtbot, opened, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    tab = opened(path)
    assert not tab.side.pages.bar.isTabVisible(TRAINING)
    assert tab.side.pages.training is None


def test_what_it_says(qtbot, turned, tmp_path: Path) -> None:
    _, page = turned(checkpoint(tmp_path / "run.pth", without_scheduler))
    assert page.verdict() == "It can be resumed, with care."
    lines = page.checks.lines()
    assert ("ok", "Shapes") in {(word, title) for word, title, _ in lines}
    assert lines[0][0] == "careful", "what needs care comes first"
    (optimizer,) = page.optimizers
    assert [row[1] for row in optimizer.parameters.rows()] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]
    assert ["lr", "0.05"] in optimizer.groups.rows()
    assert ("args/arch", "tiny") in page.config.rows()
    (_, chart), *_ = page.histories
    assert list(chart.lines()[0].values) == [3.0, 2.0, 1.5]


def test_learning_rate_is_asked_of_torch_at_once(qtbot, turned, tmp_path: Path) -> None:
    _, page = turned(checkpoint(tmp_path / "run.pth"))
    qtbot.waitUntil(page.rehearsal.is_settled, timeout=WORKER_MS)
    past, future = page.rehearsal.rates.lines()
    assert list(past.values) == pytest.approx([0.1, 0.1, 0.05, 0.05])
    assert list(future.values)[:3] == pytest.approx([0.05, 0.025, 0.025])
    assert future.dashed
    assert not past.dashed


def rehearsed(qtbot, page: TrainingPage) -> None:
    qtbot.waitUntil(page.rehearsal.is_settled, timeout=WORKER_MS)
    qtbot.mouseClick(page.rehearsal.button, Qt.MouseButton.LeftButton)
    assert page.rehearsal.button.text() == "Cancel"
    qtbot.waitUntil(page.rehearsal.is_settled, timeout=WORKER_MS)
    assert page.rehearsal.button.text() == "Rehearse"


def test_rehearsal_that_works_and_one_that_is_cancelled(qtbot, turned, tmp_path: Path) -> None:
    _, page = turned(checkpoint(tmp_path / "run.pth"))
    rehearsed(qtbot, page)
    ((word, title, text),) = page.rehearsal.findings.lines()
    assert (word, title) == ("ok", "SGD")
    assert "4 parameters moved" in text
    with_state, without = page.rehearsal.curves.lines()
    assert with_state.values[-1] != without.values[-1]
    assert without.dashed
    qtbot.mouseClick(page.rehearsal.button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(page.rehearsal.button, Qt.MouseButton.LeftButton)
    assert page.rehearsal.is_settled()
    assert page.rehearsal.status() == "Cancelled."


def test_rehearsal_that_fails_says_what_to_do(qtbot, turned, tmp_path: Path) -> None:
    def widen(parts: dict[str, Any]) -> None:
        parts["optimizer"]["state"][0]["momentum_buffer"] = torch.zeros(3, 3)
        parts["epoch"] = 50

    _, page = turned(checkpoint(tmp_path / "bad.pth", widen))
    assert page.verdict() == "It cannot be resumed as it was."
    assert page.checks.lines()[0][:2] == ("fails", "Shapes")
    rehearsed(qtbot, page)
    texts = [text for _, _, text in page.rehearsal.findings.lines()]
    assert any("0.weight is [3, 3], the parameter is [8, 4]" in text for text in texts)
    assert any("The scheduler has counted 3 steps" in text for text in texts)
    assert any("first step fails" in text for text in texts)


def test_python_without_torch_is_a_sentence_with_another_button(
    qtbot, turned, tmp_path: Path
) -> None:
    _, page = turned(checkpoint(tmp_path / "run.pth", without_scheduler))
    qtbot.mouseClick(page.rehearsal.button, Qt.MouseButton.LeftButton)
    page.rehearsal.use_python(str(tmp_path / "nothing"))
    qtbot.waitUntil(page.rehearsal.is_settled, timeout=WORKER_MS)
    assert "cannot be started" in page.rehearsal.status()
    assert page.rehearsal.other.isVisible()


def test_a_row_leads_to_its_tensor(qtbot, turned, tmp_path: Path) -> None:
    tab, page = turned(checkpoint(tmp_path / "run.pth", without_scheduler))
    table = page.optimizers[0].parameters
    table.view.selectRow(2)
    qtbot.keyClick(table.view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: tab.node is not None, timeout=5_000)
    assert tab.node.path == ("optimizer", "state", 2, "momentum_buffer")


def test_rows_are_searched_and_copied(qtbot, turned, tmp_path: Path) -> None:
    def more(parts: dict[str, Any]) -> None:
        without_scheduler(parts)
        parts["args"] = {f"option_{number}": number for number in range(40)}

    _, page = turned(checkpoint(tmp_path / "run.pth", more))
    assert page.config.search.isVisible()
    qtbot.keyClicks(page.config.search, "option_7")
    assert page.config.rows() == [("args/option_7", "7")]
    page.config.view.selectRow(0)
    qtbot.keyClick(page.config.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QKeySequence(QKeySequence.StandardKey.Copy).toString() == "Ctrl+C"
    assert QGuiApplication.clipboard().text() == "args/option_7\t7"


def test_many_rows_are_searched_in_steps(qtbot) -> None:
    table = TextTable("Names", ["Name", "Number"])
    qtbot.addWidget(table)
    table.show_rows([(f"layer{number}", str(number)) for number in range(5_000)])
    qtbot.keyClicks(table.search, "layer49")
    assert table.is_searching()
    qtbot.keyClicks(table.search, "99")
    qtbot.waitUntil(lambda: not table.is_searching(), timeout=5_000)
    assert table.rows() == [("layer4999", "4999")]
    table.search.clear()
    assert not table.is_searching()
    assert len(table.rows()) == 5_000


def test_ambiguous_parameters_have_their_candidates_in_the_tip(
    qtbot, turned, tmp_path: Path
) -> None:
    def shuffle(parts: dict[str, Any]) -> None:
        without_scheduler(parts)
        state = parts["optimizer"]
        state["param_groups"][0]["params"] = [1, 3]
        state["state"] = {key: state["state"][key] for key in (1, 3)}

    _, page = turned(checkpoint(tmp_path / "run.pth", shuffle))
    table = page.optimizers[0].parameters
    rows = table.rows()
    tips = [
        table.view.model().index(row, 1).data(Qt.ItemDataRole.ToolTipRole)
        for row in range(len(rows))
    ]
    for row, tip in zip(rows, tips, strict=True):
        assert row[1] in ("0.bias", "2.bias") or "It may be 0.bias, 2.bias" in tip


def test_a_file_that_is_replaced_by_one_without(qtbot, turned, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "run.pth", without_scheduler)
    tab, page = turned(path)
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    tab.read()
    qtbot.waitUntil(tab.is_settled, timeout=10_000)
    qtbot.waitUntil(lambda: not tab.side.pages.bar.isTabVisible(TRAINING), timeout=5_000)
    assert tab.side.pages.bar.currentIndex() == SUMMARY
    assert page.state is None


def test_every_subject_status_and_sentence_has_words() -> None:
    subjects = {value for name, value in vars(Subject).items() if name.isupper()}
    statuses = {value for name, value in vars(CheckStatus).items() if name.isupper()}
    assert subjects == SUBJECTS.keys()
    assert statuses == STATUSES.keys()
    assert all(TEMPLATES.values())
