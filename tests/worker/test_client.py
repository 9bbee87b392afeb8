"""Real worker processes: how they end, and what they leave."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest
from real_workers import answer, answers, choice_of, write_source

from inspector_app.worker.client import MAIN, Worker, events
from inspector_app.worker.export_run import ExportPlan, exporting
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import (
    Describe,
    Finished,
    Inputs,
    InputSpec,
    Log,
    Probe,
    Probed,
    Progress,
    TorchScriptOptions,
)

OLD_PYTHONS = [
    str(path)
    for path in sorted(Path.home().glob(".pyenv/versions/*/bin/python"))
    if re.match(r"(2|3\.[6-9])\.", path.parts[-3])
]
MAKES_NET = "import torch; Net = lambda: torch.nn.Linear(4, 3)"


@pytest.fixture
def request_of(tmp_path: Path, checkpoint: Path) -> Callable[[str], Describe]:
    """A request that imports the given code in the worker."""

    def make(code: str) -> Describe:
        return Describe(choice_of(checkpoint, write_source(tmp_path, code, "code.py")))

    return make


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No temporary folder, process or thread is left by any of these."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    threads = set(threading.enumerate())
    yield
    assert list(scratch.iterdir()) == []
    assert not [each for each in set(threading.enumerate()) - threads if each.is_alive()]


def test_a_probe_says_what_there_is() -> None:
    done = answers(Probe())
    assert [type(each) for each in done[:-1]] == [Progress] * (len(done) - 1)
    assert isinstance(done[-1], Finished)
    probed = done[-1].result
    assert isinstance(probed, Probed)
    assert os.path.samefile(probed.executable, sys.executable)
    assert probed.python == sys.version.split()[0]
    import torch

    assert probed.packages["torch"] == torch.__version__


@pytest.mark.parametrize("interpreter", ["/nowhere/python", "/etc/hostname", "/"])
def test_what_is_no_interpreter_is_said(interpreter: str) -> None:
    failed = answer(Probe(), interpreter)
    assert isinstance(failed, Failed)
    assert failed.code == "interpreter-not-found"
    assert interpreter in failed.cause


def test_a_bundle_starts_itself_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    failed = answer(Probe(), "")
    assert isinstance(failed, Failed)
    assert failed.code == "no-interpreter"
    assert isinstance(answer(Probe(), sys.executable), Finished)


def test_another_program_is_no_interpreter() -> None:
    failed = answer(Probe(), "/bin/true")
    assert isinstance(failed, Failed)
    assert failed.code == "worker-ended"
    assert "status 0" in failed.cause


def test_what_the_model_prints_is_log_and_comes_before_the_end(
    request_of: Callable[[str], Describe],
) -> None:
    done = answers(
        request_of(
            f"""
            import os, sys, subprocess, warnings
            print("printed")
            print("half a line", end="")
            os.write(1, b"\\nto descriptor 1\\n")
            subprocess.run(["echo", "a child's"])
            warnings.warn("warned")
            sys.stderr.write("10 %\\r20 %\\r" + "x" * 100_000 + "\\n" + chr(0xDCFF))
            assert sys.stdin.read() == ""
            {MAKES_NET}
            """
        )
    )
    texts = [each.text for each in done if isinstance(each, Log)]
    assert {"printed", "half a line", "to descriptor 1", "a child's", "10 %", "20 %"} <= set(texts)
    assert any("warned" in text for text in texts)
    assert max(map(len, texts)) == 8_000
    assert isinstance(done[-1], Finished)
    assert not any(isinstance(each, Finished) for each in done[:-1])


@pytest.mark.parametrize(
    ("code", "expected", "says"),
    [
        ("import ctypes; ctypes.string_at(0)", "worker-crashed", "SIGSEGV"),
        ("import os; os.abort()", "worker-crashed", "SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "worker-killed", "killed"),
        ("import os; print('bye'); os._exit(3)", "worker-ended", "status 3: bye"),
        ("import sys; sys.exit('no')", "worker-ended", "status no"),
    ],
    ids=lambda each: each if each.startswith("worker") else "",
)
def test_each_end_has_words(
    request_of: Callable[[str], Describe], code: str, expected: str, says: str
) -> None:
    failed = answer(request_of(code))
    assert isinstance(failed, Failed)
    assert failed.code == expected
    assert says in failed.cause
    if expected == "worker-crashed":
        assert "code.py" in failed.traceback  # faulthandler tells where


def test_a_worker_that_is_killed_from_outside_says_so(
    request_of: Callable[[str], Describe],
) -> None:
    worker = Worker(request_of("print('ready', flush=True)\nwhile True: pass"))
    last = None
    while not worker.ended:
        last = worker.poll(0.05)
        if isinstance(last, Log):
            os.kill(worker.pid, signal.SIGKILL)
    assert isinstance(last, Failed)
    assert last.code == "worker-killed"


def test_a_kill_for_want_of_memory_says_so(
    tmp_path: Path, request_of: Callable[[str], Describe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux counts such kills. The kill is real; the counter is the model's own, for a test
    cannot use up the memory of the machine."""
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("pgfault 12\noom_kill 3\n")
    monkeypatch.setattr("inspector_app.worker.client.VMSTAT", str(vmstat))
    counting = f"open({str(vmstat)!r}, 'w').write('pgfault 12\\noom_kill 4\\n')"
    failed = answer(request_of(f"import os\n{counting}\nos.kill(os.getpid(), 9)"))
    assert isinstance(failed, Failed)
    assert failed.code == "worker-out-of-memory"


def test_more_memory_than_there_is_says_so(request_of: Callable[[str], Describe]) -> None:
    failed = answer(request_of("import torch\nNet = lambda: torch.empty(1 << 60)"))
    assert isinstance(failed, Failed)
    assert failed.code == "out-of-memory"


SPAWNS = """
    import multiprocessing, os, subprocess, sys, time
    def note(name, pid):
        with open(os.path.join({folder!r}, name), "w") as file:
            file.write(str(pid))
    note("plain", subprocess.Popen(["sleep", "1000"]).pid)
    note("session", subprocess.Popen(["sleep", "1000"], start_new_session=True).pid)
    note("bare", subprocess.Popen(["sleep", "1000"], env={{}}).pid)
    if os.fork() == 0:  # a daemon: twice forked, in a session of its own
        os.setsid()
        if os.fork() == 0:
            note("daemon", os.getpid())
            time.sleep(1000)
        os._exit(0)
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
    worker.start()
    note("worker", worker.pid)
    open(os.path.join(os.environ["TMPDIR"], "left"), "w").close()
    while len(os.listdir({folder!r})) < 5: time.sleep(0.01)
    os.write(1, b"\\nready\\n")
"""


def living(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            found.append(pid)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="daemons are found through /proc")
@pytest.mark.parametrize("end", ["time.sleep(1000)", "os._exit(0)", MAKES_NET])
def test_a_model_that_starts_processes_leaves_none(
    tmp_path: Path, request_of: Callable[[str], Describe], end: str
) -> None:
    """After a cancel, a death and a good end alike."""
    folder = tmp_path / "pids"
    folder.mkdir()

    def pids() -> list[int]:
        return [int(path.read_text()) for path in folder.iterdir()]

    code = dedent(SPAWNS.format(folder=str(folder))) + end
    with closing(events(request_of(code), tick=0.05)) as steps:
        for event in steps:
            if "sleep" in end and isinstance(event, Log) and event.text == "ready":
                assert len(living(pids())) == 5
                break
    assert len(pids()) == 5
    assert living(pids()) == []


def test_a_cancel_is_quick_and_can_come_from_another_thread(
    request_of: Callable[[str], Describe],
) -> None:
    worker = Worker(
        request_of("import signal, time\nsignal.signal(15, signal.SIG_IGN)\nwhile 1: 0")
    )
    closer = threading.Timer(0.3, worker.close)
    closer.start()
    while not worker.ended:
        worker.poll(0.05)
    closer.join()
    assert not living([worker.pid])


def test_a_worker_dies_with_the_program_that_started_it(tmp_path: Path, checkpoint: Path) -> None:
    """And removes what the program can remove no more."""
    source = write_source(
        tmp_path, "print('ready', flush=True)\nimport time; time.sleep(1000)", "code.py"
    )
    target, scratch = tmp_path / "target", tmp_path / "other scratch"
    target.mkdir()
    scratch.mkdir()
    plan = ExportPlan(
        choice_of(checkpoint, source),
        Inputs((InputSpec("x", (1, 4)),)),
        TorchScriptOptions(),
        str(target / "a.pt"),
    )
    script = f"""
        import sys
        from inspector_app.worker.export_run import *
        from inspector_app.worker.protocol import *
        from inspector_app.worker.failures import Failed
        steps = exporting({plan!r})
        for event in steps:
            if isinstance(event, Log) and event.text == "ready":
                break
        print("ready", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, str(write_source(tmp_path, script, "parent.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "TMPDIR": str(scratch),
        },
    ) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "ready\n"
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text()
            workers = living(list(map(int, children.split())))
            assert len(workers) == 1
            assert list(target.iterdir())
            assert list(scratch.iterdir())
        finally:
            parent.kill()
    end = time.monotonic() + 20
    while living(workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not living(workers)
    assert list(target.iterdir()) == []
    assert list(scratch.iterdir()) == []


def test_a_cancelled_export_leaves_nothing_beside_the_target(
    tmp_path: Path, checkpoint: Path
) -> None:
    source = write_source(tmp_path, "print('ready', flush=True)\nwhile True: 0", "code.py")
    target = tmp_path / "target"
    target.mkdir()
    plan = ExportPlan(
        choice_of(checkpoint, source),
        Inputs((InputSpec("x", (1, 4)),)),
        TorchScriptOptions(),
        str(target / "a.pt"),
    )
    with closing(exporting(plan, tick=0.05)) as steps:
        for event in steps:
            if isinstance(event, Log) and event.text == "ready":
                break
        assert len(list(target.iterdir())) == 1
    assert list(target.iterdir()) == []


@pytest.mark.skipif(not OLD_PYTHONS, reason="there is no old Python here")
@pytest.mark.parametrize("interpreter", OLD_PYTHONS)
def test_a_python_that_is_too_old_says_so(interpreter: str) -> None:
    failed = answer(Probe(), interpreter)
    assert isinstance(failed, Failed)
    assert failed.code == "interpreter-too-old"


def test_what_a_worker_starts_with_is_python_of_any_age() -> None:
    for minor in (7, 8, 9):
        ast.parse(MAIN.read_text(), feature_version=(3, minor))
