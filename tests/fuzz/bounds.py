"""What one file may cost a process: processor time, memory; and what tells of it.

Linux: the peak of the resident memory is set back for each file by ``/proc/self/clear_refs``;
elsewhere the peak of the process counts.
"""

from __future__ import annotations

import contextlib
import faulthandler
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

SECONDS = 5  # of processor time; other processes of a loaded machine do not count
MEGABYTES = 500  # resident, the interpreter and numpy included
_ADDRESS_SPACE = 6 << 30  # so that a finding does not take the machine with it
_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def bound_process() -> None:
    """Bound this process's memory, and let it die with a traceback when its time is up."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable(sys.stderr)
    # In C, so that what hangs in C is interrupted too; the default action ends the process.
    faulthandler.register(signal.SIGPROF, sys.stderr, all_threads=False, chain=True)


@contextlib.contextmanager
def timed(seconds: float = SECONDS) -> Iterator[None]:
    """End the process when the block takes more processor time than this."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def forget_peak() -> None:
    """Begin to measure the peak of memory anew, where that can be."""
    if _CLEAR.exists():
        _CLEAR.write_text("5")


def peak_megabytes() -> int:
    """Since `forget_peak`, or of the process."""
    peak = _stated("VmHWM")
    if peak is not None:
        return peak
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // scale


def resident_megabytes() -> int:
    """What the process takes now; 0 where that is not said."""
    return _stated("VmRSS") or 0


def _stated(name: str) -> int | None:
    if not _STATUS.exists():
        return None
    with _STATUS.open() as lines:
        return next((int(line.split()[1]) >> 10 for line in lines if line.startswith(name)), None)


def ended_by(returncode: int) -> str:
    """Words for the end of a process that should have gone on."""
    if returncode == -signal.SIGPROF:
        return f"hang: more than {SECONDS} s of processor time"
    if returncode < 0:
        return f"crash: {signal.Signals(-returncode).name}"
    return f"crash: exit status {returncode}"
