"""Below a page about a tensor: what is to be said, and saving or copying what is shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QPushButton, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.text_widgets import MutedLabel

if TYPE_CHECKING:
    from inspector_app.ui.value_source import ValueSource


class SaveBar(QWidget):
    """A sentence, a menu, and while a tensor is saved a button to cancel that.

    Args:
        page: gives the page in front, which has a ``frame`` with a plot, or can ``copy``.

    Attributes:
        source: what would be saved, or None.

    Signals:
        message: one sentence, which is also shown here.
    """

    message = Signal(str)

    def __init__(self, page: Callable[[], Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source: ValueSource | None = None
        self._page = page
        self._name = ""
        self._saving = LatestWork(self)
        self._status = MutedLabel()
        self._status.setWordWrap(True)
        self.cancel_button = QPushButton(self.tr("&Cancel"))
        self.cancel_button.setToolTip(self.tr("Stop saving; nothing of the file is left"))
        self.cancel_button.clicked.connect(self._cancel_saving)
        self.cancel_button.hide()
        self._button = QPushButton(self.tr("Save"))
        self._button.setAccessibleName(self.tr("Save or copy what is shown"))
        self._fill_menu()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 2, 16, 8)
        layout.addWidget(self._status, 1)
        layout.addWidget(self.cancel_button)
        layout.addWidget(self._button)

    def _fill_menu(self) -> None:
        menu = QMenu(self._button)
        self.copy_action = QAction(self.tr("&Copy selected values"), self)
        self.copy_action.triggered.connect(lambda: self._page().copy())
        self.picture_action = QAction(self.tr("Save &picture…"), self)
        self.picture_action.triggered.connect(self._ask_picture)
        self.npy_action = QAction(self.tr("Save tensor as .&npy…"), self)
        self.npy_action.triggered.connect(self._ask_npy)
        for action in (self.copy_action, self.picture_action, self.npy_action):
            menu.addAction(action)
        menu.aboutToShow.connect(self._update_menu)
        self._button.setMenu(menu)

    def call_tensor(self, key: str) -> None:
        """What files are to be called."""
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in key)
        self._name = safe[:100].lstrip(".") or "tensor"

    def status(self) -> str:
        """The sentence, or ""."""
        return self._status.text()

    def show_status(self, sentence: str) -> None:
        """Show a sentence here alone, unless saving is going on."""
        if not self._saving.running:
            self._status.setText(sentence)

    def say(self, sentence: str) -> None:
        """Show a sentence, here and where messages go."""
        self._status.setText(sentence)
        self.message.emit(sentence)

    def stop(self) -> None:
        """End the saving before the reader is closed."""
        self._saving.stop()
        self.cancel_button.hide()
        self.source = None

    def _update_menu(self) -> None:
        page = self._page()
        self.copy_action.setVisible(hasattr(page, "copy"))
        self.picture_action.setVisible(hasattr(page, "frame"))
        self.npy_action.setEnabled(self.source is not None and not self._saving.running)

    # --- files

    def _ask_picture(self) -> None:
        filters = [self.tr("PNG picture") + " (*.png)", self.tr("SVG drawing") + " (*.svg)"]
        self._ask(self.tr("Save Picture"), filters, self.save_picture)

    def _ask_npy(self) -> None:
        filters = [self.tr("NumPy array") + " (*.npy)"]
        self._ask(self.tr("Save Tensor"), filters, self.save_npy)

    def _ask(self, title: str, filters: list[str], save: Callable[[str], object]) -> None:
        dialog = QFileDialog(self, title)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters(filters)
        dialog.setDefaultSuffix(_suffix(filters[0]))
        dialog.filterSelected.connect(lambda chosen: dialog.setDefaultSuffix(_suffix(chosen)))
        dialog.selectFile(self._name)
        dialog.fileSelected.connect(save)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def save_picture(self, path: str) -> None:
        """Write the plot in front to a .png or .svg file."""
        from inspector_app.ui.plot_style import save_picture

        try:
            save_picture(self._page().frame.plot, path)
        except OSError as error:
            self._not_saved(error)
            return
        self._saved(path)

    def save_npy(self, path: str) -> None:
        """Write the whole tensor to a .npy file, in the background."""
        if self.source is None:
            return
        from inspector_app.analysis.npy_file import saving_npy

        source = self.source
        self._saving.run(
            saving_npy(source.reader, source.tensor, path, source.raw),
            self._saving_further,
            lambda dtype: self._npy_saved(path, dtype, source.tensor.dtype),
            self._not_saved,
        )
        self.cancel_button.show()
        self._saving_further(0.0)

    def _cancel_saving(self) -> None:
        self._saving.cancel()
        self.cancel_button.hide()
        self.say(self.tr("Saving was cancelled."))

    def _saving_further(self, share: float) -> None:
        self._status.setText(self.tr("Saving: {share} %").format(share=int(share * 100)))

    def _npy_saved(self, path: str, dtype: str, own: str) -> None:
        self.cancel_button.hide()
        self._saved(path)
        if dtype != own:
            said = self.tr("Saved as {dtype}: .npy files have no {own}.")
            self._status.setText(said.format(dtype=dtype, own=plain(own)))

    def _saved(self, path: str) -> None:
        name = plain(os.path.basename(path))
        self.say(self.tr("{name} was saved.").format(name=name))

    def _not_saved(self, error: Exception) -> None:
        self.cancel_button.hide()
        if isinstance(error, OSError):
            reason = plain(error.strerror or str(error))
            self._status.setText(self.tr("It was not saved: {reason}.").format(reason=reason))
        else:
            self._status.setText(error_cause(error))


def _suffix(name_filter: str) -> str:
    return name_filter.rpartition("*.")[2].rstrip(")")
