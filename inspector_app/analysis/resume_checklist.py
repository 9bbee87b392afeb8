"""Can a training go on from a checkpoint? A list of what was looked at, each with its reason.

`checking` is a plain generator. It reads the counters of the optimizer's steps, and the values
of the weights only if it is asked to.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from inspector_app.analysis.node_values import Number, SingleValues
from inspector_app.analysis.optimizer_checks import MOST_COUNTERS, checking_optimizers
from inspector_app.analysis.optimizer_state import Entry
from inspector_app.analysis.resume_check import Check, CheckStatus, Subject, named_places
from inspector_app.analysis.scheduler_checks import scheduler_checks
from inspector_app.analysis.training_parts import PartKind
from inspector_app.analysis.training_state import TrainingState
from inspector_app.analysis.training_words import Words, number_text
from inspector_app.checkpoint.model import Progress, TensorInfo
from inspector_app.checkpoint.values import open_values

__all__ = ["Check", "CheckStatus", "Checklist", "Subject", "checking", "checklist"]

_SLICE = 5_000
_COUNTERS_A_STEP = 16
_THREADS = 2
_NOT_WHOLE = frozenset(
    "truncated bad-directory entry-bounds record-size missing-record broken-record broken-pickle "
    "missing-shard broken-shard missing-key storage-size view-bounds bad-tensor".split()
)
_MIXED = ("amp", "fp16", "use_amp", "mixed_precision", "half")


@dataclass(frozen=True, slots=True)
class Checklist:
    """What was found.

    Attributes:
        checks: in the order in which one resumes.
        finite: the values of the weights were looked at.
    """

    checks: tuple[Check, ...]
    finite: bool

    @property
    def resumable(self) -> bool:
        """Nothing stands against resuming."""
        return all(check.status != CheckStatus.FAILED for check in self.checks)


def checklist(state: TrainingState, values: bool = False) -> Checklist:
    """`checking` without the steps."""
    steps = checking(state, values)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Checklist = end.value
            return found


def checking(state: TrainingState, values: bool = False) -> Generator[Progress, None, Checklist]:
    """Look at everything that resuming needs; the list is the return value.

    Args:
        values: also read all weights, whether they are finite.
    """
    checks = [(yield from _model(state))]
    if values and state.models:
        checks.append((yield from _finite(state)))
    counters = yield from _counters(state)
    checks += yield from checking_optimizers(state, counters)
    checks += scheduler_checks(state, counters)
    checks += _others(state)
    return Checklist(tuple(checks), values)


def _model(state: TrainingState) -> Generator[Progress, None, Check]:
    """The weights are there, all of them."""
    if not state.models:
        return Check(Subject.MODEL, CheckStatus.FAILED, Words("resume-no-model"))
    files = {model.file for model in state.models} | {each.file for each in state.optimizers}
    places = [
        problem.where or problem.message
        for file in files
        for problem in state.sources[file].problems
        if problem.code in _NOT_WHOLE
    ]
    meta = []
    for model in state.models:
        for number, (key, tensor) in enumerate(model.tensors.items()):
            if number % _SLICE == _SLICE - 1:
                yield Progress("weights", number, len(model.tensors))
            if tensor.device == "meta":
                meta.append(key)
    lost = list(dict.fromkeys([*places, *meta]))
    if lost:
        details = {"count": len(lost), "names": named_places(lost)}
        return Check(Subject.MODEL, CheckStatus.FAILED, Words("resume-model-torn", details))
    count = sum(len(model.tensors) for model in state.models)
    return Check(Subject.MODEL, CheckStatus.OK, Words("resume-model", {"count": count}))


def _finite(state: TrainingState) -> Generator[Progress, None, Check]:
    """Read the weights, and what the optimizers keep, and look for NaNs and infinities."""
    from inspector_app.analysis.stats import measuring

    bad: list[str] = []
    for file, source in state.sources.items():
        tensors = [
            tensor
            for model in state.models
            if model.file == file
            for tensor in model.tensors.values()
        ]
        tensors += [
            slot.node
            for optimizer in state.optimizers
            if optimizer.file == file
            for entry in optimizer.entries
            for slot in entry.slots
            if isinstance(slot.node, TensorInfo) and slot.node.shape
        ]
        with open_values(source) as reader:
            steps = measuring(reader, tensors, threads=_THREADS)
            with closing(steps):
                for step in steps:
                    for found in step.finished:
                        values = found.values
                        if values is not None and (values.nans or values.infinities):
                            bad.append(found.tensor.name)
                    yield Progress("values", step.done, step.total)
    if bad:
        details = {"count": len(bad), "names": named_places(sorted(bad))}
        return Check(Subject.FINITE, CheckStatus.FAILED, Words("resume-not-finite", details))
    return Check(Subject.FINITE, CheckStatus.OK, Words("resume-finite"))


def _counters(
    state: TrainingState,
) -> Generator[Progress, None, list[list[tuple[str, Number]]]]:
    """The step counters of each optimizer's parameters, with the parameters' names."""
    found = []
    for optimizer in state.optimizers:
        counters: list[tuple[str, Number]] = []
        taken: Sequence[Entry] = optimizer.entries
        if len(taken) > MOST_COUNTERS:
            step = len(taken) / MOST_COUNTERS
            taken = [taken[int(place * step)] for place in range(MOST_COUNTERS)]
        with closing(SingleValues(state.sources[optimizer.file])) as values:
            for number, entry in enumerate(taken):
                if number % _COUNTERS_A_STEP == 0:
                    yield Progress("steps", number, len(taken))
                value = values.number(entry.counter)
                if value is not None:
                    counters.append((entry.named.name or str(entry.id), value))
        found.append(counters)
    return found


def _others(state: TrainingState) -> Iterator[Check]:
    kinds = {part.kind: part for part in state.parts}
    scaler = kinds.get(PartKind.SCALER)
    if scaler is not None:
        yield Check(Subject.SCALER, CheckStatus.OK, scaler.words)
    elif _says_mixed(state):
        yield Check(Subject.SCALER, CheckStatus.WARNING, Words("resume-no-scaler-but-mixed"))
    else:
        yield Check(Subject.SCALER, CheckStatus.NOTE, Words("resume-no-scaler"))
    rng = kinds.get(PartKind.RNG)
    if rng is not None:
        yield Check(Subject.RNG, CheckStatus.OK, rng.words)
    else:
        yield Check(Subject.RNG, CheckStatus.NOTE, Words("resume-no-rng"))
    reached = [figure for figure in (state.epoch, state.step) if figure is not None]
    if reached:
        shown = ", ".join(f"{figure.name} {number_text(figure.value)}" for figure in reached)
        yield Check(Subject.PROGRESS, CheckStatus.OK, Words("resume-progress", {"shown": shown}))
    else:
        yield Check(Subject.PROGRESS, CheckStatus.WARNING, Words("resume-no-progress"))
    if PartKind.DATA_LOADER in kinds:
        yield Check(Subject.DATA, CheckStatus.OK, Words("part-data-loader"))
    else:
        yield Check(Subject.DATA, CheckStatus.NOTE, Words("resume-no-data-loader"))
    if state.averages:
        yield Check(Subject.AVERAGE, CheckStatus.OK, Words("resume-average"))


def _says_mixed(state: TrainingState) -> bool:
    """The configuration switches mixed precision with fp16 on."""
    for figure in state.config:
        name = figure.name.rpartition("/")[2].lower()
        if name in _MIXED and figure.value not in (False, None, 0, "no", "bf16", "", "off"):
            return True
    return False
