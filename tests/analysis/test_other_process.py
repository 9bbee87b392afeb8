"""A generator in another process: order, errors, stopping, and no process that is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from inspector_app import cli
from inspector_app.analysis import other_process
from inspector_app.analysis.other_process import OtherProcess, ProcessEnded
from inspector_app.checkpoint.errors import BrokenFile


@pytest.fixture(autouse=True)
def _found_there(monkeypatch):
    """The functions below are a module of the other process as well."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def process():
    made = OtherProcess()
    yield made
    made.end()
    assert made._process is None or made._process.returncode is not None


def counting(count):
    yield from range(count)
    return f"{count} in {os.getpid()}"


def failing(error):
    yield 1
    raise error


def endless(path):
    try:
        while True:
            yield "turn"
            time.sleep(0.001)
    finally:
        Path(path).write_text("closed")


def printing():
    print("this is not for you")
    os.write(1, b"nor this")
    yield sys.stdout.fileno()


def dying(number):
    yield "still here"
    os.kill(os.getpid(), number)


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__("odd")


def odd():
    raise Odd(1, 2)
    yield


def taken(process, function, *arguments):
    """What is yielded, and what is returned."""
    steps = process.answers(process.ask(function, *arguments))
    found = []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as stop:
            return found, stop.value


def test_values_come_in_order_from_another_process(process):
    found, value = taken(process, counting, 500)
    assert found == list(range(500))
    count, _, identity = value.partition(" in ")
    assert count == "500"
    assert int(identity) != os.getpid()
    # The next question finds the same process.
    assert taken(process, counting, 0) == ([], f"0 in {identity}")


def test_what_is_asked_ahead_waits_its_turn(process):
    numbers = [process.ask(counting, count) for count in (3, 2, 1)]
    assert [list(process.answers(number)) for number in numbers] == [[0, 1, 2], [0, 1], [0]]


def test_an_error_arrives_as_it_was(process):
    error = BrokenFile("broken", "x.pth", "here", reason="why")
    steps = process.answers(process.ask(failing, error))
    assert next(steps) == 1
    with pytest.raises(BrokenFile) as caught:
        next(steps)
    assert str(caught.value) == str(error)
    with pytest.raises(RuntimeError, match="Odd: odd"):
        list(process.answers(process.ask(odd)))
    # Neither ends the process.
    assert taken(process, counting, 1)[0] == [0]


def test_closing_stops_the_function_and_the_next_question_is_answered(process, tmp_path):
    steps = process.answers(process.ask(endless, str(tmp_path / "said")))
    assert next(steps) == "turn"
    steps.close()
    assert taken(process, counting, 3)[0] == [0, 1, 2]
    assert (tmp_path / "said").read_text() == "closed"


def test_answers_are_kept_for_who_asked(process):
    first = process.ask(counting, 50)
    assert taken(process, counting, 2)[0] == [0, 1]
    assert list(process.answers(first)) == list(range(50))
    assert process._kept == {}


def test_prints_do_not_come_between_the_answers(process, capfd):
    assert len(taken(process, printing)[0]) == 1
    process.end()
    said = capfd.readouterr()
    assert said.out == ""
    assert "nor this" in said.err


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_process_that_dies_is_told(process):
    steps = process.answers(process.ask(dying, int(signal.SIGKILL)))
    assert next(steps) == "still here"
    with pytest.raises(ProcessEnded, match="SIGKILL"):
        next(steps)


def test_ending_it_ends_the_answers_without_an_error(process, tmp_path):
    steps = process.answers(process.ask(endless, str(tmp_path / "said")))
    next(steps)
    process.end()
    assert list(steps) == []
    assert list(process.answers(process.ask(counting, 3))) == []


def test_it_ends_with_the_process_that_started_it(tmp_path):
    script = (
        "import sys, test_other_process as t\n"
        "process = t.OtherProcess()\n"
        "steps = process.answers(process.ask(t.endless, sys.argv[1]))\n"
        "next(steps)\n"
        "print(process._process.pid, flush=True)\n"
        "import os; os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "said")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    identity = int(done.stdout)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            os.kill(identity, 0)
        except ProcessLookupError:
            return
        # Nobody but the system waits for it: it may be there, and be over.
        stat = Path(f"/proc/{identity}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail("it outlived its owner")


def test_the_current_folder_is_not_searched(process, tmp_path, monkeypatch):
    (tmp_path / "pickle.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    assert taken(process, counting, 1)[0] == [0]


def test_in_a_bundle_the_program_itself_is_started(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert other_process._command() == [sys.executable, other_process.ARGUMENT]
    assert other_process.ARGUMENT == cli.OTHER_PROCESS


def test_the_program_answers_questions(process, monkeypatch):
    command = [sys.executable, "-m", "inspector_app", other_process.ARGUMENT]
    monkeypatch.setattr(other_process, "_command", lambda: command)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    assert taken(process, counting, 2)[0] == [0, 1]


def test_threads_take_their_answers_one_after_the_other(process):
    found = {}

    def take(count):
        found[count] = taken(process, counting, count)[0]

    threads = [threading.Thread(target=take, args=(count,)) for count in range(100, 110)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {count: list(range(count)) for count in range(100, 110)}
