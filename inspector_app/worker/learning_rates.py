"""What the learning rate was and will be, by torch's own scheduler."""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.protocol import Progress
from inspector_app.worker.rehearsal_protocol import Finding, RateCurves, Rates
from inspector_app.worker.training_objects import (
    OF_FUNCTIONS,
    NotOfTorch,
    States,
    build_scheduler,
    resume_scheduler,
)

_LEAST_AHEAD = 20
_MOST_STEPS = 200_000  # in all: seconds of Python
_REPORTED = 2_000  # steps between two events
# Where a state says how long its schedule is.
_LENGTHS = ("T_max", "total_steps", "total_iters", "total_size")


def looking_ahead(request: Rates) -> Generator[Progress, None, RateCurves]:
    """The rates before and after where the checkpoint stands."""
    states = States(request.checkpoint)
    choice = request.scheduler
    state = states.at(choice.path, choice.file)
    saved = None
    if request.optimizer is not None:
        saved = states.at(request.optimizer, request.optimizer_file)
    if not isinstance(state, Mapping):
        raise Failure("no-state", file=request.checkpoint, path="/".join(map(str, choice.path)))
    at = state.get("last_epoch")
    at = at if isinstance(at, int) and at >= 0 else _chained_at(state)
    name = choice.class_name
    if name in OF_FUNCTIONS or any(each.class_name in OF_FUNCTIONS for each in choice.parts):
        finding = Finding("needs-functions", {"scheduler": name})
        return RateCurves(name, at, (), (), findings=(finding,))
    findings: list[Finding] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            past = yield from _past(request, state, saved, at, findings)
            future = yield from _future(request, state, saved, at)
        except NotOfTorch as error:
            finding = Finding("unknown-class", {"name": str(error) or "An unknown class"})
            return RateCurves(name, at, (), (), findings=(finding,))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            finding = Finding("scheduler-fails", {"scheduler": name, "error": str(error)})
            return RateCurves(name, at, (), (), findings=(finding,))
    assumption = ""
    if name == "ReduceLROnPlateau":
        assumption = "no-improvement"
        findings.append(Finding("needs-metric", {"scheduler": name}, error=False))
    return RateCurves(name, at, past, future, assumption, tuple(findings))


def _chained_at(state: Mapping[str, Any]) -> int:
    """A ChainedScheduler does not count; what it chains does."""
    parts = state.get("_schedulers")
    counted = [each.get("last_epoch") for each in parts or () if isinstance(each, Mapping)]
    return max((each for each in counted if isinstance(each, int)), default=0)


def _optimizer(state: Mapping[str, Any], saved: Mapping[str, Any] | None) -> Any:
    """An optimizer whose groups have the saved options: all that a scheduler looks at."""
    import torch

    groups = list((saved or {}).get("param_groups") or ())
    if not groups:
        base = state.get("base_lrs") or state.get("_last_lr") or [1.0]
        groups = [{"lr": rate, "initial_lr": rate} for rate in base]
    betas = "betas" in groups[0]
    made: Any = torch.optim.Adam if betas else torch.optim.SGD
    optimizer = made([{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in groups], lr=1.0)
    for group, options in zip(optimizer.param_groups, groups, strict=True):
        # A constructor of a scheduler begins with the first rate that there was.
        rate = options.get("initial_lr", options.get("lr", 1.0))
        group.update({k: v for k, v in options.items() if k not in ("params", "param_names")})
        group["lr"] = rate
        group["fused"] = group["foreach"] = None
        group["capturable"] = False
    return optimizer


def _rates(optimizer: Any) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def _last(state: Mapping[str, Any], saved: Mapping[str, Any] | None) -> list[float]:
    groups = (saved or {}).get("param_groups")
    if groups:
        return [float(group["lr"]) for group in groups]
    return [float(rate) for rate in state.get("_last_lr") or ()]


def _past(
    request: Rates,
    state: Mapping[str, Any],
    saved: Mapping[str, Any] | None,
    at: int,
    findings: list[Finding],
) -> Generator[Progress, None, tuple[tuple[float, ...], ...]]:
    """Rates of steps 0 to `at` by group, if they lead to those that were saved."""
    if request.scheduler.class_name == "ReduceLROnPlateau" or at > _MOST_STEPS:
        return ()
    optimizer = _optimizer(state, saved)
    scheduler = build_scheduler(request.scheduler, state, optimizer)
    seen = [_rates(optimizer)]
    for step in range(at):
        scheduler.step()
        seen.append(_rates(optimizer))
        if step % _REPORTED == 0:
            yield Progress("compute the rates before", step, at)
    last = _last(state, saved)
    for computed, now in zip(seen[-1], last, strict=False):
        if not math.isclose(computed, now, rel_tol=1e-6, abs_tol=1e-12):
            details: dict[str, object] = {"computed": f"{computed:g}", "saved": f"{now:g}"}
            findings.append(Finding("past-unknown", details, error=False))
            return ()
    return _by_group(seen)


def _future(
    request: Rates, state: Mapping[str, Any], saved: Mapping[str, Any] | None, at: int
) -> Generator[Progress, None, tuple[tuple[float, ...], ...]]:
    optimizer = _optimizer(state, saved)
    scheduler = build_scheduler(request.scheduler, state, optimizer)
    resume_scheduler(scheduler, state, _last(state, saved) or _rates(optimizer))
    seen = []
    ahead = min(request.ahead or _suggested(state, at), _MOST_STEPS)
    total = state.get("total_steps")
    if isinstance(total, int) and request.scheduler.class_name == "OneCycleLR":
        ahead = min(ahead, max(total - 1 - at, 0))  # it raises after its last step
    plateau = request.scheduler.class_name == "ReduceLROnPlateau"
    for step in range(ahead):
        if plateau:
            scheduler.step(scheduler.mode_worse)
        else:
            scheduler.step()
        seen.append(_rates(optimizer))
        if step % _REPORTED == 0:
            yield Progress("compute the rates to come", step, ahead)
    return _by_group(seen)


def _suggested(state: Mapping[str, Any], at: int) -> int:
    """To the end of the schedule where it has one, and as far again as it has come."""
    ends = [state.get(key) for key in _LENGTHS]
    milestones = state.get("milestones") or state.get("_milestones")
    ends += list(milestones or ())
    for part in state.get("_schedulers") or ():
        if isinstance(part, Mapping):
            ends += [part.get(key) for key in _LENGTHS]
    known = [math.ceil(each) for each in ends if isinstance(each, (int, float))]
    left = max(known, default=0) - at
    for key in ("step_size", "T_i"):
        length = state.get(key)
        if isinstance(length, (int, float)):
            left = max(left, math.ceil(3 * length))
    if "patience" in state:
        left = max(left, 4 * (int(state["patience"]) + 1))
    return max(left + left // 10, at // 2, _LEAST_AHEAD)


def _by_group(seen: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(zip(*seen, strict=True)) if seen else ()
