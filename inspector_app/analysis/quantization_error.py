"""What quantization would cost a checkpoint, found from its weights alone, without a model.

    with open_values(checkpoint) as reader:
        for progress in previewing(reader, checkpoint.tensors):
            show(progress.finished, progress.totals)

`previewing` is a plain generator as `stats.measuring` is: it yields how far it is and which
tensors are done; close it to cancel. Threads read blocks and run compiled loops that release
the GIL. The schemes are those of `quantization_schemes`, the figures are defined in
`quantization_figures`. A window, which never imports numba, asks another process
(`quantization_apart`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from inspector_app.analysis.block_work import Entry, Pass, Work, grouped
from inspector_app.analysis.quantization_figures import (
    Kept,
    PreviewProgress,
    RunningTotal,
    SchemeError,
    TensorPreview,
    scheme_error,
)
from inspector_app.analysis.quantization_kept import kept_reasons
from inspector_app.analysis.quantization_passes import (
    Ends,
    Errors,
    Found,
    first_pass,
    settings_of,
)
from inspector_app.analysis.quantization_rows import Rows
from inspector_app.analysis.quantization_schemes import SCHEMES, Scheme
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import ValueReader


def previewing(
    reader: ValueReader,
    tensors: Sequence[TensorInfo],
    *,
    schemes: Sequence[Scheme] = SCHEMES,
    kept: Sequence[str] | None = None,
    threads: int = 2,
    wait: float = 0.05,
) -> Generator[PreviewProgress, None, None]:
    """Find what each scheme costs each of `tensors`; the same view is read once.

    Args:
        reader: stays open; do not close it before the generator.
        kept: of each tensor why it is left as it is, or "" (`kept_reasons`); None to find out
            from the reader's checkpoint.
        threads: that read and compute.
        wait: seconds that a step may wait for something to report. 0 for a window.

    Closing the generator stops the threads, within a few milliseconds, and waits for them.
    """
    if kept is None:
        kept = kept_reasons(reader.checkpoint, tensors)
    totals = [RunningTotal(scheme.name) for scheme in schemes]
    work = _Previewing(reader, tensors, schemes, kept)
    for done, total, finished in work.driven(threads, "quantization", wait):
        for found in finished:
            repeated = found.number in work.repeated
            for each in totals:
                each.add(found, repeated)
        yield PreviewProgress(done, total, finished, tuple(each.total() for each in totals))


class _Weight(Entry):
    """A tensor that is being looked at."""

    def __init__(self, number: int, tensor: TensorInfo) -> None:
        super().__init__(number, tensor)
        self.rows: Rows | None = None
        self.schemes: list[Scheme] = []
        self.found: Found | None = None


class _Previewing(Work[_Weight, TensorPreview]):
    """Attributes:
    repeated: numbers of tensors that are the same view as one before.
    """

    def __init__(
        self,
        reader: ValueReader,
        tensors: Sequence[TensorInfo],
        schemes: Sequence[Scheme],
        kept: Sequence[str],
    ) -> None:
        settings_of(schemes)  # imports the kernels: a failure of that is told here, not in a thread
        entries = grouped(tensors, _Weight)
        super().__init__(reader, entries)
        self._schemes = schemes
        self._kept = kept
        self.repeated = {number for entry in entries for number, _ in entry.places[1:]}

    def first(self, entry: _Weight) -> Pass | None:
        # The same view may be a weight in the model and state in an optimizer.
        reasons = {self._kept[number] for number, _ in entry.places}
        entry.schemes = [
            scheme for scheme in self._schemes if any(takes(scheme, why) for why in reasons)
        ]
        if not entry.schemes:
            return None
        entry.rows = Rows(self._reader, entry.tensor)
        return first_pass(entry.rows, entry.schemes)

    def concluded(self, entry: _Weight, current: Pass, parts: list[Any]) -> Pass | None:
        found: Ends | Found = current.finish(parts)
        if isinstance(found, Found):
            entry.found = found
            return None
        assert entry.rows is not None
        return Errors(entry.rows, entry.schemes, found)

    def results(self, entry: _Weight) -> list[TensorPreview]:
        return [self._result(entry, number, tensor) for number, tensor in entry.places]

    def _result(self, entry: _Weight, number: int, tensor: TensorInfo) -> TensorPreview:
        why, found = self._kept[number], entry.found
        if entry.error is not None:
            why = why or Kept.UNREADABLE
            return TensorPreview(number, tensor, tensor.nbytes, why, {}, error=entry.error)
        if found is None:
            return TensorPreview(number, tensor, tensor.nbytes, why, {})
        shape = tensor.shape
        errors: dict[str, SchemeError] = {}
        for scheme in self._schemes:
            if takes(scheme, why):
                sums, nbytes = found.sums[scheme.name], scheme.nbytes(shape)
                errors[scheme.name] = scheme_error(scheme.name, sums, nbytes, scheme.pads(shape))
        return TensorPreview(
            number, tensor, tensor.nbytes, why, errors, found.nans, found.infinities
        )


def takes(scheme: Scheme, kept: str) -> bool:
    """Whether a scheme changes a tensor that is kept for this reason, or is a weight."""
    return not kept or (kept == Kept.NO_WEIGHT and not scheme.weights_only)
