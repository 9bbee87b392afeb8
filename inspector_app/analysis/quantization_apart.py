"""The preview of quantization, computed in a process of its own (`other_process`).

Imports neither numpy nor numba, so that a window may.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from inspector_app.analysis.block_work import view_key
from inspector_app.analysis.measuring_apart import (
    WAIT,
    FileStamp,
    detached,
    reader_of,
    stamp_of,
)
from inspector_app.analysis.quantization_figures import (
    PreviewProgress,
    RunningTotal,
    SchemeError,
    TensorPreview,
)
from inspector_app.analysis.quantization_kept import kept_reason
from inspector_app.analysis.quantization_schemes import SCHEMES, scheme_named
from inspector_app.analysis.tensor_roles import Roles
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, TensorInfo

if TYPE_CHECKING:
    from inspector_app.analysis.other_process import OtherProcess

# What is asked at once: pickling more would hold up a window that steps the generator.
_BATCH = 100
_AHEAD = 2


class Histogram(NamedTuple):
    """Counts between edges: each bin has its lower edge, the last both.

    Attributes:
        edges: ascending, one more than `counts`.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class GridHistograms(NamedTuple):
    """One tensor under one scheme, over its finite values that do not overflow.

    Attributes:
        original, quantized: over the same edges.
        error: of x − y.
        levels: how many different integers are used, where one grid is for all of the
            tensor; else None.
    """

    original: Histogram
    quantized: Histogram
    error: Histogram
    levels: int | None


class _Answer(NamedTuple):
    """A `TensorPreview` without the tensor."""

    number: int
    kept: str
    schemes: tuple[SchemeError, ...]
    nans: int
    infinities: int
    error: CheckpointError | None


class _Answers(NamedTuple):
    """How far the other process is with one batch; bytes, and what is finished."""

    done: int
    found: list[_Answer]


def previewing_apart(
    process: OtherProcess,
    checkpoint: Checkpoint,
    tensors: Sequence[TensorInfo],
    schemes: Sequence[str] | None = None,
    threads: int = 2,
) -> Generator[PreviewProgress, None, None]:
    """`quantization_error.previewing` in `process`; `schemes` by name, None for all.

    What is finished carries `tensors` themselves. Closing the generator stops the work.
    """
    names = tuple(schemes) if schemes is not None else tuple(each.name for each in SCHEMES)
    roles = Roles(checkpoint)
    totals = [RunningTotal(name) for name in names]
    seen: set[tuple[object, ...]] = set()
    total = sum(tensor.nbytes for tensor in tensors)
    before = 0
    asked: list[tuple[int, int]] = []
    following = 0

    def ask() -> None:
        nonlocal following
        batch = tensors[following : following + _BATCH]
        kept = [kept_reason(tensor, roles) for tensor in batch]
        parts = [detached(tensor) for tensor in batch]
        number = process.ask(
            _finding_previews, stamp_of(checkpoint), parts, names, kept, threads, WAIT
        )
        asked.append((following, number))
        following += len(batch)

    try:
        while asked or following < len(tensors):
            while following < len(tensors) and len(asked) < _AHEAD:
                ask()
            first, number = asked[0]
            for said in process.answers(number):
                finished = []
                for answer in said.found:
                    each = _with_tensor(answer, first, tensors)
                    finished.append(each)
                    key = view_key(each.tensor)
                    repeated = each.tensor.storage is not None and key in seen
                    seen.add(key)
                    for running in totals:
                        running.add(each, repeated)
                yield PreviewProgress(
                    min(before + said.done, total),
                    total,
                    tuple(finished),
                    tuple(running.total() for running in totals),
                )
            del asked[0]
            before += sum(tensor.nbytes for tensor in tensors[first : first + _BATCH])
    finally:
        for _, number in asked:
            process.drop(number)
    yield PreviewProgress(total, total, (), tuple(running.total() for running in totals))


def _with_tensor(answer: _Answer, first: int, tensors: Sequence[TensorInfo]) -> TensorPreview:
    number = first + answer.number
    tensor = tensors[number]
    return TensorPreview(
        number,
        tensor,
        tensor.nbytes,
        answer.kept,
        {error.scheme: error for error in answer.schemes},
        answer.nans,
        answer.infinities,
        answer.error,
    )


def _finding_previews(
    file: FileStamp,
    tensors: Sequence[TensorInfo],
    schemes: Sequence[str],
    kept: Sequence[str],
    threads: int,
    wait: float,
) -> Generator[_Answers, None, None]:
    """In the other process: preview one batch; yields about every `wait` seconds."""
    from inspector_app.analysis.quantization_error import previewing

    chosen = [scheme_named(name) for name in schemes]
    found: list[_Answer] = []
    yielded = perf_counter()
    done = 0
    for progress in previewing(
        reader_of(file), tensors, schemes=chosen, kept=kept, threads=threads, wait=wait
    ):
        done = progress.done
        for each in progress.finished:
            errors = tuple(each.schemes.values())
            found.append(
                _Answer(each.number, each.kept, errors, each.nans, each.infinities, each.error)
            )
        if perf_counter() - yielded >= wait:
            yield _Answers(done, found)
            found = []
            yielded = perf_counter()
    yield _Answers(done, found)


def histograms_apart(
    process: OtherProcess, checkpoint: Checkpoint, tensor: TensorInfo, scheme: str, bins: int = 128
) -> Generator[float, None, GridHistograms | None]:
    """The histograms of one tensor, computed in `process`; yields the share that is done.

    None is returned where `process` was ended meanwhile.

    Raises:
        CheckpointError: its values cannot be read.
    """
    number = process.ask(
        _finding_histograms, stamp_of(checkpoint), detached(tensor), scheme, bins, WAIT
    )
    found: GridHistograms | None = yield from process.answers(number)
    return found


def _finding_histograms(
    file: FileStamp, tensor: TensorInfo, scheme: str, bins: int, wait: float
) -> Generator[float, None, GridHistograms]:
    """In the other process: count; yields about every `wait` seconds."""
    from inspector_app.analysis.quantization_histograms import finding_histograms

    steps = finding_histograms(reader_of(file), tensor, scheme_named(scheme), bins)
    yielded = perf_counter()
    while True:
        try:
            share = next(steps)
        except StopIteration as end:
            found: GridHistograms = end.value
            return found
        if perf_counter() - yielded >= wait:
            yield share
            yielded = perf_counter()
