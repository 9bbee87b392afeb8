"""Peak memory of one of both sides, in a process that does nothing else."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

from inspector_app.worker.protocol import Progress
from inspector_app.worker.quantize_protocol import Weigh, Weighed
from inspector_app.worker.torch_import import import_torch

_STATUS = Path("/proc/self/status")
_KIB = 1024
_IMPORTS = ("import torch", "from torch", "import onnxruntime")


def weighing(request: Weigh) -> Generator[Progress, None, Weighed]:
    """Load the model and run one batch; the most memory that took."""
    import_torch()
    if request.quantized is not None:
        # What importing libraries takes is no part of it.
        exec("\n".join(_library_imports(request.quantized.loading_code)), {})
    before = _resident("VmRSS") if _forget_peak() else None
    yield Progress("weigh the quantized model" if request.quantized else "weigh the original")
    yield from _loaded_and_run(request)
    peak = _resident("VmHWM")
    return Weighed(None if before is None or peak is None else max(peak - before, 0))


def _loaded_and_run(request: Weigh) -> Generator[Progress, None, None]:
    from inspector_app.worker.quantized_sides import original_side, quantized_side

    if request.quantized is None:
        side, samples = yield from original_side(request)
    else:
        side, samples = yield from quantized_side(request, request.quantized)
    numbers = samples.held_out[: samples.data.batch]
    side.run(samples.take(numbers))


def _library_imports(code: str) -> list[str]:
    return [line for line in code.splitlines() if line.startswith(_IMPORTS)]


def _forget_peak() -> bool:
    """Let the peak count from now on; whether the system could (proc(5), clear_refs)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident(name: str) -> int | None:
    """A figure of this process in bytes, where Linux tells it."""
    if sys.platform != "linux":
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * _KIB
    return None
