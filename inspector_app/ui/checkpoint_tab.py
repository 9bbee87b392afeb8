"""One open file: the tree on the left, the file and the selected node on the right."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget

from inspector_app.checkpoint.errors import CheckpointError, Problem
from inspector_app.checkpoint.model import Checkpoint, Node, Progress, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.activity_bar import Activity
from inspector_app.ui.checkpoint_tree import CheckpointTree
from inspector_app.ui.file_reading import FileReading
from inspector_app.ui.file_watch import FileWatch, Stamp, stamp
from inspector_app.ui.line_splitter import LineSplitter
from inspector_app.ui.text_widgets import MutedLabel

if TYPE_CHECKING:
    from inspector_app.analysis.totals import Totals
    from inspector_app.ui.banner import Banner
    from inspector_app.ui.side_pane import SidePane
    from inspector_app.ui.statistics_run import StatisticsRun

QUIET_MS = 200  # before this, "Reading …" would only flicker
AFTER_PAINT_MS = 40
CARD_WIDTH = 620
SIDE_WIDTH = 300


class CheckpointTab(QWidget):
    """A file, from the moment it is asked for.

    Signals:
        activity_changed: an `Activity`, or None when nothing is going on.
        settled: the file is shown whole, or the error is.
        loaded: a checkpoint is in the tree; the collector should leave it alone.
        replaced: this checkpoint is shown no more.
        state_changed: what actions can be done has changed.
        message: one sentence for the status bar.
        export_requested: from a button of the summary.
        close_requested: from a button of a banner.
    """

    activity_changed = Signal(object)
    settled = Signal()
    loaded = Signal()
    replaced = Signal(object)
    state_changed = Signal()
    message = Signal(str)
    export_requested = Signal()
    close_requested = Signal()

    def __init__(self, path: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.path = os.path.abspath(path)
        self.checkpoint: Checkpoint | None = None
        self.error: Exception | None = None
        self.activity: Activity | None = None
        self.totals: Totals | None = None
        self.node: Node | None = None
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
        self.side: SidePane | None = None
        self._side_state = b""
        self._no_side = QWidget()
        self._no_side.setMinimumWidth(SIDE_WIDTH)
        self.splitter = LineSplitter(Qt.Orientation.Horizontal)
        self.splitter.addWidget(self.tree)
        self.splitter.addWidget(self._no_side)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setSizes([720, 440])
        self.splitter.setChildrenCollapsible(False)
        self._placeholder = MutedLabel()
        self._placeholder.setAlignment(Qt.AlignmentFlag.AlignCenter)

        self._body = QStackedLayout()
        for page in (self._placeholder, self.splitter):
            self._body.addWidget(page)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._layout.addLayout(self._body, 1)

        self._reading = FileReading(self)
        self._reading.progress.connect(self._read_further)
        self._reading.read.connect(self._read)
        self._reading.failed.connect(self._failed)
        self._reading.checked.connect(self._checked)
        self._watch = FileWatch(self)
        self._watch.changed.connect(self._file_changed)
        self._watch.vanished.connect(self._file_vanished)
        self._watch.restored.connect(self._hide_banner)

    # What is made when it is needed first, so that the tree comes sooner.

    @cached_property
    def banner(self) -> Banner:
        """Above what is shown."""
        from inspector_app.ui.banner import Banner

        made = Banner()
        self._layout.insertWidget(0, made)
        return made

    @cached_property
    def card(self) -> Banner:
        """Instead of anything else."""
        from inspector_app.ui.banner import Banner

        made = Banner(card=True)
        made.setMaximumWidth(CARD_WIDTH)
        self._body.addWidget(made.centred())
        return made

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
            self.side.summary.export_requested.connect(self.export_requested)
            self.side.pages.serve(self.tree, self.statistics)
            self.side.pages.statistics_requested.connect(self.compute_statistics)
            if self._side_state:
                self.side.restoreState(QByteArray(self._side_state))
            sizes = self.splitter.sizes()
            self.splitter.replaceWidget(1, self.side)
            self.splitter.setSizes(sizes)
            self._no_side.deleteLater()
        return self.side

    def _hide_banner(self) -> None:
        if "banner" in self.__dict__:
            self.banner.hide()

    # Reading

    def read(self) -> None:
        """Read the file, again if it is shown already."""
        self.cancel()
        self._hide_banner()
        self.error = None
        self._waiting_for.discard("headers")
        self._watch.stop()
        if self.checkpoint is None:
            self._placeholder.setText("")
            self._body.setCurrentWidget(self._placeholder)
            QTimer.singleShot(QUIET_MS, self, self._show_placeholder)
        self._stamp = stamp(self.path)
        self._set_activity(Activity(self.tr("Reading {name}").format(name=self.name())))
        self._reading.start(self.path)

    def cancel(self) -> bool:
        """Stop what is going on; what is shown stays. False if it was nothing."""
        if not self._reading.is_reading():
            return "statistics" in self.__dict__ and self.statistics.cancel()
        self._reading.cancel()
        self._set_activity(None)
        if self.checkpoint is None:
            self._show_card(
                "info",
                self.tr("Reading was cancelled"),
                "",
                "",
                [(self.tr("Read it again"), self.read), (self.tr("Close"), self._close)],
            )
        return True

    def stop(self) -> Checkpoint | None:
        """End everything before the tab goes; returns what it showed."""
        self._reading.cancel()
        self._watch.stop()
        self._forget_statistics()
        if self.side is not None:
            self.side.cancel()
        return self.checkpoint

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

    def _show_placeholder(self) -> None:
        if self._reading.is_reading():
            self._placeholder.setText(self.tr("Reading {name}…").format(name=self.name()))

    def _read_further(self, progress: object) -> None:
        if isinstance(progress, Progress):
            text = self.tr("Reading {name}").format(name=self.name())
            self._set_activity(Activity(text, progress.done, progress.total))

    def _read(self, checkpoint: Checkpoint) -> None:
        old, self.checkpoint = self.checkpoint, checkpoint
        if old is not None:
            selected = self.node.path if self.node is not None else None
            self._kept = (self.tree.expanded_paths(), selected)
        self.totals = None
        self._forget_statistics()
        self._body.setCurrentWidget(self.splitter)
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
        self._set_activity(None)
        self.error = error
        from inspector_app.ui.problem_text import error_cause, error_title, next_step

        title, cause, advice = error_title(error), error_cause(error), next_step(error)
        buttons: list[tuple[str, Callable[[], object]]] = [(self.tr("Try again"), self.read)]
        if not isinstance(error, CheckpointError):
            import traceback

            details = "".join(traceback.format_exception(error))
            buttons.append((self.tr("Copy details"), lambda: self._copy_details(details)))
        if self.checkpoint is None:
            buttons.append((self.tr("Close"), self._close))
            self._show_card("error", title, f"{plain(self.path, 400)}\n{cause}", advice, buttons)
        else:
            self.banner.show_message(
                "error",
                self.tr("The file was not reloaded; this is what it held before"),
                cause,
                advice,
                buttons,
            )
        self.state_changed.emit()
        self.settled.emit()

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
        self.banner.show_message(
            "warning",
            self.tr("The file changed on disk"),
            "",
            self.tr("What is shown here is what it held before."),
            [(self.tr("Reload"), self.read), (self.tr("Ignore"), self._hide_banner)],
        )

    def _file_vanished(self) -> None:
        self.banner.show_message(
            "warning",
            self.tr("The file is gone from the disk"),
            "",
            self.tr("What is shown here is what it held before."),
            [(self.tr("Try again"), self.read), (self.tr("Ignore"), self._hide_banner)],
        )

    def _show_card(self, *message: object) -> None:
        self.card.show_message(*message)
        self._body.setCurrentWidget(self.card.parentWidget())

    def _copy_details(self, details: str) -> None:
        QGuiApplication.clipboard().setText(details)
        self.message.emit(self.tr("Details copied"))

    def _close(self) -> None:
        self.close_requested.emit()

    def _set_activity(self, activity: Activity | None) -> None:
        self.activity = activity
        self.activity_changed.emit(activity)
