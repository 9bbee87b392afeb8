"""Lines that restore the states of random number generators."""

from __future__ import annotations

from inspector_app.analysis.access import access
from inspector_app.analysis.python_text import comment
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, SectionKind, TensorInfo
from inspector_app.checkpoint.random_states import (
    CPU_BYTES,
    is_numpy_state,
    is_python_state,
    is_random_state,
)
from inspector_app.checkpoint.text import plain

_DEPTH = 4


def random_state_lines(checkpoint: Checkpoint) -> tuple[list[str], list[str]]:
    """Modules to import, and the lines."""
    imports: set[str] = set()
    lines: list[str] = []
    for section in checkpoint.sections:
        if section.kind == SectionKind.RNG:
            node = checkpoint.find(section.path)
            if node is not None:
                _restore(node, imports, lines, _DEPTH)
    return sorted(imports), ["", *lines] if lines else []


def _restore(node: Node, imports: set[str], lines: list[str], depth: int) -> None:
    expression = access("checkpoint", node)
    if expression is None:
        return
    if isinstance(node, TensorInfo):
        if node.shape[0] in CPU_BYTES and "cuda" not in str(node.key).lower():
            lines.append(f"torch.set_rng_state({expression})")
        elif node.shape[0] in CPU_BYTES or len(node.shape) != 1:
            lines += comment(f"A generator's state that is not restored: {plain(expression)}")
        else:
            lines.append("if torch.cuda.is_available():")
            lines.append(f"    torch.cuda.set_rng_state({expression})")
    elif is_python_state(node):
        imports.add("random")
        lines.append(f"random.setstate({expression})")
    elif is_numpy_state(node):
        imports.add("numpy")
        lines.append(f"numpy.random.set_state({expression})")
    elif _is_tensor_list(node):
        lines.append("if torch.cuda.is_available():")
        lines.append(f"    torch.cuda.set_rng_state_all({expression})")
    elif depth and node.kind in (Kind.MAPPING, Kind.SEQUENCE) and is_random_state(node):
        for child in node.children:
            if child.kind != Kind.SCALAR:
                _restore(child, imports, lines, depth - 1)
    else:
        lines += comment(f"A generator's state that is not restored: {plain(expression)}")


def _is_tensor_list(node: Node) -> bool:
    return (
        node.kind == Kind.SEQUENCE
        and bool(node.children)
        and all(isinstance(child, TensorInfo) for child in node.children)
    )
