"""Threads that go over the blocks of tensors, and the generator that drives them.

What is done with the blocks is a `Pass`; which pass a tensor begins with, and what follows
from one, says a subclass of `Work`. Statistics (`stats`) and the preview of quantization
(`quantization_error`) are such work. The threads read into blocks of 1 MiB and run compiled
loops that release the GIL, so a window that steps the generator stays free.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import nullcontext
from typing import Any, Generic, Protocol, TypeVar

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import BlockBuffer, ValueReader, stored


class Pass(Protocol):
    """One way over the blocks of a tensor.

    Attributes:
        blocks: how many there are.
        interpreted: that is Python's work, nearly all of it: threads would only wake each
            other, so one at a time does it.
    """

    blocks: int
    interpreted: bool

    def new_part(self) -> Any:
        """What one thread counts in."""

    def take(self, part: Any, number: int, buffer: BlockBuffer) -> None:
        """Count block `number` in `part`."""

    def finish(self, parts: list[Any]) -> Any:
        """What the parts come to, or the pass that is needed next."""


class Entry:
    """A tensor that is gone over, and others that are the same view.

    Attributes:
        places: their numbers among those that were asked for, and themselves.
        error: why its values cannot be read, or None.
    """

    def __init__(self, number: int, tensor: TensorInfo) -> None:
        self.places = [(number, tensor)]
        self.error: CheckpointError | None = None

    @property
    def tensor(self) -> TensorInfo:
        return self.places[0][1]


AnEntry = TypeVar("AnEntry", bound=Entry)
AResult = TypeVar("AResult")


class _Job(Generic[AnEntry]):
    """One pass over one tensor.

    Attributes:
        next: the block that is taken next.
        busy: how many blocks are being counted.
        parts: what each thread has counted, by its name.
    """

    def __init__(self, entry: AnEntry, current: Pass, share: float) -> None:
        self.entry = entry
        self.current = current
        self.share = share
        self.next = 0
        self.busy = 0
        self.parts: dict[int, Any] = {}

    @property
    def done(self) -> bool:
        return self.next >= self.current.blocks and not self.busy


class Work(Generic[AnEntry, AResult]):
    """What the threads share. All of it changes under `_news` alone, but for a part that only
    its thread counts in.

    Args:
        reader: stays open for as long as the threads run.
        entries: what is gone over, in this order.
    """

    def __init__(self, reader: ValueReader, entries: Sequence[AnEntry]) -> None:
        self._reader = reader
        self._news = threading.Condition()
        self._interpreting = threading.Lock()
        self._todo = deque(entries)
        self._ready: deque[_Job[AnEntry]] = deque()
        self._unfinished = len(self._todo)
        self._stopped = False
        self._failure: BaseException | None = None
        self._finished: list[AResult] = []
        self._done = 0.0
        self._total = sum(_nbytes(entry) for entry in self._todo)

    # --- what a subclass says; the threads call it

    def first(self, entry: AnEntry) -> Pass | None:
        """The pass to begin with, or None if there is nothing to read.

        Raises:
            CheckpointError: the values cannot be read.
        """
        raise NotImplementedError

    def concluded(self, entry: AnEntry, current: Pass, parts: list[Any]) -> Pass | None:
        """Take over what a pass found; the pass that is needed next, if any.

        Raises:
            CheckpointError: the values cannot be read.
        """
        raise NotImplementedError

    def results(self, entry: AnEntry) -> list[AResult]:
        """What is reported of an entry that is done, or has an error."""
        raise NotImplementedError

    # --- the generator's side

    def driven(
        self, threads: int, name: str, wait: float
    ) -> Generator[tuple[int, int, tuple[AResult, ...]], None, None]:
        """Bytes that are done, bytes in all, and what was finished since the last step.

        Closing the generator stops the threads, within a few milliseconds, and waits for them.

        Args:
            name: of the threads.
            wait: seconds that a step may wait for something to report. 0 for a window.
        """
        workers = [
            threading.Thread(target=self._run, name=f"{name} {number + 1}")
            for number in range(threads)
        ]
        for worker in workers:
            worker.start()
        try:
            over = False
            while not over:
                progress, over = self._report_news(wait)
                yield progress
        finally:
            self._stop()
            for worker in workers:
                worker.join()

    def _report_news(self, wait: float) -> tuple[tuple[int, int, tuple[AResult, ...]], bool]:
        """What was finished since the last call, and whether that was all."""
        with self._news:
            if not self._finished and self._unfinished and wait:
                self._news.wait(wait)
            if self._failure is not None:
                raise self._failure
            finished, self._finished = tuple(self._finished), []
            over = not self._unfinished
            done = self._total if over else min(int(self._done), self._total)
            return (done, self._total, finished), over

    def _stop(self) -> None:
        with self._news:
            self._stopped = True
            self._news.notify_all()

    # --- the threads' side

    def _run(self) -> None:
        """Count blocks until there are no more."""
        try:
            buffer = BlockBuffer()
            while True:
                taken = self._take()
                if taken is None:
                    return
                job, number = taken
                with self._interpreting if job.current.interpreted else nullcontext():
                    self._count(job, number, buffer)
        except BaseException as error:
            with self._news:
                # Where the first thread has not enough memory to import something, the second
                # finds half of it.
                self._failure = self._failure or error
                self._stopped = True
                self._news.notify_all()

    def _count(self, job: _Job[AnEntry], number: int, buffer: BlockBuffer) -> None:
        """Count one block; after the last of them conclude the pass."""
        thread = threading.get_ident()
        try:
            part = job.parts.get(thread)
            if part is None:
                part = job.parts[thread] = job.current.new_part()
            job.current.take(part, number, buffer)
        except CheckpointError as error:
            self._fail(job, error)
        if self._is_last(job):
            self._finish(job)

    def _take(self) -> tuple[_Job[AnEntry], int] | None:
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

    def _begin(self, entry: AnEntry) -> None:
        """Make a tensor ready to be gone over."""
        try:
            current = self.first(entry)
        except CheckpointError as error:
            entry.error = error
            current = None
        if current is None:
            self._report(entry)
        else:
            self._start(entry, current, first=True)

    def _start(self, entry: AnEntry, current: Pass, first: bool = False) -> None:
        """Offer the blocks of a pass to all threads."""
        blocks = current.blocks
        job = _Job(entry, current, _nbytes(entry) / blocks if first and blocks else 0.0)
        if not blocks:
            self._finish(job)
            return
        with self._news:
            self._ready.append(job)
            self._news.notify_all()

    def _fail(self, job: _Job[AnEntry], error: CheckpointError) -> None:
        with self._news:
            job.entry.error = error
            job.next = job.current.blocks

    def _is_last(self, job: _Job[AnEntry]) -> bool:
        with self._news:
            job.busy -= 1
            return job.done and not self._stopped

    def _finish(self, job: _Job[AnEntry]) -> None:
        """Go on with the next pass, or report the tensor."""
        entry = job.entry
        if entry.error is None:
            try:
                self._reader.check_unchanged(entry.tensor)
                parts = list(job.parts.values()) or [job.current.new_part()]
                following = self.concluded(entry, job.current, parts)
            except CheckpointError as error:
                entry.error = error
            else:
                if following is not None:
                    self._start(entry, following)
                    return
        self._report(entry)

    def _report(self, entry: AnEntry) -> None:
        results = self.results(entry)
        with self._news:
            self._finished.extend(results)
            self._unfinished -= 1
            self._news.notify_all()


def grouped(
    tensors: Sequence[TensorInfo], entry_of: Callable[[int, TensorInfo], AnEntry]
) -> list[AnEntry]:
    """The tensors in order, those of the same view together at the place of the first."""
    uses = Counter(id(tensor.storage) for tensor in tensors if tensor.storage is not None)
    groups: dict[tuple[object, ...], AnEntry] = {}
    found = []
    for number, tensor in enumerate(tensors):
        if tensor.storage is not None and uses[id(tensor.storage)] > 1:
            key = view_key(tensor)
            known = groups.get(key)
            if known is not None:
                known.places.append((number, tensor))
                continue
            entry = groups[key] = entry_of(number, tensor)
        else:
            entry = entry_of(number, tensor)
        found.append(entry)
    return found


def view_key(tensor: TensorInfo) -> tuple[object, ...]:
    """Equal for tensors that are the same view of the same storage."""
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


def _nbytes(entry: Entry) -> int:
    tensor = stored(entry.tensor)
    return tensor.nbytes if tensor.storage is not None else 0
