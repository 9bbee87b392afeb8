"""Finding a row of a disassembly by what it says, without decoding those that cannot say it."""

from __future__ import annotations

import re
from collections.abc import Generator

from inspector_app.checkpoint.disassembly import BLOCK, Disassembly, Row
from inspector_app.checkpoint.model import Progress
from inspector_app.checkpoint.pickle_opcodes import NAMES

_MOST_BYTES = 1 << 20  # of a block that is searched as bytes
# What arguments may say that does not stand in the bytes as it is: numbers, and words of ours.
_MADE_UP = frozenset("0123456789.+-, einfatbysupogr'\\")
_ESCAPE = re.compile("[xu]?[0-9a-f]*")


class _Query:
    """What is looked for.

    Attributes:
        wanted: in arguments, casefolded; "" for an opcode alone.
        codes, bits: opcodes whose names match.
        pattern: what a block of bytes has to match to have it, or None if that is not known.
    """

    def __init__(self, text: str) -> None:
        self.wanted = "" if text in NAMES else text.casefold()
        folded = text.casefold()
        self.codes = frozenset(
            code
            for code, name in enumerate(NAMES)
            if name and (name == text if not self.wanted else folded in name.casefold())
        )
        self.bits = sum(1 << code for code in self.codes)
        self.pattern: re.Pattern[bytes] | None = None
        plainly = self.wanted.isascii() and set(self.wanted) - _MADE_UP
        if plainly and not _ESCAPE.fullmatch(self.wanted):
            self.pattern = re.compile(re.escape(self.wanted.encode()), re.IGNORECASE)

    def matches(self, row: Row) -> bool:
        found = row.opcode in self.codes
        return found or (bool(self.wanted) and self.wanted in row.argument.casefold())


def finding(
    rows: Disassembly, text: str, begin: int, forwards: bool = True
) -> Generator[Progress, None, int | None]:
    """The next row from `begin` on, around the end, that says `text`; or None.

    `text` is part of an opcode's name or of its argument as it is shown, in any case; a name
    in capitals is that opcode.

    Raises:
        UnreadableFile: the bytes cannot be read any more.
    """
    total = rows.count
    if not text or not total:
        return None
    query = _Query(text)
    blocks = -(-total // BLOCK)
    first = begin // BLOCK
    # The block of `begin` comes twice: from there on, and at last up to there.
    for step in range(blocks + 1):
        block = (first + step if forwards else first - step) % blocks
        if step % 100 == 99:
            yield Progress("search", step, blocks)
        if not _may_have(rows, block, query):
            continue
        numbers = range(block * BLOCK, min((block + 1) * BLOCK, total))
        if step == 0:
            numbers = range(begin, numbers.stop) if forwards else range(numbers.start, begin + 1)
        elif step == blocks:
            numbers = range(numbers.start, begin) if forwards else range(begin + 1, numbers.stop)
        for number in numbers if forwards else reversed(numbers):
            if query.matches(rows.row(number)):
                return number
        yield Progress("search", step, blocks)
    return None


def _may_have(rows: Disassembly, block: int, query: _Query) -> bool:
    """Whether a look at its bytes leaves it open that a block has what is wanted."""
    if rows.has_opcode(block, query.bits):
        return True
    if query.pattern is None:
        return bool(query.wanted)
    data = rows.bytes_of(block, _MOST_BYTES)
    return data is None or query.pattern.search(data) is not None
