"""The window on real files: opening, closing, reloading, errors."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from inspector_app.checkpoint.model import Node, Progress, TensorInfo
from inspector_app.ui.checkpoint_tab import CheckpointTab
from inspector_app.ui.main_window import MainWindow

EPOCH_2 = "digits_cnn_epoch_2.pth"
WEIGHT = ("model_state_dict", "features.0.weight")


def drop(window: MainWindow, paths: list[Path]) -> bool:
    """Drop files on the window, as the platform would."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    accepted = enter(window, data)
    if accepted:
        how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
        where = QPointF(window.rect().center())
        dropped = QDropEvent(where, *how, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(window, dropped)
    return accepted


def enter(window: MainWindow, data: QMimeData) -> bool:
    """Drag something over the window; whether it would take it."""
    how = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
    event = QDragEnterEvent(window.rect().center(), *how, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(window, event)
    return event.isAccepted()


def press(tab: CheckpointTab, text: str, qtbot) -> None:
    banner = tab.card if tab.card.isVisible() else tab.banner
    (button,) = [button for button in banner.buttons() if button.text() == text]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_the_start_page_comes_first(window):
    assert window.start_page.isVisible()
    assert window.tab() is None
    assert window.windowTitle() == "Checkpoint Inspector"


def test_the_sample_opens_from_the_start_page(qtbot, window):
    button = window.start_page.drop_zone.sample_button
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    tab = window.tab()
    qtbot.waitUntil(tab.is_settled)
    assert tab.error is None
    assert tab.checkpoint.find(WEIGHT) is not None
    assert not window.start_page.isVisible()
    assert window.windowTitle().startswith("digits_cnn_epoch_4.pth")


def test_summary_of_a_training_checkpoint(opened, sample):
    tab = opened(sample)
    facts = tab.side.summary.facts()
    assert facts["Format"] == "PyTorch checkpoint (zip)"
    assert facts["File size"].endswith(f"({sample.stat().st_size:,} bytes)")
    assert facts["Devices"] == "cpu"
    assert facts["Model"].startswith("model_state_dict: 16 tensors")
    assert facts["Optimizer"].startswith("optimizer_state_dict")
    assert tab.side.summary.part("problems") == ""
    assert "torch.load" in tab.side.summary.part("code")
    assert tab.side.summary.has_resume_code()


def test_details_follow_the_selection(qtbot, opened, sample):
    tab = opened(sample)
    tab.tree.select_path(WEIGHT)
    qtbot.waitUntil(lambda: tab.node is not None and tab.node.path == WEIGHT)
    facts = tab.side.details.facts()
    assert facts["Name"] == "model_state_dict/features.0.weight"
    assert facts["Path"] == "['model_state_dict']['features.0.weight']"
    assert facts["Shape"] == "12 × 1 × 3 × 3"
    assert facts["Dtype"] == "float32, 4 bytes an element"
    tab.tree.select_path(("epoch",))
    qtbot.waitUntil(lambda: tab.node.path == ("epoch",))
    assert tab.side.details.value() == "4"
    assert "Shape" not in tab.side.details.facts()


def test_a_file_gets_one_tab(qtbot, window, opened, sample, samples, tmp_path):
    first = opened(sample)
    other = opened(samples / EPOCH_2)
    assert window.tab() is other
    link = tmp_path / "link.pth"
    link.symlink_to(sample)
    assert opened(link) is first
    assert window.tab() is first
    assert len(window.all_tabs()) == 2


def test_dropping_files_opens_each(qtbot, window, sample, samples):
    third = sample.with_name("third.pth")
    shutil.copy(sample, third)
    files = [sample, samples / EPOCH_2, third]
    assert drop(window, files)
    assert [tab.path for tab in window.all_tabs()] == list(map(str, files))
    for tab in window.all_tabs():
        qtbot.waitUntil(tab.is_settled)
    assert drop(window, [third])
    assert len(window.all_tabs()) == 3
    assert window.tab().path == str(third)


def test_dropping_something_else_is_refused(window):
    data = QMimeData()
    data.setUrls([QUrl("https://example.org/model.pth")])
    assert not enter(window, data)
    assert window.all_tabs() == []


def test_the_drop_zone_shows_that_it_would_take_files(window, sample):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(sample))])
    before = window.start_page.drop_zone.grab().toImage()
    assert enter(window, data)
    assert window.start_page.drop_zone.grab().toImage() != before


def test_what_is_no_checkpoint_is_a_banner(qtbot, window, opened, tmp_path):
    file = tmp_path / "notes & <b>more.pth"
    file.write_text("Dear diary,\n" * 20)
    tab = opened(file)
    assert tab.checkpoint is None
    assert tab.card.isVisible()
    assert tab.card.title() == "This is not a checkpoint"
    assert str(file) in tab.card.cause()
    assert tab.card.advice()
    assert window.tabs.tabText(0) == "notes && <b>more.pth"
    assert "&lt;b&gt;" in window.tabs.tabToolTip(0)
    assert QApplication.activeModalWidget() is None
    press(tab, "Close", qtbot)
    assert window.all_tabs() == []
    assert window.start_page.isVisible()


def test_try_again_after_the_file_came(qtbot, window, opened, sample, tmp_path):
    late = tmp_path / "late.pth"
    tab = opened(late)
    assert tab.error.code == "not-found"
    assert window.settings.recent_files() == []
    shutil.copy(sample, late)
    press(tab, "Try again", qtbot)
    qtbot.waitUntil(lambda: tab.is_settled() and tab.checkpoint is not None)
    assert not tab.card.isVisible()
    assert tab.tree.isVisible()
    assert window.settings.recent_files() == [str(late)]


def test_a_truncated_file_never_breaks_the_window(opened, sample):
    data = sample.read_bytes()
    for size in (0, 1, 30, 1_000, len(data) // 2, len(data) - 1):
        file = sample.with_name(f"cut_{size}.pth")
        file.write_bytes(data[:size])
        tab = opened(file)
        assert (tab.checkpoint is None) == tab.card.isVisible()
        if tab.checkpoint is not None:
            assert tab.side.summary.part("problems")
        else:
            assert tab.card.cause()


def test_a_bug_in_a_reader_is_a_banner_too(qtbot, monkeypatch, opened, sample):
    def breaks(path, limits):
        raise RuntimeError("a bug, not the file")
        yield

    monkeypatch.setattr("inspector_app.ui.file_reading.reading", breaks)
    tab = opened(sample)
    assert "RuntimeError: a bug, not the file" in tab.card.cause()
    press(tab, "Copy details", qtbot)
    assert "Traceback" in QApplication.clipboard().text()


def test_a_changed_file_is_offered_and_keeps_its_place(qtbot, opened, sample, samples):
    tab = opened(sample)
    tab.tree.collapse_all()
    tab.tree.select_path(WEIGHT)
    qtbot.waitUntil(lambda: tab.node is not None)
    expanded = tab.tree.expanded_paths()
    shutil.copy(samples / EPOCH_2, sample)
    qtbot.waitUntil(tab.banner.isVisible, timeout=10_000)
    assert tab.banner.title() == "The file changed on disk"
    assert tab.checkpoint.find(("epoch",)).value == 4
    press(tab, "Reload", qtbot)
    qtbot.waitUntil(lambda: tab.is_settled() and tab.checkpoint.find(("epoch",)).value == 2)
    assert not tab.banner.isVisible()
    qtbot.waitUntil(lambda: tab.node is not None)
    assert tab.node.path == WEIGHT
    assert tab.node is tab.checkpoint.find(WEIGHT)
    assert tab.tree.expanded_paths() == expanded


def test_a_vanished_file_keeps_what_is_shown(qtbot, opened, sample):
    tab = opened(sample)
    sample.unlink()
    qtbot.waitUntil(tab.banner.isVisible, timeout=10_000)
    assert tab.banner.title() == "The file is gone from the disk"
    press(tab, "Try again", qtbot)
    qtbot.waitUntil(lambda: tab.is_settled() and tab.error is not None)
    assert tab.checkpoint is not None
    assert tab.tree.isVisible()
    assert "no such file" in tab.banner.cause()


def test_reload_of_a_file_that_broke_keeps_what_is_shown(qtbot, window, opened, sample):
    tab = opened(sample)
    sample.write_bytes(b"")
    window.actions_by_id["reload"].trigger()
    qtbot.waitUntil(lambda: tab.is_settled() and tab.error is not None)
    assert tab.tree.isVisible()
    assert tab.banner.isVisible()
    assert not tab.card.isVisible()


def test_a_header_that_disagrees_is_told_once_the_tree_is_there(opened, sample):
    data = bytearray(sample.read_bytes())
    at = data.index(b"/data/0")  # Local headers stand before the directory.
    start = data.rindex(b"PK\x03\x04", 0, at)
    data[start + 6] ^= 0x40
    sample.write_bytes(data)
    tab = opened(sample)
    assert [problem.code for problem in tab.checkpoint.problems] == ["header-mismatch"]
    assert "the flags" in tab.side.summary.part("problems")


def test_reading_can_be_cancelled(qtbot, monkeypatch, window, sample):
    closed = []

    def endless(path, limits):
        try:
            while True:
                yield Progress("pickle", 1, 4)
        finally:
            closed.append(path)

    with monkeypatch.context() as patch:
        patch.setattr("inspector_app.ui.file_reading.reading", endless)
        (tab,) = window.open_paths([str(sample)])
        qtbot.waitUntil(window.activity_bar.isVisible)
        qtbot.mouseClick(window.activity_bar.cancel_button, Qt.MouseButton.LeftButton)
    assert closed == [str(sample)]
    assert tab.checkpoint is None
    assert not window.activity_bar.isVisible()
    assert tab.card.title() == "Reading was cancelled"
    press(tab, "Read it again", qtbot)
    qtbot.waitUntil(lambda: tab.is_settled() and tab.checkpoint is not None)


def test_closing_while_reading(qtbot, window, sample):
    window.open_paths([str(sample)])
    window.actions_by_id["close_tab"].trigger()
    assert window.all_tabs() == []
    qtbot.wait(50)


def nodes_alive() -> int:
    return sum(type(thing) in {Node, TensorInfo} for thing in gc.get_objects())


def test_closing_frees_the_file(qtbot, window, opened, sample):
    gc.collect()
    others = nodes_alive()  # that other tests keep
    tab = opened(sample)
    assert nodes_alive() > others + 100
    gc.disable()
    try:
        window.actions_by_id["close_tab"].trigger()
        del tab
        qtbot.waitUntil(lambda: nodes_alive() == others)
    finally:
        gc.enable()


def test_source_texts_are_shown(qtbot, opened, corpus):
    tab = opened(corpus / "pytorch__ios-demo-app" / "mobilenet_quantized.pt")
    sources = tab.side.summary.sources()
    assert sources.names.count() == 5
    qtbot.waitUntil(lambda: bool(sources.text()))
    first = sources.text()
    sources.names.setFocus()
    qtbot.keyClick(sources.names, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: sources.text() != first)
    assert any("def " in text for text in (first, sources.text()))


@pytest.mark.parametrize("folder", ["pytorch__ios-demo-app", "huggingface__candle"])
def test_real_files_open(opened, corpus, folder):
    for file in sorted((corpus / folder).rglob("*")):
        if file.is_file():
            tab = opened(file)
            assert tab.error is None, file
            assert tab.side.summary.facts()["Format"]
