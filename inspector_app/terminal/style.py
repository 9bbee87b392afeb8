"""How much a terminal can show: its width, its characters, its colours."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import NamedTuple, TextIO

_DRAWN = "├─└│…"
_ASCII = str.maketrans({"├": "|", "─": "-", "└": "`", "│": "|", "…": "~"})


class Style(NamedTuple):
    """What the place that text goes to can show.

    Attributes:
        width: columns of the terminal, or 0 where lines may be of any length.
        colour: escape sequences for colours are understood and welcome.
        drawn: its encoding has the characters that draw a tree.
    """

    width: int = 0
    colour: bool = False
    drawn: bool = True

    @classmethod
    def of(cls, stream: TextIO | None) -> Style:
        """The style that suits `stream`. ``NO_COLOR`` is respected (no-color.org)."""
        try:
            _DRAWN.encode(getattr(stream, "encoding", None) or "utf-8")
            drawn = True
        except (UnicodeEncodeError, LookupError):
            drawn = False
        if stream is None or not stream.isatty():
            return cls(drawn=drawn)
        try:
            width = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            width = 80
        plain_terminal = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        # The Windows console needs a mode for escapes, which Windows Terminal has.
        understood = os.name != "nt" or "WT_SESSION" in os.environ
        return cls(width=width, colour=understood and not plain_terminal, drawn=drawn)

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text

    def dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self.colour else text

    def warning(self, text: str) -> str:
        return f"\x1b[33m{text}\x1b[0m" if self.colour else text

    def drawing(self, text: str) -> str:
        """`text` with what draws the tree replaced where the encoding lacks it."""
        return text if self.drawn else text.translate(_ASCII)


# All but ASCII and what this program draws itself.
_FOREIGN = re.compile("[^\x00-\x7f├─└│…]")


def display_width(text: str) -> int:
    """Columns that `text` takes: East Asian wide characters two, combining ones none."""
    if not _FOREIGN.search(text):
        return len(text)
    width = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def fitted(text: str, width: int, wide: bool = True) -> str:
    """`text` cut to `width` columns; it keeps its end, where keys differ.

    Without `wide` every character takes one column, which is a hundred times faster to say.
    """
    if not wide:
        head = width // 3
        return text if len(text) <= width else f"{text[:head]}…{text[head + 1 - width :]}"
    if display_width(text) <= width:
        return text
    start = clipped(text, width // 3 + 1)[:-1]
    room = width - display_width(start) - 1
    tail = text[-room:]
    while display_width(tail) > room:
        tail = tail[1:]
    return f"{start}…{tail}"


def clipped(text: str, width: int) -> str:
    """`text` cut to `width` columns at its end."""
    if display_width(text) <= width:
        return text
    text = text[: max(width - 1, 0)]
    while text and display_width(text) > width - 1:
        text = text[:-1]
    return f"{text}…"
