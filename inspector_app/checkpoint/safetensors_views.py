"""What a safetensors header says about a tensor before any offset: dtype and shape."""

from __future__ import annotations

import json
from math import prod
from typing import NamedTuple

from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import PLAIN, TensorDetails, contiguous_stride

# The `Dtype` of the library's tensor.rs, version 0.8.
CODES = {
    "BOOL": "bool",
    "F4": "float4",
    "F6_E2M3": "float6_e2m3fn",
    "F6_E3M2": "float6_e3m2fn",
    "U8": "uint8",
    "I8": "int8",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "C64": "complex64",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
}

_NOT_IN_TORCH = ("float4", "float6_e2m3fn", "float6_e3m2fn")
_MOST_DIMENSIONS = 1_000
_MOST_ELEMENTS = 1 << 63

# The code and the details of a problem.
Fault = tuple[str, dict[str, object]]


class View(NamedTuple):
    """A dtype and a shape as torch would have them.

    Attributes:
        nbytes: what the elements take in the file.
        details: a note where the file says it differently than torch.
        fault: what the library refuses, if anything.
    """

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    nbytes: int
    details: TensorDetails
    fault: Fault | None


def describe(description: str) -> View | str:
    """What a dtype code and a shape come to, or why they can be no tensor."""
    described = json.loads("{" + description + "}")
    code: str = described["dtype"]
    shape = tuple(described["shape"])
    if len(shape) > _MOST_DIMENSIONS:
        return f"the shape has {len(shape)} dimensions"
    elements = 1
    for size in shape:
        elements *= max(size, 1)
        if elements >= _MOST_ELEMENTS:
            return "the shape has more elements than 64 bits count"
    name = CODES.get(code)
    if name is None:
        unknown: Fault = ("unknown-dtype", {"dtype": code})
        return View(code, shape, contiguous_stride(shape), 0, PLAIN, unknown)
    bits = prod(shape) * DTYPES[name].bits
    fault: Fault | None = None
    details = PLAIN
    if bits % 8:
        fault = ("bad-tensor", {"what": "its elements do not fill whole bytes"})
    if name == "float4" and shape and shape[-1] % 2 == 0:
        # As the library hands it to torch, whose dtype counts pairs.
        details = TensorDetails(note=f"in the file: F4 of shape {list(shape)}")
        name = "float4_e2m1fn_x2"
        shape = (*shape[:-1], shape[-1] // 2)
    elif name in _NOT_IN_TORCH and not fault:
        details = TensorDetails(note=f"torch cannot load {code} of this shape")
    return View(name, shape, contiguous_stride(shape), bits // 8, details, fault)
