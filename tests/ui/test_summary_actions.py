"""What can be done with a file, from its summary: two buttons, and a menu for the rest."""

from __future__ import annotations

from pathlib import Path

import torch
from PySide6.QtGui import QGuiApplication

from inspector_app.ui.summary_view import SummaryView


def shown(qtbot, path: Path, value: object) -> SummaryView:
    from inspector_app.checkpoint import open_checkpoint

    torch.save(value, path)
    view = SummaryView()
    qtbot.addWidget(view)
    with qtbot.waitSignal(view.ready):
        view.show_checkpoint(open_checkpoint(path))
    return view


def test_each_action_says_what_is_wanted(qtbot, tmp_path) -> None:
    view = shown(qtbot, tmp_path / "a.pth", {"w": torch.ones(2)})
    for action, signal in (
        (view.actions.quantize, view.quantize_requested),
        (view.actions.transfer, view.transfer_requested),
        (view.actions.save, view.save_requested),
        (view.actions.clean_copy, view.clean_copy_requested),
        (view.actions.safety, view.safety_requested),
    ):
        with qtbot.waitSignal(signal):
            action.trigger()
    with qtbot.waitSignal(view.copy_requested) as copied:
        view.actions.copy_loading.trigger()
    assert copied.args == ["loading"]
    with qtbot.waitSignal(view.statistics_requested):
        view.actions.compute_button.click()
    with qtbot.waitSignal(view.export_requested):
        view.export_button.click()


def test_what_does_not_apply_is_not_offered(qtbot, tmp_path) -> None:
    view = shown(qtbot, tmp_path / "a.pth", {"epoch": 3})
    assert not view.actions.compute_button.isEnabled()
    assert not view.actions.copy_resume.isVisible()
    assert not view.has_resume_code()
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    value = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 1}
    view = shown(qtbot, tmp_path / "b.pth", value)
    assert view.actions.copy_resume.isVisible()
    assert view.has_resume_code()


def test_copying_from_the_menu(qtbot, window, tmp_path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"w": torch.ones(2)}, path)
    (tab,) = window.open_paths([str(path)])
    qtbot.waitUntil(lambda: tab.totals is not None, timeout=20_000)
    tab.side.summary.actions.copy_loading.trigger()
    assert "torch.load(" in QGuiApplication.clipboard().text()


def test_each_letter_leads_to_one_entry(qtbot) -> None:
    view = SummaryView()
    qtbot.addWidget(view)
    texts = [action.text() for action in view.actions.menu.actions() if action.text()]
    letters = [text[text.index("&") + 1].lower() for text in texts]
    assert len(set(letters)) == len(letters) == 7
