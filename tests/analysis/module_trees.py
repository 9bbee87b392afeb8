"""Random module trees and what people do to their state_dicts, for tests against torch."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn


class Odd(nn.Module):
    """Parameters of any shape, a scalar, a buffer that is not saved, a bias that is None."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.ones(shape))
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_parameter("bias", None)
        self.register_buffer("steps", torch.zeros(3, dtype=torch.int64))
        self.register_buffer("cache", torch.zeros(2), persistent=False)


class Stateful(nn.Module):
    """It has an extra state."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def get_extra_state(self) -> Any:
        return {"calls": 3}

    def set_extra_state(self, state: Any) -> None:
        pass


_NAMES = ("fc", "norm", "layers", "0", "1", "10", "attn", "_orig_mod", "module", "weights")


def _leaf(number: int, size: int) -> nn.Module:
    match number:
        case 0:
            return nn.Linear(size, size + 1)
        case 1:
            return nn.BatchNorm1d(size)
        case 2:
            return nn.BatchNorm1d(size, track_running_stats=False)
        case 3:
            return nn.ReLU()
        case 4:
            return nn.Conv1d(size, 2, 3, bias=False)
        case 5:
            return Odd((size, 2))
        case 6:
            return Stateful()
    return nn.LayerNorm(size)


leaves = st.builds(_leaf, st.integers(0, 7), st.integers(1, 3))


def _container(children: dict[str, nn.Module]) -> nn.Module:
    made = nn.Module()
    for name, child in children.items():
        made.add_module(name, child)
    if "fc" in children:
        made.register_parameter("own", nn.Parameter(torch.ones(2)))
    return made


modules = st.recursive(
    leaves,
    lambda inner: st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4).map(_container),
    max_leaves=8,
)


@st.composite
def loaded(draw: st.DrawFn, model: nn.Module) -> OrderedDict[str, Any]:
    """A state_dict that somebody may try to load into `model`."""
    source = draw(st.one_of(st.just(model), modules))
    state: OrderedDict[str, Any] = OrderedDict(source.state_dict())
    metadata = getattr(source.state_dict(), "_metadata", None)
    for key in list(state):
        done = draw(st.sampled_from(("keep",) * 6 + ("drop", "rename", "shape", "dtype", "odd")))
        value = state[key]
        if done == "drop":
            del state[key]
        elif done == "rename":
            del state[key]
            state[
                draw(st.sampled_from(("fc.new", "norm._extra_state", "x", key + ".x", "0.0.w")))
            ] = value
        elif done == "shape" and isinstance(value, torch.Tensor):
            state[key] = draw(st.sampled_from((value.reshape(-1), value[None], torch.ones(1))))
        elif done == "dtype" and isinstance(value, torch.Tensor):
            state[key] = value.to(torch.float64)
        elif done == "odd" and not key.endswith("_extra_state"):
            state[key] = draw(st.sampled_from((3, "text", [1], None, {"a": 1})))
    if metadata is not None:
        kept = draw(st.sampled_from(("keep", "lose", "old")))
        if kept == "old":
            metadata = OrderedDict((name, {"version": 1}) for name in metadata)
        if kept != "lose":
            state._metadata = metadata
    return state
