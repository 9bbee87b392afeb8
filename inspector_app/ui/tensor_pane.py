"""What is selected: details of any node, and the values of a tensor."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Node, TensorInfo
from inspector_app.checkpoint.values import ValueReader, stored
from inspector_app.ui.boxes import CheckBox
from inspector_app.ui.kernel_grid import has_kernels
from inspector_app.ui.node_view import NodeView
from inspector_app.ui.paged_pane import DETAILS, PagedPane
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.save_bar import SaveBar
from inspector_app.ui.slice_field import SliceField
from inspector_app.ui.value_source import ValueSource

VALUES, PICTURE, KERNELS, HISTOGRAM, CHANNELS = range(DETAILS + 1, 6)


class TensorPane(PagedPane):
    """Details, values, picture, histogram and channels of the selected node.

    A `message` is also shown below the page.
    """

    page_margins = (16, 0, 16, 4)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(NodeView(), parent)
        titles = (
            self.tr("Details"),
            self.tr("Values"),
            self.tr("Picture"),
            self.tr("Kernels"),
            self.tr("Histogram"),
            self.tr("Channels"),
        )
        self._add_tabs(self.tr("Views of the tensor"), titles)
        self._checkpoint: Checkpoint | None = None
        self._reader: ValueReader | None = None
        self._tensor: TensorInfo | None = None
        self._source: ValueSource | None = None
        self._presented: tuple[int, ValueSource | None] | None = None
        self._node: Node | None = None
        self._looked_at = False
        self.slice_field = SliceField()
        self.slice_field.changed.connect(self._later.start)
        self.raw = CheckBox(self.tr("Stored &integers"))
        self.raw.setToolTip(self.tr("The quantized integers instead of what they stand for"))
        self.raw.toggled.connect(self._later.start)
        self._bar = SaveBar(lambda: self.page(self.current()))
        self._bar.message.connect(self.message)
        body = QVBoxLayout(self._body)
        body.setContentsMargins(16, 8, 16, 8)
        body.setSpacing(6)
        body.addWidget(self.slice_field)
        body.addWidget(self.raw)
        self.layout().addWidget(self._bar)
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

    def status(self) -> str:
        """The sentence below the page, or ""."""
        return self._bar.status()

    def stop(self) -> None:
        """End all reading, and close the file."""
        super().stop()
        self._bar.stop()
        self._node = self._tensor = self._source = self._presented = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _cancel_pages(self) -> None:
        for number, page in self._pages.items():
            page.show_source(None) if number == VALUES else page.cancel()
        self._presented = None

    def _listen_to(self, number: int, page: Any) -> None:
        if number == VALUES:
            page.message.connect(self._bar.say)
        else:
            page.finished.connect(self.settled)

    def _has_pages(self) -> bool:
        return self._tensor is not None

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

    def _make(self, number: int) -> Any:
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
