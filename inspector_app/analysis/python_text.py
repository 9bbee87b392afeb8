"""Text from a file inside Python source, from which it cannot break out.

Only `repr` writes literals: it escapes quotes, line ends and everything unprintable.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Sequence

from inspector_app.checkpoint.text import plain

WIDTH = 100
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
_COMMENT_WIDTH = 92


def literal(value: str | int) -> str:
    """`value` as a literal, in double quotes where nothing speaks against them."""
    text = repr(value)
    if text.startswith("'") and '"' not in text and "\\" not in text:
        return f'"{text[1:-1]}"'
    return text


def comment(text: str) -> list[str]:
    """`text` as comment lines; what comes from a file must have gone through `plain`."""
    lines: list[str] = []
    # No end of line that Python knows is left, whatever the text holds.
    for word in plain(text, 2_000).split(" "):
        if lines and len(lines[-1]) + len(word) < _COMMENT_WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"# {word}")
    return lines


def is_identifier(text: str) -> bool:
    """Whether `text` can stand as a name. ASCII only: Python normalises other letters, so
    that two names which look alike would be one."""
    return _IDENTIFIER.fullmatch(text) is not None and not keyword.iskeyword(text)


def variable(text: str, taken: Iterable[str], fallback: str) -> str:
    """A variable's name made of a key such as ``netG`` or ``gen.state_dict``, not yet taken."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text[:40])
    name = re.sub(r"_?(state_?dict|states?)$", "", name).strip("_")
    used = set(taken)
    if not is_identifier(name) or hasattr(builtins, name) or name in used:
        name = fallback
    number = 2
    candidate = name
    while candidate in used:
        candidate = f"{name}_{number}"
        number += 1
    return candidate


def bracketed(before: str, items: Sequence[str], after: str) -> list[str]:
    """``before``, a list of `items`, ``after``: on one line if it fits, else one line each."""
    line = f"{before}[{', '.join(items)}]{after}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{before}[", *(f"    {item}," for item in items), f"]{after}"]
