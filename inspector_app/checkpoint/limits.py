"""How much of a file is read before it counts as hostile."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds on what one file may cost. Exceeding one is a problem or an error by name.

    Attributes:
        pickle_bytes: bytes of one pickle stream, tensors' bytes not counted.
        object_bytes: memory that the inert objects of one pickle may take, by estimate,
            tensors of the recurring form not counted.
        globals: classes and functions that one pickle may name.
        tensors: tensors of one file.
        nodes: entries of a tree that are no tensors, beyond four for each tensor.
        repeated_nodes: nodes shown again because an object is referenced again.
        depth: how deep nodes may lie in the tree.
        line_bytes: the argument of a text opcode.
        text_bytes: a string or bytes value that is kept; a longer one is kept as a place
            in the file.
        integer_bytes: an integer's binary form.
        directory_entries: entries of an archive.
        inflated_bytes: a compressed record, once decompressed.
        json_bytes: a JSON document.
        checked_headers: archive records whose local header is compared with the directory
            on opening; in a larger archive only the records that are read.
    """

    pickle_bytes: int = 2 << 30
    object_bytes: int = 160 << 20
    globals: int = 20_000
    tensors: int = 5_000_000
    nodes: int = 500_000
    repeated_nodes: int = 100_000
    depth: int = 200
    line_bytes: int = 1 << 16
    text_bytes: int = 1 << 20
    integer_bytes: int = 1 << 10
    directory_entries: int = 4_000_000
    inflated_bytes: int = 64 << 20
    json_bytes: int = 200 << 20
    checked_headers: int = 1_000


DEFAULT = Limits()
