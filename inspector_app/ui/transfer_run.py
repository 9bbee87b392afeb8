"""What a transfer is made of, in steps: reading both files, planning, painting, writing."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from inspector_app.analysis.comparison import Comparison
from inspector_app.analysis.key_mapping import KeyMapping
from inspector_app.analysis.transfer import TransferOptions, planning_transfer
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.ui.compare_reading import comparing_anew, reading_side
from inspector_app.ui.transfer_picture import TransferPicture, picturing


class Ends(NamedTuple):
    """The two files, as far as they were read: the source, which is B, and the target."""

    source: Checkpoint | None = None
    target: Checkpoint | None = None


def reading_ends(source: str, target: str, known: Ends) -> Generator[Any, None, Ends]:
    """Read what is not known yet.

    Raises:
        UnreadableSideError: one of them cannot be read.
    """
    found = known.source
    if found is None:
        found = yield from reading_side(source)
    other = known.target
    if other is None and target:
        other = yield from reading_side(target)
    return Ends(found, other)


def drawing(
    source: Checkpoint,
    target: Checkpoint,
    options: TransferOptions,
    before: TransferPicture | None,
) -> Generator[Any, None, TransferPicture]:
    """Plan, and make the picture of it."""
    plan = yield from planning_transfer(source, target, options)
    return (yield from picturing(plan, before))


def comparing_ends(
    source: Checkpoint, target: Checkpoint, mapping: KeyMapping
) -> Generator[Any, None, Comparison]:
    """Compare the keys, for suggestions of how they could be matched."""
    return (yield from comparing_anew(target, source, mapping, None))
