"""From the tree of a checkpoint to the tree that is written: plain data and tensors alone.

What ``torch.load(weights_only=True)`` would refuse becomes the plain form that is nearest to
it, or is left out; either is noted, never silent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Iterator
from fnmatch import translate
from typing import Any, NamedTuple

from inspector_app.analysis.out_storages import Request, has_bytes
from inspector_app.analysis.output_tree import (
    Content,
    HeldBytes,
    Out,
    OutDevice,
    OutGlobal,
    OutMapping,
    OutSequence,
    OutTensor,
    StoredBytes,
)
from inspector_app.analysis.plain_forms import PlainForm, plain_form, plain_key, without_inner
from inspector_app.analysis.save_notes import Changed, Left, PlannedTensor, Why
from inspector_app.analysis.save_options import SaveOptions
from inspector_app.analysis.state_dict_keys import HEADER, METADATA
from inspector_app.checkpoint.allowed_globals import ALLOWED
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.errors import CannotSave
from inspector_app.checkpoint.model import (
    ArrayInfo,
    Checkpoint,
    Kind,
    Node,
    Progress,
    StorageRef,
    TensorInfo,
)
from inspector_app.checkpoint.pickle_nodes import BytesPlace, Call
from inspector_app.checkpoint.pickle_tree import MODULES, OddKeys
from inspector_app.checkpoint.plain_objects import raw_bytes
from inspector_app.checkpoint.value_arrays import array_tensor

_NOT_KEPT: Any = object()  # a key of which only the text is known
_SLICE = 1_000
_MAPPINGS = ("dict", "collections.OrderedDict", "collections.Counter")
_SEQUENCES = ("list", "tuple", "set", "torch.Size")
_SCALARS = ("NoneType", "bool", "int", "float", "complex", "str", "bytes", "bytearray")
# LONG1, the one form of large integers that weights_only reads, has a byte for its length.
_INTEGER_BITS = 2000
_SPARSE_PARTS = {
    "sparse_coo": ("indices", "values"),
    "sparse_csr": ("crow_indices", "col_indices", "values"),
    "sparse_bsr": ("crow_indices", "col_indices", "values"),
    "sparse_csc": ("ccol_indices", "row_indices", "values"),
    "sparse_bsc": ("ccol_indices", "row_indices", "values"),
    "nested": ("buffer", "sizes", "strides", "storage_offsets"),
}
# What only other formats hold.
_FOREIGN = re.compile(r"packed_|float4$|float6_|string$")
_ABSENT = object()
_HASHABLE = (str, int, float, bytes, type(None))


class Replacement(NamedTuple):
    """What stands in the place of a tensor.

    Attributes:
        tensor: of `checkpoint`; what is written has its shape, unless `shape` says another.
        note: of `PlannedTensor`.
        dtype: a cast, or "".
        made: the values, if they are not the tensor's own.
        identity: equal where what is made is the same.
    """

    checkpoint: Checkpoint
    tensor: TensorInfo
    note: str
    dtype: str = ""
    made: Content | None = None
    identity: Hashable = None
    shape: tuple[int, ...] | None = None


class Choosing:
    """Whether globs of the options match a node: its name, or its key alone.

    A cast without a glob is for what lies in `models`: optimizers keep their precision.
    """

    def __init__(self, options: SaveOptions, models: Collection[Node]) -> None:
        self._models = frozenset(models)
        self._keep = _matcher(options.keep)
        self._drop = _matcher(options.drop)
        self._casts = [(rule, _matcher((rule.pattern,))) for rule in options.dtypes]
        self.by_name = bool(options.keep or options.drop)

    def dropped(self, node: Node) -> bool:
        """Whether the user leaves it out."""
        if not self.by_name:
            return False
        names = (node.name, str(node.key))
        if self._drop is not None and any(map(self._drop, names)):
            return True
        if self._keep is None or not isinstance(node, TensorInfo):
            return False
        return not any(map(self._keep, names))

    def cast(self, tensor: TensorInfo) -> str:
        """The dtype that it is cast to, or "" if it is not."""
        wanted = ""
        dtype = DTYPES.get(tensor.dtype)
        if dtype is None or tensor.details.quantizer is not None or not dtype.numpy:
            return ""
        for rule, matches in self._casts:
            if dtype.kind == "float" and not rule.pattern and self._in_model(tensor):
                wanted = rule.dtype
            elif rule.pattern and dtype.kind in ("float", "int", "uint", "bool"):
                assert matches is not None
                if matches(tensor.name) or matches(str(tensor.key)):
                    wanted = rule.dtype
        return "" if wanted == tensor.dtype else wanted

    def _in_model(self, tensor: TensorInfo) -> bool:
        node: Node | None = tensor
        while node is not None and node not in self._models:
            node = node.parent
        return node is not None


def _matcher(patterns: Iterable[str]) -> Callable[[str], object] | None:
    wanted = [f"(?:{translate(pattern)})" for pattern in patterns if pattern]
    return re.compile("|".join(wanted)).match if wanted else None


class _Level(NamedTuple):
    """A container whose children are being made.

    Attributes:
        odd: keys that are neither text nor integer, by their child.
    """

    children: Iterator[Node]
    into: OutMapping | OutSequence
    prefix: str
    renames: dict[str, str] | None
    taken: set[str | int]
    odd: dict[Node, Any]


class OutBuilder:
    """Builds the tree that is written.

    Args:
        checkpoint: whose tree is walked.
        renames: of the nodes whose keys change, the new key of each.
        replacements: for tensors.
        left_nodes: nodes that are left out, and why.
        models: nodes whose floating-point tensors a cast without a glob is for.

    Attributes:
        requests: for bytes, in order.
        tensors: that are written.
        left, changed: as in a plan; of what is left the node.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: SaveOptions,
        renames: dict[Node, dict[str, str]],
        replacements: dict[TensorInfo, Replacement],
        left_nodes: dict[Node, str],
        models: Collection[Node],
    ) -> None:
        self._checkpoint = checkpoint
        self._device = options.device
        self._choosing = Choosing(options, models)
        self._renames = renames
        self._replacements = replacements
        self._left_nodes = left_nodes
        self._keys_of: dict[Node, set[Any]] = {}
        self.requests: list[Request] = []
        self.tensors: list[PlannedTensor] = []
        self.left: list[tuple[Node, Left]] = []
        self.changed: list[Changed] = []
        self.metadata: list[tuple[OutMapping, OutMapping, Node]] = []

    def building(self, top: Node, prefix: str) -> Generator[Progress, None, Out]:
        """The written form of `top` and everything below; None if it cannot be written.

        Args:
            prefix: of the names below it in the result.
        """
        root, below = self._one(top, prefix.rstrip("/") or str(top.key))
        if root is _ABSENT:
            return None
        levels: list[_Level] = []
        if below is not None:
            levels.append(self._level(top, root, below, prefix))
        done = 0
        while levels:
            level = levels[-1]
            for child in level.children:
                done += 1
                key: str | int = child.key
                if level.renames is not None and isinstance(key, str):
                    key = level.renames.get(key, key)
                name = f"{level.prefix}{key}"
                made, below = self._one(child, name)
                if made is not _ABSENT:
                    if level.renames is not None:
                        self._take(child, key, level.taken)
                    if isinstance(level.into, OutMapping):
                        written = self._odd_key(child, level.odd) if level.odd else None
                        level.into.pairs.append((key if written is None else written[0], made))
                    else:
                        level.into.items.append(made)
                    if below is not None:
                        levels.append(self._level(child, made, below, f"{name}/"))
                        break
                if done % _SLICE == 0:
                    yield Progress("plan", done)
            else:
                levels.pop()
        for mapping, holder, _ in self.metadata:
            mapping.metadata = holder.pairs[0][1] if holder.pairs else None
        return root  # type: ignore[no-any-return]

    def _level(self, node: Node, made: Any, below: Iterable[Node], prefix: str) -> _Level:
        odd: dict[Node, Any] = {}
        if isinstance(node.value, OddKeys):
            odd = {node.children[number]: key for number, key in node.value.keys.items()}
            odd |= {node.children[number]: _NOT_KEPT for number in node.value.others}
        return _Level(iter(below), made, prefix, self._renames.get(node), set(), odd)

    def _take(self, node: Node, key: str | int, taken: set[str | int]) -> None:
        if key in taken:
            raise CannotSave("save-key-collision", self._checkpoint.path, node.name, key=str(key))
        taken.add(key)

    def _odd_key(self, child: Node, odd: dict[Node, Any]) -> tuple[Out] | None:
        """A key that is neither text nor integer, or None where its text has to do."""
        if child not in odd:
            return None
        key = odd[child]
        if key is _NOT_KEPT:
            self._note(child, "key-to-text", type=str(child.key))
            return None
        value = plain_key(key)
        if value is not None and self._is_new_key(child, value[0]):
            self._note(child, "key-to-value", type=str(value[0]))
            return value
        if type(key) is Call:
            key = raw_bytes(key)  # as protocol 2 writes bytes
        if isinstance(key, (bool, float, bytes)) or child.key == "None":
            return (key,)
        if type(key) is tuple and all(isinstance(part, _HASHABLE) for part in key):
            return (OutSequence("tuple", list(key)),)
        self._note(child, "key-to-text", type=str(child.key))
        return None

    def _is_new_key(self, child: Node, key: Any) -> bool:
        """No other entry has, or is given, this key."""
        assert child.parent is not None
        known = self._keys_of.get(child.parent)
        if known is None:
            known = self._keys_of[child.parent] = {each.key for each in child.parent.children}
        if key in known:
            return False
        known.add(key)
        return True

    def one_tensor(self, node: TensorInfo, name: str) -> None:
        """Write a tensor that can be written, without what is around it."""
        self._tensor(node, name)

    def source_of(self, node: TensorInfo) -> TensorInfo:
        """What stands in the place of a tensor, or itself."""
        replacement = self._replacements.get(node)
        return node if replacement is None else replacement.tensor

    def dtype_of(self, node: TensorInfo) -> str:
        """What a strided tensor is written as."""
        replacement = self._replacements.get(node)
        own = "" if replacement is None else replacement.dtype
        return self._choosing.cast(node) or own or self.source_of(node).dtype

    def renames_in(self, node: Node) -> dict[str, str]:
        return self._renames.get(node, {})

    def is_left(self, node: Node) -> bool:
        """Note a node that the user leaves out."""
        why = self._left_nodes.get(node)
        if why is None and self._choosing.dropped(node):
            why = Why.DROPPED
        if why is not None:
            self._leave(node, why, chosen=True)
        return why is not None

    def leave(self, node: Node, why: str, chosen: bool = True) -> None:
        """Note a node that is not written."""
        self._leave(node, why, chosen)

    def _one(self, node: Node, name: str) -> tuple[Any, Iterable[Node] | None]:
        """The written form, or `_ABSENT`, and the children that are still to be made."""
        why = self._left_nodes.get(node)
        if why is not None:
            return self._leave(node, why, chosen=True)
        if self._choosing.by_name and self._choosing.dropped(node):
            return self._leave(node, Why.DROPPED, chosen=True)
        kind = node.kind
        if isinstance(node, TensorInfo):
            return self._tensor(node, name)
        if kind == Kind.SCALAR:
            return self._scalar(node)
        if kind == Kind.MAPPING:
            return self._mapping(node)
        if kind == Kind.SEQUENCE:
            return self._sequence(node)
        if kind == Kind.MODULE:
            self._note(node, "module-to-state-dict")
            children = [child for child in node.children if child.key != MODULES]
            return OutMapping("collections.OrderedDict", []), children
        if kind == Kind.OBJECT:
            encoded = _encoded_text(node)
            if encoded is not None:
                return encoded, None
            form = plain_form(node)
            if form is not None:
                return self._plain_form(node, form, name)
        if kind == Kind.ARRAY and isinstance(node.value, ArrayInfo):
            return self._array(node, name)
        if kind == Kind.STORAGE and isinstance(node.value, StorageRef):
            return self._storage(node, node.value, name)
        if kind == Kind.GLOBAL and node.value in ALLOWED:
            return OutGlobal(node.value), None
        return self._leave(node, Why.NOT_PLAIN)

    def _plain_form(
        self, node: Node, form: PlainForm, name: str
    ) -> tuple[Any, Iterable[Node] | None]:
        if form.node is not None:
            made, below = self._one(form.node, name)
            if made is _ABSENT:
                return made, below
        else:
            made = OutSequence("list", []) if form.what == "to-list" else OutMapping("dict", [])
            below = form.children
        self._note(node, form.what)
        if form.lost:
            self._note(node, "arguments-dropped")
        return made, below

    # --- containers

    def _mapping(self, node: Node) -> tuple[Out, Iterable[Node]]:
        name = node.type_name if node.type_name in _MAPPINGS else "dict"
        made = OutMapping(name, [])
        if name != node.type_name:
            self._note(node, "to-dict")
        children: Iterable[Node] = node.children
        if name != node.type_name and len(without_inner(node)) < len(node.children):
            self._note(node, "arguments-dropped")
            children = without_inner(node)
        if node.parent is None and self._checkpoint.format == "safetensors":
            # The header's texts are no key of the mapping.
            children = [child for child in children if child.key != HEADER]
        last = node.children[-1] if node.children else None
        if (
            name == "collections.OrderedDict"
            and last is not None
            and last.key == METADATA
            and last.kind == Kind.MAPPING
        ):
            # An attribute, which the tree shows as the last key.
            children = node.children[:-1]
            holder = OutMapping("dict", [])
            self.metadata.append((made, holder, node))
            self._fill(last, holder)
        return made, children

    def _fill(self, node: Node, holder: OutMapping) -> None:
        """Build `node`, which has no tensors, into `holder`."""
        made, below = self._one(node, node.name)
        if made is _ABSENT:
            return
        holder.pairs.append((node.key, made))
        levels = [self._level(node, made, below, "")] if below is not None else []
        while levels:
            level = levels[-1]
            for child in level.children:
                item, inner = self._one(child, child.name)
                if item is _ABSENT:
                    continue
                if isinstance(level.into, OutMapping):
                    level.into.pairs.append((child.key, item))
                else:
                    level.into.items.append(item)
                if inner is not None:
                    levels.append(self._level(child, item, inner, ""))
                    break
            else:
                levels.pop()

    def _sequence(self, node: Node) -> tuple[Out, Iterable[Node] | None]:
        name = node.type_name
        if name == "frozenset":
            name = "set"
            self._note(node, "to-set")
        elif name not in _SEQUENCES:
            name = "list"
            self._note(node, "to-list")
        if name == "set" and any(child.kind != Kind.SCALAR for child in node.children):
            # What is written for some objects cannot be hashed.
            name = "list"
            self._note(node, "to-list")
        if isinstance(node.value, (list, tuple)):
            return OutSequence(name, list(node.value)), None
        return OutSequence(name, []), node.children

    # --- leaves

    def _scalar(self, node: Node) -> tuple[Any, None]:
        value, kind = node.value, node.type_name
        if kind == "torch.device":
            return OutDevice(str(value)), None
        if isinstance(value, BytesPlace):
            return (value, None) if value.place is not None else self._leave(node, Why.NO_VALUES)
        if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
            return self._leave(node, Why.NOT_PLAIN)
        if kind not in _SCALARS:
            self._note(node, "to-text" if isinstance(value, str) else "to-number")
        if kind == "bytearray" and isinstance(value, bytes):
            return bytearray(value), None
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, bytearray)):
            return value, None
        return self._leave(node, Why.NOT_PLAIN)

    def _array(self, node: Node, name: str) -> tuple[Any, Iterable[Node] | None]:
        holder = TensorInfo("", "float64", (), (), None, 0)
        holder.children = [node]
        if node.children and len(node.value.shape) == 1:
            # Objects of any kind: numpy holds them as a list does.
            self._note(node, "to-list")
            return OutSequence("list", []), node.children
        found = array_tensor(holder)
        if found is None or found.details.note or not has_bytes(found.storage):
            return self._leave(node, Why.NOT_PLAIN)
        self._note(node, "array-to-tensor")
        found.key, found.parent = node.key, node.parent
        return self._strided(found, found, self._checkpoint, "", name), None

    def _storage(self, node: Node, storage: StorageRef, name: str) -> tuple[Any, None]:
        dtype = "uint8" if node.type_name == "untyped" else node.type_name
        known = DTYPES.get(dtype)
        if known is None or known.bits % 8 or not has_bytes(storage):
            return self._leave(node, Why.NOT_PLAIN)
        self._note(node, "storage-to-tensor")
        count = storage.nbytes // known.itemsize
        found = TensorInfo(node.key, dtype, (count,), (1,), storage, 0, storage.device)
        found.parent = node.parent
        return self._strided(found, found, self._checkpoint, "", name), None

    # --- tensors

    def _tensor(self, node: TensorInfo, name: str) -> tuple[Any, Iterable[Node] | None]:
        replacement = self._replacements.get(node)
        tensor, checkpoint, note = node, self._checkpoint, ""
        if replacement is not None:
            tensor, checkpoint, note = replacement.tensor, replacement.checkpoint, replacement.note
        made = tensor_form(tensor)
        if made:
            return self._leave(node, made)
        if made is None:
            self._note(node, "object-to-dict")
            return OutMapping("dict", []), tensor.children
        python_type = tensor.details.python_type
        if python_type and replacement is None:
            self._note(node, "subclass-to-tensor", type=python_type)
        if tensor.layout != "strided" or tensor.device == "meta":
            out = self._parted(tensor, checkpoint)
            if self._choosing.cast(tensor):
                self._note(node, "not-cast", type=tensor.layout)
            self.tensors.append(PlannedTensor(name, node, out, note))
            return out, None
        return self._strided(node, tensor, checkpoint, note, name), None

    def _strided(
        self, node: TensorInfo, tensor: TensorInfo, checkpoint: Checkpoint, note: str, name: str
    ) -> OutTensor:
        replacement = self._replacements.get(node)
        shape, dtype = tensor.shape, ""
        identity: Hashable = None
        made: Content | None = None
        if replacement is not None:
            made, identity, dtype = replacement.made, replacement.identity, replacement.dtype
            shape = replacement.shape or tensor.shape
        cast = self._choosing.cast(node)
        if made is None:
            dtype = cast or dtype
        elif cast:
            made = _cast(made, cast)
            dtype = cast
        held = _held(tensor)
        if dtype and dtype != tensor.dtype:
            note = note or "cast"
        out = self._plain(tensor, shape, dtype or tensor.dtype)
        out.quantizer = tensor.details.quantizer
        for part in tensor.children:
            if out.quantizer is not None and isinstance(part, TensorInfo):
                out.parts[str(part.key)] = self._part(part, checkpoint)
            elif held is tensor and replacement is None:
                self._note(node, "attribute-dropped", type=str(part.key))
        self.requests.append(Request(out, checkpoint, held, out.dtype, out.device, made, identity))
        self.tensors.append(PlannedTensor(name, node, out, note))
        return out

    def _plain(self, tensor: TensorInfo, shape: tuple[int, ...], dtype: str) -> OutTensor:
        out = OutTensor(dtype, shape, tensor.stride or ())
        device = tensor.device
        out.device = self._device if self._device and device != "meta" else device
        out.requires_grad = tensor.requires_grad and DTYPES[dtype].kind in ("float", "complex")
        out.parameter = tensor.details.parameter
        return out

    def _parted(self, tensor: TensorInfo, checkpoint: Checkpoint) -> OutTensor:
        """A tensor without a storage of its own: sparse, nested or meta."""
        out = self._plain(tensor, tensor.shape, tensor.dtype)
        out.layout = tensor.layout
        out.coalesced = tensor.details.coalesced
        for part in tensor.inner_tensors():
            out.parts[str(part.key)] = self._part(part, checkpoint)
        return out

    def _part(self, part: TensorInfo, checkpoint: Checkpoint) -> OutTensor:
        out = self._plain(part, part.shape, part.dtype)
        self.requests.append(Request(out, checkpoint, part, part.dtype, out.device))
        return out

    # --- what is told

    def _note(self, node: Node, what: str, **details: object) -> None:
        self.changed.append(Changed(node.name, what, details or {"type": node.type_name}))

    def _leave(self, node: Node, why: str, chosen: bool = False) -> tuple[Any, None]:
        left = Left(node.name, why, 0, 0, {"type": _type_of(node)}, chosen)
        self.left.append((node, left))
        return _ABSENT, None


def tensor_form(tensor: TensorInfo) -> str | None:
    """ "" if the tensor can be written to a torch file, None if it has to be taken apart, or
    why it cannot be."""
    if tensor.device == "meta" and tensor.storage is None and tensor.stride is not None:
        return _dtype_form(tensor)
    if tensor.layout in _SPARSE_PARTS:
        parts = {part.key: part for part in tensor.inner_tensors()}
        if any(name not in parts for name in _SPARSE_PARTS[tensor.layout]):
            return Why.NO_VALUES
        wanted = [parts[name] for name in _SPARSE_PARTS[tensor.layout]]
        return next((why for why in map(tensor_form, wanted) if why != ""), "")
    held = _held(tensor)
    if held.storage is None:
        return None if tensor.is_wrapper and tensor.layout == "strided" else Why.FORM
    quantizer = tensor.details.quantizer
    if quantizer is not None and quantizer.scale is None:
        parts = {part.key: part for part in tensor.inner_tensors()}
        if any(tensor_form(parts[name]) != "" if name in parts else True for name in _CHANNELS):
            return Why.NO_VALUES
    if held.stride is None or held.layout != "strided":
        return Why.FORM
    if tensor.numel and not has_bytes(held.storage):
        return Why.NO_VALUES
    return _dtype_form(held)


def _cast(made: Content, dtype: str) -> Content:
    if isinstance(made, (StoredBytes, HeldBytes)):
        raise TypeError("what is made anew has values")
    return made._replace(dtype=dtype)


_CHANNELS = ("scales", "zero_points")


def _dtype_form(tensor: TensorInfo) -> str:
    known = tensor.dtype in DTYPES and not _FOREIGN.match(tensor.dtype)
    return "" if known else Why.DTYPE


def _held(tensor: TensorInfo) -> TensorInfo:
    """The tensor with the bytes: the array that another was saved as, else itself."""
    if tensor.storage is None and tensor.layout == "strided" and tensor.children:
        return array_tensor(tensor) or tensor
    return tensor


def _encoded_text(node: Node) -> BytesPlace | None:
    """Bytes that are too long to be kept, as protocol 2 writes them: a text that is encoded."""
    if node.type_name != "_codecs.encode" or not node.children or not node.children[0].children:
        return None
    place = node.children[0].children[0].value
    if not isinstance(place, BytesPlace) or place.kind != "str" or place.place is None:
        return None
    return BytesPlace("encoded", place.offset, place.nbytes, place.place)


def _type_of(node: Node) -> str:
    if isinstance(node, TensorInfo):
        return node.details.python_type or f"{node.layout} {node.dtype}"
    if node.kind == Kind.GLOBAL:
        return str(node.value)
    return node.type_name
