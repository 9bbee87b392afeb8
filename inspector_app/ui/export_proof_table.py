"""What the proof compared: a row per output of each case."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, theme
from inspector_app.ui.copying import offer_copy
from inspector_app.ui.worker_words import figure_text
from inspector_app.worker.protocol import ProofCase, Proved

_MOST_ROWS = 500
_MOST_SHOWN = 9


class ProofTable(QTableWidget):
    """Inputs, output, largest errors, and whether they are within tolerance."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 5, parent)
        self.setAccessibleName(self.tr("What was compared"))
        self.setHorizontalHeaderLabels(
            [
                self.tr("Inputs"),
                self.tr("Output"),
                self.tr("Max abs error"),
                self.tr("Max relative error"),
                self.tr("Within"),
            ]
        )
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setStyleSheet(_STYLE)
        self.setAlternatingRowColors(True)
        offer_copy(self)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for column in (2, 3):
            self.horizontalHeaderItem(column).setTextAlignment(_RIGHT)
        for column in (0, 1):
            self.horizontalHeaderItem(column).setTextAlignment(_LEFT)

    def show_proof(self, proved: Proved) -> None:
        """List what was compared."""
        self.setRowCount(0)
        seen: set[str] = set()
        for case in proved.cases:
            if self.rowCount() >= _MOST_ROWS:
                break
            sizes = ", ".join(f"{plain(name, 30)} {size}" for name, size in case.sizes.items())
            sizes = sizes or self.tr("as the example")
            other = self.tr("{sizes}, other values").format(sizes=sizes)
            self._add_case(case, other if sizes in seen else sizes)
            seen.add(sizes)
        rows = min(max(self.rowCount(), 1), _MOST_SHOWN)
        height = self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth() + 2
        self.setFixedHeight(height + rows * self.verticalHeader().defaultSectionSize())

    def rows(self) -> list[list[str]]:
        """What is shown."""
        return [
            [self.item(row, column).text() for column in range(self.columnCount())]
            for row in range(self.rowCount())
        ]

    def _add_case(self, case: ProofCase, inputs: str) -> None:
        if case.error:
            self._add([inputs, plain(case.error, 300), "", "", self.tr("no")], False)
        for each in case.outputs:
            within = self.tr("yes") if each.within else self.tr("no")
            cells = [
                inputs,
                plain(each.name, 60),
                figure_text(each.max_abs),
                figure_text(each.max_rel),
                within,
            ]
            self._add(cells, each.within)

    def _add(self, cells: list[str], within: bool) -> None:
        row = self.rowCount()
        self.insertRow(row)
        tones = theme.tones(QPalette())
        for column, text in enumerate(cells):
            item = QTableWidgetItem(text)
            item.setTextAlignment(_RIGHT if column in (2, 3) else _LEFT)
            item.setToolTip("" if len(text) < 40 else text.replace("<", "&lt;"))
            if not within:
                item.setForeground(QColor(tones.error))
            self.setItem(row, column, item)
        sign, colour = ("check", tones.info) if within else ("close", tones.error)
        self.item(row, 4).setIcon(icons.icon(sign, colour))


# Cells and headings begin and end at the same places.
_STYLE = (
    "QTableView::item { padding: 0 3px; }"
    "QHeaderView::section { padding: 3px 6px; border: 0; background: palette(window);"
    " border-bottom: 1px solid palette(mid); }"
)
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
