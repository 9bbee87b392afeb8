"""The tensors with what quantization would cost each, ranked as somebody wants to see them."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QWidget

from inspector_app.analysis.quantities import size_text
from inspector_app.analysis.quantization_figures import SchemeError, TensorPreview
from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.quantize_words import (
    cosine_text,
    damage_share,
    db_text,
    kept_text,
    percent_text,
)
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import tooltip
from inspector_app.ui.worker_words import figure_text

NAME, DAMAGE, MAX_ABS, COSINE, CLIPPED, BEFORE, AFTER = range(7)
SHARE = Qt.ItemDataRole.UserRole  # how long the bar of damage is, of 1
DB = Qt.ItemDataRole.UserRole + 1
AT_ONCE = 2_000  # rows that are ranked without letting the window paint
_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class PreviewModel(QAbstractTableModel):
    """A row for each tensor; those that the scheme leaves alone come last."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._scheme = ""
        self._source: Sequence[TensorPreview] = ()
        self._ranking = _Ranking("", DAMAGE, True)
        self._steps: Steps | None = None
        self._order = (DAMAGE, Qt.SortOrder.DescendingOrder)
        self._heads = [
            self.tr("Tensor"),
            self.tr("SQNR"),
            self.tr("Max abs"),
            self.tr("Cosine"),
            self.tr("Clipped"),
            self.tr("Before"),
            self.tr("After"),
        ]
        self._hints = [
            "",
            self.tr("Signal to quantization noise: 20 dB are a tenth, 40 dB a hundredth"),
            self.tr("The largest difference of a value"),
            self.tr("Cosine similarity of the values before and after"),
            self.tr("Share of the values beyond the ends of the grid"),
            self.tr("Bytes in the file"),
            self.tr("Bytes once quantized, scales and zero points included"),
        ]

    def show(self, found: Sequence[TensorPreview], scheme: str) -> None:
        """Show these figures; the same list may have grown since the last time."""
        if scheme != self._scheme or found is not self._source:
            self._scheme, self._source = scheme, found
            self._rank_anew()
        elif self._steps is None and self._ranking.count < len(found):
            self.beginResetModel()
            for _ in self._ranking.taking(found):
                pass
            self.endResetModel()

    def at(self, row: int) -> TensorPreview:
        """The tensor of a row."""
        taken = self._ranking.taken
        return taken[row][2] if row < len(taken) else self._ranking.kept[row - len(taken)][1]

    def row_of(self, number: int) -> int:
        """Where the tensor of that number is, or -1."""
        rows = range(self.rowCount())
        return next((row for row in rows if self.at(row).number == number), -1)

    def error_of(self, found: TensorPreview) -> SchemeError | None:
        """What the scheme costs it, or None where it is kept."""
        return found.schemes.get(self._scheme)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else self._ranking.count

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._heads)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == _Role.DisplayRole:
            return self._heads[section]
        if role == _Role.ToolTipRole:
            return self._hints[section] or None
        if role == _Role.TextAlignmentRole:
            return _LEFT if section in (NAME, DAMAGE) else _RIGHT
        return None

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        if not index.isValid():
            return None
        column = index.column()
        if role == _Role.TextAlignmentRole:
            return _LEFT if column in (NAME, DAMAGE) else _RIGHT
        found = self.at(index.row())
        error = self.error_of(found)
        if role == _Role.DisplayRole:
            return self._text(found, error, column)
        if role == _Role.ForegroundRole and error is None:
            return QColor(theme.tones(QPalette()).muted)
        if role == _Role.ToolTipRole and column == NAME:
            return tooltip(found.tensor.name)
        if column == DAMAGE and error is not None:
            if role == SHARE:
                return damage_share(error.sqnr_db)
            if role == DB:
                return error.sqnr_db
        return None

    def _text(self, found: TensorPreview, error: SchemeError | None, column: int) -> str:
        if column == NAME:
            return plain(found.tensor.name, 200)
        if column == BEFORE:
            return size_text(found.nbytes)
        if error is None:
            if column == DAMAGE:
                return self.tr("kept: {reason}").format(reason=kept_text(found.kept))
            return size_text(found.nbytes) if column == AFTER else ""
        if column == DAMAGE:
            return db_text(error.sqnr_db)
        if column == MAX_ABS:
            return figure_text(error.max_abs)
        if column == COSINE:
            return cosine_text(error.cosine)
        if column == CLIPPED:
            return percent_text(error.clipped) if error.clipped else "0"
        return size_text(error.nbytes)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._order = (column, order)
        self._rank_anew()

    def stop(self) -> None:
        """End what is going on."""
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _rank_anew(self) -> None:
        self.stop()
        column, order = self._order
        ranking = _Ranking(self._scheme, column, order == Qt.SortOrder.DescendingOrder)
        if len(self._source) <= AT_ONCE:
            for _ in ranking.taking(self._source):
                pass
            self._take(ranking)
            return
        self._steps = Steps(ranking.taking(self._source), self)
        self._steps.finished.connect(lambda: self._ranked(ranking))
        self._steps.start()

    def _ranked(self, ranking: _Ranking) -> None:
        self.stop()
        self._take(ranking)

    def _take(self, ranking: _Ranking) -> None:
        self.beginResetModel()
        self._ranking = ranking
        self.endResetModel()


class _Ranking:
    """The rows in their order. Each has its key, so that what comes later is merged in."""

    def __init__(self, scheme: str, column: int, descending: bool) -> None:
        self._scheme, self._column, self._descending = scheme, column, descending
        self._sign = -1 if descending else 1
        self.taken: list[tuple[Any, int, TensorPreview]] = []
        self.kept: list[tuple[int, TensorPreview]] = []
        self.count = 0

    def taking(self, found: Sequence[TensorPreview]) -> Generator[None, None, None]:
        """Take what `found` has beyond what was taken."""
        key = self._key()
        place = len(self.taken) + len(self.kept)
        while place < len(found):
            each = found[place]
            if self._scheme in each.schemes:
                self.taken.append((key(each), self._sign * each.number, each))
            else:
                self.kept.append((each.number, each))
            place += 1
            if place % AT_ONCE == 0:
                yield
        # Sorting what is sorted but for its end takes little; numbers are each there once.
        self.taken.sort(reverse=self._descending)
        self.kept.sort()
        self.count = len(self.taken) + len(self.kept)

    def _key(self) -> Callable[[TensorPreview], Any]:
        scheme, column = self._scheme, self._column
        if column == NAME:
            return lambda each: each.tensor.name
        if column == BEFORE:
            return lambda each: each.nbytes
        name = _FIGURES[column]

        def figure(each: TensorPreview) -> float:
            value: float = getattr(each.schemes[scheme], name)
            return -math.inf if math.isnan(value) else value

        return figure


_FIGURES = {
    DAMAGE: "damage",
    MAX_ABS: "max_abs",
    COSINE: "cosine",
    CLIPPED: "clipped",
    AFTER: "nbytes",
}
