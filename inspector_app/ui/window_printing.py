"""What of the window prints: the tab in front, on paper or as PDF."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QCoreApplication

from inspector_app.ui.printing import MOST_KEYS, Make, ask_pdf, ask_printer

if TYPE_CHECKING:
    from inspector_app.ui.main_window import MainWindow
    from inspector_app.ui.run_tab import RunTab


class Job(NamedTuple):
    """What would be printed.

    Attributes:
        title: at the foot of each page.
        path: where a PDF file of it goes at first, without ending.
        make: gives the page.
    """

    title: str
    path: str
    make: Make


class WindowPrinting:
    """The slots of the table's actions that print.

    Args:
        window: whose tab in front is printed.
    """

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def print_tab(self) -> None:
        """Ask for a printer."""
        if (job := self._wanted()) is not None:
            ask_printer(self._window, job.title, job.make, self._window.say)

    def save_pdf(self) -> None:
        """Ask for a file."""
        if (job := self._wanted()) is not None:
            ask_pdf(self._window, job.title, job.path, job.make, self._window.say)

    def _wanted(self) -> Job | None:
        job = self.job()
        if job is None:
            text = QCoreApplication.translate("WindowPrinting", "There is nothing to print yet")
            self._window.say(text)
        return job

    def job(self) -> Job | None:
        """What the tab in front would print, if it shows anything."""
        tab = self._window.tab()
        if tab is None:
            return None
        path = os.path.abspath(tab.paths()[0])
        if tab.kind == "run":
            beside = path if os.path.isdir(path) else os.path.dirname(path)
            return Job(tab.name(), os.path.join(beside, "run"), lambda: _run_page(tab))
        if tab.checkpoint is None:
            return None
        if tab.kind == "comparison":
            beside = os.path.join(os.path.dirname(path), "comparison")
            return Job(tab.name(), beside, lambda: tab.body.reports.page(MOST_KEYS))
        from inspector_app.ui.file_page import file_page

        checkpoint, totals = tab.checkpoint, tab.totals
        return Job(tab.name(), path, lambda: file_page(checkpoint, totals))


def _run_page(tab: RunTab) -> Iterator[str]:
    yield f"<h1>{escape(tab.name())}</h1><p>{escape(tab.summary())}</p>"
    heads = "".join(f"<th>{escape(head)}</th>" for head in tab.table.heads())
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
    for row in tab.table.rows():
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</tbody></table>"
