"""The documentation, in a window beside the main one: it needs no network."""

from __future__ import annotations

import os
import re
from importlib.metadata import PackageNotFoundError, metadata

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QKeySequence, QShortcut, QTextCursor, QTextDocument
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from inspector_app.resources_path import resource_path
from inspector_app.ui.close_box import close_box
from inspector_app.ui.icons import icon

PACKAGE = "checkpoint-inspector"
_PICTURE = re.compile(r"<picture>.*?</picture>\n*|!\[[^\]]*\]\([^)]*\)\n*", re.DOTALL)


def manual() -> str:
    """The README as Markdown: a clone's own, or the one that a package carries; "" if neither."""
    try:
        beside = os.path.dirname(os.path.dirname(resource_path("icons")))
        with open(os.path.join(beside, "README.md"), encoding="utf-8") as file:
            return file.read()
    except OSError:
        pass  # an installed package has it among its metadata instead
    try:
        return metadata(PACKAGE).get_payload() or ""
    except PackageNotFoundError:
        return ""


class ManualDialog(QDialog):
    """The README to read and to search."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Checkpoint Inspector: Documentation"))
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search"))
        self.search.setAccessibleName(self.tr("Search the documentation"))
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.textEdited.connect(self._begin_search)
        self.search.returnPressed.connect(self.find_next)
        self.text = QTextBrowser()
        self.text.setAccessibleName(self.tr("Documentation"))
        self.text.setOpenLinks(False)
        self.text.anchorClicked.connect(self._follow_link)
        self.text.document().setDocumentMargin(18)
        # Screenshots of the window are of little use inside it, and no package has them.
        text = _PICTURE.sub("", manual())
        self.text.setMarkdown(text or self.tr("This installation came without documentation."))
        buttons = close_box(self)
        for keys, slot in (
            (QKeySequence.StandardKey.Find, self.search.setFocus),
            (QKeySequence.StandardKey.FindNext, self.find_next),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(slot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 14, 14, 12)
        layout.setSpacing(10)
        layout.addWidget(self.search)
        layout.addWidget(self.text, 1)
        layout.addWidget(buttons)
        self.resize(860, 680)
        self.text.setFocus()

    def find_next(self) -> bool:
        """Go to the next place that has what is searched for, from the top after the last."""
        wanted = self.search.text()
        if not wanted:
            return False
        if self.text.find(wanted):
            return True
        self.text.moveCursor(QTextCursor.MoveOperation.Start)
        return self.text.find(wanted, QTextDocument.FindFlag(0))

    def _begin_search(self) -> None:
        self.text.moveCursor(QTextCursor.MoveOperation.Start)
        self.find_next()

    def _follow_link(self, address: QUrl) -> None:
        if address.isRelative():
            self.text.scrollToAnchor(address.fragment())
        elif address.scheme() in ("http", "https"):
            QDesktopServices.openUrl(address)
