"""Activations of two models of torch, layer by layer: where noise enters, and how much.

A layer's output in the quantized model is compared with what stands at the same place of the
float one. That need not be the output of the layer of the same name: a BatchNorm is folded
into the convolution before it, and a ReLU becomes a part of it. Which modules follow which is
seen by running the float model (`module_flow`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspector_app.worker.example_inputs import Call
from inspector_app.worker.module_flow import followers
from inspector_app.worker.outputs import flat
from inspector_app.worker.quantize_protocol import LayerDamage, QuantizedLayer
from inspector_app.worker.quantized_outputs import Distance

_NORMS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
# Layers are left in float until so much of the noise that layers add is gone.
_MOST_NOISE = 0.9
_MOST_LEFT = 5
_FROM_DB = 40.0  # who loses less has nothing to leave


@dataclass(frozen=True, slots=True)
class Activations:
    """Of one layer: its first input and its output."""

    given: Any
    output: Any


def seen(
    module: Any, names: Iterable[str], call: Call, tensors: Mapping[str, Any]
) -> dict[str, Activations]:
    """What went through the modules `names`, in the order of their first call, as float."""
    found: dict[str, Activations] = {}
    modules = dict(module.named_modules())
    given: dict[str, Any] = {}

    def watch(name: str) -> list[Any]:
        def before(_module: Any, args: tuple[Any, ...]) -> None:
            if name not in given:
                tensors = [each for each in args if hasattr(each, "shape")]
                given[name] = as_float(tensors[0]) if tensors else None

        def after(_module: Any, _args: tuple[Any, ...], output: Any) -> None:
            if name not in found:
                found[name] = Activations(given[name], as_float(flat(output)[0][1]))

        each = modules[name]
        return [each.register_forward_pre_hook(before), each.register_forward_hook(after)]

    hooks = [hook for name in names if name in modules for hook in watch(name)]
    try:
        call(module, dict(tensors))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def as_float(tensor: Any) -> Any:
    """A copy: layers may work in place on what they are given."""
    return (tensor.dequantize() if tensor.is_quantized else tensor).detach().clone()


def compared(
    original: Any,
    quantized: Any,
    call: Call,
    batches: Sequence[dict[str, Any]],
    layers: Sequence[QuantizedLayer],
) -> list[LayerDamage]:
    """How far each quantized layer's input and output depart, in the order in which they run.

    Args:
        original, quantized: modules whose layers have the same names.
        batches: inputs.
    """
    import torch

    after = followers(original, call, batches[0])
    places = {each.name: _place(each.name, quantized, after) for each in layers if each.quantized}
    wanted_names = {place for place, _ in places.values()} | set(places)
    sums: dict[str, tuple[Distance, Distance]] = {}
    for tensors in batches:
        with torch.no_grad():
            wanted = seen(original, wanted_names, call, tensors)
            found = seen(quantized, places, call, tensors)
        for name, activations in found.items():
            place, relu = places[name]
            if place not in wanted or name not in wanted:
                continue
            output = wanted[place].output.relu() if relu else wanted[place].output
            pairs = (wanted[name].given, activations.given), (output, activations.output)
            into, out = sums.setdefault(name, (Distance(), Distance()))
            for distance, (expected, actual) in zip((into, out), pairs, strict=True):
                comparable = expected is not None and actual is not None
                if comparable and expected.shape == actual.shape:
                    distance.add(expected, actual)
    return damages(sums, layers)


def modules_of(tensors: Iterable[QuantizedLayer]) -> tuple[QuantizedLayer, ...]:
    """The layers that cast tensors are of, each with the bytes of all of them."""
    found: dict[str, QuantizedLayer] = {}
    for each in tensors:
        name = each.name.rpartition(".")[0]
        before = found.get(name)
        size = before.float_bytes if before else 0
        now = before.nbytes if before else 0
        reason = each.reason and (before is None or before.reason)
        found[name] = QuantizedLayer(
            name,
            "module",
            each.stored,
            each.bits,
            size + each.float_bytes,
            now + each.nbytes,
            reason or "",
        )
    return tuple(found.values())


def damages(
    sums: Mapping[str, tuple[Distance, Distance]], layers: Iterable[QuantizedLayer]
) -> list[LayerDamage]:
    """What is said of each layer, from the distances of its input and its output."""
    costs = {each.name: max(each.float_bytes - each.nbytes, 0) for each in layers}
    return [
        LayerDamage(
            name,
            out.sqnr_db,
            into.sqnr_db,
            max(out.relative - into.relative, 0.0),
            costs.get(name, 0),
        )
        for name, (into, out) in sums.items()
        if out.count or out.broken
    ]


def to_leave(found: Sequence[LayerDamage]) -> list[LayerDamage]:
    """Which layers one would leave in float: those that add most, until they make up nearly all
    of the noise; none where no layer adds much."""
    order = sorted(found, key=lambda each: -each.added)
    total = sum(each.added for each in order)
    left: list[LayerDamage] = []
    for each in order:
        if each.added <= 10 ** (-_FROM_DB / 10) or len(left) == _MOST_LEFT:
            break
        left.append(each)
        if sum(other.added for other in left) >= _MOST_NOISE * total:
            break
    return left


def _place(name: str, quantized: Any, after: Mapping[str, Any]) -> tuple[str, bool]:
    """Where in the float model the quantized layer's output stands: a module, and whether a ReLU
    follows that."""
    modules = dict(quantized.named_modules())
    place = name
    follows = after.get(name)
    if follows is not None and follows.kind in _NORMS:
        norm = modules.get(follows.name)
        if norm is None or type(norm).__name__ not in _NORMS:
            place = follows.name
    return place, "ReLU" in type(modules.get(name)).__name__
