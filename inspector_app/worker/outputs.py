"""The tensors among whatever a model returns, each with its path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.protocol import OutputInfo

_DEEPEST = 20


def flat(value: Any) -> list[tuple[str, Any]]:
    """Each tensor with its path, such as ``0``, ``logits`` or ``aux.1``, in order.

    A single tensor is called ``output``. What is no tensor is left out.

    Raises:
        Failure: there is none at all.
    """
    import torch

    if isinstance(value, torch.Tensor):
        return [("output", value)]
    found: list[tuple[str, Any]] = []
    _collect(value, "", found, 0)
    if not found:
        raise Failure("no-output", found=type(value).__name__)
    return found


def infos(value: Any) -> tuple[OutputInfo, ...]:
    """Shapes and dtypes of `flat`."""
    return tuple(info(name, tensor) for name, tensor in flat(value))


def info(name: str, tensor: Any) -> OutputInfo:
    return OutputInfo(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


def _collect(value: Any, path: str, found: list[tuple[str, Any]], depth: int) -> None:
    import torch

    if isinstance(value, torch.Tensor):
        found.append((path, value))
        return
    if depth > _DEEPEST:
        return
    parts: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = list(zip(value._fields, value, strict=True))
    elif isinstance(value, (tuple, list)):
        parts = list(enumerate(value))
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [(each.name, getattr(value, each.name)) for each in fields(value)]
    for name, each in parts:
        _collect(each, f"{path}.{name}" if path else str(name), found, depth + 1)
