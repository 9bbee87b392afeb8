"""`content.measuring` in a process of its own (`other_process`), for a window.

Imports neither numpy nor numba. The pairs are sent in batches: one is pickled in a few
milliseconds, in which Python's lock is held. Views that pairs share are compared once within
a batch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from inspector_app.analysis.comparison import Comparison, KeyPair, Metrics
from inspector_app.analysis.measuring_apart import WAIT, FileStamp, stamp_of
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, TensorInfo

if TYPE_CHECKING:
    from inspector_app.analysis.other_process import OtherProcess

_BATCH = 500
_BATCH_BYTES = 1 << 28


class PairOutcome(NamedTuple):
    """What a pair got; `number` is its place among those that were sent."""

    number: int
    status: str
    evidence: str
    metrics: Metrics | None
    error: str


class Compared(NamedTuple):
    """What has been compared since the last step.

    Attributes:
        pairs: changed in place.
        done, total: bytes of both files.
    """

    pairs: list[KeyPair]
    done: int
    total: int


class OutcomesFound(NamedTuple):
    """A step of the other process: bytes of the batch that are done, and pairs."""

    done: int
    found: list[PairOutcome]


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

    Pairs change right before they are yielded. Closing the generator stops the work there.

    Raises:
        ProcessEnded: the process ended by itself.
        OSError: it cannot be started.
    """
    stamps = stamp_of(comparison.a), stamp_of(comparison.b)
    total = sum(map(_nbytes, pairs))
    before = done = 0
    yield Compared([], 0, total)
    for batch in _batches(pairs):
        sent = [_without_tree(pair) for pair in batch]
        question = process.ask(comparing_content, *stamps, sent, rtol, atol, metrics, threads, WAIT)
        most = before + sum(map(_nbytes, batch))
        for step in process.answers(question):
            changed = []
            for outcome in step.found:
                pair = batch[outcome.number]
                _, pair.status, pair.evidence, pair.metrics, pair.error = outcome
                changed.append(pair)
            # What pairs share counts once there, and for each of them here.
            done = max(done, min(before + step.done, most))
            yield Compared(changed, done, total)
        before = most
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


def _batches(pairs: Sequence[KeyPair]) -> Iterator[list[KeyPair]]:
    batch: list[KeyPair] = []
    nbytes = 0
    for pair in pairs:
        batch.append(pair)
        nbytes += _nbytes(pair)
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
    assert pair.a is not None
    assert pair.b is not None
    return KeyPair(pair.key, pair.part, _alone(pair.a), _alone(pair.b), pair.status)


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
