"""A user's hands, for the tests of what leads through pages."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractButton, QCheckBox, QLineEdit, QRadioButton


class WizardHands:
    """Presses keys and buttons, and waits as people do.

    Args:
        patience_ms: the longest that they wait: for a worker that imports torch, and runs it.
    """

    def __init__(self, qtbot, patience_ms: int) -> None:
        self.qtbot = qtbot
        self._patience_ms = patience_ms

    def press(self, button: QAbstractButton) -> None:
        assert button.isEnabled(), button.text()
        assert button.isVisible(), button.text()
        at = button.rect().center()
        if isinstance(button, (QCheckBox, QRadioButton)):
            at = QPoint(10, button.height() // 2)  # its sign, wherever its text ends
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=at)

    def type(self, field: QLineEdit, text: str) -> None:
        field.setFocus()
        field.selectAll()
        self.qtbot.keyClick(field, Qt.Key.Key_Backspace)
        self.qtbot.keyClicks(field, text)

    def wait(self, done: Callable[[], object]) -> None:
        self.qtbot.waitUntil(done, timeout=self._patience_ms)
