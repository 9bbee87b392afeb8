"""Values of the standard library and numpy, from pickles of all protocols and of Python 2."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inspector_app.checkpoint import open_checkpoint

MOMENT = datetime.datetime(2026, 11, 22, 9, 30, 5, 123456)


def value_of(folder: Path, data: bytes) -> Any:
    """What the tree shows of one pickled value, and its type."""
    (folder / "value.pkl").write_bytes(data)
    checkpoint = open_checkpoint(folder / "value.pkl")
    (node,) = checkpoint.root.children
    return node.type_name, node.value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (MOMENT, MOMENT.isoformat(" ")),
        (MOMENT.date(), "2026-11-22"),
        (datetime.timedelta(3, 4, 5), "3 days, 0:00:04.000005"),
        (bytearray(), b""),
        (bytearray(b"\x00\xff"), b"\x00\xff"),
        (b"\x80\xff", b"\x80\xff"),
        (np.float32(1.5), 1.5),
        (np.complex64(1 + 2j), 1 + 2j),
        (np.str_("ünï"), "ünï"),
        (np.bytes_(b"ab"), b"ab"),
        (np.bool_(True), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_values(tmp_path: Path, protocol: int, value: object, shown: object) -> None:
    assert value_of(tmp_path, pickle.dumps([value], protocol))[1] == shown


def call(name: str, *arguments: bytes) -> bytes:
    """A list with one call, as Python 2 wrote it: strings of bytes, protocol 2."""
    module, function = name.split(" ")
    return b"\x80\x02]c" + f"{module}\n{function}\n".encode() + b"(" + b"".join(arguments) + b"tRa."


def short(data: bytes) -> bytes:
    return b"U" + bytes([len(data)]) + data


YEAR = bytes([2026 >> 8, 2026 & 255])


def test_dates_of_python_2(tmp_path: Path) -> None:
    date = call("datetime date", short(YEAR + b"\x0b\x16"))
    assert value_of(tmp_path, date) == ("datetime.date", "2026-11-22")
    moment = call("datetime datetime", short(YEAR + b"\x0b\x16\x09\x1e\x05\x00\x00\x07"))
    assert value_of(tmp_path, moment) == ("datetime.datetime", "2026-11-22 09:30:05.000007")


@pytest.mark.parametrize(
    "data",
    [
        call("datetime date", short(YEAR + b"\x0d\x16")),
        call("datetime date", short(b"2026")),
        call("datetime date", short(YEAR)),
        call("datetime date", b"K\x01"),
        call("datetime datetime", short(YEAR)),
        call("datetime datetime", b"]"),
        call("datetime timedelta", b"K\x01"),
        call("datetime timedelta", b"]", b"]", b"]"),
        call("datetime timedelta", b"\x8a\x10" + b"\x7f" * 16, b"K\x00", b"K\x00"),
        call("pathlib PosixPath", b"}"),
        call("_codecs encode", b"]"),
        call("_codecs encode", b"X\x03\x00\x00\x00\xe2\x9c\x93", short(b"latin1")),
        call("numpy.core.multiarray scalar", b"K\x01"),
        call("numpy.core.multiarray scalar", b"]", short(b"1")),
        call("__builtin__ bytearray", b"]"),
    ],
)
def test_what_is_no_such_value_stays_a_call(tmp_path: Path, data: bytes) -> None:
    kind, value = value_of(tmp_path, data)
    assert not isinstance(value, (str, bytes, int, float))
    assert "." in kind or kind in ("bytearray", "encode", "scalar")
