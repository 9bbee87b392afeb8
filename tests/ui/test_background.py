"""Generators in a thread: order, errors, cancelling, and no thread that outlives its owner."""

from __future__ import annotations

import sys
import threading

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from inspector_app.ui.background import MOST_ARRIVED, Background


def counting(count: int):
    yield from range(count)
    return "done"


def test_everything_arrives_in_order_on_the_thread_that_started_it(qtbot: QtBot) -> None:
    seen: list[tuple[str, object, int]] = []
    stepped_in = []

    def work():
        stepped_in.append(threading.get_ident())
        return (yield from counting(500))

    background = Background(work())
    background.progress.connect(lambda n: seen.append(("progress", n, threading.get_ident())))
    background.finished.connect(lambda n: seen.append(("finished", n, threading.get_ident())))
    with qtbot.waitSignal(background.finished):
        background.start()
    here = threading.get_ident()
    expected = [("progress", n, here) for n in range(500)] + [("finished", "done", here)]
    assert seen == expected
    assert stepped_in[0] != here
    assert not background.running


def test_an_error_arrives_after_what_was_yielded_before_it(qtbot: QtBot) -> None:
    def work():
        yield 1
        raise ValueError("broken")

    background = Background(work())
    seen = []
    background.progress.connect(seen.append)
    with qtbot.waitSignal(background.failed) as failed:
        background.start()
    assert seen == [1]
    assert isinstance(failed.args[0], ValueError)


def test_cancel_closes_the_generator_in_its_thread_and_emits_nothing(qtbot: QtBot) -> None:
    closed_in = []
    seen = []

    def work():
        try:
            while True:
                yield 1
        finally:
            closed_in.append(threading.get_ident())

    background = Background(work())
    background.finished.connect(seen.append)
    background.failed.connect(seen.append)
    with qtbot.waitSignal(background.progress):
        background.start()
    background.cancel()
    background.wait()
    assert len(closed_in) == 1
    assert closed_in[0] != threading.get_ident()
    background.progress.connect(seen.append)
    qtbot.wait(50)
    assert seen == []


def test_a_listener_may_cancel_and_sees_no_more(qtbot: QtBot) -> None:
    background = Background(counting(100))
    seen = []

    def listen(number: int) -> None:
        seen.append(number)
        background.cancel()

    background.progress.connect(listen)
    background.start()
    background.wait()
    qtbot.waitUntil(lambda: bool(seen))
    qtbot.wait(40)
    assert seen == [0]


def test_destroying_the_parent_ends_the_thread(qtbot: QtBot) -> None:
    running = threading.Event()
    ended = threading.Event()

    def work():
        try:
            while True:
                running.set()
                yield
        finally:
            ended.set()

    parent = QObject()
    background = Background(work(), parent)
    background.start()
    assert running.wait(5)
    threads = [thread for thread in threading.enumerate() if thread.name == "background"]
    assert len(threads) == 1
    parent.deleteLater()
    qtbot.waitUntil(lambda: not threads[0].is_alive())
    assert ended.is_set()
    with pytest.raises(RuntimeError):
        background.start()


def test_a_cancelled_one_never_starts(qtbot: QtBot) -> None:
    background = Background(counting(3))
    background.cancel()
    background.start()
    assert not background.running


def test_the_work_waits_while_the_window_is_busy_but_not_for_ever(qtbot: QtBot) -> None:
    steps = []

    def work():
        while True:
            steps.append(1)
            yield

    background = Background(work())
    background._window_busy()
    background.start()
    # No event is handled here, so there is about a step for each wait of the thread.
    threading.Event().wait(0.2)
    assert 1 <= len(steps) < 100
    background.cancel()
    background.wait()


def test_what_nobody_takes_does_not_pile_up(qtbot: QtBot) -> None:
    steps = []

    def work():
        while True:
            steps.append(1)
            yield

    background = Background(work())
    background.start()
    threading.Event().wait(0.1)
    assert len(steps) == MOST_ARRIVED
    background.cancel()
    background.wait()


def test_threads_take_turns_quickly_only_while_there_is_work(qtbot: QtBot) -> None:
    usual = sys.getswitchinterval()
    seen = []

    def work():
        seen.append(sys.getswitchinterval())
        yield

    pair = [Background(work()), Background(work())]
    for background in pair:
        background.start()
    for background in pair:
        background.wait()
    assert max(seen) < usual
    assert sys.getswitchinterval() == usual
    qtbot.waitUntil(lambda: not any(background.running for background in pair))
