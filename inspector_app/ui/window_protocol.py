"""What a second start and the window that is open say to each other.

Lines of JSON over a local socket that only the same user can reach. The window greets
(``{"protocol": 1, "version": …}``), which one that is stuck does not; only then it is told
what to open (``{"protocol": 1, "paths": […], "compare": false, "token": …}``), so that
nothing is opened twice; and it answers ``{"answer": "taken"}`` once there are tabs. Members
that a side does not know it leaves alone; what it could not leave alone gets another number.

Paths are absolute, in any bytes: what is no UTF-8 is written as lone surrogates, as Python
does. Standard library only, and `json` on use: the first start says nothing to anybody.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

PROTOCOL = 1
MESSAGE_BYTES = 8 << 20  # a command line has 2 MiB, and an escaped byte of it 6
LINE_BYTES = 1 << 12  # of greetings and answers
MOST_PATHS = 10_000
LONGEST_PATH = 32_767  # characters, as Windows has it; elsewhere they are fewer
LONGEST_TOKEN = 1_024
TAKEN, REFUSED, UNKNOWN = "taken", "refused", "unknown-protocol"


class Request(NamedTuple):
    """What a start asks for.

    Attributes:
        paths: absolute.
        compare: the two paths with each other, the first of which is A; of fewer the window
            asks for the others.
        token: of the desktop, by which the window may come to the front, or "".
    """

    paths: tuple[str, ...]
    compare: bool = False
    token: str = ""


class NotUnderstoodError(ValueError):
    """A line that is none of this protocol.

    Attributes:
        answer: what the other side is told.
    """

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer


def greeting(version: str) -> bytes:
    """The window's first line."""
    return _line({"protocol": PROTOCOL, "version": version})


def answer(word: str) -> bytes:
    """The window's last line."""
    return _line({"answer": word})


def request_line(request: Request) -> bytes:
    """What a start says once it was greeted."""
    said = {
        "protocol": PROTOCOL,
        "paths": list(request.paths),
        "compare": request.compare,
        "token": request.token,
    }
    return _line(said)


def read_greeting(line: bytes) -> int:
    """The protocol that the window speaks; 0 if it is none of ours."""
    protocol = _read(line).get("protocol")
    return protocol if type(protocol) is int else 0


def read_answer(line: bytes) -> str:
    """What became of a request; "" if that is not understood."""
    word = _read(line).get("answer")
    return word if isinstance(word, str) else ""


def read_request(line: bytes) -> Request:
    """What a start asks for.

    Raises:
        NotUnderstoodError: it cannot be done; with the answer to that.
    """
    said = _read(line)
    if said.get("protocol") != PROTOCOL:
        raise NotUnderstoodError(UNKNOWN)
    paths, compare, token = said.get("paths"), said.get("compare"), said.get("token")
    if not isinstance(paths, list) or len(paths) > MOST_PATHS or not all(map(_is_path, paths)):
        raise NotUnderstoodError(REFUSED)
    if compare is True and len(paths) > 2:
        raise NotUnderstoodError(REFUSED)
    known = isinstance(token, str) and len(token) <= LONGEST_TOKEN and token.isprintable()
    return Request(tuple(paths), compare is True, token if known else "")


def _is_path(value: object) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_PATH or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False  # surrogates that stand for no byte
    return os.path.isabs(value)


def _line(said: dict[str, object]) -> bytes:
    import json

    return json.dumps(said).encode("ascii") + b"\n"


def _read(line: bytes) -> dict[str, Any]:
    import json

    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
