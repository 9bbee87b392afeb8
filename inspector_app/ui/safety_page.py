"""What loading a file would import and call, and what is odd about it; nothing is run to tell."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from inspector_app.analysis.safety import examine
from inspector_app.analysis.safety_report import SafetyReport, Use
from inspector_app.checkpoint.errors import CheckpointError, Problem
from inspector_app.checkpoint.model import Checkpoint, Node, Progress, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.safety_disassembly import DisassemblyView
from inspector_app.ui.safety_findings import Findings
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import MutedLabel

_NODES_A_STEP = 2_000


class SafetyPage(QStackedWidget):
    """The findings, or the opcodes. A file is examined when the page is looked at.

    Signals:
        path_chosen: of a node, to be shown in the tree.
        clean_copy_requested: tensors and plain data are to be saved alone.
        message: one sentence for the status bar.
        settled: what can be shown without being asked for is shown.
    """

    path_chosen = Signal(object)
    clean_copy_requested = Signal()
    message = Signal(str)
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._checkpoint: Checkpoint | None = None
        self.report: SafetyReport | None = None
        self._steps: Steps | None = None
        self._looking: Steps | None = None
        self._selected: TreePath | None = None
        self._opcodes_wanted = False
        self._waiting = QWidget()
        self._state = MutedLabel()
        self._state.setWordWrap(True)
        self._state.setAlignment(Qt.AlignmentFlag.AlignCenter)
        waiting = QVBoxLayout(self._waiting)
        waiting.addWidget(self._state)
        self.findings = Findings()
        self.findings.use_chosen.connect(self._show_use)
        self.findings.opcode_wanted.connect(self._show_opcode)
        self.findings.anomaly_chosen.connect(self._show_anomaly)
        self.findings.clean_copy_requested.connect(self.clean_copy_requested)
        self.findings.message.connect(self.message)
        self.disassembly = DisassemblyView()
        self.disassembly.back_requested.connect(self._show_findings)
        self.disassembly.path_chosen.connect(self.path_chosen)
        for widget in (self._waiting, self.findings, self.disassembly):
            self.addWidget(widget)

    def show_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Show another file; it is examined when somebody looks."""
        self.cancel()
        self._checkpoint = checkpoint
        self._state.setText(self.tr("Looking into the file's pickles…"))
        self.setCurrentWidget(self._waiting)
        if self.isVisible():
            self._examine()

    def follow(self, path: TreePath | None) -> None:
        """Another node is selected in the tree."""
        self._selected = path
        if self.currentWidget() is self.disassembly:
            self.disassembly.follow(path)

    def show_opcodes(self) -> None:
        """Turn to the opcodes, of the selected node if there is one; once the file has been
        examined."""
        self._opcodes_wanted = self.report is None
        if self.report is not None and self.report.pickles:
            self._show_opcode(None)

    def cancel(self) -> None:
        """Stop what is going on, and let go of the file."""
        self._end_examining()
        self._end_looking()
        self._checkpoint = None
        self.report = None
        self._opcodes_wanted = False
        self.disassembly.show_report(None)
        self.findings.stop()

    def is_settled(self) -> bool:
        """Nothing is going on."""
        return self._steps is None and self._looking is None and self.disassembly.is_settled()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._checkpoint is not None and self.report is None and self._steps is None:
            self._examine()

    def _examine(self) -> None:
        assert self._checkpoint is not None
        steps = self._steps = Steps(examine(self._checkpoint), self)
        steps.progress.connect(self._progressed)
        steps.finished.connect(self._examined)
        steps.failed.connect(self._failed)
        steps.start()

    def _progressed(self, progress: Progress) -> None:
        if progress.total:
            share = min(100 * progress.done // progress.total, 100)
            text = self.tr("Looking into the file's pickles… {percent} %")
            self._state.setText(text.format(percent=share))

    def _examined(self, report: SafetyReport) -> None:
        self._end_examining()
        self.report = report
        assert self._checkpoint is not None
        self.findings.show_report(self._checkpoint, report)
        self.disassembly.show_report(report)
        self.setCurrentWidget(self.findings)
        if self._opcodes_wanted:
            self.show_opcodes()
        self.settled.emit()

    def _failed(self, error: Exception) -> None:
        self._end_examining()
        if not isinstance(error, CheckpointError):
            raise error
        self._state.setText(error_cause(error))
        self.settled.emit()

    def _end_examining(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _end_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking.deleteLater()
            self._looking = None

    # --- where clicks lead

    def _show_findings(self) -> None:
        self.setCurrentWidget(self.findings)
        self.findings.opcodes_button.setFocus()

    def _show_use(self, use: Use) -> None:
        if use.path is not None:
            self.path_chosen.emit(use.path)

    def _show_opcode(self, use: Use | None) -> None:
        self.setCurrentWidget(self.disassembly)
        if use is not None:
            self.disassembly.show_offset(use.pickle, use.offset)
        else:
            self.disassembly.ensure_listed()
            self.disassembly.follow(self._selected)

    def _show_anomaly(self, problem: Problem) -> None:
        """Where it is: an opcode, or a node of the tree."""
        assert self.report is not None
        offset = problem.details.get("offset")
        bare = self.report.format == "pickle"
        for index, stream in enumerate(self.report.pickles):
            if type(offset) is not int or not (problem.where == stream.name or bare):
                continue
            self.setCurrentWidget(self.disassembly)
            self.disassembly.show_offset(index, offset)
            return
        if problem.where and self._checkpoint is not None:
            self._end_looking()
            steps = self._looking = Steps(_finding(self._checkpoint.root, problem.where), self)
            steps.finished.connect(self._found)
            steps.start()

    def _found(self, node: Node | None) -> None:
        self._end_looking()
        if node is not None:
            self.path_chosen.emit(node.path)


def _finding(root: Node, where: str) -> Generator[Any, None, Node | None]:
    """The node whose name is shown as `where`; else the last below which it would be."""
    best: Node | None = None
    for number, node in enumerate(root.walk()):
        if number % _NODES_A_STEP == _NODES_A_STEP - 1:
            yield number
        if node.parent is None:
            continue
        name = plain(node.name)
        if name == where:
            return node
        if where.startswith(f"{name}/"):
            best = node
    return best
