"""The tensors in what `forward` returns, flat and named: in torch.export's own order.

A tensor's name is its path: ``0`` in a tuple, ``logits`` in a dictionary or an output class
of transformers, ``hidden_states.2`` further down; ``output`` where there is but one tensor
and nothing around it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from inspector_app.worker.protocol import OutputInfo

ALONE = "output"


def named_tensors(value: object) -> list[tuple[str, Tensor]]:
    """Each tensor in `value` with its name; names are unique."""
    found: list[tuple[str, Tensor]] = []
    taken: set[str] = set()
    for path, tensor in _leaves(value):
        name = unique(path or ALONE, taken)
        found.append((name, tensor))
    return found


def output_infos(value: object) -> tuple[OutputInfo, ...]:
    """The names, shapes and dtypes of the tensors in `value`."""
    return tuple(
        OutputInfo(name, tuple(tensor.shape), dtype_name(tensor.dtype))
        for name, tensor in named_tensors(value)
    )


def graph_names(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """`names` as names of a graph's values: ``output_0`` for ``0``, none of them in `taken`."""
    used = set(taken)
    return [unique(f"{ALONE}_{name}" if name[:1].isdigit() else name, used) for name in names]


def unique(name: str, taken: set[str]) -> str:
    """`name`, or with a number behind it, not in `taken`, to which it is added."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


def dtype_name(dtype: torch.dtype) -> str:
    """``float32``."""
    return str(dtype).removeprefix("torch.")


def _leaves(value: object) -> Iterator[tuple[str, Tensor]]:
    for path, leaf in pytree.tree_flatten_with_path(value)[0]:
        name = ".".join(_part(key) for key in path)
        if isinstance(leaf, Tensor):
            yield name, leaf
        elif dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            # pytree knows classes that were registered alone.
            for field in dataclasses.fields(leaf):
                for inner, tensor in _leaves(getattr(leaf, field.name)):
                    yield ".".join(filter(None, (name, field.name, inner))), tensor


def _part(key: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key).strip("[].'\"")
