"""The listing of opcodes, against ``pickletools.genops``."""

from __future__ import annotations

import collections
import io
import os
import pickle
import pickletools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.disassembly import Disassembly, Row
from inspector_app.checkpoint.disassembly_search import finding
from inspector_app.checkpoint.errors import UnreadableFile
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.record_source import MemorySource
from inspector_app.checkpoint.reopened_source import ReopenedSource

_ANY = SimpleNamespace(path="", modified_ns=0)
# pickletools wants ASCII here, where unpicklers take UTF-8 or any bytes.
_READ_MORE = ("GLOBAL", "INST", "PERSID", "STRING", "BINSTRING", "SHORT_BINSTRING")
_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=5)
        | st.frozensets(st.integers(), max_size=3)
        | st.builds(collections.OrderedDict, st.dictionaries(st.text(max_size=3), inner))
    ),
    max_leaves=20,
)


def listed(data: bytes, start: int = 0, **limits: int) -> Disassembly:
    made = Disassembly(MemorySource(_ANY, data), start, len(data), DEFAULT._replace(**limits))
    for _ in made.indexing():
        pass
    return made


def rows_of(made: Disassembly) -> list[Row]:
    return [made.row(number) for number in range(made.count)]


def genops(data: bytes) -> tuple[list[tuple[str, int, Any]], int, bool]:
    """What pickletools lists, where it ends, and whether that is after STOP."""
    stream = io.BytesIO(data)
    found = []
    try:
        for opcode, argument, position in pickletools.genops(stream):
            found.append((opcode.name, position, argument))
    except Exception:
        return found, found[-1][1] if found else 0, False
    return found, stream.tell(), True


def search(made: Disassembly, text: str, begin: int = 0, forwards: bool = True) -> int | None:
    steps = finding(made, text, begin, forwards)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: int | None = end.value
            return found


@given(value=_PLAIN, protocol=st.integers(0, 5))
def test_lists_what_pickletools_lists(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    wanted, end, whole = genops(data)
    made = listed(data)
    rows = rows_of(made)
    assert whole
    assert made.stopped
    assert made.complete
    assert not made.trouble
    assert [(row.name, row.offset) for row in rows] == [each[:2] for each in wanted]
    assert made.end == end
    assert rows[-1].depth == 0
    assert all(row.sound for row in rows)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        assert row.offset + row.length == (following.offset if following else end)
    for row, (_, _, argument) in zip(rows, wanted, strict=True):
        if isinstance(argument, (int, float)) and row.name not in ("FRAME", "LONG", "INT"):
            assert row.argument == repr(argument)


@given(
    data=st.one_of(
        st.binary(max_size=60),
        st.lists(st.sampled_from([bytes([ord(op.code)]) for op in pickletools.opcodes])).map(
            b"".join
        ),
        st.builds(
            lambda value, protocol, at, byte: _changed(pickle.dumps(value, protocol), at, byte),
            _PLAIN,
            st.integers(0, 5),
            st.integers(0, 2000),
            st.integers(0, 255),
        ),
    )
)
def test_lists_a_broken_stream_as_far_as_pickletools_does(data: bytes) -> None:
    wanted, _, whole = genops(data)
    made = listed(data)
    rows = rows_of(made)
    assert [(row.name, row.offset) for row in rows][: len(wanted)] == [w[:2] for w in wanted]
    assert made.complete
    assert made.stopped is (not made.trouble)
    if whole:
        assert made.stopped
        assert len(rows) == len(wanted)
    elif len(rows) > len(wanted):
        # It goes on, but only past an argument whose end is known.
        odd = rows[len(wanted)]
        assert not odd.sound or odd.name in _READ_MORE
    for row in rows:
        assert made.row_at(row.offset) == row.number
        assert made.row_at(row.offset + row.length - 1) == row.number


def _changed(data: bytes, at: int, byte: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([byte]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the stream ends without STOP"),
        (b"\x80\x02", "the stream ends without STOP"),
        (b"\x80\x02\xffN.", "there is no opcode 0xff"),
        (b"X\x05\x00\x00\x00abc", "an argument needs 5 bytes, 3 are left"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", f"needs {(1 << 64) - 1} bytes, 0 are left"),
        (b"G\x00\x00", "the stream ends inside an opcode"),
        (b"\x8d\x00", "the stream ends inside an opcode"),
        (b"cos\nsystem", "a text argument has no end"),
        (b"I1", "a text argument has no end"),
    ],
)
def test_says_where_and_why_it_ends(data: bytes, said: str) -> None:
    made = listed(data)
    assert said in made.trouble
    assert not made.stopped
    assert made.end == sum(row.length for row in rows_of(made))


def test_a_memo_index_is_that_of_the_machine() -> None:
    # PUT 7 leaves a hole, the second one makes no entry: MEMOIZE takes the number of entries.
    made = listed(b"]q\x07]q\x07]\x94]\x94]p9\n]\x94h\x07g9\n.")
    assert [row.memo for row in rows_of(made)] == [
        *(None, 7, None, 7, None, 1, None, 2, None, 9, None, 4),
        *(7, 9, None),
    ]


def test_the_depth_is_unknown_where_the_stack_is_empty() -> None:
    made = listed(b"NN(\x85N.")
    assert [row.depth for row in rows_of(made)] == [1, 2, 3, None, None, None]
    assert [row.level for row in rows_of(listed(b"(((tt1."))] == [0, 1, 2, 3, 2, 1, 0]
    # POP removes a mark that lies on top.
    assert [row.depth for row in rows_of(listed(b"N(0."))] == [1, 2, 1, 0]


def test_arguments_are_inert_and_bounded() -> None:
    evil = "\x1b[31m\u202egnp.exe"
    data = pickle.dumps([evil, b"\x00" * 5_000, "x" * 5_000, 1 << 7_000], 4)
    rows = {row.name: row for row in rows_of(listed(data))}
    assert "'\\x1b[31m\\u202egnp.exe'" in [row.argument for row in rows_of(listed(data))]
    assert rows["BINUNICODE"].argument.endswith(" … 5000 bytes")
    assert rows["BINBYTES"].argument.startswith("b'\\x00\\x00")
    assert all(len(row.argument) < 3_000 for row in rows_of(listed(data)))
    assert rows_of(listed(b"\x8b\x00\x10\x00\x00" + b"\x01" * 4096 + b"."))[0].argument == (
        "an integer of 4096 bytes"
    )
    assert not rows_of(listed(b"Iabc\n."))[0].sound
    assert not rows_of(listed(b"X\x01\x00\x00\x00\xff."))[0].sound
    assert rows_of(listed(b"cbuiltins\nev\x07al\n."))[0].argument == "builtins ev\\x07al"


def test_a_frame_says_where_it_ends() -> None:
    data = pickle.dumps(["a" * 50] * 2, 4)
    frame = rows_of(listed(data))[1]
    assert (frame.name, frame.argument) == (
        "FRAME",
        f"{len(data) - 11} bytes, up to {len(data)}",
    )


def test_starts_where_the_stream_does() -> None:
    first, second = pickle.dumps(1, 2), pickle.dumps([2], 2)
    made = listed(first + second, len(first))
    assert made.row(0).offset == len(first)
    assert made.row_at(0) is None
    assert made.row_at(len(first + second)) is None


def _long_stream(count: int) -> bytes:
    return pickle.dumps([f"layer.{n}.weight" for n in range(count)], 2)


def test_rows_are_known_while_the_stream_is_still_walked() -> None:
    data = _long_stream(4_000)
    made = Disassembly(MemorySource(_ANY, data), 0, len(data))
    steps = made.indexing()
    for _ in range(3):
        next(steps)
    assert not made.complete
    assert 0 < made.count < 8_000
    assert made.row(made.count - 1).number == made.count - 1
    with pytest.raises(IndexError):
        made.row(made.count)
    before = rows_of(made)
    for _ in steps:
        pass
    wanted, _, _ = genops(data)
    assert rows_of(made)[: len(before)] == before
    assert [(row.name, row.offset) for row in rows_of(made)] == [each[:2] for each in wanted]


def test_long_arguments_reach_beyond_what_is_read_at_once() -> None:
    parts = [b"x" * (1 << 20), "y" * (3 << 20), b"", 5]
    data = pickle.dumps(parts, 4)
    made = listed(data)
    assert [(row.name, row.offset) for row in rows_of(made)] == [w[:2] for w in genops(data)[0]]
    assert made.stopped
    text = pickle.dumps("z" * 40_000, 0) * 40
    assert [row.name for row in rows_of(listed(text))] == ["UNICODE", "PUT", "STOP"]
    assert listed(pickle.dumps("z" * 70_000, 0)).trouble == "a text argument has no end"


def test_search_goes_both_ways_and_around_the_end() -> None:
    made = listed(_long_stream(3_000))
    names = [row.argument for row in rows_of(made)]
    for n in (0, 999, 2999):
        wanted = names.index(f"'layer.{n}.weight'")
        for begin in (0, wanted, wanted + 1, made.count - 1):
            assert search(made, f"layer.{n}.Weight", begin) == wanted
            assert search(made, f"LAYER.{n}.w", begin, forwards=False) == wanted
    assert search(made, "nowhere") is None
    assert search(made, "") is None
    assert search(made, "STOP") == made.count - 1
    assert search(made, "PROTO", 5) == 0
    assert search(made, "binunicode", 10) == next(
        row.number for row in rows_of(made)[10:] if row.name == "BINUNICODE"
    )
    # A number is found in numbers too.
    long_put = search(made, "2048", 0)
    assert long_put is not None
    assert "2048" in made.row(long_put).argument


@given(
    begin=st.integers(0, 10_000), forwards=st.booleans(), text=st.sampled_from("1 a We .9".split())
)
def test_search_finds_what_a_plain_look_finds(begin: int, forwards: bool, text: str) -> None:
    made = _SEARCHED
    begin %= made.count
    order = range(begin, begin + made.count) if forwards else range(begin, begin - made.count, -1)
    wanted = next(
        (
            number % made.count
            for number in order
            if text.casefold() in _ROWS[number % made.count].argument.casefold()
            or text.casefold() in _ROWS[number % made.count].name.casefold()
        ),
        None,
    )
    assert search(made, text, begin, forwards) == wanted


_SEARCHED = listed(_long_stream(1_000))
_ROWS = rows_of(_SEARCHED)


def test_many_marks_and_odd_memos_cost_no_memory_to_speak_of() -> None:
    marks = listed(b"(" * 300_000 + b".")
    assert marks.count == 300_001
    assert marks.row(50_000).depth == 50_001
    assert marks.row(200_000).depth is None
    puts = listed(
        b"]" + b"".join(b"r" + (n * 2 + 1).to_bytes(4, "little") for n in range(300_000)) + b"\x94."
    )
    assert puts.row(300_000).memo == 599_999
    assert puts.row(300_001).name == "MEMOIZE"
    assert puts.row(300_001).memo is None


def test_a_file_that_becomes_another_is_an_error_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    data = _long_stream(20_000)
    path.write_bytes(data)
    with ByteSource(path) as source:
        held = Disassembly(source, 0, source.size)
        reopened = Disassembly(ReopenedSource(path), 0, source.size)
        for made in (held, reopened):
            for _ in made.indexing():
                pass
            assert made.row(made.count - 1).name == "STOP"
        first = reopened.row(0)
        path.write_bytes(data[:2])
        with pytest.raises(UnreadableFile, match="was changed"):
            held.row(held.count // 2)
        with pytest.raises(UnreadableFile, match="was changed"):
            reopened.row(reopened.count // 2)
        # What is known is still shown.
        assert reopened.row(0) == first
    path.unlink()
    with pytest.raises(UnreadableFile):
        reopened.row(reopened.count // 2)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed on Linux")
def test_a_file_that_is_looked_at_is_not_held_open(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(_long_stream(2_000))
    made = Disassembly(ReopenedSource(path), 0, path.stat().st_size)
    for _ in made.indexing():
        made.row(0) if made.count else None
        held = [os.path.realpath(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")]
        assert str(path) not in held
