"""The quantize dialog's last page: what it cost, measured side by side, and what next."""

from __future__ import annotations

import os

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton, QWidget

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons
from inspector_app.ui.banner import ERROR, GOOD, INFO, WARNING, Banner
from inspector_app.ui.figures_table import FiguresTable
from inspector_app.ui.quantize_advice import Advice, LayersChart
from inspector_app.ui.quantize_saving import QuantizeReports
from inspector_app.ui.quantize_truth import layer_rows, output_rows, truth_rows, verdict
from inspector_app.ui.show_in_folder import show_in_folder
from inspector_app.ui.text_blocks import TextBlock
from inspector_app.ui.wizard_widgets import FORM_WIDTH, FailureBox, Fold, WizardPage, row_of
from inspector_app.ui.worker_words import seconds_text
from inspector_app.worker.quantize_protocol import Measured, Quantized
from inspector_app.worker.quantize_run import QuantizeOutcome, QuantizePlan

_BANNERS = {"good": GOOD, "info": INFO, "warning": WARNING, "error": ERROR}


class ResultPage(WizardPage):
    """What became of a quantization.

    Signals:
        open_requested: show this file in the main window.
        run_again: quantize anew, with these layers left in float too.
        message: one sentence.
    """

    open_requested = Signal(str)
    run_again = Signal(object)
    message = Signal(str)

    widest = FORM_WIDTH

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            self.tr("Result"), self.tr("The truth: what it cost, on samples held out."), parent
        )
        self.outcome: QuantizeOutcome | None = None
        self.plan: QuantizePlan | None = None
        self.banner = Banner()
        self.failure = FailureBox()
        self.truth = FiguresTable(
            self.tr("Float and quantized, side by side"),
            ["", self.tr("Float"), self.tr("Quantized"), self.tr("Change")],
        )
        self.outputs = FiguresTable(
            self.tr("What each output loses"),
            [
                self.tr("Output"),
                self.tr("SQNR"),
                self.tr("Max abs"),
                self.tr("Mean abs"),
                self.tr("Cosine"),
                self.tr("Same arg-max"),
            ],
        )
        self.chart = LayersChart()
        self.advice = Advice()
        self.advice.run_again.connect(self.run_again)
        self.layers = FiguresTable(
            self.tr("How each layer is stored"),
            [
                self.tr("Layer"),
                self.tr("Type"),
                self.tr("Stored as"),
                self.tr("Before"),
                self.tr("After"),
            ],
            14,
        )
        self._layers_fold = Fold(self.tr("Layers"), self.layers)
        self._notes = TextBlock(max_lines=20)
        self.open_button = QPushButton(icons.icon("file"), self.tr("&Open in inspector"))
        self.open_button.clicked.connect(self._open)
        self.folder_button = QPushButton(icons.icon("folder"), self.tr("Show in &folder"))
        self.folder_button.clicked.connect(self._show_folder)
        self.loading_button = QPushButton(icons.icon("copy"), self.tr("Copy &loading code"))
        self.loading_button.setToolTip(self.tr("Copy a program that loads this very file"))
        self.loading_button.clicked.connect(self._copy_loading)
        self.python_button = QPushButton(icons.icon("copy"), self.tr("Copy as &Python"))
        self.python_button.setToolTip(
            self.tr("Copy a program that quantizes the same way, with public functions alone")
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
        self.reports = QuantizeReports(self)
        self.reports.message.connect(self.message)
        self.column.addWidget(self.banner)
        self.column.addWidget(self.failure)
        self.column.addWidget(row_of(self.open_button, self.folder_button, stretch=-1))
        self.column.addWidget(
            row_of(
                self.loading_button,
                self.python_button,
                self.report_button,
                self.print_button,
                stretch=-1,
            )
        )
        self._truth_part = self.add_part(self.tr("Float and quantized, side by side"), self.truth)
        self._outputs_part = self.add_part(self.tr("Outputs"), self.outputs)
        self._chart_part = self.add_part(self.tr("Damage by layer, as they run"), self.chart)
        self._advice_part = self.add_part(self.tr("Too much?"), self.advice)
        self._notes_part = self.add_part(self.tr("Worth knowing"), self._notes)
        self.column.addWidget(self._layers_fold)
        self.column.addStretch(1)

    def show_outcome(self, plan: QuantizePlan, outcome: QuantizeOutcome) -> None:
        """Show what became of `plan`."""
        self.plan, self.outcome = plan, outcome
        quantized, measured = outcome.quantized, outcome.measured
        self.failure.hide()
        self.banner.hide()
        name = plain(os.path.basename(plan.target), 80)
        if outcome.failed is not None:
            self.failure.show_failure(
                self.tr("{name} was not written").format(name=name), outcome.failed
            )
        else:
            kind, title, cause, advice = verdict(name, outcome, plan)
            self.banner.show_message(_BANNERS[kind], title, cause, advice)
        written = bool(outcome.files)
        self.open_button.setVisible(written)
        self.folder_button.setVisible(written)
        self.loading_button.setVisible(written and bool(quantized and quantized.loading_code))
        self.python_button.setVisible(bool(quantized and quantized.script))
        self._truth_part.setVisible(quantized is not None)
        if quantized is not None:
            self.truth.show_rows(truth_rows(outcome))
        self._show_measured(measured, quantized)
        self._show_layers(quantized)
        self._show_notes(quantized, measured)
        self.changed.emit()

    def summary(self) -> str:
        if self.outcome is None:
            return ""
        if not self.outcome.files or self.outcome.quantized is None:
            return self.tr("not written")
        return size_text(self.outcome.quantized.nbytes)

    def first_field(self) -> QWidget | None:
        written = self.outcome is not None and self.outcome.files
        return self.open_button if written else None

    def stop(self) -> None:
        self.reports.stop()

    def notes(self) -> str:
        """What is worth knowing."""
        return self._notes.toPlainText()

    def _show_measured(self, measured: Measured | None, quantized: Quantized | None) -> None:
        self._outputs_part.setVisible(measured is not None)
        layers = measured is not None and bool(measured.layers)
        self._chart_part.setVisible(layers)
        self._advice_part.setVisible(layers)
        if measured is None:
            return
        self.outputs.show_rows(output_rows(measured))
        if layers and quantized is not None:
            self.chart.show_layers(measured)
            self.advice.show_layers(measured, quantized.nbytes)

    def _show_layers(self, quantized: Quantized | None) -> None:
        layers = quantized.layers if quantized is not None else ()
        self._layers_fold.setVisible(bool(layers))
        self._layers_fold.set_open(False)
        if layers:
            self.layers.show_rows(layer_rows(layers))
            stored = sum(each.quantized for each in layers)
            text = self.tr("How the layers are stored: {n} of {all} quantized")
            self._layers_fold.button.setText(
                text.format(n=count_text(stored), all=count_text(len(layers)))
            )

    def _show_notes(self, quantized: Quantized | None, measured: Measured | None) -> None:
        notes = [*(quantized.notes if quantized else ()), *(measured.notes if measured else ())]
        if measured is not None:
            text = self.tr("Measured on {which}.")
            which = measured.held_out or self.tr("{n} samples").format(
                n=count_text(measured.samples)
            )
            notes.insert(0, text.format(which=which))
        if measured is not None and not measured.deterministic:
            notes.append(self.tr("The quantized model gives other outputs each time."))
        if quantized is not None:
            text = self.tr("Quantizing took {time}.")
            notes.append(text.format(time=seconds_text(quantized.seconds)))
        self._notes.set_text("\n".join(f"•  {plain(note, 500)}" for note in dict.fromkeys(notes)))
        self._notes_part.setVisible(bool(notes))

    # --- what next

    def _open(self) -> None:
        if self.outcome is not None and self.outcome.files:
            self.open_requested.emit(self.outcome.files[0])

    def _show_folder(self) -> None:
        if self.outcome is not None and self.outcome.files:
            show_in_folder(self.outcome.files[0])

    def _copy_loading(self) -> None:
        if self.outcome is not None and self.outcome.quantized is not None:
            QGuiApplication.clipboard().setText(self.outcome.quantized.loading_code)
            self.message.emit(self.tr("The loading code was copied."))

    def _copy_python(self) -> None:
        if self.outcome is not None and self.outcome.quantized is not None:
            QGuiApplication.clipboard().setText(self.outcome.quantized.script)
            self.message.emit(self.tr("The program was copied."))

    def _print_report(self) -> None:
        if self.plan is not None and self.outcome is not None:
            self.reports.print_report(self.plan, self.outcome)

    def _ask_report(self) -> None:
        if self.plan is not None and self.outcome is not None:
            self.reports.ask(self.plan, self.outcome)
