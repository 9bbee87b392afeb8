"""What a measured process says about itself. Imports next to nothing."""

from __future__ import annotations

import json
import time


def memory() -> dict[str, int]:
    """Bytes that this process holds: all (rss), its own alone (uss), and at most (peak)."""
    held = {"rss": 0, "uss": 0, "peak": 0}
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name == "Rss":
                held["rss"] += int(rest.split()[0]) * 1024
            elif name in ("Private_Clean", "Private_Dirty", "Private_Hugetlb"):
                held["uss"] += int(rest.split()[0]) * 1024
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                held["peak"] = int(line.split()[1]) * 1024
    return held


def print_painted(begin: float) -> None:
    """Print the seconds since `begin`, a `time.monotonic` of the process that started this one.

    The clock is the machine's, so that starting the interpreter counts too.
    """
    took = time.monotonic() - begin
    print(json.dumps({"seconds": took, **memory()}), flush=True)


def largest_child() -> int:
    """The most bytes that one of the processes held which this one started and waited for."""
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
