"""The Python expression for a part of a loaded checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from inspector_app.analysis.python_text import is_identifier, literal
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, PathElement, TensorInfo

# Methods of torch.Tensor that give the parts which the tree shows below a tensor.
_PARTS = {
    ("sparse_coo", "indices"): "_indices()",
    ("sparse_coo", "values"): "_values()",
    ("sparse_csr", "crow_indices"): "crow_indices()",
    ("sparse_csr", "col_indices"): "col_indices()",
    ("sparse_csr", "values"): "values()",
    ("sparse_csc", "ccol_indices"): "ccol_indices()",
    ("sparse_csc", "row_indices"): "row_indices()",
    ("sparse_csc", "values"): "values()",
    ("nested", "buffer"): "values()",
    ("nested", "sizes"): "_nested_tensor_size()",
    ("nested", "strides"): "_nested_tensor_strides()",
    ("nested", "storage_offsets"): "_nested_tensor_storage_offsets()",
    ("strided", "scales"): "q_per_channel_scales()",
    ("strided", "zero_points"): "q_per_channel_zero_points()",
}
_BLOCKED = {"sparse_bsr": "sparse_csr", "sparse_bsc": "sparse_csc"}
_UNORDERED = ("set", "frozenset")


def node_at(checkpoint: Checkpoint, path: Sequence[PathElement]) -> Node:
    """The node of a section of this checkpoint.

    Raises:
        KeyError: there is none.
    """
    node = checkpoint.find(path)
    if node is None:
        raise KeyError(tuple(path))
    return node


def access(base: str, node: Node, top: Node | None = None) -> str | None:
    """`base` with the subscripts and attributes that lead from `top` to `node`.

    `top` is the root if it is None. None where no expression leads there: into a set, or
    into the arguments of an object.
    """
    chain: list[Node] = []
    while node is not top and node.parent is not None:
        chain.append(node)
        node = node.parent
    text = base
    for each in reversed(chain):
        assert each.parent is not None
        step = _step(each.parent, each.key)
        if step is None:
            return None
        text += step
    return text


def _step(parent: Node, key: PathElement) -> str | None:
    if isinstance(parent, TensorInfo):
        if parent.details.quantizer is None or key not in ("scales", "zero_points"):
            method = _PARTS.get((_BLOCKED.get(parent.layout, parent.layout), str(key)))
            if method is None or parent.layout == "strided":
                return f".{key}" if isinstance(key, str) and is_identifier(key) else None
            return f".{method}"
        return f".{_PARTS['strided', str(key)]}"
    if parent.kind == Kind.MODULE:
        return f".state_dict()[{literal(key)}]"
    if parent.kind == Kind.MAPPING:
        return f"[{literal(key)}]"
    if parent.kind == Kind.SEQUENCE and parent.type_name not in _UNORDERED:
        return f"[{literal(key)}]"
    if parent.kind == Kind.OBJECT and isinstance(key, str) and is_identifier(key):
        return f".{key}"
    return None
