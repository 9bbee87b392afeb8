"""One open file: the tree on the left, the file and the selected node on the right."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.model import Checkpoint, Node, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.activity_bar import Activity
from inspector_app.ui.checkpoint_tree import CheckpointTree
from inspector_app.ui.document_tab import DocumentTab
from inspector_app.ui.file_reading import FileReading
from inspector_app.ui.file_watch import Stamp, stamp
from inspector_app.ui.line_splitter import LineSplitter

if TYPE_CHECKING:
    from inspector_app.analysis.totals import Totals
    from inspector_app.ui.side_pane import SidePane
    from inspector_app.ui.statistics_run import StatisticsRun

AFTER_PAINT_MS = 40
SIDE_WIDTH = 300


class CheckpointTab(DocumentTab):
    """A file, from the moment it is asked for.

    Signals: those of `DocumentTab`, and
        export_requested: of the model, or the weights, at this path; None for any.
        quantize_requested, save_requested, transfer_requested: from a button of the summary.
        clean_copy_requested: tensors and plain data are to be saved alone.
    """

    kind = "file"
    export_requested = Signal(object)
    quantize_requested = Signal()
    save_requested = Signal()
    transfer_requested = Signal()
    clean_copy_requested = Signal()

    def __init__(self, path: str, parent: QWidget | None = None) -> None:
        splitter = LineSplitter(Qt.Orientation.Horizontal)
        super().__init__(splitter, parent)
        self.splitter = splitter
        self.path = os.path.abspath(path)
        self.checkpoint: Checkpoint | None = None
        self.totals: Totals | None = None
        self._stamp: Stamp | None = None
        self._waiting_for: set[str] = set()
        self._replaced: Checkpoint | None = None
        self._kept: tuple[object, TreePath | None] | None = None

        self.tree = CheckpointTree()
        self.tree.setMinimumWidth(320)
        self.tree.loaded.connect(self._tree_loaded)
        self.tree.node_selected.connect(self._node_selected)
        self.tree.message.connect(self.message)
        self.tree.statistics_wanted.connect(self.compute_statistics)
        self.tree.export_requested.connect(self.export_requested)
        self.side: SidePane | None = None
        self._side_state = b""
        self._no_side = QWidget()
        self._no_side.setMinimumWidth(SIDE_WIDTH)
        self.splitter.addWidget(self.tree)
        self.splitter.addWidget(self._no_side)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setSizes([720, 440])
        self.splitter.setChildrenCollapsible(False)
        self._reading = FileReading(self)
        self._reading.progress.connect(self._read_further)
        self._reading.read.connect(self._read)
        self._reading.failed.connect(self._failed)
        self._reading.checked.connect(self._checked)
        self._watch.changed.connect(self._file_changed)
        self._watch.vanished.connect(self._file_vanished)

    # What is made when it is needed first, so that the tree comes sooner.

    @cached_property
    def statistics(self) -> StatisticsRun:
        """The figures of the tensors, once they are asked for."""
        from inspector_app.ui.statistics_run import StatisticsRun

        made = StatisticsRun(self.tree, self)
        made.activity_changed.connect(self._set_activity)
        made.message.connect(self.message)
        return made

    def _side(self) -> SidePane:
        if self.side is None:
            from inspector_app.ui.side_pane import SidePane

            self.side = SidePane()
            self.side.setMinimumWidth(SIDE_WIDTH)
            self.side.ready.connect(self._totals_ready)
            self.side.copy_requested.connect(self.copy_code)
            self.side.message.connect(self.message)
            self.side.summary.export_requested.connect(self._export_any)
            self.side.summary.quantize_requested.connect(self.quantize_requested)
            self.side.summary.save_requested.connect(self.save_requested)
            self.side.summary.transfer_requested.connect(self.transfer_requested)
            self.side.summary.clean_copy_requested.connect(self.clean_copy_requested)
            self.side.tensor.prepare_with(self.tree.view)
            self.side.pages.serve(self.tree, self.statistics)
            self.side.pages.statistics_requested.connect(self.compute_statistics)
            self.side.pages.clean_copy_requested.connect(self.clean_copy_requested)
            if self._side_state:
                self.side.restoreState(QByteArray(self._side_state))
            sizes = self.splitter.sizes()
            self.splitter.replaceWidget(1, self.side)
            self.splitter.setSizes(sizes)
            self._no_side.deleteLater()
        return self.side

    # Reading

    def read(self) -> None:
        """Read the file, again if it is shown already."""
        self.cancel()
        self._waiting_for.discard("headers")
        self._watch.stop()
        self._stamp = stamp(self.path)
        self._begin_reading()
        self._reading.start(self.path)

    def cancel(self) -> bool:
        """Stop what is going on; what is shown stays. False if it was nothing."""
        if not self._reading.is_reading():
            return "statistics" in self.__dict__ and self.statistics.cancel()
        self._reading.cancel()
        self._reading_cancelled(self.tr("Read it again"))
        return True

    def stop(self) -> Checkpoint | None:
        """End everything before the tab goes; returns what it showed."""
        self._reading.cancel()
        self._watch.stop()
        self._forget_statistics()
        if self.side is not None:
            self.side.cancel()
        return self.checkpoint

    def paths(self) -> list[str]:
        """What it shows."""
        return [self.path]

    def first_focus(self) -> QWidget:
        """What the keys go to."""
        return self.tree.view if self.checkpoint is not None else self.card

    def name(self) -> str:
        """The file's name, safe to show."""
        return plain(os.path.basename(self.path) or self.path, 80)

    def is_settled(self) -> bool:
        """Nothing is going on."""
        return not self._reading.is_reading() and not self._waiting_for

    def compute_statistics(self) -> None:
        """Count the values of all tensors, or go on with it."""
        if self.checkpoint is not None and self.is_settled():
            self.statistics.start(self.checkpoint)

    def show_safety(self) -> None:
        """Turn to what the file would import and call."""
        if self.checkpoint is not None:
            self._side().pages.show_safety()

    def show_opcodes(self) -> None:
        """Turn to the opcodes that make the selected node."""
        if self.checkpoint is not None:
            self._side().pages.show_opcodes()

    def _forget_statistics(self) -> None:
        if "statistics" in self.__dict__:
            self.statistics.forget()

    # Copying

    def copy_code(self, what: str) -> None:
        """Copy the ``loading`` or the ``resume`` code."""
        if self.checkpoint is None:
            return
        from inspector_app.analysis.loading_code import loading_code, resume_code

        if what == "resume":
            code = resume_code(self.checkpoint)
            said = self.tr("Resume code copied")
        else:
            code = loading_code(self.checkpoint)
            said = self.tr("Loading code copied")
        if code is not None:
            QGuiApplication.clipboard().setText(code)
            self.message.emit(said)

    def can_resume(self) -> bool:
        """There is resume code to copy."""
        return (
            self.totals is not None
            and self.side is not None
            and self.side.summary.has_resume_code()
        )

    def _export_any(self) -> None:
        self.export_requested.emit(None)

    # Layout

    def save_layout(self) -> tuple[bytes, bytes]:
        """The places of the two splitters."""
        side = self._side_state
        if self.side is not None:
            side = bytes(self.side.saveState().data())
        return bytes(self.splitter.saveState().data()), side

    def restore_layout(self, columns: bytes, side: bytes) -> None:
        """Put the splitters where they were; damaged states are ignored by Qt."""
        self.splitter.restoreState(QByteArray(columns))
        self._side_state = side

    # What happens

    def _doing(self) -> str:
        return self.tr("Reading {name}").format(name=self.name())

    def _is_reading(self) -> bool:
        return self._reading.is_reading()

    def _has_content(self) -> bool:
        return self.checkpoint is not None

    def _read(self, checkpoint: Checkpoint) -> None:
        old, self.checkpoint = self.checkpoint, checkpoint
        if old is not None:
            selected = self.node.path if self.node is not None else None
            self._kept = (self.tree.expanded_paths(), selected)
        self.totals = None
        self._forget_statistics()
        self._show_content()
        self._set_activity(Activity(self.tr("Building the tree")))
        self._waiting_for = {"tree", "totals", "headers"}
        self.node = None
        if self.side is not None:
            # It shows nodes of the checkpoint that is about to go.
            self.side.cancel()
            self.side.show_node(None)
        self.tree.load(checkpoint)
        stamps = {name: stamp(name) for name in checkpoint.files}
        stamps[self.path] = self._stamp
        self._watch.watch(stamps)
        self._replaced = old
        self.state_changed.emit()

    def _failed(self, error: Exception) -> None:
        self._waiting_for.discard("headers")
        not_again = self.tr("The file was not reloaded; this is what it held before")
        self._show_failure(error, self.path, not_again=not_again)

    def _tree_loaded(self) -> None:
        if self._replaced is not None:
            # Not before: until now the tree showed its nodes.
            old, self._replaced = self._replaced, None
            self.replaced.emit(old)
        if self._kept is not None:
            (expanded, selected), self._kept = self._kept, None
            self.tree.restore(expanded)
            if selected is not None:
                self.tree.select_path(selected)
        # The tree is what people wait for: what adds up comes when it has been painted, for
        # which a timer without a pause would not wait.
        QTimer.singleShot(AFTER_PAINT_MS, self, self._summarise)
        self._came("tree")

    def _summarise(self) -> None:
        if self.checkpoint is not None:
            self._side().show_checkpoint(self.checkpoint, self.node)

    def _totals_ready(self, totals: Totals) -> None:
        self.totals = totals
        self._came("totals")
        if self.checkpoint is not None:
            self._reading.check(self.checkpoint)

    def _checked(self, problems: list[Problem]) -> None:
        if problems and self.side is not None and self.checkpoint is not None:
            self.side.summary.show_problems(self.checkpoint)
            self.side.pages.mark_safety()
        self._came("headers")

    def _came(self, what: str) -> None:
        self._waiting_for.discard(what)
        if what == "tree":
            self._set_activity(None)
        self.state_changed.emit()
        if not self._waiting_for:
            self.loaded.emit()
            self.settled.emit()

    def _node_selected(self, node: Node | None) -> None:
        self.node = node
        if self.side is not None:
            self.side.show_node(node)
        self.state_changed.emit()

    def _file_changed(self) -> None:
        self._outdated(self.tr("The file changed on disk"), self.tr("Reload"))

    def _file_vanished(self) -> None:
        self._outdated(self.tr("The file is gone from the disk"), self.tr("Try again"))

    def _outdated(self, title: str, again: str) -> None:
        self._show_outdated(title, self.tr("What is shown here is what it held before."), again)
