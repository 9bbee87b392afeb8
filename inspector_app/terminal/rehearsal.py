"""`training --rehearse`: resuming, tried by a worker, and the learning rate before and after."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from inspector_app.analysis.training_state import TrainingState
from inspector_app.analysis.training_words import number_text
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.terminal.model_options import failure_text
from inspector_app.terminal.progress_line import ProgressLine
from inspector_app.terminal.style import Style
from inspector_app.terminal.training_text import wrapped
from inspector_app.worker.client import events
from inspector_app.worker.protocol import Failed, Finished, Progress, Request
from inspector_app.worker.rehearsal_findings import finding_advice, finding_sentence
from inspector_app.worker.rehearsal_protocol import Finding, RateCurves, Rehearsed
from inspector_app.worker.rehearsal_run import rates_of, rehearsal_of

_GAP = "  "
_RATES = 6


@dataclass(frozen=True, slots=True)
class Tried:
    """How it went.

    Attributes:
        rehearsals: of each optimizer.
        rates: of each scheduler.
    """

    rehearsals: tuple[Rehearsed, ...]
    rates: tuple[RateCurves, ...]

    @property
    def works(self) -> bool:
        """Each optimizer took its step, and nothing is wrong."""
        return all(
            each.stepped and not any(finding.error for finding in each.findings)
            for each in self.rehearsals
        )


def rehearse(state: TrainingState, interpreter: str, line: ProgressLine) -> Tried:
    """Let a worker resume from each optimizer, and look ahead by each scheduler.

    Args:
        interpreter: a Python that has torch; "" for this one.

    Raises:
        Trouble: the worker cannot do it; the sentence has a next step.
    """
    try:
        rehearsals: list[Rehearsed] = [
            _answer(state, rehearsal_of(state, number), interpreter, line)
            for number in range(len(state.optimizers))
        ]
        rates = [each.rate_curves for each in rehearsals if each.rate_curves is not None]
        rates += [
            _answer(state, rates_of(state, number), interpreter, line)
            for number in range(len(rehearsals), len(state.schedulers))
        ]
    finally:
        line.erase()
    return Tried(tuple(rehearsals), tuple(rates))


def _answer(state: TrainingState, request: Request, interpreter: str, line: ProgressLine) -> Any:
    with closing(events(request, interpreter)) as happened:
        for event in happened:
            if isinstance(event, Progress):
                line.show(f"{plain(event.stage)} …")
            elif isinstance(event, Finished):
                return event.result
            elif isinstance(event, Failed):
                raise Trouble(f"{plain(state.path)}: {failure_text(event)}")
    raise AssertionError("a worker's last event is Finished or Failed")


def text_lines(tried: Tried, style: Style) -> Iterator[str]:
    """What people read, a line each."""
    for each in tried.rehearsals:
        yield style.bold(f"rehearsal with {plain(each.optimizer) or 'an unknown optimizer'}")
        if each.stepped:
            rates = ", ".join(
                f"{number_text(now)} → {number_text(after)}" for now, after in each.rates
            )
            text = f"a step was taken: {each.parameters:,} parameters moved; rate {rates}"
            yield from wrapped(_GAP, text, len(_GAP), style)
        yield from _findings(each.findings, style)
        if each.curves is not None:
            ends = (each.curves.with_state[-1], each.curves.without_state[-1])
            steps = len(each.curves.with_state) - 1
            text = (
                f"on a quadratic, after {steps} steps the loss is {ends[0]:.2g} of the first "
                f"with the optimizer's state, {ends[1]:.2g} without it"
            )
            yield from wrapped(_GAP, text, len(_GAP), style)
        yield ""
    for rates in tried.rates:
        yield style.bold(f"learning rate by {plain(rates.scheduler) or 'an unknown scheduler'}")
        for number, future in enumerate(rates.future):
            past = rates.past[number] if rates.past else ()
            group = f"group {number}: " if len(rates.future) > 1 else ""
            began = f"began at {number_text(past[0])}, " if past else ""
            now = f"now {number_text(past[-1])}, " if past else ""
            shown = ", ".join(number_text(rate) for rate in future[:_RATES])
            after = f", {number_text(future[-1])} at step {rates.at + len(future)}"
            end = after if len(future) > _RATES else ""
            comes = f"then {shown}{end}" if future else "the schedule is at its end"
            text = f"{group}step {rates.at}: {began}{now}{comes}"
            yield from wrapped(_GAP, text, 2 * len(_GAP), style)
        yield from _findings(rates.findings, style)
        yield ""


def _findings(findings: tuple[Finding, ...], style: Style) -> Iterator[str]:
    for finding in findings:
        sign = f"{'FAILS' if finding.error else 'note':<6}"
        head = _GAP + (style.warning(sign) if finding.error else sign)
        advice = finding_advice(finding.code, finding.details)
        text = f"{finding_sentence(finding.code, finding.details)}. {advice}".rstrip()
        yield from wrapped(head, text, len(_GAP) + 6, style)


def json_object(tried: Tried) -> dict[str, Any]:
    """The same for ``--json``."""
    return {
        "works": tried.works,
        "optimizers": [
            {
                "class": each.optimizer,
                "scheduler": each.scheduler,
                "stepped": each.stepped,
                "scheduler_stepped": each.scheduler_stepped,
                "parameters_changed": each.parameters,
                "rates": [[_number(now), _number(after)] for now, after in each.rates],
                "findings": [_finding(finding) for finding in each.findings],
                "curves": None
                if each.curves is None
                else {
                    "with_state": list(map(_number, each.curves.with_state)),
                    "without_state": list(map(_number, each.curves.without_state)),
                    "elements": each.curves.elements,
                    "whole": each.curves.whole,
                },
            }
            for each in tried.rehearsals
        ],
        "rates": [
            {
                "class": each.scheduler,
                "at": each.at,
                "past": [list(map(_number, rates)) for rates in each.past],
                "future": [list(map(_number, rates)) for rates in each.future],
                "assumption": each.assumption or None,
                "findings": [_finding(finding) for finding in each.findings],
            }
            for each in tried.rates
        ],
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "error": finding.error,
        "message": finding_sentence(finding.code, finding.details),
        "advice": finding_advice(finding.code, finding.details) or None,
    }
