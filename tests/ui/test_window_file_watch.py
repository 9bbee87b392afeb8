from __future__ import annotations

import os

import pytest

from inspector_app.ui.file_watch import FileWatch, stamp

POLL_MS = 20


@pytest.fixture
def watch(qtbot):
    made = FileWatch(poll_ms=POLL_MS)
    yield made
    made.stop()


def test_a_changed_file_is_told_once(qtbot, watch, tmp_path):
    file = tmp_path / "a.pth"
    file.write_bytes(b"old")
    watch.watch({str(file): stamp(str(file))})
    heard = []
    watch.changed.connect(lambda: heard.append("changed"))
    file.write_bytes(b"newer")
    qtbot.waitUntil(lambda: bool(heard))
    qtbot.wait(5 * POLL_MS)
    assert heard == ["changed"]


def test_a_file_put_in_its_place_counts(qtbot, watch, tmp_path):
    file, other = tmp_path / "a.pth", tmp_path / "b.pth"
    file.write_bytes(b"same")
    other.write_bytes(b"same")
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    watch.watch({str(file): stamp(str(file))})
    with qtbot.waitSignal(watch.changed):
        os.replace(other, file)


def test_a_change_between_reading_and_watching_is_seen(qtbot, watch, tmp_path):
    file = tmp_path / "a.pth"
    file.write_bytes(b"old")
    before = stamp(str(file))
    file.write_bytes(b"newer")
    with qtbot.waitSignal(watch.changed):
        watch.watch({str(file): before})


def test_a_file_that_is_being_written_is_waited_for(qtbot, watch, tmp_path):
    file = tmp_path / "a.pth"
    file.write_bytes(b"old")
    watch.watch({str(file): stamp(str(file))})
    heard = []
    watch.changed.connect(lambda: heard.append(file.stat().st_size))
    for size in range(4, 14):
        file.write_bytes(b"x" * size)
        watch._look()  # a look between any two writes
    assert heard == []
    qtbot.waitUntil(lambda: bool(heard))
    assert heard == [13]


def test_a_file_that_goes_and_comes_back(qtbot, watch, tmp_path):
    file, away = tmp_path / "a.pth", tmp_path / "away.pth"
    file.write_bytes(b"bytes")
    watch.watch({str(file): stamp(str(file))})
    with qtbot.waitSignal(watch.vanished):
        os.rename(file, away)
    with qtbot.waitSignal(watch.restored):
        os.rename(away, file)


def test_nothing_is_told_after_stop(qtbot, watch, tmp_path):
    file = tmp_path / "a.pth"
    file.write_bytes(b"old")
    watch.watch({str(file): stamp(str(file))})
    watch.stop()
    heard = []
    watch.changed.connect(lambda: heard.append("changed"))
    file.write_bytes(b"newer")
    qtbot.wait(5 * POLL_MS)
    assert heard == []


def test_no_file_has_no_stamp(tmp_path):
    assert stamp(str(tmp_path / "none")) is None
    assert stamp("a\0b") is None
