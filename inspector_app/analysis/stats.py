"""Statistics of a checkpoint's tensors, by threads that read and count block by block.

`measuring` is a plain generator: it yields how far it is and which tensors are done; close
it to cancel. The threads read into blocks of 1 MiB and run compiled loops that release the
GIL, so a window that steps the generator stays free. What the figures mean is said in
`distribution`, how they are found in `passes`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from inspector_app.analysis.block_work import Entry, Pass, Work, grouped
from inspector_app.analysis.distribution import Distribution
from inspector_app.analysis.passes import first_pass
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import Elements, ValueReader


@dataclass(frozen=True, slots=True)
class TensorStats:
    """What was found out about one tensor.

    Attributes:
        number: its place among those that were asked for.
        tensor: itself.
        values: its figures; those of a quantized tensor dequantized, of a sparse one of the
            values that it stores, of complex numbers of their magnitudes. None if it has
            no values that can be read.
        raw: of a quantized tensor the figures of its integers, else None.
        error: why there are none, or None.
    """

    number: int
    tensor: TensorInfo
    values: Distribution | None
    raw: Distribution | None = None
    error: CheckpointError | None = None


@dataclass(frozen=True, slots=True)
class StatsProgress:
    """How far the work is.

    Attributes:
        done, total: bytes of tensors; what two of them share counts once.
        finished: the tensors that were finished since the last step, in any order.
    """

    done: int
    total: int
    finished: tuple[TensorStats, ...]


def measuring(
    reader: ValueReader,
    tensors: Sequence[TensorInfo],
    *,
    threads: int = 2,
    exact: bool = False,
    wait: float = 0.05,
) -> Generator[StatsProgress, None, None]:
    """Find the figures of `tensors`; tensors that are the same view are read once.

    Args:
        reader: stays open; do not close it before the generator.
        threads: that read and count.
        exact: also the quantiles of large float32 tensors, which takes a second pass.
        wait: seconds that a step may wait for something to report. 0 for a window.

    Closing the generator stops the threads, within a few milliseconds, and waits for them.
    """
    work = _Measuring(reader, tensors, exact)
    for done, total, finished in work.driven(threads, "statistics", wait):
        yield StatsProgress(done, total, finished)


def measure(reader: ValueReader, tensor: TensorInfo, exact: bool = True) -> TensorStats:
    """The figures of one tensor."""
    steps = measuring(reader, [tensor], exact=exact)
    return next(found for progress in steps for found in progress.finished)


class _Tensor(Entry):
    """A tensor that is being measured."""

    def __init__(self, number: int, tensor: TensorInfo) -> None:
        super().__init__(number, tensor)
        self.values: Distribution | None = None
        self.raw: Distribution | None = None
        self.steps: deque[Elements] = deque()


class _Measuring(Work[_Tensor, TensorStats]):
    def __init__(self, reader: ValueReader, tensors: Sequence[TensorInfo], exact: bool) -> None:
        super().__init__(reader, grouped(tensors, _Tensor))
        self._exact = exact

    def first(self, entry: _Tensor) -> Pass:
        entry.steps.append(self._reader.elements(entry.tensor))
        if entry.steps[0].quantizer is not None:
            entry.steps.append(self._reader.elements(entry.tensor, raw=True))
        return first_pass(entry.steps[0], self._exact)

    def concluded(self, entry: _Tensor, current: Pass, parts: list[Any]) -> Pass | None:
        found: Distribution | Pass = current.finish(parts)
        if not isinstance(found, Distribution):
            return found
        entry.steps.popleft()
        if entry.values is None:
            entry.values = found
        else:
            entry.raw = found
        return first_pass(entry.steps[0], self._exact) if entry.steps else None

    def results(self, entry: _Tensor) -> list[TensorStats]:
        found = None if entry.error else entry.values
        raw = None if entry.error else entry.raw
        return [
            TensorStats(number, tensor, found, raw, entry.error) for number, tensor in entry.places
        ]
