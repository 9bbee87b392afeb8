"""How the statuses of a comparison look: a letter, a word, and a colour that goes with them.

Nobody has to tell colours apart: the letter says the same. Letter and badge have a contrast
of at least 4.5 to 1, on light and on dark.
"""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QCoreApplication, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPalette

from inspector_app.analysis.comparison import ALL_STATUSES, Status
from inspector_app.analysis.quantities import count_text
from inspector_app.ui import theme

# Beside the statuses of tensors: a value outside tensors that differs.
VALUE = "value"
SHOWN_STATUSES = (*ALL_STATUSES[:-1], VALUE, Status.IDENTICAL)
DIFFERENCES = frozenset(SHOWN_STATUSES) - {Status.IDENTICAL}

_LETTERS = {
    Status.MISMATCHED: "X",
    Status.MISSING: "M",
    Status.UNEXPECTED: "U",
    Status.CHANGED: "C",
    Status.UNCOMPARED: "?",
    VALUE: "V",
    Status.IDENTICAL: "=",
}


class Look(NamedTuple):
    """Colours of one status: text and badge, and what lies behind a chip."""

    text: str
    fill: str


_LIGHT = {
    Status.MISMATCHED: Look("#6f2c86", "#f5e6fa"),
    Status.MISSING: Look("#9c1f1f", "#fde7e5"),
    Status.UNEXPECTED: Look("#1c6132", "#dff3e4"),
    Status.CHANGED: Look("#744a00", "#fff1d0"),
    Status.UNCOMPARED: Look("#4d5663", "#e9ebef"),
    VALUE: Look("#234a96", "#e6eefc"),
    Status.IDENTICAL: Look("#5b6472", "#eef0f3"),
}
_DARK = {
    Status.MISMATCHED: Look("#e3b4f3", "#3c2745"),
    Status.MISSING: Look("#ffb3ad", "#452426"),
    Status.UNEXPECTED: Look("#9fdcae", "#1f3a28"),
    Status.CHANGED: Look("#ffd58a", "#3d311a"),
    Status.UNCOMPARED: Look("#c3cad4", "#333842"),
    VALUE: Look("#b6cffc", "#22304a"),
    Status.IDENTICAL: Look("#a3acba", "#2a2f38"),
}


def letter(status: str) -> str:
    """The letter that stands for a status."""
    return _LETTERS[status]


def word(status: str) -> str:
    """The status in a word, translated."""
    translate = QCoreApplication.translate
    match status:
        case Status.MISMATCHED:
            return translate("comparison", "mismatched")
        case Status.MISSING:
            return translate("comparison", "missing")
        case Status.UNEXPECTED:
            return translate("comparison", "unexpected")
        case Status.CHANGED:
            return translate("comparison", "changed")
        case Status.UNCOMPARED:
            return translate("comparison", "not compared")
        case "value":
            return translate("comparison", "values")
    return translate("comparison", "identical")


def counted(status: str, count: int) -> str:
    """``12 changed``, ``1 value``."""
    if status == VALUE and count == 1:
        return QCoreApplication.translate("comparison", "1 value")
    return f"{count_text(count)} {word(status)}"


def explanation(status: str) -> str:
    """What a status means, translated."""
    translate = QCoreApplication.translate
    match status:
        case Status.MISMATCHED:
            return translate("comparison", "In both files, with another shape or dtype")
        case Status.MISSING:
            return translate("comparison", "In A, and not in B")
        case Status.UNEXPECTED:
            return translate("comparison", "In B, and not in A")
        case Status.CHANGED:
            return translate("comparison", "Same shape and dtype, other bits")
        case Status.UNCOMPARED:
            return translate(
                "comparison", "Nothing short of reading the bytes can tell, and nobody has yet"
            )
        case "value":
            return translate("comparison", "Values outside tensors that differ")
    return translate("comparison", "Same shape and dtype, same bits")


def look(status: str, palette: QPalette) -> Look:
    """The colours that go with `palette`."""
    return (_DARK if theme.is_dark(palette) else _LIGHT)[status]


def draw_badge(painter: QPainter, status: str, rect: QRectF, palette: QPalette) -> None:
    """Paint the letter of a status into a small square of its colour."""
    colours = look(status, palette)
    # The usual case stays in the background.
    quiet = status == Status.IDENTICAL
    fill, text = (colours.fill, colours.text) if quiet else (colours.text, colours.fill)
    paint_badge(painter, letter(status), rect, fill, text)


def paint_badge(painter: QPainter, sign: str, rect: QRectF, fill: str, text: str) -> None:
    """Paint a letter in the colour `text` into a small square of the colour `fill`."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(fill))
    painter.drawRoundedRect(rect, 3.5, 3.5)
    font = QFont(painter.font())
    font.setPixelSize(max(round(rect.height() * 0.75), 8))
    font.setBold(True)
    painter.setFont(font)
    painter.setPen(QColor(text))
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, sign)
    painter.restore()
