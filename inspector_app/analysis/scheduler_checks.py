"""Whether a scheduler's state agrees with the optimizer and with how far the training is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector_app.analysis.node_values import Number, number_of
from inspector_app.analysis.resume_check import Check, CheckStatus, Subject
from inspector_app.analysis.scheduler_state import SchedulerState
from inspector_app.analysis.training_state import TrainingState
from inspector_app.analysis.training_words import Words, number_text, numbers_text

# Rates that a float32 or a printed number may have rounded.
_CLOSE = 1e-6


def scheduler_checks(
    state: TrainingState, counters: Sequence[Sequence[tuple[str, Number]]]
) -> Iterator[Check]:
    """The checks of all schedulers."""
    if not state.schedulers:
        moved = any(
            "initial_lr" in group.options
            for optimizer in state.optimizers
            for group in optimizer.groups
        )
        # What every scheduler of torch writes into the param groups.
        status = CheckStatus.WARNING if moved else CheckStatus.NOTE
        code = "resume-scheduler-lost" if moved else "resume-no-scheduler"
        yield Check(Subject.SCHEDULER, status, Words(code))
        return
    for number, scheduler in enumerate(state.schedulers):
        where = "/".join(map(str, scheduler.path)) if len(state.schedulers) > 1 else ""
        steps = counters[number] if len(counters) == len(state.schedulers) else ()
        if not steps and len(counters) == 1:
            steps = counters[0]
        yield _at(state, scheduler, [value for _, value in steps])._replace(where=where)
        rates = _rates(state, scheduler, number)
        if rates is not None:
            yield rates._replace(where=where)


def _at(state: TrainingState, scheduler: SchedulerState, steps: Sequence[Number]) -> Check:
    """It has made as many steps as the epochs, or the optimizer's steps, that are told."""
    last = scheduler.last_epoch
    epoch = number_of(state.epoch.value) if state.epoch is not None else None
    step = number_of(state.step.value) if state.step is not None else None
    made = max(steps, default=None)
    told = [
        f"{name} {number_text(value)}"
        for name, value in (("epoch", epoch), ("step", step), ("optimizer steps", made))
        if value is not None
    ]
    details: dict[str, object] = {
        "kind": scheduler.kind or "scheduler",
        "count": number_text(last),
        "told": ", ".join(told),
    }
    if last is None:
        return _check(CheckStatus.NOTE, "resume-scheduler-uncounted", details)
    if not told:
        return _check(CheckStatus.NOTE, "resume-scheduler-alone", details)
    if epoch is not None and last in (epoch, epoch + 1):
        return _check(CheckStatus.OK, "resume-scheduler-epochs", details)
    for count in (step, made):
        if count is not None and last in (count - 1, count, count + 1):
            return _check(CheckStatus.OK, "resume-scheduler-steps", details)
    # Stepped with each batch, which no counter of the file tells.
    for count in (epoch, None if epoch is None else epoch + 1):
        if count and step is None and made is None and last > count and last % count == 0:
            each = {**details, "each": number_text(last // count)}
            return _check(CheckStatus.NOTE, "resume-scheduler-batches", each)
    return _check(CheckStatus.WARNING, "resume-scheduler-elsewhere", details)


def _rates(state: TrainingState, scheduler: SchedulerState, number: int) -> Check | None:
    """The rates that it stands at are those in the param groups."""
    if not scheduler.rates or not state.optimizers:
        return None
    chosen = state.optimizers[number if len(state.optimizers) > number else 0]
    rates = [number_of(group.options.get("lr")) for group in chosen.groups]
    if len(rates) != len(scheduler.rates):
        details: dict[str, object] = {"count": len(scheduler.rates), "groups": len(rates)}
        return _check(CheckStatus.FAILED, "resume-scheduler-groups", details)
    pairs = [(one, two) for one, two in zip(rates, scheduler.rates, strict=True) if one is not None]
    if all(abs(one - two) <= _CLOSE * max(abs(one), abs(two)) for one, two in pairs):
        return None
    details = {
        "rates": numbers_text(scheduler.rates),
        "groups": numbers_text([one for one, _ in pairs]),
    }
    return _check(CheckStatus.WARNING, "resume-scheduler-rates", details)


def _check(status: str, code: str, details: dict[str, object]) -> Check:
    return Check(Subject.SCHEDULER, status, Words(code, details))
