"""Text that comes from a file, made safe to show."""

from __future__ import annotations

import re
from functools import cache

# C0 and C1 controls, line and paragraph separators, bidirectional and zero-width
# formatting, tags, surrogates, noncharacters: what could move the cursor, reorder a line
# or hide a name (Unicode TR 36, "Bidirectional Text Spoofing").
_UNSAFE = (
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
LIMIT = 200


def plain(text: str, limit: int = LIMIT) -> str:
    """`text` with unsafe characters escaped and at most `limit` characters long.

    Long text keeps its beginning and its end, with an ellipsis between them.
    """
    if len(text) > limit:
        head = limit * 2 // 3
        tail = limit - head - 1
        text = f"{text[:head]}…{text[len(text) - tail :]}"
    if text.isascii() and text.isprintable():
        return text
    return _unsafe().sub(_escape, text)


@cache
def _unsafe() -> re.Pattern[str]:
    # On use: few files need it, and the first picture need not wait for it.
    return re.compile(_UNSAFE)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
