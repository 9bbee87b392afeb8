"""The tensors of a checkpoint's section, as torch has them.

`torch.load(weights_only=True)` reads what it accepts. What it refuses (a training
checkpoint with somebody's classes in it), what several files make up and safetensors come
through the inspector's own reader, which runs nothing: the bytes of each storage are read
once, and the tensors are views of it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

from inspector_app.checkpoint.errors import CheckpointError, NoValues
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.model import (
    Checkpoint,
    Node,
    StorageRef,
    TensorInfo,
)
from inspector_app.checkpoint.storage_bytes import StorageBytes
from inspector_app.worker.failures import Failure
from inspector_app.worker.suggestions import default_section
from inspector_app.worker.user_errors import failure_of

_TORCH_FORMATS = ("torch-zip", "torch-legacy", "torch-tar")
_LONGEST_VARINT = 10  # bytes
_PART = 1 << 24  # bytes that are read at once


def read_state_dict(checkpoint: Checkpoint, section: Sequence[str | int] | None) -> dict[str, Any]:
    """The section's tensors by key, on the CPU; with torch's ``_metadata`` where it has one.

    Raises:
        Failure: there is no such section, or a tensor in it cannot be read.
    """
    path = default_section(checkpoint) if section is None else tuple(section)
    node = None if path is None else checkpoint.find(path)
    if path is None or node is None:
        name = "/".join(map(str, path)) if path else "any place"
        raise Failure("no-weights", file=checkpoint.path, section=name)
    if checkpoint.format in _TORCH_FORMATS and os.path.isfile(checkpoint.path):
        loaded = _as_torch_reads(checkpoint, path)
        if loaded is not None:
            return loaded
    return _as_we_read(checkpoint, node)


def _as_torch_reads(checkpoint: Checkpoint, path: Sequence[str | int]) -> dict[str, Any] | None:
    """The mapping of tensors at `path`, or None where torch refuses the file or reads it
    in another way than as mappings and sequences."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # Mapped, so that of a training checkpoint only the model's bytes are read.
            value = torch.load(
                checkpoint.path,
                map_location="cpu",
                weights_only=True,
                mmap=checkpoint.format == "torch-zip",
            )
        except Exception:
            return None  # our own reader says what is wrong, if anything is
    for key in path:
        try:
            value = value[key]
        except (TypeError, KeyError, IndexError):
            return None
    if not isinstance(value, dict):
        return None
    tensors = {
        key: each
        for key, each in value.items()
        if isinstance(key, str) and isinstance(each, torch.Tensor)
    }
    if hasattr(value, "_metadata"):
        tensors = _with_metadata(tensors, value._metadata)
    return tensors or None


class _StateDict(dict[str, Any]):
    """A dict that can carry the versions of the modules, as torch's OrderedDict does."""

    _metadata: Any


def _with_metadata(tensors: dict[str, Any], metadata: Any) -> dict[str, Any]:
    carrying = _StateDict(tensors)
    carrying._metadata = metadata
    return carrying


def _as_we_read(checkpoint: Checkpoint, node: Node) -> dict[str, Any]:
    tensors: dict[str, Any] = {}
    with TensorReading(checkpoint) as storages:
        for child in node.children:
            if isinstance(child, TensorInfo) and isinstance(child.key, str):
                tensors[child.key] = storages.tensor(child)
    if not tensors:
        name = node.name or "its root"
        raise Failure("no-weights", file=checkpoint.path, section=name)
    return tensors


class TensorReading:
    """Storages of one checkpoint as torch tensors of bytes, each read once.

    A context manager: outside it no more can be read; the tensors stay.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._bytes = StorageBytes(checkpoint, DEFAULT, _varints)
        self._read: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> TensorReading:
        return self

    def __exit__(self, *_: object) -> None:
        self._bytes.close()

    def tensor(self, info: TensorInfo) -> Any:
        """The tensor that `info` describes.

        Raises:
            Failure: it cannot be read, or is of a layout that only torch can build.
        """
        try:
            return self._tensor(info)
        except CheckpointError as error:
            raise Failure("weights-not-read", key=info.name, reason=error.message) from None
        except (RuntimeError, ValueError, MemoryError) as error:
            raise failure_of("weights-not-read", error, key=info.name, reason=str(error)) from error

    def _tensor(self, info: TensorInfo) -> Any:
        import torch

        if info.storage is None or info.stride is None or info.storage_offset is None:
            raise NoValues("no-values", reason=f"it is {info.layout}, which torch has to load")
        dtype = getattr(torch, info.dtype, None)
        details = info.details
        if not isinstance(dtype, torch.dtype) or details.quantizer is not None:
            raise NoValues("no-values", reason=f"its dtype {info.dtype} has to be loaded by torch")
        raw = self._storage(info.storage)
        size = dtype.itemsize
        values = raw[: len(raw) // size * size]
        if details.big_endian and size > 1:
            part = size // 2 if dtype.is_complex else size
            values = values.view(-1, part).flip(1).contiguous().view(-1)
        found = torch.as_strided(values.view(dtype), info.shape, info.stride, info.storage_offset)
        found = torch.conj(found) if details.conj else found
        return torch._neg_view(found) if details.neg else found

    def _storage(self, storage: StorageRef) -> Any:
        import torch

        name = (storage.file, storage.key)
        if name not in self._read:
            run = self._bytes.run(storage)
            if run is None:
                raise NoValues("values-missing")
            # Not numpy's, which this environment need not have.
            buffer = bytearray(run.size)
            memory = memoryview(buffer)
            for start in range(0, run.size, _PART):
                run.read_into(start, memory[start : start + _PART])
            self._read[name] = (
                torch.frombuffer(buffer, dtype=torch.uint8)
                if buffer
                else torch.empty(0, dtype=torch.uint8)
            )
        return self._read[name]


def _varints(data: bytes, width: int) -> tuple[bytes, int]:
    """The low `width` bytes of each varint in `data`, and how many bytes were whole varints:
    few elements of ONNX models stand so. As `values` does it with numpy, which may be missing."""
    made = bytearray()
    number = shift = used = 0
    for at, byte in enumerate(data):
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            made += (number & ((1 << 8 * width) - 1)).to_bytes(width, "little")
            number = shift = 0
            used = at + 1
        elif shift >= _LONGEST_VARINT * 7:
            return b"", 0
    return bytes(made), used
