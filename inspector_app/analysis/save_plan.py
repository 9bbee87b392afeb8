"""What will be written when a checkpoint is saved in another form, and what will not, and why.

`planning` decides everything from the structure alone: no value is read. `saving.save.saving`
carries the plan out.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from inspector_app.analysis.output_tree import Out, OutTensor
from inspector_app.analysis.save_options import SaveOptions
from inspector_app.checkpoint.model import Checkpoint, Progress, TensorInfo


class Why:
    """Why something of the source is not written, or not as it was."""

    NOT_CHOSEN = "not-chosen"  # a part that was not asked for
    DROPPED = "dropped"  # by --drop, or not among --keep
    REPLACED = "replaced"  # the moving average, whose values the model took
    FORM = "form"  # the form that is written has no room for it
    NO_VALUES = "no-values"  # the file has no values for it
    NOT_PLAIN = "not-plain"  # an object that weights_only would refuse
    DTYPE = "dtype"  # no such dtype in the form that is written


class Left(NamedTuple):
    """Something that is not written.

    Attributes:
        name: its name in the source.
        why: of `Why`.
        tensors, nbytes: how much it holds; bytes that something written shares are not
            counted.
        details: arguments of the sentence.
        chosen: the user asked for it.
    """

    name: str
    why: str
    tensors: int
    nbytes: int
    details: dict[str, object]
    chosen: bool


class Changed(NamedTuple):
    """Something that is written in another form than it was; not silently.

    Attributes:
        name: its name in the source.
        what: a code: ``object-to-dict``, ``array-to-tensor``, ``to-number``, ``to-text``,
            ``to-list``, ``to-set``, ``to-dict``, ``module-to-state-dict``,
            ``subclass-to-tensor``, ``storage-to-tensor``, ``key-to-text``, ``untied``.
        details: ``type``: what it was.
    """

    name: str
    what: str
    details: dict[str, object]


class PlannedTensor(NamedTuple):
    """A tensor that is written.

    Attributes:
        name: in the result, joined by ``/``; in safetensors and npz the key.
        source: what it comes from, of the first checkpoint that has it.
        tensor: what is written.
        note: ``""``, or what is done to it: a code of ``cast``, ``average``, ``ema``.
    """

    name: str
    source: TensorInfo
    tensor: OutTensor
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class SavePlan:
    """Everything that is needed to write, and to show beforehand.

    Attributes:
        target: the file to write; for shards the name they and their index are made from.
        form: of `analysis.save_options.Form`.
        checkpoints: what is read.
        root: of a torch file, what is pickled; else None.
        tensors: all that is written, in order.
        left, changed: what is not written, or in another form.
        aliases: of tied tensors that are written once: the name that is not, and the name
            that is.
        metadata: of safetensors.
        max_shard_bytes: of a shard, or None.
        source_bytes: length of the sources' files.
        written_bytes: length of the result, to about a thousandth.
    """

    target: str
    form: str
    checkpoints: tuple[Checkpoint, ...]
    root: Out
    tensors: tuple[PlannedTensor, ...]
    left: tuple[Left, ...] = ()
    changed: tuple[Changed, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    max_shard_bytes: int | None = None
    source_bytes: int = 0
    written_bytes: int = 0

    @property
    def saved_bytes(self) -> int:
        """How much smaller the result is; negative where it is larger."""
        return self.source_bytes - self.written_bytes

    @property
    def lost_tensors(self) -> list[Left]:
        """Tensors that the user did not leave out and that cannot be written all the same."""
        return [each for each in self.left if each.tensors and not each.chosen]


def planning(
    checkpoints: Sequence[Checkpoint], target: str | os.PathLike[str], options: SaveOptions
) -> Generator[Progress, None, SavePlan]:
    """Plan to save the first of `checkpoints`, or the average of all, as `target`.

    Raises:
        CheckpointError: the options do not fit the file; the sentence says how.
    """
    raise NotImplementedError
    yield


def plan(
    checkpoints: Sequence[Checkpoint], target: str | os.PathLike[str], options: SaveOptions
) -> SavePlan:
    """What `planning` returns, in one call."""
    steps = planning(checkpoints, target, options)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: SavePlan = end.value
            return made
