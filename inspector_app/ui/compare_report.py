"""The report of a comparison: copied, or saved to a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from inspector_app.analysis.comparison import Comparison, Tolerance
from inspector_app.analysis.key_mapping import KeyMapping
from inspector_app.checkpoint.text import plain
from inspector_app.ui.latest_work import LatestWork

PDF = ".pdf"
Parts = Iterator[str]
Writer = Callable[[Comparison, KeyMapping, Tolerance], Parts]


class Form(NamedTuple):
    """One way to write a report."""

    id: str
    ending: str
    write: Writer


def _text(comparison: Comparison, mapping: KeyMapping, tolerance: Tolerance) -> Parts:
    from inspector_app.analysis.diff_plain import plain_report
    from inspector_app.analysis.diff_report import ReportOptions

    return plain_report(comparison, ReportOptions(mapping, (), *tolerance))


def _markdown(comparison: Comparison, mapping: KeyMapping, tolerance: Tolerance) -> Parts:
    from inspector_app.analysis.diff_markdown import MOST_KEYS, markdown_report
    from inspector_app.analysis.diff_report import ReportOptions

    return markdown_report(comparison, ReportOptions(mapping, (), *tolerance, most_keys=MOST_KEYS))


def _html(comparison: Comparison, mapping: KeyMapping, tolerance: Tolerance) -> Parts:
    from inspector_app.analysis.diff_html import html_report
    from inspector_app.analysis.diff_report import ReportOptions

    return html_report(comparison, ReportOptions(mapping, (), *tolerance))


def _json(comparison: Comparison, mapping: KeyMapping, tolerance: Tolerance) -> Parts:
    from inspector_app.analysis.diff_json import json_parts

    return json_parts(comparison, ([], []), any(p.metrics for p in comparison.pairs))


def _message(comparison: Comparison, mapping: KeyMapping, tolerance: Tolerance) -> Parts:
    from inspector_app.analysis.strict_load import strict_load

    yield strict_load(comparison, mapping).message or "<All keys matched successfully>"


FORMS = (
    Form("text", ".txt", _text),
    Form("markdown", ".md", _markdown),
    Form("json", ".json", _json),
    Form("html", ".html", _html),
    Form("message", "", _message),
)


class CompareReports(QObject):
    """Writes what is shown.

    Args:
        shown: gives the comparison, and the mapping and tolerance that it was made with.

    Signals:
        message: one sentence for the status bar.
    """

    message = Signal(str)

    def __init__(
        self, shown: Callable[[], tuple[Comparison | None, KeyMapping, Tolerance]], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._shown = shown
        self._window = parent
        self._work = LatestWork(self)

    def menu(self) -> QMenu:
        """Copying and saving, each form an entry."""
        menu = QMenu(self._window)
        for form in FORMS:
            if form.id != "html":
                action = menu.addAction(self.tr("Copy as {form}").format(form=self._name(form)))
                action.triggered.connect(lambda _checked=False, form=form: self.copy(form.id))
        menu.addSeparator()
        menu.addAction(self.tr("&Save Report…")).triggered.connect(self.ask)
        return menu

    def copy(self, form: str) -> None:
        """Put the report into the clipboard."""
        self._write(_form(form), self._copied)

    def save(self, path: str) -> None:
        """Write the report to a file, in the form that its ending says."""
        ending = os.path.splitext(path)[1].lower()
        if ending == PDF:
            self._save_pdf(path)
            return
        form = next((each for each in FORMS if ending and each.ending == ending), FORMS[0])
        self._write(form, lambda text: self._save(path, text))

    def ask(self) -> None:
        """Ask where to save it."""
        dialog = QFileDialog(self._window, self.tr("Save Report"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        forms = sorted((form for form in FORMS if form.ending), key=lambda form: form.id != "html")
        endings = [*(form.ending for form in forms), PDF]
        filters = [f"{self._name(form)} (*{form.ending})" for form in forms]
        filters.append(self.tr("PDF document") + f" (*{PDF})")
        dialog.setNameFilters(filters)
        dialog.setDefaultSuffix(endings[0][1:])
        dialog.filterSelected.connect(
            lambda chosen: dialog.setDefaultSuffix(endings[filters.index(chosen)][1:])
        )
        dialog.selectFile("comparison")
        dialog.fileSelected.connect(self.save)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def page(self, most_keys: int) -> Parts:
        """The page to be printed, with at most so many keys; nothing without a comparison."""
        from inspector_app.analysis.diff_html import html_report
        from inspector_app.analysis.diff_report import ReportOptions

        comparison, mapping, tolerance = self._shown()
        if comparison is None:
            return iter(())
        return html_report(comparison, ReportOptions(mapping, (), *tolerance, most_keys=most_keys))

    def _save_pdf(self, path: str) -> None:
        from inspector_app.ui.printing import MOST_KEYS, write_pdf

        title = os.path.basename(path)[: -len(PDF)]
        write_pdf(self._window, title, path, lambda: self.page(MOST_KEYS), self.message.emit)

    def stop(self) -> None:
        """End writing."""
        self._work.stop()

    def _name(self, form: Form) -> str:
        return {
            "text": self.tr("Text"),
            "markdown": self.tr("Markdown"),
            "json": self.tr("JSON"),
            "html": self.tr("Web page with charts"),
            "message": self.tr("PyTorch's message"),
        }[form.id]

    def _write(self, form: Form, done: Callable[[str], None]) -> None:
        comparison, mapping, tolerance = self._shown()
        if comparison is None:
            return
        steps = _writing(partial(form.write, comparison, mapping, tolerance))
        self._work.run(steps, lambda _: None, done, self._failed)

    def _copied(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.message.emit(self.tr("The report was copied"))

    def _save(self, path: str, text: str) -> None:
        folder, name = os.path.split(os.path.abspath(path))
        temporary = os.path.join(folder, f".{name[:80]}.{os.urandom(4).hex()}")
        try:
            with open(temporary, "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            os.replace(temporary, path)
        except OSError as error:
            reason = plain(error.strerror or str(error))
            self.message.emit(self.tr("It was not saved: {reason}.").format(reason=reason))
            return
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
        self.message.emit(self.tr("{name} was saved.").format(name=plain(name, 120)))

    def _failed(self, error: Exception) -> None:
        cause = plain(f"{type(error).__name__}: {error}", 200)
        self.message.emit(self.tr("The report could not be written: {cause}").format(cause=cause))


def _form(form: str) -> Form:
    return next(each for each in FORMS if each.id == form)


def _writing(write: Callable[[], Parts]) -> Generator[None, None, str]:
    parts: list[str] = []
    for part in write():
        parts.append(part)
        yield
    return "".join(parts)
