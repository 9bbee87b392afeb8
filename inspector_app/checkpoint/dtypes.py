"""Every dtype that torch 2.13 can save: its name, its size and how numpy sees it.

Names are torch's, without the ``torch.``. Sources: ``c10/core/ScalarType.h`` and the
tables of ``torch/storage.py`` (storage classes), the safetensors format description
(its dtype codes) and ``onnx.proto`` (``TensorProto.DataType``).
"""

from __future__ import annotations

from typing import NamedTuple


class DType(NamedTuple):
    """One dtype.

    Attributes:
        name: torch's name, without ``torch.``.
        itemsize: bytes of one stored element, as torch reports it.
        bits: bits that one logical element takes in a storage.
        kind: ``float``, ``int``, ``uint``, ``bool``, ``complex``, ``quantized`` or ``bits``.
        numpy: the numpy or ml_dtypes name of the same bytes, "" where there is none.
    """

    name: str
    itemsize: int
    bits: int
    kind: str
    numpy: str


def _table() -> dict[str, DType]:
    rows = [
        ("float64", 8, "float", "float64"),
        ("float32", 4, "float", "float32"),
        ("float16", 2, "float", "float16"),
        ("bfloat16", 2, "float", "bfloat16"),
        ("float8_e4m3fn", 1, "float", "float8_e4m3fn"),
        ("float8_e4m3fnuz", 1, "float", "float8_e4m3fnuz"),
        ("float8_e5m2", 1, "float", "float8_e5m2"),
        ("float8_e5m2fnuz", 1, "float", "float8_e5m2fnuz"),
        ("float8_e8m0fnu", 1, "float", "float8_e8m0fnu"),
        # Two values in each byte; torch counts the bytes as its elements.
        ("float4_e2m1fn_x2", 1, "float", ""),
        ("complex128", 16, "complex", "complex128"),
        ("complex64", 8, "complex", "complex64"),
        ("complex32", 4, "complex", ""),
        ("int64", 8, "int", "int64"),
        ("int32", 4, "int", "int32"),
        ("int16", 2, "int", "int16"),
        ("int8", 1, "int", "int8"),
        ("uint64", 8, "uint", "uint64"),
        ("uint32", 4, "uint", "uint32"),
        ("uint16", 2, "uint", "uint16"),
        ("uint8", 1, "uint", "uint8"),
        ("bool", 1, "bool", "bool"),
        ("qint8", 1, "quantized", "int8"),
        ("quint8", 1, "quantized", "uint8"),
        ("qint32", 4, "quantized", "int32"),
        ("bits8", 1, "bits", "uint8"),
        ("bits16", 2, "bits", "uint16"),
        ("bits1x8", 1, "bits", "uint8"),
        ("bits2x4", 1, "bits", "uint8"),
        ("bits4x2", 1, "bits", "uint8"),
    ]
    table = {name: DType(name, size, size * 8, kind, numpy) for name, size, kind, numpy in rows}
    # Packed: several logical elements share a byte of the storage.
    table["quint4x2"] = DType("quint4x2", 1, 4, "quantized", "")
    table["quint2x4"] = DType("quint2x4", 1, 2, "quantized", "")
    # Shell dtypes: torch names them and counts a byte an element.
    for width in range(1, 8):
        table[f"int{width}"] = DType(f"int{width}", 1, 8, "int", "int8")
        table[f"uint{width}"] = DType(f"uint{width}", 1, 8, "uint", "uint8")
    # What only other formats hold; torch has no name for them. ONNX packs its 4-bit and
    # 2-bit integers.
    for width in (4, 2):
        for kind in ("int", "uint"):
            name = f"packed_{kind}{width}"
            table[name] = DType(name, 1, width, kind, "")
    table["float4"] = DType("float4", 1, 4, "float", "")
    table["float6_e2m3fn"] = DType("float6_e2m3fn", 1, 6, "float", "")
    table["float6_e3m2fn"] = DType("float6_e3m2fn", 1, 6, "float", "")
    table["string"] = DType("string", 0, 0, "bits", "")
    return table


DTYPES = _table()

ALIASES = {
    "double": "float64",
    "float": "float32",
    "half": "float16",
    "cdouble": "complex128",
    "cfloat": "complex64",
    "chalf": "complex32",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "bit": "uint1",
}

# torch.storage._dtype_to_storage_type_map, the other way round.
STORAGE_CLASSES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "QInt8Storage": "qint8",
    "QInt32Storage": "qint32",
    "QUInt8Storage": "quint8",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}


def find(name: str) -> DType | None:
    """The dtype called `name` (with or without ``torch.``, aliases included), if any."""
    name = name.removeprefix("torch.")
    return DTYPES.get(ALIASES.get(name, name))
