"""How the fates of keys look: a letter, a word, and a colour that goes with them.

As in comparisons, nobody has to tell colours apart; letter and badge have a contrast of at
least 4.5 to 1, on light and on dark.
"""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QRectF
from PySide6.QtGui import QPainter, QPalette

from inspector_app.analysis.quantities import count_text
from inspector_app.ui import theme
from inspector_app.ui.diff_status import Look, paint_badge
from inspector_app.ui.transfer_flows import FATES, Fate

_LETTERS = {
    Fate.TAKEN: "T",
    Fate.CAST: "C",
    Fate.FITTED: "F",
    Fate.KEPT: "K",
    Fate.NEW: "R",
    Fate.ABSENT: "M",
    Fate.UNUSED: "U",
    Fate.SKIPPED: "X",
}
_LIGHT = {
    Fate.TAKEN: Look("#234a96", "#e6eefc"),
    Fate.CAST: Look("#6f2c86", "#f5e6fa"),
    Fate.FITTED: Look("#1c6132", "#dff3e4"),
    Fate.KEPT: Look("#4d5663", "#e9ebef"),
    Fate.NEW: Look("#0f5a63", "#d9f1f3"),
    Fate.ABSENT: Look("#744a00", "#fff1d0"),
    Fate.UNUSED: Look("#4d5663", "#e9ebef"),
    Fate.SKIPPED: Look("#9c1f1f", "#fde7e5"),
}
_DARK = {
    Fate.TAKEN: Look("#b6cffc", "#22304a"),
    Fate.CAST: Look("#e3b4f3", "#3c2745"),
    Fate.FITTED: Look("#9fdcae", "#1f3a28"),
    Fate.KEPT: Look("#c3cad4", "#333842"),
    Fate.NEW: Look("#8fd8e0", "#183a40"),
    Fate.ABSENT: Look("#ffd58a", "#3d311a"),
    Fate.UNUSED: Look("#c3cad4", "#333842"),
    Fate.SKIPPED: Look("#ffb3ad", "#452426"),
}
# What is not as it should be comes first.
SHOWN = tuple(reversed(FATES))


def letter(fate: int) -> str:
    """The letter that stands for a fate."""
    return _LETTERS[fate]


def word(fate: int) -> str:
    """The fate in a word or two, translated."""
    translate = QCoreApplication.translate
    return {
        Fate.TAKEN: translate("transfer", "taken"),
        Fate.CAST: translate("transfer", "cast"),
        Fate.FITTED: translate("transfer", "fitted"),
        Fate.KEPT: translate("transfer", "kept"),
        Fate.NEW: translate("transfer", "re-initialised"),
        Fate.ABSENT: translate("transfer", "missing"),
        Fate.UNUSED: translate("transfer", "unused"),
        Fate.SKIPPED: translate("transfer", "skipped"),
    }[fate]


def counted(fate: int, count: int) -> str:
    """``12 taken``."""
    return f"{count_text(count)} {word(fate)}"


def explanation(fate: int) -> str:
    """What a fate means, translated."""
    translate = QCoreApplication.translate
    return {
        Fate.TAKEN: translate("transfer", "Comes from the source as it is"),
        Fate.CAST: translate("transfer", "Comes from the source, cast to the target's dtype"),
        Fate.FITTED: translate(
            "transfer", "The part that both have comes from the source; the rest is as you chose"
        ),
        Fate.KEPT: translate("transfer", "You chose to keep the target's values"),
        Fate.NEW: translate("transfer", "Gets new random values or zeros"),
        Fate.ABSENT: translate("transfer", "Not in the source: the target's values are kept"),
        Fate.UNUSED: translate("transfer", "In the source, and not in the target"),
        Fate.SKIPPED: translate("transfer", "The shapes differ: the target's values are kept"),
    }[fate]


def look(fate: int, palette: QPalette) -> Look:
    """The colours that go with `palette`."""
    return (_DARK if theme.is_dark(palette) else _LIGHT)[fate]


def draw_badge(painter: QPainter, fate: int, rect: QRectF, palette: QPalette) -> None:
    """Paint the letter of a fate into a small square of its colour."""
    colours = look(fate, palette)
    # The usual case stays in the background.
    quiet = fate in {Fate.TAKEN, Fate.UNUSED}
    fill, text = (colours.fill, colours.text) if quiet else (colours.text, colours.fill)
    paint_badge(painter, letter(fate), rect, fill, text)
