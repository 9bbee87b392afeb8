"""The bytes of what a plan describes, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Protocol, TypeAlias

from inspector_app.analysis.out_storages import is_contiguous
from inspector_app.analysis.output_tree import (
    AveragedValues,
    Content,
    FittedValues,
    HeldBytes,
    InitialValues,
    StoredBytes,
    TensorValues,
)
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.errors import NoValues
from inspector_app.checkpoint.model import (
    Checkpoint,
    StorageRef,
    TensorDetails,
    TensorInfo,
)
from inspector_app.checkpoint.value_bytes import ByteRun
from inspector_app.checkpoint.values import ValueReader, open_values
from inspector_app.saving.casting import cast, numpy_dtype
from inspector_app.saving.initial_values import Drawing

Array: TypeAlias = Any
Box: TypeAlias = tuple[slice, ...]

BLOCK_ELEMENTS = 1 << 20
_CAST_BYTES = 1 << 20
# Of a tensor that is not contiguous so many elements are read at once: each piece may have to
# pass over the whole of it.
_SCATTERED_ELEMENTS = 1 << 23


class Sink(Protocol):
    """Takes bytes in place."""

    def room(self, wanted: int) -> memoryview:
        """Where the next bytes belong: at most `wanted` of them, and at least one."""

    def commit(self, count: int) -> None:
        """The first `count` bytes of that room are there."""

    def refer(self, run: ByteRun, start: int, count: int) -> bool:
        """Take `count` bytes of a file from `start` of `run` on without putting them into room;
        false where that cannot be."""


class Sources:
    """The files that are read, opened on use and checked at the end.

    Attributes:
        overflows: how many finite values were too large for a cast, of the content that is
            being read.
    """

    def __init__(self) -> None:
        self._readers: dict[Checkpoint, ValueReader] = {}
        self._used: dict[tuple[Checkpoint, str], TensorInfo] = {}
        self.overflows = 0

    def reader(self, checkpoint: Checkpoint, storage: StorageRef | None = None) -> ValueReader:
        reader = self._readers.get(checkpoint)
        if reader is None:
            reader = self._readers[checkpoint] = open_values(checkpoint)
        if storage is not None and (checkpoint, storage.file) not in self._used:
            used = TensorInfo("", "uint8", (0,), (1,), storage, 0)
            self._used[checkpoint, storage.file] = used
        return reader

    def check_unchanged(self) -> None:
        """Raise `UnreadableFile` where a file was written to since it was opened."""
        for (checkpoint, _), used in self._used.items():
            self._readers[checkpoint].check_unchanged(used)

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    # --- blocks

    def fill(self, content: Content, sink: Sink) -> None:
        """Put the bytes of `content` into `sink`.

        Raises:
            CheckpointError: they cannot be read.
        """
        if isinstance(content, StoredBytes):
            self._stored(content, sink)
        elif isinstance(content, HeldBytes):
            _copy(memoryview(content.data), sink)
        else:
            for array in self._arrays(content):
                if array.size:
                    _copy(_memory(array), sink)

    def _stored(self, content: StoredBytes, sink: Sink) -> None:
        if not content.nbytes:
            return
        run = self.reader(content.checkpoint, content.storage).raw_bytes(content.storage)
        if run is None:
            raise NoValues("values-missing", content.checkpoint.path, content.storage.key)
        end = content.start + content.nbytes
        if run.size < end:
            raise NoValues(
                "values-cut",
                content.checkpoint.path,
                f"storage {content.storage.key}",
                missing=end - run.size,
            )
        at = content.start
        if sink.refer(run, at, content.nbytes):
            return
        while at < end:
            block = sink.room(end - at)
            run.read_into(at, block)
            sink.commit(len(block))
            at += len(block)

    def _arrays(self, content: Content) -> Iterator[Array]:
        if isinstance(content, TensorValues):
            tensor = flat(content.tensor)
            if tensor is not content.tensor and _is_plain(tensor):
                yield from self._flat_values(content._replace(tensor=tensor))
                return
            for box in boxes(tensor.shape, is_contiguous(tensor)):
                yield self._values(content._replace(tensor=tensor), box)
        elif isinstance(content, AveragedValues):
            tensors = [tensor for _, tensor in content.sources]
            if all(map(is_contiguous, tensors)):
                tensors = list(map(flat, tensors))
            compact = all(map(is_contiguous, tensors))
            for box in boxes(tensors[0].shape, compact):
                yield self._average(content, tensors, box)
        elif isinstance(content, InitialValues):
            drawing = Drawing(content)
            count = prod(content.shape)
            for start in range(0, count, BLOCK_ELEMENTS):
                yield drawing.take(min(BLOCK_ELEMENTS, count - start))
        elif isinstance(content, FittedValues):
            yield from self._fitted(content)

    def _flat_values(self, content: TensorValues) -> Iterator[Array]:
        """A contiguous tensor of real numbers, cast from the bytes as they stand in the file."""
        import numpy as np

        tensor = content.tensor
        storage = tensor.storage
        assert storage is not None
        reader = self.reader(content.checkpoint, storage)
        # It looks whether the bytes are all there.
        run = None if 0 in tensor.shape else reader.raw_bytes(storage)
        reader.elements(tensor)
        source = numpy_dtype(DTYPES[tensor.dtype].numpy)
        buffer: Array = np.empty(_CAST_BYTES, np.uint8)
        at = (tensor.storage_offset or 0) * source.itemsize
        end = at + tensor.numel * source.itemsize
        while at < end and run is not None:
            block = buffer[: min(_CAST_BYTES, end - at)]
            run.read_into(at, block.data)
            made, overflows = cast(block.view(source), content.dtype)
            self.overflows += overflows
            yield made
            at += len(block)

    def _values(self, content: TensorValues, box: Box) -> Array:
        """A part of a tensor as the wanted dtype, writable."""
        tensor, dtype = content.tensor, content.dtype
        reader = self.reader(content.checkpoint, tensor.storage)
        if dtype == tensor.dtype:
            bits = _as_bits(tensor)
            values = reader.read(bits, box, raw=True)
            if bits is not tensor or dtype != "complex32":
                return values if values.dtype.kind != "b" else values.astype("u1")
            return _halves(values)
        known = DTYPES[tensor.dtype]
        values = reader.read(tensor, box)
        if known.kind == "complex" or not known.numpy:
            raise NoValues("no-values", where=tensor.name, reason=f"{known.name} is not cast")
        made, overflows = cast(values, dtype)
        self.overflows += overflows
        return made

    def _average(self, content: AveragedValues, tensors: Sequence[TensorInfo], box: Box) -> Array:
        import numpy as np

        averaging = content.averaging
        total: Array = None
        for number, tensor in enumerate(tensors):
            checkpoint = content.sources[number][0]
            values = self.reader(checkpoint, tensor.storage).read(tensor, box)
            exact = _float64(values)
            with np.errstate(all="ignore"):
                if averaging.kind == "weighted":
                    exact = exact * averaging.weights[number]
                if total is None:
                    total = exact
                elif averaging.kind == "ema":
                    total = averaging.decay * total + (1 - averaging.decay) * exact
                else:
                    total = total + exact
        with np.errstate(all="ignore"):
            if averaging.kind == "mean":
                total = total / len(tensors)
            elif averaging.kind == "weighted":
                total = total / sum(averaging.weights)
        if DTYPES[content.dtype].kind == "complex":
            half = "float64" if content.dtype == "complex128" else "float32"
            made, overflows = cast(total, half)
        else:
            made, overflows = cast(total, content.dtype)
        self.overflows += overflows
        return made

    def _fitted(self, content: FittedValues) -> Iterator[Array]:
        base, patch = content.base, content.patch
        if isinstance(base, InitialValues):
            drawing, shape = Drawing(base), base.shape
        else:
            drawing, shape = None, base.tensor.shape
        for box in boxes(shape, compact=True):
            sizes = tuple(part.stop - part.start for part in box)
            if drawing is not None:
                made = drawing.take(prod(sizes)).reshape(sizes)
            else:
                assert isinstance(base, TensorValues)
                made = _typed(self._values(base, box), content.dtype)
            inside = [
                (max(part.start, into.start), min(part.stop, into.stop))
                for part, into in zip(box, content.into, strict=True)
            ]
            if all(first < last for first, last in inside):
                taken = tuple(
                    slice(first - into.start + out.start, last - into.start + out.start)
                    for (first, last), into, out in zip(
                        inside, content.into, content.out_of, strict=True
                    )
                )
                place = tuple(
                    slice(first - part.start, last - part.start)
                    for (first, last), part in zip(inside, box, strict=True)
                )
                made[place] = _typed(self._values(patch, taken), content.dtype)
            yield made


def _is_plain(tensor: TensorInfo) -> bool:
    details = tensor.details
    special = details.conj or details.neg or details.big_endian or details.quantizer is not None
    return (
        not special
        and DTYPES[tensor.dtype].kind in ("float", "int", "uint")
        and bool(DTYPES[tensor.dtype].numpy)
    )


def flat(tensor: TensorInfo) -> TensorInfo:
    """A contiguous tensor as a vector; others as they are."""
    if not is_contiguous(tensor) or tensor.storage is None:
        return tensor
    made = TensorInfo(
        tensor.key,
        tensor.dtype,
        (tensor.numel,),
        (1,),
        tensor.storage,
        tensor.storage_offset,
        details=tensor.details,
    )
    made.parent = tensor.parent
    return made


def boxes(shape: tuple[int, ...], compact: bool) -> Iterator[Box]:
    """Parts that follow each other in C order and cover `shape`."""
    from inspector_app.analysis.chunks import windows

    most = BLOCK_ELEMENTS if compact else _SCATTERED_ELEMENTS
    return windows(shape, range(len(shape)), most)


def _as_bits(tensor: TensorInfo) -> TensorInfo:
    """The tensor as integers of the same bits, where nothing about it changes its values."""
    details, dtype = tensor.details, DTYPES[tensor.dtype]
    halves = dtype.kind == "complex" and details.big_endian
    if details.conj or details.neg or halves or dtype.bits not in (8, 16, 32, 64):
        return tensor
    plain = TensorDetails(big_endian=details.big_endian)
    made = TensorInfo(
        tensor.key,
        f"uint{dtype.bits}",
        tensor.shape,
        tensor.stride,
        tensor.storage,
        tensor.storage_offset,
        details=plain,
    )
    made.parent = tensor.parent
    return made


def _typed(values: Array, dtype: str) -> Array:
    """What `_values` gives, as the dtype that it stands for."""
    wanted = numpy_dtype(dtype)
    return values if values.dtype == wanted else values.view(wanted)


def _float64(values: Array) -> Array:
    """Real numbers as float64; of complex ones the parts along a new last axis."""
    import numpy as np

    if values.dtype.kind == "c":
        part = np.float64 if values.dtype == np.complex128 else np.float32
        parts = np.ascontiguousarray(values).reshape(-1).view(part)
        values = parts.reshape(*values.shape, 2)
    return values.astype(np.float64)


def _halves(values: Array) -> Array:
    """complex64 as pairs of float16, exactly: they were read from such."""
    import numpy as np

    return np.ascontiguousarray(values).reshape(-1).view(np.float32).astype(np.float16)


def _copy(data: memoryview, sink: Sink) -> None:
    at = 0
    while at < len(data):
        block = sink.room(len(data) - at)
        block[:] = data[at : at + len(block)]
        sink.commit(len(block))
        at += len(block)


def _memory(array: Array) -> memoryview:
    import numpy as np

    data: memoryview = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return data
