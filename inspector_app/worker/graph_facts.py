"""What an exporter needs to know of a model, and a reader of a graph."""

from __future__ import annotations

from collections import Counter
from typing import Any

DATA_SUFFIX = ".data"  # of the file of external data that lies beside an ONNX model


def has_attention(module: Any) -> bool:
    """Whether layers of torch are in it that have a fused operator for evaluation."""
    from torch import nn

    fused = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
    return any(isinstance(each, fused) for each in module.modules())


def operators(model: Any) -> dict[str, int]:
    """How often each operator occurs, also in functions and in bodies of loops; the most
    frequent first. Those outside ONNX's own domain are written ``domain::name``."""
    counts: Counter[str] = Counter()
    nodes = [*model.graph.node, *(node for each in model.functions for node in each.node)]
    while nodes:
        node = nodes.pop()
        counts[f"{node.domain}::{node.op_type}" if node.domain else node.op_type] += 1
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                nodes.extend(graph.node)
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def nbytes(module: Any) -> int:
    """Bytes of its parameters and buffers, shared ones once."""
    tensors = {id(each): each for each in (*module.parameters(), *module.buffers())}
    return sum(each.numel() * each.element_size() for each in tensors.values())
