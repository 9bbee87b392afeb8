"""A program of torch.export that PT2E has quantized: its layers, and what flows between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from inspector_app.worker.example_inputs import Call
from inspector_app.worker.module_flow import followers
from inspector_app.worker.quantize_layers import Candidate
from inspector_app.worker.quantize_protocol import LayerDamage, QuantizedLayer
from inspector_app.worker.quantized_layers import damages, seen
from inspector_app.worker.quantized_outputs import Distance

_COMPUTING = ("conv1d", "conv2d", "conv3d", "linear", "convolution")
_PER_CHANNEL = 16  # bytes of a scale (float32, padded to 8 with its zero point of int64)


def layers_of(program: Any, found: Iterable[Candidate]) -> list[QuantizedLayer]:
    """How each candidate's weights lie in the program."""
    stored = dict(_weights(program))
    layers = []
    for each in found:
        weight = stored.get(each.name)
        reason = each.reason
        if weight is None or weight.is_floating_point():
            bits = each.float_bytes * 8 // max(each.numel, 1)
            layers.append(
                QuantizedLayer(
                    each.name,
                    each.type,
                    f"float{bits}",
                    bits,
                    each.float_bytes,
                    each.float_bytes,
                    reason or "the quantizer passed it over",
                )
            )
            continue
        dtype = str(weight.dtype).removeprefix("torch.")
        size = weight.nbytes + _PER_CHANNEL * weight.shape[0]
        bits = 8 * weight.element_size()
        layers.append(QuantizedLayer(each.name, each.type, dtype, bits, each.float_bytes, size))
    return layers


def computing_nodes(graph: Any) -> Iterator[tuple[str, Any]]:
    """Each node that computes a layer, with the layer's name."""
    for node in graph.nodes:
        if node.op == "call_function" and _name(node.target) in _COMPUTING:
            scopes = node.meta.get("nn_module_stack") or {}
            paths = [path for path, _ in scopes.values()]
            if paths:
                yield paths[-1], node


def _name(target: Any) -> str:
    return str(target).split(".")[1] if str(target).startswith("aten.") else ""


def _weights(program: Any) -> Iterator[tuple[str, Any]]:
    """Each layer's weight as it is stored."""
    values: Mapping[str, Any] = {**program.state_dict, **program.constants}
    signature = program.graph_signature
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    for layer, node in computing_nodes(program.graph):
        source = node.args[1]
        while source.op == "call_function" and source.args:
            source = source.args[0]
        key = names.get(source.name)
        if key in values:
            yield layer, values[key]


def is_program(module: Any) -> bool:
    """What `torch.export.load(…).module()` gives."""
    return hasattr(module, "graph") and hasattr(module, "_in_spec")


def compared_program(
    original: Any,
    program: Any,
    call: Call,
    batches: Sequence[dict[str, Any]],
    layers: Sequence[QuantizedLayer],
) -> list[LayerDamage]:
    """How far inputs and outputs of the program's layers depart from the original's modules.

    Args:
        original: a module of torch.
        program: of torch.export, whose nodes know which module they stem from.
    """
    import torch

    after = followers(original, call, batches[0])
    places = {}
    for each in layers:
        if each.quantized:
            follows = after.get(each.name)
            folded = follows is not None and follows.kind.startswith("BatchNorm")
            places[each.name] = follows.name if follows is not None and folded else each.name
    nodes = {node.name: name for name, node in computing_nodes(program.graph) if name in places}
    sums: dict[str, tuple[Distance, Distance]] = {}
    for tensors in batches:
        with torch.no_grad():
            names = {*places, *places.values()}
            wanted = seen(original, names, call, tensors)
            found = _flowing(program, nodes, call, tensors)
        for name, (given, output) in found.items():
            into, out = sums.setdefault(name, (Distance(), Distance()))
            into.add(wanted[name].given, given)
            out.add(wanted[places[name]].output, output)
    return damages(sums, layers)


def _flowing(
    program: Any, nodes: Mapping[str, str], call: Call, tensors: dict[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Input and output of each layer at its first node."""
    import torch

    found: dict[str, tuple[Any, Any]] = {}

    class Watching(torch.fx.Interpreter):
        def run_node(self, node: Any) -> Any:
            value = super().run_node(node)
            layer = nodes.get(node.name)
            if layer is not None and layer not in found:
                found[layer] = (self.env[node.args[0]].clone(), value.clone())
            return value

    placed = [node.name for node in program.graph.nodes if node.op == "placeholder"]
    values = [*call.args(tensors), *call.kwargs(tensors).values()]
    Watching(program, garbage_collect_values=False).run(
        *values[: len(placed)], enable_io_processing=False
    )
    return found
