"""Every key, by what it belongs to: searched, copied and printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication, QSize, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QDialog,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from inspector_app.ui.actions import ACTIONS, MENUS, key_sequences, text_of
from inspector_app.ui.close_box import close_box
from inspector_app.ui.copying import offer_copy
from inspector_app.ui.icons import icon

WHAT, KEYS = range(2)


class Group(NamedTuple):
    """Some keys that belong together: what each does, and how it is written here."""

    title: str
    rows: list[tuple[str, str]]


def shortcut_groups() -> Iterator[Group]:
    """The keys of the menus, then those of what is in the window."""
    for menu, title in MENUS.items():
        rows = [
            (without_mnemonic(text_of(spec.text)), _written(spec.keys))
            for spec in ACTIONS
            if spec.menu.split("/")[0] == menu and spec.keys
        ]
        if rows:
            yield Group(without_mnemonic(text_of(title)), rows)
    yield Group(
        _tr("In the tree"),
        [
            (_tr("Open a row, or go into it"), _key("Right")),
            (_tr("Close a row, or go to what holds it"), _key("Left")),
            (_tr("Open or close a row"), _key("Return")),
            (_tr("Open everything below a row"), "*"),
            (_tr("Go to a row whose name begins so"), _tr("letters")),
        ],
    )
    yield Group(
        _tr("In the search field"),
        [
            (_tr("Go to the next row that was found"), _key("Return")),
            (_tr("Forget the search"), _key("Esc")),
        ],
    )
    yield Group(
        _tr("In tables, lists and charts"),
        [
            (_tr("Copy what is selected"), _standard(QKeySequence.StandardKey.Copy)),
            (_tr("Select everything"), _standard(QKeySequence.StandardKey.SelectAll)),
            (_tr("Go to what a row or a mark stands for"), _key("Return")),
        ],
    )
    yield Group(
        _tr("In dialogs"),
        [(_tr("Cancel what is going on, or close"), _key("Esc"))],
    )


class ShortcutsDialog(QDialog):
    """The keys that `shortcut_groups` gives."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Keyboard Shortcuts"))
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search what a key does, or a key"))
        self.search.setAccessibleName(self.tr("Search the shortcuts"))
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.textChanged.connect(self._filter)
        self.list = QTreeWidget()
        self.list.setColumnCount(2)
        self.list.setHeaderHidden(True)
        self.list.setRootIsDecorated(False)
        self.list.setItemsExpandable(False)
        self.list.setIndentation(14)
        self.list.setSelectionMode(QTreeWidget.SelectionMode.ExtendedSelection)
        self.list.setAccessibleName(self.tr("Keyboard shortcuts"))
        header = self.list.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(WHAT, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(KEYS, QHeaderView.ResizeMode.ResizeToContents)
        self._fill()
        self._copying = offer_copy(self.list)
        self.print_button = QPushButton(self.tr("&Print…"))
        self.print_button.clicked.connect(self._print)
        buttons = close_box(self, self.print_button)
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.activated.connect(self.search.setFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 14)
        layout.setSpacing(10)
        layout.addWidget(self.search)
        layout.addWidget(self.list, 1)
        layout.addWidget(buttons)
        self.resize(500, 620)

    def shown(self) -> list[tuple[str, str]]:
        """What the search has left: what each key does, and the key."""
        found = []
        for group in self._groups():
            for item in (group.child(place) for place in range(group.childCount())):
                if not item.isHidden():
                    found.append((item.text(WHAT), item.text(KEYS)))
        return found

    def _fill(self) -> None:
        height = self.fontMetrics().height() + 5
        for group in shortcut_groups():
            heading = QTreeWidgetItem([group.title])
            heading.setSizeHint(WHAT, QSize(0, height + 6))
            heading.setFlags(Qt.ItemFlag.ItemIsEnabled)
            font = heading.font(WHAT)
            font.setBold(True)
            heading.setFont(WHAT, font)
            self.list.addTopLevelItem(heading)
            heading.setFirstColumnSpanned(True)
            for what, keys in group.rows:
                row = QTreeWidgetItem([what, keys])
                row.setSizeHint(WHAT, QSize(0, height))
                row.setTextAlignment(
                    KEYS, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                )
                heading.addChild(row)
            heading.setExpanded(True)

    def _groups(self) -> list[QTreeWidgetItem]:
        return [self.list.topLevelItem(place) for place in range(self.list.topLevelItemCount())]

    def _filter(self, text: str) -> None:
        wanted = text.casefold().split()
        for group in self._groups():
            left = 0
            for row in (group.child(place) for place in range(group.childCount())):
                said = f"{group.text(WHAT)} {row.text(WHAT)} {row.text(KEYS)}".casefold()
                found = all(word in said for word in wanted)
                row.setHidden(not found)
                left += found
            group.setHidden(not left)

    def _print(self) -> None:
        from inspector_app.ui.printing import ask_printer, table_page

        title = self.windowTitle()
        groups = [(group.title, group.rows) for group in shortcut_groups()]
        ask_printer(self, title, lambda: table_page(title, groups))


def without_mnemonic(text: str) -> str:
    """A menu's text as a sentence would have it."""
    return text.replace("&", "").rstrip("…")


def _written(keys: QKeySequence.StandardKey | tuple[str, ...]) -> str:
    # Of a standard key the first: a platform's others are keys such as "Copy" on few keyboards.
    every = key_sequences(keys)
    return _tr(" or ").join(
        _shown(key) for key in (every if isinstance(keys, tuple) else every[:1])
    )


def _standard(key: QKeySequence.StandardKey) -> str:
    return _written(key)


def _key(name: str) -> str:
    return _shown(QKeySequence(name))


def _shown(key: QKeySequence) -> str:
    return key.toString(QKeySequence.SequenceFormat.NativeText)


def _tr(text: str) -> str:
    return QCoreApplication.translate("ShortcutsDialog", text)
