"""Numbers as people read them. Sizes are decimal: 1 kB is 1,000 bytes, as file dialogs count."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
# No file has as many; a hostile one can claim it, and Python refuses to print, or to make a
# float of, integers that are large enough.
_LARGEST_BITS = 80


def count_text(count: int) -> str:
    """With thousands separators: ``11,689,512``."""
    if count.bit_length() > _LARGEST_BITS:
        return f"> 2^{count.bit_length() - 1}"
    return f"{count:,}"


def size_text(nbytes: int) -> str:
    """With three digits: ``46.8 MB``."""
    return _scaled(nbytes, _UNITS, " ")


def short_count(count: int) -> str:
    """With three digits: ``11.7 M``; small counts in full."""
    if abs(count) < 10_000:
        return count_text(count)
    return _scaled(count, ("", "k", "M", "G", "T", "P"), " ")


def _scaled(number: int, units: tuple[str, ...], space: str) -> str:
    if number.bit_length() > _LARGEST_BITS:
        return f"{count_text(number)}{space}{units[0]}".rstrip()
    value = float(number)
    index = 0
    while abs(value) >= 999.5 and index < len(units) - 1:
        value /= 1000
        index += 1
    if index == 0:
        return f"{number}{space}{units[0]}".rstrip()
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f}{space}{units[index]}"
