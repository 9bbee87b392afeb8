"""The pane that tells about the file as a whole."""

from __future__ import annotations

import os

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.totals import Totals, adding_up
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui import summary_text
from inspector_app.ui.code_listing import CodeListing
from inspector_app.ui.dtype_mix import DtypeMix
from inspector_app.ui.problem_text import problem_text
from inspector_app.ui.summary_actions import LinkHeading, SummaryActions
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_blocks import Facts, TextBlock
from inspector_app.ui.text_widgets import ElidedLabel, Heading, MutedLabel, WarningHeading

SHOWN_PROBLEMS = 500


class SummaryView(QScrollArea):
    """What a file is and what it adds up to.

    Attributes:
        checkpoint: what is shown.

    Signals:
        ready: everything is shown; the totals of a million tensors take a while.
        copy_requested: ``loading`` or ``resume`` code is to be copied.
        statistics_requested: the values of all tensors are to be counted.
        export_requested: the model is to be exported.
        quantize_requested: it is to be quantized.
        save_requested: another form of the file is to be saved.
        transfer_requested: its weights are to be loaded into another model.
        clean_copy_requested: tensors and plain data are to be saved alone.
        safety_requested: what the file would import and call is to be shown.
    """

    ready = Signal(object)
    copy_requested = Signal(str)
    statistics_requested = Signal()
    export_requested = Signal()
    quantize_requested = Signal()
    save_requested = Signal()
    transfer_requested = Signal()
    clean_copy_requested = Signal()
    safety_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("File summary"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._steps: Steps | None = None
        self.checkpoint: Checkpoint | None = None
        self._resumable = False

        self._title = ElidedLabel()
        font = self._title.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.15)
        self._title.setFont(font)
        self._folder = ElidedLabel(muted=True)
        self.actions = SummaryActions()
        self.export_button = self.actions.export_button
        self._facts = Facts()
        self._mix = DtypeMix()
        self._problems_title = LinkHeading(WarningHeading(), self.tr("Details"))
        self._globals_title = LinkHeading(Heading(), self.tr("Details"))
        for title in (self._problems_title, self._globals_title):
            title.chosen.connect(self.safety_requested)
        self._problems = TextBlock(framed=True, max_lines=8)
        self._sections = Facts()
        self._metadata = Facts()
        self._globals = TextBlock(max_lines=60)
        self._discouraged = TextBlock(max_lines=60)
        self._code = TextBlock(framed=True, fixed_pitch=True, max_lines=80)

        self._sources = CodeListing()

        content = QWidget()
        self._layout = QVBoxLayout(content)
        self._layout.setContentsMargins(16, 14, 16, 16)
        self._layout.setSpacing(8)
        head = QVBoxLayout()
        head.setSpacing(1)
        head.addWidget(self._title)
        head.addWidget(self._folder)
        self._layout.addLayout(head)
        self._layout.addWidget(self.actions)
        self._relay()
        self._parts = {
            "problems": self._part(self.tr("Problems"), self._problems, self._problems_title),
            "facts": self._part("", self._facts),
            "dtypes": self._part(self.tr("Dtypes"), self._mix),
            "sections": self._part(self.tr("Sections"), self._sections),
            "globals": self._part(
                self.tr("Classes and functions"), self._globals, self._globals_title
            ),
            "discouraged": self._part(self.tr("A whole model, pickled"), self._discouraged),
            "metadata": self._part(self.tr("The file says of itself"), self._metadata),
            "code": self._part(self.tr("Loading code"), self._code),
            "sources": self._part(
                self.tr("Source texts in the file (shown, never run)"), self._sources
            ),
        }
        self._layout.addStretch()
        self._waiting = MutedLabel(self.tr("Adding up…"))
        self._layout.insertWidget(self._layout.count() - 1, self._waiting)
        self.setWidget(content)

    def _relay(self) -> None:
        actions = self.actions
        actions.compute_button.clicked.connect(self.statistics_requested)
        actions.export_button.clicked.connect(self.export_requested)
        for action, signal in (
            (actions.quantize, self.quantize_requested),
            (actions.transfer, self.transfer_requested),
            (actions.save, self.save_requested),
            (actions.clean_copy, self.clean_copy_requested),
            (actions.safety, self.safety_requested),
        ):
            # Without "checked", which the signals do not take.
            action.triggered.connect(lambda _checked=False, signal=signal: signal.emit())
        actions.copy_loading.triggered.connect(lambda: self.copy_requested.emit("loading"))
        actions.copy_resume.triggered.connect(lambda: self.copy_requested.emit("resume"))

    def show_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Show what is known at once, and the rest when it has been added up."""
        self.cancel()
        self.checkpoint = checkpoint
        path = os.path.abspath(checkpoint.path)
        self._title.set_text(os.path.basename(path))
        self._folder.set_text(os.path.dirname(path))
        self._facts.set_rows(summary_text.file_rows(checkpoint))
        self.show_problems(checkpoint)
        for name in ("dtypes", "sections", "globals", "discouraged", "metadata", "code", "sources"):
            self._show_part(name, False)
        self._resumable = False
        self.actions.forget()
        self._waiting.show()
        self._steps = Steps(adding_up(checkpoint), self)
        self._steps.finished.connect(self._show_totals)
        self._steps.start()

    def cancel(self) -> None:
        """Stop what is going on."""
        self._sources.cancel()
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def has_resume_code(self) -> bool:
        """There is a training to resume."""
        return self._resumable

    def facts(self) -> dict[str, str]:
        """What is shown, by name."""
        return self._facts.rows() | self._sections.rows() | self._metadata.rows()

    def sources(self) -> CodeListing:
        """The source texts that the file carries."""
        return self._sources

    def part(self, name: str) -> str:
        """The text of a part on show, or ""."""
        block = {
            "problems": self._problems,
            "globals": self._globals,
            "discouraged": self._discouraged,
            "code": self._code,
        }[name]
        return "" if self._parts[name].isHidden() else block.toPlainText()

    def _part(self, title: str, body: QWidget, heading: LinkHeading | None = None) -> QWidget:
        part = QWidget()
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 8 if title else 2, 0, 0)
        layout.setSpacing(6)
        if title:
            shown = heading or Heading()
            shown.setText(title)
            layout.addWidget(shown)
            body.setAccessibleName(title)
        layout.addWidget(body)
        self._layout.addWidget(part)
        return part

    def _show_part(self, name: str, visible: bool) -> None:
        self._parts[name].setVisible(visible)

    def show_problems(self, checkpoint: Checkpoint) -> None:
        """Show them again: some came later than the rest."""
        lines = []
        for problem in checkpoint.problems[:SHOWN_PROBLEMS]:
            text = problem_text(problem)
            lines.append(f"{plain(problem.where)}: {text}" if problem.where else text)
        left = len(checkpoint.problems) - SHOWN_PROBLEMS
        if left > 0:
            lines.append(self.tr("… and {n} more").format(n=count_text(left)))
        count = len(checkpoint.problems)
        self._problems_title.setText(
            self.tr("1 problem")
            if count == 1
            else self.tr("{n} problems").format(n=count_text(count))
        )
        self._problems.set_text("\n".join(f"•  {line}" for line in lines))
        self._show_part("problems", bool(lines))

    def _show_totals(self, totals: Totals) -> None:
        checkpoint = self.checkpoint
        assert checkpoint is not None
        self._steps = None
        from inspector_app.analysis.loading_code import (
            discouraged_reason,
            loading_code,
            resume_code,
        )

        self._facts.set_rows(summary_text.file_rows(checkpoint) + summary_text.totals_rows(totals))
        self._mix.set_shares(totals.dtypes)
        self._show_part("dtypes", bool(totals.dtypes))
        rows = summary_text.section_rows(totals)
        self._sections.set_rows(rows)
        self._show_part("sections", bool(rows))
        rows = summary_text.metadata_rows(checkpoint)
        self._metadata.set_rows(rows)
        self._show_part("metadata", bool(rows))
        for name, block, text in (
            ("globals", self._globals, summary_text.globals_sentence(checkpoint)),
            ("discouraged", self._discouraged, discouraged_reason(checkpoint) or ""),
            ("code", self._code, loading_code(checkpoint)),
        ):
            block.set_text(text)
            self._show_part(name, bool(text))
        if checkpoint.code:
            self._sources.set_checkpoint(checkpoint)
            self._show_part("sources", True)
        self._resumable = resume_code(checkpoint) is not None
        self.actions.show_usable(bool(checkpoint.tensors), self._resumable)
        self._waiting.hide()
        self.ready.emit(totals)
