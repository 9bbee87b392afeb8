"""An optimizer and a scheduler of torch, built anew from what a checkpoint says of them.

Only classes of ``torch.optim`` are built: the user's code is not run.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, TensorInfo
from inspector_app.worker.failures import Failure
from inspector_app.worker.rehearsal_protocol import Path, SchedulerChoice
from inspector_app.worker.state_dict import TensorReading

_DEEPEST = 40  # a state_dict of torch's nests eight deep
_TORCH_FORMATS = ("torch-zip", "torch-legacy", "torch-tar")


class NotOfTorch(Exception):
    """A class that ``torch.optim`` does not have; its argument is the name."""


class States:
    """Parts of one checkpoint as plain Python with tensors on the CPU.

    Args:
        path: the checkpoint, or one of the files that make it up.

    Raises:
        Failure: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        try:
            self._checkpoint: Checkpoint = open_checkpoint(path)
        except CheckpointError as error:
            name = os.path.basename(path)
            raise Failure("file-not-loaded", file=name, error=error.message) from None
        self._others: dict[str, States] = {}
        self._loaded: Any = None
        self._refused = not (self._checkpoint.format in _TORCH_FORMATS and os.path.isfile(path))

    def at(self, path: Path, file: str = "") -> Any:
        """What lies at `path`, in another `file` if one is named.

        Raises:
            Failure: nothing does, or it cannot be read.
        """
        if file:
            if file not in self._others:
                self._others[file] = States(file)
            return self._others[file].at(path)
        # First of all: the tree is searched from its first entry on, for each of many parameters.
        found = self._as_torch_reads(path)
        if found is not None:
            return found
        node = self._checkpoint.find(path)
        if node is None:
            raise Failure("no-state", file=self._checkpoint.path, path="/".join(map(str, path)))
        with TensorReading(self._checkpoint) as tensors:
            return _plain(node, tensors, _DEEPEST)

    def node_at(self, path: Path, file: str = "") -> Node | None:
        """What the tree has at `path`, without reading any values; None if nothing.

        Raises:
            Failure: another `file` that is named cannot be read.
        """
        if file:
            if file not in self._others:
                self._others[file] = States(file)
            return self._others[file].node_at(path)
        return self._checkpoint.find(path)

    def _as_torch_reads(self, path: Path) -> Any:
        if self._refused:
            return None
        if self._loaded is None:
            import torch

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    # Mapped: a weight that no step touches is never read.
                    self._loaded = torch.load(
                        self._checkpoint.path,
                        map_location="cpu",
                        weights_only=True,
                        mmap=self._checkpoint.format == "torch-zip",
                    )
                except Exception:
                    self._refused = True  # our own reader takes what torch does not
                    return None
        value = self._loaded
        for key in path:
            try:
                value = value[key]
            except (TypeError, KeyError, IndexError):
                return None
        return value


def _plain(node: Node, tensors: TensorReading, deepest: int) -> Any:
    if deepest == 0:
        raise Failure("weights-not-read", key=node.name, reason="it nests too deep")
    if isinstance(node, TensorInfo):
        return tensors.tensor(node)
    if node.kind == Kind.SCALAR:
        return node.value
    if node.kind == Kind.SEQUENCE:
        each = [_plain(child, tensors, deepest - 1) for child in node.children]
        return tuple(each) if node.type_name == "tuple" else each
    if node.kind in (Kind.MAPPING, Kind.OBJECT, Kind.MODULE):
        found = {child.key: _plain(child, tensors, deepest - 1) for child in node.children}
        return Counter(found) if node.type_name == "collections.Counter" else found
    return None  # a function or a class that is only named: nothing to go on from


# --- optimizers


def optimizer_class(name: str) -> Any:
    """The class of ``torch.optim``.

    Raises:
        NotOfTorch: there is none of that name.
    """
    import torch

    found = getattr(torch.optim, name, None)
    if not (inspect.isclass(found) and issubclass(found, torch.optim.Optimizer)):
        raise NotOfTorch(name)
    return found


def build_optimizer(name: str, groups: Sequence[Sequence[Any]], state: Mapping[str, Any]) -> Any:
    """An optimizer over `groups`, with the options that the saved groups have and no state yet.

    Args:
        name: of ``torch.optim``.
        groups: of parameters.
        state: the saved state_dict; of its param groups only the options are taken.

    Raises:
        NotOfTorch: see `optimizer_class`.
    """
    made = optimizer_class(name)
    saved = [group for group in state.get("param_groups", ()) if isinstance(group, dict)]
    rates = [_rate(group) for group in saved]
    taken = inspect.signature(made).parameters
    arguments: dict[str, Any] = {}
    if "lr" in taken:
        arguments["lr"] = next((rate for rate in rates if rate is not None), 1e-3)
    first = saved[0] if saved else {}
    for option in ("momentum", "nesterov", "amsgrad", "centered", "betas"):
        # What the constructor checks together, or keeps state for.
        if option in taken and option in first:
            arguments[option] = first[option]
    optimizer = made([{"params": list(group)} for group in groups], **arguments)
    for group, options in zip(optimizer.param_groups, saved, strict=False):
        for option, value in options.items():
            if option not in ("params", "param_names"):
                group[option] = value
    return optimizer


def _rate(group: Mapping[str, Any]) -> float | None:
    rate = group.get("initial_lr", group.get("lr"))
    return None if rate is None else float(rate)


# --- schedulers

# Of each class the arguments of its constructor, and where its state has them.
_ARGUMENTS: dict[str, dict[str, str]] = {
    "StepLR": {"step_size": "step_size", "gamma": "gamma"},
    "MultiStepLR": {"milestones": "milestones", "gamma": "gamma"},
    "ConstantLR": {"factor": "factor", "total_iters": "total_iters"},
    "LinearLR": {
        "start_factor": "start_factor",
        "end_factor": "end_factor",
        "total_iters": "total_iters",
    },
    "ExponentialLR": {"gamma": "gamma"},
    "PolynomialLR": {"total_iters": "total_iters", "power": "power"},
    "CosineAnnealingLR": {"T_max": "T_max", "eta_min": "eta_min"},
    "CosineAnnealingWarmRestarts": {"T_0": "T_0", "T_mult": "T_mult", "eta_min": "eta_min"},
    "OneCycleLR": {
        "total_steps": "total_steps",
        "anneal_strategy": "_anneal_func_type",
        "cycle_momentum": "cycle_momentum",
    },
    "CyclicLR": {
        "base_lr": "base_lrs",
        "max_lr": "max_lrs",
        "mode": "mode",
        "gamma": "gamma",
        "cycle_momentum": "cycle_momentum",
        "base_momentum": "base_momentums",
        "max_momentum": "max_momentums",
    },
    "ReduceLROnPlateau": {
        "mode": "mode",
        "factor": "factor",
        "patience": "patience",
        "threshold": "threshold",
        "threshold_mode": "threshold_mode",
        "cooldown": "cooldown",
        "min_lr": "min_lrs",
        "eps": "eps",
    },
}
# Whose rate is computed by functions of the training script.
OF_FUNCTIONS = ("LambdaLR", "MultiplicativeLR")
COMPOSED = ("SequentialLR", "ChainedScheduler")


def build_scheduler(choice: SchedulerChoice, state: Mapping[str, Any], optimizer: Any) -> Any:
    """A scheduler over `optimizer` as its constructor leaves it, at step 0.

    The rates of the optimizer's groups are set back to the initial ones, as a constructor
    does; `resume_scheduler` brings both to where they were.

    Raises:
        NotOfTorch: ``torch.optim.lr_scheduler`` has no such class, or not one that can be
            built from its state.
    """
    import torch

    name = choice.class_name
    made = getattr(torch.optim.lr_scheduler, name, None)
    if made is None or name not in (*_ARGUMENTS, *COMPOSED):
        raise NotOfTorch(name)
    if name in COMPOSED:
        states = state.get("_schedulers") or ()
        parts = [
            build_scheduler(part, each, optimizer)
            for part, each in zip(choice.parts, states, strict=True)
        ]
        if name == "ChainedScheduler":
            return made(parts, optimizer=optimizer)
        return made(optimizer, parts, milestones=list(state["_milestones"]))
    arguments = {argument: state[key] for argument, key in _ARGUMENTS[name].items() if key in state}
    if name == "MultiStepLR":
        arguments["milestones"] = sorted(Counter(arguments["milestones"]).elements())
    if name == "CyclicLR":
        up = state["total_size"] * state["step_ratio"]
        arguments |= {"step_size_up": up, "step_size_down": state["total_size"] - up}
        for group, rate in zip(optimizer.param_groups, state["base_lrs"], strict=True):
            group["initial_lr"] = rate
    if name == "OneCycleLR":
        return _one_cycle(made, arguments, state, optimizer)
    return made(optimizer, **arguments)


def _one_cycle(
    made: Any, arguments: dict[str, Any], state: Mapping[str, Any], optimizer: Any
) -> Any:
    """Its constructor computes phases and rates that are in the states already."""
    kept = ("initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum")
    saved = [{key: group[key] for key in kept if key in group} for group in optimizer.param_groups]
    if not all("max_lr" in each for each in saved):
        raise NotOfTorch("OneCycleLR without the rates of the optimizer's groups")
    scheduler = made(optimizer, max_lr=[each["max_lr"] for each in saved], **arguments)
    scheduler._schedule_phases = [dict(phase) for phase in state["_schedule_phases"]]
    for group, each in zip(optimizer.param_groups, saved, strict=True):
        group.update(each)
    scheduler.base_lrs = [each["initial_lr"] for each in saved]
    scheduler.last_epoch = -1
    scheduler._initial_step()
    return scheduler


def resume_scheduler(scheduler: Any, state: Mapping[str, Any], rates: Sequence[Any]) -> None:
    """Bring a scheduler and its optimizer's rates to where they were saved."""
    from copy import deepcopy

    # Its load_state_dict keeps what it is given, and takes keys out of it.
    scheduler.load_state_dict(deepcopy(dict(state)))
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
