"""How the values of two checkpoints differ: every pair of tensors, byte for byte.

`measuring` is a plain generator, driven as that of `stats`: threads read blocks of both files
and run compiled loops that release the GIL; close it to cancel. What the figures mean is said
in `comparison`, what tensors of several parts come to in `pair_parts`.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from inspector_app.analysis.comparison import (
    EXACT,
    Comparison,
    Evidence,
    KeyPair,
    Status,
    Tolerance,
)
from inspector_app.analysis.pair_parts import outcome_of
from inspector_app.analysis.pair_work import Entry, Work
from inspector_app.checkpoint.values import open_values

__all__ = ["EXACT", "Measured", "Tolerance", "measuring"]

THREADS = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """A step of `measuring`.

    Attributes:
        pair: the pair that is done by now, changed in place; None where a step only tells
            how far the work is.
        done, total: bytes of both files; what several pairs share counts once.
    """

    pair: KeyPair | None
    done: int
    total: int


def measuring(
    comparison: Comparison,
    pairs: Iterable[KeyPair],
    tolerance: Tolerance = EXACT,
    metrics: bool = True,
    threads: int | None = None,
    *,
    wait: float = 0.05,
) -> Generator[Measured, None, None]:
    """Compare the bytes of `pairs`, each of which has a tensor in both files.

    Each pair is yielded once, in any order, when it is done; between the yields nothing of
    any pair changes. A pair gets

    - status ``identical`` (the same bits, or no element beyond the tolerance) or ``changed``,
      with the evidence ``bytes``. A mismatched one stays so. If only the dtypes differ it
      gets metrics, which then compare values instead of bits; if the shapes do, nothing.
    - metrics, if they are asked for and the bits differ; they may be undefined (see
      `pair_parts`), and then the pair is changed without any.
    - or error, and then its status stays what it was.

    Views that several pairs share (tied weights) are compared once.

    Args:
        tolerance: anything but `EXACT` makes metrics whether they are asked for or not.
        metrics: False stops reading a pair at its first difference.
        threads: that read and compare; 2 if None.
        wait: seconds that a step may wait for something to report. 0 for a window.

    Closing the generator stops the threads, within a few milliseconds, and waits for them.

    Raises:
        ValueError: a pair lacks one of its tensors.
    """
    with open_values(comparison.a) as a, open_values(comparison.b) as b:
        work = Work((a, b), list(pairs), tolerance, metrics)
        workers = [
            threading.Thread(target=work.run, name=f"comparison {number + 1}")
            for number in range(THREADS if threads is None else threads)
        ]
        for worker in workers:
            worker.start()
        try:
            over = False
            while not over:
                finished, done, over = work.news(wait)
                for entry in finished:
                    _conclude(entry, tolerance)
                    yield Measured(entry.pair, done, work.total)
                if not finished:
                    yield Measured(None, done, work.total)
        finally:
            work.stop()
            for worker in workers:
                worker.join()
            work.forget()


def _conclude(entry: Entry, tolerance: Tolerance) -> None:
    """Write into the pair what was found."""
    pair = entry.pair
    if pair.a is not None and pair.b is not None and pair.a.shape != pair.b.shape:
        return
    outcomes = [views.outcome for views in entry.views if views.outcome is not None]
    found = outcome_of(entry.a, entry.b, entry.parts, outcomes)
    pair.error = found.error
    if found.error:
        return
    pair.metrics = found.metrics
    if pair.status == Status.MISMATCHED:
        return
    alike = found.same if tolerance == EXACT else found.within
    pair.status = Status.IDENTICAL if alike else Status.CHANGED
    pair.evidence = Evidence.BYTES
    if found.same:
        pair.metrics = None
