"""What is chosen for a transfer, and what becomes of each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from inspector_app.analysis.key_mapping import NO_MAPPING, KeyMapping
from inspector_app.checkpoint.model import Checkpoint, TensorInfo, TreePath


class Act:
    """What becomes of a key of the target."""

    TAKE = "take"  # the source's tensor
    KEEP = "keep"  # the target's own
    FIT = "fit"  # the target's, with what of the source's fits into it
    INITIALISE = "initialise"  # new values


class Where:
    """Which part of a longer axis is taken, and into which part of a longer one it goes."""

    BEGIN = "begin"
    CENTRE = "centre"
    END = "end"


class Reason:
    """Why a tensor of the source does not flow, or what is to be known where it does."""

    ABSENT = "absent"  # the target has no such key
    SHAPE = "shape"
    DTYPE = "dtype"  # it flows; loading it casts
    CHOSEN = "chosen"  # the user keeps the target's
    NOT_STRIDED = "not-strided"  # sparse, quantized and so on, where values have to be fitted


@dataclass(frozen=True, slots=True)
class Initial:
    """New values: see `output_tree.InitialValues`."""

    kind: str = "zeros"
    amount: float = 0.02
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants for one key of the target.

    Attributes:
        act: of `Act`.
        where: for `Act.FIT`, one for each axis or one for all; of `Where`.
        initial: for `Act.INITIALISE`, and for `Act.FIT` what fills the rest; None there keeps
            the target's own values.
    """

    act: str
    where: tuple[str, ...] = (Where.BEGIN,)
    initial: Initial | None = None


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """
    Attributes:
        mapping: how keys of the source (B) are matched with the target's (A), as in the
            comparison.
        source_section, target_section: paths; None is the model.
        choices: by the target's key; others take what fits and keep the rest.
        mismatched: for keys of another shape without a choice of their own.
        missing: for keys that the source lacks, without a choice of their own.
        cast: what flows gets the target's dtype; otherwise it keeps its own, as in the
            dictionary filter, and is cast when it is loaded.
    """

    mapping: KeyMapping = NO_MAPPING
    source_section: TreePath | None = None
    target_section: TreePath | None = None
    choices: Mapping[str, Choice] = field(default_factory=dict)
    mismatched: Choice = Choice(Act.KEEP)
    missing: Choice = Choice(Act.KEEP)
    cast: bool = False


class Flow(NamedTuple):
    """One key of the target.

    Attributes:
        key: the target's.
        target: what it has.
        source_key: of the source's tensor that is meant for it, or None.
        source: that tensor, or None.
        choice: what is done, as it was chosen or by default.
        reasons: of `Reason`: where it does not flow why not; ``dtype`` also where it does.
    """

    key: str
    target: TensorInfo
    source_key: str | None
    source: TensorInfo | None
    choice: Choice
    reasons: tuple[str, ...]

    @property
    def flows(self) -> bool:
        return self.choice.act in (Act.TAKE, Act.FIT)

    @property
    def skipped(self) -> bool:
        """The source has something for it that does not flow."""
        return self.source is not None and not self.flows


class Unused(NamedTuple):
    """A tensor of the source for which the target has no key: always skipped."""

    key: str
    matched_as: str
    tensor: TensorInfo


@dataclass(frozen=True, slots=True, eq=False)
class TransferPlan:
    """
    Attributes:
        flows: each key of the target, in its order.
        unused: in the source's order.
        source, target: the checkpoints; the paths are those of the two state_dicts.
    """

    source: Checkpoint
    target: Checkpoint
    source_section: TreePath
    target_section: TreePath
    options: TransferOptions
    flows: tuple[Flow, ...]
    unused: tuple[Unused, ...]

    @property
    def skipped(self) -> int:
        """How many tensors of the source do not flow."""
        return len(self.unused) + sum(flow.skipped for flow in self.flows)
