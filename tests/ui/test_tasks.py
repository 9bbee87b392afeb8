from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import pytest
from PySide6.QtCore import QTimer

from inspector_app.ui.tasks import SLICE_SECONDS, Steps


@pytest.fixture
def heard():
    return {"progress": [], "finished": [], "failed": []}


def listen(steps: Steps, heard: dict) -> Steps:
    for name, values in heard.items():
        getattr(steps, name).connect(values.append)
    return steps


def busy(seconds: float) -> None:
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


def test_return_value_is_the_result(qtbot, heard):
    def work():
        yield "first"
        return 42

    steps = listen(Steps(work()), heard)
    steps.start()
    assert steps.running
    qtbot.waitUntil(lambda: not steps.running)
    assert heard["finished"] == [42]
    assert heard["failed"] == []


def test_events_run_between_slices(qtbot, heard):
    order = []

    def work():
        for number in range(6):
            busy(SLICE_SECONDS)
            order.append(number)
            yield number

    timer = QTimer()
    timer.timeout.connect(lambda: order.append("event"))
    timer.start(0)
    steps = listen(Steps(work()), heard)
    steps.start()
    qtbot.waitUntil(lambda: not steps.running)
    timer.stop()
    assert order.index("event") < order.index(5)
    assert heard["progress"] == [0, 1, 2, 3, 4, 5]


def test_short_steps_share_a_slice(qtbot, heard):
    def work():
        yield from range(1000)

    steps = listen(Steps(work()), heard)
    steps.start()
    qtbot.waitUntil(lambda: not steps.running)
    assert len(heard["progress"]) < 1000


def test_exception_is_reported_once(qtbot, heard):
    def work():
        yield 1
        raise ValueError("no")

    steps = listen(Steps(work()), heard)
    steps.start()
    qtbot.waitUntil(lambda: not steps.running)
    (error,) = heard["failed"]
    assert isinstance(error, ValueError)
    assert heard["finished"] == []


def test_cancel_closes_the_generator_and_says_nothing(qtbot, heard):
    closed = []

    def work() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    steps = listen(Steps(work()), heard)
    steps.start()
    qtbot.waitUntil(lambda: bool(heard["progress"]))
    steps.cancel()
    assert closed == [True]
    assert not steps.running
    count = len(heard["progress"])
    qtbot.wait(20)
    assert len(heard["progress"]) == count
    assert heard["finished"] == heard["failed"] == []


def test_cancel_before_start(qtbot, heard):
    def work():
        yield 1

    steps = listen(Steps(work()), heard)
    steps.cancel()
    steps.start()
    qtbot.wait(20)
    assert heard == {"progress": [], "finished": [], "failed": []}


def test_cancel_from_a_listener(qtbot, heard):
    def work():
        for number in range(10):
            busy(SLICE_SECONDS)
            yield number

    steps = listen(Steps(work()), heard)
    steps.progress.connect(lambda _: steps.cancel())
    steps.start()
    qtbot.waitUntil(lambda: not steps.running)
    qtbot.wait(20)
    assert heard["progress"] == [0]
    assert heard["finished"] == []


def test_cancel_from_within_the_work(qtbot, heard):
    def work():
        steps.cancel()
        yield 1
        raise AssertionError("resumed after it was cancelled")

    steps = listen(Steps(work()), heard)
    steps.start()
    qtbot.waitUntil(lambda: not steps.running)
    qtbot.wait(20)
    assert heard == {"progress": [], "finished": [], "failed": []}
