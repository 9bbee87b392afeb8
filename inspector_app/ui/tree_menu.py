"""What can be done with rows of the tree: copying, and the menus that offer it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

from PySide6.QtCore import QCoreApplication, QPoint
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QMenu

from inspector_app.checkpoint.model import Checkpoint, TensorInfo, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.tree_arranger import TreeArranger
from inspector_app.ui.tree_columns import Column
from inspector_app.ui.tree_model import TreeModel
from inspector_app.ui.tree_steps import Task
from inspector_app.ui.tree_view import TreeView

MOST_COPIED = 100_000
LONGEST_COPIED = 20_000
LONGEST_IN_MENU = 40

Lines = Iterator[str]


def names_text(model: TreeModel, rows: Sequence[int]) -> Lines:
    """The rows' names."""
    for row in rows:
        yield plain(model.rows.name(row), LONGEST_COPIED)


def paths_text(model: TreeModel, rows: Sequence[int]) -> Lines:
    """The rows' paths as Python lists: ``['optimizer', 'state', 0]``."""
    for row in rows:
        # repr() escapes what is not printable.
        yield f"[{', '.join(map(repr, model.rows.identity(row)[0]))}]"


def table_text(model: TreeModel, rows: Sequence[int], columns: Sequence[int]) -> Lines:
    """The rows as they are shown, tab separated, with headings and full names."""
    yield "\t".join(map(model.heading, columns))
    for row in rows:
        name = plain(model.rows.name(row), LONGEST_COPIED)
        cells = [name if c == Column.NAME else model.cell(row, c) for c in columns]
        yield "\t".join(cells)


class TreeMenu:
    """The tree's context menus.

    Args:
        view, model, arranger: of the tree.
        say: shows one sentence in the status bar.
        export: exports the model, or the weights, at a path; None where nothing can be.
    """

    def __init__(
        self,
        view: TreeView,
        model: TreeModel,
        arranger: TreeArranger,
        say: Callable[[str], None],
        export: Callable[[TreePath], None] | None = None,
    ) -> None:
        self.checkpoint: Checkpoint | None = None
        self.offered: Sequence[QAction] = ()  # what else can be done with the file
        self._view = view
        self._model = model
        self._arranger = arranger
        self._say = say
        self._export = export
        self._copying = Task(view)

    def copy_names(self) -> None:
        """Copy the names of the selected rows."""
        self._copy(names_text(self._model, self._selected_rows()))

    def copy_paths(self) -> None:
        """Copy the paths of the selected rows."""
        self._copy(paths_text(self._model, self._selected_rows()))

    def copy_rows(self) -> None:
        """Copy the selected rows as a table."""
        every = range(self._model.columns)
        columns = [column for column in every if not self._view.isColumnHidden(column)]
        rows = self._selected_rows()
        if rows:
            self._copy(table_text(self._model, rows, columns))

    def copy_code(self) -> None:
        """Copy the Python line that loads the current tensor."""
        tensor = self._tensor()
        if tensor is None or self.checkpoint is None:
            return
        from inspector_app.analysis.loading_code import tensor_line

        self._copy(iter([tensor_line(self.checkpoint, tensor)]))

    def dragged(self, most: int) -> tuple[str, list[TensorInfo]]:
        """The names of the selected rows, and the first tensors among them."""
        rows = self._selected_rows()
        names = "\n".join(names_text(self._model, rows[:most]))
        nodes = (self._model.rows.nodes[row] for row in rows)
        return names, [node for node in nodes if type(node) is TensorInfo][:most]

    def show(self, point: QPoint) -> None:
        """The menu of the rows, at a point of the viewport."""
        menu = self.menu()
        menu.popup(self._view.viewport().mapToGlobal(point))

    def menu(self) -> QMenu:
        """The menu of the rows. It deletes itself once it was closed."""
        menu = QMenu(self._view)
        menu.aboutToHide.connect(menu.deleteLater)
        lines = self._view.selected_lines()
        several = len(lines) > 1
        tr = _tr
        names = tr("Copy names") if several else tr("Copy name")
        self._add(menu, names, self.copy_names, bool(lines)).setShortcut(
            QKeySequence(QKeySequence.StandardKey.Copy)
        )
        paths = tr("Copy paths") if several else tr("Copy path")
        self._add(menu, paths, self.copy_paths, bool(lines))
        rows = tr("Copy rows as a table") if several else tr("Copy row")
        self._add(menu, rows, self.copy_rows, bool(lines))
        has_tensor = self._tensor() is not None
        self._add(menu, tr("Copy the Python line that loads this"), self.copy_code, has_tensor)
        menu.addSeparator()
        row = self._view.current_row()
        inner = row >= 0 and self._model.view.can_expand(row)
        self._add(
            menu,
            tr("Expand all below"),
            lambda: self._arranger.expand_levels(-1, below=row),
            inner,
        )
        self._add(
            menu,
            tr("Collapse all below"),
            lambda: self._arranger.expand_levels(0, below=row),
            inner,
        )
        levels = menu.addMenu(tr("Expand to level"))
        for level in range(1, 6):
            self._add(levels, str(level), _expand_to(self._arranger, level), True)
        self._add(menu, tr("Expand all"), lambda: self._arranger.expand_levels(-1), True)
        self._add(menu, tr("Collapse all"), lambda: self._arranger.expand_levels(0), True)
        if self.offered:
            menu.addSeparator()
            self._add_export(menu)
            menu.addActions(list(self.offered))
        return menu

    def show_columns(self, point: QPoint) -> None:
        """The menu of the columns, at a point of the header."""
        self.columns_menu().popup(self._view.horizontalHeader().mapToGlobal(point))

    def columns_menu(self) -> QMenu:
        """Which columns are shown. It deletes itself once it was closed."""
        menu = QMenu(self._view)
        menu.aboutToHide.connect(menu.deleteLater)
        for column in range(Column.NAME + 1, self._model.columns):
            action = menu.addAction(self._model.heading(column))
            action.setCheckable(True)
            action.setChecked(not self._view.isColumnHidden(column))
            action.toggled.connect(_show_column(self._view, column))
        return menu

    def _add_export(self, menu: QMenu) -> None:
        """Beside the export of the file that of the part in which the current row lies."""
        if self._export is None or self.checkpoint is None:
            return
        from inspector_app.ui.model_subject import part_at

        rows, row = self._model.rows, self._view.current_row()
        while row >= 0 and rows.nodes[row] is None:
            row = rows.parents[row]  # a group has no node of its own
        node = rows.nodes[row] if row >= 0 else None
        part = part_at(self.checkpoint, node) if node is not None else None
        if part:
            name = plain("/".join(map(str, part)), LONGEST_IN_MENU).replace("&", "&&")
            export = self._export
            self._add(menu, _tr("Export {name}…").format(name=name), lambda: export(part), True)

    def _tensor(self) -> TensorInfo | None:
        row = self._view.current_row()
        node = self._model.rows.nodes[row] if row >= 0 else None
        # Two files side by side have rows of their own kind, which no line of Python loads.
        return node if type(node) is TensorInfo else None

    def _selected_rows(self) -> list[int]:
        lines = self._view.selected_lines()[:MOST_COPIED]
        return [self._model.view.row(line) for line in lines]

    def _copy(self, lines: Lines) -> None:
        """Put `lines` into the clipboard; many of them are collected in slices."""
        self._copying.run(_collected(lines), self._copied)

    def _copied(self, lines: list[str]) -> None:
        if not lines:
            return
        QGuiApplication.clipboard().setText("\n".join(lines))
        if len(self._view.selected_lines()) > MOST_COPIED:
            self._say(_tr("Copied the first {count} rows").format(count=f"{MOST_COPIED:,}"))
        elif len(lines) == 1:
            self._say(_tr("Copied {text}").format(text=plain(lines[0], 80)))
        else:
            self._say(_tr("Copied {count} lines").format(count=f"{len(lines):,}"))

    @staticmethod
    def _add(menu: QMenu, text: str, do: Callable[[], None], enabled: bool) -> QAction:
        action = menu.addAction(text)
        action.triggered.connect(lambda checked=False: do())
        action.setEnabled(enabled)
        return action


def _collected(lines: Lines) -> Generator[int, None, list[str]]:
    found: list[str] = []
    for line in lines:
        found.append(line)
        if len(found) % 32 == 0:
            yield len(found)
    return found


def _tr(text: str) -> str:
    return QCoreApplication.translate("TreeMenu", text)


def _expand_to(arranger: TreeArranger, level: int) -> Callable[[], None]:
    return lambda: arranger.expand_levels(level - 1)


def _show_column(view: TreeView, column: int) -> Callable[[bool], None]:
    def show(shown: bool) -> None:
        view.setColumnHidden(column, not shown)
        view.fit_name()

    return show
