"""The application with its window, until it is closed."""

from __future__ import annotations

import sys

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from inspector_app.ui import icons, settings, theme
from inspector_app.ui.collector import Collector
from inspector_app.ui.main_window import MainWindow


def application() -> QApplication:
    """The one application of this process, made on first use."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    made = QApplication([sys.argv[0] if sys.argv else "checkpoint-inspector"])
    made.setApplicationName("checkpoint-inspector")
    made.setApplicationDisplayName("")
    # Desktops match it with the .desktop file, for the icon in the task bar.
    made.setDesktopFileName("checkpoint-inspector")
    return made


def show_until_closed(paths: list[str], new_window: bool) -> int:
    """Open a window, or hand `paths` to the one that is open; returns the exit status."""
    app = application()
    if not new_window:
        from inspector_app.ui import one_window

        if one_window.hand_over(paths):
            return 0
    remembered = settings.Settings()
    theme.apply(remembered.read(settings.APPEARANCE))
    window = MainWindow(remembered, Collector(app))
    # First the files: the start page is never made if there are any.
    window.open_paths(paths)
    window.show()
    QTimer.singleShot(0, app, lambda: app.setWindowIcon(icons.application_icon()))
    if not new_window:
        # Once the window is painted: a second start can wait, the first should not.
        QTimer.singleShot(0, window, lambda: one_window.listen(window))
    status = app.exec()
    window.deleteLater()
    return status
