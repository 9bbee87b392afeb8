"""Whether bytes, or what a call is given, may be a pickle themselves."""

from __future__ import annotations

from contextlib import suppress

from inspector_app.checkpoint.zip_local import LOCAL

_FIRST_CHARACTERS = ("\x80", "P", "(", "]", "}", "c")
_FIRST_BYTES = (b"(", b"]", b"}", b"c")


def may_be_pickle(head: bytes) -> bool:
    """Whether bytes begin like a pickle, a zip archive, or a legacy file."""
    if head[:1] == b"\x80":
        return len(head) > 2 and head[1] <= 5
    return head[:4] == LOCAL


def given_pickle(arguments: tuple[object, ...]) -> str | bytes | None:
    """What a call is given if it may be a pickle and is no value of bytes that begins like one:
    text, as protocols 0 to 2 write bytes, or a pickle of protocol 0, which needs a call around
    it to be told from other bytes."""
    first = arguments[0] if arguments else None
    if isinstance(first, str) and first[:1] in _FIRST_CHARACTERS and first:
        head = first[:4]
        if first[-1] == "." or (max(head) < "\u0100" and may_be_pickle(head.encode("latin-1"))):
            return first
    if isinstance(first, bytes) and first[:1] in _FIRST_BYTES and first[-1:] == b".":
        return first
    return None


def encoded(value: str | bytes) -> bytes | None:
    """The bytes that a text stands for, or None if it stands for none."""
    with suppress(UnicodeEncodeError):
        return value if isinstance(value, bytes) else value.encode("latin-1")
    return None
