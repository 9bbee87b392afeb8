"""The wizard's last page: what was written, whether it computes the same, and what next."""

from __future__ import annotations

import os

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons
from inspector_app.ui.banner import ERROR, GOOD, INFO, WARNING, Banner
from inspector_app.ui.export_formats import format_of
from inspector_app.ui.export_proof_table import ProofTable
from inspector_app.ui.export_saving import ExportReports
from inspector_app.ui.show_in_folder import show_in_folder
from inspector_app.ui.text_blocks import Facts, TextBlock
from inspector_app.ui.wizard_widgets import FORM_WIDTH, FailureBox, Fold, WizardPage, row_of
from inspector_app.ui.worker_words import seconds_text, tensor_text
from inspector_app.worker.export_run import ExportOutcome, ExportPlan
from inspector_app.worker.protocol import Exported, Proved

_MOST_OPERATORS = 60


class ResultPage(WizardPage):
    """What became of an export.

    Args:
        source_bytes: length of the checkpoint.

    Signals:
        open_requested: show this file in the main window.
        message: one sentence.
    """

    open_requested = Signal(str)
    message = Signal(str)

    widest = FORM_WIDTH

    def __init__(self, source_bytes: int, parent: QWidget | None = None) -> None:
        super().__init__(
            self.tr("Result"), self.tr("What was written, and how it compares."), parent
        )
        self.outcome: ExportOutcome | None = None
        self.plan: ExportPlan | None = None
        self._source_bytes = source_bytes
        self.banner = Banner()
        self.failure = FailureBox()
        self._facts = Facts()
        self.table = ProofTable()
        self._notes = TextBlock(max_lines=20)
        self._operators = TextBlock(max_lines=20)
        self.open_button = QPushButton(icons.icon("file"), self.tr("&Open in inspector"))
        self.open_button.clicked.connect(self._open)
        self.folder_button = QPushButton(icons.icon("folder"), self.tr("Show in &folder"))
        self.folder_button.clicked.connect(self._show_folder)
        self.python_button = QPushButton(icons.icon("copy"), self.tr("Copy as &Python"))
        self.python_button.setToolTip(
            self.tr("Copy a program that does the same export with public functions alone")
        )
        self.python_button.clicked.connect(self._copy_python)
        self.report_button = QPushButton(self.tr("&Save report…"))
        self.report_button.setToolTip(
            self.tr("Save all that is shown here as .html, .pdf or .json")
        )
        self.report_button.clicked.connect(self._ask_report)
        self.print_button = QPushButton(self.tr("Print…"))
        self.print_button.setToolTip(self.tr("Print all that is shown here"))
        self.print_button.clicked.connect(self._print_report)
        self.reports = ExportReports(self)
        self.reports.message.connect(self.message)
        # In two rows: the narrowest wizard has no room for all of them side by side.
        self.buttons = QWidget()
        rows = QVBoxLayout(self.buttons)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(row_of(self.open_button, self.folder_button, stretch=-1))
        rows.addWidget(
            row_of(self.report_button, self.print_button, self.python_button, stretch=-1)
        )
        self.fold = Fold(self.tr("Operators of the graph"), self._operators)
        self.column.addWidget(self.banner)
        self.column.addWidget(self.failure)
        self.column.addWidget(self.buttons)
        self._table_part = self.add_part(self.tr("Proof"), self.table)
        self._facts_part = self.add_part(self.tr("The file"), self._facts, self.fold)
        self._notes_part = self.add_part(self.tr("Worth knowing"), self._notes)
        self.column.addStretch(1)

    def show_outcome(self, plan: ExportPlan, outcome: ExportOutcome) -> None:
        """Show what became of `plan`."""
        self.plan, self.outcome = plan, outcome
        exported, proved, failed = outcome.exported, outcome.proved, outcome.failed
        self.failure.hide()
        self.banner.hide()
        if failed is not None:
            title = self.tr("{name} was not written").format(name=self._name())
            self.failure.show_failure(title, failed)
        else:
            self._show_verdict(proved)
        written = bool(outcome.files)
        self.open_button.setVisible(written)
        self.folder_button.setVisible(written)
        self.python_button.setVisible(bool(exported is not None and exported.script))
        self._table_part.setVisible(proved is not None)
        if proved is not None:
            self.table.show_proof(proved)
        self._facts.set_rows(self._rows(plan, exported, proved))
        self._facts_part.setVisible(exported is not None)
        notes = [*(exported.notes if exported else ()), *(proved.notes if proved else ())]
        self._notes.set_text("\n".join(f"•  {plain(note, 500)}" for note in notes))
        self._notes_part.setVisible(bool(notes))
        operators = dict(exported.operators) if exported is not None else {}
        self._show_operators(operators)
        self.changed.emit()

    def summary(self) -> str:
        if self.outcome is None:
            return ""
        return self.tr("written") if self.outcome.files else self.tr("not written")

    def first_field(self) -> QWidget | None:
        written = self.outcome is not None and self.outcome.files
        return self.open_button if written else None

    def stop(self) -> None:
        self.reports.stop()

    def rows(self) -> dict[str, str]:
        """The facts on show."""
        return self._facts.rows()

    def _name(self) -> str:
        return plain(os.path.basename(self.plan.target)) if self.plan is not None else ""

    def _has_graph(self) -> bool:
        return self.plan is not None and format_of(self.plan.options.kind).graph

    def _show_verdict(self, proved: Proved | None) -> None:
        name = self._name()
        if proved is None:
            self.banner.show_message(
                WARNING if self.plan is not None and self.plan.proof is None else INFO,
                self.tr("{name} was written").format(name=name),
                "",
                self.tr("It was not compared to the original."),
            )
        elif proved.passed and not self._has_graph():
            self.banner.show_message(
                GOOD,
                self.tr("{name} holds the weights of the original").format(name=name),
                "",
                self.tr("Every tensor was read back and compared bit for bit."),
            )
        elif proved.passed:
            self.banner.show_message(
                GOOD,
                self.tr("{name} computes the same as the original").format(name=name),
                "",
                self.tr("{n} runs of both were compared (rtol {rtol}, atol {atol}).").format(
                    n=count_text(len(proved.cases)),
                    rtol=f"{proved.rtol:g}",
                    atol=f"{proved.atol:g}",
                ),
            )
        else:
            departs = ""
            if proved.departs:
                text = self.tr("The first layer whose output departs is {layer}.")
                departs = text.format(layer=plain(proved.departs, 300))
            self.banner.show_message(
                ERROR,
                self.tr("{name} computes something else, and was not written").format(name=name),
                departs,
                self.tr("The table says where it differs. Another format or exporter may do."),
            )

    def _rows(
        self, plan: ExportPlan, exported: Exported | None, proved: Proved | None
    ) -> list[tuple[str, str]]:
        if exported is None or self.outcome is None:
            return []
        files = "\n".join(plain(each, 400) for each in self.outcome.files)
        rows = [
            (self.tr("Format"), format_of(plan.options.kind).title),
            (self.tr("Files"), files or self.tr("none")),
            (self.tr("Size"), self._size_text(exported.nbytes)),
            (
                self.tr("Outputs"),
                "\n".join(
                    f"{plain(each.name, 60)}   {tensor_text(each)}" for each in exported.outputs
                ),
            ),
            (self.tr("Export took"), seconds_text(exported.seconds)),
        ]
        if proved is not None:
            said = self.tr("Run by") if self._has_graph() else self.tr("Read by")
            rows.append((said, plain(proved.runtime)))
            if proved.original_seconds and proved.result_seconds:
                rows.append((self.tr("Latency"), self._latency_text(proved)))
        return rows

    def _size_text(self, nbytes: int) -> str:
        text = self.tr("{size}; the checkpoint has {source}")
        return text.format(size=size_text(nbytes), source=size_text(self._source_bytes))

    def _latency_text(self, proved: Proved) -> str:
        ratio = proved.original_seconds / proved.result_seconds
        if ratio >= 1:
            compared = self.tr("{ratio} times as fast").format(ratio=f"{ratio:.2g}")
        else:
            compared = self.tr("{ratio} times as slow").format(ratio=f"{1 / ratio:.2g}")
        text = self.tr("{result}, the original {original}: {compared}")
        return text.format(
            result=seconds_text(proved.result_seconds),
            original=seconds_text(proved.original_seconds),
            compared=compared,
        )

    def _show_operators(self, operators: dict[str, int]) -> None:
        self.fold.setVisible(bool(operators))
        total = sum(operators.values())
        listed = [f"{plain(name, 60)} {count}" for name, count in operators.items()]
        more = len(listed) - _MOST_OPERATORS
        text = ", ".join(listed[:_MOST_OPERATORS]) + (f" … {more}" if more > 0 else "")
        self._operators.set_text(text)
        text = self.tr("{n} operators of {kinds} kinds")
        self.fold.button.setText(text.format(n=count_text(total), kinds=count_text(len(operators))))

    # --- what next

    def _open(self) -> None:
        if self.outcome is not None and self.outcome.files:
            self.open_requested.emit(self.outcome.files[0])

    def _show_folder(self) -> None:
        if self.outcome is not None and self.outcome.files:
            show_in_folder(self.outcome.files[0])

    def _print_report(self) -> None:
        if self.plan is not None and self.outcome is not None:
            self.reports.print_report(self.plan, self.outcome)

    def _ask_report(self) -> None:
        if self.plan is not None and self.outcome is not None:
            self.reports.ask(self.plan, self.outcome)

    def _copy_python(self) -> None:
        if self.outcome is not None and self.outcome.exported is not None:
            QGuiApplication.clipboard().setText(self.outcome.exported.script)
            self.message.emit(self.tr("The program was copied."))
