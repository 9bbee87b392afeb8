"""The order of a run's checkpoints, and which of them is the best.

A checkpoint's place comes from what it says (step, epoch), else from its name, else from the
time at which it was written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from inspector_app.analysis.node_values import Number, number_of
from inspector_app.analysis.training_figures import words_of

if TYPE_CHECKING:
    from inspector_app.analysis.run_checkpoints import RunCheckpoint

_LOWER_IS_BETTER = frozenset(
    "loss losses error err mae mse rmse wer cer perplexity ppl fid nll bpb bpc lpips elbo".split()
)
_HELD_OUT = ("val", "valid", "validation", "eval", "dev", "test")
_EPOCH = re.compile(r"(?<![a-z])(?:epoch|ep|e)[=_\-]?(\d{1,12})(?!\d)", re.IGNORECASE)
_STEP = re.compile(
    r"(?<![a-z])(?:global_step|step|iteration|iter|it|checkpoint|ckpt|steps)[=_\-]?(\d{1,12})(?!\d)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(\d{1,12})(?=\D*$)")


class By:
    """What checkpoints are sorted by."""

    STEP = "step"
    EPOCH = "epoch"
    NUMBER = "number"  # the last one in the name
    TIME = "time"


class Place(NamedTuple):
    """What tells where a checkpoint belongs.

    Attributes:
        epoch, step: as it says, else as its name does; None if neither does.
        number: the last one in its name, or None.
    """

    epoch: Number | None
    step: Number | None
    number: int | None


NOWHERE = Place(None, None, None)


def place_of(name: str, epoch: object, step: object) -> Place:
    """The place of the file called `name` that says `epoch` and `step`, or None of them."""
    stem = re.sub(r"(\.(pth|pt|ckpt|bin|safetensors|tar|pkl|index|json))+$", "", name.lower())
    in_name = [pattern.search(stem) for pattern in (_EPOCH, _STEP, _NUMBER)]
    found = [int(match[1]) if match is not None else None for match in in_name]
    told = number_of(epoch), number_of(step)
    return Place(
        told[0] if told[0] is not None else found[0],
        told[1] if told[1] is not None else found[1],
        found[2],
    )


def sort_by(checkpoints: Sequence[RunCheckpoint]) -> str:
    """What most of the checkpoints can be sorted by: a step if all who say anything say one."""
    for by in (By.STEP, By.EPOCH):
        have = [getattr(each.place, by) is not None for each in checkpoints]
        if all(have) and have:
            return by
    counts = {
        by: sum(getattr(each.place, by) is not None for each in checkpoints)
        for by in (By.STEP, By.EPOCH, By.NUMBER)
    }
    by = max(counts, key=lambda each: counts[each])
    return by if counts[by] else By.TIME


def in_order(checkpoints: Sequence[RunCheckpoint], by: str) -> list[RunCheckpoint]:
    """The checkpoints sorted; what has no such number goes where its time puts it."""
    by_time = sorted(checkpoints, key=lambda each: (each.modified_ns, each.name))
    if by == By.TIME:
        return by_time
    keyed: list[tuple[Number, bool, RunCheckpoint]] = []
    reached: Number = float("-inf")
    for each in by_time:
        number = getattr(each.place, by)
        has_one = number is not None and not math.isnan(number)
        if has_one:
            reached = max(reached, number)
        # What has none follows the furthest one that was there when it was written.
        keyed.append((number if has_one else reached, not has_one, each))
    # Of equal steps the epoch, then the time decide.
    keyed.sort(key=lambda row: (*row[:2], _or_least(row[2].place.epoch), row[2].modified_ns))
    return [each for _, _, each in keyed]


def _or_least(number: Number | None) -> Number:
    return float("-inf") if number is None or math.isnan(number) else number


def lower_is_better(metric: str) -> bool:
    """Whether the smaller of two values of a metric of this name is the better one."""
    return not _LOWER_IS_BETTER.isdisjoint(
        word.rstrip("0123456789") for word in words_of(metric.rpartition("/")[2])
    )


def telling_metric(metrics: Sequence[str]) -> str:
    """The metric that says which checkpoint is the best: one of held-out data if there is one.

    Args:
        metrics: the names, the most common ones first; "" is returned where there is none.
    """

    def rank(name: str) -> tuple[bool, bool, bool]:
        words = words_of(name)
        best = "best" in words
        held_out = any(word.startswith(_HELD_OUT) for word in words)
        # A loss goes on falling where the model gets worse on what it has not seen.
        return best, not held_out, "train" in words

    return min(metrics, key=rank) if metrics else ""
