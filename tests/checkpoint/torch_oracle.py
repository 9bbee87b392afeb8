"""What torch says about a file, in the words of a `Checkpoint`, and whether both agree."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch_files import SAFE_GLOBALS, prototypes

from inspector_app.checkpoint.model import Checkpoint, StorageRef, TensorInfo

Locations = Mapping[int, str]
Named = tuple[tuple[str | int, ...], torch.Tensor]


class Loaded(NamedTuple):
    """What torch made of a file.

    Attributes:
        value: the object.
        locations: the tag that the file gives to each storage, by its address.
        storages: kept alive, so that no address is used twice.
    """

    value: Any
    locations: dict[int, str]
    storages: list[Any]


def load(path: Path, *, weights_only: bool = True, record_locations: bool = True) -> Loaded:
    """Load with a recording ``map_location``. Everything stays on the CPU.

    Torch refuses a function for ``map_location`` where a subclass has no storage of its own;
    then `record_locations` must be false.
    """
    locations: dict[int, str] = {}
    storages: list[Any] = []

    def record(storage: Any, location: str) -> Any:
        untyped = getattr(storage, "_untyped_storage", storage)
        locations[untyped._cdata] = location
        storages.append(untyped)
        return storage

    with prototypes(), torch.serialization.safe_globals(SAFE_GLOBALS):
        value = torch.load(
            path, map_location=record if record_locations else None, weights_only=weights_only
        )
    return Loaded(value, locations, storages)


def tensors_of(value: Any) -> list[Named]:
    """Every tensor with its path, in order; a subclass before its inner tensors."""
    return list(_walk(value, ()))


def _walk(value: Any, path: tuple[str | int, ...]) -> Iterator[Named]:
    if isinstance(value, torch.Tensor):
        yield path, value
        # What another tensor merely has as an attribute is no part of the checkpoint's list.
        for name in _parts(value) if is_wrapper(value) else ():
            yield from _walk(getattr(value, name), (*path, name))
    elif isinstance(value, nn.Module):
        for key, tensor in value.state_dict(keep_vars=True).items():
            if isinstance(tensor, torch.Tensor):
                yield from _walk(tensor, (*path, key))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, (*path, key if type(key) in (str, int) else str(key)))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index))


def _parts(wrapper: Any) -> list[str]:
    """The attributes that are its inner tensors; what it computes from others is none."""
    stored = {*vars(wrapper), *getattr(type(wrapper), "__slots__", ())}
    return [name for name in wrapper.__tensor_flatten__()[0] if name in stored]


def facts_of(tensor: torch.Tensor) -> dict[str, Any]:
    """The attributes of a tensor that a `TensorInfo` has, too."""
    layout = str(tensor.layout).removeprefix("torch.")
    if tensor.is_nested:
        layout = "jagged" if layout == "jagged" else "nested"
    strided = layout == "strided"
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": _shape(tensor),
        "layout": layout,
        "requires_grad": tensor.requires_grad,
        "stride": tuple(tensor.stride()) if strided else None,
        "storage_offset": tensor.storage_offset() if strided else None,
    }


def is_wrapper(tensor: torch.Tensor) -> bool:
    """A subclass without bytes of its own."""
    return torch.utils._python_dispatch.is_traceable_wrapper_subclass(tensor)


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    if not tensor.is_nested:
        return tuple(tensor.shape)
    if tensor.layout == torch.jagged:
        return tuple(size if type(size) is int else -1 for size in tensor.shape)
    # The sizes are values of a tensor, which nobody reads to show the structure.
    return (tensor.size(0), *[-1] * (tensor.dim() - 1))


def disagreements(checkpoint: Checkpoint, loaded: Loaded, path: Path) -> list[str]:
    """Where the two differ, a line each."""
    named = tensors_of(loaded.value)
    found = {tensor.path for tensor in checkpoint.tensors}
    expected = [path for path, _ in named]
    if [tensor.path for tensor in checkpoint.tensors] != expected:
        return [
            f"paths {[tensor.path for tensor in checkpoint.tensors][:40]} not {expected[:40]};"
            f" missing {sorted(map(str, set(expected) - found))[:10]}"
            f" unexpected {sorted(map(str, found - set(expected)))[:10]}"
        ]
    lines = []
    by_address: dict[int, StorageRef] = {}
    by_storage: dict[int, int] = {}
    for info, (place, tensor) in zip(checkpoint.tensors, named, strict=True):
        for name, value in facts_of(tensor).items():
            seen = getattr(info, name)
            if seen != value or type(seen) is not type(value):
                lines.append(f"{place}: {name} {seen!r} not {value!r}")
        if info.details.conj != tensor.is_conj() or info.details.neg != tensor.is_neg():
            lines.append(f"{place}: conj, neg {info.details}")
        lines += [f"{place}: {line}" for line in _quantizer(info, tensor)]
        if tensor.layout != torch.strided or tensor.is_nested or is_wrapper(tensor):
            if info.storage is not None:
                lines.append(f"{place}: a storage, {info.storage.key!r}")
            continue
        if tensor.is_meta:
            if info.storage is not None or info.device != "meta":
                lines.append(f"{place}: {info.device} and a storage, not meta")
            continue
        lines += [f"{place}: {line}" for line in _storage(info, tensor, loaded, path)]
        address = tensor.untyped_storage()._cdata
        # Torch gives each view of nothing an empty storage of its own.
        if info.storage is not None and tensor.untyped_storage().nbytes():
            same = by_address.setdefault(address, info.storage) is info.storage
            if not same or by_storage.setdefault(id(info.storage), address) != address:
                lines.append(f"{place}: storage {info.storage.key!r} is shared otherwise")
    return lines


def _quantizer(info: TensorInfo, tensor: torch.Tensor) -> Iterator[str]:
    seen = info.details.quantizer
    if not tensor.is_quantized:
        if seen is not None:
            yield f"{seen}"
        return
    scheme = str(tensor.qscheme()).removeprefix("torch.")
    if seen is None or seen.scheme != scheme:
        yield f"{seen} not {scheme}"
    elif scheme == "per_tensor_affine":
        if (seen.scale, seen.zero_point) != (tensor.q_scale(), tensor.q_zero_point()):
            yield f"{seen} not {tensor.q_scale()}, {tensor.q_zero_point()}"
    else:
        if seen.axis != tensor.q_per_channel_axis():
            yield f"axis {seen.axis} not {tensor.q_per_channel_axis()}"
        parts = {part.key: part for part in info.inner_tensors()}
        for key, part in (
            ("scales", tensor.q_per_channel_scales()),
            ("zero_points", tensor.q_per_channel_zero_points()),
        ):
            if key not in parts or parts[key].shape != tuple(part.shape):
                yield f"{key} {parts.keys()}"
            elif parts[key].dtype != str(part.dtype).removeprefix("torch."):
                yield f"{key} of {parts[key].dtype} not {part.dtype}"


def _storage(info: TensorInfo, tensor: torch.Tensor, loaded: Loaded, path: Path) -> Iterator[str]:
    untyped = tensor.untyped_storage()
    location = loaded.locations.get(untyped._cdata, "cpu")
    if info.device != location:
        yield f"device {info.device} not {location}"
    storage = info.storage
    if storage is None:
        yield "no storage"
        return
    if storage.device != location:
        yield f"the storage's device {storage.device} not {location}"
    if storage.nbytes != untyped.nbytes():
        yield f"storage of {storage.nbytes} bytes not {untyped.nbytes()}"
        return
    if storage.record is None:
        yield "no record"
    elif not info.details.big_endian:
        # Big-endian bytes were swapped by torch.
        raw = record_bytes(storage, path)
        if raw != bytes(untyped):
            yield f"the record {storage.record} has other bytes"


def record_bytes(storage: StorageRef, path: Path) -> bytes:
    """A storage's bytes, found from where its record says they lie."""
    record = storage.record
    assert record is not None
    with open(Path(storage.file) if storage.file else path, "rb") as file:
        offset = record.offset
        if offset < 0:
            # The data follow the local header, whose lengths stand at its bytes 26 to 29
            # (APPNOTE 4.3.7).
            file.seek(record.header_offset)
            name, extra = struct.unpack_from("<HH", file.read(30), 26)
            offset = record.header_offset + 30 + name + extra
        file.seek(offset)
        return file.read(record.nbytes)
