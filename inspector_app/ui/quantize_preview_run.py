"""What quantization would cost each tensor of a file, computed while the dialog is in use.

By a process of its own, as the statistics are: neither numpy nor numba comes into the window.
It can be cancelled, and figures that have come stay.
"""

from __future__ import annotations

import math
from functools import partial
from time import perf_counter

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.analysis.other_process import OtherProcess, ProcessEnded, end_all
from inspector_app.analysis.quantization_apart import previewing_apart
from inspector_app.analysis.quantization_figures import (
    PreviewProgress,
    SchemeTotal,
    TensorPreview,
)
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui.latest_work import LatestWork

PAINT_MS = 100
REST_MS = 20_000
# Showing 100,000 rows anew takes a while; the window has other things to do as well.
_IDLE_SHARE = 12
ALWAYS = "fp16"  # whether something overflows is worth knowing whatever is chosen


class Gathered:
    """What is known under one scheme.

    Attributes:
        tensors: in the order in which their figures came.
        worst: the one that the scheme damages most, or None.
        overflowing: those in which values become infinite or NaN.
        broken: those that hold such values already.
        padded: how many have groups that do not divide their rows.
        total: what it comes to so far.
        complete: every tensor is among them.
    """

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self.tensors: list[TensorPreview] = []
        self.worst: TensorPreview | None = None
        self.overflowing: list[TensorPreview] = []
        self.broken: list[TensorPreview] = []
        self.padded = 0
        self.total: SchemeTotal | None = None
        self.complete = False
        self._most = -math.inf

    def take(self, found: TensorPreview) -> None:
        """Add a tensor."""
        self.tensors.append(found)
        if found.nans or found.infinities:
            self.broken.append(found)
        error = found.schemes.get(self._scheme)
        if error is None:
            return
        self.padded += error.padded
        if error.overflows:
            self.overflowing.append(found)
        if self.worst is None or error.damage > self._most:
            self.worst, self._most = found, error.damage


class PreviewRun(QObject):
    """The figures of one file under one scheme after the other.

    Attributes:
        checkpoint: whose tensors they are.
        done, total: bytes, of the scheme that is being computed.
        error: why it broke off, or "".

    Signals:
        changed: figures have come.
        ended: it is complete, was cancelled or has failed.
    """

    changed = Signal()
    ended = Signal()

    def __init__(self, checkpoint: Checkpoint, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.checkpoint = checkpoint
        self.done = self.total = 0
        self.error = ""
        self._tensors = list(checkpoint.tensors)
        self._gathered: dict[str, Gathered] = {}
        self._schemes: tuple[str, ...] = ()
        self._processes: list[OtherProcess] = []  # one at most
        self._work = LatestWork(self)
        # Not a method of this object, which is half gone when it is destroyed.
        self.destroyed.connect(partial(end_all, self._processes))
        self._paint = QTimer(self)
        self._paint.setSingleShot(True)
        self._paint.timeout.connect(self._show)
        self._pause = PAINT_MS
        # It is kept for a while: another scheme may be wanted, and starting takes a second.
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(lambda: end_all(self._processes))

    @property
    def running(self) -> bool:
        """Something is being computed."""
        return self._work.running

    @property
    def count(self) -> int:
        """Number of tensors."""
        return len(self._tensors)

    def gathered(self, scheme: str) -> Gathered:
        """What is known under a scheme."""
        return self._gathered.get(scheme) or Gathered(scheme)

    def is_complete(self, scheme: str) -> bool:
        """Every tensor's figures under it are known."""
        return self.gathered(scheme).complete

    def start(self, scheme: str) -> None:
        """Compute the figures of `scheme`, unless they are known or being computed."""
        if self.is_complete(scheme) or (self.running and scheme in self._schemes):
            return
        self._end()
        self._schemes = tuple(
            each for each in dict.fromkeys((scheme, ALWAYS)) if not self.is_complete(each)
        )
        for each in self._schemes:
            self._gathered[each] = Gathered(each)
        self.error = ""
        self.done = self.total = 0
        if not self._processes:
            self._processes.append(OtherProcess())
        self._rest.stop()
        self._work.run(
            previewing_apart(self._processes[0], self.checkpoint, self._tensors, self._schemes),
            self._further,
            lambda _end: self._finished(),
            self._failed,
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Stop; what was computed stays."""
        if self.running:
            self._end()
            end_all(self._processes)
            self._show()
            self.ended.emit()

    def stop(self) -> None:
        """End it, and return when nothing of the file is in use."""
        self._paint.stop()
        self._rest.stop()
        end_all(self._processes)
        self._work.stop()

    def _further(self, progress: PreviewProgress) -> None:
        self.done, self.total = progress.done, progress.total
        for scheme in self._schemes:
            gathered = self._gathered[scheme]
            for found in progress.finished:
                gathered.take(found)
        for total in progress.totals:
            self._gathered[total.scheme].total = total
        if not self._paint.isActive():
            self._paint.start(self._pause)

    def _show(self) -> None:
        self._paint.stop()
        began = perf_counter()
        self.changed.emit()
        took = round((perf_counter() - began) * 1_000)
        self._pause = max(PAINT_MS, _IDLE_SHARE * took)

    def _finished(self) -> None:
        for scheme in self._schemes:
            self._gathered[scheme].complete = True
        self._end()
        self._show()
        self.ended.emit()

    def _failed(self, error: Exception) -> None:
        end_all(self._processes)
        known = isinstance(error, (ProcessEnded, CheckpointError, OSError))
        self.error = plain(str(error) if known else f"{type(error).__name__}: {error}", 300)
        self._end()
        self._show()
        self.ended.emit()

    def _end(self) -> None:
        self._work.cancel()
        self._rest.start()
