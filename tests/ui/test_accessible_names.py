"""Every control of every page and dialog has a name, and the Tab key comes to it."""

from __future__ import annotations

import shutil

import pytest
from accessible_names import controls, unnamed, unreached
from PySide6.QtWidgets import QDialog, QLineEdit, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from inspector_app.ui.wizard_widgets import WizardPage

WEIGHT = ("model_state_dict", "features.4.weight")
PATIENCE_MS = 20_000


def check(root: QWidget, least: int) -> None:
    assert len(controls(root)) >= least
    assert unnamed(root) == []
    assert unreached(root) == []


def test_the_check_finds_what_it_looks_for(qtbot):
    root = QWidget()
    layout = QVBoxLayout(root)
    named, nameless, skipped = QPushButton("Go"), QLineEdit(), QWidget()
    inner = QVBoxLayout(skipped)
    for each in (QPushButton("a"), QPushButton("b")):
        inner.addWidget(each)
    # What has a focus proxy is one stop: its other controls are passed over.
    skipped.setFocusProxy(inner.itemAt(1).widget())
    for each in (named, nameless, skipped):
        layout.addWidget(each)
    qtbot.addWidget(root)
    root.show()
    assert unnamed(root) == ["QLineEdit"]
    assert unreached(root) == ["QPushButton < QWidget"]
    root.close()


def test_the_start_page(window, remembered, sample):
    remembered.add_recent(str(sample))
    window.start_page.set_recent([str(sample)])
    check(window, 3)


@pytest.fixture
def tab(window, opened, sample):
    # "Save as Best" writes beside it, and asks where there is such a file already.
    shutil.copy(sample, sample.with_name("epoch_4_best.pth"))
    return opened(sample)


def test_the_pages_of_a_file(qtbot, window, tab):
    check(window, 8)
    tab.tree.select_path(WEIGHT)
    qtbot.waitUntil(lambda: tab.node is not None)
    bar = tab.side.tensor.tabs
    for page in range(bar.count()):
        if page:
            with qtbot.waitSignal(tab.side.tensor.settled, timeout=PATIENCE_MS):
                bar.setCurrentIndex(page)
        check(tab.side, 5)
    bar.setCurrentIndex(0)
    bar = tab.side.pages.bar
    for page in range(bar.count()):
        bar.setCurrentIndex(page)
        qtbot.waitUntil(lambda: len(controls(tab.side)) > 3, timeout=PATIENCE_MS)
        check(tab.side, 4)


@pytest.mark.parametrize(
    "name",
    [
        "export",
        "quantize",
        "save_as",
        "save_best",
        "transfer",
        "about",
        "shortcuts",
        "documentation",
        "report_problem",
    ],
)
def test_dialogs(qtbot, window, tab, name):
    window.actions_by_id[name].trigger()
    (dialog,) = [each for each in window.findChildren(QDialog) if each.isVisible()]
    check(dialog, 2)
    stacks = [
        stack
        for stack in dialog.findChildren(QStackedWidget)
        if isinstance(stack.widget(0), WizardPage)
    ]
    for stack in stacks:
        for page in range(1, stack.count()):
            stack.setCurrentIndex(page)
            check(dialog, 2)
        stack.setCurrentIndex(0)
    dialog.close()
    qtbot.waitUntil(lambda: not window.findChildren(QDialog), timeout=PATIENCE_MS)


def test_a_comparison(qtbot, window, compared, samples):
    tab = compared(samples / "digits_cnn_epoch_2.pth", samples / "digits_cnn_epoch_4.pth")
    check(window, 10)
    tab.tree.expand_all()
    tab.tree.view.go_to_line(2)
    qtbot.wait(100)
    check(window, 10)


def test_a_run(qtbot, window, tmp_path, samples):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("digits_cnn_epoch_2.pth", "digits_cnn_epoch_4.pth"):
        shutil.copy(samples / name, folder)
    (tab,) = window.open_paths([str(folder)])
    qtbot.waitUntil(tab.is_settled, timeout=PATIENCE_MS)
    check(window, 4)


def test_a_file_that_cannot_be_read(window, opened, tmp_path):
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    opened(tmp_path / "broken.pth")
    check(window, 2)
