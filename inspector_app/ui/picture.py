"""The window, painted once into a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from PySide6.QtCore import QEventLoop, QIODevice, QSaveFile, QTimer

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, settings, theme
from inspector_app.ui.checkpoint_tab import CheckpointTab
from inspector_app.ui.collector import Collector
from inspector_app.ui.main_window import MainWindow
from inspector_app.ui.windows import application

if TYPE_CHECKING:
    from inspector_app.ui.compare_tab import CompareTab


def paint_once(paths: list[str], picture: str, size: tuple[int, int], compare: bool = False) -> int:
    """Paint the window with `paths` open, or compared, into the PNG file `picture`."""
    app = application()
    remembered = settings.Settings(remember=False)
    theme.apply(theme.SYSTEM)
    app.setWindowIcon(icons.application_icon())
    window = MainWindow(remembered, Collector(app))
    window.resize(*size)
    tabs = [window.compare(*paths)] if compare else window.open_paths(paths)
    window.show()
    loop = QEventLoop()

    def look() -> None:
        if all(tab.is_settled() for tab in tabs):
            loop.quit()

    window.settled.connect(look)
    # The splitters and the text blocks find their sizes in a round of events.
    if tabs:
        loop.exec()
    QTimer.singleShot(50, loop.quit)
    loop.exec()
    file = QSaveFile(picture)
    written = (
        file.open(QIODevice.OpenModeFlag.WriteOnly)
        and window.grab().save(file, "PNG")
        and file.commit()
    )
    window.close()
    if not written:
        return _trouble(f"{plain(picture)}: the picture could not be written: {file.errorString()}")
    failures = [tab for tab in tabs if tab.error is not None]
    for tab in failures:
        _trouble(_sentence(tab))
    return 2 if failures else 0


def _sentence(tab: CheckpointTab | CompareTab) -> str:
    path = plain(tab.path if isinstance(tab, CheckpointTab) else tab.failed_path)
    if isinstance(tab.error, CheckpointError):
        return f"{path}: {tab.error.message}"
    return f"{path}: {plain(f'{type(tab.error).__name__}: {tab.error}')}"


def _trouble(sentence: str) -> int:
    print(f"checkpoint-inspector: {sentence}", file=sys.stderr)
    return 2
