"""The rows of `show`: one for each node, labels drawn as a tree.

A file has up to a million rows, nearly all of them tensors of a few kinds. So a row is
its label and a hashable description of the rest, which is formatted once for each kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TypeAlias

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.quantized_storage import quantized_storage
from inspector_app.checkpoint.block_scales import BLOCKS
from inspector_app.checkpoint.model import (
    ArrayInfo,
    Checkpoint,
    Kind,
    Node,
    StorageRef,
    TensorInfo,
    contiguous_stride,
)
from inspector_app.checkpoint.pickle_nodes import BytesPlace
from inspector_app.checkpoint.text import plain

_INLINE = 60  # characters of a sequence that is shown on one line
_INLINE_ENTRIES = 3  # of a mapping that is shown on one line
_TEXT = 120  # characters of a scalar
_BRACKETS = {
    "list": ("[", "]"),
    "tuple": ("(", ")"),
    "set": ("{", "}"),
    "frozenset": ("{", "}"),
    "dict": ("{", "}"),
}


class Cells:
    """The columns of one kind of tensor. Compared by identity, which is what is fast.

    `again` is true of a tensor that is the very same view as one before it: a tied weight.
    """

    __slots__ = ("again", "dtype", "nbytes", "note", "numel", "shape")

    def __init__(self, tensor: TensorInfo, note: str, again: bool = False) -> None:
        self.shape = tensor.shape
        self.dtype = tensor.dtype
        self.numel = tensor.numel
        self.nbytes = tensor.nbytes
        self.note = note
        self.again = again


Rest: TypeAlias = Cells | str


class TreeRows:
    """The tree's rows in order.

    Attributes:
        labels: the branches drawn before the key, and the key.
        rest: what follows each label: a tensor's cells, or text.
        wide: some key is not ASCII: a label's length is not its width.
        sections: the rows where a section begins, with its kind.
        counts: of each section, by its kind: how many tensors of which cells. Parts of a
            tensor are not counted; a tensor belongs to the innermost section.
    """

    def __init__(self, checkpoint: Checkpoint, shared: Set[StorageRef]) -> None:
        self.labels: list[str] = []
        self.rest: list[Rest] = []
        self.sections: dict[int, str] = {}
        self.wide = False
        self.counts: dict[str, Counter[Cells]] = {}
        self._shared = shared
        # A whole model's attributes may have tensors that its state_dict has not.
        self._listed = set(checkpoint.tensors)
        self._views: set[tuple[object, ...]] = set()
        self._devices = len({tensor.device for tensor in checkpoint.tensors}) > 1
        starts = {}
        for section in checkpoint.sections:
            node = checkpoint.find(section.path)
            if node is not None:
                starts[node] = section.kind
        self._walk(checkpoint.root, starts)

    def _walk(self, root: Node, starts: Mapping[Node, str]) -> None:
        labels, rest, cells_of = self.labels, self.rest, self._cells
        kinds: dict[tuple[object, ...], Cells] = {}
        shared, listed = self._shared, self._listed
        section: str | None = starts.get(root, "")
        if isinstance(root, TensorInfo):
            cells = self._cells(root)
            labels.append("(root)")
            rest.append(cells)
            self.counts[section or ""] = Counter([cells])
            section = None  # what follows are its parts
        elif not root.children:
            labels.append("(root)")
            rest.append(spelled(root))
        # Of each open level: its nodes, the next one, what is drawn before them (None at
        # the top), and the section, None inside a tensor.
        stack: list[tuple[Sequence[Node], int, str | None, str | None]] = []
        stack.append((root.children, 0, None, section))
        wide = False
        while stack:
            children, start, indent, inside = stack.pop()
            last = len(children) - 1
            branch = "" if indent is None else f"{indent}├─ "
            counts = None if inside is None else self.counts.setdefault(inside, Counter())
            for index in range(start, last + 1):
                node = children[index]
                key = node.key
                if not (
                    type(key) is str and 0 < len(key) < 200 and key.isascii() and key.isprintable()
                ):
                    key = shown_key(node)
                    wide = wide or not key.isascii()
                if index == last and indent is not None:
                    branch = f"{indent}└─ "
                labels.append(branch + key)
                if isinstance(node, TensorInfo):
                    if node.children or node.storage in shared:
                        cells = cells_of(node)
                    else:
                        # All that the cells of a tensor without parts depend on.
                        common = (
                            node.shape,
                            node.dtype,
                            node.stride,
                            node.device,
                            node.layout,
                            id(node.details),
                        )
                        known = kinds.get(common)
                        cells = (
                            known if known is not None else kinds.setdefault(common, cells_of(node))
                        )
                    rest.append(cells)
                    if counts is not None and node in listed:
                        counts[cells] += 1
                    if not node.children:
                        continue
                    below = None
                else:
                    kind = starts.get(node)
                    if kind is not None:
                        self.sections[len(rest)] = kind
                    rest.append(spelled(node))
                    if not node.children or is_inline(node):
                        continue
                    below = inside if kind is None or inside is None else kind
                stack.append((children, index + 1, indent, inside))
                stack.append((node.children, 0, _below(indent, index == last), below))
                break
        self.wide = wide

    def _cells(self, tensor: TensorInfo) -> Cells:
        shared = tensor.storage in self._shared
        view = (tensor.storage, tensor.storage_offset, tensor.shape, tensor.stride)
        again = shared and view in self._views
        if shared:
            self._views.add(view)
        return Cells(tensor, _note(tensor, shared, self._devices), again)


def _below(indent: str | None, is_last: bool) -> str:
    if indent is None:
        return ""
    return f"{indent}   " if is_last else f"{indent}│  "


def shared_storages(tensors: Iterable[TensorInfo]) -> set[StorageRef]:
    """The storages that more than one tensor views."""
    seen: set[StorageRef] = set()
    shared: set[StorageRef] = set()
    for tensor in tensors:
        storage = tensor.storage
        if storage is not None:
            (shared if storage in seen else seen).add(storage)
    return shared


def _note(tensor: TensorInfo, shared: bool, name_device: bool) -> str:
    return ", ".join(_notes(tensor, shared, name_device))


def _notes(tensor: TensorInfo, shared: bool, name_device: bool) -> Iterable[str]:
    details = tensor.details
    if details.python_type:
        yield plain(details.python_type, 60)
    if tensor.layout != "strided":
        yield plain(tensor.layout, 20)
    if name_device or tensor.device == "meta":
        yield plain(tensor.device, 20)
    if details.quantizer is not None:
        quantizer = details.quantizer
        if quantizer.scale is not None:
            yield f"scale {quantizer.scale:.6g}, zero_point {quantizer.zero_point}"
        elif quantizer.scheme != BLOCKS:
            yield f"{plain(quantizer.scheme, 40)}, axis {quantizer.axis}"
    if details.quantizer is not None or details.python_type:
        yield from _quantized(tensor)
    if tensor.stride is not None and not _is_contiguous(tensor.shape, tensor.stride):
        yield f"stride {sizes_text(tensor.stride)}"
    if details.conj:
        yield "conj"
    if details.neg:
        yield "neg"
    if shared and tensor.storage is not None:
        yield f"shares storage {plain(tensor.storage.key, 40)}"
    if details.note:
        yield plain(details.note)


def _quantized(tensor: TensorInfo) -> Iterable[str]:
    found = quantized_storage(tensor)
    if found is not None:
        if found.scales > 1 and found.block:
            yield f"{count_text(found.scales)} scales, one for {sizes_text(found.block)}"
        yield f"{found.bits:.4g} bits a value"


def _is_contiguous(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """As torch sees it: the stride of a size of 1 does not matter, nor any if it is empty."""
    expected = contiguous_stride(shape)
    return expected == stride or (
        len(shape) == len(stride)
        and (
            0 in shape
            or all(a == b or n == 1 for a, b, n in zip(expected, stride, shape, strict=True))
        )
    )


def is_inline(node: Node) -> bool:
    """It holds numbers and the like, which are shown in the row of `node` itself."""
    small = node.kind == Kind.MAPPING and 0 < len(node.children) <= _INLINE_ENTRIES
    return (small or node.kind == Kind.SEQUENCE) and all(
        child.kind == Kind.SCALAR and not child.children for child in node.children
    )


def spelled(node: Node) -> str:
    """What a node that is no tensor says in its row."""
    kind = plain(node.type_name, 80)
    if node.kind == Kind.SCALAR:
        return scalar_text(node.value)
    if is_inline(node):
        return _inline_text(node)
    if node.kind in (Kind.MAPPING, Kind.SEQUENCE, Kind.MODULE):
        return f"{kind} ({len(node.children):,})"
    return f"{kind or node.kind} {_value_text(node.value)}".rstrip()


def _value_text(value: object) -> str:
    """What a node that is neither scalar nor container has for its value."""
    if isinstance(value, str):
        return plain(value, _TEXT)
    if isinstance(value, ArrayInfo):
        return f"{sizes_text(value.shape)} {plain(value.dtype, 20)}"
    if isinstance(value, StorageRef):
        return f"storage {plain(value.key, 40)}, {size_text(value.nbytes)}"
    return scalar_text(value) if isinstance(value, _SCALARS) else ""


_SCALARS = (bool, int, float, complex, str, bytes)


def scalar_text(value: object) -> str:
    """A scalar as Python would write it, cut to a line."""
    if isinstance(value, BytesPlace):
        return f"{value.kind} of {value.nbytes:,} bytes"
    if isinstance(value, str):
        text = plain(repr(value if len(value) <= _TEXT else value[:_TEXT]), 4 * _TEXT)
        return (
            text if len(value) <= _TEXT else f"{text[:-1]}…{text[-1]} ({len(value):,} characters)"
        )
    if isinstance(value, (bytes, bytearray)):
        text = repr(bytes(value[: _TEXT // 2]))
        return text if len(value) <= _TEXT // 2 else f"{text}… ({len(value):,} bytes)"
    if isinstance(value, int) and value.bit_length() > 64:
        return count_text(value)
    if value is None or isinstance(value, _SCALARS):
        return repr(value)
    # What else there may be is never asked for its repr: that could recurse.
    return plain(type(value).__name__, _TEXT)


def _inline_text(node: Node) -> str:
    prefix = "" if node.type_name in _BRACKETS else f"{plain(node.type_name, 60)} "
    if node.kind == Kind.MAPPING:
        entries = (f"{shown_key(child)}: {scalar_text(child.value)}" for child in node.children)
        return f"{prefix}{{{', '.join(entries)}}}"
    # A long sequence of scalars has no nodes of its own: they are its value.
    items = node.value if isinstance(node.value, (list, tuple)) else node.children
    opening, closing = _BRACKETS.get(node.type_name, ("[", "]"))
    words: list[str] = []
    length = 0
    for item in items:
        word = scalar_text(item.value) if isinstance(item, Node) else scalar_text(item)
        if words and length + len(word) > _INLINE:
            return f"{prefix}{opening}{', '.join(words)}, …{closing} ({len(items):,})"
        words.append(word)
        length += len(word) + 2
    comma = "," if node.type_name == "tuple" and len(words) == 1 else ""
    return f"{prefix}{opening}{', '.join(words)}{comma}{closing}"


def shown_key(node: Node) -> str:
    """The key, safe to print; an empty one is a pair of quotes."""
    return plain(f"{node.key}") or "''"


def sizes_text(sizes: Sequence[int]) -> str:
    """Sizes or strides: ``[64, 3, 7, 7]``."""
    text = ", ".join(map(count_text, sizes[:16]))
    return f"[{text}]" if len(sizes) <= 16 else f"[{text}, …]"
