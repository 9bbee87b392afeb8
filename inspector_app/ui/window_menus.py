"""The two menus whose entries change: recent files, and the columns of the tree in front."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.checkpoint_tree import CheckpointTree

PATH_CHARACTERS = 90


class RecentMenu(QMenu):
    """Recent files, the latest first.

    Args:
        recent: gives them.

    Signals:
        file_requested: open this one.
        clear_requested: forget them all.
    """

    file_requested = Signal(str)
    clear_requested = Signal()

    def __init__(self, recent: Callable[[], list[str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTitle(self.tr("Open Recen&t"))
        self._recent = recent
        self.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        """List the files that are recent now."""
        self.clear()
        paths = self._recent()
        if not paths:
            self.addAction(self.tr("No recent files")).setEnabled(False)
            return
        for path in paths:
            # The text between two "&" would lose them, and underline what follows.
            action = QAction(plain(path, PATH_CHARACTERS).replace("&", "&&"), self)
            action.triggered.connect(
                lambda _checked=False, path=path: self.file_requested.emit(path)
            )
            self.addAction(action)
        self.addSeparator()
        self.addAction(self.tr("&Clear Recent Files"), self.clear_requested.emit)


class ColumnsMenu(QMenu):
    """Which columns the tree in front shows.

    Args:
        tree: the tree in front, if any.
    """

    def __init__(
        self, tree: Callable[[], CheckpointTree | None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setTitle(self.tr("C&olumns"))
        self._tree = tree
        self.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        """List the columns of the tree in front."""
        self.clear()
        tree = self._tree()
        if tree is None:
            return
        for column, heading in tree.columns():
            action = self.addAction(heading)
            action.setCheckable(True)
            action.setChecked(not tree.view.isColumnHidden(column))
            action.toggled.connect(
                lambda shown, column=column: self._show_column(tree, column, shown)
            )

    @staticmethod
    def _show_column(tree: CheckpointTree, column: int, shown: bool) -> None:
        tree.view.setColumnHidden(column, not shown)
        tree.view.fit_name()
