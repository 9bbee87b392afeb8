"""How far the weights of a run moved: each checkpoint from the first one and from the one before.

`measuring_drift` is a plain generator. It reads two files at a time, block by block, and keeps
a figure for each layer: ‖b − a‖₂ / ‖a‖₂ over all weights of the layer, summed in float64.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from inspector_app.analysis.comparison import EXACT
from inspector_app.analysis.pair_blocks import PairBlocks, PairBuffers
from inspector_app.analysis.pair_measures import ByValue, Measure, Rescaled, measure_for
from inspector_app.analysis.pair_totals import scales_for
from inspector_app.analysis.tensor_roles import ACTIVATION_STATISTICS
from inspector_app.checkpoint import reading
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, SectionKind, TensorInfo
from inspector_app.checkpoint.values import ValueReader, open_values, stored

# More layers are put together by the beginning of their names.
MOST_LAYERS = 2_000
_NUMBERS = ("float", "complex", "quantized")


@dataclass(frozen=True, slots=True, eq=False)
class DriftRow:
    """One checkpoint.

    Attributes:
        path: its file.
        from_first, from_previous: for each layer ‖b − a‖₂ / ‖a‖₂; NaN where the layer has no
            weights that both have, infinite where A's are all zero and B's are not.
        whole_from_first, whole_from_previous: the same over all weights; NaN as well.
        left_out: weights that the first, or the one before, does not have in this shape.
        not_finite: elements that are not finite in one of two, which no figure counts.
        reason: why it could not be measured, or "".
    """

    path: str
    from_first: Sequence[float]
    from_previous: Sequence[float]
    whole_from_first: float
    whole_from_previous: float
    left_out: int = 0
    not_finite: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """All that was measured.

    Attributes:
        layers: their names; a layer's place is that of its figures in the rows.
        rows: a row for each checkpoint but the first, in the order of the run.
    """

    layers: tuple[str, ...]
    rows: tuple[DriftRow, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DriftStep:
    """A step of `measuring_drift`.

    Attributes:
        done, total: bytes of the weights that are to be read.
        layers: their names, once they are known.
        row: the checkpoint that is done by now, or None.
    """

    done: int
    total: int
    layers: tuple[str, ...] = ()
    row: DriftRow | None = None


@dataclass(slots=True)
class _Norms:
    """Norms over the weights of a layer: of b − a, and of a."""

    apart: float = 0.0
    a: float = 0.0
    seen: bool = False

    def add(self, apart: float, a: float) -> None:
        self.apart = math.hypot(self.apart, apart)
        self.a = math.hypot(self.a, a)
        self.seen = True

    @property
    def relative(self) -> float:
        if not self.seen:
            return math.nan
        if self.a == 0:
            return math.inf if self.apart else 0.0
        return self.apart / self.a


class _Opened:
    """A checkpoint whose weights are read."""

    def __init__(self, path: str, checkpoint: Checkpoint) -> None:
        self.path = path
        self.weights = weights_of(checkpoint)
        self.reader: ValueReader = open_values(checkpoint)

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.weights.values())


def weights_of(checkpoint: Checkpoint) -> dict[str, TensorInfo]:
    """The weights of the model by key: no buffers of statistics, no counters. Of several models
    the keys begin with the model's own."""
    found: dict[str, TensorInfo] = {}
    for kind in (SectionKind.MODEL, SectionKind.EMA):
        sections = [section for section in checkpoint.sections if section.kind == kind]
        for section in sections:
            node = checkpoint.find(section.path)
            before = "/".join(map(str, section.path)) + "/" if len(sections) > 1 else ""
            for child in node.children if node is not None else ():
                if isinstance(child, TensorInfo) and _is_weight(child):
                    found[before + str(child.key)] = child
        if found:
            break
    return found


def _is_weight(tensor: TensorInfo) -> bool:
    dtype = DTYPES.get(stored(tensor).dtype)
    named = str(tensor.key).endswith(ACTIVATION_STATISTICS)
    return dtype is not None and dtype.kind in _NUMBERS and not named


def layer_names(keys: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """The layers that some weights belong to, in order, and the layer of each weight.

    A layer has all weights whose keys differ in their last part alone; where there are more
    than `MOST_LAYERS` the keys are cut further.
    """
    parts = [key.split(".") for key in keys]
    depth = max(map(len, parts), default=1)
    while True:
        names = [".".join(each[:-1][:depth]) or ".".join(each[:1]) for each in parts]
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        if len(places) <= MOST_LAYERS or depth == 1:
            break
        depth -= 1
    order = tuple(places)
    if len(order) > MOST_LAYERS:
        # Nothing in the names puts them together.
        return ("",), [0] * len(keys)
    return order, [places[name] for name in names]


def measuring_drift(paths: Sequence[str]) -> Generator[DriftStep, None, None]:
    """Measure the checkpoints `paths`, in their order, in steps of one block.

    The first has no row. At most three files are open at a time; close the generator to cancel.
    """
    with ExitStack() as stack:
        first: _Opened | None = None
        previous: _Opened | None = None
        layers: tuple[str, ...] = ()
        places: dict[str, int] = {}
        done = total = 0
        for path in paths:
            try:
                checkpoint = yield from _quietly(path, done, total, layers)
                current = _Opened(path, checkpoint)
            except CheckpointError as error:
                if first is not None:
                    yield DriftStep(done, total, layers, _failed(path, layers, error))
                continue
            stack.callback(current.reader.close)
            if first is None:
                first = previous = current
                names = list(first.weights)
                layers, chosen = layer_names(names)
                places = dict(zip(names, chosen, strict=True))
                # Twice against another file, for each of the others.
                total = 4 * first.nbytes * max(len(paths) - 1, 0)
                yield DriftStep(done, total, layers)
                continue
            assert previous is not None
            begun = done
            work = _Row(current, layers, places)
            try:
                for read in work.measuring(first, previous):
                    done += read
                    yield DriftStep(min(done, total), total, layers)
                row = work.row()
            except CheckpointError as error:
                row = _failed(path, layers, error)
            done = begun + 4 * first.nbytes
            yield DriftStep(min(done, total), total, layers, row)
            if previous is not first:
                previous.reader.close()
            previous = current


def _quietly(
    path: str, done: int, total: int, layers: tuple[str, ...]
) -> Generator[DriftStep, None, Checkpoint]:
    steps = reading(path)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            checkpoint: Checkpoint = end.value
            return checkpoint
        yield DriftStep(done, total, layers)


def _failed(path: str, layers: tuple[str, ...], error: CheckpointError) -> DriftRow:
    nothing = array("d", [math.nan]) * len(layers)
    return DriftRow(path, nothing, nothing, math.nan, math.nan, reason=error.message)


class _Row:
    """Measures one checkpoint against two others."""

    def __init__(self, current: _Opened, layers: tuple[str, ...], places: dict[str, int]) -> None:
        self._current = current
        self._places = places
        self._sums = tuple([_Norms() for _ in layers] for _ in range(2))
        self._buffers = PairBuffers()
        self._left_out: set[str] = set()
        self._not_finite = 0

    def measuring(self, first: _Opened, previous: _Opened) -> Generator[int, None, None]:
        """Read both; yields the bytes that were read."""
        for sums, other in zip(self._sums, (first, previous), strict=True):
            if other is first and sums is self._sums[1]:
                # The second checkpoint: the first one is the one before.
                for mine, known in zip(sums, self._sums[0], strict=True):
                    mine.apart, mine.a, mine.seen = known.apart, known.a, known.seen
                return
            for key, tensor in self._current.weights.items():
                twin = other.weights.get(key)
                place = self._places.get(key)
                if twin is None or place is None or twin.shape != tensor.shape:
                    self._left_out.add(key)
                    continue
                yield from self._tensor(other, twin, tensor, sums[place])

    def _tensor(
        self, other: _Opened, a: TensorInfo, b: TensorInfo, sums: _Norms
    ) -> Generator[int, None, None]:
        blocks = PairBlocks(other.reader.elements(a), self._current.reader.elements(b))
        nbytes = (a.nbytes + b.nbytes) // max(len(blocks), 1)
        measure: Measure = measure_for(blocks, EXACT)
        totals = None
        for _ in range(2):
            part = measure.new_part()
            for number in range(len(blocks)):
                measure.take(part, number, *blocks.codes(number, self._buffers))
                yield nbytes if totals is None else 0
            totals = measure.totals([part])
            if scales_for(totals) == totals.scales:
                break
            # Squares left the range of float64.
            measure = Rescaled(ByValue(blocks, EXACT), totals)
        assert totals is not None
        apart_scale, a_scale, _ = totals.scales
        sums.add(math.sqrt(totals.apart) / apart_scale, math.sqrt(totals.a) / a_scale)
        self._not_finite += blocks.a.count - totals.finite * blocks.repeats
        other.reader.check_unchanged(a)
        self._current.reader.check_unchanged(b)

    def row(self) -> DriftRow:
        """The figures."""
        wholes = []
        for sums in self._sums:
            whole = _Norms()
            for each in sums:
                if each.seen:
                    whole.add(each.apart, each.a)
            wholes.append(whole.relative)
        first, previous = (array("d", [each.relative for each in sums]) for sums in self._sums)
        return DriftRow(
            self._current.path,
            first,
            previous,
            wholes[0],
            wholes[1],
            len(self._left_out),
            self._not_finite,
        )
