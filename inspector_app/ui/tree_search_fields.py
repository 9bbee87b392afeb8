"""The fields of the search language: ``dtype:bf16``, ``shape:*x4096``, ``size:>10MB`` …"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from operator import eq, ge, gt, le, lt

from inspector_app.checkpoint.dtypes import ALIASES, DTYPES
from inspector_app.checkpoint.model import Node, TensorInfo, contiguous_stride

# The sentences, in English; the search field translates them.
MESSAGES = {
    "too-long": "a search may have {limit} characters",
    "unknown-field": (
        "there is no field {field}; known are {known} (write quotes around text with a colon)"
    ),
    "unknown-dtype": "no dtype is called {value}",
    "unknown-property": "there is no property {value}; known are {known}",
    "bad-shape": "not a shape: {value}; write for example 3x*, *x4096 or 64x?x3x3",
    "bad-number": "not an amount: {value}; write for example >10MB, <=1k or 1e6",
    "bad-expression": "the expression is not complete or wrong: {reason}",
    "slow-expression": (
        "the expression could take very long: a repetition within another, or too many of them"
    ),
}

MOST_SHAPES = 4_096

Test = Callable[[Node], bool]
Storages = AbstractSet[int]


class SearchError(Exception):
    """A search that cannot be understood.

    Attributes:
        code: a key of `MESSAGES`.
        details: the sentence's arguments.
    """

    def __init__(self, code: str, **details: object) -> None:
        super().__init__(code)
        self.code = code
        self.details = details

    @property
    def message(self) -> str:
        """The English sentence."""
        return MESSAGES[self.code].format(**self.details)


_DTYPE_GROUPS = {
    "bf16": "bfloat16",
    "f64": "float64",
    "fp64": "float64",
    "f32": "float32",
    "fp32": "float32",
    "f16": "float16",
    "fp16": "float16",
    "fp8": "float8*",
    "f8": "float8*",
    "float8": "float8*",
    "e4m3": "float8_e4m3*",
    "e5m2": "float8_e5m2*",
    "fp4": "float4*",
    "float4": "float4*",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "u8": "uint8",
    "byte": "uint8",
    "char": "int8",
    **ALIASES,
}


def _dtype(value: str, shared: Storages) -> Test:
    wanted: set[str] = set()
    for word in value.lower().split(","):
        name = word.removeprefix("torch.")
        if not name:
            continue
        pattern = _DTYPE_GROUPS.get(name, name)
        names = {pattern} & DTYPES.keys() or set(fnmatch.filter(DTYPES, pattern))
        # The beginning of a name, while it is being typed.
        names = names or {known for known in DTYPES if known.startswith(name)}
        names = names or {
            found
            for alias, target in _DTYPE_GROUPS.items()
            if alias.startswith(name)
            for found in fnmatch.filter(DTYPES, target)
        }
        if not names:
            raise SearchError("unknown-dtype", value=word)
        wanted |= names
    return lambda node: isinstance(node, TensorInfo) and node.dtype in wanted


def _shape(value: str, shared: Storages) -> Test:
    parts = re.split(r"[x×,]", value.lower().strip("()[]"))
    if value.lower() in {"()", "[]", "scalar"}:
        return lambda node: isinstance(node, TensorInfo) and not node.shape
    if parts[-1] == "":
        # Still being typed: "3x" finds what "3x*" will.
        parts[-1] = "*"
    pattern: list[int | str] = []
    for part in parts:
        if re.fullmatch(r"[0-9]{1,18}", part):
            pattern.append(int(part))
        elif part == "?":
            pattern.append(part)
        elif part == "*":  # one size or more
            pattern += ["?", "…"]
        else:
            raise SearchError("bad-shape", value=value)
    known: dict[tuple[int, ...], bool] = {}

    def test(node: Node) -> bool:
        if not isinstance(node, TensorInfo):
            return False
        # A model has few shapes; a file that is made to have many pays for each.
        found = known.get(node.shape)
        if found is None:
            found = _fits(node.shape, pattern)
            if len(known) < MOST_SHAPES:
                known[node.shape] = found
        return found

    return test


def _fits(shape: Sequence[int], pattern: Sequence[int | str]) -> bool:
    """``?`` stands for one size, ``…`` for any number of them."""
    at = place = restart = 0
    rest = -1
    while at < len(shape):
        part = pattern[place] if place < len(pattern) else None
        if part == "…":
            rest = place
            restart = at
            place += 1
        elif part == "?" or part == shape[at]:
            at += 1
            place += 1
        elif rest >= 0:
            place = rest + 1
            restart += 1
            at = restart
        else:
            return False
    return all(part == "…" for part in pattern[place:])


_COMPARISON = re.compile(
    r"(>=|<=|>|<|=)?\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]{1,2})?)\s*([a-z]*)", re.IGNORECASE
)
_SIZE_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtp", 1):
    for _end in ("", "b"):
        _SIZE_UNITS[f"{_letter}{_end}"] = 1000**_power
        _SIZE_UNITS[f"{_letter}i{_end}"] = 1024**_power
_COUNT_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_OPERATORS: dict[str, Callable[[int, float], bool]] = {
    "": eq, "=": eq, ">": gt, ">=": ge, "<": lt, "<=": le
}  # fmt: skip


def _amount(value: str, units: dict[str, int]) -> Callable[[int], bool]:
    checks: list[tuple[Callable[[int, float], bool], float]] = []
    low, dots, high = value.partition("..")
    words = [f">={low}", f"<={high}"] if dots else [value]
    for word in words:
        if dots and word in {">=", "<="}:
            continue
        match = _COMPARISON.fullmatch(word)
        if match is None or match[3].lower() not in units:
            raise SearchError("bad-number", value=value)
        checks.append((_OPERATORS[match[1] or ""], float(match[2]) * units[match[3].lower()]))
    return lambda number: all(operator(number, limit) for operator, limit in checks)


def _size(value: str, shared: Storages) -> Test:
    check = _amount(value, _SIZE_UNITS)
    return lambda node: isinstance(node, TensorInfo) and check(node.nbytes)


def _parameters(value: str, shared: Storages) -> Test:
    check = _amount(value, _COUNT_UNITS)
    return lambda node: isinstance(node, TensorInfo) and check(node.numel)


def _device(value: str, shared: Storages) -> Test:
    pattern = value.lower() if "*" in value else f"{value.lower()}*"
    return lambda node: (
        isinstance(node, TensorInfo) and fnmatch.fnmatchcase(node.device.lower(), pattern)
    )


def _is_view(tensor: TensorInfo) -> bool:
    """It shows only a part of its storage, or shows it in another order."""
    if tensor.storage is None:
        return False
    return (
        bool(tensor.storage_offset)
        or tensor.nbytes != tensor.storage.nbytes
        or not _is_contiguous(tensor)
    )


def _is_contiguous(tensor: TensorInfo) -> bool:
    # The stride of a size of 1 may be anything.
    return tensor.stride is not None and all(
        size == 1 or found == expected
        for size, found, expected in zip(
            tensor.shape, tensor.stride, contiguous_stride(tensor.shape), strict=False
        )
    )


def _dtype_kind(tensor: TensorInfo) -> str:
    dtype = DTYPES.get(tensor.dtype)
    return dtype.kind if dtype is not None else ""


_PROPERTIES: dict[str, Callable[[TensorInfo], bool]] = {
    "tensor": lambda tensor: True,
    "view": _is_view,
    "contiguous": _is_contiguous,
    "param": lambda tensor: tensor.details.parameter,
    "grad": lambda tensor: tensor.requires_grad,
    "scalar": lambda tensor: not tensor.shape,
    "empty": lambda tensor: tensor.numel == 0,
    "sparse": lambda tensor: tensor.layout.startswith("sparse"),
    "nested": lambda tensor: tensor.layout in {"nested", "jagged"},
    "quantized": lambda tensor: tensor.details.quantizer is not None,
    "complex": lambda tensor: _dtype_kind(tensor) == "complex",
    "meta": lambda tensor: tensor.device == "meta",
    "wrapped": lambda tensor: bool(tensor.details.python_type),
}
_SYNONYMS = {"parameter": "param", "requires_grad": "grad", "tied": "shared"}
_KNOWN = sorted([*_PROPERTIES, "shared", "value"])


def _is(value: str, shared: Storages) -> Test:
    word = value.lower()
    word = _SYNONYMS.get(word, word)
    if word == "value":
        return lambda node: not isinstance(node, TensorInfo)
    if word == "shared":
        return lambda node: isinstance(node, TensorInfo) and id(node.storage) in shared
    # The beginning of a word, while it is being typed, stands for all that it may become.
    names = [word] if word in _PROPERTIES else [k for k in _PROPERTIES if k.startswith(word)]
    if not names and not any(known.startswith(word) for known in [*_KNOWN, *_SYNONYMS]):
        raise SearchError("unknown-property", value=value, known=", ".join(_KNOWN))
    checks = [_PROPERTIES[name] for name in names]
    return lambda node: isinstance(node, TensorInfo) and any(check(node) for check in checks)


FIELDS: dict[str, Callable[[str, Storages], Test]] = {
    "dtype": _dtype,
    "shape": _shape,
    "size": _size,
    "params": _parameters,
    "device": _device,
    "is": _is,
}
