"""The preview of quantization, computed in a process of its own (`other_process`).

Imports neither numpy nor numba, so that a window may.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from inspector_app.analysis.quantization_figures import PreviewProgress
from inspector_app.checkpoint.model import Checkpoint, TensorInfo

if TYPE_CHECKING:
    from inspector_app.analysis.other_process import OtherProcess


class Histogram(NamedTuple):
    """Counts between edges: each bin has its lower edge, the last both.

    Attributes:
        edges: ascending, one more than `counts`.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class GridHistograms(NamedTuple):
    """One tensor under one scheme, over its finite values that do not overflow.

    Attributes:
        original, quantized: over the same edges.
        error: of x − y.
        levels: how many different values the tensor has after, as far as 65,536; or None
            where each channel or group has a grid of its own.
    """

    original: Histogram
    quantized: Histogram
    error: Histogram
    levels: int | None


def previewing_apart(
    process: OtherProcess,
    checkpoint: Checkpoint,
    tensors: Sequence[TensorInfo],
    schemes: Sequence[str] | None = None,
    threads: int = 2,
) -> Generator[PreviewProgress, None, None]:
    """`quantization_error.previewing` in `process`; `schemes` by name, None for all.

    What is finished carries `tensors` themselves.
    """
    raise NotImplementedError
    yield


def histograms_apart(
    process: OtherProcess, checkpoint: Checkpoint, tensor: TensorInfo, scheme: str, bins: int = 128
) -> Generator[float, None, GridHistograms]:
    """The histograms of one tensor, computed in `process`; yields the share that is done.

    Raises:
        CheckpointError: its values cannot be read.
    """
    raise NotImplementedError
    yield
