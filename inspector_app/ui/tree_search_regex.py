"""Regular expressions that people type, kept from hanging the window.

Python's engine backtracks and cannot be interrupted, so an expression is judged before it
runs: repetition within repetition may take exponential time and is refused; repetitions
one after the other take polynomial time, and names too long for their number are skipped
and counted.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from math import factorial
from typing import Any

from inspector_app.ui.tree_search_fields import SearchError

if sys.version_info >= (3, 11):
    from re import _parser as parser
else:
    import sre_parse as parser

# Steps of the engine for one name: about a tenth of a second.
MOST_STEPS = 5_000_000
MOST_REPEATS = 5
MOST_CHOICES = 500
# A repeat that ends by itself soon adds nothing worth counting.
FEW = 3
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_LEADING = re.compile(r"\A(?:\.\*)+\??")
_TRAILING = re.compile(r"(?<!\\)(?:\.\*)+\??\Z")


class Expression:
    """A compiled expression or pattern.

    Args:
        source: what was typed, or what a glob was translated to.
        anchored: None for an expression that may match anywhere; otherwise it is a glob,
            which matches the whole name or, where True, also what follows a slash.
        literal: text without which a name cannot match.
        parts: the texts to emphasise of a glob.

    Attributes:
        too_long: names met that it was not tried on.

    Raises:
        SearchError: it is wrong, or would take too long.
    """

    __slots__ = ("_anchored", "_limit", "_literal", "_parts", "_pattern", "too_long")

    def __init__(
        self,
        source: str,
        anchored: bool | None = None,
        literal: str = "",
        parts: Sequence[str] = (),
    ) -> None:
        self.too_long = 0
        self._anchored = anchored
        self._literal = literal
        self._parts = parts
        self._limit = 1 << 30
        if anchored is None:
            source = _without_ends(source)
            self._limit = _longest_name(source)
        try:
            self._pattern = re.compile(source, re.IGNORECASE)
        except (re.error, OverflowError, RecursionError) as error:
            raise SearchError("bad-expression", reason=_reason(error)) from None

    def matches(self, name: str) -> bool:
        """Whether a name in lower case matches."""
        if self._anchored is None:
            if len(name) > self._limit:
                self.too_long += 1
                return False
            return self._pattern.search(name) is not None
        if self._literal not in name:
            return False
        if self._pattern.match(name) is not None:
            return True
        if self._anchored:
            slash = name.find("/")
            while slash >= 0:
                if self._pattern.match(name, slash + 1) is not None:
                    return True
                slash = name.find("/", slash + 1)
        return False

    def spans(self, name: str) -> Iterator[tuple[int, int]]:
        """Where it matches a name in lower case."""
        if self._anchored is None:
            if len(name) <= self._limit:
                match = self._pattern.search(name)
                if match is not None and match.end() > match.start():
                    yield match.span()
            return
        start = 0
        for part in self._parts:
            start = name.find(part, start)
            if start < 0:
                return
            yield start, start + len(part)
            start += len(part)


def _without_ends(source: str) -> str:
    """`source` without ``.*`` at its ends, which changes nothing but the time it takes."""
    if "|" in source or "(?" in source:
        return source
    return _TRAILING.sub("", _LEADING.sub("", source)) or source


def _longest_name(source: str) -> int:
    try:
        parsed = parser.parse(source, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise SearchError("bad-expression", reason=_reason(error)) from None
    repeats, choices = _weigh(parsed, 0)
    if repeats > MOST_REPEATS or choices > MOST_CHOICES:
        raise SearchError("slow-expression")
    # An engine that tries every start and every way to share a name among n repeats takes
    # about length ** (n + 1) / (n + 1)! steps, and that for every choice.
    order = repeats + 1
    return int((MOST_STEPS / choices * factorial(order)) ** (1 / order))


def _weigh(items: Any, depth: int) -> tuple[int, int]:
    """How many repeats of open length a parsed expression has, and how many ways besides.

    Raises:
        SearchError: a repeat lies within another.
    """
    if depth > 50:
        raise SearchError("slow-expression")
    repeats, choices = 0, 1
    for code, argument in items:
        name = str(code)
        inner = (0, 1)
        if name in _REPEATS:
            fewest, most, body = argument
            inner = _weigh(body, depth + 1)
            if most > 1 and (inner[0] or _is_ambiguous(body)):
                raise SearchError("slow-expression")
            if most > FEW and (most != fewest or most > 100):
                repeats += 1
            elif most != fewest:
                choices *= int(most) - int(fewest) + 1
        elif name == "SUBPATTERN":
            inner = _weigh(argument[-1], depth + 1)
        elif name in {"ASSERT", "ASSERT_NOT"}:
            inner = _weigh(argument[1], depth + 1)
        elif name == "ATOMIC_GROUP":
            inner = _weigh(argument, depth + 1)
        elif name in {"BRANCH", "GROUPREF_EXISTS"}:
            parts = argument[1] if name == "BRANCH" else argument[1:]
            weights = [_weigh(part, depth + 1) for part in parts if part is not None]
            inner = (sum(weight[0] for weight in weights), sum(weight[1] for weight in weights))
        elif name == "GROUPREF":
            repeats += 1
        repeats += inner[0]
        choices *= inner[1]
    return repeats, choices


def _is_ambiguous(items: Any) -> bool:
    """Whether a part that is repeated can match the same text in several ways.

    Alternatives can, unless they begin with different characters; so can what may be absent.
    """
    for code, argument in items:
        name = str(code)
        if name in _REPEATS:
            fewest, most, body = argument
            if fewest != most or _is_ambiguous(body):
                return True
        elif name == "SUBPATTERN":
            if _is_ambiguous(argument[-1]):
                return True
        elif name == "BRANCH":
            firsts = []
            for branch in argument[1]:
                if len(branch) == 0 or str(branch[0][0]) != "LITERAL" or _is_ambiguous(branch):
                    return True
                firsts.append(chr(branch[0][1]).lower())
            if len(set(firsts)) < len(firsts):
                return True
        elif name not in {"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"}:
            return True
    return False


def _reason(error: BaseException) -> str:
    return getattr(error, "msg", "") or type(error).__name__
