"""What the pages of a pair have in common: both tensors are read in the background."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.pair_source import PairSource


class PairView(QWidget):
    """Something found out about both tensors, with words about it.

    Args:
        words: the label that says what is shown; its place is the page's affair.

    Signals:
        failed: the values could not be read.
        finished: what was found is shown.
    """

    failed = Signal(object)
    finished = Signal()

    def __init__(self, words: QLabel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._work = LatestWork(self)
        self._words = words
        self._words.setWordWrap(True)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)

    def show_source(self, source: PairSource | None) -> None:
        """Show another pair."""
        self.cancel()
        if source is None:
            return
        self._words.setText(self.tr("Reading…"))
        self._work.run(_last(self._steps(source)), lambda _: None, self._read, self.failed.emit)

    def cancel(self) -> None:
        """Stop reading; what is shown stays."""
        self._work.cancel()

    def stop(self) -> None:
        """End all reading before the readers are closed."""
        self._work.stop()

    def words(self) -> str:
        """What is shown, or what cannot be, in words."""
        return self._words.text()

    def _read(self, found: Any) -> None:
        if found is not None:
            self._show(found)
            self.finished.emit()

    # What each page has of its own

    @staticmethod
    def _steps(source: PairSource) -> Generator[Any, None, None]:
        """What is known after each step; the last is what is shown. Runs in a thread."""
        raise NotImplementedError

    def _show(self, found: Any) -> None:
        raise NotImplementedError


def _last(steps: Generator[Any, None, None]) -> Generator[None, None, Any]:
    # Not a method: a thread that held the widget could be the last to let go of it.
    found = None
    for step in steps:
        found = step
        yield None
    return found
