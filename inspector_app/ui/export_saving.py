"""Saving the report of an export beside its file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.latest_work import LatestWork
from inspector_app.worker.export_run import ExportOutcome, ExportPlan

ENDINGS = (".html", ".json")


class ReportSaving(QObject):
    """Writes what an export gave, as a page or as JSON.

    Signals:
        message: one sentence: it was saved, or why not.
    """

    message = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self._work = LatestWork(self)

    def ask(self, plan: ExportPlan, outcome: ExportOutcome) -> QFileDialog:
        """Ask where to save it; beside the file that was written at first."""
        dialog = QFileDialog(self._window, self.tr("Save Report"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        filters = [self.tr("Page") + " (*.html)", self.tr("JSON") + " (*.json)"]
        dialog.setNameFilters(filters)
        dialog.setDefaultSuffix(ENDINGS[0][1:])
        dialog.filterSelected.connect(
            lambda chosen: dialog.setDefaultSuffix(ENDINGS[filters.index(chosen)][1:])
        )
        dialog.setDirectory(os.path.dirname(plan.target))
        dialog.selectFile(f"{os.path.basename(plan.target)}.report.html")
        dialog.fileSelected.connect(lambda path: self.save(path, plan, outcome))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def save(self, path: str, plan: ExportPlan, outcome: ExportOutcome) -> None:
        """Write it, as JSON where the name ends so."""
        from inspector_app.analysis.report_file import writing

        if any(_same(path, each) for each in (plan.model.checkpoint, *outcome.files)):
            self.message.emit(self.tr("The report was not saved: this is the exported file."))
            return
        self._work.run(
            writing(path, _parts(path, plan, outcome)),
            lambda _progress: None,
            lambda _end: self._saved(path),
            self._not_saved,
        )

    def stop(self) -> None:
        """End what is going on."""
        self._work.stop()

    def _saved(self, path: str) -> None:
        text = self.tr("{name} was saved.")
        self.message.emit(text.format(name=plain(os.path.basename(path))))

    def _not_saved(self, error: Exception) -> None:
        if not isinstance(error, OSError):
            raise error
        text = self.tr("The report was not saved: {reason}.")
        self.message.emit(text.format(reason=plain(error.strerror or str(error))))


def _parts(path: str, plan: ExportPlan, outcome: ExportOutcome) -> Iterator[str]:
    from inspector_app.worker.export_report import document

    report = document(plan, outcome)
    if path.lower().endswith(".json"):
        yield json.dumps(report, indent=1, allow_nan=False) + "\n"
    else:
        from inspector_app.analysis.export_page import html_report

        yield from html_report(report)


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
