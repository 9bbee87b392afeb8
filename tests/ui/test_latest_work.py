"""One work at a time in the background; those before it end without being waited for."""

from __future__ import annotations

import threading

import pytest

from inspector_app.ui.latest_work import LatestWork


class Heard:
    """What a work told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def run(self, work: LatestWork, generator) -> None:
        work.run(
            generator,
            lambda value: self.told.append(("progress", value)),
            lambda value: self.told.append(("finished", value)),
            lambda error: self.told.append(("failed", error)),
        )


@pytest.fixture
def work(qtbot):
    made = LatestWork()
    yield made
    made.stop()


def test_progress_and_result(qtbot, work):
    heard = Heard()

    def steps():
        yield 1
        yield 2
        return 3

    heard.run(work, steps())
    assert work.running
    qtbot.waitUntil(lambda: not work.running)
    assert heard.told == [("progress", 1), ("progress", 2), ("finished", 3)]


def test_an_error_is_told(qtbot, work):
    heard = Heard()

    def steps():
        yield 1
        raise ValueError("broken")

    heard.run(work, steps())
    qtbot.waitUntil(lambda: not work.running)
    assert [what for what, _ in heard.told] == ["progress", "failed"]


def test_the_next_work_does_not_wait_for_the_one_before(qtbot, work):
    first, second = Heard(), Heard()
    let_go, closed = threading.Event(), []

    def long():
        try:
            yield 1
            let_go.wait(10)
            yield 2
        finally:
            closed.append(True)

    def short():
        yield 3

    first.run(work, long())
    qtbot.waitUntil(lambda: first.told == [("progress", 1)])
    second.run(work, short())
    qtbot.waitUntil(lambda: not work.running)
    assert second.told == [("progress", 3), ("finished", None)]
    assert first.told == [("progress", 1)]
    assert not closed
    let_go.set()
    work.stop()
    assert closed
    assert first.told == [("progress", 1)]
    assert not work._ending


def test_stopping_waits_for_the_thread(qtbot, work):
    closed = []

    def endless():
        try:
            while True:
                yield
        finally:
            closed.append(True)

    Heard().run(work, endless())
    qtbot.wait(30)
    work.stop()
    assert closed
    assert not work.running
