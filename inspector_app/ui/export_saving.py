"""Saving the report of an export."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from PySide6.QtWidgets import QFileDialog

from inspector_app.ui.report_saving import ReportSaving
from inspector_app.worker.export_run import ExportOutcome, ExportPlan


class ExportReports(ReportSaving):
    """Writes what an export gave."""

    def ask(self, plan: ExportPlan, outcome: ExportOutcome) -> QFileDialog:
        """Ask where to save it; beside the file that was written at first."""
        return self.ask_where(plan.target, lambda path: self.save(path, plan, outcome))

    def print_report(self, plan: ExportPlan, outcome: ExportOutcome) -> None:
        """Print it."""
        name = os.path.basename(plan.target)
        self.print_page(name, _parts("", plan, outcome))

    def save(self, path: str, plan: ExportPlan, outcome: ExportOutcome) -> None:
        """Write it, as JSON where the name ends so."""
        kept = (plan.model.checkpoint, *outcome.files)
        self.write(path, _parts(path, plan, outcome), kept)


def _parts(path: str, plan: ExportPlan, outcome: ExportOutcome) -> Iterator[str]:
    from inspector_app.worker.export_report import document

    report = document(plan, outcome)
    if path.lower().endswith(".json"):
        yield json.dumps(report, indent=1, allow_nan=False) + "\n"
    else:
        from inspector_app.analysis.export_page import html_report

        yield from html_report(report)
