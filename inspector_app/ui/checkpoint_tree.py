"""The tree of a checkpoint with its search field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QCoreApplication, QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeyEvent, QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from inspector_app.checkpoint.model import Checkpoint, Node, PathElement, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.icons import icon
from inspector_app.ui.row_dragging import RowDragging
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.tree_arranger import TreeArranger
from inspector_app.ui.tree_filter import Found
from inspector_app.ui.tree_menu import TreeMenu
from inspector_app.ui.tree_model import TreeModel
from inspector_app.ui.tree_nodes import RowIdentity, RowKind
from inspector_app.ui.tree_view import TreeView

if TYPE_CHECKING:
    from inspector_app.ui.statistics_columns import StatisticsColumns
    from inspector_app.ui.tree_search_fields import SearchError

# A search that takes longer than this says that it is going on.
QUIET_MS = 150


class CheckpointTree(QWidget):
    """Shows a checkpoint's nodes, and finds some of them.

    Signals:
        node_selected: the current row's `model.Node`; None for a group of keys or nothing.
        message: one sentence for the status bar.
        loaded: the tree of the last `load` is on the screen.
        statistics_wanted: a column about values is to be shown, and there is none to show.
        export_requested: of the model, or the weights, at this path.
    """

    node_selected = Signal(object)
    message = Signal(str)
    loaded = Signal()
    statistics_wanted = Signal()
    export_requested = Signal(object)

    # What another kind of tree has otherwise.
    model_class = TreeModel
    arranger_class = TreeArranger
    view_class = TreeView
    can_export = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._checkpoint: Checkpoint | None = None
        self._model = self.model_class(self)
        self._arranger = self.arranger_class(self._model, self)
        self._restored: set[RowIdentity] = set()
        self.view = self.view_class(self._model, self._arranger)
        export = self.export_requested.emit if self.can_export else None
        self._menu = TreeMenu(self.view, self._model, self._arranger, self.message.emit, export)

        if self.can_export:
            RowDragging(self.view, self._drag_rows)

        self.search_field = QLineEdit()
        self.search_field.setPlaceholderText(
            self.tr("Search:  attn weight   *.bias   /layers\\.\\d+/   dtype:bf16   size:>10MB")
        )
        self.search_field.setAccessibleName(self.tr("Search the tree"))
        self.search_field.setToolTip(self._syntax())
        self.search_field.setClearButtonEnabled(True)
        self.search_field.setMaxLength(1_000)
        self.search_field.textChanged.connect(self._search)
        self.search_field.installEventFilter(self)
        self.search_field.addAction(icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        self._count = MutedLabel()
        self._count.hide()
        self._trouble = QLabel()
        self._trouble.setTextFormat(Qt.TextFormat.PlainText)
        self._trouble.setWordWrap(True)
        self._trouble.hide()
        self._slow = QTimer(self)
        self._slow.setSingleShot(True)
        self._slow.setInterval(QUIET_MS)
        self._slow.timeout.connect(self._say_searching)

        row = QHBoxLayout()
        row.setContentsMargins(8, 8, 8, 0)
        row.addWidget(self.search_field, 1)
        row.addWidget(self._count)
        below = QHBoxLayout()
        below.setContentsMargins(10, 0, 10, 0)
        below.addWidget(self._trouble)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addLayout(below)
        layout.addWidget(self.view, 1)
        self._colour_trouble()

        self._arranger.loaded.connect(self.loaded)
        self._arranger.arranged.connect(self._arranged)
        self._arranger.busy.connect(self._slow.start)
        self.view.row_selected.connect(self._row_selected)
        self.view.copy_requested.connect(self._menu.copy_names)
        self.view.sort_changed.connect(self._arranger.sort)
        self.view.statistics_wanted.connect(self.statistics_wanted)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._menu.show)
        header = self.view.horizontalHeader()
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._menu.show_columns)

    # What is shown

    def load(self, checkpoint: Checkpoint) -> None:
        """Show `checkpoint`; `loaded` follows. A search in force stays in force."""
        self._checkpoint = self._menu.checkpoint = checkpoint
        self.view.forget_selection()
        self._arranger.load(checkpoint)

    def select_path(self, path: Sequence[PathElement]) -> None:
        """Go to the node at `path`, expanding what it lies in; nothing if there is none."""
        node = self._checkpoint.find(path) if self._checkpoint is not None else None
        if node is not None:
            self._select_row(self._model.rows.find(node))

    def select_span(self, first: Node, last: Node) -> None:
        """Go to the innermost row that has both nodes, or is both."""
        rows = self._model.rows
        row, end = rows.find(first), rows.find(last)
        while row >= 0 and row + rows.sizes[row] < end:
            row = rows.parents[row]
        if row >= 0 and rows.kinds[row] == self._model.view.skipped_kind:
            # It is not listed itself: a group by its fold, a fold by its group.
            row = row + 1 if rows.kinds[row] == RowKind.FOLDED else rows.parents[row]
        self._select_row(row)

    def search_for(self, text: str) -> None:
        """Search as if `text` were typed."""
        self.search_field.setText(text)

    def _select_row(self, row: int) -> None:
        if row < 0:
            return
        found = self._arranger.found
        if found is not None and not found.shown[row]:
            self.search_field.clear()
        self._arranger.reveal(row, lambda: self._go_to(row))

    def expand_all(self) -> None:
        """List every row."""
        self._arranger.expand_levels(-1)

    def collapse_all(self) -> None:
        """List the top level alone."""
        self._arranger.expand_levels(0)

    def expand_to_level(self, level: int) -> None:
        """List the upper `level` levels, 1 being the top."""
        self._arranger.expand_levels(max(level, 1) - 1)

    def set_fold_repeated(self, fold: bool) -> None:
        """Show repeated layers as one row, or each."""
        self._arranger.set_fold(fold)

    def expanded_paths(self) -> set[RowIdentity]:
        """What is expanded, for `restore`; also for another state of the same file."""
        return self._model.view.identities()

    def restore(self, expanded: Iterable[RowIdentity]) -> None:
        """Expand what `expanded_paths` gave, and nothing else."""
        self._arranger.restore(expanded, lambda: None)

    def columns(self) -> list[tuple[int, str]]:
        """The columns that can be hidden, with their titles."""
        model = self._model
        return [(column, model.heading(column)) for column in range(1, model.columns)]

    def column_state(self) -> bytes:
        """Widths, order and visibility of the columns."""
        return bytes(self.view.horizontalHeader().saveState().data())

    def restore_column_state(self, state: bytes) -> None:
        """Arrange the columns as `column_state` said; a damaged state changes nothing."""
        if state:
            self.view.restore_columns(QByteArray(state))

    # Figures of values

    def show_statistics(self) -> StatisticsColumns:
        """Show the columns about values; the figures are put into what is returned."""
        from inspector_app.ui.statistics_columns import StatisticsColumns

        rows = self._model.rows
        if rows.statistics is None:
            rows.statistics = StatisticsColumns(rows)
        self.view.show_statistics(True)
        return rows.statistics

    def statistics_changed(self, complete: bool) -> None:
        """More figures have come; rows find their places when these are `complete`."""
        self._model.statistics_changed()
        if complete:
            self._arranger.sort_again()

    def tensors_on_screen(self) -> list[TensorInfo]:
        """The tensors whose rows can be seen, from the top."""
        first = max(self.view.rowAt(0), 0)
        last = self.view.rowAt(self.view.viewport().height() - 1)
        lines = range(first, (last if last >= 0 else len(self._model.view) - 1) + 1)
        nodes = [self._model.node(line) for line in lines]
        return [node for node in nodes if isinstance(node, TensorInfo)]

    # Copying and dragging

    def _drag_rows(self) -> None:
        if self._checkpoint is not None:
            from inspector_app.ui.drag_out import MOST_FILES, drag_tensors

            names, tensors = self._menu.dragged(MOST_FILES + 1)
            drag_tensors(self.view, self._checkpoint, tensors, names, self.message.emit)

    def copy_names(self) -> None:
        """Copy the names of the selected rows."""
        self._menu.copy_names()

    def copy_paths(self) -> None:
        """Copy the paths of the selected rows."""
        self._menu.copy_paths()

    def copy_rows(self) -> None:
        """Copy the selected rows, tab separated."""
        self._menu.copy_rows()

    def copy_tensor_line(self) -> None:
        """Copy the Python line that loads the selected tensor."""
        self._menu.copy_code()

    # Searching

    def offer(self, actions: Sequence[QAction]) -> None:
        """Have these in the menu of the rows, too."""
        self._menu.offered = actions

    def focus_search(self) -> None:
        """Put the cursor into the search field."""
        self.search_field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search_field.selectAll()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.search_field and isinstance(event, QKeyEvent):
            if event.type() != QEvent.Type.KeyPress:
                return False
            key = event.key()
            if key == Qt.Key.Key_Escape and self.search_field.text():
                self.search_field.clear()
                return True
            if key in {Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter}:
                self._go_to_match()
                return True
        return super().eventFilter(watched, event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.ApplicationPaletteChange}:
            self._colour_trouble()

    def _search(self, text: str) -> None:
        # Imported on the first key: the first picture need not wait for it.
        from inspector_app.ui.tree_search import parse
        from inspector_app.ui.tree_search_fields import SearchError

        try:
            query = parse(text, self._model.rows.shared)
        except SearchError as error:
            # What was found before stays: the search may only not be complete yet.
            self._say_trouble(_sentence(error))
            return
        self._say_trouble("")
        self._arranger.search(query if query else None)

    def _arranged(self, found: Found | None) -> None:
        self._slow.stop()
        self._count.setVisible(found is not None)
        if found is None:
            return
        self._count.setText(
            self.tr("{count} of {total}").format(
                count=f"{found.matches:,}", total=f"{found.entries:,}"
            )
        )
        if found.too_long:
            self._say_trouble(
                self.tr("{count} names are too long for this expression").format(
                    count=f"{found.too_long:,}"
                )
            )

    def _say_searching(self) -> None:
        if self._arranger.is_busy and self._arranger.query:
            self._count.setText(self.tr("Searching…"))
            self._count.show()

    def _say_trouble(self, text: str) -> None:
        self._trouble.setText(plain(text[:1].upper() + text[1:], 400))
        self._trouble.setVisible(bool(text))

    def _go_to_match(self) -> None:
        self.view.setFocus(Qt.FocusReason.OtherFocusReason)
        found = self._arranger.found
        if found is not None and not self.view.is_at_match(found.shown):
            self.view.go_to_match(found.shown)
        elif self.view.current_row() < 0 and len(self._model.view):
            self.view.go_to_line(0)

    def _go_to(self, row: int) -> None:
        self.view.go_to_row(row)

    def _row_selected(self, row: int) -> None:
        self.node_selected.emit(self._model.rows.nodes[row])

    def _colour_trouble(self) -> None:
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.WindowText, theme.tones(self.palette()).error)
        if self._trouble.palette().color(QPalette.ColorRole.WindowText) != palette.color(
            QPalette.ColorRole.WindowText
        ):
            self._trouble.setPalette(palette)

    def _syntax(self) -> str:
        # The examples are HTML already: html.escape would take a millisecond to import.
        lines = [
            (self.tr("Words"), "layer1 weight"),
            (self.tr("Pattern"), "*attn*weight"),
            (self.tr("Regular expression"), "/layers\\.\\d+\\.mlp/"),
            (self.tr("Data type"), "dtype:bf16"),
            (self.tr("Shape"), "shape:*x4096"),
            (self.tr("Bytes"), "size:&gt;10MB"),
            (self.tr("Parameters"), "params:&gt;1e6"),
            (self.tr("Property"), "is:shared  is:view  is:param"),
            (self.tr("Device"), "device:cuda"),
            (self.tr("Not"), "-bias"),
        ]
        rows = "".join(
            f"<tr><td>{name}&nbsp;&nbsp;</td><td><code>{example}</code></td></tr>"
            for name, example in lines
        )
        return f"<table>{rows}</table>"


def _sentence(error: SearchError) -> str:
    from inspector_app.ui.tree_search_fields import MESSAGES

    template = QCoreApplication.translate("TreeSearch", MESSAGES[error.code])
    return template.format(**error.details)
