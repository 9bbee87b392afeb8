"""What the tests of the window share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from comparison_waiting import wait_for_comparison
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication, QWidget

from inspector_app.ui import state_folder
from inspector_app.ui.settings import Settings


@pytest.fixture(autouse=True)
def _no_window_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that leaves a top-level widget on the screen fails."""
    yield
    if isinstance(app := QApplication.instance(), QApplication):
        app.processEvents()
        left = [widget for widget in app.topLevelWidgets() if widget.isVisible()]
        assert not left, f"left on the screen: {left}"


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """The ini file of the settings, in a folder of the test's own."""
    folder = tmp_path / "settings"
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))
    return folder / "checkpoint-inspector" / "checkpoint-inspector.ini"


@pytest.fixture
def remembered(settings_file: Path) -> Settings:
    """Settings that this test alone sees."""
    return Settings()


@pytest.fixture
def sample(samples: Path, tmp_path: Path) -> Path:
    """A copy of the bundled training checkpoint, to be changed at will."""
    return Path(shutil.copy(samples / "digits_cnn_epoch_4.pth", tmp_path / "epoch_4.pth"))


@pytest.fixture
def window(qtbot, remembered: Settings) -> Iterator[QWidget]:
    """The main window, shown and empty."""
    from inspector_app.ui.main_window import MainWindow

    made = MainWindow(remembered)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    yield made
    made.close()


@pytest.fixture
def opened(qtbot, window) -> Callable:
    """Opens one file and waits until the tab shows it, or its error."""

    def open_file(path: Path | str):
        (tab,) = window.open_paths([str(path)])
        qtbot.waitUntil(tab.is_settled, timeout=10_000)
        return tab

    return open_file


@pytest.fixture
def compared(qtbot, window) -> Callable:
    """Compares two files and waits until everything is known, or the error is shown."""

    def compare_files(a: Path | str, b: Path | str):
        tab = window.compare(str(a), str(b))
        wait_for_comparison(qtbot, tab)
        return tab

    return compare_files


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A private folder for sockets, whose paths may have about a hundred characters only."""
    with tempfile.TemporaryDirectory(prefix="ci-") as folder:
        yield Path(folder)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of sessions and reports, which this test alone sees."""
    monkeypatch.setattr(state_folder, "folder", lambda: str(tmp_path / "state"))
    return tmp_path / "state"
