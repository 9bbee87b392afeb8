"""TensorProto and SparseTensorProto, without their values.

Source: ``onnx.proto`` of ONNX 1.23. Elements lie in ``raw_data`` (little-endian, packed),
in a typed field such as ``int32_data``, or in a file beside the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.external_data import ExternalFiles
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import (
    PLAIN,
    Record,
    StorageRef,
    TensorDetails,
    TensorInfo,
    contiguous_stride,
)
from inspector_app.checkpoint.protobuf import BYTES, VARINT, WireReader, signed
from inspector_app.checkpoint.storage_forms import FieldStorage

# TensorProto.DataType: torch's name and the bits of an element in raw_data.
DATA_TYPES = {
    1: ("float32", 32),
    2: ("uint8", 8),
    3: ("int8", 8),
    4: ("uint16", 16),
    5: ("int16", 16),
    6: ("int32", 32),
    7: ("int64", 64),
    8: ("string", 0),
    9: ("bool", 8),
    10: ("float16", 16),
    11: ("float64", 64),
    12: ("uint32", 32),
    13: ("uint64", 64),
    14: ("complex64", 64),
    15: ("complex128", 128),
    16: ("bfloat16", 16),
    17: ("float8_e4m3fn", 8),
    18: ("float8_e4m3fnuz", 8),
    19: ("float8_e5m2", 8),
    20: ("float8_e5m2fnuz", 8),
    # Several elements a byte. torch's int4 and its kin take a byte each, so these are others.
    21: ("packed_uint4", 4),
    22: ("packed_int4", 4),
    23: ("float4", 4),
    24: ("float8_e8m0fnu", 8),
    25: ("packed_uint2", 2),
    26: ("packed_int2", 2),
    27: ("float6_e2m3fn", 6),
    28: ("float6_e3m2fn", 6),
}
_STRING = 8

_DIMS, _DATA_TYPE, _SEGMENT, _STRING_DATA, _NAME, _RAW_DATA = 1, 2, 3, 6, 8, 9
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_TYPED_DATA = {
    4: "float_data",
    5: "int32_data",
    7: "int64_data",
    10: "double_data",
    11: "uint64_data",
}
# Typed fields that hold the elements' own bytes where they are packed; the others are varints.
_FIXED_DATA = {4: (1, 14), 10: (11, 15)}
# The field where the elements of each data type lie that are numbers there; those of a
# complex number are two.
_FIELD_OF = {
    **dict.fromkeys((2, 3, 4, 5, 6, 9, 10, *range(16, 27)), 5),
    1: 4,
    14: 4,
    11: 10,
    15: 10,
    7: 7,
    12: 11,
    13: 11,
}
_EXTERNAL = 1

_MOST_DIMENSIONS = 1_000
_MOST_ELEMENTS = 1 << 63
_MOST_FIELDS = 1_000_000
_MOST_PAIRS = 100
_LEAST_TEXT = 100


@dataclass(slots=True)
class _Fields:
    """What a TensorProto says. Data are offsets in the file and lengths."""

    name: str = ""
    data_type: int = 0
    dims: list[int] = field(default_factory=list)
    raw: list[tuple[int, int]] = field(default_factory=list)
    typed: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    unpacked: bool = False
    segmented: bool = False
    external: bool = False
    pairs: list[tuple[int, int]] = field(default_factory=list)


class TensorReader:
    """Makes `TensorInfo` of the tensors in one model."""

    def __init__(
        self,
        wire: WireReader,
        external: ExternalFiles,
        limits: Limits,
        report: Callable[[Problem], None],
    ) -> None:
        self._wire = wire
        self._external = external
        self._limits = limits
        self._report = report
        self._text_left = limits.json_bytes

    def text(self, offset: int, length: int, most: int = 0) -> str:
        """A string of the file, cut after `most` bytes, or where it is too long for a name."""
        kept = min(length, most or self._limits.line_bytes, max(self._text_left, _LEAST_TEXT))
        self._text_left -= kept
        text = self._wire.read(offset, kept).decode(errors="replace")
        return text if kept == length else text + "…"

    def pair(self, start: int, end: int) -> tuple[str, str]:
        """A StringStringEntryProto."""
        key = value = ""
        for number, wire, at, length in self._wire.fields(start, end):
            if wire == BYTES and number == 1:
                key = self.text(at, length)
            elif wire == BYTES and number == 2:
                value = self.text(at, length, self._limits.text_bytes)
        return key, value

    def tensor(self, start: int, end: int, key: str | None = None) -> TensorInfo:
        """The TensorProto at [`start`, `end`), called `key` instead of by its own name."""
        found = self._fields(start, end)
        name = found.name if key is None else key
        dtype, bits = DATA_TYPES.get(found.data_type, (f"onnx_{found.data_type}", 0))
        if found.data_type not in DATA_TYPES:
            self._report(Problem("unknown-dtype", name, {"dtype": f"number {found.data_type}"}))
        sizes = self._shape(name, found.dims)
        shape = sizes or ()
        if found.segmented:
            self._report(Problem("bad-tensor", name, {"what": "it is stored in segments"}))
        expected = (prod(shape) * bits + 7) // 8 if bits and sizes is not None else None
        storage, note = self._storage(name, found, expected, prod(shape), (start, end))
        details = TensorDetails(note=note) if note else PLAIN
        return TensorInfo(name, dtype, shape, contiguous_stride(shape), storage, 0, details=details)

    def sparse(self, start: int, end: int, key: str | None = None) -> TensorInfo:
        """The SparseTensorProto at [`start`, `end`); it is called as its values are."""
        parts: list[TensorInfo] = []
        name = ""
        dims: list[int] = []
        for number, wire, at, length in self._wire.fields(start, end):
            if wire == BYTES and number in (1, 2):
                part = self.tensor(at, at + length)
                if number == 1:
                    name = str(part.key)
                part.key = "values" if number == 1 else "indices"
                parts.append(part)
            elif number == 3:
                dims += self._sizes(wire, at, length)
        name = name if key is None else key
        dtype = next((part.dtype for part in parts if part.key == "values"), "float32")
        shape = self._shape(name, dims) or ()
        whole = TensorInfo(name, dtype, shape, None, None, None, layout="sparse_coo")
        for part in parts:
            part.parent = whole
        whole.children = parts
        if {part.key for part in parts} != {"values", "indices"}:
            self._report(Problem("bad-tensor", name, {"what": "its values or indices are missing"}))
        return whole

    def _fields(self, start: int, end: int) -> _Fields:
        found = _Fields()
        for number, wire, at, length in self._wire.fields(start, end, _MOST_FIELDS):
            if number == _DIMS:
                if len(found.dims) <= _MOST_DIMENSIONS:
                    found.dims += self._sizes(wire, at, length)
            elif wire == VARINT:
                if number == _DATA_TYPE:
                    found.data_type = at
                elif number == _DATA_LOCATION:
                    found.external = at == _EXTERNAL
            elif number in _TYPED_DATA or number == _STRING_DATA:
                if wire != BYTES:
                    found.unpacked = True
                found.typed.setdefault(number, []).append((at, length))
            elif wire != BYTES:
                continue
            elif number == _NAME:
                found.name = self.text(at, length)
            elif number == _RAW_DATA:
                found.raw = [(at, length)]
            elif number == _SEGMENT:
                found.segmented = True
            elif number == _EXTERNAL_DATA and len(found.pairs) < _MOST_PAIRS:
                found.pairs.append((at, at + length))
        return found

    def _sizes(self, wire: int, at: int, length: int) -> list[int]:
        if wire == VARINT:
            return [signed(at)]
        packed = self._wire.varints(at, at + length, _MOST_DIMENSIONS + 1)
        return [signed(value) for value in packed]

    def _shape(self, name: str, dims: list[int]) -> tuple[int, ...] | None:
        """`dims`, or None with a problem where they can be no tensor's."""
        reason = ""
        if len(dims) > _MOST_DIMENSIONS:
            reason = f"it has more than {_MOST_DIMENSIONS} dimensions"
        elif any(size < 0 for size in dims):
            reason = "a dimension is negative"
        elif prod(max(size, 1) for size in dims) >= _MOST_ELEMENTS:
            reason = "it has more elements than 64 bits count"
        if reason:
            self._report(Problem("bad-tensor", name, {"what": reason}))
            return None
        return tuple(dims)

    def _storage(
        self,
        name: str,
        found: _Fields,
        expected: int | None,
        elements: int,
        place: tuple[int, int],
    ) -> tuple[StorageRef, str]:
        """Where the elements lie in the message at `place`, and a note where they are no
        plain bytes.
        """
        kinds = [*(["raw_data"] if found.raw else []), *(_field_name(n) for n in found.typed)]
        if found.external:
            entries = dict(self.pair(*place) for place in found.pairs)
            return self._external.storage(name, entries, expected), ""
        if len(kinds) > 1:
            what = f"it has data in both {kinds[0]} and {kinds[1]}"
            self._report(Problem("bad-tensor", name, {"what": what}))
        if found.raw:
            return self._in_place(name, found.raw[0], expected), ""
        if not found.typed:
            storage = StorageRef(name, expected or 0)
            if elements and found.data_type in DATA_TYPES:
                self._report(Problem("missing-record", name, {"record": "raw_data"}))
            elif expected == 0:
                storage.record = Record("", 0, 0)
            return storage, ""
        number, places = next(iter(found.typed.items()))
        if (
            found.data_type in _FIXED_DATA.get(number, ())
            and len(places) == 1
            and not found.unpacked
        ):
            return self._in_place(name, places[0], expected), ""
        held = sum(length for _, length in places)
        if number == _STRING_DATA:
            if found.data_type == _STRING and len(places) != elements:
                what = f"it has {len(places)} strings for {elements} elements"
                self._report(Problem("bad-tensor", name, {"what": what}))
            return StorageRef(name, held), "its strings are protobuf fields of their own"
        if _FIELD_OF.get(found.data_type) == number and expected is not None:
            width = max(DATA_TYPES[found.data_type][1] // 8, 1)
            note = f"its values are not plain bytes: they are numbers in {_field_name(number)}"
            return FieldStorage(name, expected, *place, number, width), note
        # Nor what should lie elsewhere, nor 6-bit elements, which have a number each.
        dtype = DATA_TYPES.get(found.data_type, ("this dtype",))[0]
        note = f"they are numbers in {_field_name(number)}, where no {dtype} is read from"
        return StorageRef(name, expected or 0), note

    def _in_place(self, name: str, place: tuple[int, int], expected: int | None) -> StorageRef:
        offset, length = place
        storage = StorageRef(name, length, "cpu", "", Record("", offset, length))
        if expected is not None and length != expected:
            details = {"expected": expected, "found": length}
            self._report(Problem("storage-size", name, details))
            if length < expected and offset + length == self._wire.source.size:
                # Cut off with the file.
                storage.nbytes = expected
                storage.record = None
        return storage


def _field_name(number: int) -> str:
    return _TYPED_DATA.get(number, "string_data")
