"""The pickle of a torch file, written without torch.

Protocol 2, with the opcodes, the order of the arguments and the memo of CPython's own pickler
when ``torch.save`` drives it (torch 2.13: ``torch/_tensor.py``, ``_reduce_ex_internal``;
``torch/nn/parameter.py``; ``torch/serialization.py``, ``persistent_id``), so that whatever reads
those files quickly reads these. Nothing is used that ``torch/_weights_only_unpickler.py`` refuses.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from inspector_app.analysis.output_tree import (
    Out,
    OutDevice,
    OutGlobal,
    OutMapping,
    OutSequence,
    OutStorage,
    OutTensor,
)
from inspector_app.checkpoint.dtypes import DTYPES, STORAGE_CLASSES
from inspector_app.checkpoint.pickle_nodes import BytesPlace

_CLASSES = {dtype: name for name, dtype in STORAGE_CLASSES.items()}
_BATCH = 1000  # items that one SETITEMS or APPENDS takes, as in Lib/pickle.py
_PIECE = 1 << 20
_SHARED_TEXT = 200  # characters
_BUILTINS = "__builtin__"  # the name that protocol 2 has for it
_COMPRESSED = {
    "sparse_csr": ("crow_indices", "col_indices", "values"),
    "sparse_bsr": ("crow_indices", "col_indices", "values"),
    "sparse_csc": ("ccol_indices", "row_indices", "values"),
    "sparse_bsc": ("ccol_indices", "row_indices", "values"),
}
_NESTED = ("buffer", "sizes", "strides", "storage_offsets")


class _Code(NamedTuple):
    """Opcodes that end what was begun; with `put` the result goes into the memo."""

    data: bytes
    put: bool = False


_REDUCE = (_Code(b"\x85", True), _Code(b"R", True))  # of one argument


class PickleWriter:
    """Writes one object.

    Args:
        long_text: the bytes of a text that was too long to be kept.

    Attributes:
        storages: those that tensors view, in the order of their keys, ``0``, ``1`` …
    """

    def __init__(self, long_text: Callable[[BytesPlace], bytes]) -> None:
        self.storages: list[OutStorage] = []
        self._long_text = long_text
        self._keys: dict[OutStorage, str] = {}
        self._made = bytearray()
        self._memo: dict[tuple[str, str], int] = {}
        self._count = 0

    def pieces(self, root: Out) -> Iterator[bytes]:
        """The stream, in pieces of about a megabyte."""
        self._made += b"\x80\x02"
        # Without recursion: what is still to be written, the next last.
        todo: list[Out | _Code] = [root]
        while todo:
            item = todo.pop()
            if isinstance(item, OutTensor):
                self._tensor(item)
            elif isinstance(item, _Code):
                self._made += item.data
                if item.put:
                    self._put()
            elif isinstance(item, OutMapping):
                todo += reversed(self._mapping(item))
            elif isinstance(item, OutSequence):
                todo += reversed(self._sequence(item))
            else:
                self._plain(item)
            if len(self._made) >= _PIECE:
                yield bytes(self._made)
                self._made.clear()
        yield bytes(self._made) + b"."

    # --- the memo

    def _put(self, key: tuple[str, str] | None = None) -> None:
        number = self._count
        self._count = number + 1
        if number < 256:
            self._made += bytes((0x71, number))
        else:
            self._made += b"r" + number.to_bytes(4, "little")
        if key is not None:
            self._memo[key] = number

    def _get(self, key: tuple[str, str]) -> bool:
        number = self._memo.get(key)
        if number is None:
            return False
        if number < 256:
            self._made += bytes((0x68, number))
        else:
            self._made += b"j" + number.to_bytes(4, "little")
        return True

    def _global(self, module: str, name: str) -> None:
        if not self._get((module, name)):
            self._made += f"c{module}\n{name}\n".encode()
            self._put((module, name))

    def _named(self, full_name: str) -> None:
        module, _, name = full_name.rpartition(".")
        self._global(_BUILTINS if module == "builtins" else module, name)

    def _text(self, text: str, shared: bool = True) -> None:
        key = ("", text) if shared else None
        if key is not None and self._get(key):
            return
        data = text.encode("utf-8", "surrogatepass")
        self._made += b"X" + len(data).to_bytes(4, "little") + data
        self._put(key)

    # --- containers

    def _mapping(self, value: OutMapping) -> list[Out | _Code]:
        """Begin it; what is still to be written."""
        rest: list[Out | _Code] = []
        if value.type_name == "collections.OrderedDict":
            self._global("collections", "OrderedDict")
            self._made += b")R"
        elif value.type_name == "collections.Counter":
            self._global("collections", "Counter")
            self._made += b"}"
            rest += _REDUCE
        else:
            self._made += b"}"
        self._put()
        if value.metadata is not None:
            # An attribute of the object: BUILD sets it.
            rest += [_Code(b"}", True), "_metadata", value.metadata, _Code(b"s"), _Code(b"b")]
        items: list[Out | _Code] = []
        for start in range(0, len(value.pairs), _BATCH):
            batch = value.pairs[start : start + _BATCH]
            many = len(batch) > 1
            if many:
                items.append(_Code(b"("))
            for key, item in batch:
                items.append(key)
                items.append(item)
            items.append(_Code(b"u" if many else b"s"))
        return items + rest

    def _sequence(self, value: OutSequence) -> list[Out | _Code]:
        """Begin it; what is still to be written."""
        items: list[Out | _Code] = list(value.items)
        kind = value.type_name
        if kind == "tuple":
            return self._begun_tuple(items)
        if kind == "torch.Size":
            self._global("torch", "Size")
            return [*self._begun_tuple(items), *_REDUCE]
        if kind == "set":
            self._global(_BUILTINS, "set")
        self._made += b"]"
        self._put()
        made: list[Out | _Code] = []
        for start in range(0, len(items), _BATCH):
            batch = items[start : start + _BATCH]
            made += [_Code(b"("), *batch, _Code(b"e")] if len(batch) > 1 else [*batch, _Code(b"a")]
        return [*made, *_REDUCE] if kind == "set" else made

    def _begun_tuple(self, items: list[Out | _Code]) -> list[Out | _Code]:
        if not items:
            self._made += b")"
            return []
        if len(items) <= 3:
            return [*items, _Code(bytes([0x84 + len(items)]), True)]
        self._made += b"("
        return [*items, _Code(b"t", True)]

    # --- leaves

    def _plain(self, value: Any) -> None:
        if value is None:
            self._made += b"N"
        elif isinstance(value, bool):
            self._made += b"\x88" if value else b"\x89"
        elif isinstance(value, int):
            self._integer(value)
        elif isinstance(value, float):
            self._made += struct.pack(">cd", b"G", value)
        elif isinstance(value, str):
            # The keys of an optimizer's state are the same again and again.
            self._text(value, shared=len(value) < _SHARED_TEXT)
        elif isinstance(value, BytesPlace):
            data = self._long_text(value)
            if value.kind in ("str", "encoded"):
                if value.kind == "encoded":
                    self._global("_codecs", "encode")
                self._made += b"X" + len(data).to_bytes(4, "little") + data
                self._put()
                if value.kind == "encoded":
                    self._text("latin1")
                    self._end(b"\x86")
            else:
                self._bytes(data, value.kind == "bytearray")
        elif isinstance(value, (bytes, bytearray)):
            self._bytes(bytes(value), isinstance(value, bytearray))
        elif isinstance(value, complex):
            self._global(_BUILTINS, "complex")
            self._made += struct.pack(">cdcd", b"G", value.real, b"G", value.imag) + b"\x86"
            self._put()
            self._made += b"R"
            self._put()
        elif isinstance(value, OutGlobal):
            self._named(value.name)
        elif isinstance(value, OutDevice):
            self._device(value.name)
        else:
            raise TypeError(f"{type(value).__name__} is nothing that is written")

    def _integer(self, value: int) -> None:
        if 0 <= value < 256:
            self._made += bytes((0x4B, value))
        elif 0 <= value < 65536:
            self._made += b"M" + value.to_bytes(2, "little")
        elif -(1 << 31) <= value < 1 << 31:
            self._made += b"J" + value.to_bytes(4, "little", signed=True)
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self._made += b"\x8a" + bytes((len(data),)) + data

    def _bytes(self, data: bytes, array: bool) -> None:
        if array and not data:
            self._global(_BUILTINS, "bytearray")
            self._made += b")R"
            self._put()
            return
        # Protocol 2 has no bytes: each is a character of a text.
        self._global(*((_BUILTINS, "bytearray") if array else ("_codecs", "encode")))
        self._text(data.decode("latin-1"), shared=False)
        self._text("latin-1" if array else "latin1")
        self._made += b"\x86"
        self._put()
        self._made += b"R"
        self._put()

    def _device(self, name: str) -> None:
        kind, _, number = name.partition(":")
        self._global("torch", "device")
        self._text(kind)
        if number.isdigit():
            self._integer(int(number))
        self._made += b"\x86" if number.isdigit() else b"\x85"
        self._put()
        self._made += b"R"
        self._put()

    # --- tensors

    def _tensor(self, tensor: OutTensor) -> None:
        if not tensor.parameter:
            self._data(tensor)
            return
        self._global("torch._utils", "_rebuild_parameter")
        self._data(tensor)
        self._boolean(tensor.requires_grad)
        self._no_hooks()
        self._made += b"\x87"
        self._put()
        self._made += b"R"
        self._put()

    def _data(self, tensor: OutTensor) -> None:
        if tensor.layout == "nested":
            self._global("torch._utils", "_rebuild_nested_tensor")
            self._made += b"("
            for name in _NESTED:
                self._tensor(tensor.parts[name])
            self._end(b"t")
        elif tensor.layout != "strided":
            self._sparse(tensor)
        elif tensor.storage is None:
            self._global("torch._utils", "_rebuild_meta_tensor_no_storage")
            self._made += b"("
            self._global("torch", tensor.dtype)
            self._sizes(tensor.shape)
            self._sizes(tensor.stride)
            self._boolean(tensor.requires_grad)
            self._end(b"t")
        else:
            self._strided(tensor, tensor.storage)

    def _strided(self, tensor: OutTensor, storage: OutStorage) -> None:
        untyped = _CLASSES.get(storage.dtype) is None
        if tensor.quantizer is not None:
            function = "_rebuild_qtensor"
        else:
            function = "_rebuild_tensor_v3" if untyped else "_rebuild_tensor_v2"
        self._global("torch._utils", function)
        self._made += b"("
        self._storage(storage)
        self._integer(tensor.storage_offset)
        self._sizes(tensor.shape)
        self._sizes(tensor.stride)
        if tensor.quantizer is not None:
            self._quantizer(tensor)
        # A parameter's own flag is that of the parameter.
        self._boolean(tensor.requires_grad and not tensor.parameter)
        self._no_hooks()
        if tensor.quantizer is None and untyped:
            self._global("torch", tensor.dtype)
        bits = [name for name in ("conj", "neg") if getattr(tensor, name)]
        if bits:
            self._made += b"}"
            self._put()
            for name in bits:
                self._text(name)
                self._made += b"\x88s"
        self._end(b"t")

    def _storage(self, storage: OutStorage) -> None:
        key = self._keys.get(storage)
        if key is None:
            key = self._keys[storage] = str(len(self.storages))
            self.storages.append(storage)
        name = _CLASSES.get(storage.dtype)
        self._made += b"("
        self._text("storage")
        if name is None:
            self._global("torch.storage", "UntypedStorage")
            count = storage.nbytes
        else:
            self._global("torch", name)
            count = storage.nbytes // DTYPES[storage.dtype].itemsize
        self._text(key, shared=False)
        self._text(storage.device)
        self._integer(count)
        self._made += b"t"
        self._put()
        self._made += b"Q"

    def _quantizer(self, tensor: OutTensor) -> None:
        quantizer = tensor.quantizer
        assert quantizer is not None
        if quantizer.scale is not None:
            self._named(f"torch.{quantizer.scheme}")
            self._plain(quantizer.scale)
            self._plain(quantizer.zero_point)
            self._made += b"\x87"
            self._put()
            return
        # torch writes the name of the integer scheme for both.
        self._made += b"("
        self._global("torch", "per_channel_affine")
        self._tensor(tensor.parts["scales"])
        self._tensor(tensor.parts["zero_points"])
        self._plain(quantizer.axis)
        self._made += b"t"
        self._put()

    def _sparse(self, tensor: OutTensor) -> None:
        self._global("torch._utils", "_rebuild_sparse_tensor")
        self._global("torch.serialization", "_get_layout")
        self._text(f"torch.{tensor.layout}")
        self._made += b"\x85"
        self._put()
        self._made += b"R"
        self._put()
        self._made += b"("
        for name in _COMPRESSED.get(tensor.layout, ("indices", "values")):
            self._tensor(tensor.parts[name])
        self._global("torch", "Size")
        self._sizes(tensor.shape)
        self._made += b"\x85"
        self._put()
        self._made += b"R"
        self._put()
        if tensor.layout == "sparse_coo" and tensor.coalesced is not None:
            self._boolean(tensor.coalesced)
        self._made += b"t"
        self._put()
        self._end(b"\x86")

    def _end(self, code: bytes) -> None:
        """Close the arguments with `code` and call."""
        self._made += code
        self._put()
        self._made += b"R"
        self._put()

    def _sizes(self, sizes: Sequence[int]) -> None:
        if not sizes:
            self._made += b")"
            return
        if len(sizes) > 3:
            self._made += b"("
        for size in sizes:
            self._integer(size)
        self._made += b"t" if len(sizes) > 3 else bytes((0x84 + len(sizes),))
        self._put()

    def _boolean(self, value: bool) -> None:
        self._made += b"\x88" if value else b"\x89"

    def _no_hooks(self) -> None:
        self._global("collections", "OrderedDict")
        self._made += b")R"
        self._put()
