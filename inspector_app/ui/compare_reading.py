"""Reading two files and putting them side by side, in steps; and doing that anew."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import chain
from typing import Any, NamedTuple

from inspector_app.analysis.comparison import (
    EXACT,
    Comparison,
    Evidence,
    KeyPair,
    Status,
    Tolerance,
)
from inspector_app.analysis.key_mapping import KeyMapping
from inspector_app.analysis.rename_detection import own_key
from inspector_app.checkpoint import reading
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.ui.diff_figures import needs_bytes

PAIRS_A_STEP = 500


class UnreadableSideError(Exception):
    """One of the two files could not be read.

    Attributes:
        path: that file.
        error: why.
    """

    def __init__(self, path: str, error: Exception) -> None:
        super().__init__(str(error))
        self.path = path
        self.error = error


def reading_side(path: str) -> Generator[Any, None, Checkpoint]:
    """Read one of the files.

    Raises:
        UnreadableSideError: it cannot be read.
    """
    try:
        return (yield from reading(path))
    except Exception as error:
        raise UnreadableSideError(path, error) from error


class Earlier(NamedTuple):
    """A comparison of the same files, the tolerance it was made with, and the one in force."""

    comparison: Comparison
    tolerance: Tolerance
    wanted: Tolerance


def comparing_anew(
    a: Checkpoint, b: Checkpoint, mapping: KeyMapping, before: Earlier | None
) -> Generator[Any, None, Comparison]:
    """Compare structures; what an earlier comparison of the same files read stays known."""
    from inspector_app.analysis.diff import comparing

    comparison: Comparison = yield from comparing(a, b, mapping)
    if before is not None:
        yield from _carrying_over(before, comparison)
    return comparison


def _carrying_over(before: Earlier, new: Comparison) -> Generator[None, None, None]:
    old = before.comparison
    swapped = old.a is new.b and old.b is new.a
    known: dict[tuple[int, int], KeyPair] = {}
    for number, pair in enumerate(old.pairs):
        if number % PAIRS_A_STEP == PAIRS_A_STEP - 1:
            yield
        known_of = pair.evidence == Evidence.BYTES or pair.error or pair.metrics is not None
        if known_of and _holds(pair, before, swapped):
            ends = (pair.b, pair.a) if swapped else (pair.a, pair.b)
            known[id(ends[0]), id(ends[1])] = pair
    for number, pair in enumerate(new.pairs):
        if number % PAIRS_A_STEP == PAIRS_A_STEP - 1:
            yield
        earlier = known.get((id(pair.a), id(pair.b)))
        if earlier is None:
            continue
        pair.status, pair.evidence, pair.error = earlier.status, earlier.evidence, earlier.error
        # How far B is from A depends on which of them is A.
        pair.metrics = None if swapped else earlier.metrics
        if swapped and pair.status == Status.CHANGED:
            pair.evidence = Evidence.HEADER


def _holds(pair: KeyPair, before: Earlier, swapped: bool) -> bool:
    """What is known of a pair is true with the tolerance that is in force now."""
    if before.tolerance != before.wanted:
        same_bits = pair.metrics is None and pair.status == Status.IDENTICAL
        return bool(pair.error) or (same_bits and before.tolerance == EXACT)
    # How much may differ depends on A.
    return not (swapped and pair.status == Status.IDENTICAL and before.tolerance != EXACT)


def swapped_mapping(mapping: KeyMapping, comparison: Comparison) -> KeyMapping:
    """The mapping that makes the same pairs once A is B.

    A rule works one way; what it matched is kept as renames.
    """
    if not mapping.rules:
        return KeyMapping(
            strip_a=mapping.strip_b,
            strip_b=mapping.strip_a,
            renames=tuple((wanted, own) for own, wanted in mapping.renames),
        )
    renames: list[tuple[str, str]] = []
    in_a, in_b = comparison.sections
    for pair in comparison.pairs:
        if pair.a is not None and pair.b is not None:
            for mine, theirs in zip(own_key(pair.a, in_a), own_key(pair.b, in_b), strict=False):
                if mine != theirs:
                    renames.append((mine, theirs))
    return KeyMapping(renames=tuple(renames))


class Plan(NamedTuple):
    """Whose bytes to read.

    Attributes:
        pairs: those of the screen first.
        nbytes: of both files, what is shared once.
    """

    pairs: list[KeyPair]
    nbytes: int


def planning(
    comparison: Comparison, first: Iterable[KeyPair], every: bool = False
) -> Generator[None, None, Plan]:
    """Which pairs' bytes would say more.

    Args:
        first: those to begin with.
        every: also those that checksums call identical.
    """

    def wanted(pair: KeyPair) -> bool:
        if every and pair.status == Status.IDENTICAL:
            return pair.evidence == Evidence.CHECKSUM
        if pair.status == Status.MISMATCHED:
            # Other dtypes can be compared by value.
            return pair.reasons == ("dtype",) and pair.metrics is None and not pair.error
        return needs_bytes(pair)

    pairs: list[KeyPair] = []
    sizes: dict[tuple[int, int], int] = {}
    known: set[int] = set()
    for number, pair in enumerate(chain(first, comparison.pairs)):
        if number % PAIRS_A_STEP == PAIRS_A_STEP - 1:
            yield
        a, b = pair.a, pair.b
        if a is None or b is None or not wanted(pair) or id(pair) in known:
            continue
        known.add(id(pair))
        pairs.append(pair)
        storages = id(a.storage or a), id(b.storage or b)
        sizes[storages] = max(a.nbytes + b.nbytes, sizes.get(storages, 0))
    return Plan(pairs, sum(sizes.values()))
