"""`content.measuring` in a process of its own (`other_process`), for a window.

Imports neither numpy nor numba. The pairs are sent in batches: one is pickled in a
millisecond or two, in which Python's lock is held. Views that pairs share (tied weights) are
compared once, whichever batches the pairs would have come into.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from inspector_app.analysis.comparison import Comparison, KeyPair, Metrics
from inspector_app.analysis.measuring_apart import WAIT, FileStamp, stamp_of
from inspector_app.analysis.pair_parts import view_of
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, TensorInfo

if TYPE_CHECKING:
    from inspector_app.analysis.other_process import OtherProcess

_BATCH = 100
_AHEAD = 5  # batches that wait there, so that the process never waits for the window
_BATCH_BYTES = 1 << 28
_PAIRS_A_STEP = 200


class PairOutcome(NamedTuple):
    """What a pair got; `number` is its place among those that were sent."""

    number: int
    status: str
    evidence: str
    metrics: Metrics | None
    error: str

    def write_into(self, pair: KeyPair) -> None:
        """Let `pair` say it."""
        _, pair.status, pair.evidence, pair.metrics, pair.error = self


class Compared(NamedTuple):
    """What has been compared since the last step.

    Attributes:
        found: pairs, with what is to be written into them.
        done, total: bytes of both files; of views that pairs share, once.
    """

    found: list[tuple[KeyPair, PairOutcome]]
    done: int
    total: int


class OutcomesFound(NamedTuple):
    """A step of the other process: bytes of the batch that are done, and pairs."""

    done: int
    found: list[PairOutcome]


_Group = list[KeyPair]  # of the same two views


def measuring_content_apart(
    process: OtherProcess,
    comparison: Comparison,
    pairs: Sequence[KeyPair],
    rtol: float = 0.0,
    atol: float = 0.0,
    metrics: bool = True,
    threads: int = 2,
) -> Generator[Compared, None, None]:
    """Compare the bytes of `pairs` in `process`, as `content.measuring` does.

    The pairs do not change: who takes the outcomes writes them, in whichever thread the
    pairs are in use. Closing the generator stops the work there.

    Raises:
        ProcessEnded: the process ended by itself.
        OSError: it cannot be started.
    """
    stamps = stamp_of(comparison.a), stamp_of(comparison.b)
    groups = yield from _grouping(pairs)
    total = sum(_nbytes(group[0]) for group in groups)
    before = done = 0
    batches = _batches(groups)
    asked: deque[tuple[int, list[_Group]]] = deque()

    def ask() -> bool:
        batch = next(batches, None)
        if batch is not None:
            sent = [_without_tree(group[0]) for group in batch]
            more = sent, rtol, atol, metrics, threads, WAIT
            asked.append((process.ask(comparing_content, *stamps, *more), batch))
        return batch is not None

    try:
        while len(asked) < _AHEAD and ask():
            yield Compared([], 0, total)
        while asked:
            number, batch = asked[0]
            most = before + sum(_nbytes(group[0]) for group in batch)
            for step in process.answers(number):
                found = [
                    (pair, outcome) for outcome in step.found for pair in batch[outcome.number]
                ]
                # What parts of different views share counts once there, and often here.
                done = max(done, min(before + step.done, most))
                yield Compared(found, done, total)
            asked.popleft()
            before = most
            # Where the process was ended nothing is answered: a cancelled work stops here.
            yield Compared([], done, total)
            ask()
    finally:
        for number, _ in asked:
            process.drop(number)
    yield Compared([], total, total)


def comparing_content(
    a: FileStamp,
    b: FileStamp,
    pairs: Sequence[KeyPair],
    rtol: float,
    atol: float,
    metrics: bool,
    threads: int,
    wait: float,
) -> Generator[OutcomesFound, None, None]:
    """What runs in the other process; yields about every `wait` seconds, and at the end."""
    from inspector_app.analysis.content import Tolerance, measuring

    numbers = {id(pair): number for number, pair in enumerate(pairs)}
    comparison = Comparison(_bare(a), _bare(b))
    found: list[PairOutcome] = []
    done = 0
    yielded = perf_counter()
    for step in measuring(comparison, pairs, Tolerance(rtol, atol), metrics, threads, wait=wait):
        done, pair = step.done, step.pair
        if pair is not None:
            number = numbers[id(pair)]
            found.append(PairOutcome(number, pair.status, pair.evidence, pair.metrics, pair.error))
        if perf_counter() - yielded >= wait:
            yield OutcomesFound(done, found)
            found = []
            yielded = perf_counter()
    yield OutcomesFound(done, found)


def _grouping(pairs: Sequence[KeyPair]) -> Generator[Compared, None, list[_Group]]:
    """Those that are the same two views together, each group where its first pair was."""
    storages: Counter[tuple[int, int]] = Counter()
    for number, pair in enumerate(pairs):
        if number % _PAIRS_A_STEP == 0:
            yield Compared([], 0, 0)
        storages[_storages(pair)] += 1
    groups: dict[object, _Group] = {}
    for number, pair in enumerate(pairs):
        if number % _PAIRS_A_STEP == 0:
            yield Compared([], 0, 0)
        # Nearly all storages are of one tensor each.
        same = _views(pair) if storages[_storages(pair)] > 1 else id(pair)
        groups.setdefault(same, []).append(pair)
    return list(groups.values())


def _storages(pair: KeyPair) -> tuple[int, int]:
    a, b = _both(pair)
    return id(a.storage), id(b.storage)


def _views(pair: KeyPair) -> object:
    """Equal for pairs whose outcomes are equal, because they are the same views."""
    a, b = _both(pair)
    if a.children or b.children or a.storage is None or b.storage is None:
        return id(pair)
    return view_of(a), view_of(b), pair.status, a.layout, b.layout, a.device, b.device


def _both(pair: KeyPair) -> tuple[TensorInfo, TensorInfo]:
    if pair.a is None or pair.b is None:
        raise ValueError(f"{pair.key} is in one file only")
    return pair.a, pair.b


def _batches(groups: Sequence[_Group]) -> Iterator[list[_Group]]:
    batch: list[_Group] = []
    nbytes = 0
    for group in groups:
        batch.append(group)
        nbytes += _nbytes(group[0])
        if len(batch) == _BATCH or nbytes >= _BATCH_BYTES:
            yield batch
            batch, nbytes = [], 0
    if batch:
        yield batch


def _nbytes(pair: KeyPair) -> int:
    return sum(side.nbytes for side in (pair.a, pair.b) if side is not None)


def _bare(stamp: FileStamp) -> Checkpoint:
    """A checkpoint as far as its values' bytes depend on it."""
    return Checkpoint(stamp.path, "", 0, Node("", Kind.MAPPING), modified_ns=stamp.modified_ns)


def _without_tree(pair: KeyPair) -> KeyPair:
    """The pair, its tensors without the trees around them."""
    a, b = _both(pair)
    return KeyPair(pair.key, pair.part, _alone(a), _alone(b), pair.status)


def _alone(tensor: TensorInfo) -> TensorInfo:
    """The tensor with all that lies in it, without what it lies in.

    Readers let tensors lie 16 deep in each other at most: pickling them recurses.
    """
    whole = _copy(tensor)
    assert isinstance(whole, TensorInfo)
    todo = [(tensor, whole)]
    while todo:
        one, copied = todo.pop()
        if not one.children:
            continue
        kept = [
            child
            for child in one.children
            if isinstance(child, TensorInfo) or child.kind == Kind.ARRAY
        ]
        inner = [_copy(child) for child in kept]
        copied.children = inner
        todo += [
            (child, other)
            for child, other in zip(kept, inner, strict=True)
            if isinstance(child, TensorInfo) and isinstance(other, TensorInfo)
        ]
    return whole


def _copy(node: Node) -> Node:
    """A node without parent and children."""
    if not isinstance(node, TensorInfo):
        return Node(node.key, node.kind, value=node.value)
    return TensorInfo(
        node.key,
        node.dtype,
        node.shape,
        node.stride,
        node.storage,
        node.storage_offset,
        node.device,
        layout=node.layout,
        details=node.details,
    )
