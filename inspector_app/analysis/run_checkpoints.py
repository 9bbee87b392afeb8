"""The checkpoints of a run: which there are, in order, what each says, which is the best.

`reading_checkpoint` reads the structure of one file, and of tensors those of one element alone;
nothing but a `RunCheckpoint` is kept. When it may be read, `run_watch` knows.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from inspector_app.analysis.companions import OPTIMIZER_FILES, reading_companions
from inspector_app.analysis.node_values import Number, SingleValues, entries, number_of
from inspector_app.analysis.run_order import (
    NOWHERE,
    Place,
    in_order,
    lower_is_better,
    place_of,
    sort_by,
    telling_metric,
)
from inspector_app.analysis.training_figures import Figures, reading_figures
from inspector_app.checkpoint import reading
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Node, Progress, SectionKind

_MOST_METRICS = 200
# With one of these a file lacks a part of what it was to have.
_TORN = frozenset(
    "truncated bad-directory entry-bounds record-size missing-record broken-record broken-pickle "
    "missing-shard broken-shard missing-key bad-header storage-size view-bounds".split()
)
_CUT_OFF = ("empty", "broken", "truncated", "unrecognised")
_RATE = "lr"


class FileState:
    """How far a file is."""

    COMPLETE = "complete"
    BEING_WRITTEN = "being written"
    INCOMPLETE = "incomplete"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, eq=False)
class RunCheckpoint:
    """One checkpoint of a run.

    Attributes:
        path: the file, or the folder of one in several files.
        name: as it is shown: the path from the run's folder.
        state: of `FileState`.
        nbytes: on disk, all of its files.
        modified_ns: when it was last written.
        place: its epoch and step.
        metrics: numbers by name: metrics, the best so far, the learning rate.
        tensors: how many it has.
        trains: it has an optimizer's state.
        reason: why it is not complete, in a sentence, or "".
    """

    path: str
    name: str
    state: str
    nbytes: int
    modified_ns: int
    place: Place = NOWHERE
    metrics: Mapping[str, Number] = field(default_factory=dict)
    tensors: int = 0
    trains: bool = False
    reason: str = ""

    @property
    def complete(self) -> bool:
        return self.state == FileState.COMPLETE


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A metric over the run.

    Attributes:
        name: of the metric.
        points: the place of each checkpoint (a step, an epoch, or its number in the order) and
            the value, in order.
        lower_is_better: the smaller of two values is the better one.
    """

    name: str
    points: tuple[tuple[Number, Number], ...]
    lower_is_better: bool


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The checkpoints of a run.

    Attributes:
        checkpoints: in order.
        by: what they are sorted by (`run_order.By`).
        metric: the one that says which is the best, or "".
        best: that checkpoint, or None.
        latest: the last complete one, or None.
        curves: the metrics that any complete checkpoint has, the most common ones first.
    """

    checkpoints: tuple[RunCheckpoint, ...]
    by: str
    metric: str
    best: RunCheckpoint | None
    latest: RunCheckpoint | None
    curves: tuple[Curve, ...]

    @property
    def nbytes(self) -> int:
        """Bytes on disk of all of them."""
        return sum(each.nbytes for each in self.checkpoints)


def reading_checkpoint(
    path: str, name: str, stamp: tuple[int, int]
) -> Generator[Progress, None, RunCheckpoint]:
    """Read what one checkpoint says; an incomplete or unreadable one says why.

    Args:
        path: the file, or the index of several.
        name: as it is shown.
        stamp: the size and the time of all that belongs to it.
    """
    nbytes, modified = stamp
    try:
        checkpoint = yield from reading(path)
    except CheckpointError as error:
        # Of an empty file nobody knows what it was to become.
        broken = error.code in _CUT_OFF and looks_torn(path)
        state = FileState.INCOMPLETE if broken else FileState.UNREADABLE
        place = place_of(os.path.basename(name), None, None)
        return RunCheckpoint(path, name, state, nbytes, modified, place, reason=error.message)
    torn = next((problem for problem in checkpoint.problems if problem.code in _TORN), None)
    figures = Figures()
    with closing(SingleValues(checkpoint)) as values:
        figures = yield from reading_figures(checkpoint, values)
        rate = values.number(_rate(checkpoint))
    companions = yield from reading_companions(checkpoint, documents_only=True)
    companions.add_to(figures)
    if rate is None:
        rates = [each.values[-1] for each in figures.histories if each.name == "learning_rate"]
        rate = rates[0] if rates else None
    metrics = {
        figure.name: number
        for figure in (*figures.metrics, *figures.best)
        for number in [number_of(figure.value)]
        if number is not None
    }
    if rate is not None:
        metrics.setdefault(_RATE, rate)
    return RunCheckpoint(
        path,
        name,
        FileState.COMPLETE if torn is None else FileState.INCOMPLETE,
        nbytes,
        modified,
        place_of(
            os.path.basename(name),
            figures.epoch.value if figures.epoch is not None else None,
            figures.step.value if figures.step is not None else None,
        ),
        dict(list(metrics.items())[:_MOST_METRICS]),
        len(checkpoint.tensors),
        any(section.kind == SectionKind.OPTIMIZER for section in checkpoint.sections)
        or (bool(companions.framework) and has_optimizer(path)),
        "" if torn is None else torn.message,
    )


def _rate(checkpoint: Checkpoint) -> Node | None:
    """The learning rate of the first param group of the first optimizer."""
    for section in checkpoint.sections:
        if section.kind == SectionKind.OPTIMIZER:
            groups = entries(checkpoint.find(section.path)).get("param_groups")
            for group in groups.children[:1] if groups is not None else ():
                return entries(group).get("lr")
    return None


def has_optimizer(path: str) -> bool:
    """Whether the Trainer wrote an optimizer's state beside the model at `path`."""
    folder = os.path.dirname(path)
    return any(os.path.exists(os.path.join(folder, name)) for name in OPTIMIZER_FILES)


def size_and_time(path: str) -> tuple[int, int]:
    """Bytes and time of a file, or of all files of a folder: the sum, and the latest."""
    try:
        if not os.path.isdir(path):
            status = os.stat(path)
            return status.st_size, status.st_mtime_ns
        nbytes = modified = 0
        with os.scandir(path) as found:
            for entry in found:
                if entry.is_file():
                    status = entry.stat()
                    nbytes += status.st_size
                    modified = max(modified, status.st_mtime_ns)
        return nbytes, modified
    except OSError:
        return 0, 0


def looks_torn(path: str) -> bool:
    """Whether a file that nobody recognises begins as a checkpoint does, or is empty."""
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError:
        return False
    # A zip, a pickle, a safetensors header.
    return not head or head.startswith((b"PK\3\4", b"\x80")) or head[8:9] == b"{"


def run_of(checkpoints: Iterable[RunCheckpoint]) -> Run:
    """The run that these checkpoints make."""
    found = list(checkpoints)
    by = sort_by([each for each in found if each.complete] or found)
    ordered = in_order(found, by)
    complete = [each for each in ordered if each.complete]
    counts = Counter(name for each in complete for name in each.metrics)
    names = [name for name, _ in counts.most_common()]
    metric = telling_metric([name for name in names if name != _RATE])
    return Run(
        tuple(ordered),
        by,
        metric,
        best_of(complete, metric),
        complete[-1] if complete else None,
        tuple(_curve(name, complete, by) for name in names[:_MOST_METRICS]),
    )


def judged_by(run: Run, metric: str) -> Run:
    """The run with the checkpoint that is the best by another metric."""
    complete = [each for each in run.checkpoints if each.complete]
    return replace(run, metric=metric, best=best_of(complete, metric))


def best_of(checkpoints: Sequence[RunCheckpoint], metric: str) -> RunCheckpoint | None:
    """The first of those with the best value of `metric`; None where none has one."""
    best: RunCheckpoint | None = None
    lower = lower_is_better(metric)
    for each in checkpoints:
        value = each.metrics.get(metric)
        if value is None or math.isnan(value):
            continue
        if best is None or (
            value < best.metrics[metric] if lower else value > best.metrics[metric]
        ):
            best = each
    return best


def _curve(name: str, checkpoints: Sequence[RunCheckpoint], by: str) -> Curve:
    points = []
    for number, each in enumerate(checkpoints):
        if name in each.metrics:
            place = getattr(each.place, by, None)
            points.append((number if place is None else place, each.metrics[name]))
    return Curve(name, tuple(points), lower_is_better(name))
