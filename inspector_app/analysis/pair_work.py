"""The threads that compare pairs of tensors block by block, and what they share."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import nullcontext

from inspector_app.analysis.comparison import KeyPair, Tolerance
from inspector_app.analysis.pair_blocks import PairBuffers
from inspector_app.analysis.pair_parts import Part, PartOutcome, is_sequential, parts_of, view_of
from inspector_app.analysis.pair_passes import Comparing, Pass, PassPart
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import ValueReader, stored

# Smaller views are Python's work, nearly all of it: threads would only wake each other.
_SMALL = 1 << 19
_FEW = 4


class Entry:
    """A pair, and the views it consists of; None if the two have other parts."""

    def __init__(self, pair: KeyPair, a: TensorInfo, b: TensorInfo) -> None:
        self.pair, self.a, self.b = pair, a, b
        self.parts = parts_of(a, b)
        self.views: list[_Views] = []
        self.waiting = 0


class _Views:
    """A pair of views that is being compared, for all the pairs that have it.

    Attributes:
        left: the bytes that are not yet counted as done.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.entries: list[Entry] = []
        self.outcome: PartOutcome | None = None
        self.sequential = is_sequential(part.a) or is_sequential(part.b)
        self.nbytes = _nbytes(part.a) + _nbytes(part.b)
        self.left = float(self.nbytes)


class _Job:
    """One pass over one pair of views.

    Attributes:
        next: the block that is taken next.
        busy: how many blocks are being compared.
        parts: what each thread has found, by its number.
    """

    def __init__(self, views: _Views, current: Pass, share: float) -> None:
        self.views = views
        self.current = current
        self.share = share
        self.next = 0
        self.busy = 0
        self.parts: dict[int, PassPart] = {}

    @property
    def open(self) -> bool:
        return self.next < self.current.blocks and not self.current.over


class Work:
    """What the threads share. All of it changes under `_news` alone, but for a part that only
    its thread adds to."""

    def __init__(
        self,
        readers: tuple[ValueReader, ValueReader],
        pairs: list[KeyPair],
        tolerance: Tolerance,
        metrics: bool,
    ) -> None:
        self._readers = readers
        self._tolerance = tolerance
        self._metrics = metrics
        self._news = threading.Condition()
        self._interpreting = threading.Lock()
        self._ready: deque[_Job] = deque()
        self._finished: list[Entry] = []
        self._stopped = False
        self._failure: BaseException | None = None
        self._done = 0.0
        self._todo: deque[_Views] = deque()
        self._packed: deque[_Views] = deque()
        self._unpacking = False
        self._unfinished = 0
        self._views: dict[tuple[object, ...], _Views] = {}
        self._plan(pairs)
        self.total = sum(views.nbytes for views in (*self._todo, *self._packed))

    def _plan(self, pairs: list[KeyPair]) -> None:
        """List the views of the pairs, each once."""
        known = self._views
        for pair in pairs:
            if pair.a is None or pair.b is None:
                raise ValueError(f"{pair.key} is in one file only")
            entry = Entry(pair, pair.a, pair.b)
            if entry.parts is None or pair.a.shape != pair.b.shape:
                self._finished.append(entry)
                continue
            for part in entry.parts:
                key = view_of(part.a), view_of(part.b)
                views = known.get(key)
                if views is None:
                    views = known[key] = _Views(part)
                    self._todo.append(views)
                views.entries.append(entry)
                entry.views.append(views)
            entry.waiting = len(entry.views)
        self._unfinished = len(self._todo)
        # What is packed is read in its order and by one at a time: else it would be unpacked
        # from its beginning again and again.
        packed = [views for views in self._todo if views.sequential]
        self._todo = deque(views for views in self._todo if not views.sequential)
        self._packed.extend(sorted(packed, key=_place_in_file))

    # --- the generator's side

    def news(self, wait: float) -> tuple[list[Entry], int, bool]:
        """Pairs that were finished since the last call, bytes done, and whether that was all."""
        with self._news:
            if not self._finished and self._unfinished and wait:
                self._news.wait(wait)
            if self._failure is not None:
                raise self._failure
            finished, self._finished = self._finished, []
            over = not self._unfinished
            return finished, self.total if over else min(int(self._done), self.total), over

    def stop(self) -> None:
        with self._news:
            self._stopped = True
            self._news.notify_all()

    def forget(self) -> None:
        """Once no thread runs any more: let go of what entries and views hold each other by."""
        for views in self._views.values():
            views.entries.clear()

    # --- the threads' side

    def run(self) -> None:
        """Compare blocks until there are no more."""
        try:
            buffers = PairBuffers()
            while True:
                taken = self._take()
                if taken is None:
                    return
                job, number, views = taken
                if job is not None:
                    self._compare(job, number, buffers)
                elif views is not None:
                    small = views.nbytes <= _SMALL
                    with self._interpreting if small else nullcontext():
                        self._begin(views, buffers, small)
        except BaseException as error:
            with self._news:
                self._failure = error
                self._stopped = True
                self._news.notify_all()

    def _take(self) -> tuple[_Job | None, int, _Views | None] | None:
        """A block to compare, or views to begin with; None if there is nothing left to do."""
        with self._news:
            while True:
                if self._stopped or not self._unfinished:
                    return None
                while self._ready and not self._ready[0].open:
                    self._ready.popleft()
                for job in self._ready:
                    if job.open and not (job.views.sequential and job.busy):
                        number = job.next
                        job.next += 1
                        job.busy += 1
                        self._done += job.share
                        job.views.left -= job.share
                        return job, number, None
                if self._todo:
                    return None, 0, self._todo.popleft()
                if self._packed and not self._unpacking:
                    self._unpacking = True
                    return None, 0, self._packed.popleft()
                # Other threads' views may need another pass.
                self._news.wait()

    def _begin(self, views: _Views, buffers: PairBuffers, small: bool) -> None:
        """Offer the blocks of `views` to all threads, or compare them here if they are few."""
        try:
            current: Pass = Comparing(self._readers, views.part, self._tolerance, self._metrics)
        except CheckpointError as error:
            self._report(views, PartOutcome(False, False, error=str(error)))
            return
        job = _Job(views, current, views.nbytes / max(current.blocks, 1))
        if not small or current.blocks > _FEW:
            self._offer(job)
            return
        following: _Job | None = job
        while following is not None:
            job = following
            part = job.parts[0] = PassPart()
            try:
                for number in range(job.current.blocks):
                    if job.current.over:
                        break
                    job.current.take(part, number, buffers)
            except CheckpointError as error:
                views.outcome = PartOutcome(False, False, error=str(error))
            following = self._following(job)

    def _offer(self, job: _Job) -> None:
        if not job.current.blocks:
            following = self._following(job)
            assert following is None
            return
        with self._news:
            self._ready.append(job)
            self._news.notify_all()

    def _compare(self, job: _Job, number: int, buffers: PairBuffers) -> None:
        """Compare one block; after the last of them conclude the pass."""
        thread = threading.get_ident()
        part = job.parts.get(thread)
        if part is None:
            part = job.parts[thread] = PassPart()
        try:
            job.current.take(part, number, buffers)
        except CheckpointError as error:
            with self._news:
                job.views.outcome = PartOutcome(False, False, error=str(error))
                job.next = job.current.blocks
        with self._news:
            job.busy -= 1
            last = not job.busy and not job.open and not self._stopped
            if job.views.sequential:
                self._news.notify_all()
        if last:
            following = self._following(job)
            if following is not None:
                self._offer(following)

    def _following(self, job: _Job) -> _Job | None:
        """The next pass over the same views, if any; else they are reported."""
        views = job.views
        outcome = views.outcome
        if outcome is None:
            try:
                for reader, tensor in zip(self._readers, views.part[:2], strict=True):
                    reader.check_unchanged(tensor)
                found = job.current.finish(list(job.parts.values()))
            except CheckpointError as error:
                found = PartOutcome(False, False, error=str(error))
            if not isinstance(found, PartOutcome):
                return _Job(views, found, 0.0)
            outcome = found
        self._report(views, outcome)
        return None

    def _report(self, views: _Views, outcome: PartOutcome) -> None:
        with self._news:
            views.outcome = outcome
            self._unpacking = self._unpacking and not views.sequential
            for entry in views.entries:
                entry.waiting -= 1
                if not entry.waiting:
                    self._finished.append(entry)
            self._unfinished -= 1
            self._done += views.left
            self._news.notify_all()


def _place_in_file(views: _Views) -> tuple[str, int, int]:
    """Where A's bytes lie; B's usually have the same order."""
    held = stored(views.part.a)
    storage = held.storage
    record = storage.record if storage is not None else None
    key = storage.key if storage is not None else ""
    return key, record.header_offset if record is not None else 0, held.storage_offset or 0


def _nbytes(tensor: TensorInfo) -> int:
    """How much is to be read, for progress: a hostile file claims more than a float can say."""
    held = stored(tensor)
    return min(held.nbytes, held.storage.nbytes, 1 << 60) if held.storage is not None else 0
