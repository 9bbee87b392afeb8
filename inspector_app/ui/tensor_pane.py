"""What is selected: details of any node, and the values of a tensor."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QStackedWidget,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Node, TensorInfo
from inspector_app.checkpoint.values import ValueReader, stored
from inspector_app.ui.boxes import CheckBox
from inspector_app.ui.early_imports import EarlyImports
from inspector_app.ui.kernel_grid import has_kernels
from inspector_app.ui.node_view import NodeView
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.save_bar import SaveBar
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
        self.raw = CheckBox(self.tr("Stored &integers"))
        self.raw.setToolTip(self.tr("The quantized integers instead of what they stand for"))
        self.raw.toggled.connect(self._later.start)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.details)
        self._preparing = MutedLabel(self.tr("Preparing…"))
        self._preparing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack.addWidget(self._preparing)
        self._bar = SaveBar(lambda: self.page(self.current()))
        self._bar.message.connect(self.message)

        body = QVBoxLayout()
        body.setContentsMargins(16, 8, 16, 8)
        body.setSpacing(6)
        body.addWidget(self.slice_field)
        body.addWidget(self.raw)
        self._body = QWidget()
        self._body.setLayout(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.tabs)
        layout.addWidget(self._body)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._bar)
        self._show_controls()

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
            self._bar.source = None
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
                made.message.connect(self._bar.say)
            else:
                made.finished.connect(self.settled)
        return self._pages[number]

    def current(self) -> int:
        """The number of the page in front."""
        return self.tabs.currentIndex() if self._tensor is not None else DETAILS

    def status(self) -> str:
        """The sentence below the page, or ""."""
        return self._bar.status()

    def stop(self) -> None:
        """End all reading, and close the file."""
        self._later.stop()
        self._imports.stop()
        self._bar.stop()
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
        self._bar.setVisible(number != DETAILS)
        # Without anything above it, a page would touch the tabs.
        top = 8 if number != DETAILS and self._body.isHidden() else 0
        self._stack.setContentsMargins(0, top, 0, 0)
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
        self._bar.show_status("")
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
            self._bar.show_status(page.note())
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
        self._bar.source = self._source
        self._bar.call_tensor(str(tensor.key))
        return self._source

    def _failed(self, error: Exception | None) -> None:
        if error is not None:
            self._bar.show_status(error_cause(error))
        self.settled.emit()

    def save_picture(self, path: str) -> None:
        """Write the plot in front to a .png or .svg file."""
        self._bar.save_picture(path)

    def save_npy(self, path: str) -> None:
        """Write the whole tensor to a .npy file, in the background."""
        self._bar.save_npy(path)


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
