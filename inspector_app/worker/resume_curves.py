"""Two runs on one quadratic: resumed with the optimizer's state, and without it.

The quadratic is made from the state, so that it stands for the training that was
interrupted: its gradient at the parameters is the mean gradient that the state remembers,
its noise is what the second moment has beyond that, and its curvature is such that going on
as before would arrive in about half of the steps. Both runs see the same noise.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from inspector_app.worker.rehearsal_protocol import Rehearse, ResumeCurves

_MOST_ELEMENTS = 1 << 20
_MOST_PARAMETERS = 400  # each costs some calls at each step, however small it is
_SEED = 0
_SMALL = 1e-12
# They look at a parameter as a whole: a part of it is another problem.
_NOT_BY_ELEMENT = ("Adafactor", "Muon", "LBFGS", "SparseAdam")


class NoCurves(Exception):
    """There are none to draw; its argument is a code of `rehearsal_findings.FINDINGS`."""


def resume_curves(optimizer: Any, class_name: str, request: Rehearse) -> ResumeCurves:
    """The losses of both runs, `request.chart_steps` of each.

    Args:
        optimizer: with its state; it is not changed.
        class_name: of ``torch.optim``.
        request: how many steps.

    Raises:
        NoCurves: see there.
    """
    import torch

    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    drawn = _evenly(optimizer.param_groups, len(parameters))
    total = sum(parameter.numel() for group in drawn for parameter in group["params"])
    whole = total <= _MOST_ELEMENTS
    if class_name in ("LBFGS", "SparseAdam") or (not whole and class_name in _NOT_BY_ELEMENT):
        raise NoCurves("too-large")
    if not any(float(group.get("lr", 0)) for group in optimizer.param_groups):
        raise NoCurves("rate-zero")
    share = 1.0 if whole else _MOST_ELEMENTS / total
    generator = torch.Generator().manual_seed(_SEED)
    problems = [
        _Problem(parameter, optimizer.state.get(parameter, {}), group, share, generator)
        for group in drawn
        for parameter in group["params"]
    ]
    steps = request.chart_steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = _Optimizers(type(optimizer), drawn, problems)
        _shape(made, problems, max(steps // 2, 1))
        with_state = _run(made, problems, steps, with_state=True)
        without = _run(made, problems, steps, with_state=False)
    if not all(map(math.isfinite, (*with_state, *without))):
        raise NoCurves("diverges")
    elements = sum(problem.start.numel() for problem in problems)
    all_of_them = whole and len(parameters) == len(problems)
    return ResumeCurves(tuple(with_state), tuple(without), elements, all_of_them)


def _evenly(groups: Sequence[Mapping[str, Any]], count: int) -> list[dict[str, Any]]:
    """The param groups with no more than `_MOST_PARAMETERS` of the parameters, of each some."""
    stride = max(1, math.ceil(count / _MOST_PARAMETERS))
    return [{**group, "params": group["params"][::stride]} for group in groups]


class _Problem:
    """The quadratic over one parameter, or over a part of it.

    Attributes:
        start: where it begins.
        state: the optimizer's entries for it.
        gradient: the quadratic's at `start`.
        noise: the spread of what is added to each gradient.
        curvature, optimum: of ``sum(curvature/2 * (p - optimum)²)``, once `shape` has run.
        seed: of the noise.
    """

    def __init__(
        self,
        parameter: Any,
        state: Mapping[str, Any],
        group: Mapping[str, Any],
        share: float,
        generator: Any,
    ) -> None:
        import torch

        kept = max(1, int(parameter.numel() * share))

        def part(value: Any) -> Any:
            if not hasattr(value, "detach"):
                return deepcopy(value)
            value = value.detach()
            cut = share < 1 and value.shape == parameter.shape
            return value.flatten()[:kept].clone() if cut else value.clone()

        self.start = part(parameter).float()
        self.state = {key: part(value) for key, value in state.items()}
        mean, square = _moments(self.state, group)
        if mean is None:
            drawn = torch.randn(self.start.shape, generator=generator)
            mean = drawn if square is None else drawn * square.sqrt()
        self.gradient = mean
        beyond = 0.0 if square is None else (square - mean**2).clamp(min=0).sqrt()
        self.noise = beyond
        self.seed = int(torch.randint(1 << 30, (1,), generator=generator))
        self.curvature = self.optimum = self.start

    def shape(self, moved: Any, steps: int) -> None:
        """Make going on at the pace of `moved`, the optimizer's next step, arrive in `steps`."""
        pace = (moved.detach() - self.start).abs()
        self.curvature = self.gradient.abs() / (steps * pace + _SMALL)
        self.optimum = self.start - self.gradient / (self.curvature + _SMALL)


def _moments(state: Mapping[str, Any], group: Mapping[str, Any]) -> tuple[Any, Any]:
    """The mean of the gradients and of their squares that the state remembers, None for what
    it does not: bias-corrected as in Adam (Kingma and Ba, arXiv:1412.6980, algorithm 1)."""

    def of(key: str) -> Any:
        value = state.get(key)
        return value.float() if getattr(value, "ndim", 0) else None

    betas = group.get("betas") or (0.0, 0.0)
    step = float(state.get("step", 1) or 1)
    mean, square, largest = of("exp_avg"), of("exp_avg_sq"), of("exp_inf")
    if mean is not None:
        mean = mean / (1 - float(betas[0]) ** step)
        if square is not None:
            return mean, square / (1 - float(betas[1]) ** step)
        return mean, None if largest is None else largest**2
    square = of("square_avg")
    if square is not None:
        return of("grad_avg"), square
    buffer = of("momentum_buffer")
    # A sum of gradients, each weighing `momentum` times the next.
    return (None if buffer is None else buffer * (1 - float(group.get("momentum", 0)))), None


class _Optimizers:
    """Makes optimizers of the same class and options over copies of the problems' parameters."""

    def __init__(
        self, made: Any, groups: Sequence[Mapping[str, Any]], problems: Sequence[_Problem]
    ) -> None:
        self._class, self._groups, self._problems = made, groups, problems

    def copied(self, *, with_state: bool) -> tuple[Any, list[Any]]:
        """A new one, and its parameters."""
        import torch

        parameters = [torch.nn.Parameter(problem.start.clone()) for problem in self._problems]
        groups, at = [], 0
        for group in self._groups:
            options = {
                key: deepcopy(value)
                for key, value in group.items()
                if key not in ("params", "param_names")
            }
            count = len(group["params"])
            groups.append({**options, "params": parameters[at : at + count]})
            at += count
        made = self._class(groups)
        if with_state:
            for parameter, problem in zip(parameters, self._problems, strict=True):
                made.state[parameter] = deepcopy(problem.state)
        return made, parameters


def _shape(optimizers: _Optimizers, problems: list[_Problem], steps: int) -> None:
    made, parameters = optimizers.copied(with_state=True)
    for parameter, problem in zip(parameters, problems, strict=True):
        parameter.grad = problem.gradient.clone()
    made.step()
    for parameter, problem in zip(parameters, problems, strict=True):
        problem.shape(parameter, steps)


def _run(
    optimizers: _Optimizers, problems: list[_Problem], steps: int, *, with_state: bool
) -> list[float]:
    """The loss before each step, the first being 1."""
    import torch

    made, parameters = optimizers.copied(with_state=with_state)
    generators = [torch.Generator().manual_seed(problem.seed) for problem in problems]
    losses = []
    for step in range(steps + 1):
        loss = 0.0
        for parameter, problem, generator in zip(parameters, problems, generators, strict=True):
            away = parameter.detach() - problem.optimum
            loss += float((problem.curvature * away * away).sum())
            noise = torch.randn(parameter.shape, generator=generator) * problem.noise
            parameter.grad = problem.curvature * away + noise
        losses.append(loss)
        if step < steps:
            made.step()
    return [loss / losses[0] for loss in losses] if losses[0] > 0 else [math.nan]
