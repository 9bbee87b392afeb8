"""Objects of the standard library and of numpy, read from their inert calls.

Checkpoints are full of them: numbers of numpy in metrics, paths and dates in configs,
ordered and default dictionaries. Each is recognised by name and given as a value or as
entries; what does not fit the form that its class writes stays an inert object.
Sources: the ``__reduce__`` methods of CPython 3.8 to 3.13 and of numpy 1 and 2.
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable, Iterator
from typing import Any

from inspector_app.checkpoint.model import ArrayInfo, Kind
from inspector_app.checkpoint.pickle_nodes import (
    ByteArray,
    BytesPlace,
    Call,
    GlobalRef,
    ItemSet,
    PairList,
)

Entries = list[tuple[Any, Any]] | Iterator[tuple[Any, Any]]
_SCALAR_FORMATS = {
    "f2": "e",
    "f4": "f",
    "f8": "d",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "b1": "?",
    "c8": "ff",
    "c16": "dd",
}
_KEPT_ARRAY_BYTES = 1 << 20
_LONGEST_TEXT = 1 << 16


class Plain:
    """What an inert object says: a value, or entries.

    Attributes:
        kind: of `Kind`.
        type_name: as people write it.
        value: of a scalar or array.
        entries: keys and inert values: a list of a mapping's, an iterator of others'.
    """

    __slots__ = ("entries", "kind", "type_name", "value")

    def __init__(
        self, kind: str, type_name: str, value: Any = None, entries: Entries | None = None
    ) -> None:
        self.kind = kind
        self.type_name = type_name
        self.value = value
        self.entries = entries


class Allowance:
    """Bytes that values may take which a stream does not write out but refers to.

    A text of a megabyte that a thousand calls refer to would become a gigabyte.
    """

    __slots__ = ("left",)

    def __init__(self, left: int = 64 << 20) -> None:
        self.left = left

    def take(self, value: Any) -> bool:
        """Whether `value` may be kept; if so its length is used up."""
        if isinstance(value, ArrayInfo):
            value = value.data
        length = len(value) if isinstance(value, (str, bytes)) else 0
        if length > self.left:
            return False
        self.left -= length
        return True


def plain_object(call: Call, allowance: Allowance) -> Plain | None:
    """What `call` says, if it is of a known class and of the form that the class writes.

    None also where its value is longer than what is left of `allowance`.
    """
    if type(call.function) is not GlobalRef or type(call.args) is not tuple:
        return None
    name = call.function.full_name.replace("__builtin__.", "builtins.")
    reader = _READERS.get(name)
    if reader is None:
        return None
    if sum(len(part) for part in call.args if isinstance(part, (str, bytes))) > allowance.left:
        return None
    try:
        known = reader(call, name)
        if known is None or allowance.take(known.value):
            return known
        if isinstance(known.value, ArrayInfo):
            known.value = known.value._replace(data=None)
            return known
        return None
    except (ValueError, IndexError, TypeError, OverflowError, struct.error):
        return None


def _scalar(type_name: str, value: Any) -> Plain:
    return Plain(Kind.SCALAR, type_name, value)


def _mapping(call: Call, name: str) -> Plain | None:
    given: list[tuple[Any, Any]] = []
    for argument in call.args:
        if type(argument) is PairList:
            given.extend(argument.pairs)
        elif type(argument) is list:
            for pair in argument:
                if type(pair) not in (list, tuple) or len(pair) != 2:
                    return None
                given.append((pair[0], pair[1]))
        elif type(argument) is not GlobalRef and argument is not None:
            return None
    pairs = call.pairs or []
    return Plain(Kind.MAPPING, name, entries=[*given, *pairs] if given else pairs)


def _sequence(call: Call, name: str) -> Plain | None:
    first = call.args[0] if call.args else []
    items = first.items if type(first) is ItemSet else first
    if type(items) not in (list, tuple):
        return None
    short = name.removeprefix("builtins.")
    return Plain(Kind.SEQUENCE, short, entries=enumerate([*items, *(call.items or [])]))


def _complex(call: Call, name: str) -> Plain:
    real, imaginary = call.args
    return _scalar("complex", complex(float(real), float(imaginary)))


def raw_bytes(value: Any) -> bytes | None:
    """The bytes that `value` stands for in any protocol, or None."""
    if isinstance(value, bytes):
        return value
    if type(value) is ByteArray:
        return value.value
    if isinstance(value, str):
        # A Python 2 string; what could be decoded was.
        return value.encode("utf-8", "surrogatepass")
    if (
        type(value) is Call
        and type(value.function) is GlobalRef
        and value.function.full_name == "_codecs.encode"
        and type(value.args) is tuple
        and value.args
        and isinstance(value.args[0], str)
    ):
        try:
            return value.args[0].encode("latin-1")
        except UnicodeEncodeError:
            return None
    return None


def _encoded(call: Call, name: str) -> Plain | None:
    data = raw_bytes(call)
    return None if data is None else _scalar("bytes", data)


def _bytearray(call: Call, name: str) -> Plain | None:
    if not call.args:
        return _scalar("bytearray", b"")
    first = call.args[0]
    data = first.encode("latin-1") if isinstance(first, str) else raw_bytes(first)
    return None if data is None else _scalar("bytearray", data)


def _bytes(call: Call, name: str) -> Plain | None:
    """Protocols 0 to 2 write empty bytes as ``bytes()``, others as an encoded text."""
    return None if call.args else _scalar("bytes", b"")


def _path(call: Call, name: str) -> Plain | None:
    if not all(isinstance(part, str) for part in call.args):
        return None
    text = "/".join(call.args)[:_LONGEST_TEXT]
    return _scalar(name, text.replace("//", "/", 1) if text.startswith("//") else text)


def _datetime(call: Call, name: str) -> Plain | None:
    data = raw_bytes(call.args[0])
    if isinstance(call.args[0], str):
        data = call.args[0].encode("latin-1")
    if data is None or len(data) != 10:
        return None
    year, month, day, hour, minute, second = struct.unpack(">H5B", data[:7])
    micro = int.from_bytes(data[7:], "big")
    moment = datetime.datetime(year, month & 0x7F, day, hour, minute, second, micro)
    return _scalar(name, moment.isoformat(" "))


def _date(call: Call, name: str) -> Plain | None:
    data = raw_bytes(call.args[0])
    if isinstance(call.args[0], str):
        data = call.args[0].encode("latin-1")
    if data is None or len(data) != 4:
        return None
    year, month, day = struct.unpack(">HBB", data)
    return _scalar(name, datetime.date(year, month, day).isoformat())


def _timedelta(call: Call, name: str) -> Plain:
    days, seconds, microseconds = call.args
    return _scalar(name, str(datetime.timedelta(int(days), int(seconds), int(microseconds))))


def _by_text(call: Call, name: str) -> Plain | None:
    if not all(isinstance(part, (str, int)) for part in call.args):
        return None
    return _scalar(name, "/".join(map(str, call.args))[:_LONGEST_TEXT])


def _device(call: Call, name: str) -> Plain:
    return _scalar(name, ":".join(str(part) for part in call.args if isinstance(part, (str, int))))


def dtype_code(value: Any) -> str | None:
    """numpy's code of an inert dtype, byte order first: ``<f8``."""
    if type(value) is not Call or type(value.args) is not tuple or not value.args:
        return None
    code = value.args[0]
    if isinstance(code, bytes):
        code = code.decode("ascii", "replace")
    if not isinstance(code, str) or len(code) > 64:
        return None
    order = "<"
    if value.state and type(value.state[-1]) is tuple and len(value.state[-1]) > 1:
        order = value.state[-1][1]
        if isinstance(order, bytes):
            order = order.decode("ascii", "replace")
    return f"{order}{code}" if order in ("<", ">", "|") else None


def _dtype(call: Call, name: str) -> Plain | None:
    code = dtype_code(call)
    return None if code is None else _scalar(name, code)


def _numpy_scalar(call: Call, name: str) -> Plain | None:
    code = dtype_code(call.args[0])
    if code is None or len(call.args) < 2:
        return None
    value = numpy_value(code, raw_bytes(call.args[1]))
    return None if value is None else _scalar(f"numpy.{code[1:]}", value)


def numpy_value(code: str, data: bytes | None) -> Any:
    """One number or text of numpy from its bytes; None if it is of another kind."""
    if data is None:
        return None
    order = ">" if code[0] == ">" else "<"
    form = _SCALAR_FORMATS.get(code[1:])
    if form is not None:
        numbers = struct.unpack(order + form, data)
        return complex(*numbers) if len(numbers) == 2 else numbers[0]
    if code[1:2] == "U":
        return data.decode("utf-32-be" if order == ">" else "utf-32-le").rstrip("\0")
    if code[1:2] == "S":
        return data.rstrip(b"\0")
    return None


def _array(call: Call, name: str) -> Plain | None:
    if not call.state or type(call.state[-1]) is not tuple or len(call.state[-1]) != 5:
        return None
    _, shape, dtype, fortran, data = call.state[-1]
    return _array_of(shape, dtype, fortran is True or fortran == 1, data)


def _frombuffer(call: Call, name: str) -> Plain | None:
    data, dtype, shape, order = call.args
    return _array_of(shape, dtype, order == "F", data)


def _array_of(shape: Any, dtype: Any, fortran: bool, data: Any) -> Plain | None:
    code = dtype_code(dtype)
    if code is None or type(shape) is not tuple or len(shape) > 64:
        return None
    if not all(type(size) is int and size >= 0 for size in shape):
        return None
    place = _place_of(data)
    if place is not None or (isinstance(data, (bytes, str)) and len(data) > _KEPT_ARRAY_BYTES):
        kept = None
    else:
        kept = raw_bytes(data)
    if kept is not None and len(kept) > _KEPT_ARRAY_BYTES:
        kept = None
    objects = enumerate(data) if type(data) is list else None
    info = ArrayInfo(shape, code, fortran, kept, place)
    return Plain(Kind.ARRAY, "numpy.ndarray", info, objects)


def _place_of(data: Any) -> tuple[str, str, int, int] | None:
    """Where the bytes of an array lie that were not kept, in any protocol."""
    if type(data) is Call and type(data.args) is tuple and data.args:
        name = data.function.full_name if type(data.function) is GlobalRef else ""
        data = data.args[0]
        if name != "_codecs.encode" or type(data) is not BytesPlace or data.kind != "str":
            return None
    elif type(data) is not BytesPlace or data.kind not in ("bytes", "bytearray"):
        return None
    if data.place is None:
        return None
    path, offset = data.place
    return path, data.kind, offset, data.nbytes


_READERS: dict[str, Callable[[Call, str], Plain | None]] = {
    "builtins.complex": _complex,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytearray,
    "builtins.set": _sequence,
    "builtins.frozenset": _sequence,
    "builtins.list": _sequence,
    "_codecs.encode": _encoded,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "collections.Counter": _mapping,
    "collections.deque": _sequence,
    "torch.Size": _sequence,
    "torch.device": _device,
    "torch.serialization._get_layout": _by_text,
    "datetime.datetime": _datetime,
    "datetime.date": _date,
    "datetime.timedelta": _timedelta,
    "decimal.Decimal": _by_text,
    "fractions.Fraction": _by_text,
    "numpy.dtype": _dtype,
    **{
        f"pathlib{module}.{kind}Path": _path
        for module in ("", "._local")
        for kind in ("", "Posix", "Windows", "PurePosix", "PureWindows", "Pure")
    },
    **{f"numpy.{core}.multiarray.scalar": _numpy_scalar for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": _array for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _frombuffer for core in ("core", "_core")},
}
