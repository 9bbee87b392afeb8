"""Counts the values of all tensors of a file while its tree is in use.

That is done by a process of its own: neither numpy nor numba comes into the window.
What is on the screen comes first, then the rest in the file's order. It can be cancelled,
and goes on where it was; figures that have come stay. Tensors that are the same view of the
same bytes are read once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.analysis.measuring_apart import (
    WAIT,
    FileStamp,
    detached,
    finding_figures,
    stamp_of,
)
from inspector_app.analysis.other_process import OtherProcess, ProcessEnded, end_all
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.ui.activity_bar import Activity
from inspector_app.ui.background import Background
from inspector_app.ui.tasks import Steps

if TYPE_CHECKING:
    from inspector_app.analysis.figures import Figures
    from inspector_app.ui.checkpoint_tree import CheckpointTree
    from inspector_app.ui.statistics_columns import StatisticsColumns

# Of what is counted without looking whether something else is wanted first.
BATCH_BYTES = 64 << 20
BATCH_TENSORS = 32
MOST_THREADS = 4
PAINT_MS = 100
_TENSORS_A_STEP = 500


class Counted(NamedTuple):
    """What has been counted since the last step, and of how many bytes in all."""

    found: list[tuple[TensorInfo, Figures]]
    done: int
    total: int


class StatisticsRun(QObject):
    """The figures of one tab's tensors.

    Attributes:
        figures: by `id` of the tensor.
        found: the same in the order in which they came, with their tensors.

    Signals:
        activity_changed: an `Activity`, or None when nothing is going on.
        changed: figures have come or gone; at most ten times a second.
        ended: it is complete, was cancelled or has failed.
        message: one sentence for the status bar.
    """

    activity_changed = Signal(object)
    changed = Signal()
    ended = Signal()
    message = Signal(str)

    def __init__(self, tree: CheckpointTree, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tree = tree
        self.figures: dict[int, Figures] = {}
        self.found: list[tuple[TensorInfo, Figures]] = []
        self._checkpoint: Checkpoint | None = None
        self._tensors: list[TensorInfo] = []
        self._columns: StatisticsColumns | None = None
        self._prepared = False
        self._queue: _Queue | None = None
        self._work: Background | Steps | None = None
        self._processes: list[OtherProcess] = []  # one at most
        # Not a method of this object, which is half gone when it is destroyed.
        self.destroyed.connect(partial(end_all, self._processes))
        self._paint = QTimer(self)
        self._paint.setSingleShot(True)
        self._paint.setInterval(PAINT_MS)
        self._paint.timeout.connect(self._show)

    @property
    def is_running(self) -> bool:
        """Something is being counted."""
        return self._work is not None

    @property
    def is_complete(self) -> bool:
        """Every tensor has its figures, or the reason why it has none."""
        return self._checkpoint is not None and len(self.figures) == len(self._tensors)

    def start(self, checkpoint: Checkpoint) -> None:
        """Show the columns and count, or go on with it. `checkpoint` is in the tree."""
        if self._checkpoint is not checkpoint:
            self.forget()
            self._checkpoint = checkpoint
            self._tensors = list(checkpoint.tensors)
        self._columns = self._tree.show_statistics()
        if self.is_running or self.is_complete:
            return
        self.activity_changed.emit(Activity(self._text()))
        if self._prepared:
            self._count()
            return
        steps = self._work = Steps(self._columns.preparing(self._tensors), self)
        steps.finished.connect(self._count)
        steps.failed.connect(self._failed)
        steps.start()

    def cancel(self) -> bool:
        """Stop; what was counted stays. False if nothing was going on."""
        if not self.is_running:
            return False
        self._end()
        self._show(complete=True)
        self.message.emit(
            self.tr("{done} of {all} tensors have statistics").format(
                done=count_text(len(self.figures)), all=count_text(len(self._tensors))
            )
        )
        self.ended.emit()
        return True

    def forget(self) -> None:
        """The file is shown no more: stop, and wait until nothing of it is in use."""
        work = self._work
        if work is not None:
            self._end()
            if isinstance(work, Background):
                work.wait()
        self._paint.stop()
        self._checkpoint = self._columns = self._queue = None
        self._prepared = False
        self._tensors = []
        self.figures = {}
        self.found = []
        self.changed.emit()

    def _text(self) -> str:
        return self.tr("Computing statistics")

    def _count(self) -> None:
        assert self._checkpoint is not None
        self._drop_work()
        self._prepared = True
        queue = self._queue = _Queue(self._tensors, frozenset(self.figures))
        queue.prefer(self._tree.tensors_on_screen())
        process = OtherProcess()
        self._processes.append(process)
        counting = _counting(process, stamp_of(self._checkpoint), queue)
        work = self._work = Background(counting, self)
        work.progress.connect(self._take)
        work.finished.connect(self._complete)
        work.failed.connect(self._failed)
        work.start()

    def _take(self, counted: Counted) -> None:
        assert self._columns is not None
        assert self._queue is not None
        for tensor, figures in counted.found:
            self.figures[id(tensor)] = figures
            self.found.append((tensor, figures))
            self._columns.add(tensor, figures)
        self.activity_changed.emit(Activity(self._text(), counted.done, counted.total))
        if counted.found and not self._paint.isActive():
            self._paint.start()
            self._queue.prefer(self._tree.tensors_on_screen())

    def _show(self, complete: bool = False) -> None:
        self._tree.statistics_changed(complete)
        self.changed.emit()

    def _complete(self) -> None:
        self._end()
        self._show(complete=True)
        broken = sum(found.nans + found.infinities > 0 for found in self.figures.values())
        text = self.tr("Statistics of {n} tensors").format(n=count_text(len(self._tensors)))
        if broken:
            text = self.tr("{text}; {n} with NaN or Inf").format(text=text, n=count_text(broken))
        self.message.emit(text)
        self.ended.emit()

    def _failed(self, error: Exception) -> None:
        self._end()
        self._show(complete=True)
        known = isinstance(error, (ProcessEnded, CheckpointError))
        cause = plain(str(error) if known else f"{type(error).__name__}: {error}", 200)
        self.message.emit(self.tr("The statistics broke off: {cause}").format(cause=cause))
        self.ended.emit()

    def _end(self) -> None:
        self._drop_work()
        self._paint.stop()
        self.activity_changed.emit(None)

    def _drop_work(self) -> None:
        end_all(self._processes)
        if self._work is not None:
            self._work.cancel()
            self._work.deleteLater()
            self._work = None


class _Queue:
    """Which tensors come next. The window's thread calls `prefer` alone.

    Args:
        tensors: all of them.
        known: `id` of those that need not be counted.
    """

    def __init__(self, tensors: Sequence[TensorInfo], known: frozenset[int]) -> None:
        self._tensors = tensors
        self._waiting: dict[int, TensorInfo] = {}
        self._same: dict[tuple[object, ...], list[TensorInfo]] = {}
        self._order = iter(tensors)
        self._known = known
        self._preferred: Sequence[TensorInfo] = ()
        self.done = self.total = 0

    def prefer(self, tensors: Sequence[TensorInfo]) -> None:
        """These come first from now on."""
        self._preferred = tensors

    def filling(self) -> Generator[None, None, None]:
        """Find out what is to be done; before anything else."""
        for number, tensor in enumerate(self._tensors):
            if number % _TENSORS_A_STEP == 0:
                yield
            view = _view(tensor)
            group = self._same.setdefault(view, []) if view is not None else []
            if not group and view is not None:
                nbytes = tensor.nbytes
                self.total += nbytes
                self.done += nbytes if id(tensor) in self._known else 0
            group.append(tensor)
            if id(tensor) not in self._known:
                self._waiting[id(tensor)] = tensor
        # Most views are of one tensor each.
        self._same = {view: group for view, group in self._same.items() if len(group) > 1}

    def batch(self) -> list[TensorInfo]:
        """What to count now; nothing once all is done."""
        found: list[TensorInfo] = []
        room = BATCH_BYTES
        # One iterator of the rest for all batches: who is past need not be looked at again.
        for tensor in chain(self._preferred, self._order):
            if id(tensor) not in self._waiting:
                continue
            view = _view(tensor)
            for member in self._same.get(view, (tensor,)) if view is not None else (tensor,):
                if self._waiting.pop(id(member), None) is not None:
                    found.append(member)
            room -= tensor.nbytes
            if room <= 0 or len(found) >= BATCH_TENSORS:
                break
        return found


def _view(tensor: TensorInfo) -> tuple[object, ...] | None:
    """What tensors with the same values in the same bytes agree in."""
    if tensor.storage is None:
        return None
    return id(tensor.storage), tensor.storage_offset, tensor.shape, tensor.dtype


def _counting(
    process: OtherProcess, file: FileStamp, queue: _Queue
) -> Generator[Counted, None, None]:
    """Let `process` count what `queue` has, batch after batch."""
    for _ in queue.filling():
        yield Counted([], 0, 0)
    threads = min(os.cpu_count() or 1, MOST_THREADS)
    before = queue.done
    asked: deque[tuple[int, list[TensorInfo]]] = deque()

    def ask() -> None:
        if batch := queue.batch():
            tensors = [detached(tensor) for tensor in batch]
            asked.append((process.ask(finding_figures, file, tensors, threads, WAIT), batch))

    # One ahead, so that the process never waits for the window.
    ask()
    ask()
    while asked:
        number, batch = asked.popleft()
        of_batch = 0
        for progress in process.answers(number):
            found = [(batch[place], figures) for place, figures in progress.found]
            yield Counted(found, min(before + progress.done, queue.total), queue.total)
            of_batch = progress.total
        before += of_batch
        ask()
    yield Counted([], queue.total, queue.total)
