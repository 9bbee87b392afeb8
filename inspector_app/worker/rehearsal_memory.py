"""Whether a rehearsal fits into memory: better said beforehand than killed by the system."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from inspector_app.checkpoint.model import Node, TensorInfo
from inspector_app.worker.rehearsal_protocol import Finding, ParameterSpec

_KIB = 1024
_SPARED = 256 * _KIB * _KIB  # for torch itself and what else runs
_MEMINFO = Path("/proc/meminfo")
_OWN_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
_LARGE_ITEM = 4  # bytes of an element of what a step makes in passing
_IN_PASSING = 3


def memory_finding(groups: Sequence[Sequence[ParameterSpec]], state: Node | None) -> Finding | None:
    """What stands against a rehearsal over these parameters, or None where it fits.

    Where the system does not tell what is available, nothing is held against it.
    """
    available = available_bytes()
    needed = needed_bytes(groups, state) + _SPARED
    if available is None or needed <= available:
        return None
    details = {"needed": _size(needed), "available": _size(available)}
    return Finding("too-little-memory", details)


def needed_bytes(groups: Sequence[Sequence[ParameterSpec]], state: Node | None) -> int:
    """Bytes of a copy of the parameters, their gradients, the state, and of a step's own.

    The state is mapped from the file, but a step writes into all of it.
    """
    specs = [spec for group in groups for spec in group]
    counts = [math.prod(spec.shape) for spec in specs]
    parameters = sum(
        count * _item_bytes(spec.dtype) for spec, count in zip(specs, counts, strict=True)
    )
    kept = sum(tensor.nbytes for tensor in _tensors(state))
    return 2 * parameters + kept + _IN_PASSING * _LARGE_ITEM * max(counts, default=0)


def available_bytes() -> int | None:
    """What can be had without swapping, within the limit of the control group; None if unknown."""
    if sys.platform == "win32":
        return _windows_available()
    found = [_linux_available(), _group_available()]
    return min((each for each in found if each is not None), default=None)


def _item_bytes(dtype: str) -> int:
    import torch

    found = getattr(torch, dtype, None)
    return found.itemsize if isinstance(found, torch.dtype) else _LARGE_ITEM


def _tensors(node: Node | None) -> Iterator[TensorInfo]:
    todo: list[Node] = [] if node is None else [node]
    while todo:
        each = todo.pop()
        if isinstance(each, TensorInfo):
            yield each
        todo += each.children


def _linux_available() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * _KIB
    return None


def _group_available() -> int | None:
    """Of the control group that this process is in (Linux, cgroup v2, memory controller)."""
    least: int | None = None
    for folder in _group_folders():
        try:
            most = (folder / "memory.max").read_text().strip()
            used = int((folder / "memory.current").read_text())
            counted = (folder / "memory.stat").read_text().splitlines()
        except (OSError, ValueError):
            continue
        if most.isdecimal():
            free = int(most) - used + _figure(counted, "inactive_file")
            least = free if least is None else min(least, free)
    return None if least is None else max(least, 0)


def _group_folders() -> Iterator[Path]:
    """Its own folder and those above it: each may have a limit."""
    try:
        lines = _OWN_GROUP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::"):
            inside = Path(line.removeprefix("0::").lstrip("/"))
            yield _GROUPS / inside
            yield from (_GROUPS / parent for parent in inside.parents)


def _figure(lines: Iterable[str], name: str) -> int:
    """A file page that nobody uses is given up before anything is killed."""
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)


def _windows_available() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "available", "page_total")),
            *((name, ctypes.c_uint64) for name in ("page_available", "virtual", "virtual_free")),
            ("extended", ctypes.c_uint64),
        )

    status = Status(length=ctypes.sizeof(Status))
    library = getattr(ctypes, "windll").kernel32  # noqa: B009  (absent elsewhere)
    if not library.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.available)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
