"""What of the window has to do with where files lie: pasting, their paths, their folders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QGuiApplication

from inspector_app.checkpoint.text import plain
from inspector_app.ui.copying import copy_text

if TYPE_CHECKING:
    from inspector_app.ui.main_window import MainWindow


class WindowFiles:
    """The slots of the table's actions about the files of the tab in front.

    Args:
        window: whose tabs they are.
    """

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def paste(self) -> None:
        """Open the files that are in the clipboard."""
        from inspector_app.ui.pasting import pasted_address, pasted_paths

        data = QGuiApplication.clipboard().mimeData()
        if paths := pasted_paths(data):
            self._window.open_paths(paths)
        elif pasted_address(data):
            self._window.say(_tr("Download the file first: only files of this computer are opened"))
        else:
            self._window.say(_tr("There is no file, and no path of one, in the clipboard"))

    def copy_file_path(self) -> None:
        """Copy where the file, or the files, of the tab in front lie."""
        if (tab := self._window.tab()) is not None:
            self.copy_paths(tab.paths())

    def copy_paths(self, paths: list[str]) -> None:
        """Copy where these lie, a line for each."""
        from inspector_app.file_urls import text_of

        copy_text(text_of("\n".join(paths)))
        what = plain(paths[0], 120) if len(paths) == 1 else _tr("{n} paths").format(n=len(paths))
        self._window.say(_tr("Copied {text}").format(text=what))

    def show_file(self) -> None:
        """Show the file of the tab in front in the desktop's file manager."""
        if (tab := self._window.tab()) is not None:
            self.show_path(tab.paths()[0])

    def show_path(self, path: str) -> None:
        """Show one file in the desktop's file manager; of one that is gone its folder."""
        from inspector_app.ui.show_in_folder import show_in_folder

        folder = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(folder):
            show_in_folder(path)
        else:
            self._window.say(_tr("{folder} is not there any more").format(folder=plain(folder)))

    def show_logs(self) -> None:
        """Show the folder with the reports of our own faults, and the session."""
        from inspector_app.ui import state_folder

        folder = state_folder.folder()
        if os.path.isdir(folder):
            self.show_path(os.path.join(folder, min(os.listdir(folder), default="")))
        else:
            self._window.say(_tr("There are no logs yet: {folder}").format(folder=plain(folder)))

    def reopen_tab(self) -> None:
        """Open what the tab showed that was closed last."""
        closed = self._window.tabs.closed
        if not closed:
            self._window.say(_tr("No tab was closed"))
            return
        kind, paths = closed.pop()
        tabs = self._window.tabs
        if kind == "comparison":
            tabs.compare(paths[0], paths[1])
        elif kind == "run" and len(paths) > 1:
            tabs.open_run(files=paths)
        elif kind == "run":
            tabs.open_run(paths[0])
        else:
            tabs.open_files(paths)


def _tr(text: str) -> str:
    return QCoreApplication.translate("WindowFiles", text)
