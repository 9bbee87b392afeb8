"""What those who do not see a control hear, and whether the Tab key comes to it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QScrollArea, QWidget

MOST_STOPS = 400
# Qt's own parts of a control, which speak for what they belong to.
_PARTS = ("qt_", "ScrollLeftButton", "ScrollRightButton")


def controls(root: QWidget) -> list[QWidget]:
    """What can have the focus by key within `root`, and is there to be seen and used."""
    return [
        widget
        for widget in root.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.isVisibleTo(root)
        and widget.isEnabled()
        and widget.focusProxy() is None
        and not widget.objectName().startswith(_PARTS)
    ]


def name_of(widget: QWidget) -> str:
    """What a screen reader says first: a text, a label's that belongs to it, or a name."""
    interface = QAccessible.queryAccessibleInterface(widget)
    return interface.text(QAccessible.Text.Name).strip() if interface is not None else ""


def unnamed(root: QWidget) -> list[str]:
    """The controls without a name, each with where it is."""
    return [_described(each, root) for each in controls(root) if not _named(each)]


def _named(widget: QWidget) -> bool:
    if isinstance(widget, QScrollArea):
        return True  # what it scrolls has the names
    return bool(name_of(widget))


def unreached(root: QWidget) -> list[str]:
    """The controls that the Tab key, pressed on and on, does not come to."""
    window = root.window()
    window.activateWindow()
    assert QTest.qWaitForWindowActive(window)
    wanted = controls(root)
    if not wanted:
        return []
    wanted[0].setFocus(Qt.FocusReason.TabFocusReason)
    seen: list[QWidget] = []
    for _ in range(MOST_STOPS):
        focus = QApplication.focusWidget()
        if focus is None or focus in seen:
            break
        seen.append(focus)
        QTest.keyClick(focus, Qt.Key.Key_Tab)
    left = [each for each in wanted if each not in seen]
    return [_described(each, root) for each in left if not _of_a_reached_group(each, seen)]


def _of_a_reached_group(widget: QWidget, seen: list[QWidget]) -> bool:
    """Of buttons that exclude each other one takes the focus; the arrow keys lead to others."""
    if not isinstance(widget, QAbstractButton):
        return False
    if (group := widget.group()) is not None:
        return group.exclusive() and any(each in seen for each in group.buttons())
    return widget.autoExclusive() and any(
        type(each) is type(widget) and each.parent() is widget.parent() for each in seen
    )


def _described(widget: QWidget, root: QWidget) -> str:
    path = []
    each: QWidget | None = widget
    while each is not None and each is not root:
        path.append(type(each).__name__)
        each = each.parentWidget()
    return " < ".join(path[:5])
