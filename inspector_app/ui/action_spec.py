"""What an action of the window is, and what it may need."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtGui import QAction, QKeySequence

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
