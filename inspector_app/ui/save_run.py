"""Writing a file from a dialog: progress that can be cancelled, and then what was written."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.text import plain
from inspector_app.file_urls import url_of
from inspector_app.saving.save import Saved, SaveProgress
from inspector_app.ui.banner import ERROR, GOOD, INFO, WARNING, Banner
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.wizard_widgets import row_of

_STEPS = 1_000
_MOST_NAMED = 3
_CHANGED = "file-changed"
Buttons = list[tuple[str, Callable[[], object]]]


class SaveRun(QWidget):
    """Hidden until something is written.

    Signals:
        changed: writing has begun, or ended.
        saved: the `Saved`.
        read_again: a file has changed since it was read; it should be read again.
        open_requested: show this file in the main window.
    """

    changed = Signal()
    saved = Signal(object)
    read_again = Signal()
    open_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._work = LatestWork(self)
        self._target = ""
        self._more: Buttons = []
        self.banner = Banner()
        self.bar = QProgressBar()
        self.bar.setRange(0, _STEPS)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(self.tr("Progress of saving"))
        self._doing = QLabel()
        self.cancel_button = QPushButton(self.tr("Ca&ncel"))
        self.cancel_button.setToolTip(self.tr("Stop; nothing of the file is left"))
        self.cancel_button.clicked.connect(self.cancel)
        self._running_row = row_of(self.bar, self._doing, self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._running_row)
        layout.addWidget(self.banner)
        self.hide()

    @property
    def running(self) -> bool:
        """Something is being written."""
        return self._work.running

    def start(self, work: Generator[SaveProgress, None, Saved], target: str, more: Buttons) -> None:
        """Begin to write `target`.

        Args:
            more: buttons for when it is written, after those that every file has.
        """
        self._target, self._more = target, more
        self.banner.hide()
        self.bar.setValue(0)
        self._doing.setText("")
        self._running_row.show()
        self.show()
        self._work.run(work, self._further, self._done, self._failed)
        self.cancel_button.setFocus()
        self.changed.emit()

    def cancel(self) -> None:
        """Stop: what was at the target before still is."""
        if not self._work.running:
            return
        # Not before nothing is left of it: the next one may have the same name.
        self._work.stop()
        self._running_row.hide()
        said = self.tr("{name} was not written, and nothing is left of it.")
        self.banner.show_message(
            INFO, self.tr("Saving was cancelled"), "", said.format(name=self._name())
        )
        self.changed.emit()

    def stop(self) -> None:
        """End what is going on; nothing is shown any more."""
        self._work.stop()

    def forget(self) -> None:
        """Something else is chosen now: what was written is no news."""
        if not self.running:
            self.hide()

    def _name(self) -> str:
        return plain(os.path.basename(self._target), 120)

    def _further(self, progress: SaveProgress) -> None:
        self.bar.setValue(min(progress.done * _STEPS // max(progress.total, 1), _STEPS))
        if progress.proving:
            self._doing.setText(self.tr("Reading it again…"))
            return
        self._doing.setText(
            self.tr("{done} of {total}").format(
                done=size_text(progress.done), total=size_text(progress.total)
            )
        )

    def _done(self, saved: Saved) -> None:
        self._running_row.hide()
        title = self.tr("{name} was saved").format(name=self._name())
        facts = size_text(saved.nbytes)
        if len(saved.files) > 1:
            text = self.tr("{n} files, {size} together")
            facts = text.format(n=count_text(len(saved.files)), size=facts)
        kind, cause = GOOD, facts
        if saved.overflows:
            kind = WARNING
            named = ", ".join(
                f"{plain(each.name, 80)} ({count_text(each.count)}, {plain(each.dtype, 40)})"
                for each in saved.overflows[:_MOST_NAMED]
            )
            text = self.tr("{n} tensors have values that the dtype cannot hold: {names}")
            said = text.format(n=count_text(len(saved.overflows)), names=named)
            cause = f"{facts}\n{said}"
        path = saved.files[0]
        buttons: Buttons = [
            (self.tr("Open in inspector"), lambda: self.open_requested.emit(path)),
            (self.tr("Show in folder"), lambda: show_folder(path)),
            *self._more,
        ]
        self.banner.show_message(kind, title, cause, "", buttons)
        self.show()
        self.saved.emit(saved)
        self.changed.emit()
        self.banner.setFocus()

    def _failed(self, error: Exception) -> None:
        self._running_row.hide()
        if isinstance(error, OSError) and not isinstance(error, CheckpointError):
            cause = plain(error.strerror or str(error), 300)
        else:
            cause = error_cause(error)
        title = self.tr("{name} was not written").format(name=self._name())
        buttons: Buttons = []
        if isinstance(error, CheckpointError) and error.code == _CHANGED:
            buttons = [(self.tr("Read it again"), self.read_again.emit)]
        self.banner.show_message(ERROR, title, cause, "", buttons)
        self.show()
        self.changed.emit()


def show_folder(path: str) -> None:
    """Open the folder of a file in the system's file browser."""
    QDesktopServices.openUrl(QUrl(url_of(os.path.dirname(os.path.abspath(path)))))
