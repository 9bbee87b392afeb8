"""Statistics of a checkpoint's tensors, by threads that read and count block by block.

`measuring` is a plain generator: it yields how far it is and which tensors are done; close
it to cancel. The threads read into blocks of 1 MiB and run compiled loops that release the
GIL, so a window that steps the generator stays free. What the figures mean is said in
`distribution`, how they are found in `passes`.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from inspector_app.analysis.distribution import Distribution
from inspector_app.analysis.passes import Pass, first_pass
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import BlockBuffer, Elements, ValueReader, stored


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
    work = _Work(reader, tensors, exact)
    workers = [
        threading.Thread(target=work.run, name=f"statistics {number + 1}")
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    try:
        over = False
        while not over:
            progress, over = work.news(wait)
            yield progress
    finally:
        work.stop()
        for worker in workers:
            worker.join()


def measure(reader: ValueReader, tensor: TensorInfo, exact: bool = True) -> TensorStats:
    """The figures of one tensor."""
    steps = measuring(reader, [tensor], exact=exact)
    return next(found for progress in steps for found in progress.finished)


class _Job:
    """One pass over one tensor.

    Attributes:
        next: the block that is taken next.
        busy: how many blocks are being counted.
        parts: what each thread has counted, by its name.
    """

    def __init__(self, tensor: _Tensor, current: Pass, share: float) -> None:
        self.tensor = tensor
        self.current = current
        self.share = share
        self.next = 0
        self.busy = 0
        self.parts: dict[int, Any] = {}

    @property
    def done(self) -> bool:
        return self.next >= self.current.blocks and not self.busy


class _Tensor:
    """A tensor that is being measured, and others that are the same view."""

    def __init__(self, number: int, tensor: TensorInfo) -> None:
        self.places = [(number, tensor)]
        self.values: Distribution | None = None
        self.raw: Distribution | None = None
        self.error: CheckpointError | None = None
        self.steps: deque[Elements] = deque()

    def results(self) -> list[TensorStats]:
        found = None if self.error else self.values
        raw = None if self.error else self.raw
        return [
            TensorStats(number, tensor, found, raw, self.error) for number, tensor in self.places
        ]


class _Work:
    """What the threads share. All of it changes under `_news` alone, but for a part that
    only its thread counts in."""

    def __init__(self, reader: ValueReader, tensors: Sequence[TensorInfo], exact: bool) -> None:
        self._reader = reader
        self._exact = exact
        self._news = threading.Condition()
        self._todo = deque(_grouped(tensors))
        self._ready: deque[_Job] = deque()
        self._unfinished = len(self._todo)
        self._stopped = False
        self._failure: BaseException | None = None
        self._finished: list[TensorStats] = []
        self._done = 0.0
        self._total = sum(_nbytes(entry) for entry in self._todo)

    # --- the generator's side

    def news(self, wait: float) -> tuple[StatsProgress, bool]:
        """What was finished since the last call, and whether that was all."""
        with self._news:
            if not self._finished and self._unfinished and wait:
                self._news.wait(wait)
            if self._failure is not None:
                raise self._failure
            finished, self._finished = tuple(self._finished), []
            over = not self._unfinished
            done = self._total if over else min(int(self._done), self._total)
            return StatsProgress(done, self._total, finished), over

    def stop(self) -> None:
        with self._news:
            self._stopped = True
            self._news.notify_all()

    # --- the threads' side

    def run(self) -> None:
        """Count blocks until there are no more."""
        try:
            buffer = BlockBuffer()
            while True:
                taken = self._take()
                if taken is None:
                    return
                job, number = taken
                try:
                    part = job.parts.get(threading.get_ident())
                    if part is None:
                        part = job.parts[threading.get_ident()] = job.current.new_part()
                    job.current.take(part, number, buffer)
                except CheckpointError as error:
                    self._fail(job, error)
                if self._is_last(job):
                    self._finish(job)
        except BaseException as error:
            with self._news:
                self._failure = error
                self._stopped = True
                self._news.notify_all()

    def _take(self) -> tuple[_Job, int] | None:
        """A block to count; None if there is nothing left to do."""
        while True:
            with self._news:
                if self._stopped or not self._unfinished:
                    return None
                while self._ready and self._ready[0].next >= self._ready[0].current.blocks:
                    self._ready.popleft()
                if self._ready:
                    job = self._ready[0]
                    number = job.next
                    job.next += 1
                    job.busy += 1
                    self._done += job.share
                    return job, number
                entry = self._todo.popleft() if self._todo else None
                if entry is None:
                    # The other threads' tensors may need another pass.
                    self._news.wait()
                    continue
            self._begin(entry)

    def _begin(self, entry: _Tensor) -> None:
        """Make a tensor ready to be counted."""
        tensor = entry.places[0][1]
        try:
            entry.steps.append(self._reader.elements(tensor))
            if entry.steps[0].quantizer is not None:
                entry.steps.append(self._reader.elements(tensor, raw=True))
        except CheckpointError as error:
            entry.error = error
            self._report(entry)
            return
        self._start(entry, first_pass(entry.steps[0], self._exact), first=True)

    def _start(self, entry: _Tensor, current: Pass, first: bool = False) -> None:
        """Offer the blocks of a pass to all threads."""
        blocks = current.blocks
        job = _Job(entry, current, _nbytes(entry) / blocks if first and blocks else 0.0)
        if not blocks:
            self._finish(job)
            return
        with self._news:
            self._ready.append(job)
            self._news.notify_all()

    def _fail(self, job: _Job, error: CheckpointError) -> None:
        with self._news:
            job.tensor.error = error
            job.next = job.current.blocks

    def _is_last(self, job: _Job) -> bool:
        with self._news:
            job.busy -= 1
            return job.done and not self._stopped

    def _finish(self, job: _Job) -> None:
        """Go on with the next pass, or report the tensor."""
        entry = job.tensor
        if entry.error is None:
            parts = list(job.parts.values()) or [job.current.new_part()]
            found = job.current.finish(parts)
            if not isinstance(found, Distribution):
                self._start(entry, found)
                return
            entry.steps.popleft()
            if entry.values is None:
                entry.values = found
            else:
                entry.raw = found
            if entry.steps:
                self._start(entry, first_pass(entry.steps[0], self._exact))
                return
            try:
                self._reader.check_unchanged(entry.places[0][1])
            except CheckpointError as error:
                entry.error = error
        self._report(entry)

    def _report(self, entry: _Tensor) -> None:
        with self._news:
            self._finished.extend(entry.results())
            self._unfinished -= 1
            self._news.notify_all()


def _grouped(tensors: Sequence[TensorInfo]) -> list[_Tensor]:
    """The tensors in order, those of the same view together at the place of the first."""
    uses = Counter(id(tensor.storage) for tensor in tensors if tensor.storage is not None)
    groups: dict[tuple[object, ...], _Tensor] = {}
    found = []
    for number, tensor in enumerate(tensors):
        if tensor.storage is not None and uses[id(tensor.storage)] > 1:
            key = _view(tensor)
            known = groups.get(key)
            if known is not None:
                known.places.append((number, tensor))
                continue
            entry = groups[key] = _Tensor(number, tensor)
        else:
            entry = _Tensor(number, tensor)
        found.append(entry)
    return found


def _view(tensor: TensorInfo) -> tuple[object, ...]:
    details = tensor.details
    return (
        id(tensor.storage),
        tensor.dtype,
        tensor.storage_offset,
        tensor.shape,
        tensor.stride,
        details.neg,
        details.big_endian,
        # By channel, scales are tensors of each: such a tensor is like none but itself.
        id(tensor) if details.quantizer is not None else None,
    )


def _nbytes(entry: _Tensor) -> int:
    tensor = stored(entry.places[0][1])
    return tensor.nbytes if tensor.storage is not None else 0
