"""The first layer whose output departs, between a model and the ONNX graph made of it.

The exporter based on torch.export writes into each node which modules it stems from
(``pkg.torch.onnx.name_scopes``); the one based on TorchScript names nodes after them
(``/layer1/layer1.0/conv1/Conv``). So the values that leave a module's nodes are candidates
for its output. They are all computed, with onnxruntime's own rewriting off, and compared
with what hooks see in the original.

A rewritten graph need not have a value for each module: those that have none of the right
shape are passed over. And a convolution into which a BatchNorm was folded gives what the
BatchNorm gave: a value that a later module's output agrees with is that module's.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from inspector_app.worker.closeness import Bounds, compare
from inspector_app.worker.failures import Failure
from inspector_app.worker.onnx_session import OnnxSession
from inspector_app.worker.outputs import flat
from inspector_app.worker.torch_import import import_package

_SCOPES = "pkg.torch.onnx.name_scopes"
# As many values are asked for in one run.
_MOST_VALUES = 400
_MOST_SUSPECTS = 8
_OPTIMIZATIONS = "no layer while onnxruntime leaves the graph as it is: one of its optimizations"


@dataclass(slots=True)
class _Suspect:
    """A layer that departs, unless its values turn out to be those of a later one."""

    found: tuple[str, str, float]
    values: list[Tensor]


@dataclass(slots=True)
class _Seen:
    """What the comparison has found so far, module by module as they end.

    Attributes:
        agreed: layers, with their classes.
        suspects: those that depart.
        whole: the model's own outputs agree.
    """

    agreed: list[str] = field(default_factory=list)
    suspects: list[_Suspect] = field(default_factory=list)
    whole: bool = False


def first_departure(
    module: nn.Module,
    call: Callable[[], object],
    path: str,
    inputs: Mapping[str, Tensor],
    bounds: Bounds,
) -> str:
    """Which layer's output is the first to depart, with its class and how far it does.

    Args:
        module: the original.
        call: runs it on the inputs.
        path: of the ONNX file.
        inputs: the same, by the names of the graph's inputs.
        bounds: what still agrees.
    """
    onnx = import_package("onnx", "comparing layers")
    graph_model = onnx.load(path, load_external_data=False)
    candidates = values_by_module(graph_model.graph, dict(module.named_modules()))
    candidates[""] = [each.name for each in graph_model.graph.output]
    wanted = sorted({name for names in candidates.values() for name in names})
    values = computed_values(graph_model, path, wanted, inputs, onnx)
    seen = _compared(module, call, candidates, values, bounds)
    if not seen.suspects:
        return _OPTIMIZATIONS if seen.whole else ""
    name, kind, distance = seen.suspects[0].found
    far = f"max abs {distance:.3g}"
    if name:
        return f"{name} ({kind}): {far}"
    after = f", after {seen.agreed[-1]}" if seen.agreed else ""
    return f"forward of {kind} itself{after}: {far}"


def layer_of_node(name: str, module: nn.Module, path: str) -> str:
    """The layer that the node `name` of the ONNX file at `path` stems from, with its class; or
    "" where nothing says."""
    onnx = import_package("onnx", "finding a node")
    modules = dict(module.named_modules())
    for node in onnx.load(path, load_external_data=False).graph.node:
        if node.name == name:
            scope = module_of(node, modules)
            return f"{scope} ({type(modules[scope]).__name__})" if scope else ""
    return ""


def values_by_module(graph: Any, modules: Mapping[str, object]) -> dict[str, list[str]]:
    """For each module the names of values that nodes of it give to nodes elsewhere.

    Args:
        graph: ``onnx.GraphProto``.
        modules: by qualified name; "" is the model itself, which is not among the results.
    """
    nodes = [(node, module_of(node, modules)) for node in graph.node]
    users: dict[str, list[str]] = {}
    for node, scope in nodes:
        for name in node.input:
            users.setdefault(name, []).append(scope)
    graph_outputs = {each.name for each in graph.output}
    found: dict[str, list[str]] = {}
    for node, own in nodes:
        for name in filter(None, node.output):
            for scope in _and_above(own):
                outside = any(not _within(user, scope) for user in users.get(name, ()))
                if outside or name in graph_outputs:
                    found.setdefault(scope, []).append(name)
    return found


def module_of(node: Any, modules: Mapping[str, object]) -> str:
    """The qualified name of the innermost module that `node` stems from."""
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            try:
                names = ast.literal_eval(entry.value)
            except (ValueError, SyntaxError):
                return ""
            # The last one is the operator's own.
            known = [each for each in names[:-1] if each in modules]
            return str(known[-1]) if known else ""
    return _from_node_name(node.name, modules)


def _from_node_name(name: str, modules: Mapping[str, object]) -> str:
    """``/layer1/layer1.0/conv1/Conv`` as ``layer1.0.conv1``: a child in a Sequential is named
    together with its parent."""
    if not name.startswith("/"):
        return ""
    scope = previous = ""
    for part in name.split("/")[1:-1]:
        if previous and part.startswith(f"{previous}."):
            scope += part[len(previous) :]
        else:
            scope += f".{part}" if scope else part
        previous = part
    while scope and scope not in modules:
        scope = scope.rpartition(".")[0]
    return scope


def _and_above(scope: str) -> Iterable[str]:
    while scope:
        yield scope
        scope = scope.rpartition(".")[0]


def _within(scope: str, outer: str) -> bool:
    return scope == outer or scope.startswith(f"{outer}.")


def computed_values(
    graph_model: Any, path: str, wanted: list[str], inputs: Mapping[str, Tensor], onnx: Any
) -> dict[str, Tensor]:
    """The values `wanted`, with nothing rewritten."""
    outputs = {each.name for each in graph_model.graph.output}
    # Without a type: onnxruntime infers it.
    graph_model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in wanted if name not in outputs
    )
    session = OnnxSession(path, model=graph_model.SerializeToString(), optimize=False)
    found: dict[str, Tensor] = {}
    for start in range(0, len(wanted), _MOST_VALUES):
        names = wanted[start : start + _MOST_VALUES]
        found.update(zip(names, session.run(inputs, names), strict=True))
    return found


def _compared(
    module: nn.Module,
    call: Callable[[], object],
    candidates: Mapping[str, list[str]],
    values: Mapping[str, Tensor],
    bounds: Bounds,
) -> _Seen:
    """Run the original, and hold each module's output against the values as it ends."""
    seen = _Seen()

    def watch(name: str, kind: str) -> Callable[..., None]:
        def look(_module: nn.Module, _arguments: object, output: object) -> None:
            try:
                tensors = [(each, tensor.detach().cpu()) for each, tensor in flat(output)]
            except Failure:
                return  # it gives no tensor
            _clear(seen.suspects, tensors, bounds)
            mine = [values[each] for each in candidates.get(name, ())]
            distance = _distance(tensors, mine, bounds)
            if distance == 0 and not name:
                seen.whole = True
            elif distance == 0:
                seen.agreed.append(f"{name} ({kind})")
            elif distance is not None and len(seen.suspects) < _MOST_SUSPECTS:
                seen.suspects.append(_Suspect((name, kind, distance), mine))

        return look

    hooks = [
        each.register_forward_hook(watch(name, type(each).__name__))
        for name, each in module.named_modules()
        if not isinstance(each, torch.jit.ScriptModule)
    ]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _clear(suspects: list[_Suspect], tensors: list[tuple[str, Tensor]], bounds: Bounds) -> None:
    """Drop the suspects whose values are what another layer gives."""
    suspects[:] = [each for each in suspects if _distance(tensors, each.values, bounds) != 0]


def _distance(
    tensors: list[tuple[str, Tensor]], values: list[Tensor], bounds: Bounds
) -> float | None:
    """0 where each tensor agrees with one of the values of its shape, None where there is
    nothing of that shape, else how far the nearest one is away."""
    compared = False
    for name, tensor in tensors:
        errors = [
            compare(name, tensor, each, bounds) for each in values if each.shape == tensor.shape
        ]
        compared = compared or bool(errors)
        if errors and not any(each.within for each in errors):
            return min(each.max_abs for each in errors)
    return 0 if compared else None
