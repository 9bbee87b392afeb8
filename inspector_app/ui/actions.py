"""Every action of the window: one table, from which the menus are made.

The File menu's entries are in `file_actions`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from inspector_app.ui.action_spec import (
    CHECKPOINT,
    COMPARE,
    COMPARISON,
    EDIT,
    FILE,
    FILE_READ,
    HELP,
    SELECTION,
    TAB,
    TENSOR,
    TRAINING,
    VIEW,
    ActionSpec,
    Role,
    Standard,
)
from inspector_app.ui.file_actions import FILE_ACTIONS

ACTIONS = (
    *FILE_ACTIONS,
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
        "paste",
        QT_TRANSLATE_NOOP("Actions", "Open Files From Clip&board"),
        EDIT,
        Standard.Paste,
        separator=True,
        part="files",
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
        "show_safety",
        QT_TRANSLATE_NOOP("Actions", "Safet&y"),
        VIEW,
        ("Ctrl+Shift+Y",),
        needs=FILE_READ,
    ),
    ActionSpec(
        "show_opcodes",
        QT_TRANSLATE_NOOP("Actions", "Show Opco&des"),
        VIEW,
        ("Ctrl+Shift+K",),
        needs=FILE_READ,
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
        "documentation",
        QT_TRANSLATE_NOOP("Actions", "&Documentation"),
        HELP,
        Standard.HelpContents,
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
        "show_logs",
        QT_TRANSLATE_NOOP("Actions", "Show &Logs"),
        HELP,
        separator=True,
        part="files",
    ),
    ActionSpec(
        "report_problem",
        QT_TRANSLATE_NOOP("Actions", "&Report a Problem…"),
        HELP,
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
