"""Weights alone: safetensors, or a clean state_dict."""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Mapping
from typing import Any

from inspector_app.worker.export import Writing, Written
from inspector_app.worker.failures import Failure
from inspector_app.worker.model_source import Model
from inspector_app.worker.protocol import Progress, SafetensorsOptions, StateDictOptions

# safetensors' names of dtypes: safetensors/src/tensor.rs of github.com/huggingface/safetensors
_DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "uint16": "U16",
    "float16": "F16",
    "bfloat16": "BF16",
    "int32": "I32",
    "uint32": "U32",
    "float32": "F32",
    "float64": "F64",
    "int64": "I64",
    "uint64": "U64",
    "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
}
_ALIGNED = 8
_PART = 1 << 24


def writing_state_dict(model: Model, _options: StateDictOptions, path: str) -> Writing:
    """Write ``torch.save(state_dict)``: tensors on the CPU, contiguous, each with a storage of
    its own unless two keys are one tensor."""
    import torch

    yield Progress("write the file")
    torch.save(_tensors(model), path)
    return Written()


def writing_safetensors(model: Model, options: SafetensorsOptions, path: str) -> Writing:
    """Write safetensors, without the package: an 8-byte length, a JSON header, the bytes.

    Of keys that are one tensor the first is written, and the metadata names the others, as
    ``safetensors.torch.save_model`` does it: load_model puts them together again.
    """
    tensors = _tensors(model)
    metadata = {"format": "pt"} | dict(options.metadata)
    first: dict[int, str] = {}
    notes = []
    for key, value in list(tensors.items()):
        if id(value) in first:
            metadata[key] = first[id(value)]
            del tensors[key]
            notes.append(f"{key} is the same tensor as {first[id(value)]} and is written once")
        first.setdefault(id(value), key)
    header, order = _header(tensors, metadata)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for done, key in enumerate(order):
            yield Progress("write the tensors", done, len(order))
            address, nbytes = tensors[key].data_ptr(), tensors[key].nbytes
            # Not through numpy, which has no bfloat16 and may be missing.
            for start in range(0, nbytes, _PART):
                file.write(ctypes.string_at(address + start, min(_PART, nbytes - start)))
    return Written(notes=notes)


def _tensors(model: Model) -> dict[str, Any]:
    """The state_dict's tensors as plain contiguous ones; one object for one tensor."""
    import torch

    made: dict[tuple[Any, ...], Any] = {}
    tensors = {}
    for key, value in model.module.state_dict().items():
        if not isinstance(value, torch.Tensor):
            continue
        if value.layout != torch.strided or type(value) not in (torch.Tensor, torch.nn.Parameter):
            raise Failure("not-plain", key=key, found=f"{type(value).__name__} {value.layout}")
        place = (value.data_ptr(), value.dtype, tuple(value.shape), value.stride())
        name = place if value.numel() else (key,)
        if name not in made:
            plain = value.detach().cpu().contiguous()
            whole = plain.untyped_storage().nbytes() == plain.nbytes
            made[name] = plain if whole else plain.clone()
        tensors[key] = made[name]
    return tensors


def _header(tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """The JSON header, padded so that the bytes are aligned, and the keys in their order:
    wide dtypes first, as the safetensors package has them."""
    names = {key: str(value.dtype).removeprefix("torch.") for key, value in tensors.items()}
    for key, dtype in names.items():
        if dtype not in _DTYPES:
            raise Failure("not-plain", key=key, found=dtype)
    order = sorted(tensors, key=lambda key: (-tensors[key].dtype.itemsize, key))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for key in order:
        nbytes = tensors[key].numel() * tensors[key].dtype.itemsize
        header[key] = {
            "dtype": _DTYPES[names[key]],
            "shape": list(tensors[key].shape),
            "data_offsets": [offset, offset + nbytes],
        }
        offset += nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % _ALIGNED), order
