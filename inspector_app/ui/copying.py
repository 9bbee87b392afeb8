"""Copying what is selected: cells as text with tabs between them, charts as values or pictures.

What is offered here works alike in every table, list and chart: by Ctrl+C, which otherwise
would be the window's and mean the row of the tree, and by a menu.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from PySide6.QtCore import (
    QCoreApplication,
    QEvent,
    QItemSelectionRange,
    QMimeData,
    QModelIndex,
    QObject,
    QPoint,
    Qt,
)
from PySide6.QtGui import QAction, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QMenu, QTableView, QTreeView, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.tree_steps import Task

MOST_CELLS = 1_000_000
CELL_CHARACTERS = 20_000
_AT_ONCE = 64  # cells between two looks at the clock

Words = Callable[[QModelIndex], str]
_Standard = QKeySequence.StandardKey
_Role = Qt.ItemDataRole


def offer_copy(
    view: QAbstractItemView,
    words: Words | None = None,
    copy: Callable[[], object] | None = None,
    more: Sequence[tuple[str, Callable[[], object]]] = (),
) -> CellCopying:
    """Have `view` copy what is selected in it.

    Args:
        words: what stands in a cell, where its model's display text does not say it.
        copy: copies by itself what is selected.
        more: what the menu has besides, and what it does.
    """
    return CellCopying(view, words, copy, more)


def offer_picture(chart: QWidget, values: Callable[[], str] | None = None) -> ChartCopying:
    """Have `chart` copied as a picture and, where `values` gives them, as text."""
    return ChartCopying(chart, values)


def copy_menu(widget: QWidget, text: str) -> QMenu:
    """A menu that copies `text`. It deletes itself once it was closed."""
    menu = QMenu(widget)
    menu.aboutToHide.connect(menu.deleteLater)
    menu.addAction(_tr("&Copy"), lambda: copy_text(text)).setEnabled(bool(text))
    return menu


def copy_text(text: str) -> None:
    """Put `text` into the clipboard."""
    QGuiApplication.clipboard().setText(text)


class _Keys(QObject):
    """Takes Ctrl+C for one widget before the window's menu does."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        widget.installEventFilter(self)
        if widget.contextMenuPolicy() == Qt.ContextMenuPolicy.DefaultContextMenu:
            widget.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            widget.customContextMenuRequested.connect(self._show_menu)

    def copy(self) -> None:
        """Copy what there is to copy."""
        raise NotImplementedError

    def menu(self) -> QMenu:
        """What can be copied. It deletes itself once it was closed."""
        raise NotImplementedError

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind not in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            return False
        if not isinstance(event, QKeyEvent) or not event.matches(_Standard.Copy):
            return False
        if kind == QEvent.Type.ShortcutOverride:
            event.accept()
        else:
            self.copy()
        return True

    def _empty_menu(self) -> QMenu:
        menu = QMenu(self._widget)
        menu.aboutToHide.connect(menu.deleteLater)
        return menu

    def _show_menu(self, point: QPoint) -> None:
        widget = self._widget
        inner = widget.viewport() if isinstance(widget, QAbstractItemView) else widget
        self.menu().popup(inner.mapToGlobal(point))


class CellCopying(_Keys):
    """Copies the cells that are selected in a table, a tree or a list."""

    def __init__(
        self,
        view: QAbstractItemView,
        words: Words | None = None,
        copy: Callable[[], object] | None = None,
        more: Sequence[tuple[str, Callable[[], object]]] = (),
    ) -> None:
        super().__init__(view)
        self._view = view
        self._words = words or _display
        self._own = copy
        self._more = more
        self._task = Task(self)

    def copy(self) -> None:
        self._copy(headings=False)

    def menu(self) -> QMenu:
        menu = self._empty_menu()
        some = self._view.selectionModel().hasSelection()
        copy = menu.addAction(_tr("&Copy"), self.copy)
        copy.setShortcut(QKeySequence(_Standard.Copy))
        copy.setEnabled(some)
        for text, do in self._more:
            menu.addAction(text, do).setEnabled(some)
        if self._own is None and _headed(self._view):
            headed = menu.addAction(_tr("Copy With &Headings"), lambda: self._copy(headings=True))
            headed.setEnabled(some)
        if self._view.selectionMode() not in (
            QAbstractItemView.SelectionMode.SingleSelection,
            QAbstractItemView.SelectionMode.NoSelection,
        ):
            every: QAction = menu.addAction(_tr("Select &All"), self._view.selectAll)
            every.setShortcut(QKeySequence(_Standard.SelectAll))
        return menu

    def _copy(self, headings: bool) -> None:
        if self._own is not None:
            self._own()
        elif self._view.selectionModel().hasSelection():
            self._task.run(_collecting(self._view, self._words, headings), copy_text)


class ChartCopying(_Keys):
    """Copies a chart; Ctrl+C has both, and what it is pasted into takes what it can."""

    def __init__(self, chart: QWidget, values: Callable[[], str] | None) -> None:
        super().__init__(chart)
        self._chart = chart
        self._values = values

    def copy(self) -> None:
        data = QMimeData()
        data.setImageData(self._picture())
        if self._values is not None and (text := self._values()):
            data.setText(text)
        QGuiApplication.clipboard().setMimeData(data)

    def menu(self) -> QMenu:
        menu = self._empty_menu()
        if self._values is not None:
            menu.addAction(_tr("Copy &Values"), self.copy_values)
        menu.addAction(_tr("Copy as &Picture"), self.copy_picture)
        return menu

    def copy_values(self) -> None:
        """The values alone."""
        if self._values is not None:
            copy_text(self._values())

    def copy_picture(self) -> None:
        """The picture alone."""
        QGuiApplication.clipboard().setImage(self._picture())

    def _picture(self) -> object:
        return self._chart.grab().toImage()


def _collecting(
    view: QAbstractItemView, words: Words, headings: bool
) -> Generator[None, None, str]:
    """The selected cells from top to bottom, a line for each row."""
    columns = _columns(view)
    ranges = sorted(view.selectionModel().selection(), key=_place)
    parents: list[tuple[tuple[int, ...], QModelIndex]] = []
    rows: dict[tuple[int, ...], set[int]] = {}
    for chosen in ranges:
        above = _path(chosen.parent())
        parents.append((above, chosen.parent()))
        for row in range(chosen.top(), chosen.bottom() + 1):
            rows.setdefault((*above, row), set()).update(range(chosen.left(), chosen.right() + 1))
            if len(rows) * max(len(columns), 1) >= MOST_CELLS:
                break
            if len(rows) % _AT_ONCE == 0:
                yield
    model, above_of = view.model(), dict(parents)
    chosen_columns = [column for column in columns if any(column in each for each in rows.values())]
    lines = []
    if headings:
        orientation = Qt.Orientation.Horizontal
        heads = [model.headerData(column, orientation) for column in chosen_columns]
        lines.append("\t".join(_cell(str(head or "")) for head in heads))
    for place, (path, having) in enumerate(sorted(rows.items())):
        parent = above_of[path[:-1]]
        cells = [
            _cell(words(model.index(path[-1], column, parent))) if column in having else ""
            for column in chosen_columns
        ]
        lines.append("\t".join(cells))
        if place * len(columns) % _AT_ONCE < len(columns):
            yield
    return "\n".join(lines)


def _display(index: QModelIndex) -> str:
    shown = index.data(_Role.DisplayRole)
    if shown is None or shown == "":
        # What is painted by a delegate is said in words for those who do not see it.
        shown = index.data(_Role.AccessibleTextRole)
    return "" if shown is None else str(shown)


def _cell(text: str) -> str:
    # A line break or a tab of its own would make other cells of it.
    return plain(text, CELL_CHARACTERS)


def _columns(view: QAbstractItemView) -> list[int]:
    """The columns on show, from left to right."""
    if isinstance(view, QTableView):
        header = view.horizontalHeader()
    elif isinstance(view, QTreeView):
        header = view.header()
    else:
        return [0]
    shown = [column for column in range(header.count()) if not header.isSectionHidden(column)]
    return sorted(shown, key=header.visualIndex)


def _headed(view: QAbstractItemView) -> bool:
    if isinstance(view, QTableView):
        return not view.horizontalHeader().isHidden()
    return isinstance(view, QTreeView) and not view.isHeaderHidden()


def _path(index: QModelIndex) -> tuple[int, ...]:
    """The rows that lead to an index, from the top."""
    path = []
    while index.isValid():
        path.append(index.row())
        index = index.parent()
    return tuple(reversed(path))


def _place(chosen: QItemSelectionRange) -> tuple[int, ...]:
    return (*_path(chosen.parent()), chosen.top())


def _tr(text: str) -> str:
    return QCoreApplication.translate("Copying", text)
