"""Files that macOS asks to open by an event: from the Finder, or dropped on the Dock's icon.

They may come before there is a window: then they wait for it.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication, QMainWindow


class FileOpenEvents(QObject):
    """An event filter of the application. On macOS alone: it sees each event of the program.

    Args:
        application: whose events they are.
    """

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._window: QMainWindow | None = None
        self._waiting: list[str] = []
        application.installEventFilter(self)

    def serve(self, window: QMainWindow) -> None:
        """Open files in `window` from now on, first those that came before."""
        self._window = window
        window.destroyed.connect(self._forget)
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._open(waiting)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.FileOpen and isinstance(event, QFileOpenEvent):
            # An address of the network is none of ours.
            if path := event.file():
                self._open([path])
            return True
        return super().eventFilter(watched, event)

    def _open(self, paths: list[str]) -> None:
        if self._window is None:
            self._waiting += paths
            return
        from inspector_app.ui.one_window import bring_to_front

        self._window.open_paths(paths)
        bring_to_front(self._window, "")

    def _forget(self) -> None:
        self._window = None
