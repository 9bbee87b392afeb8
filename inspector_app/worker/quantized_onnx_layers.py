"""Values of two ONNX graphs, the float one and the quantized one, node by node."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from inspector_app.worker.onnx_layers import computed_values
from inspector_app.worker.onnx_weights import weight_nodes
from inspector_app.worker.quantize_protocol import (
    LayerDamage,
    LeftInFloat,
    Measure,
    OnnxDynamicOptions,
    OnnxStaticOptions,
)
from inspector_app.worker.quantized_layers import damages
from inspector_app.worker.quantized_loading import Side
from inspector_app.worker.quantized_outputs import Distance
from inspector_app.worker.torch_import import import_package

# What ONNX Runtime's quantizers call a value after it was quantized and made float again.
_ACTIVATIONS = ("Relu", "Clip")
_FLOAT_AGAIN = ("_DequantizeLinear_Output", "_dequantized")


def compared_graphs(
    request: Measure, quantized: Side, batches: Sequence[dict[str, Any]]
) -> list[LayerDamage]:
    """How far the input and output of each node with weights depart.

    Args:
        request: its float graph lies beside the quantized one.
        quantized: knows what the graph calls the inputs.
    """
    onnx = import_package("onnx", "comparing layers")
    options = request.options
    assert isinstance(options, (OnnxDynamicOptions, OnnxStaticOptions))
    paths = [
        os.path.join(request.staging, name)
        for name in (request.quantized.beside, request.quantized.files[0])
    ]
    graphs = [onnx.load(path, load_external_data=False) for path in paths]
    layers = request.quantized.layers
    nodes = weight_nodes(graphs[0].graph, onnx, options, LeftInFloat(), {}, {})
    known = [set(_values(each.graph)) for each in graphs]
    activated = _activated(graphs[0].graph)
    places = {}
    # The same nodes in the same order, here named without the model.
    for layer, node in zip(layers, nodes, strict=True):
        given = _float_name(node.given, known[1])
        for name in (node.output, activated.get(node.output, "")):
            output = _float_name(name, known[1])
            if layer.quantized and output:
                places[layer.name] = ((node.given, name), (given, output))
                break
    sums: dict[str, tuple[Distance, Distance]] = {}
    for tensors in batches:
        renamed = quantized.names or {}
        inputs = {renamed.get(name, name): each for name, each in tensors.items()}
        found = []
        for side, path in enumerate(paths):
            model = onnx.load(path, load_external_data=False)
            wanted = {name for pair in places.values() for name in pair[side] if name}
            own = {each.name for each in model.graph.input}
            values = computed_values(model, path, sorted(wanted - own), inputs, onnx)
            found.append({**inputs, **values})
        for name, (first, second) in places.items():
            into, out = sums.setdefault(name, (Distance(), Distance()))
            for distance, mine, theirs in zip((into, out), first, second, strict=True):
                if mine and theirs and found[0][mine].shape == found[1][theirs].shape:
                    distance.add(found[0][mine], found[1][theirs])
    return damages(sums, layers)


def _values(graph: Any) -> Iterable[str]:
    for each in graph.input:
        yield each.name
    for node in graph.node:
        yield from node.output


def _activated(graph: Any) -> dict[str, str]:
    """What an activation alone makes of a value: it becomes a part of the quantized node."""
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return {
        name: nodes[0].output[0]
        for name, nodes in users.items()
        if len(nodes) == 1 and nodes[0].op_type in _ACTIVATIONS
    }


def _float_name(name: str, known: set[str]) -> str:
    """What the quantized graph calls the value `name` where it is float, as later nodes see
    it; "" where it has none."""
    for ending in _FLOAT_AGAIN:
        if name + ending in known:
            return name + ending
    return name if name in known else ""
