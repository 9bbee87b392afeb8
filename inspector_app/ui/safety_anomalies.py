"""What is odd about a container and its streams: what it is, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QPalette, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QSizePolicy, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, theme
from inspector_app.ui.problem_text import problem_text
from inspector_app.ui.text_widgets import tooltip

MOST_LISTED = 500
MOST_LINES = 12
_Index = QModelIndex | QPersistentModelIndex
_NO_PARENT = QModelIndex()


class _Model(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.problems: Sequence[Problem] = ()

    def show(self, problems: Sequence[Problem]) -> None:
        self.beginResetModel()
        self.problems = problems
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        if parent.isValid():
            return 0
        return min(len(self.problems), MOST_LISTED) + (len(self.problems) > MOST_LISTED)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DecorationRole:
            return icons.icon("warning", theme.tones(QPalette()).warning)
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return self.text(index.row())
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(self.text(index.row()))
        return None

    def text(self, number: int) -> str:
        if number >= MOST_LISTED:
            left = count_text(len(self.problems) - MOST_LISTED)
            return self.tr("… and {n} more").format(n=left)
        problem = self.problems[number]
        text = problem_text(problem)
        return f"{plain(problem.where)}: {text}" if problem.where else text


class AnomalyList(QListView):
    """A line for each, as tall as it needs to be up to `MOST_LINES`.

    Signals:
        chosen: a `Problem`, by a click or the Return key.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Model(self)
        self.setModel(self._model)
        self.setAccessibleName(self.tr("Anomalies"))
        self.setWordWrap(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setIconSize(QSize(14, 14))
        self.setTabKeyNavigation(False)
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)

    def show_problems(self, problems: Sequence[Problem]) -> None:
        """Show these."""
        self._model.show(problems)
        self._fit()

    def texts(self) -> list[str]:
        """What is listed."""
        return [self._model.text(number) for number in range(self._model.rowCount())]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy) and self.currentIndex().isValid():
            QGuiApplication.clipboard().setText(self._model.text(self.currentIndex().row()))
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """As tall as the first of them need to be."""
        most = MOST_LINES * (self.fontMetrics().height() + 4)
        height = 0
        for number in range(self._model.rowCount()):
            height += self.visualRect(self._model.index(number, 0)).height()
            if height >= most:
                break
        height = min(height, most) + 2 * self.frameWidth() + 4
        if height != self.height():
            self.setFixedHeight(height)

    def _choose(self, index: QModelIndex) -> None:
        if index.row() < min(len(self._model.problems), MOST_LISTED):
            self.chosen.emit(self._model.problems[index.row()])
