"""The letters that are underlined in a window."""

from __future__ import annotations

from collections import Counter

from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QAbstractButton, QLabel, QWidget


def assert_no_letter_twice(window: QWidget) -> None:
    """Two of the same letter would only go back and forth between their fields."""
    letters: Counter[str] = Counter()
    texts = [each.text() for each in window.findChildren(QAbstractButton) if each.isVisible()]
    labels = [each for each in window.findChildren(QLabel) if each.isVisible()]
    texts += [each.text() for each in labels if each.buddy() is not None]
    for text in texts:
        letters[QKeySequence.mnemonic(text).toString()] += 1
    del letters[""]
    assert len(letters) > 3
    assert max(letters.values()) == 1, letters
