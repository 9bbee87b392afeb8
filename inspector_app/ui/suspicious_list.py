"""The tensors that somebody should look at, the worst first; each leads to its row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPalette
from PySide6.QtWidgets import QAbstractItemView, QListView, QSizePolicy, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.suspicious import EXPLODING, REASONS, Reason, Suspicion
from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, theme
from inspector_app.ui.copying import offer_copy
from inspector_app.ui.statistics_columns import figure_text
from inspector_app.ui.text_widgets import tooltip

MOST_LINES = 12
# Of one reason; beyond these the tree's columns sort better.
MOST_LISTED = 500
_BROKEN = frozenset({Reason.NAN, Reason.INFINITE, Reason.EXPLODING})


class _Suspicions(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._kept: dict[str, list[Suspicion]] = {reason: [] for reason in REASONS}
        self._shown: list[Suspicion] = []
        self.total = 0

    def replace(self, found: Iterable[Suspicion]) -> None:
        for kept in self._kept.values():
            kept.clear()
        self.total = 0
        self._shown = []
        self.beginResetModel()
        self.endResetModel()
        self.add(found)

    def add(self, found: Iterable[Suspicion]) -> None:
        changed = False
        for suspicion in found:
            self.total += 1
            kept = self._kept[suspicion.reason]
            if len(kept) < MOST_LISTED:
                kept.append(suspicion)
                changed = True
        if changed:
            self.beginResetModel()
            self._shown = [entry for kept in self._kept.values() for entry in kept]
            self.endResetModel()

    def at(self, place: int) -> Suspicion:
        return self._shown[place]

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._shown)

    def data(
        self,
        index: QModelIndex | QPersistentModelIndex,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        if not 0 <= index.row() < len(self._shown):
            return None
        suspicion = self._shown[index.row()]
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return f"{plain(suspicion.tensor.name, 160)}: {self._words(suspicion)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(f"{suspicion.tensor.name}\n{self._words(suspicion)}")
        if role == Qt.ItemDataRole.DecorationRole:
            return _sign(suspicion.reason)
        return None

    def _words(self, suspicion: Suspicion) -> str:
        number = suspicion.number
        match suspicion.reason:
            case Reason.NAN:
                return self.tr("{n} NaN").format(n=count_text(int(number)))
            case Reason.INFINITE:
                return self.tr("{n} infinite").format(n=count_text(int(number)))
            case Reason.EXPLODING:
                return self.tr("magnitudes up to {value}, beyond {bound}").format(
                    value=figure_text(number), bound=count_text(int(EXPLODING))
                )
            case Reason.ALL_ZERO:
                return self.tr("all {n} values are 0").format(n=count_text(int(number)))
            case Reason.CONSTANT:
                return self.tr("every value is {value}").format(value=figure_text(number))
        names = [plain(other.name, 160) for other in suspicion.others[:2]]
        text = self.tr("same bytes as {names}").format(names=", ".join(names))
        left = len(suspicion.others) - len(names)
        if left > 0:
            text = self.tr("{text} and {n} more").format(text=text, n=count_text(left))
        return self.tr("{text} (by checksum)").format(text=text)


def _sign(reason: str) -> QIcon:
    tones = theme.tones(QPalette())
    if reason in _BROKEN:
        return icons.icon("error", tones.error)
    if reason == Reason.DUPLICATE:
        return icons.icon("copy", tones.muted)
    return icons.icon("warning", tones.warning)


class SuspiciousList(QListView):
    """The list, as tall as it needs to be up to `MOST_LINES`.

    Signals:
        chosen: the `TensorInfo` to go to, by click or the Return key.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Suspicions(self)
        self.setModel(self._model)
        offer_copy(self)
        self.setUniformItemSizes(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setIconSize(QSize(14, 14))
        self.setTabKeyNavigation(False)
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)

    def __len__(self) -> int:
        return self._model.rowCount()

    def total(self) -> int:
        """How many were found; of each reason the first `MOST_LISTED` are listed."""
        return self._model.total

    def texts(self) -> list[str]:
        """What is listed."""
        indexes = (self._model.index(place) for place in range(len(self)))
        return [self._model.data(index) for index in indexes]

    def replace(self, found: Iterable[Suspicion]) -> None:
        """List these alone."""
        self._model.replace(found)
        self.updateGeometry()

    def add(self, found: Sequence[Suspicion]) -> None:
        """List these too, each where its reason belongs; the current one stays current."""
        if not found:
            return
        current = (
            self._model.at(self.currentIndex().row()) if self.currentIndex().isValid() else None
        )
        self._model.add(found)
        if current is not None:
            for place in range(len(self)):
                if self._model.at(place) is current:
                    self.setCurrentIndex(self._model.index(place))
                    break
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        lines = min(max(len(self), 1), MOST_LINES)
        height = self.sizeHintForRow(0) if len(self) else self.fontMetrics().height() + 4
        return QSize(240, lines * height + 2 * self.frameWidth() + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def _choose(self, index: QModelIndex) -> None:
        self.chosen.emit(self._model.at(index.row()).tensor)
