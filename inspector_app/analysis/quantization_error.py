"""What quantization would cost a checkpoint, found from its weights alone, without a model.

    with open_values(checkpoint) as reader:
        for progress in previewing(reader, checkpoint.tensors):
            show(progress.finished, progress.totals)

`previewing` is a plain generator as `stats.measuring` is: it yields how far it is and which
tensors are done; close it to cancel. Threads read blocks and run compiled loops that release
the GIL. The schemes are those of `quantization_schemes`, the figures are defined in
`quantization_figures`. A window, which never imports numba, asks another process
(`quantization_apart`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from inspector_app.analysis.quantization_figures import PreviewProgress
from inspector_app.analysis.quantization_schemes import SCHEMES, Scheme
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import ValueReader


def previewing(
    reader: ValueReader,
    tensors: Sequence[TensorInfo],
    *,
    schemes: Sequence[Scheme] = SCHEMES,
    kept: Sequence[str] | None = None,
    threads: int = 2,
    wait: float = 0.05,
) -> Generator[PreviewProgress, None, None]:
    """Find what each scheme costs each of `tensors`; the same view is read once.

    Args:
        reader: stays open; do not close it before the generator.
        kept: of each tensor why it is left as it is, or "" (`kept_reasons`); None to find out
            from the reader's checkpoint.
        threads: that read and compute.
        wait: seconds that a step may wait for something to report. 0 for a window.

    Closing the generator stops the threads, within a few milliseconds, and waits for them.
    """
    raise NotImplementedError
    yield
