"""The nodes of an ONNX graph that have weights, and how these lie in a quantized one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.onnx_layers import module_of
from inspector_app.worker.quantize_layers import BY_USER
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_protocol import (
    LeftInFloat,
    OnnxDynamicOptions,
    OnnxStaticOptions,
    QuantizedLayer,
)

# Which inputs of a node are weights, by its operator, where the quantizers take it.
_DYNAMIC = {"MatMul": (1, 0), "Gemm": (1,), "Conv": (1,), "LSTM": (1, 2), "Gather": (0,)}
_DYNAMIC["Attention"] = (1,)
_STATIC = {"MatMul": (1, 0), "Gemm": (1,), "Conv": (1,), "ConvTranspose": (1,), "Gather": (0,)}
# Names that exporters make up.
_ANONYMOUS = re.compile(r"^(val_\d+|onnx::.*|_v_\d+|.*_transposed|\d+)$")
_BITS = {"INT8": 8, "UINT8": 8, "INT4": 4, "UINT4": 4, "FLOAT": 32, "FLOAT16": 16, "BFLOAT16": 16}
_NAMED = 8


@dataclass(frozen=True, slots=True)
class WeightNode:
    """
    Attributes:
        name: of the layer, as people know it.
        node: name of the node.
        type: operator.
        weights: names of initializers.
        given, output: names of its first input that is no weight, and of its output.
        nbytes: of the weights.
        reason: why it stays in float, or "".
    """

    name: str
    node: str
    type: str
    weights: tuple[str, ...]
    given: str
    output: str
    nbytes: int
    reason: str = ""


def weight_nodes(
    graph: Any,
    onnx: Any,
    options: OnnxDynamicOptions | OnnxStaticOptions,
    left: LeftInFloat,
    modules: Mapping[str, Any],
    scopes: Mapping[str, str],
) -> list[WeightNode]:
    """Nodes that the method takes.

    Args:
        graph: ``onnx.GraphProto``, float, as it will be quantized.
        modules: of the model by name, or {}.
        scopes: the module that a value stems from, as the exporter said.

    Raises:
        Failure: there is none, all are left, or a name is no layer's.
    """
    takes = _STATIC if isinstance(options, OnnxStaticOptions) else _DYNAMIC
    initializers = {each.name: each for each in graph.initializer}
    found: list[WeightNode] = []
    taken: set[str] = set()
    for node in graph.node:
        places = takes.get(node.op_type, ())
        weights = [node.input[place] for place in places if place < len(node.input)]
        weights = [name for name in weights if _is_weight(initializers.get(name), onnx)]
        if not weights:
            continue
        given = next((name for name in node.input if name and name not in initializers), "")
        name = _layer_name(node, weights[0], modules, scopes, taken)
        taken.add(name)
        reason = BY_USER if _is_left(name, node.name, weights[0], left) else ""
        size = sum(_nbytes(initializers[each], onnx) for each in weights)
        found.append(
            WeightNode(
                name, node.name, node.op_type, tuple(weights), given, node.output[0], size, reason
            )
        )
    _demand_known(found, left, modules)
    if all(each.reason for each in found):
        method = method_of(options)
        kinds = sorted({node.op_type for node in graph.node})
        said = "all are left in float" if found else f"the graph has {', '.join(kinds[:_NAMED])}"
        raise Failure("nothing-to-quantize", method=method.title, takes=method.layers, found=said)
    return found


def as_stored(graph: Any, onnx: Any, nodes: Iterable[WeightNode]) -> list[QuantizedLayer]:
    """How the weights of each node lie in the quantized graph."""
    initializers = {each.name: each for each in graph.initializer}
    layers = []
    for node in nodes:
        parts = [
            each
            for weight in node.weights
            for name, each in initializers.items()
            if _belongs(name, weight)
        ]
        main = [each for each in parts if each.name.endswith("_quantized")]
        if not main:
            reason = node.reason or "the quantizer passed it over"
            layers.append(
                QuantizedLayer(
                    node.name, node.type, "float32", 32, node.nbytes, node.nbytes, reason
                )
            )
            continue
        kind = onnx.TensorProto.DataType.Name(main[0].data_type)
        size = sum(_nbytes(each, onnx) for each in parts if each.name not in node.weights)
        layers.append(
            QuantizedLayer(
                node.name, node.type, kind.lower(), _BITS.get(kind, 8), node.nbytes, size
            )
        )
    return layers


def scopes_of(graph: Any, modules: Mapping[str, Any]) -> dict[str, str]:
    """The module that each value of an exported graph stems from."""
    found = {}
    for node in graph.node:
        scope = module_of(node, modules)
        if scope:
            found.update({name: scope for name in (*node.output, *node.input) if name})
            found.update({name: scope for name in node.output if name})
    return found


def excluded(nodes: Iterable[WeightNode]) -> list[str]:
    """Names of nodes for the quantizers: a Gemm becomes a MatMul of another name first."""
    left = [each for each in nodes if each.reason]
    return [name for each in left for name in (each.node, f"{each.node}_MatMul")]


def _layer_name(
    node: Any,
    weight: str,
    modules: Mapping[str, Any],
    scopes: Mapping[str, str],
    taken: set[str],
) -> str:
    base = weight.removesuffix(".weight")
    scope = scopes.get(node.output[0], "")
    choices = [base] if base in modules else []
    if scope and not any(True for _ in modules[scope].children()):
        choices.append(scope)
    if not _ANONYMOUS.match(weight):
        choices.append(base)
    choices += [node.name, weight]
    return next((each for each in choices if each and each not in taken), weight)


def _is_left(name: str, node: str, weight: str, left: LeftInFloat) -> bool:
    if name in left.names:
        return True
    return any(
        fnmatchcase(each, pattern)
        for pattern in left.patterns
        for each in (name, f"{name}.weight", node, weight)
    )


def _demand_known(
    found: Sequence[WeightNode], left: LeftInFloat, modules: Mapping[str, Any]
) -> None:
    names = [each.name for each in found]
    for pattern in (*left.patterns, *left.names):
        exactly = LeftInFloat(names=(pattern,)) if pattern in left.names else None
        chosen = exactly or LeftInFloat(patterns=(pattern,))
        # A module that the method passes over stays in float anyway.
        if any(_is_left(each, each, each, chosen) for each in modules):
            continue
        if not any(_is_left(each.name, each.node, each.weights[0], chosen) for each in found):
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            known = ", ".join(names[:_NAMED]) + more
            raise Failure("no-such-layer", name=pattern, known=known or "none")


def _belongs(name: str, weight: str) -> bool:
    """Whether an initializer of the quantized graph was made of that weight."""
    if not name.startswith(weight):
        return False
    rest = name[len(weight) :]
    return re.fullmatch(r"(_Transposed|_MatMul)?(_quantized|_scale|_zero_point)", rest) is not None


def _is_weight(initializer: Any, onnx: Any) -> bool:
    if initializer is None or len(initializer.dims) < 2:
        return False
    return onnx.TensorProto.DataType.Name(initializer.data_type) in ("FLOAT", "FLOAT16", "BFLOAT16")


def _nbytes(initializer: Any, onnx: Any) -> int:
    count = 1
    for size in initializer.dims:
        count *= size
    kind = onnx.TensorProto.DataType.Name(initializer.data_type)
    return count * _BITS.get(kind, 32) // 8
