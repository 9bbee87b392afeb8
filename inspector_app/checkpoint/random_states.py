"""States of random number generators, recognised by what they hold.

Sources: torch's ``CPUGeneratorImpl.cpp`` (5056 bytes; 5048 before torch 1.6),
``CUDAGeneratorImpl.cpp`` (16 bytes; 816 before torch 1.7), ``MPSGeneratorImpl.mm`` (44
bytes); Python's ``random.getstate()``: ``(3, (624 words and an index), None)``; numpy's
``random.get_state()``: ``("MT19937", words, …)``, or a dict with ``bit_generator``.
"""

from __future__ import annotations

import re

from inspector_app.checkpoint.model import Kind, Node, TensorInfo

CPU_BYTES = (5056, 5048)
# So short that only a name tells a state from data.
_DEVICE_BYTES = (16, 816, 44)
_NAMED = re.compile(r"(?<![a-z])p?rng(?![a-z])|random|seed", re.IGNORECASE)
_SAMPLE = 32


def is_random_state(node: Node) -> bool:
    """Whether `node` is the state of one generator, or of several and nothing else."""
    # Nearly every node that is asked about: its name need not be searched.
    if isinstance(node, TensorInfo) and node.dtype != "uint8":
        return False
    return _is_state(node, False, 3)


def _is_state(node: Node, named: bool, depth: int) -> bool:
    """`named`: a key above speaks of randomness; that decides where bytes alone do not."""
    named = named or (isinstance(node.key, str) and _NAMED.search(node.key) is not None)
    return _is_one(node, named) or (depth > 0 and _is_several(node, named, depth))


def _is_one(node: Node, named: bool) -> bool:
    if isinstance(node, TensorInfo):
        if node.dtype != "uint8" or len(node.shape) != 1:
            return False
        return node.shape[0] in CPU_BYTES or (named and node.shape[0] in _DEVICE_BYTES)
    if is_python_state(node) or is_numpy_state(node):
        return True
    if node.kind == Kind.MAPPING and len(node.children) <= 8:
        keys = {child.key for child in node.children}
        return "bit_generator" in keys and "state" in keys
    return node.kind == Kind.OBJECT and node.type_name.startswith("numpy.random.")


def is_python_state(node: Node) -> bool:
    """What ``random.getstate()`` returns."""
    parts = node.children
    return (
        node.kind == Kind.SEQUENCE
        and len(parts) == 3
        and type(parts[0].value) is int
        and parts[0].value in (2, 3)
        and parts[1].kind == Kind.SEQUENCE
        # A long sequence of numbers is kept as a value.
        and len(parts[1].children or parts[1].value or ()) == 625
    )


def is_numpy_state(node: Node) -> bool:
    """What ``numpy.random.get_state()`` returns."""
    parts = node.children
    return (
        node.kind == Kind.SEQUENCE
        and len(parts) == 5
        and parts[0].kind == Kind.SCALAR
        and parts[0].value == "MT19937"
    )


def _is_several(node: Node, named: bool, depth: int) -> bool:
    """Containers whose entries are states, or numbers beside them (a step, a device)."""
    count = len(node.children)
    if node.kind not in (Kind.MAPPING, Kind.SEQUENCE) or not 0 < count <= _SAMPLE:
        return False
    states = 0
    for child in node.children:
        if _is_state(child, named, depth - 1):
            states += 1
        elif child.kind != Kind.SCALAR:
            return False
    return 2 * states >= count
