"""Tensors that somebody should look at, and why.

The rules, each with its bound:

- ``nan``: at least one NaN. ``infinite``: at least one infinity.
- ``exploding``: a finite value beyond `EXPLODING` in magnitude, in a tensor of floating
  point numbers. Trained weights rarely pass 100, and a product with one beyond 10,000 soon
  leaves the range of float16 (65,504). Left out are statistics of activations and the state
  of an optimizer, whose scale is that of the data (`tensor_roles`).
- ``all-zero``: every one of at least two values is 0. ``constant``: at least that many
  values, all finite, equal and not 0. Both only in numbers of a model that do not begin so:
  a zero bias, or a norm's scale of ones, says that nothing has moved it yet, and half of all
  fresh models would be listed. `unmoved` counts those, so that the page can say how many
  there are. The ``stats`` command warns by the same rule (`findings`).
- ``duplicate``: the same bytes twice in the file, which `duplicates` tells from the archive's
  directory: two whole records of at least `DUPLICATE_BYTES` with equal length and equal
  CRC-32, viewed alike. Nothing is read; it holds "by checksum". Storages that are shared on
  purpose are one record and no duplicate.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple

from inspector_app.analysis.figures import Figures
from inspector_app.analysis.tensor_roles import SEVERAL, Roles, initial_value
from inspector_app.checkpoint.model import TensorInfo, contiguous_stride

EXPLODING = 1e4
DUPLICATE_BYTES = 4096
_TENSORS_PER_STEP = 500


class Reason:
    """Why a tensor is listed, the worst first."""

    NAN = "nan"
    INFINITE = "infinite"
    EXPLODING = "exploding"
    ALL_ZERO = "all-zero"
    CONSTANT = "constant"
    DUPLICATE = "duplicate"


REASONS = (
    Reason.NAN,
    Reason.INFINITE,
    Reason.EXPLODING,
    Reason.ALL_ZERO,
    Reason.CONSTANT,
    Reason.DUPLICATE,
)


class Suspicion(NamedTuple):
    """One tensor and one reason.

    Attributes:
        reason: of `Reason`.
        tensor: itself.
        number: how many NaNs, infinities or zeros there are; the largest magnitude; the
            value of a constant; how many other tensors have the same bytes.
        others: of a duplicate the other tensors.
    """

    reason: str
    tensor: TensorInfo
    number: float | int
    others: tuple[TensorInfo, ...] = ()


def suspicions(tensor: TensorInfo, figures: Figures, roles: Roles) -> list[Suspicion]:
    """What is suspicious about the values of one tensor, the worst first."""
    found = []
    if figures.nans:
        found.append(Suspicion(Reason.NAN, tensor, figures.nans))
    if figures.infinities:
        found.append(Suspicion(Reason.INFINITE, tensor, figures.infinities))
    if figures.magnitude > EXPLODING and roles.has_usual_scale(tensor):
        found.append(Suspicion(Reason.EXPLODING, tensor, figures.magnitude))
    if _is_constant(figures) and roles.should_vary(tensor, figures.least):
        if figures.all_zero:
            found.append(Suspicion(Reason.ALL_ZERO, tensor, figures.zeros))
        else:
            found.append(Suspicion(Reason.CONSTANT, tensor, figures.least))
    return found


def unmoved(tensor: TensorInfo, figures: Figures, roles: Roles) -> bool:
    """Every value of a model's tensor is the one that tensors of its kind begin with."""
    return (
        _is_constant(figures)
        and roles.is_trained(tensor)
        and initial_value(tensor) == figures.least
    )


def _is_constant(figures: Figures) -> bool:
    return figures.constant and figures.count >= SEVERAL


def duplicates(
    tensors: Sequence[TensorInfo],
) -> Generator[int, None, list[tuple[TensorInfo, ...]]]:
    """Groups of tensors with the same bytes by the archive's checksums, the largest first.

    Yields how many tensors have been looked at. Tensors of one storage count once, by the
    first of them.
    """
    groups: dict[tuple[object, ...], list[TensorInfo]] = {}
    known: set[int] = set()
    for number, tensor in enumerate(tensors):
        if number % _TENSORS_PER_STEP == 0:
            yield number
        key = _content(tensor)
        if key is None or id(tensor.storage) in known:
            continue
        known.add(id(tensor.storage))
        groups.setdefault(key, []).append(tensor)
    found = [tuple(group) for group in groups.values() if len(group) > 1]
    found.sort(key=lambda group: -group[0].nbytes * (len(group) - 1))
    return found


def _content(tensor: TensorInfo) -> tuple[object, ...] | None:
    """What tensors with the same values agree in; None where the directory cannot tell."""
    storage = tensor.storage
    record = storage.record if storage is not None else None
    if record is None or not record.crc32 or record.nbytes < DUPLICATE_BYTES:
        return None
    whole = (
        tensor.storage_offset == 0
        and tensor.nbytes == record.nbytes
        and tensor.stride == contiguous_stride(tensor.shape)
    )
    if not whole:
        return None
    details = tensor.details
    return (
        record.crc32,
        record.nbytes,
        tensor.dtype,
        tensor.shape,
        details.neg,
        details.conj,
        details.big_endian,
        details.quantizer,
    )
