"""Saving the report of a quantization."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from PySide6.QtWidgets import QFileDialog

from inspector_app.ui.report_saving import ReportSaving
from inspector_app.worker.quantize_run import QuantizeOutcome, QuantizePlan


class QuantizeReports(ReportSaving):
    """Writes what a quantization gave."""

    def ask(self, plan: QuantizePlan, outcome: QuantizeOutcome) -> QFileDialog:
        """Ask where to save it; beside the file that was written at first."""
        return self.ask_where(plan.target, lambda path: self.save(path, plan, outcome))

    def print_report(self, plan: QuantizePlan, outcome: QuantizeOutcome) -> None:
        """Print it."""
        name = os.path.basename(plan.target)
        self.print_page(name, _parts("", plan, outcome))

    def save(self, path: str, plan: QuantizePlan, outcome: QuantizeOutcome) -> None:
        """Write it, as JSON where the name ends so."""
        data = [plan.data.path] if plan.data is not None else []
        kept = (plan.model.checkpoint, *outcome.files, *data)
        self.write(path, _parts(path, plan, outcome), kept)


def _parts(path: str, plan: QuantizePlan, outcome: QuantizeOutcome) -> Iterator[str]:
    from inspector_app.worker.quantize_report import document

    report = document(plan, outcome)
    if path.lower().endswith(".json"):
        yield json.dumps(report, indent=1, allow_nan=False) + "\n"
    else:
        from inspector_app.analysis.quantization_page import html_report

        yield from html_report(report)
