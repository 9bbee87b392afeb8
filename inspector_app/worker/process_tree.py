"""Ending a worker with everything that it started.

The worker leads a process group, which dies at once. What left the group (daemons, other
sessions) is found on Linux by a mark in its environment and by its parents, for as long as
anything is found. Elsewhere the group, or on Windows the job, is all there is.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

MARK = "CHECKPOINT_INSPECTOR_WORKER"
SCRATCH = "inspector-worker-"  # how a worker's temporary folder is called
_ROUNDS = 50
_PAUSE_SECONDS = 0.01


def end_tree(leader: int, mark: str) -> None:
    """Kill the group of `leader`, its descendants and all that carry `mark`.

    Args:
        leader: process id of the worker, which must not have been waited for yet, so that
            no other process can have its number.
        mark: the value of the environment variable `MARK` that it was started with.
    """
    if sys.platform == "win32":
        return
    for _ in range(_ROUNDS):
        # First those that left: once the leader is dead, their parent is lost.
        others = _others(leader, mark) - {os.getpid()}
        for process in others:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
        if not others:
            return
        time.sleep(_PAUSE_SECONDS)


def end_own_tree(folders: Iterable[str]) -> None:
    """The same from within the worker, which dies of it, once nobody else can: `folders` are
    removed first."""
    own = os.getpid()
    for process in _others(own, os.environ.get(MARK, "")) - {own}:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    if os.getpgrp() == own:
        os.killpg(own, signal.SIGKILL)
    os._exit(1)


def _others(leader: int, mark: str) -> set[int]:
    """Living processes that descend from `leader` or carry `mark`, without `leader`."""
    parents: dict[int, int] = {}
    marked: set[int] = set()
    wanted = f"{MARK}={mark}".encode()
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return set()
    for number in numbers:
        try:
            with open(f"/proc/{number}/stat", "rb") as file:
                # The command's name may have spaces and brackets: what follows the last one.
                state, parent = file.read().rpartition(b")")[2].split()[:2]
            if state in (b"Z", b"X"):
                continue
            parents[number] = int(parent)
            with open(f"/proc/{number}/environ", "rb") as file:
                if mark and wanted in file.read().split(b"\0"):
                    marked.add(number)
        except (OSError, ValueError):
            continue
    family = {leader}
    while True:
        more = {each for each, parent in parents.items() if parent in family} - family
        if not more:
            break
        family |= more
    return (family | marked) - {leader}
