"""A rehearsal: can training go on from this checkpoint, and does its first step work?

The optimizer and the scheduler are rebuilt from their states, over parameters of the saved
shapes, and take a step with gradients that are made up. What would go wrong silently, such
as states that land on other parameters, is looked for besides.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inspector_app.worker.learning_rates import looking_ahead
from inspector_app.worker.protocol import Progress
from inspector_app.worker.rehearsal_memory import memory_finding
from inspector_app.worker.rehearsal_protocol import (
    Finding,
    OptimizerChoice,
    ParameterSpec,
    Rehearse,
    Rehearsed,
    ResumeCurves,
    SchedulerChoice,
)
from inspector_app.worker.resume_checks import (
    first_names,
    group_findings,
    scheduler_findings,
    state_findings,
    tensors_of,
)
from inspector_app.worker.resume_curves import NoCurves, resume_curves
from inspector_app.worker.training_objects import (
    NotOfTorch,
    States,
    build_optimizer,
    build_scheduler,
    resume_scheduler,
)

_SEED = 0


@dataclass(slots=True)
class Rebuilt:
    """An optimizer that has its state back.

    Attributes:
        optimizer: of ``torch.optim``.
        names: of its parameters, group by group.
        state: the state_dict that it was given.
        findings: what was found on the way.
    """

    optimizer: Any
    names: list[list[str]]
    state: Mapping[str, Any]
    findings: list[Finding]

    def parameters(self) -> list[tuple[str, Any]]:
        """Each parameter with its name."""
        groups = zip(self.names, self.optimizer.param_groups, strict=True)
        return [
            pair for names, group in groups for pair in zip(names, group["params"], strict=True)
        ]


def rehearsing(request: Rehearse) -> Generator[Progress, None, Rehearsed]:
    """Rebuild, take a step, and say how it went."""
    result = yield from _rehearsing(request)
    if request.rates is None:
        return result
    curves = yield from looking_ahead(request.rates)
    return replace(result, rate_curves=curves)


def _rehearsing(request: Rehearse) -> Generator[Progress, None, Rehearsed]:
    yield Progress("read the states")
    states = States(request.checkpoint)
    asked = request.optimizer
    short = memory_finding(asked.groups, states.node_at(asked.path, asked.file))
    if short is not None:
        return _ended(request, [short])
    yield Progress("rebuild the optimizer")
    rebuilt = rebuild(request.optimizer, states)
    if isinstance(rebuilt, Finding):
        return _ended(request, [rebuilt])
    findings = rebuilt.findings
    if any(each.code in ("groups-differ", "group-size", "load-refused") for each in findings):
        return _ended(request, findings)
    scheduler = None
    if request.scheduler is not None:
        scheduler = _rebuilt_scheduler(request.scheduler, states, rebuilt, request)
    before = _rates(rebuilt.optimizer)
    if before and not any(before):
        findings.append(Finding("stands-still", {}, error=False))
    curves: ResumeCurves | None = None
    missing = ""
    if request.chart_steps and not any(each.error for each in findings):
        yield Progress("run with and without the state")
        try:
            curves = resume_curves(rebuilt.optimizer, request.optimizer.class_name, request)
        except NoCurves as reason:
            missing = str(reason)
        except Exception:  # whatever a damaged state makes torch say: the step below says it
            missing = "chart-fails"
    yield Progress("take a step")
    changed = _stepped(rebuilt, request.optimizer.class_name)
    scheduler_stepped = False
    if scheduler is not None and changed is not None:
        scheduler_stepped = _scheduler_stepped(scheduler, request, findings)
    rates = zip(before, _rates(rebuilt.optimizer), strict=True)
    return Rehearsed(
        optimizer=request.optimizer.class_name,
        scheduler="" if scheduler is None else type(scheduler).__name__,
        stepped=changed is not None,
        scheduler_stepped=scheduler_stepped,
        parameters=changed or 0,
        rates=tuple(rates),
        findings=_sorted(findings),
        curves=curves,
        curves_missing=missing,
    )


def _ended(request: Rehearse, findings: Sequence[Finding]) -> Rehearsed:
    """What can be said where there is no optimizer that could step."""
    name = request.optimizer.class_name
    return Rehearsed(name, "", False, False, 0, (), _sorted(findings), None)


def _sorted(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda each: not each.error))


# --- the optimizer


def rebuild(choice: OptimizerChoice, states: States) -> Rebuilt | Finding:
    """The optimizer with its state, or why there is none.

    Raises:
        Failure: the checkpoint cannot be read.
    """
    import torch

    state = states.at(choice.path, choice.file)
    if not isinstance(state, Mapping) or not isinstance(state.get("param_groups"), list):
        return Finding("load-refused", _said(choice, "it has no param_groups"))
    groups = choice.groups or _groups_of_state(state)
    findings = list(group_findings(groups, state))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            built = [[_parameter(spec, states) for spec in group] for group in groups]
            optimizer = build_optimizer(choice.class_name, built, state)
        except NotOfTorch as error:
            return Finding("unknown-class", {"name": str(error) or "An unknown class"})
        except (TypeError, ValueError, KeyError) as error:
            return Finding("load-refused", _said(choice, error))
        names = [[spec.name for spec in group] for group in groups]
        rebuilt = Rebuilt(optimizer, names, state, findings)
        if findings:
            return rebuilt
        findings += state_findings(choice, groups, state)
        try:
            optimizer.load_state_dict(state)
        except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
            findings.append(Finding("load-refused", _said(choice, error)))
            return rebuilt
    for group in optimizer.param_groups:
        for option in ("capturable", "fused"):
            if group.get(option) and not torch.cuda.is_available() and option == "capturable":
                group[option] = False
                findings.append(Finding("options-changed", {"option": option}, error=False))
    return rebuilt


def _said(choice: OptimizerChoice, error: object) -> dict[str, object]:
    return {"optimizer": choice.class_name, "error": str(error) or type(error).__name__}


def _parameter(spec: ParameterSpec, states: States) -> Any:
    import torch

    value = None if spec.path is None else states.at(spec.path, spec.file)
    if not isinstance(value, torch.Tensor) or tuple(value.shape) != spec.shape:
        generator = torch.Generator().manual_seed(_SEED)
        value = torch.randn(spec.shape, generator=generator).to(getattr(torch, spec.dtype))
    # A copy: the step writes into it, and the state may be the same memory.
    return torch.nn.Parameter(value.detach().to("cpu").clone(), requires_grad=True)


def _groups_of_state(state: Mapping[str, Any]) -> tuple[tuple[ParameterSpec, ...], ...]:
    """Parameters of the shapes that the state has, where the model's are not known."""
    groups = []
    for group in state["param_groups"]:
        names = group.get("param_names") or [f"parameter {each}" for each in group["params"]]
        specs = []
        for name, identity in zip(names, group["params"], strict=False):
            entries = state.get("state", {}).get(identity, {})
            shaped = [each for each in tensors_of(entries) if each.ndim]
            like = max(shaped, key=lambda each: each.numel(), default=None)
            shape = (1,) if like is None else tuple(like.shape)
            specs.append(ParameterSpec(str(name), shape))
        groups.append(tuple(specs))
    return tuple(groups)


# --- the step


def step_once(rebuilt: Rebuilt, gradients: Mapping[str, Any]) -> None:
    """Let the optimizer take a step with these gradients, by the parameters' names."""
    for name, parameter in rebuilt.parameters():
        parameter.grad = gradients.get(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rebuilt.optimizer.step()


def _stepped(rebuilt: Rebuilt, class_name: str) -> int | None:
    """How many parameters a step with made-up gradients has changed; None if it failed."""
    import torch

    generator = torch.Generator().manual_seed(_SEED)
    parameters = rebuilt.parameters()
    before = [_probe(parameter) for _, parameter in parameters]
    try:
        if class_name == "LBFGS":
            rebuilt.optimizer.step(lambda: _quadratic(parameters))
        else:
            sparse = class_name == "SparseAdam"
            step_once(rebuilt, {n: _gradient(p, generator, sparse) for n, p in parameters})
    except Exception as error:  # whatever a damaged state makes torch say
        details = {"optimizer": class_name, "error": str(error) or type(error).__name__}
        rebuilt.findings.append(Finding("step-fails", details))
        return None
    broken = [name for name, p in parameters if not bool(torch.isfinite(p).all())]
    if broken:
        details = {"count": len(broken), "first": first_names(broken)}
        rebuilt.findings.append(Finding("not-finite", details))
    after = [_probe(parameter) for _, parameter in parameters]
    return sum(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def _probe(parameter: Any) -> Any:
    """A few elements: enough to see whether it has moved, and no second copy of a model."""
    return parameter.detach().flatten()[:1024].clone()


def _gradient(parameter: Any, generator: Any, sparse: bool) -> Any:
    import torch

    made = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
    return made.to_sparse(1) if sparse else made


def _quadratic(parameters: Sequence[tuple[str, Any]]) -> Any:
    import torch

    with torch.enable_grad():
        loss = sum((p.float() ** 2).sum() for _, p in parameters)
        for _, parameter in parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[union-attr]
    return loss


def _rates(optimizer: Any) -> list[float]:
    return [float(group.get("lr", math.nan)) for group in optimizer.param_groups]


# --- the scheduler


def _rebuilt_scheduler(
    choice: SchedulerChoice, states: States, rebuilt: Rebuilt, request: Rehearse
) -> Any:
    """The scheduler over the rebuilt optimizer, or None; what does not agree is found."""
    state = states.at(choice.path, choice.file)
    findings, optimizer = rebuilt.findings, rebuilt.optimizer
    if not isinstance(state, Mapping):
        details = {"scheduler": choice.class_name, "error": "its state is no mapping"}
        findings.append(Finding("scheduler-fails", details))
        return None
    findings += scheduler_findings(state, _rates(optimizer), request.epoch, request.step)
    rates = [group.get("lr") for group in optimizer.param_groups]
    options = [dict(group) for group in optimizer.param_groups]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scheduler = build_scheduler(choice, state, optimizer)
            resume_scheduler(scheduler, state, rates)
        except NotOfTorch:
            details = {"scheduler": choice.class_name}
            findings.append(Finding("needs-functions", details, error=False))
            scheduler = None
        except Exception as error:  # whatever a damaged state makes torch say
            details = {"scheduler": choice.class_name, "error": str(error)}
            findings.append(Finding("scheduler-fails", details))
            scheduler = None
    for group, saved in zip(optimizer.param_groups, options, strict=True):
        # A constructor sets rates and momenta; the optimizer's state is loaded after it.
        group.update(saved)
    return scheduler


def _scheduler_stepped(scheduler: Any, request: Rehearse, findings: list[Finding]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if type(scheduler).__name__ == "ReduceLROnPlateau":
                scheduler.step(scheduler.best)
            else:
                scheduler.step()
        except Exception as error:  # whatever a damaged state makes torch say
            details = {"scheduler": type(scheduler).__name__, "error": str(error)}
            findings.append(Finding("scheduler-fails", details))
            return False
    return True
