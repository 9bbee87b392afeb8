"""What to ask a worker about a training state: the same for window and command.

What it is asked about is described by its attributes alone (`Training`), so that neither side
imports the other.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from typing import Protocol

from inspector_app.worker.protocol import FLOAT_DTYPES
from inspector_app.worker.rehearsal_protocol import (
    OptimizerChoice,
    ParameterSpec,
    Path,
    Rates,
    Rehearse,
    SchedulerChoice,
)

_SLICE = 250
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class _Tensor(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def path(self) -> Path: ...


class _Model(Protocol):
    @property
    def tensors(self) -> Mapping[str, _Tensor]: ...
    @property
    def file(self) -> str: ...


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Entry(Protocol):
    @property
    def id(self) -> str | int: ...
    @property
    def group(self) -> int: ...
    @property
    def named(self) -> _Named: ...
    @property
    def shape(self) -> tuple[int, ...] | None: ...


class _Recognised(Protocol):
    @property
    def names(self) -> tuple[str, ...]: ...


class Optimizer(Protocol):
    """An optimizer's state, as `analysis.optimizer_state.OptimizerState` has it."""

    @property
    def path(self) -> Path: ...
    @property
    def recognised(self) -> _Recognised: ...
    @property
    def groups(self) -> Sequence[object]: ...
    @property
    def entries(self) -> Sequence[_Entry]: ...
    @property
    def file(self) -> str: ...


class Scheduler(Protocol):
    """A scheduler's state, as `analysis.scheduler_state.SchedulerState` has it."""

    @property
    def path(self) -> Path: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def parts(self) -> Sequence[Scheduler]: ...
    @property
    def file(self) -> str: ...


class _Figure(Protocol):
    @property
    def value(self) -> object: ...


class Training(Protocol):
    """The state of a training, as `analysis.training_state.TrainingState` has it."""

    @property
    def path(self) -> str: ...
    @property
    def epoch(self) -> _Figure | None: ...
    @property
    def step(self) -> _Figure | None: ...
    @property
    def models(self) -> Sequence[_Model]: ...
    @property
    def optimizers(self) -> Sequence[Optimizer]: ...
    @property
    def schedulers(self) -> Sequence[Scheduler]: ...


def rehearsal_of(training: Training, number: int = 0, class_name: str = "") -> Rehearse:
    """`describing_rehearsal` without the steps."""
    steps = describing_rehearsal(training, number, class_name)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            request: Rehearse = end.value
            return request


def describing_rehearsal(
    training: Training, number: int = 0, class_name: str = ""
) -> Generator[None, None, Rehearse]:
    """What to rehearse of `training`, and to look ahead at by the same scheduler.

    In short steps, as there may be many parameters.

    Args:
        number: of the optimizer; the scheduler of that number belongs to it.
        class_name: its class, where several could have written the state; "" for the likeliest.

    Raises:
        IndexError: there is no such optimizer.
    """
    optimizer = training.optimizers[number]
    schedulers = training.schedulers
    scheduler = schedulers[number] if number < len(schedulers) else None
    names = optimizer.recognised.names
    groups = yield from _groups(training, optimizer)
    return Rehearse(
        checkpoint=os.path.abspath(training.path),
        optimizer=OptimizerChoice(
            path=optimizer.path,
            class_name=class_name or (names[0] if names else ""),
            groups=groups,
            file=_beside(training, optimizer.file),
        ),
        scheduler=None if scheduler is None else _choice(training, scheduler),
        epoch=_count(training.epoch),
        step=_count(training.step),
        rates=None if scheduler is None else rates_of(training, number),
    )


def rates_of(training: Training, number: int = 0, ahead: int = 0) -> Rates:
    """What to ask about the rates of the scheduler of that number.

    Raises:
        IndexError: there is no such scheduler.
    """
    optimizers = training.optimizers
    optimizer = optimizers[number] if number < len(optimizers) else None
    return Rates(
        checkpoint=os.path.abspath(training.path),
        scheduler=_choice(training, training.schedulers[number]),
        optimizer=None if optimizer is None else optimizer.path,
        ahead=ahead,
        optimizer_file="" if optimizer is None else _beside(training, optimizer.file),
    )


def _choice(training: Training, scheduler: Scheduler) -> SchedulerChoice:
    return SchedulerChoice(
        path=scheduler.path,
        class_name=scheduler.names[0] if scheduler.names else "",
        parts=tuple(_choice(training, part) for part in scheduler.parts),
        file=_beside(training, scheduler.file),
    )


def _beside(training: Training, file: str) -> str:
    """The path of a file that the state names by its name."""
    if not file:
        return ""
    opened = os.path.abspath(training.path)
    folder = opened if os.path.isdir(opened) else os.path.dirname(opened)
    return os.path.join(folder, file)


def _count(figure: _Figure | None) -> int | None:
    value = None if figure is None else figure.value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if value == int(value) else None


def _groups(
    training: Training, optimizer: Optimizer
) -> Generator[None, None, tuple[tuple[ParameterSpec, ...], ...]]:
    """What the model gives to each param group.

    One group is given in the model's own order, as ``model.parameters()`` would: that it was
    saved in another one shows then. Of several only the saved arrangement is known. Where a
    parameter's name is open, it is one of those that are left: of its shape if there is one, so
    that a state which fits none of them shows.
    """
    known: dict[str, ParameterSpec] = {}
    for model in training.models:
        file = _beside(training, model.file)
        for number, (name, tensor) in enumerate(model.tensors.items()):
            if number % _SLICE == _SLICE - 1:
                yield
            known[name] = ParameterSpec(name, tensor.shape, tensor.dtype, tensor.path, file)
    entries = [entry for entry in optimizer.entries if 0 <= entry.group < len(optimizer.groups)]
    yield
    claimed = {entry.named.name for entry in entries}
    yield
    left = [
        spec for name, spec in known.items() if name not in claimed and _is_parameter(name, spec)
    ]
    yield
    nameless = [entry for entry in entries if entry.named.name not in known]
    yield
    given = _placed(nameless, left) if len(left) == len(nameless) else {}
    groups: list[list[ParameterSpec]] = [[] for _ in optimizer.groups]
    for number, entry in enumerate(entries):
        if number % _SLICE == _SLICE - 1:
            yield
        spec = known.get(entry.named.name) or given.get(id(entry))
        groups[entry.group].append(
            spec or ParameterSpec(f"parameter {entry.id}", entry.shape or (1,))
        )
    if len(groups) == 1 and all(spec.path is not None for spec in groups[0]):
        yield
        order = {name: place for place, name in enumerate(known)}
        yield
        groups[0].sort(key=lambda spec: order[spec.name])
    return tuple(map(tuple, groups))


def _is_parameter(name: str, spec: ParameterSpec) -> bool:
    return spec.dtype in FLOAT_DTYPES and name.rpartition(".")[2] not in _BUFFERS


def _placed(nameless: Sequence[_Entry], left: Sequence[ParameterSpec]) -> dict[int, ParameterSpec]:
    """Each of `nameless` with one of `left`: of its shape, or what remains, in order."""
    by_shape: dict[tuple[int, ...] | None, deque[ParameterSpec]] = {}
    for spec in left:
        by_shape.setdefault(spec.shape, deque()).append(spec)
    found: dict[int, ParameterSpec] = {}
    for entry in nameless:
        fitting = by_shape.get(entry.shape)
        if fitting:
            found[id(entry)] = fitting.popleft()
    remaining = iter([spec for fitting in by_shape.values() for spec in fitting])
    for entry in nameless:
        if id(entry) not in found:
            found[id(entry)] = next(remaining)
    return found
