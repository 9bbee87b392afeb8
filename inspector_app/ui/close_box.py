"""The buttons at the foot of a window that is only read."""

from __future__ import annotations

from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPushButton


def close_box(dialog: QDialog, *others: QPushButton) -> QDialogButtonBox:
    """A button that closes `dialog`, beside `others`; none takes the Return key from fields."""
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    box.rejected.connect(dialog.reject)
    # The style's icon is black on dark where the desktop has no theme of icons.
    box.button(QDialogButtonBox.StandardButton.Close).setIcon(QIcon())
    for button in others:
        box.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
    for button in box.buttons():
        button.setAutoDefault(False)
    return box
