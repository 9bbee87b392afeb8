"""What a comparison of two checkpoints says: statuses, evidence, metrics.

It reads as *loading B into A*, as ``A.load_state_dict(B)`` would say: *missing* is in A and
not in B, *unexpected* is in B and not in A, *mismatched* is in both with another shape or
dtype; *changed* and *identical* have both alike and other or equal bits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inspector_app.checkpoint.model import Checkpoint, TensorInfo, TreePath


class Status:
    """What became of a key. Plain strings, as they stand in reports."""

    IDENTICAL = "identical"
    CHANGED = "changed"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    MISMATCHED = "mismatched"
    # Nothing short of reading the bytes can tell, and nobody has read them yet.
    UNCOMPARED = "uncompared"


ALL_STATUSES = (
    Status.MISMATCHED,
    Status.MISSING,
    Status.UNEXPECTED,
    Status.CHANGED,
    Status.UNCOMPARED,
    Status.IDENTICAL,
)


class Evidence:
    """What a status rests on."""

    HEADER = "header"  # names, shapes and dtypes alone
    CHECKSUM = "checksum"  # the CRC-32 of whole storages in the archives' directories
    BYTES = "bytes"  # every element of both


class Tolerance(NamedTuple):
    """By how much an element of B may differ: |b − a| ≤ atol + rtol·|a|.

    Under a tolerance −0 and 0 are equal, and so are NaNs of any bits; an infinity is equal to
    itself alone.
    """

    rtol: float = 0.0
    atol: float = 0.0


EXACT = Tolerance()


@dataclass(frozen=True, slots=True)
class Metrics:
    """How far B's values lie from A's; all figures in float64, over the pairs of finite values.

    Attributes:
        count: elements.
        max_abs: the largest |b − a|; complex numbers by the modulus of the difference.
        mean_abs: the mean of |b − a|.
        rel_l2: ‖b − a‖₂ / ‖a‖₂; None where A is all zero and B is not, 0 where both are.
        cosine: of the two as vectors; None where one of them is all zero.
        differing: elements whose bits differ (−0 and 0 do, equal NaN bits do not).
        beyond: elements that differ by more than the tolerance (`differing` without one).
        sign_flips: elements that are above zero in one and below it in the other.
        nan_changes: elements that are NaN in exactly one of the two.
        infinity_changes: elements that are infinite in one, and not the same in the other.
        first: flat index, in row-major order of the shape, of the first that differs; or -1.
    """

    count: int
    max_abs: float | None
    mean_abs: float | None
    rel_l2: float | None
    cosine: float | None
    differing: int
    beyond: int
    sign_flips: int
    nan_changes: int
    infinity_changes: int
    first: int

    @property
    def differing_share(self) -> float:
        """Differing elements in all elements; 0 of an empty tensor."""
        return self.differing / self.count if self.count else 0.0


@dataclass(slots=True)
class KeyPair:
    """One key of the comparison, with its tensor in each file.

    Attributes:
        key: as A names it; of an unexpected one as B does, once mapped. A key of the compared
            sections is relative to its section; any other is the tensor's name.
        part: the kind of section that it belongs to (`SectionKind`), or "" outside any.
        a, b: the tensors; one is None where the key is missing or unexpected.
        status, reasons: reasons of a mismatch: ``shape``, ``dtype``.
        notes: what else differs and matters little: ``device``, ``requires_grad``,
            ``stride``, ``layout``, ``renamed`` (B's key was given A's name by hand),
            ``collides`` (another key of B is mapped to the same one, and it counts).
        evidence: what the status rests on.
        metrics: once the bytes were compared and are not identical.
        error: why the bytes could not be compared, in a sentence, or "".
    """

    key: str
    part: str
    a: TensorInfo | None
    b: TensorInfo | None
    status: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: str = Evidence.HEADER
    metrics: Metrics | None = None
    error: str = ""


class Words(str):
    """Text that describes a value and is not the value itself: ``[1, 2, …] (300)``. It is shown
    without quotes."""

    __slots__ = ()


class ValueDifference(NamedTuple):
    """A value outside tensors that differs: ``epoch`` 10 and 20.

    Attributes:
        path: where it stands in A, or in B where A lacks it.
        a, b: None, bool, int, float, text, or `Words` for what is none of them; `ABSENT`
            where a file has no such entry.
    """

    path: TreePath
    a: Any
    b: Any


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(slots=True)
class Comparison:
    """Two checkpoints side by side.

    Attributes:
        a, b: the files; B is loaded into A.
        sections: the paths of the two model sections whose keys were matched.
        pairs: A's order, then the unexpected ones in B's order.
        values: what differs outside tensors, where both files have it.
        left_out: parts that only one of the two files has and that were not compared, such
            as the optimizer of a training checkpoint against a bare state_dict: (``a`` or
            ``b``, path, number of tensors; 0 of a value at the top, such as an epoch).
        not_compared: paths in A of values outside tensors that are too large to be kept;
            whether they differ is not known.
    """

    a: Checkpoint
    b: Checkpoint
    sections: tuple[TreePath, TreePath] = ((), ())
    pairs: list[KeyPair] = field(default_factory=list)
    values: list[ValueDifference] = field(default_factory=list)
    left_out: list[tuple[str, TreePath, int]] = field(default_factory=list)
    not_compared: list[TreePath] = field(default_factory=list)

    def summary(self) -> Counter[str]:
        """How many pairs have each status."""
        return Counter(pair.status for pair in self.pairs)

    def differs(self) -> bool:
        """Anything is not identical."""
        return bool(self.values) or any(pair.status != Status.IDENTICAL for pair in self.pairs)
