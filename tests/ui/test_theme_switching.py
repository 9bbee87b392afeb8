"""Light and dark are switched while the window is open: what it shows then is what a window
shows that was opened so."""

from __future__ import annotations

import shutil

import pytest
from comparison_waiting import wait_for_comparison
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QPalette
from PySide6.QtWidgets import QDialog, QLabel, QWidget

from inspector_app.ui import theme
from inspector_app.ui.main_window import MainWindow
from inspector_app.ui.settings import Settings

WEIGHT = ("model_state_dict", "features.4.weight")
PATIENCE_MS = 20_000
SETTLE_MS = 60
# Of a picture's pixels: a colour that has fewer is that of a letter's edge, or none.
FEW, NONE, TOLERATED = 1e-4, 1e-5, 2e-3
# What is not of the same size, or does not know as much, each time.
LOOSE = frozenset({"Values", "Picture", "Kernels", "Histogram", "Channels", "run", "export"})


@pytest.fixture(autouse=True)
def _back_to_the_system(qapp):
    yield
    theme.apply(theme.SYSTEM)


class Views:
    """Opens something, and gives what can be looked at in it, one after the other."""

    def __init__(self, qtbot, window: MainWindow, samples, folder) -> None:
        self.qtbot, self.window, self.samples, self.folder = qtbot, window, samples, folder

    def start_page(self):
        self.window.start_page.set_recent([str(self.samples / "x.pth")])
        yield "start page", self.window

    def file(self):
        tab = self._file()
        yield "summary", self.window
        pane = tab.side.tensor
        for page in range(1, pane.tabs.count()):
            with self.qtbot.waitSignal(pane.settled, timeout=PATIENCE_MS):
                pane.tabs.setCurrentIndex(page)
            yield pane.tabs.tabText(page), pane
        bar = tab.side.pages.bar
        for page in range(1, bar.count()):
            bar.setCurrentIndex(page)
            self.qtbot.wait(200)
            yield bar.tabText(page), tab.side.pages

    def banner(self):
        tab = self._file()
        tab.banner.show_message("warning", "Title", "cause", "advice", [("Again", tab.read)])
        yield "banner", self.window

    def failure(self):
        (self.folder / "broken.pth").write_bytes(b"nothing")
        (tab,) = self.window.open_paths([str(self.folder / "broken.pth")])
        self.qtbot.waitUntil(tab.is_settled, timeout=PATIENCE_MS)
        yield "card", self.window

    def comparison(self):
        a, b = (self.samples / f"digits_cnn_epoch_{n}.pth" for n in (2, 4))
        tab = self.window.compare(str(a), str(b))
        wait_for_comparison(self.qtbot, tab)
        tab.tree.expand_all()
        self.qtbot.wait(300)
        yield "comparison", self.window

    def run(self):
        for number in (2, 4):
            shutil.copy2(self.samples / f"digits_cnn_epoch_{number}.pth", self.folder)
        (tab,) = self.window.open_paths([str(self.folder)])
        self.qtbot.waitUntil(tab.is_settled, timeout=PATIENCE_MS)
        yield "run", self.window

    def dialogs(self):
        self._file()
        for name in ("export", "save_as", "transfer", "shortcuts"):
            self.window.actions_by_id[name].trigger()
            (dialog,) = [each for each in self.window.findChildren(QDialog) if each.isVisible()]
            self.qtbot.wait(200)
            yield name, dialog
            dialog.close()
            self.qtbot.waitUntil(lambda: not self.window.findChildren(QDialog))

    def _file(self):
        path = self.samples / "digits_cnn_epoch_4.pth"
        (tab,) = self.window.open_paths([str(path)])
        self.qtbot.waitUntil(tab.is_settled, timeout=PATIENCE_MS)
        tab.tree.select_path(WEIGHT)
        self.qtbot.waitUntil(lambda: tab.node is not None)
        return tab


def picture(qtbot, widget: QWidget) -> QImage:
    if (focus := widget.window().focusWidget()) is not None:
        focus.clearFocus()
    qtbot.wait(SETTLE_MS)
    return widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)


def colours_of(image: QImage, bits: int):
    """The share of pixels that each colour has, told apart by so many bits of each channel."""
    import numpy as np

    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4)
    red, green, blue = (
        pixels[:, : image.width(), place].astype(int) >> (8 - bits) for place in range(3)
    )
    mixed = red << 2 * bits | green << bits | blue
    found = np.bincount(mixed.ravel(), minlength=1 << 3 * bits)
    return found / found.sum()


def differing(one: QImage, other: QImage) -> float:
    """The share of pixels in colours that the other picture has not as often, wherever."""
    import numpy as np

    return float(np.abs(colours_of(one, 3) - colours_of(other, 3)).sum() / 2)


def strange(one: QImage, other: QImage) -> float:
    """The share of pixels in colours that the other has not at all: for what may have
    another size, or know more, by the second time."""
    mine, its = colours_of(one, 4), colours_of(other, 4)
    return float(mine[(mine > FEW) & (its < NONE)].sum() + its[(its > FEW) & (mine < NONE)].sum())


def test_the_measure_sees_text_in_another_colour(qtbot):
    label = QLabel("some words that are to be read, in a colour of less weight\n" * 10)
    qtbot.addWidget(label)
    label.resize(1100, 760)
    before = picture(qtbot, label)
    assert differing(before, picture(qtbot, label)) == 0
    palette = label.palette()
    palette.setColor(QPalette.ColorRole.WindowText, QColor("#a3acba"))
    label.setPalette(palette)
    assert differing(before, picture(qtbot, label)) > TOLERATED


@pytest.mark.parametrize(
    "what", ["start_page", "file", "banner", "failure", "comparison", "run", "dialogs"]
)
def test_what_is_open_follows(qtbot, samples, tmp_path, what):
    pictures: list[dict[str, QImage]] = []
    for switched in (True, False):
        theme.apply(theme.LIGHT if switched else theme.DARK)
        window = MainWindow(Settings(remember=False))
        window.resize(1100, 760)
        window.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
        window.show()
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        seen = {}
        for name, widget in getattr(Views(qtbot, window, samples, folder), what)():
            if switched:
                picture(qtbot, widget)
                theme.apply(theme.DARK)
            seen[name] = picture(qtbot, widget)
            if switched:
                theme.apply(theme.LIGHT)
        pictures.append(seen)
        window.close()
        window.deleteLater()
        qtbot.wait(10)
    live, fresh = pictures
    assert live.keys() == fresh.keys()
    shares = {
        name: (strange if name in LOOSE else differing)(live[name], fresh[name]) for name in live
    }
    left = {name: share for name, share in shares.items() if share > TOLERATED}
    if left:
        for name in left:
            for kind, some in (("live", live), ("fresh", fresh)):
                some[name].save(str(tmp_path / f"{name.replace(' ', '_')}_{kind}.png"))
    assert left == {}, f"pictures in {tmp_path}"
