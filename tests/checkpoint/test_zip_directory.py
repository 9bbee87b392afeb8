"""The directory of zip archives: honest ones as `zipfile` reads them, others with problems."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector_app.checkpoint import zip_directory
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, CheckpointError, LimitExceeded
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.zip_directory import ZipDirectory
from inspector_app.checkpoint.zip_local import LOCAL
from inspector_app.checkpoint.zip_recovery import recover

GOOD = [("a/version", b"3\n"), ("a/data/0", b"x" * 40)]


def archive(
    entries: list[tuple[str, bytes]] = GOOD, method: int = zipfile.ZIP_STORED, comment: bytes = b""
) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of duplicate names
        with zipfile.ZipFile(stream, "w", method) as made:
            for name, data in entries:
                made.writestr(name, data)
            made.comment = comment
    return stream.getvalue()


_OPEN: list[ByteSource] = []


@pytest.fixture(autouse=True)
def _files_are_closed() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def source_of(path: Path) -> ByteSource:
    """An open file, until the test has ended."""
    _OPEN.append(ByteSource(path))
    return _OPEN[-1]


def open_bytes(data: bytes, folder: Path, limits: Limits = DEFAULT) -> ZipDirectory:
    path = folder / "file.zip"
    path.write_bytes(data)
    steps = zip_directory.reading(source_of(path), limits)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def codes(directory: ZipDirectory) -> list[str]:
    return [problem.code for problem in directory.problems]


def torch_bytes(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def torch_reads(data: bytes, name: str) -> bytes:
    return torch._C.PyTorchFileReader(io.BytesIO(data)).get_record(name)


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1).filter(
    lambda name: "\\" not in name
)
entries = st.lists(
    st.tuples(names, st.binary(max_size=200)), min_size=1, max_size=8, unique_by=lambda e: e[0]
)


@given(
    entries=entries,
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    comment=st.binary(max_size=2000).filter(lambda text: b"PK" not in text),
    before=st.binary(max_size=50).filter(lambda text: b"PK" not in text),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_agrees_with_zipfile(
    tmp_path: Path, entries: list, method: int, comment: bytes, before: bytes
) -> None:
    data = before + archive(entries, method, comment)
    directory = open_bytes(data, tmp_path)
    with zipfile.ZipFile(io.BytesIO(data)) as oracle:
        expected = oracle.infolist()
        assert [
            (r.name, r.header_offset, r.nbytes, r.packed_bytes, r.crc32, r.method)
            for r in directory.order
        ] == [
            (i.filename, i.header_offset, i.file_size, i.compress_size, i.CRC, i.compress_type)
            for i in expected
        ]
        for info in expected:
            assert directory.read(directory.records[info.filename]) == oracle.read(info)
    assert directory.comment == comment
    assert ("prepended-bytes" in codes(directory)) == bool(before)


@pytest.mark.parametrize("count", [0, 1, 40, 1500])
def test_torch_save_has_no_problems(tmp_path: Path, count: int) -> None:
    data = torch_bytes({str(index): torch.full((3,), float(index)) for index in range(count)})
    directory = open_bytes(data, tmp_path)
    assert directory.problems == []
    reader = torch._C.PyTorchFileReader(io.BytesIO(data))
    prefix = f"{directory.root}/"
    assert [name.removeprefix(prefix) for name in directory.records] == reader.get_all_records()
    for name, record in list(directory.records.items())[-30:]:
        assert directory.read(record) == reader.get_record(name.removeprefix(prefix))
        assert directory.data_offset(record) == reader.get_record_offset(name.removeprefix(prefix))
    assert directory.problems == []


def test_reads_little_of_a_large_file(tmp_path: Path) -> None:
    data = torch_bytes(torch.zeros(1 << 20))
    directory = open_bytes(data, tmp_path)
    assert directory.source.bytes_read < 10_000 < len(data)


def test_every_truncation_says_so(tmp_path: Path) -> None:
    data = torch_bytes({"weight": torch.arange(3.0)})
    whole = open_bytes(data, tmp_path)
    pickle = whole.order[0]
    pickle_end = whole.data_offset(pickle) + pickle.nbytes
    for length in range(1, len(data)):
        try:
            directory = open_bytes(data[:length], tmp_path)
        except BrokenFile:
            assert length < pickle_end
            continue
        assert directory.problems, length
        found = directory.order[0]
        assert found.name == pickle.name
        if length >= pickle_end + 16:  # its descriptor is there as well
            assert directory.read(found) == whole.read(pickle)
        else:
            # A piece of the descriptor may follow it.
            expected = whole.read(pickle)
            assert expected.startswith(directory.read(found)[: len(expected)])


@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_never_surprise(tmp_path: Path, place: float, value: int) -> None:
    data = bytearray(torch_bytes([torch.arange(2), "text"]))
    data[int(place * len(data))] = value
    try:
        directory = open_bytes(bytes(data), tmp_path)
        for record in directory.order:
            directory.read(record)
        sentences = [problem.message for problem in directory.problems]
    except CheckpointError as error:
        sentences = [error.message]
    assert all(sentences)


@given(noise=st.binary(max_size=300))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_around_end_marks(tmp_path: Path, noise: bytes) -> None:
    data = LOCAL + noise.replace(b"\0", b"PK\5\6").replace(b"\1", b"PK\1\2")
    with pytest.raises(CheckpointError):
        open_bytes(data, tmp_path)


def test_of_equal_names_the_last_counts_as_in_zipfile(tmp_path: Path) -> None:
    data = archive([*GOOD, ("a/x", b"first"), ("a/x", b"second")])
    directory = open_bytes(data, tmp_path)
    assert codes(directory) == ["duplicate-entry"]
    assert len(directory.order) == len(directory.records) + 1
    assert directory.read(directory.records["a/x"]) == b"second"
    assert zipfile.ZipFile(io.BytesIO(data)).read("a/x") == b"second"


def test_names_that_collide_for_torch(tmp_path: Path) -> None:
    data = archive([*GOOD, ("a/X", b"upper"), ("a/x", b"lower")])
    assert torch_reads(data, "x") == torch_reads(data, "X")
    assert codes(open_bytes(data, tmp_path)) == ["case-colliding-entry"]


def test_root_is_that_of_the_first_entry(tmp_path: Path) -> None:
    data = archive([("b/x", b"bx"), ("b/version", b"3\n"), ("a/x", b"ax")])
    directory = open_bytes(data, tmp_path)
    assert directory.root == "b"
    assert torch_reads(data, "x") == b"bx"
    assert [(p.code, p.where) for p in directory.problems] == [("outside-root", "a/x")]


def test_prepended_bytes_are_said_and_corrected(tmp_path: Path) -> None:
    data = b"#!/bin/sh\n" * 3 + archive()
    with pytest.raises(RuntimeError):
        torch_reads(data, "data/0")
    directory = open_bytes(data, tmp_path)
    assert codes(directory) == ["prepended-bytes"]
    assert directory.read(directory.records["a/data/0"]) == GOOD[1][1]
    assert zip_directory.recognise(directory.source)


def test_trailing_bytes(tmp_path: Path) -> None:
    directory = open_bytes(archive() + b"tail", tmp_path)
    assert [p.details["count"] for p in directory.problems] == [4]
    assert codes(directory) == ["trailing-bytes"]


def test_end_record_inside_a_comment(tmp_path: Path) -> None:
    data = archive(comment=b"PK\5\6" + bytes(18))
    with pytest.raises(RuntimeError):
        torch_reads(data, "version")
    directory = open_bytes(data, tmp_path)
    assert list(directory.records) == ["a/version", "a/data/0"]
    assert codes(directory) == ["bad-directory"]


def test_two_directories(tmp_path: Path) -> None:
    # The offset leads to one directory and the size to another.
    shown, hidden = archive([("a/x", b"one")]), archive([("a/x", b"two")])
    place = hidden.rfind(b"PK\1\2")
    end = hidden.rfind(b"PK\5\6")
    first = shown.rfind(b"PK\1\2")
    data = bytearray(shown[: shown.rfind(b"PK\5\6")] + hidden[place:])
    struct.pack_into("<I", data, len(data) - 22 + 16, first)
    assert end - place == shown.rfind(b"PK\5\6") - first
    assert "bad-directory" in codes(open_bytes(bytes(data), tmp_path))


@pytest.mark.parametrize("count", [1, 3])
def test_wrong_count(tmp_path: Path, count: int) -> None:
    data = bytearray(archive())
    struct.pack_into("<HH", data, len(data) - 22 + 8, count, count)
    directory = open_bytes(bytes(data), tmp_path)
    assert codes(directory) == ["bad-directory"]
    assert len(directory.order) == 2


def test_wrong_size(tmp_path: Path) -> None:
    data = bytearray(archive())
    data[len(data) - 22 + 12] += 1
    assert torch_reads(bytes(data), "data/0") == GOOD[1][1]
    directory = open_bytes(bytes(data), tmp_path)
    assert codes(directory) == ["bad-directory"]
    assert directory.read(directory.records["a/data/0"]) == GOOD[1][1]


def test_end_records_that_disagree(tmp_path: Path) -> None:
    data = bytearray(torch_bytes([1]))
    data[len(data) - 22 + 10] += 1
    assert codes(open_bytes(bytes(data), tmp_path)) == ["bad-directory"]


def test_directory_that_breaks_keeps_what_was_understood(tmp_path: Path) -> None:
    data = bytearray(archive())
    data[data.rfind(b"PK\1\2")] = 0
    directory = open_bytes(bytes(data), tmp_path)
    assert list(directory.records) == ["a/version"]
    assert codes(directory) == ["bad-directory"]


def patched(field: int, code: str, value: int, local: bool) -> bytes:
    """GOOD with a number changed in the last central header or the last local one."""
    data = bytearray(archive())
    start = data.rfind(b"PK\3\4" if local else b"PK\1\2")
    struct.pack_into(code, data, start + field, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("field", "code", "value", "what"),
    [
        (6, "<H", 8, "the flags"),
        (8, "<H", 8, "the compression"),
        (14, "<I", 7, "the checksum"),
        (18, "<I", 39, "the size"),
        (22, "<I", 39, "the size"),
        (30, "<B", ord("b"), "the name"),
    ],
)
def test_local_header_that_disagrees(
    tmp_path: Path, field: int, code: str, value: int, what: str
) -> None:
    data = patched(field, code, value, local=True)
    directory = open_bytes(data, tmp_path)
    assert [(p.code, p.details["what"]) for p in directory.problems] == [("header-mismatch", what)]
    assert torch_reads(data, "data/0") == GOOD[1][1]
    assert directory.read(directory.records["a/data/0"]) == GOOD[1][1]
    assert len(directory.problems) == 1


def test_local_header_that_is_not_there(tmp_path: Path) -> None:
    directory = open_bytes(patched(42, "<I", 3, local=False), tmp_path)
    assert "header-mismatch" in codes(directory)
    with pytest.raises(BrokenFile):
        directory.read(directory.records["a/data/0"])


def test_many_entries_are_checked_only_when_read(tmp_path: Path) -> None:
    data = patched(30, "<B", ord("b"), local=True)
    directory = open_bytes(data, tmp_path, Limits(checked_headers=1))
    assert directory.problems == []
    record = directory.records["a/data/0"]
    assert directory.data_offset(record) == directory.data_offset(record) == data.index(b"xxxx")
    assert codes(directory) == ["header-mismatch"]


def test_entry_beyond_the_file(tmp_path: Path) -> None:
    data = bytearray(patched(24, "<I", 5000, local=False))
    struct.pack_into("<I", data, data.rfind(b"PK\1\2") + 20, 5000)
    directory = open_bytes(bytes(data), tmp_path)
    assert "entry-bounds" in codes(directory)
    directory.read(directory.records["a/data/0"])
    assert "record-size" in codes(directory)


def test_overlapping_entries(tmp_path: Path) -> None:
    assert "overlapping-entry" in codes(open_bytes(patched(42, "<I", 0, local=False), tmp_path))
    data = bytearray(patched(24, "<I", 90, local=False))
    struct.pack_into("<I", data, data.rfind(b"PK\1\2") + 20, 90)
    assert "overlapping-entry" in codes(open_bytes(bytes(data), tmp_path))


def test_encryption(tmp_path: Path) -> None:
    data = patched(8, "<H", 1, local=False)
    directory = open_bytes(data, tmp_path)
    assert "encrypted-entry" in codes(directory)
    # Only marked so: what the bytes are their checksum says.
    assert directory.read(directory.records["a/data/0"]) == GOOD[1][1]
    directory = open_bytes(data.replace(b"xxxx", b"?z?!"), tmp_path)
    with pytest.raises(BrokenFile, match="encrypted"):
        directory.read(directory.records["a/data/0"])


def test_compression_is_a_problem_but_of_code(tmp_path: Path) -> None:
    data = archive([*GOOD, ("a/code/m.py", b"pass\n" * 99)], zipfile.ZIP_DEFLATED)
    directory = open_bytes(data, tmp_path)
    assert [(p.code, p.where) for p in directory.problems] == [
        ("compressed-entry", "a/version"),
        ("compressed-entry", "a/data/0"),
    ]
    assert directory.read(directory.records["a/code/m.py"]) == b"pass\n" * 99


def test_unknown_compression(tmp_path: Path) -> None:
    directory = open_bytes(archive(method=zipfile.ZIP_BZIP2), tmp_path)
    with pytest.raises(BrokenFile, match="method 12"):
        directory.read(directory.records["a/data/0"])


def test_deflated_bomb_stops_at_the_declared_size(tmp_path: Path) -> None:
    data = bytearray(archive([("a/x", bytes(1 << 24))], zipfile.ZIP_DEFLATED))
    start = data.rfind(b"PK\1\2")
    struct.pack_into("<I", data, start + 24, 100)
    directory = open_bytes(bytes(data), tmp_path)
    assert len(directory.read(directory.order[0])) == 101
    assert "record-size" in codes(directory)
    struct.pack_into("<I", data, start + 24, 1 << 30)
    directory = open_bytes(bytes(data), tmp_path)
    with pytest.raises(LimitExceeded):
        directory.read(directory.order[0])


def test_broken_deflate(tmp_path: Path) -> None:
    data = bytearray(archive(method=zipfile.ZIP_DEFLATED))
    directory = open_bytes(bytes(data), tmp_path)
    place = directory.data_offset(directory.records["a/data/0"])
    data[place] |= 0x07  # a reserved block type
    directory = open_bytes(bytes(data), tmp_path)
    directory.read(directory.records["a/data/0"])
    assert "broken-record" in codes(directory)


def test_checksum(tmp_path: Path) -> None:
    data = bytearray(archive())
    data[data.index(b"xxxx")] = ord("y")
    directory = open_bytes(bytes(data), tmp_path)
    assert directory.problems == []
    directory.read(directory.records["a/data/0"])
    assert codes(directory) == ["bad-checksum"]


@pytest.mark.parametrize("name", ["../x", "a/../x", "/x", "a//x", "a/./x", "C:/x", "..", "a/x/.."])
def test_names_that_are_no_plain_paths(tmp_path: Path, name: str) -> None:
    directory = open_bytes(archive([*GOOD, (name, b"")]), tmp_path)
    assert ("odd-name", name) in [(p.code, p.where) for p in directory.problems]


@pytest.mark.parametrize("piece", [b"\\", b"\0", b"\n", b"\x1b", b"\xff", b"\xc0"])
def test_names_with_odd_bytes(tmp_path: Path, piece: bytes) -> None:
    data = archive([*GOOD, ("a/pQr", b"text")]).replace(b"a/pQr", b"a/p" + piece + b"r")
    directory = open_bytes(data, tmp_path)
    assert codes(directory) == ["odd-name"]
    assert directory.problems[0].message.isprintable()
    assert directory.read(directory.order[-1]) == b"text"


def test_problems_of_a_kind_are_capped(tmp_path: Path) -> None:
    data = archive([("a/x", b"")] + [(f"b/{index}", b"") for index in range(50)])
    directory = open_bytes(data, tmp_path)
    assert codes(directory) == ["outside-root"] * 20 + ["more-of-a-kind"]
    assert directory.problems[-1].details["count"] == 30


def test_too_many_entries(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded):
        open_bytes(archive(), tmp_path, Limits(directory_entries=1))


def test_empty_archive(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="empty"):
        open_bytes(archive([]), tmp_path)


def test_zip64_sizes_in_the_entries(tmp_path: Path) -> None:
    data = bytearray(archive([("a/x", b"12345")]))
    start = data.rfind(b"PK\1\2")
    extra = struct.pack("<HHQQQ", 1, 24, 5, 5, 0)
    struct.pack_into("<II", data, start + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", data, start + 30, len(extra))
    struct.pack_into("<I", data, start + 42, 0xFFFFFFFF)
    end = data.rfind(b"PK\5\6")
    data[end:end] = extra
    struct.pack_into("<I", data, len(data) - 22 + 12, end + len(extra) - start)
    directory = open_bytes(bytes(data), tmp_path)
    assert directory.problems == []
    assert directory.read(directory.order[0]) == b"12345"
    struct.pack_into("<H", data, start + 30, 0)
    assert "bad-directory" in codes(open_bytes(bytes(data), tmp_path))


def test_recovers_entries_with_sizes_in_their_headers(tmp_path: Path) -> None:
    data = archive()
    path = tmp_path / "cut.zip"
    path.write_bytes(data[: data.index(b"PK\1\2")])
    directory = recover(source_of(path))
    assert list(directory.records) == ["a/version", "a/data/0"]
    assert directory.root == "a"
    assert codes(directory) == ["truncated"]
    assert directory.read(directory.records["a/data/0"]) == GOOD[1][1]


def test_recovers_entries_with_zip64_sizes(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, data in GOOD:
            with made.open(name, "w", force_zip64=True) as entry:
                entry.write(data)
    data = stream.getvalue()
    path = tmp_path / "cut.zip"
    path.write_bytes(data[: data.index(b"PK\1\2")])
    directory = recover(source_of(path))
    assert [(r.name, r.nbytes) for r in directory.order] == [(n, len(d)) for n, d in GOOD]
    assert directory.read(directory.records["a/data/0"]) == GOOD[1][1]


def test_recovery_is_not_fooled_by_marks_in_the_bytes(tmp_path: Path) -> None:
    text = "PK\x07\x08" + "PK\x03\x04" + "\0" * 40
    data = torch_bytes([text])
    path = tmp_path / "cut.pt"
    path.write_bytes(data[: data.rfind(b"PK\6\6") - 100])
    directory = recover(source_of(path))
    assert text.encode() in directory.read(directory.order[0])
    assert "archive/version" in directory.records


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"PK\3\4", True),
        (b"PK\3\4 and some text", True),
        (b"", False),
        (b"text PK\5\6" + bytes(18), False),
        (b"x" * 70_000, False),
        (archive(comment=b"c" * 3000), True),
    ],
)
def test_recognises_by_content(tmp_path: Path, data: bytes, expected: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert zip_directory.recognise(source_of(path)) is expected


def test_entries_that_are_long_only_together(tmp_path: Path) -> None:
    data = archive([(f"a/{index}", bytes(1000)) for index in range(40)], zipfile.ZIP_DEFLATED)
    directory = open_bytes(data, tmp_path, Limits(inflated_bytes=2000))
    together = directory.source.size + 4 * 2000
    for record in directory.order[: together // 1000]:
        directory.read(record)
    with pytest.raises(LimitExceeded, match="together"):
        directory.read(directory.order[-1])


def test_a_name_of_another_case_is_found_as_torch_finds_it(tmp_path: Path) -> None:
    data = archive([*GOOD, ("a/Data.PKL", b"text"), ("a/\xc9", b"e")])
    directory = open_bytes(data, tmp_path)
    assert torch_reads(data, "data.pkl") == b"text"
    for _ in range(2):
        found = directory.get("a/data.pkl")
        assert found is not None
        assert found.name == "a/Data.PKL"
    assert codes(directory) == ["other-case"]
    # Beyond ASCII torch tells them apart.
    assert directory.get("a/\xe9") is None


def test_deep_gaps_of_large_archives_are_found(tmp_path: Path) -> None:
    """More entries than headers are read: only what no header explains is sure to be hidden."""
    first, last = archive([("a/x", b"1")]), archive([("a/y", b"2")])
    hidden = bytes(200_000)
    head, tail = first.partition(b"PK\1\2")[0], last.partition(b"PK\1\2")[0]
    place = len(head) + len(hidden)
    directory = first[len(head) : first.rfind(b"PK\5\6")]
    moved = bytearray(last[len(tail) : last.rfind(b"PK\5\6")])
    struct.pack_into("<I", moved, 42, place)
    body = head + hidden + tail
    end = struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, 2, 2, len(directory + moved), len(body), 0)
    data = body + directory + bytes(moved) + end
    for limits in (DEFAULT, Limits(checked_headers=0)):
        assert codes(open_bytes(data, tmp_path, limits)) == ["hidden-bytes"]
