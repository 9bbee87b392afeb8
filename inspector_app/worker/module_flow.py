"""Which module's output is whose input, seen by running the model once.

That is how a BatchNorm is known to follow a convolution, and an activation that: in eager
mode nothing else says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inspector_app.worker.example_inputs import Call

_NORMS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
_FIRST = ("Conv1d", "Conv2d", "Conv3d", "Linear")


@dataclass(frozen=True, slots=True)
class Follows:
    """`name`, of class `kind`, took the output of `before` as its only input."""

    name: str
    kind: str
    before: str


def followers(module: Any, call: Call, tensors: dict[str, Any]) -> dict[str, Follows]:
    """What follows each module without children, by that module's name; only where nothing
    else was given its output, and each was called once."""
    import torch

    made: dict[int, str] = {}
    kept: list[Any] = []  # so that no id is used twice
    users: dict[str, list[Follows]] = {}
    calls: dict[str, int] = {}

    def watch(name: str, each: Any) -> Any:
        def hook(_module: Any, given: tuple[Any, ...], output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            for value in given:
                if torch.is_tensor(value) and id(value) in made:
                    before = made[id(value)]
                    users.setdefault(before, []).append(Follows(name, type(each).__name__, before))
            if torch.is_tensor(output):
                made[id(output)] = name
                kept.append(output)

        return each.register_forward_hook(hook)

    leaves = [(name, each) for name, each in module.named_modules() if not any(each.children())]
    hooks = [watch(name, each) for name, each in leaves]
    try:
        with torch.no_grad():
            call(module, tensors)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        name: each[0]
        for name, each in users.items()
        if len(each) == 1 and calls[name] == 1 and calls[each[0].name] == 1
    }


def fusable(module: Any, call: Call, tensors: dict[str, Any]) -> list[list[str]]:
    """Names of layers that torch.ao.quantization.fuse_modules can join, each in its order."""
    after = followers(module, call, tensors)
    groups = []
    for name, each in module.named_modules():
        kind = type(each).__name__
        if kind not in _FIRST:
            continue
        group = [name]
        follows = after.get(name)
        norm = _NORMS if kind != "Linear" else _NORMS[:1]
        if follows is not None and follows.kind in norm:
            group.append(follows.name)
            follows = after.get(follows.name)
        if follows is not None and follows.kind == "ReLU":
            group.append(follows.name)
        if len(group) > 1:
            groups.append(group)
    return groups
