"""Compares the bytes of a comparison's pairs while its tree is in use.

What is on the screen comes first. It can be cancelled; what was compared stays.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from time import perf_counter
from typing import NamedTuple

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.analysis.comparison import Comparison, KeyPair
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui.activity_bar import Activity
from inspector_app.ui.background import Background
from inspector_app.ui.compare_reading import Plan

PAINT_MS = 250
# After so much work the window comes first; small tensors hold Python's lock for most of it.
BURST_SECONDS = 0.01


class Compared(NamedTuple):
    """What has been compared since the last step, and of how many bytes in all."""

    pairs: list[KeyPair]
    done: int
    total: int


class CompareRun(QObject):
    """The byte comparison of one tab.

    Signals:
        activity_changed: an `Activity`, or None when nothing is going on.
        compared: `KeyPair` objects that have been compared since the last time, as a list.
        ended: it is complete, was cancelled or has failed.
        message: one sentence for the status bar.
    """

    activity_changed = Signal(object)
    compared = Signal(object)
    ended = Signal()
    message = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work: Background | None = None
        self._done = self._all = 0
        self._told = 0.0
        self._new: list[KeyPair] = []
        self._hand_out = QTimer(self)
        self._hand_out.setSingleShot(True)
        self._hand_out.setInterval(PAINT_MS)
        self._hand_out.timeout.connect(self._tell)

    @property
    def is_running(self) -> bool:
        """Something is being compared."""
        return self._work is not None

    def start(self, comparison: Comparison, plan: Plan) -> None:
        """Compare the bytes of some pairs."""
        self.stop()
        self._done, self._all = 0, plan.pairs
        if not plan.pairs:
            self.ended.emit()
            return
        self.activity_changed.emit(Activity(self._text()))
        work = self._work = Background(_measuring(comparison, plan), self)
        work.progress.connect(self._further)
        work.finished.connect(self._complete)
        work.failed.connect(self._failed)
        work.start()

    def cancel(self) -> bool:
        """Stop; what was compared stays. False if nothing was going on."""
        if self._work is None:
            return False
        self._end()
        self.message.emit(
            self.tr("{done} of {all} tensors were compared").format(
                done=count_text(self._done), all=count_text(self._all)
            )
        )
        self.ended.emit()
        return True

    def stop(self) -> None:
        """Stop, and wait until nothing of the files is in use."""
        work = self._work
        if work is not None:
            work.cancel()
            work.wait()
            self._end()

    def _text(self) -> str:
        return self.tr("Comparing values")

    def _further(self, progress: Compared) -> None:
        self._take(progress.pairs)
        # A progress bar paints at once, and all that waits to be painted with it.
        if perf_counter() - self._told > PAINT_MS / 1_000:
            self._told = perf_counter()
            self.activity_changed.emit(Activity(self._text(), progress.done, progress.total))

    def _take(self, pairs: Sequence[KeyPair]) -> None:
        self._new += pairs
        self._done += len(pairs)
        if pairs and not self._hand_out.isActive():
            self._hand_out.start()

    def _tell(self) -> None:
        self._hand_out.stop()
        new, self._new = self._new, []
        if new:
            self.compared.emit(new)

    def _complete(self) -> None:
        self._end()
        self.message.emit(self.tr("{n} tensors were compared").format(n=count_text(self._done)))
        self.ended.emit()

    def _failed(self, error: Exception) -> None:
        self._end()
        cause = plain(f"{type(error).__name__}: {error}", 200)
        self.message.emit(self.tr("The comparison broke off: {cause}").format(cause=cause))
        self.ended.emit()

    def _end(self) -> None:
        if self._work is not None:
            self._work.cancel()
            self._work.deleteLater()
            self._work = None
        self._tell()
        self.activity_changed.emit(None)


def _measuring(comparison: Comparison, plan: Plan) -> Generator[Compared, None, None]:
    # Within the thread: importing the kernels takes a while.
    from inspector_app.analysis.content import measuring

    found: list[KeyPair] = []
    before = batch_bytes = 0
    reported = perf_counter()
    for batch in plan.batches:
        for measured in measuring(comparison, batch, wait=BURST_SECONDS):
            batch_bytes = measured.total
            if measured.pair is not None:
                found.append(measured.pair)
            if perf_counter() - reported > BURST_SECONDS:
                yield Compared(found, min(before + measured.done, plan.nbytes), plan.nbytes)
                found = []
                reported = perf_counter()
        before += batch_bytes
    yield Compared(found, plan.nbytes, plan.nbytes)
