"""Reading Python sources for the form: short ones at once, long ones by another process."""

from __future__ import annotations

import pytest

from inspector_app.ui.source_reading import AT_ONCE, SourceReading
from inspector_app.worker.failures import Failed
from inspector_app.worker.source_listing import Listing, listing

MODEL = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int = 8):
        super().__init__()
"""
FILLING = "x = [1, 2, 3]\n" * (AT_ONCE // 8)


@pytest.fixture
def reading(qtbot):
    made = SourceReading()
    yield made
    made.cancel()


def test_a_short_source_is_read_within_the_call(reading, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(MODEL)
    found = []
    reading.read.connect(found.append)
    reading.start(str(path), {"width": 4})
    assert found == [listing(str(path), {"width": 4})]
    assert not reading.running


@pytest.mark.parametrize(("source", "kind"), [(MODEL, Listing), (MODEL + "def (:\n", Failed)])
def test_a_long_one_is_read_apart_with_the_same_result(qtbot, reading, tmp_path, source, kind):
    path = tmp_path / "net.py"
    path.write_text(FILLING + source)
    with qtbot.waitSignal(reading.read, timeout=20_000) as read:
        reading.start(str(path), {"width": 4})
        assert reading.running
    assert not reading.running
    (found,) = read.args
    assert isinstance(found, kind)
    if isinstance(found, Listing):
        assert found == listing(str(path), {"width": 4})
        assert found.offers[0].arguments[0].suggested == 4
    else:
        assert found.code == "source-fails"
        assert f"line {FILLING.count(chr(10)) + MODEL.count(chr(10)) + 1}" in found.cause


def test_what_is_not_wanted_any_more_is_ended(qtbot, reading, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(FILLING * 20)
    with qtbot.assertNotEmitted(reading.read, wait=200):
        reading.start(str(path), {})
        (process,) = reading._processes
        qtbot.waitUntil(lambda: process._process is not None)
        reading.cancel()
    assert process._process.poll() is not None
    short = tmp_path / "other.py"
    short.write_text(MODEL)
    with qtbot.waitSignal(reading.read):
        reading.start(str(short), {})
