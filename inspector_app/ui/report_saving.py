"""Saving a report beside the file that it is about."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.latest_work import LatestWork

PDF = ".pdf"


class ReportSaving(QObject):
    """Writes what a wizard's work gave, as a page (or text) or as JSON.

    Signals:
        message: one sentence: it was saved, or why not.
    """

    message = Signal(str)

    # What a kind of report has otherwise: ``.html`` or ``.txt``.
    ending = ".html"

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self._work = LatestWork(self)

    def ask_where(self, target: str, chosen: Callable[[str], object]) -> QFileDialog:
        """Ask for a file, beside `target` at first; `chosen` gets its path."""
        dialog = QFileDialog(self._window, self.tr("Save Report"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        form = self.tr("Page") if self.ending == ".html" else self.tr("Text")
        endings = (self.ending, PDF, ".json")
        names = (form, self.tr("PDF document"), self.tr("JSON"))
        filters = [f"{name} (*{ending})" for name, ending in zip(names, endings, strict=True)]
        dialog.setNameFilters(filters)
        dialog.setDefaultSuffix(endings[0][1:])
        dialog.filterSelected.connect(
            lambda filter_: dialog.setDefaultSuffix(endings[filters.index(filter_)][1:])
        )
        dialog.setDirectory(os.path.dirname(target))
        dialog.selectFile(f"{os.path.basename(target)}.report{self.ending}")
        dialog.fileSelected.connect(chosen)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def write(self, path: str, parts: Iterator[str], kept: Sequence[str]) -> None:
        """Write the text of `parts`, unless `path` is one of the files `kept`."""
        from inspector_app.analysis.report_file import writing

        if any(_same(path, each) for each in kept):
            self.message.emit(self.tr("The report was not saved: this is a file that it is about."))
            return
        if path.lower().endswith(PDF):
            from inspector_app.ui.printing import write_pdf

            title = os.path.basename(path)[: -len(PDF)]
            write_pdf(self._window, title, path, lambda: self._page(parts), self.message.emit)
            return
        self._work.run(
            writing(path, parts),
            lambda _progress: None,
            lambda _end: self._saved(path),
            self._not_saved,
        )

    def print_page(self, title: str, parts: Iterator[str]) -> None:
        """Ask for a printer, and print what `parts` give."""
        from inspector_app.ui.printing import ask_printer

        ask_printer(self._window, title, lambda: self._page(parts), self.message.emit)

    def _page(self, parts: Iterator[str]) -> Iterator[str]:
        """What is printed: a page as it is, text in lines."""
        return parts if self.ending == ".html" else _lined(parts)

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


def _lined(parts: Iterator[str]) -> Iterator[str]:
    from html import escape

    yield "<pre>"
    for part in parts:
        yield escape(part)
    yield "</pre>"


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
