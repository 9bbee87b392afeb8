"""The application with its window, until it is closed."""

from __future__ import annotations

import sys

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from inspector_app.ui import icons, meeting_place, settings, theme
from inspector_app.ui.collector import Collector
from inspector_app.ui.main_window import MainWindow

PAINTED_MS = 60
SETTLED_MS = 500


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


def show_until_closed(paths: list[str], new_window: bool, compare: bool = False) -> int:
    """Open a window, or hand `paths` to the one that is open; returns the exit status."""
    app = application()
    name = meeting_place.server_name()
    if not new_window and meeting_place.is_taken(name):
        from inspector_app.ui import one_window

        if one_window.hand_over(paths, name, compare):
            return 0
    remembered = settings.Settings()
    theme.apply(remembered.read(settings.APPEARANCE))
    window = MainWindow(remembered, Collector(app))
    # First the files: the start page is never made if there are any.
    if compare:
        window.compare(*paths)
    else:
        window.open_paths(paths)
    window.show()
    # Once the window is painted: a second start can wait, the first should not.
    QTimer.singleShot(PAINTED_MS, app, lambda: app.setWindowIcon(icons.application_icon()))
    QTimer.singleShot(SETTLED_MS, window, lambda: _be_reachable(window, "" if new_window else name))
    status = app.exec()
    window.deleteLater()
    return status


def _be_reachable(window: MainWindow, name: str) -> None:
    """Take files from later starts, and Ctrl+C from the terminal."""
    import signal

    # Python's own handler would only run after the next event that Python handles.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if name:
        from inspector_app.ui import one_window

        one_window.listen(window, name)
