"""A selection seen on several pages, of which the one in front is made and reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QStackedWidget, QTabBar, QVBoxLayout, QWidget

from inspector_app.ui.early_imports import EarlyImports
from inspector_app.ui.text_widgets import MutedLabel

DETAILS = 0
SETTLE_MS = 25  # while an arrow key runs through the tree, nothing is read


class PagedPane(QWidget):
    """A bar of tabs over a stack of pages, which are made when they are needed first.

    Args:
        details: the page that is always there.

    Signals:
        message: one sentence for the status bar.
        settled: what the page in front shows is complete.
    """

    message = Signal(str)
    settled = Signal()

    page_margins = (16, 8, 16, 8)

    def __init__(self, details: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pages: dict[int, Any] = {}
        self._imports = EarlyImports(self)
        self._imports.ready.connect(self._present)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SETTLE_MS)
        self._later.timeout.connect(self._present)
        self.tabs = QTabBar()
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(True)
        self.tabs.setMouseTracking(True)
        self._imports.watch(self.tabs)
        self.details = details
        self._preparing = MutedLabel(self.tr("Preparing…"))
        self._preparing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack = QStackedWidget()
        self._stack.addWidget(details)
        self._stack.addWidget(self._preparing)
        self._body = QWidget()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.tabs)
        layout.addWidget(self._body)
        layout.addWidget(self._stack, 1)

    def _add_tabs(self, name: str, titles: Sequence[str]) -> None:
        """Add the tabs, the first of which is the details; `name` is for those who hear it."""
        self.tabs.setAccessibleName(name)
        for title in titles:
            self.tabs.addTab(title)
        self.tabs.currentChanged.connect(self._page_chosen)

    def prepare_with(self, widget: QWidget) -> None:
        """Import what the pages need when somebody turns to `widget`, where one selects."""
        self._imports.watch(widget)

    def page(self, number: int) -> Any:
        """One of the pages, made when it is needed first."""
        if number == DETAILS:
            return self.details
        if number not in self._pages:
            made = self._pages[number] = self._make(number)
            holder = QWidget()
            layout = QVBoxLayout(holder)
            layout.setContentsMargins(*self.page_margins)
            layout.addWidget(made)
            self._stack.addWidget(holder)
            made.failed.connect(self._failed)
            self._listen_to(number, made)
        return self._pages[number]

    def current(self) -> int:
        """The number of the page in front."""
        return self.tabs.currentIndex() if self._has_pages() else DETAILS

    def stop(self) -> None:
        """End all reading."""
        self._later.stop()
        self._imports.stop()
        for page in self._pages.values():
            page.stop()

    def _page_chosen(self) -> None:
        self._show_controls()
        self._later.start()

    # What each pane has of its own

    def _make(self, number: int) -> Any:
        """A page, which comes with its own imports."""
        raise NotImplementedError

    def _listen_to(self, number: int, page: Any) -> None:
        """A page was made; `_failed` is told of its errors already."""
        page.finished.connect(self.settled)

    def _has_pages(self) -> bool:
        """What is selected can be seen on more than the details."""
        raise NotImplementedError

    def _show_controls(self) -> None:
        """Show what belongs to the selection and the page in front."""
        raise NotImplementedError

    def _present(self) -> None:
        """Let the page in front show what is selected."""
        raise NotImplementedError

    def _failed(self, error: Exception | None) -> None:
        """The page in front could not read; None where it had nothing to say."""
        raise NotImplementedError
