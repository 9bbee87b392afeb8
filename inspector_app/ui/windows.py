"""The application with its window, until it is closed."""

from __future__ import annotations

import sys
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from inspector_app.ui import icons, settings, theme
from inspector_app.ui.collector import Collector
from inspector_app.ui.main_window import MainWindow

PAINTED_MS = 60
SETTLED_MS = 300


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


def show_until_closed(
    paths: list[str],
    compare: bool = False,
    socket: str = "",
    lock: int | None = None,
    reason: str = "",
) -> int:
    """Open a window with `paths`, or with the comparison of two; returns the exit status.

    Args:
        socket: where it takes files from later starts; "" where another window does, or none.
        lock: the descriptor that makes this window the one that does.
        reason: of `handing_over`, why the window that is open already did not take the files.
    """
    app = application()
    files = None
    if sys.platform == "darwin":
        from inspector_app.ui.file_open_events import FileOpenEvents

        files = FileOpenEvents(app)
    early: list[tuple[Any, ...]] = []
    sys.excepthook = lambda *raised: (sys.__excepthook__(*raised), early.append(raised))
    remembered = settings.Settings()
    theme.apply(remembered.read(settings.APPEARANCE))
    window = MainWindow(remembered, Collector(app))
    # First the files: the start page is never made if there are any.
    if compare and len(paths) == 2:
        window.compare(*paths)
    elif compare:
        QTimer.singleShot(PAINTED_MS, window, lambda: window.dialogs.compare_these(paths))
    else:
        window.open_paths(paths)
    window.show()
    if files is not None:
        files.serve(window)
    # Once the window is painted: a second start can wait, the first should not.
    QTimer.singleShot(PAINTED_MS, app, lambda: app.setWindowIcon(icons.application_icon()))
    QTimer.singleShot(PAINTED_MS, window, lambda: _catch_errors(window, early))
    QTimer.singleShot(
        SETTLED_MS, window, lambda: _settle(window, socket, lock, reason, bool(paths))
    )
    status = app.exec()
    window.deleteLater()
    return status


def _catch_errors(window: MainWindow, early: list[tuple[Any, ...]]) -> None:

    from inspector_app.ui.error_catching import ErrorCatching

    sys.excepthook = sys.__excepthook__
    catching = ErrorCatching(window, window)
    for _kind, error, trace in early:
        catching.note(error, trace)


def _settle(window: MainWindow, socket: str, lock: int | None, reason: str, asked: bool) -> None:
    """Take files from later starts and Ctrl+C from the terminal; keep what is open."""
    import signal

    # Python's own handler would only run after the next event that Python handles.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if socket and lock is not None:
        from inspector_app.ui.one_window import OneWindow

        OneWindow(window, socket, lock)
    if reason:
        from inspector_app.ui.window_words import alone_sentence

        window.say(alone_sentence(reason))
    from inspector_app.ui import session_window

    session_window.begin(window, asked)
