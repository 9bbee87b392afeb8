"""Saving the report of a transfer: what flowed, what did not, and why."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtWidgets import QFileDialog

from inspector_app.analysis.transfer_plan import TransferPlan
from inspector_app.ui.report_saving import ReportSaving


class TransferReports(ReportSaving):
    """Writes what became of each key."""

    ending = ".txt"

    def ask(self, plan: TransferPlan, out: str) -> QFileDialog:
        """Ask where to save it; beside the file that was written at first."""
        return self.ask_where(out, lambda path: self.save(path, plan, out))

    def save(self, path: str, plan: TransferPlan, out: str) -> None:
        """Write it, as JSON where the name ends so."""
        kept = (out, plan.source.path, plan.target.path)
        self.write(path, _parts(path, plan, out), kept)


def _parts(path: str, plan: TransferPlan, out: str) -> Iterator[str]:
    from inspector_app.analysis.transfer_report import json_text, text_parts

    if path.lower().endswith(".json"):
        yield json_text(plan, out, (out,))
    else:
        yield from text_parts(plan, out, shown=None)
