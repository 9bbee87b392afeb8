"""What is not looked at is said: no limit cuts anything in silence."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import bypass_pickles as bypass
import pytest
import torch

from inspector_app.analysis import safety_streams
from inspector_app.analysis.safety import examine
from inspector_app.analysis.safety_report import SafetyReport
from inspector_app.checkpoint import open_checkpoint, trace_values
from inspector_app.checkpoint.limits import DEFAULT, Limits

EVIL = bypass.INNER
SMALL = DEFAULT._replace(object_bytes=1 << 20, inflated_bytes=1 << 20)


def finished(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def examined(path: Path, content: bytes, limits: Limits = DEFAULT) -> SafetyReport:
    path.write_bytes(content)
    report: SafetyReport = finished(examine(open_checkpoint(path), limits, briefly=True))
    return report


def outside(report: SafetyReport) -> set[str]:
    return {each.name for each in report.outside}


def codes(report: SafetyReport) -> set[str]:
    return {each.code for each in report.anomalies}


def archive(entries: Mapping[str, bytes], deflated: bool = False) -> bytes:
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as target:
        for name, data in entries.items():
            target.writestr(name, data)
    return buffer.getvalue()


def padded(padding: bytes) -> bytes:
    return bypass.whole(padding + bypass.SHELL)


def in_bytes(*values: Any) -> bytes:
    """A torch file whose pickle has these values; those that are bytes as BINBYTES."""
    return bypass.in_zip(pickle.dumps(list(values), 3))


# --- padding before the first name


@pytest.mark.parametrize("nested", [False, True])
def test_what_stands_behind_cheap_padding_is_found(nested: bool, tmp_path: Path) -> None:
    """As much of it as used to fill the memory of objects that were long gone."""
    stream = padded(b"N0" * 2_200_000)
    if nested:
        content = in_bytes(archive({"i/x.pkl": stream}))
    else:
        content = bypass.in_zip(bypass.whole(bypass.WEIGHTS), {"archive/x.pkl": stream})
    report = examined(tmp_path / "x.pth", content)
    assert outside(report) == {"os.system"}
    assert "pickle-limit" not in codes(report)


@pytest.mark.parametrize("padding", [b"I1\n0", b"K\x010", b"N20" + b"0", b"(NN1", b"N", b"]N0"])
def test_a_stream_that_a_limit_ends_is_kept(padding: bytes, tmp_path: Path) -> None:
    for content in (
        in_bytes(padded(padding * 200_000)),
        in_bytes(archive({"i/x.pkl": padded(padding * 200_000)})),
    ):
        report = examined(tmp_path / "x.pth", content, SMALL)
        assert outside(report) == {"os.system"} or "pickle-limit" in codes(report)
        assert not report.clean


@pytest.mark.parametrize(
    "passed",
    [
        b"\x8b\xd0\x07\x00\x00" + b"\x01" * 2_000 + b"0",
        b"L" + b"1" * 3_000 + b"L\n0",
        b"V" + b"x" * 70_000 + b"\n0",
    ],
    ids=["LONG4", "LONG", "UNICODE"],
)
def test_a_value_over_a_limit_hides_nothing(passed: bytes, tmp_path: Path) -> None:
    more = {"archive/x.pkl": padded(passed) + bytes(70_000)}
    content = bypass.in_zip(bypass.whole(bypass.WEIGHTS), more)
    report = examined(tmp_path / "x.pth", content)
    assert [each.name for each in report.pickles] == ["archive/data.pkl", "archive/x.pkl"]
    assert "broken-pickle" in codes(report)
    # The same where nothing else would tell of it.
    report = examined(tmp_path / "y.pth", in_bytes(padded(passed) + bytes(70_000)))
    assert codes(report) == {"broken-pickle"}


def test_bytes_that_only_begin_like_a_pickle(tmp_path: Path) -> None:
    report = examined(tmp_path / "x.pth", in_bytes(b"\x80\x02\x80\x02xyz", b"\x80\x05", b"x"))
    assert not report.anomalies
    assert len(report.pickles) == 1


# --- how many there are


@pytest.mark.parametrize("number", [60, 1_000])
def test_pickles_behind_others(number: int, tmp_path: Path) -> None:
    content = bypass.in_zip(bypass.whole(bypass.WEIGHTS) + b"N." * number + EVIL)
    assert outside(examined(tmp_path / "x.pth", content)) == {"os.system"}


def test_more_pickles_behind_others_than_are_traced(tmp_path: Path) -> None:
    content = bypass.in_zip(bypass.whole(bypass.WEIGHTS) + b"N." * 2_100 + EVIL)
    report = examined(tmp_path / "x.pth", content)
    assert "pickle-count" in codes(report)


def test_a_pickle_behind_many_values_of_bytes(tmp_path: Path) -> None:
    values = [b"x%d" % number for number in range(11_000)]
    assert outside(examined(tmp_path / "x.pth", in_bytes(*values, EVIL))) == {"os.system"}


def test_a_pickle_behind_many_calls(tmp_path: Path) -> None:
    encode = bypass.name("_codecs", "encode") + b"q\x01"
    calls = b"".join(
        b"h\x01" + bypass.text(f"x{number}") + bypass.text("latin1") + b"\x86R"
        for number in range(1_100)
    )
    given = bypass.text(EVIL.decode("latin-1")) + bypass.text("latin1")
    stream = bypass.whole(b"](" + encode + calls + b"h\x01" + given + b"\x86Re")
    assert outside(examined(tmp_path / "x.pth", bypass.in_zip(stream))) == {"os.system"}


def test_more_pickles_in_bytes_than_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_values, "_MOST_BYTES", 20)
    values = [bypass.whole(b"K%c" % number) for number in range(30)]
    report = examined(tmp_path / "x.pth", in_bytes(*values, EVIL))
    (problem,) = report.anomalies
    assert (problem.code, problem.details) == ("pickle-count", {"limit": 20})


def test_one_value_that_many_calls_are_given_counts_once(tmp_path: Path) -> None:
    given = bypass.text("\x80\x02N." + "x" * 100_000) + b"\x85q\x00"
    call = bypass.name("somebody", "f") + b"h\x00R"
    content = bypass.in_zip(bypass.whole(b"](" + given + call * 3_000 + b"e"))
    report = examined(tmp_path / "x.pth", content)
    assert len(report.pickles) == 2


def test_pickles_that_are_too_deep_are_told_of(tmp_path: Path) -> None:
    stream = EVIL
    for _ in range(4):
        stream = pickle.dumps({"x": stream}, 3)
    report = examined(tmp_path / "x.pth", bypass.in_zip(stream))
    assert not report.outside
    assert codes(report) == {"limit"}
    for _ in range(3):
        stream = archive({"a/x.pkl": stream})
    report = examined(tmp_path / "y.pth", in_bytes(stream))
    assert codes(report) == {"limit"}


# --- one file as a whole


def test_many_archives_of_bombs(tmp_path: Path) -> None:
    """Small when packed: 400 archives of four pickles of 15 MiB would take hours."""
    inner = archive({f"i/{number}.pkl": bypass.whole(b"N0" * 400_000) for number in range(4)}, True)
    entries = {"a/data.pkl": bypass.whole(bypass.WEIGHTS), "a/version": b"3\n"}
    entries |= {f"a/x{number}.pkl": inner for number in range(100)}
    report = examined(tmp_path / "x.pth", archive(entries, True), SMALL)
    assert "limit" in codes(report)
    assert len(report.pickles) < 10
    assert report.weights_only.loads is True


@pytest.mark.parametrize("repeated", [b"I1\n0", b"(1", b"]N0", b"N"])
def test_many_pickles_cost_no_more_than_a_few(repeated: bytes, tmp_path: Path) -> None:
    stream = bypass.whole(repeated * 5_000 + b"N")
    others = {f"archive/{number}.pkl": stream for number in range(50)}
    content = bypass.in_zip(bypass.whole(bypass.WEIGHTS), others)
    report = examined(tmp_path / "x.pth", content, SMALL)
    assert "limit" in codes(report)
    assert len(report.pickles) < 30


def test_entries_over_each_other(tmp_path: Path) -> None:
    """One stored archive, which ten thousand entries of the directory stand for."""
    inner = archive({f"i/{number}": b"" for number in range(200)})
    entries = {"a/data.pkl": bypass.whole(bypass.WEIGHTS), "a/version": b"3\n"}
    whole = bytearray(archive({**entries, "a/x.pkl": inner}))
    end = whole.rindex(b"PK\x05\x06")
    last = whole[whole.rindex(b"PK\x01\x02", 0, end) : end]
    whole[end:end] = last * 10_000
    total = int.from_bytes(whole[-12:-10], "little") + 10_000
    size = int.from_bytes(whole[-10:-6], "little") + 10_000 * len(last)
    whole[-14:-6] = total.to_bytes(2, "little") * 2 + size.to_bytes(4, "little")
    report = examined(tmp_path / "x.pth", bytes(whole), SMALL)
    assert "limit" in codes(report)


def test_honest_files_are_traced_whole(tmp_path: Path) -> None:
    others = {f"archive/{number}.pkl": pickle.dumps({"x": number}) for number in range(1_000)}
    content = bypass.in_zip(bypass.whole(bypass.WEIGHTS), others)
    report = examined(tmp_path / "x.pth", content)
    assert len(report.pickles) == 1_001
    assert not {"limit", "pickle-limit", "pickle-count"} & codes(report)
    torch.save({f"w{number}": torch.ones(1) for number in range(2_000)}, tmp_path / "y.pth")
    # A hundredth of the memory, a fiftieth of a hundred thousand tensors.
    limits = DEFAULT._replace(object_bytes=DEFAULT.object_bytes // 100)
    assert finished(examine(open_checkpoint(tmp_path / "y.pth"), limits)).clean


def test_the_verdict_where_the_loaded_pickles_were_not_all_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bombs = [bypass.whole(b"I1\n0" * 9_000 + b"K%c" % number) for number in range(40)]
    main = pickle.dumps({"x": bombs}, 2)
    report = examined(tmp_path / "x.pth", bypass.legacy(main), SMALL)
    assert "limit" in codes(report)
    assert report.weights_only.loads is None
    monkeypatch.setattr(safety_streams, "_MOST_STREAMS", 3)
    report = examined(tmp_path / "y.pth", bypass.legacy(bypass.whole(b"}")))
    assert report.weights_only.loads is None
