"""What a worker is asked about a training that goes on, and what it answers.

`Rehearse` rebuilds the optimizer and the scheduler from their states, over parameters of the
saved shapes, and takes one step. `Rates` asks torch's own scheduler what the learning rate
was and will be. Nothing of the user's code runs: the classes are those of ``torch.optim``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A parameter that the model gives to the optimizer.

    Attributes:
        name: as `named_parameters` calls it.
        shape: its size.
        dtype: torch's name without ``torch.``.
        path: where its value lies in the checkpoint, or None: then it is made up.
        file: that it lies in, an absolute path; "" for the checkpoint's own.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    path: Path | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class SchedulerChoice:
    """A scheduler's state and the class that it is taken for.

    Attributes:
        path: of its state_dict in the checkpoint.
        class_name: of ``torch.optim.lr_scheduler``, without the module.
        parts: of a ``SequentialLR`` or ``ChainedScheduler`` the schedulers in it.
        file: that it lies in, an absolute path; "" for the checkpoint's own.
    """

    path: Path
    class_name: str
    parts: tuple[SchedulerChoice, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class OptimizerChoice:
    """An optimizer's state, the class that it is taken for, and what it goes over.

    Attributes:
        path: of its state_dict in the checkpoint.
        class_name: of ``torch.optim``, without the module.
        groups: the parameters that the model gives, a tuple per param group, in the order in
            which they are given; empty for as many as the state has, of the shapes in it.
        file: that it lies in, an absolute path; "" for the checkpoint's own.
    """

    path: Path
    class_name: str
    groups: tuple[tuple[ParameterSpec, ...], ...] = ()
    file: str = ""


# --- requests


@dataclass(frozen=True, slots=True)
class Rates:
    """What was the learning rate, and what will it be?

    Attributes:
        checkpoint: an absolute path.
        scheduler: whose rates.
        optimizer: the path of the optimizer's state_dict, for the rates of its groups; None
            for groups with the scheduler's own.
        optimizer_file: that it lies in, an absolute path; "" for the checkpoint's own.
        ahead: steps of the scheduler to look ahead; 0 for what its state suggests.
    """

    kind: ClassVar[str] = "rates"
    checkpoint: str
    scheduler: SchedulerChoice
    optimizer: Path | None = None
    ahead: int = 0
    optimizer_file: str = ""


@dataclass(frozen=True, slots=True)
class Rehearse:
    """Go on with the training for one step, in memory.

    Attributes:
        checkpoint: an absolute path.
        optimizer: what is rebuilt.
        scheduler: what is rebuilt over it, or None.
        epoch: that the checkpoint says it has reached, or None.
        step: the global step that it says, or None.
        chart_steps: of the two runs on a quadratic; 0 leaves them out.
        rates: what to look ahead at as well; it costs nothing beside importing torch.
    """

    kind: ClassVar[str] = "rehearse"
    checkpoint: str
    optimizer: OptimizerChoice
    scheduler: SchedulerChoice | None = None
    epoch: int | None = None
    step: int | None = None
    chart_steps: int = 60
    rates: Rates | None = None


# --- results


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that resuming would meet.

    Attributes:
        code: of `rehearsal_findings.FINDINGS`, which has the sentence and the next step.
        details: the sentence's arguments.
        error: resuming fails or goes wrong; else it is only worth knowing.
    """

    code: str
    details: Mapping[str, object]
    error: bool = True


@dataclass(frozen=True, slots=True)
class ResumeCurves:
    """The loss of two runs on one quadratic, with the optimizer's state and without it.

    Attributes:
        with_state, without_state: the loss before each step, the first being 1.
        elements: elements of all parameters that ran.
        whole: these were all; else a slice of each parameter ran.
    """

    with_state: tuple[float, ...]
    without_state: tuple[float, ...]
    elements: int
    whole: bool


@dataclass(frozen=True, slots=True)
class RateCurves:
    """Learning rates by the scheduler's steps.

    Attributes:
        scheduler: the class.
        at: the scheduler's step that the checkpoint stands at.
        past: per param group the rates of steps 0 to `at`; empty where they cannot be known.
        future: per param group the rates of the steps after `at`; empty as well.
        assumption: a code of `rehearsal_findings.FINDINGS` where `future` holds only under a
            condition, or "".
        findings: why the past or the future cannot be known, and what does not agree.
    """

    kind: ClassVar[str] = "rate-curves"
    scheduler: str
    at: int
    past: tuple[tuple[float, ...], ...]
    future: tuple[tuple[float, ...], ...]
    assumption: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """How resuming went.

    Attributes:
        optimizer, scheduler: the classes that were rebuilt; "" for none.
        stepped: the optimizer took its step.
        scheduler_stepped: so did the scheduler.
        parameters: how many the step changed.
        rates: the learning rates per param group that the step had, and the next would have.
        findings: errors first.
        curves: None where they were not asked for or cannot be drawn.
        curves_missing: why there are none, as a code of `rehearsal_findings.FINDINGS`, or "".
        rate_curves: what was asked for besides.
    """

    kind: ClassVar[str] = "rehearsed"
    optimizer: str
    scheduler: str
    stepped: bool
    scheduler_stepped: bool
    parameters: int
    rates: tuple[tuple[float, float], ...]
    findings: tuple[Finding, ...]
    curves: ResumeCurves | None
    curves_missing: str = ""
    rate_curves: RateCurves | None = None
