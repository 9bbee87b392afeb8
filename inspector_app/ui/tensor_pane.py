"""What is selected: details of any node, and the values of a tensor."""

from __future__ import annotations

import os
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Node, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.checkpoint.values import ValueReader, stored
from inspector_app.ui.early_imports import EarlyImports
from inspector_app.ui.kernel_grid import has_kernels
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.node_view import NodeView
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.slice_field import SliceField
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.value_source import ValueSource

DETAILS, VALUES, PICTURE, KERNELS, HISTOGRAM, CHANNELS = range(6)
SETTLE_MS = 25  # while an arrow key runs through the tree, nothing is read


class TensorPane(QWidget):
    """Details, values, picture, histogram and channels of the selected node.

    Signals:
        message: one sentence, which is also shown below the page.
        settled: what the page in front shows is complete.
    """

    message = Signal(str)
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._checkpoint: Checkpoint | None = None
        self._reader: ValueReader | None = None
        self._tensor: TensorInfo | None = None
        self._source: ValueSource | None = None
        self._pages: dict[int, Any] = {}
        self._presented: tuple[int, ValueSource | None] | None = None
        self._saving = LatestWork(self)
        self._imports = EarlyImports(self)
        self._imports.ready.connect(self._present)
        self._node: Node | None = None
        self._looked_at = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SETTLE_MS)
        self._later.timeout.connect(self._present)

        self.tabs = QTabBar()
        self.tabs.setAccessibleName(self.tr("Views of the tensor"))
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(True)
        for title in (
            self.tr("Details"),
            self.tr("Values"),
            self.tr("Picture"),
            self.tr("Kernels"),
            self.tr("Histogram"),
            self.tr("Channels"),
        ):
            self.tabs.addTab(title)
        self.tabs.currentChanged.connect(self._page_chosen)
        self.details = NodeView()
        self.slice_field = SliceField()
        self.slice_field.changed.connect(self._later.start)
        self.raw = QCheckBox(self.tr("Stored &integers"))
        self.raw.setToolTip(self.tr("The quantized integers instead of what they stand for"))
        self.raw.toggled.connect(self._later.start)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.details)
        self._preparing = MutedLabel(self.tr("Preparing…"))
        self._preparing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack.addWidget(self._preparing)
        self._status = MutedLabel()
        self._status.setWordWrap(True)
        self._save = QToolButton()
        self._save.setText(self.tr("Save"))
        self._save.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._save.setAccessibleName(self.tr("Save or copy what is shown"))
        self._fill_menu()

        body = QVBoxLayout()
        body.setContentsMargins(16, 8, 16, 8)
        body.setSpacing(6)
        body.addWidget(self.slice_field)
        body.addWidget(self.raw)
        self._body = QWidget()
        self._body.setLayout(body)
        bottom = QHBoxLayout()
        bottom.setContentsMargins(16, 0, 16, 8)
        bottom.addWidget(self._status, 1)
        bottom.addWidget(self._save)
        self._bottom = QWidget()
        self._bottom.setLayout(bottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.tabs)
        layout.addWidget(self._body)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._bottom)
        self._show_controls()

    def _fill_menu(self) -> None:
        menu = QMenu(self._save)
        self.copy_action = QAction(self.tr("&Copy selected values"), self)
        self.copy_action.triggered.connect(self._copy)
        self.picture_action = QAction(self.tr("Save &picture…"), self)
        self.picture_action.triggered.connect(self._ask_picture)
        self.npy_action = QAction(self.tr("Save tensor as .&npy…"), self)
        self.npy_action.triggered.connect(self._ask_npy)
        self.cancel_action = QAction(self.tr("Cancel &saving"), self)
        self.cancel_action.triggered.connect(self._cancel_saving)
        for action in (self.copy_action, self.picture_action, self.npy_action, self.cancel_action):
            menu.addAction(action)
        menu.aboutToShow.connect(self._update_menu)
        self._save.setMenu(menu)

    # --- what is shown

    def set_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """Tensors shown from now on are this checkpoint's."""
        if checkpoint is not self._checkpoint:
            self.stop()
        self._checkpoint = checkpoint
        if checkpoint is not None and checkpoint.tensors:
            self._imports.expect()

    def show_node(self, node: Node | None) -> None:
        """Show another selection. The page in front stays, where the node has values."""
        # The first row of a file is selected without anybody asking for it.
        self._looked_at = self._node is not None and node is not self._node
        self._node = node
        self.details.show_node(node)
        tensor = node if isinstance(node, TensorInfo) else None
        if tensor is not self._tensor:
            self._cancel_pages()
            self._tensor, self._source = tensor, None
        self._show_controls()
        self._later.start()

    def page(self, number: int) -> Any:
        """One of the pages, made when it is needed first."""
        if number == DETAILS:
            return self.details
        if number not in self._pages:
            made = self._pages[number] = _make(number)
            holder = QWidget()
            layout = QVBoxLayout(holder)
            layout.setContentsMargins(16, 0, 16, 4)
            layout.addWidget(made)
            self._stack.addWidget(holder)
            made.failed.connect(self._failed)
            if number == VALUES:
                made.message.connect(self._say)
            else:
                made.finished.connect(self.settled)
        return self._pages[number]

    def current(self) -> int:
        """The number of the page in front."""
        return self.tabs.currentIndex() if self._tensor is not None else DETAILS

    def status(self) -> str:
        """The sentence below the page, or ""."""
        return self._status.text()

    def stop(self) -> None:
        """End all reading, and close the file."""
        self._later.stop()
        self._imports.stop()
        self._saving.stop()
        for page in self._pages.values():
            page.stop()
        self._node = self._tensor = self._source = self._presented = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _cancel_pages(self) -> None:
        for number, page in self._pages.items():
            page.show_source(None) if number == VALUES else page.cancel()
        self._presented = None

    def _page_chosen(self) -> None:
        self._show_controls()
        self._later.start()

    def _show_controls(self) -> None:
        tensor, number = self._tensor, self.current()
        self.tabs.setVisible(tensor is not None)
        self.tabs.setTabVisible(KERNELS, tensor is not None and has_kernels(tensor.shape))
        number = self.current()
        sliced = number in (VALUES, PICTURE)
        quantized = tensor is not None and stored(tensor).details.quantizer is not None
        self.slice_field.setVisible(sliced)
        self.raw.setVisible(quantized and number != DETAILS)
        self._body.setVisible(sliced or not self.raw.isHidden())
        self._bottom.setVisible(number != DETAILS)
        if number == DETAILS:
            self._stack.setCurrentWidget(self.details)

    def _present(self) -> None:
        """Let the page in front show the tensor as it is chosen now."""
        number, tensor = self.current(), self._tensor
        if tensor is None or self._checkpoint is None:
            return
        if self._looked_at or number != DETAILS:
            self._imports.begin()
        if number == DETAILS:
            return
        if number != VALUES and not self._imports.is_ready:
            self._stack.setCurrentWidget(self._preparing)
            return
        page = self.page(number)
        self._stack.setCurrentWidget(page.parentWidget())
        self._status.clear()
        try:
            source = self._chosen(tensor)
        except CheckpointError as error:
            self._failed(error)
            page.show_source(None)
            return
        if self._presented == (number, source):
            return
        self._presented = number, source
        for other, made in self._pages.items():
            if other != number:
                made.cancel() if other != VALUES else made.show_source(None)
        page.show_source(source)
        if number == VALUES:
            self._status.setText(page.note())
            self.settled.emit()

    def _chosen(self, tensor: TensorInfo) -> ValueSource:
        assert self._checkpoint is not None
        if self._reader is None:
            self._reader = ValueReader(self._checkpoint)
        raw = self.raw.isChecked() and not self.raw.isHidden()
        if self._source is None or self._source.raw != raw:
            shape = self._reader.elements(tensor, raw).shape
            self.slice_field.set_shape(shape)
        else:
            shape = self._source.shape
        self._source = ValueSource(self._reader, tensor, shape, self.slice_field.plane, raw)
        return self._source

    def _failed(self, error: Exception | None) -> None:
        if error is not None:
            self._status.setText(error_cause(error))
        self.settled.emit()

    # --- copying and saving

    def _update_menu(self) -> None:
        number = self.current()
        self.copy_action.setVisible(number == VALUES)
        self.picture_action.setVisible(number not in (DETAILS, VALUES))
        self.npy_action.setEnabled(self._source is not None and not self._saving.running)
        self.cancel_action.setVisible(self._saving.running)

    def _copy(self) -> None:
        self.page(VALUES).copy()

    def _ask_picture(self) -> None:
        filters = [self.tr("PNG picture") + " (*.png)", self.tr("SVG drawing") + " (*.svg)"]
        self._ask(self.tr("Save Picture"), filters, self.save_picture)

    def _ask_npy(self) -> None:
        filters = [self.tr("NumPy array") + " (*.npy)"]
        self._ask(self.tr("Save Tensor"), filters, self.save_npy)

    def _ask(self, title: str, filters: list[str], save: Any) -> None:
        if self._tensor is None:
            return
        dialog = QFileDialog(self, title)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters(filters)
        dialog.setDefaultSuffix(filters[0].rpartition("*.")[2].rstrip(")"))
        dialog.filterSelected.connect(
            lambda chosen: dialog.setDefaultSuffix(chosen.rpartition("*.")[2].rstrip(")"))
        )
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in str(self._tensor.key))
        dialog.selectFile(safe[:100].lstrip(".") or "tensor")
        dialog.fileSelected.connect(save)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def save_picture(self, path: str) -> None:
        """Write the plot in front to a .png or .svg file."""
        from inspector_app.ui.plot_style import save_picture

        try:
            save_picture(self.page(self.current()).frame.plot, path)
        except OSError as error:
            self._not_saved(error)
            return
        self._saved(path)

    def save_npy(self, path: str) -> None:
        """Write the whole tensor to a .npy file, in the background."""
        if self._source is None:
            return
        from inspector_app.analysis.npy_file import saving_npy

        source = self._source
        self._saving.run(
            saving_npy(source.reader, source.tensor, path, source.raw),
            self._saving_further,
            lambda dtype: self._npy_saved(path, dtype, source.tensor.dtype),
            self._not_saved,
        )

    def _cancel_saving(self) -> None:
        self._saving.cancel()
        self._status.setText(self.tr("Saving was cancelled."))

    def _saving_further(self, share: float) -> None:
        self._status.setText(self.tr("Saving: {share} %").format(share=int(share * 100)))

    def _npy_saved(self, path: str, dtype: str, own: str) -> None:
        self._saved(path)
        if dtype != own:
            said = self.tr("Saved as {dtype}: .npy files have no {own}.")
            self._status.setText(said.format(dtype=dtype, own=plain(own)))

    def _saved(self, path: str) -> None:
        name = plain(os.path.basename(path))
        self._say(self.tr("{name} was saved.").format(name=name))

    def _say(self, sentence: str) -> None:
        self._status.setText(sentence)
        self.message.emit(sentence)

    def _not_saved(self, error: Exception) -> None:
        if isinstance(error, OSError):
            reason = plain(error.strerror or str(error))
            self._status.setText(self.tr("It was not saved: {reason}.").format(reason=reason))
        else:
            self._status.setText(error_cause(error))


def _make(number: int) -> Any:
    """A page; each comes with its own imports."""
    if number == VALUES:
        from inspector_app.ui.value_grid import ValueGrid

        return ValueGrid()
    if number == PICTURE:
        from inspector_app.ui.heatmap_view import HeatmapView

        return HeatmapView()
    if number == KERNELS:
        from inspector_app.ui.kernel_grid import KernelGrid

        return KernelGrid()
    if number == HISTOGRAM:
        from inspector_app.ui.histogram_view import HistogramView

        return HistogramView()
    from inspector_app.ui.channel_view import ChannelView

    return ChannelView()
