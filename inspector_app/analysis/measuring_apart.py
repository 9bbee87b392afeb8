"""The statistics of tensors, computed in a process of its own (`other_process`).

Imports neither numpy nor numba, so that a window may.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from inspector_app.checkpoint.model import Checkpoint, Kind, Node, TensorInfo

if TYPE_CHECKING:
    from inspector_app.analysis.figures import Figures
    from inspector_app.analysis.other_process import OtherProcess
    from inspector_app.analysis.stats import StatsProgress
    from inspector_app.checkpoint.values import ValueReader

WAIT = 0.03  # seconds between two reports
# Within these the values of sparse, nested and quantized tensors lie, scales included.
_INNER_LEVELS = 4
_INNER_TENSORS = 8


class FileStamp(NamedTuple):
    """Which file the tensors are of: its `path` and its `modified_ns`, as a `Checkpoint` has."""

    path: str
    modified_ns: int


class FiguresFound(NamedTuple):
    """How far the work is.

    Attributes:
        done, total: bytes of tensors.
        found: places among those that were asked for, with their figures.
    """

    done: int
    total: int
    found: list[tuple[int, Figures]]


def stamp_of(checkpoint: Checkpoint) -> FileStamp:
    """What the other process must know of a file in order to read its tensors."""
    return FileStamp(checkpoint.path, checkpoint.modified_ns)


def detached(tensor: TensorInfo, levels: int = _INNER_LEVELS) -> TensorInfo:
    """The tensor as far as its values depend on it, without the tree around it."""
    copy = TensorInfo(
        tensor.key if levels < _INNER_LEVELS else "",
        tensor.dtype,
        tensor.shape,
        tensor.stride,
        tensor.storage,
        tensor.storage_offset,
        tensor.device,
        layout=tensor.layout,
        details=tensor.details,
    )
    if levels and tensor.children:
        inner = islice(tensor.inner_tensors(), _INNER_TENSORS)
        copy.children = [detached(part, levels - 1) for part in inner]
    return copy


def finding_figures(
    file: FileStamp, tensors: Sequence[TensorInfo], threads: int, wait: float
) -> Generator[FiguresFound, None, None]:
    """The figures of `tensors`; yields about every `wait` seconds, and at the end."""
    from inspector_app.analysis.figures import figures_of
    from inspector_app.analysis.stats import measuring

    found: list[tuple[int, Figures]] = []
    yielded = perf_counter()
    progress = None
    for progress in measuring(reader_of(file), tensors, threads=threads, wait=wait):
        found += [(stats.number, figures_of(stats)) for stats in progress.finished]
        # Not one by one: small tensors take less time than telling of them.
        if perf_counter() - yielded >= wait:
            yield FiguresFound(progress.done, progress.total, found)
            found = []
            yielded = perf_counter()
    if progress is not None:
        yield FiguresFound(progress.done, progress.total, found)


def finding_all(
    file: FileStamp, tensor: TensorInfo, threads: int, wait: float
) -> Generator[StatsProgress, None, None]:
    """All that `stats` finds out about one tensor, exactly."""
    from inspector_app.analysis.stats import measuring

    yield from measuring(reader_of(file), [tensor], threads=threads, wait=wait, exact=True)


def measuring_apart(
    process: OtherProcess, checkpoint: Checkpoint, tensor: TensorInfo, threads: int = 2
) -> Generator[StatsProgress, None, None]:
    """`stats.measuring` of one tensor, exactly, in `process`."""
    number = process.ask(finding_all, stamp_of(checkpoint), detached(tensor), threads, WAIT)
    yield from process.answers(number)


_readers: dict[FileStamp, ValueReader] = {}


def reader_of(file: FileStamp) -> ValueReader:
    """The reader of a file, which is opened once."""
    from inspector_app.checkpoint.values import ValueReader

    known = _readers.get(file)
    if known is None:
        for other in _readers.values():
            other.close()
        _readers.clear()
        root = Node("", Kind.MAPPING)
        checkpoint = Checkpoint(file.path, "", 0, root, modified_ns=file.modified_ns)
        known = _readers[file] = ValueReader(checkpoint)
    return known
