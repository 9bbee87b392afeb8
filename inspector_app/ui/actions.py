"""Every action of the window: one table, from which the menus are made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

Standard = QKeySequence.StandardKey
Role = QAction.MenuRole

FILE, EDIT, VIEW, COMPARE, HELP = "file", "edit", "view", "compare", "help"
# What an action needs to be of use: a tab, one that shows something, a file's or a
# comparison's, a selected row, a selected tensor, a training to resume.
NOTHING, TAB, CHECKPOINT, SELECTION = "", "tab", "checkpoint", "selection"
FILE_READ, COMPARISON = "file", "comparison"
TENSOR, TRAINING = "tensor", "training"


class ActionSpec(NamedTuple):
    """One action.

    Attributes:
        id: how code names it; the window's slot is called the same, unless it is the tree's.
        text: with its mnemonic, translated in the context ``Actions``.
        menu: where it is; ``menu/submenu`` for a submenu.
        keys: a standard key, or sequences that are alike everywhere.
        role: where macOS puts it.
        needs: what it needs to be of use.
        checkable: it is on or off.
        group: of these actions exactly one is on.
        separator: a line stands above it.
        tree: the method of the tree in front that it calls, instead of one of the window.
        comparison: the method of the comparison in front that it calls.
        part: the part of the window that has the slot, if it is not the window itself; parts
            are made when they are needed first.
    """

    id: str
    text: str
    menu: str
    keys: Standard | tuple[str, ...] = ()
    role: Role = Role.NoRole
    needs: str = NOTHING
    checkable: bool = False
    group: str = ""
    separator: bool = False
    tree: str = ""
    comparison: str = ""
    part: str = ""


ACTIONS = (
    ActionSpec(
        "open_dialog", QT_TRANSLATE_NOOP("Actions", "&Open…"), FILE, Standard.Open, part="dialogs"
    ),
    ActionSpec(
        "open_run",
        QT_TRANSLATE_NOOP("Actions", "Open &Run Folder…"),
        FILE,
        ("Ctrl+Shift+O",),
        part="dialogs",
    ),
    ActionSpec("open_sample", QT_TRANSLATE_NOOP("Actions", "Open the &Sample"), FILE),
    ActionSpec(
        "compare_with",
        QT_TRANSLATE_NOOP("Actions", "Compare &With…"),
        FILE,
        ("Ctrl+D",),
        part="dialogs",
    ),
    ActionSpec(
        "export",
        QT_TRANSLATE_NOOP("Actions", "&Export…"),
        FILE,
        ("Ctrl+E",),
        needs=FILE_READ,
        part="dialogs",
    ),
    ActionSpec(
        "quantize",
        QT_TRANSLATE_NOOP("Actions", "Q&uantize…"),
        FILE,
        ("Ctrl+Shift+Q",),
        needs=FILE_READ,
        part="dialogs",
    ),
    ActionSpec(
        "transfer",
        QT_TRANSLATE_NOOP("Actions", "Trans&fer Weights…"),
        FILE,
        ("Ctrl+Shift+T",),
        needs=FILE_READ,
        part="dialogs",
    ),
    ActionSpec(
        "save_as",
        QT_TRANSLATE_NOOP("Actions", "Save &As…"),
        FILE,
        ("Ctrl+Shift+S",),
        needs=FILE_READ,
        separator=True,
        part="dialogs",
    ),
    ActionSpec(
        "save_best",
        QT_TRANSLATE_NOOP("Actions", "Save as &Best"),
        FILE,
        needs=FILE_READ,
        part="dialogs",
    ),
    ActionSpec(
        "reload",
        QT_TRANSLATE_NOOP("Actions", "Re&load"),
        FILE,
        Standard.Refresh,
        needs=TAB,
        separator=True,
    ),
    ActionSpec(
        "close_tab", QT_TRANSLATE_NOOP("Actions", "&Close Tab"), FILE, ("Ctrl+W",), needs=TAB
    ),
    ActionSpec(
        "quit",
        QT_TRANSLATE_NOOP("Actions", "&Quit"),
        FILE,
        ("Ctrl+Q",),
        Role.QuitRole,
        separator=True,
    ),
    ActionSpec(
        "copy_name",
        QT_TRANSLATE_NOOP("Actions", "Copy &Name"),
        EDIT,
        Standard.Copy,
        needs=SELECTION,
        tree="copy_names",
    ),
    ActionSpec(
        "copy_path",
        QT_TRANSLATE_NOOP("Actions", "Copy &Path"),
        EDIT,
        ("Ctrl+Shift+C",),
        needs=SELECTION,
        tree="copy_paths",
    ),
    ActionSpec(
        "copy_rows",
        QT_TRANSLATE_NOOP("Actions", "Copy &Row"),
        EDIT,
        needs=SELECTION,
        tree="copy_rows",
    ),
    ActionSpec(
        "copy_python",
        QT_TRANSLATE_NOOP("Actions", "Copy P&ython Line"),
        EDIT,
        ("Ctrl+Alt+C",),
        needs=TENSOR,
        tree="copy_tensor_line",
    ),
    ActionSpec(
        "copy_loading",
        QT_TRANSLATE_NOOP("Actions", "Copy &Loading Code"),
        EDIT,
        ("Ctrl+L",),
        needs=FILE_READ,
        separator=True,
    ),
    ActionSpec(
        "copy_resume",
        QT_TRANSLATE_NOOP("Actions", "Copy Resu&me Code"),
        EDIT,
        ("Ctrl+Shift+L",),
        needs=TRAINING,
    ),
    ActionSpec(
        "find",
        QT_TRANSLATE_NOOP("Actions", "&Find…"),
        EDIT,
        Standard.Find,
        needs=CHECKPOINT,
        separator=True,
        tree="focus_search",
    ),
    ActionSpec(
        "expand_all",
        QT_TRANSLATE_NOOP("Actions", "&Expand All"),
        VIEW,
        ("Ctrl+Shift+E",),
        needs=CHECKPOINT,
        tree="expand_all",
    ),
    ActionSpec(
        "collapse_all",
        QT_TRANSLATE_NOOP("Actions", "&Collapse All"),
        VIEW,
        ("Ctrl+Shift+W",),
        needs=CHECKPOINT,
        tree="collapse_all",
    ),
    ActionSpec(
        "fold_repeated",
        QT_TRANSLATE_NOOP("Actions", "&Fold Repeated Layers"),
        VIEW,
        checkable=True,
        separator=True,
    ),
    ActionSpec(
        "compute_statistics",
        QT_TRANSLATE_NOOP("Actions", "Compute &Statistics"),
        VIEW,
        ("Ctrl+T",),
        needs=FILE_READ,
        separator=True,
    ),
    ActionSpec(
        "appearance_system",
        QT_TRANSLATE_NOOP("Actions", "Like the &System"),
        "view/appearance",
        group="appearance",
    ),
    ActionSpec(
        "appearance_light",
        QT_TRANSLATE_NOOP("Actions", "&Light"),
        "view/appearance",
        group="appearance",
    ),
    ActionSpec(
        "appearance_dark",
        QT_TRANSLATE_NOOP("Actions", "&Dark"),
        "view/appearance",
        group="appearance",
    ),
    ActionSpec(
        "next_tab",
        QT_TRANSLATE_NOOP("Actions", "&Next Tab"),
        VIEW,
        ("Ctrl+PgDown",),
        needs=TAB,
        separator=True,
    ),
    ActionSpec(
        "previous_tab",
        QT_TRANSLATE_NOOP("Actions", "&Previous Tab"),
        VIEW,
        ("Ctrl+PgUp",),
        needs=TAB,
    ),
    ActionSpec(
        "next_difference",
        QT_TRANSLATE_NOOP("Actions", "&Next Difference"),
        COMPARE,
        ("Alt+Down", "F8"),
        needs=COMPARISON,
        comparison="next_difference",
    ),
    ActionSpec(
        "previous_difference",
        QT_TRANSLATE_NOOP("Actions", "&Previous Difference"),
        COMPARE,
        ("Alt+Up", "Shift+F8"),
        needs=COMPARISON,
        comparison="previous_difference",
    ),
    ActionSpec(
        "only_differences",
        QT_TRANSLATE_NOOP("Actions", "Only &Differences, or Everything"),
        COMPARE,
        ("Ctrl+Shift+D",),
        needs=COMPARISON,
        comparison="only_differences",
    ),
    ActionSpec(
        "swap_sides",
        QT_TRANSLATE_NOOP("Actions", "&Swap Sides"),
        COMPARE,
        ("Ctrl+Shift+X",),
        needs=COMPARISON,
        separator=True,
        comparison="swap_sides",
    ),
    ActionSpec(
        "compare_values",
        QT_TRANSLATE_NOOP("Actions", "Compare &Values"),
        COMPARE,
        ("Ctrl+B",),
        needs=COMPARISON,
        comparison="compare_values",
    ),
    ActionSpec(
        "compare_every_byte",
        QT_TRANSLATE_NOOP("Actions", "Compare Every &Byte"),
        COMPARE,
        ("Ctrl+Shift+B",),
        needs=COMPARISON,
        comparison="compare_every_byte",
    ),
    ActionSpec(
        "transfer_compared",
        QT_TRANSLATE_NOOP("Actions", "&Transfer B Into A…"),
        COMPARE,
        needs=COMPARISON,
        separator=True,
        part="dialogs",
    ),
    ActionSpec(
        "shortcuts",
        QT_TRANSLATE_NOOP("Actions", "&Keyboard Shortcuts"),
        HELP,
        ("Ctrl+/",),
        part="dialogs",
    ),
    ActionSpec(
        "about",
        QT_TRANSLATE_NOOP("Actions", "&About Checkpoint Inspector"),
        HELP,
        role=Role.AboutRole,
        separator=True,
        part="dialogs",
    ),
)
MENUS = {
    FILE: QT_TRANSLATE_NOOP("Actions", "&File"),
    EDIT: QT_TRANSLATE_NOOP("Actions", "&Edit"),
    VIEW: QT_TRANSLATE_NOOP("Actions", "&View"),
    COMPARE: QT_TRANSLATE_NOOP("Actions", "&Compare"),
    HELP: QT_TRANSLATE_NOOP("Actions", "&Help"),
}
SUBMENUS = {"view/appearance": QT_TRANSLATE_NOOP("Actions", "&Appearance")}


def text_of(source: str) -> str:
    """A text of the tables, translated."""
    return QCoreApplication.translate("Actions", source)


def key_sequences(keys: Standard | tuple[str, ...]) -> list[QKeySequence]:
    """The sequences of one entry of the table."""
    if isinstance(keys, tuple):
        return [QKeySequence(key) for key in keys]
    return QKeySequence.keyBindings(keys)


def _on_part(window: QMainWindow, spec: ActionSpec) -> None:
    getattr(getattr(window, spec.part), spec.id)()


def fill_menus(window: QMainWindow) -> tuple[dict[str, QAction], dict[str, QMenu]]:
    """Make the menu bar; each action calls the method that its entry names.

    Returns:
        The actions by id, and the menus by name.
    """
    menus = {name: window.menuBar().addMenu(text_of(text)) for name, text in MENUS.items()}
    actions: dict[str, QAction] = {}
    groups: dict[str, QActionGroup] = {}
    for spec in ACTIONS:
        action = QAction(text_of(spec.text), window)
        action.setObjectName(spec.id)
        action.setMenuRole(spec.role)
        action.setShortcuts(key_sequences(spec.keys))
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setCheckable(spec.checkable or bool(spec.group))
        slot: Callable[..., object]
        if spec.comparison:
            slot = partial(window.on_comparison, spec.comparison)
        elif spec.tree:
            slot = partial(window.on_tree, spec.tree)
        elif spec.part:
            slot = partial(_on_part, window, spec)
        else:
            slot = getattr(window, spec.id)
        # The slots take no "checked"; those of checkable actions ask the action.
        action.triggered.connect(lambda _checked=False, slot=slot: slot())
        if spec.group:
            group = groups.setdefault(spec.group, QActionGroup(window))
            group.addAction(action)
        if spec.menu not in menus:
            parent = menus[spec.menu.split("/")[0]]
            menus[spec.menu] = parent.addMenu(text_of(SUBMENUS[spec.menu]))
        if spec.separator:
            menus[spec.menu].addSeparator()
        menus[spec.menu].addAction(action)
        actions[spec.id] = action
    return actions, menus
