"""Save as Best: a copy beside the file, called ``…_best``."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import size_text
from inspector_app.checkpoint.text import plain
from inspector_app.saving.save import best_name
from inspector_app.ui.banner import INFO, WARNING, Banner
from inspector_app.ui.save_run import SaveRun
from inspector_app.ui.work_dialog import WorkDialog

if TYPE_CHECKING:
    from inspector_app.ui.main_window import MainWindow

_WIDTH = 560


class BestDialog(WorkDialog):
    """Copies at once, or asks where there is a best one already.

    Args:
        path: the checkpoint.
        files: how many files it consists of.

    Signals:
        open_requested: show this file in the main window.
        save_as_requested: it has to be saved in another way.
    """

    open_requested = Signal(str)
    save_as_requested = Signal()

    def __init__(self, path: str, files: int = 1, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.path = os.path.abspath(path)
        self.target = best_name(self.path)
        self.setWindowTitle(self.tr("Save as Best"))
        self.setMinimumWidth(_WIDTH)
        names = [plain(os.path.basename(each), 100) for each in (self.path, self.target)]
        self._title = QLabel(" → ".join(names))
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._title.setWordWrap(True)
        self.question = Banner()
        self.run = SaveRun()
        self.run.changed.connect(self._update)
        self.run.open_requested.connect(self.open_requested)
        self.close_button = QPushButton(self.tr("Close"))
        self.close_button.clicked.connect(self.close)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        for widget in (self._title, self.question, self.run):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addLayout(foot)
        if files > 1 or os.path.isdir(self.path):
            text = self.tr("{name} consists of several files").format(name=names[0])
            advice = self.tr("Save it as one, or in shards of another name.")
            button = (self.tr("Save &As…"), self._save_as)
            self.question.show_message(INFO, text, "", advice, [button])
        elif os.path.lexists(self.target):
            self._ask(names[1])
        else:
            self.copy(force=False)

    def copy(self, force: bool) -> None:
        """Copy; with `force` what is there is replaced."""
        from inspector_app.saving.copy_beside import copying

        self.question.hide()
        self.run.start(copying(self.path, self.target, force), self.target, [])

    def _ask(self, name: str) -> None:
        facts = ""
        try:
            found = os.stat(self.target)
        except OSError:
            found = None  # a link that leads nowhere
        if found is not None:
            when = datetime.fromtimestamp(found.st_mtime)
            facts = self.tr("{size}, of {when}").format(
                size=size_text(found.st_size), when=f"{when:%Y-%m-%d %H:%M}"
            )
        text = self.tr("{name} exists").format(name=name)
        replace = (self.tr("&Replace it"), lambda: self.copy(force=True))
        self.question.show_message(WARNING, text, facts, "", [replace])
        self.close_button.setText(self.tr("Keep it"))
        self.close_button.setFocus()

    def _save_as(self) -> None:
        self.save_as_requested.emit()
        self.close()

    def _update(self) -> None:
        self.close_button.setText(self.tr("Close"))
        self.close_button.setEnabled(not self.run.running)

    def cancel_work(self) -> bool:
        if not self.run.running:
            return False
        self.run.cancel()
        return True

    def done(self, result: int) -> None:
        # However it is closed, by the window's button or by Escape.
        self.run.stop()
        super().done(result)


def save_best(window: MainWindow, path: str, files: int) -> BestDialog:
    """Copy a checkpoint beside itself, as the best one."""
    dialog = BestDialog(path, files, window)
    dialog.open_requested.connect(lambda path: window.open_paths([path]))
    dialog.save_as_requested.connect(window.dialogs.save_as)
    dialog.show()
    return dialog
