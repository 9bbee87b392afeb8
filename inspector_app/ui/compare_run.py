"""Compares the bytes of a comparison's pairs while its tree is in use.

That is done by a process of its own: neither numpy nor numba comes into the window, and
small tensors, which are Python's work, do not hold it up. What is on the screen comes first.
It can be cancelled; what was compared stays.
"""

from __future__ import annotations

import os
from collections import deque
from functools import partial
from time import perf_counter

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.analysis.comparison import EXACT, Comparison, KeyPair, Tolerance
from inspector_app.analysis.content_apart import Compared, PairOutcome, measuring_content_apart
from inspector_app.analysis.other_process import OtherProcess, ProcessEnded, end_all
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.text import plain
from inspector_app.ui.activity_bar import Activity
from inspector_app.ui.background import Background
from inspector_app.ui.compare_reading import Plan

PAINT_MS = 250
# Outcomes come many at once: so many are written before the window has its turn.
PAIRS_A_TIME = 50
SLICE_SECONDS = 0.006
MOST_THREADS = 4


class CompareRun(QObject):
    """The byte comparison of one tab.

    Signals:
        activity_changed: an `Activity`, or None when nothing is going on.
        compared: a list of `KeyPair` objects that have just been compared; a few.
        changed: all that have been since the last time, four times a second at most.
        ended: it is complete, was cancelled or has failed.
        message: one sentence for the status bar.
    """

    activity_changed = Signal(object)
    compared = Signal(object)
    changed = Signal(object)
    ended = Signal()
    message = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work: Background | None = None
        self._processes: list[OtherProcess] = []  # one at most
        # Not a method of this object, which is half gone when it is destroyed.
        self.destroyed.connect(partial(end_all, self._processes))
        self._done = self._all = 0
        self._told = 0.0
        self._arrived: deque[tuple[KeyPair, PairOutcome]] = deque()
        self._new: list[KeyPair] = []
        self._conclusion = ""  # what to say once all that has arrived is written
        self._write = QTimer(self)
        self._write.setInterval(0)
        self._write.timeout.connect(self._write_some)
        self._hand_out = QTimer(self)
        self._hand_out.setSingleShot(True)
        self._hand_out.setInterval(PAINT_MS)
        self._hand_out.timeout.connect(self._tell)

    @property
    def is_running(self) -> bool:
        """Something is being compared."""
        return self._work is not None

    def start(self, comparison: Comparison, plan: Plan, tolerance: Tolerance = EXACT) -> None:
        """Compare the bytes of some pairs."""
        self.stop()
        self._done, self._all = 0, len(plan.pairs)
        if not plan.pairs:
            self.ended.emit()
            return
        self.activity_changed.emit(Activity(self._text()))
        process = OtherProcess()
        self._processes.append(process)
        threads = min(os.cpu_count() or 1, MOST_THREADS)
        steps = measuring_content_apart(
            process, comparison, plan.pairs, *tolerance, threads=threads
        )
        work = self._work = Background(steps, self)
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
            self._end()
            work.wait()

    def _text(self) -> str:
        return self.tr("Comparing values")

    def _further(self, progress: Compared) -> None:
        self._arrived += progress.found
        if self._arrived and not self._write.isActive():
            self._write.start()
        # A progress bar paints at once, and all that waits to be painted with it.
        if perf_counter() - self._told > PAINT_MS / 1_000:
            self._told = perf_counter()
            self.activity_changed.emit(Activity(self._text(), progress.done, progress.total))

    def _write_some(self) -> None:
        """Write outcomes into their pairs, as many as a slice has time for."""
        end = perf_counter() + SLICE_SECONDS
        while self._arrived and perf_counter() < end:
            pairs = []
            for _ in range(min(PAIRS_A_TIME, len(self._arrived))):
                pair, outcome = self._arrived.popleft()
                outcome.write_into(pair)
                pairs.append(pair)
            self._done += len(pairs)
            self._new += pairs
            self.compared.emit(pairs)
        if not self._arrived:
            self._write.stop()
            if self._conclusion:
                self._conclude()
                return
        if not self._hand_out.isActive():
            self._hand_out.start()

    def _tell(self) -> None:
        self._hand_out.stop()
        new, self._new = self._new, []
        if new:
            self.changed.emit(new)

    def _complete(self) -> None:
        text = self.tr("{n} tensors were compared").format(n=count_text(self._all))
        self._conclude_with(text)

    def _failed(self, error: Exception) -> None:
        known = isinstance(error, (ProcessEnded, CheckpointError))
        cause = plain(str(error) if known else f"{type(error).__name__}: {error}", 200)
        self._conclude_with(self.tr("The comparison broke off: {cause}").format(cause=cause))

    def _conclude_with(self, text: str) -> None:
        self._conclusion = text
        if not self._arrived:
            self._conclude()

    def _conclude(self) -> None:
        text = self._conclusion
        self._end()
        self.message.emit(text)
        self.ended.emit()

    def _end(self) -> None:
        if self._work is not None:
            # Before the process ends, so that nothing is made of that.
            self._work.cancel()
            self._work.deleteLater()
            self._work = None
        end_all(self._processes)
        # Pairs whose outcomes were not written are as they were, and can be compared again.
        self._arrived.clear()
        self._write.stop()
        self._conclusion = ""
        self._tell()
        self.activity_changed.emit(None)
