"""A tensor's values, read block by block and viewed through numpy.

Nothing is mapped and no more is read than is asked for: a block is 1 MiB, which stays in
the cache and is used again for the next. Of a file that is cut or replaced meanwhile a
`CheckpointError` tells; every view is checked against its bytes before they are read.

numpy and ml_dtypes are imported when a value is first read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import gcd, prod
from types import TracebackType
from typing import Any, TypeAlias

from inspector_app.checkpoint.block_scales import BLOCKS, SCALE, ZERO_POINT, BlockScales
from inspector_app.checkpoint.dtypes import DTYPES, DType
from inspector_app.checkpoint.errors import LimitExceeded, NoValues, UnreadableFile
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import (
    Checkpoint,
    PathElement,
    Quantizer,
    StorageRef,
    TensorInfo,
)
from inspector_app.checkpoint.storage_bytes import StorageBytes
from inspector_app.checkpoint.torchao_tensors import quantized_by_torchao
from inspector_app.checkpoint.value_arrays import array_tensor
from inspector_app.checkpoint.value_bytes import ByteRun, HeldRun
from inspector_app.checkpoint.value_layout import (
    Block,
    BlockPlan,
    gathered,
    in_storage_order,
    span,
    window,
)

# A numpy array. The name cannot say so: numpy is imported on use alone.
Array: TypeAlias = Any

BLOCK_BYTES = 1 << 20
# As long as it takes to begin another block, so many bytes are read that are not wanted.
GAP_BYTES = 1 << 15
_MOST_AXES = 64  # of a numpy array
_MOST_READ_BYTES = 1 << 28
_STORED_VALUES = {"nested": "buffer", "jagged": "_values"}
_REAL = ("float64", "float32", "float16")
_LONGEST_VARINT = 10
_ZERO_POINTS = (*_REAL, "int64", "int32", "int16", "int8", "uint8")
# A view may show each element of its storage several times; a hostile one does so without end.
_OVERLAP = 256
_OVERLAPPING = 1 << 28


class BlockBuffer:
    """Room for one block. Each thread that reads has its own."""

    def __init__(self) -> None:
        import numpy as np

        self.raw: Array = np.empty(BLOCK_BYTES + 64, np.uint8)
        self.memory: memoryview = self.raw.data
        self._scratch: dict[str, Array] = {}

    def scratch(self, like: Array, count: int) -> Array:
        """`count` elements of the dtype of `like`, to copy them to."""
        import numpy as np

        name = like.dtype.str
        if name not in self._scratch or len(self._scratch[name]) < count:
            self._scratch[name] = np.empty(count, like.dtype)
        return self._scratch[name][:count]


class Channels:
    """The scales and zero points of a tensor that is quantized by channel."""

    def __init__(self, axis: int, scales: Array, zero_points: Array) -> None:
        self.axis = axis
        self.scales = scales
        self.zero_points = zero_points

    def dequantized(self, values: Array, order: Sequence[int], taken: Sequence[range]) -> Array:
        """Integers as float32.

        Args:
            order: which axis of the tensor each axis of `values` is.
            taken: of each axis of `values` the indices in the tensor.
        """
        import numpy as np

        axis = order.index(self.axis)
        channels = taken[axis]
        shape = [1] * values.ndim
        shape[axis] = len(channels)
        part = slice(channels.start, channels.stop, channels.step)
        # In the precision of the scales, as torch does it: float64, or float32 where the zero
        # points are no integers.
        scales: Array = self.scales[part].reshape(shape)
        zero_points = self.zero_points[part].reshape(shape)
        if zero_points.dtype.kind in "iu":
            exact = values.astype(np.int64) - zero_points.astype(np.int64)
        else:
            exact = values.astype(scales.dtype) - zero_points.astype(scales.dtype)
        with np.errstate(all="ignore"):
            return (exact.astype(scales.dtype) * scales).astype(np.float32)


class Elements:
    """Where the elements of one tensor lie, and what their bytes mean.

    Attributes:
        dtype: of the elements.
        shape: as the values are shown: what packs two values in an element, as
            ``float4_e2m1fn_x2`` does, has its last axis doubled (or an axis of 2 more,
            where the last is not dense).
        stride, offset: in such elements.
        plan: the blocks that have each element once, in storage order.
        most_gap: elements that are read though they are not wanted, between two that are.
        repeats: how often each occurs: more than once if an axis is expanded.
        conjugate, negative: the values are the conjugates, the negatives of what is stored.
        sequential: reading backwards costs much: let one thread read the blocks in order.
        quantizer: of a quantized tensor whose values are shown dequantized, else None.
    """

    def __init__(
        self,
        tensor: TensorInfo,
        dtype: DType,
        run: ByteRun,
        quantizer: Quantizer | None,
        channels: Channels | BlockScales | None,
    ) -> None:
        details = tensor.details
        shape, stride, offset = tensor.shape, tensor.stride or (), tensor.storage_offset or 0
        bits = dtype.bits
        if dtype.name == "float4_e2m1fn_x2":
            shape, stride, offset, bits = _of_pairs(shape, stride, offset)
        self.dtype, self.bits = dtype, bits
        self.shape, self.stride, self.offset = shape, stride, offset
        self.quantizer, self.channels = quantizer, channels
        self._run = run
        self._swapped = details.big_endian
        self.conjugate, self.negative = details.conj, details.neg
        self.sequential = run.sequential
        self._itemsize = max(bits // 8, 1)
        self._code = {1: "u1", 2: "u2", 4: "u4", 8: "u8", 16: "c16"}[self._itemsize]
        # Packed elements are read from a byte that begins one.
        self._group = 8 // gcd(bits, 8)
        self._check_bounds()
        self._check_overlap()
        capacity = BLOCK_BYTES * 8 // bits
        self.most_gap = GAP_BYTES * 8 // bits
        if channels is None:
            sizes, steps, self.repeats = gathered(shape, stride)
            self.plan = BlockPlan(offset, sizes, steps, capacity, self.most_gap)
        else:
            self.order = in_storage_order(stride)
            sizes = tuple(shape[axis] for axis in self.order)
            steps = tuple(stride[axis] for axis in self.order)
            # Dequantizing takes many times the bytes that are read.
            self.plan = BlockPlan(offset, sizes, steps, capacity // 8, self.most_gap)
            self.repeats = 1

    @property
    def count(self) -> int:
        """Number of values, repeated ones included."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the blocks of `plan` span at most."""
        return prod(self.plan.shape) * self.bits // 8

    def _check_bounds(self) -> None:
        spanned = span(self.shape, self.stride)
        needed = ((self.offset + spanned) * self.bits + 7) // 8 if spanned else 0
        if needed > self._run.size:
            raise NoValues("values-cut", missing=needed - self._run.size)

    def _check_overlap(self) -> None:
        sizes, steps, repeats = gathered(self.shape, self.stride)
        if self.channels is not None:
            sizes, steps = (*sizes, repeats), (*steps, 0)
        if prod(sizes) > max(_OVERLAPPING, _OVERLAP * span(sizes, steps)):
            raise LimitExceeded(
                "limit", what="how often a view shows the same element", limit=_OVERLAP
            )

    # --- codes: the elements' bits as unsigned integers

    def codes(self, block: Block, stride: Sequence[int], buffer: BlockBuffer) -> Array:
        """The bits of a block's elements, in the shape of the block, in native byte order.

        What is returned is overwritten when `buffer` is used again.

        Raises:
            UnreadableFile: the file has become shorter.
        """
        import numpy as np

        first, lead = divmod(block.start, self._group)
        start = first * self._group * self.bits // 8
        nbytes = ((lead + block.extent) * self.bits + 7) // 8
        self._run.read_into(start, buffer.memory[:nbytes])
        raw = buffer.raw[:nbytes]
        if self.bits < 8:
            flat = _unpacked(raw, self.bits)
        else:
            if self._swapped:
                part = self._itemsize // 2 if self.dtype.kind == "complex" else self._itemsize
                raw.view(f"u{part}").byteswap(inplace=True)
            flat = raw.view(self._code)
        flat = flat[lead:]
        if (len(block.shape) == 1 and stride[0] == 1) or block.extent == 1:
            count = prod(block.shape)
            if count == block.extent:
                return flat[:count].reshape(block.shape)
        strides = [step * flat.itemsize for step in stride]
        part_view = np.lib.stride_tricks.as_strided(flat, block.shape, strides, writeable=False)
        copied = buffer.scratch(flat, prod(block.shape)).reshape(block.shape)
        np.copyto(copied, part_view)
        return copied

    def block_codes(self, number: int, buffer: BlockBuffer) -> Array:
        """The bits of the elements of block `number` of `plan`."""
        return self.codes(self.plan.block(number), self.plan.stride, buffer)

    # --- values

    def decode(self, codes: Array) -> Array:
        """Codes as values: what numpy or ml_dtypes has for the dtype, in the same shape.

        complex32 becomes complex64; what is quantized by tensor is dequantized to float32,
        as torch does it.
        """
        import numpy as np

        values = _decoded(codes, self.dtype)
        kind = self.dtype.kind
        with np.errstate(all="ignore"):
            if self.quantizer is not None and self.channels is None:
                scale, zero = self.quantizer.scale, self.quantizer.zero_point
                return (values.astype(np.int64) - zero).astype(np.float32) * np.float32(scale)
            if self.conjugate and kind == "complex":
                values = np.conjugate(values)
            if self.negative and kind != "bool":
                # ml_dtypes cannot negate all of its 8-bit kinds.
                values = np.negative(values.astype(np.float32) if self.bits <= 8 else values)
        return values

    def block_values(self, number: int, buffer: BlockBuffer) -> Array:
        """The values of block `number` of `plan`, flat; `buffer` may be used by them."""
        block = self.plan.block(number)
        codes = self.codes(block, self.plan.stride, buffer)
        if self.channels is None:
            return self.decode(codes).reshape(-1)
        taken = [
            range(first, first + size) for first, size in zip(block.first, block.shape, strict=True)
        ]
        return self.channels.dequantized(self.decode(codes), self.order, taken).reshape(-1)

    def table(self) -> Array:
        """The value of each code as float64, for elements of at most 16 bits."""
        import numpy as np

        code: Array = np.arange(1 << self.bits, dtype=np.uint8 if self.bits <= 8 else np.uint16)
        with np.errstate(all="ignore"):
            return self.decode(code).astype(np.float64)


class ValueReader:
    """Reads the values of a checkpoint's tensors. Threads may share it.

    Args:
        checkpoint: whose files are opened when they are needed, and kept open.
    """

    def __init__(self, checkpoint: Checkpoint, limits: Limits = DEFAULT) -> None:
        self.checkpoint = checkpoint
        self._limits = limits
        self._bytes = StorageBytes(checkpoint, limits, _varints)

    def elements(self, tensor: TensorInfo, raw: bool = False) -> Elements:
        """Where the values of `tensor` lie; of a sparse or nested one those that it stores.

        Args:
            raw: a quantized tensor's integers instead of what they stand for.

        Raises:
            NoValues: it has none, or its file lacks them.
            UnreadableFile, BrokenFile, LimitExceeded: they cannot be read.
        """
        held = stored(tensor)
        dtype = DTYPES.get(held.dtype)
        if dtype is None or not dtype.bits:
            raise NoValues("no-values", reason=f"they are of the dtype {held.dtype}")
        quantizer = None if raw else held.details.quantizer
        channels = None
        if quantizer is not None:
            channels = self._channels(held, quantizer)
        return Elements(held, dtype, self._run(held), quantizer, channels)

    def raw_bytes(self, storage: StorageRef) -> ByteRun | None:
        """The bytes of a storage as the file has them, or None if it has none.

        Raises:
            UnreadableFile, BrokenFile: they cannot be read.
        """
        return self._bytes.run(storage)

    def _run(self, tensor: TensorInfo) -> ByteRun:
        storage = tensor.storage
        if storage is None or tensor.stride is None or tensor.storage_offset is None:
            raise _without(tensor)
        if 0 in tensor.shape:
            return _NOTHING
        run = self._bytes.run(storage)
        if run is None:
            raise _missing(tensor)
        return run

    def _channels(self, tensor: TensorInfo, quantizer: Quantizer) -> Channels | BlockScales | None:
        if quantizer.scale is not None:
            if quantizer.zero_point is None or abs(quantizer.zero_point) >= 1 << 62:
                raise NoValues("no-values", reason="its zero_point is no 64-bit integer")
            return None
        parts = {part.key: part for part in tensor.inner_tensors()}
        if quantizer.scheme == BLOCKS:
            return self._block_scales(tensor, quantizer, parts)
        axis = quantizer.axis
        if not {"scales", "zero_points"} <= parts.keys() or axis is None:
            raise NoValues("no-values", reason="its scales or zero_points are no tensors")
        channels = tensor.shape[axis]
        for part in (parts["scales"], parts["zero_points"]):
            if part.numel != channels or len(part.shape) != 1:
                reason = f"it has {part.numel} {part.key} for {channels} channels"
                raise NoValues("no-values", reason=reason)
        if parts["scales"].dtype not in _REAL or parts["zero_points"].dtype not in _ZERO_POINTS:
            raise NoValues("no-values", reason="its scales or zero_points are of an odd dtype")
        return Channels(axis, self.read(parts["scales"]), self.read(parts["zero_points"]))

    def _block_scales(
        self, tensor: TensorInfo, quantizer: Quantizer, parts: Mapping[PathElement, TensorInfo]
    ) -> BlockScales:
        import numpy as np

        scale, zero_point = parts[SCALE], parts.get(ZERO_POINT)
        if scale.dtype not in (*_REAL, "bfloat16"):
            raise NoValues("no-values", reason=f"its scales are {scale.dtype}")
        if zero_point is not None and zero_point.dtype not in (*_ZERO_POINTS, "bfloat16"):
            raise NoValues("no-values", reason=f"its zero points are {zero_point.dtype}")
        scales = self.read(scale)
        scales = scales.astype(np.float64 if scale.dtype == "float64" else np.float32)
        zero_points = None if zero_point is None else self.read(zero_point)
        if quantizer.axis is not None and scales.ndim == 1 and scales.size > 1:
            shape = [1] * len(tensor.shape)
            shape[quantizer.axis] = scales.size
            scales = scales.reshape(shape)
            if zero_points is not None and zero_points.size == scales.size:
                zero_points = zero_points.reshape(shape)
        return BlockScales(tensor.shape, scales, zero_points, quantizer.dtype)

    def blocks(self, tensor: TensorInfo, raw: bool = False) -> Iterator[Array]:
        """The values in storage order, each element once, a flat array of a block at a time.

        An array is overwritten by the next.

        Raises:
            CheckpointError: as `elements`, or the file changes meanwhile.
        """
        elements = self.elements(tensor, raw)
        buffer = BlockBuffer()
        for number in range(len(elements.plan)):
            yield elements.block_values(number, buffer)
        self.check_unchanged(tensor)

    def read(
        self,
        tensor: TensorInfo,
        slices: Sequence[slice | int] = (),
        raw: bool = False,
        most_bytes: int = _MOST_READ_BYTES,
    ) -> Array:
        """The values that `slices` choose, indexed as numpy does; only their bytes are read.

        Args:
            slices: for the leading axes of `Elements.shape`; the others are whole.
            raw: a quantized tensor's integers instead of what they stand for.
            most_bytes: how much may be read into memory.

        Raises:
            IndexError: the slices do not fit the shape.
            LimitExceeded: they choose more than `most_bytes`.
            CheckpointError: as `elements`, or the file changes meanwhile.
        """
        import numpy as np

        elements = self.elements(tensor, raw)
        part = window(elements.offset, elements.shape, elements.stride, slices)
        itemsize = max(elements.bits // 8, 1)
        if prod(part.shape) * itemsize > most_bytes:
            raise LimitExceeded("limit", what="the part of the tensor in bytes", limit=most_bytes)
        if len(part.shape) > _MOST_AXES:
            raise NoValues("no-values", reason=f"it has more than {_MOST_AXES} dimensions")
        order = in_storage_order(part.stride)
        plan = BlockPlan(
            part.offset,
            tuple(part.shape[axis] for axis in order),
            tuple(part.stride[axis] for axis in order),
            BLOCK_BYTES * 8 // elements.bits,
            elements.most_gap,
        )
        codes: Array = np.empty(part.shape, elements._code)
        ordered = codes.transpose(order)
        buffer = BlockBuffer()
        for number in range(len(plan)):
            block = plan.block(number)
            place = tuple(
                slice(first, first + size)
                for first, size in zip(block.first, block.shape, strict=True)
            )
            ordered[place] = elements.codes(block, plan.stride, buffer)
        self.check_unchanged(tensor)
        values = elements.decode(codes)
        channels = elements.channels
        if channels is not None:
            values = channels.dequantized(values, range(values.ndim), part.taken)
        if part.flipped:
            values = np.flip(values, part.flipped)
        return values.reshape(
            [size for axis, size in enumerate(values.shape) if axis not in part.dropped]
        )

    def check_unchanged(self, tensor: TensorInfo) -> None:
        """Raise `UnreadableFile` if the file with the values was written to meanwhile."""
        storage = stored(tensor).storage
        if storage is not None and not self._bytes.unchanged(storage):
            raise UnreadableFile("file-changed", storage.file)

    def close(self) -> None:
        self._bytes.close()

    def __enter__(self) -> ValueReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def stored(tensor: TensorInfo) -> TensorInfo:
    """The tensor whose storage has the values: a part of a sparse or nested one, the array
    that another was saved as, the integers of one of torchao's, else itself.
    """
    if tensor.storage is not None or not tensor.children:
        return tensor
    if tensor.layout == "strided":
        return array_tensor(tensor) or quantized_by_torchao(tensor) or tensor
    name = _STORED_VALUES.get(tensor.layout, "values")
    for part in tensor.inner_tensors():
        if part.key == name:
            return part
    return tensor


def _without(tensor: TensorInfo) -> NoValues:
    """Why a tensor without a storage has no values."""
    if tensor.device == "meta":
        return NoValues("no-values", reason="it is on the meta device, which has none")
    if tensor.is_wrapper:
        reason = "it is made of its inner tensors, which have them"
        return NoValues("no-values", reason=reason)
    return _missing(tensor)


def _missing(tensor: TensorInfo) -> NoValues:
    """Why a tensor has no bytes in the file: they are of another form, or should be there."""
    if tensor.details.note:
        return NoValues("no-values", reason=tensor.details.note)
    return NoValues("values-missing")


def _of_pairs(
    shape: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> tuple[tuple[int, ...], tuple[int, ...], int, int]:
    """The view of the halves of elements that hold two values: shape, stride, offset, bits."""
    steps = tuple(2 * step for step in stride)
    if shape and (stride[-1] == 1 or shape[-1] == 1):
        return (*shape[:-1], 2 * shape[-1]), (*steps[:-1], 1), 2 * offset, 4
    return (*shape, 2), (*steps, 1), 2 * offset, 4


def _unpacked(raw: Array, bits: int) -> Array:
    """Elements of 2, 4 or 6 bits, one in each byte; the first is in the lowest bits.

    The order is that of torch's quint4x2 and quint2x4 and of ONNX (``numpy_helper``).
    """
    import numpy as np

    if bits == 6:
        whole: Array = np.zeros(-(-len(raw) // 3) * 3, np.uint8)
        whole[: len(raw)] = raw
        three: Array = whole.reshape(-1, 3).astype(np.uint32)
        joined = three[:, 0] | three[:, 1] << 8 | three[:, 2] << 16
        codes: Array = np.stack([joined >> shift & 0x3F for shift in (0, 6, 12, 18)], axis=1)
        return codes.astype(np.uint8).reshape(-1)
    shifts: Array = np.arange(0, 8, bits, dtype=np.uint8)
    return ((raw[:, None] >> shifts) & ((1 << bits) - 1)).astype(np.uint8, copy=False).reshape(-1)


_CODES_OF = {
    "float4_e2m1fn_x2": "float4_e2m1fn",
    "float4": "float4_e2m1fn",
    "float6_e2m3fn": "float6_e2m3fn",
    "float6_e3m2fn": "float6_e3m2fn",
    "packed_int4": "int4",
    "packed_int2": "int2",
    "packed_uint4": "uint8",
    "packed_uint2": "uint8",
    "quint4x2": "uint8",
    "quint2x4": "uint8",
}


def _decoded(codes: Array, dtype: DType) -> Array:
    """Codes as numbers, in the same shape, without what is special about the tensor."""
    import numpy as np

    name = dtype.numpy or _CODES_OF.get(dtype.name, "")
    if name == "bool":
        return codes != 0
    if dtype.name == "complex32":
        halves = np.ascontiguousarray(codes).reshape(-1).view(np.float16)
        return halves.astype(np.float32).view(np.complex64).reshape(codes.shape)
    if hasattr(np, name):
        return codes.view(name)
    import ml_dtypes

    values = codes.view(getattr(ml_dtypes, name))
    return values.astype(np.int8) if name.startswith("int") else values


def _varints(data: bytes, width: int) -> tuple[bytes, int]:
    """The low `width` bytes of each varint in `data`, and how many bytes were whole varints.

    Nothing is decoded where one is longer than ten bytes.
    """
    import numpy as np

    raw: Array = np.frombuffer(data, np.uint8)
    ends: Array = np.flatnonzero(raw < 0x80)
    if not len(ends):
        return b"", 0
    used = int(ends[-1]) + 1
    if used == len(ends):  # each is one byte
        numbers: Array = raw[:used].astype("<u8")
    else:
        starts: Array = np.append(0, ends[:-1] + 1)
        lengths = ends - starts + 1
        longest = int(lengths.max())
        if longest > _LONGEST_VARINT:
            return b"", 0
        numbers = np.zeros(len(ends), "<u8")
        for place in range(longest):
            some = np.flatnonzero(lengths > place)
            part = (raw[starts[some] + place] & 0x7F).astype("<u8")
            numbers[some] |= part << np.uint64(7 * place)
    return numbers.view(np.uint8).reshape(-1, 8)[:, :width].tobytes(), used


# The bytes of an empty tensor, which needs no file.
_NOTHING = HeldRun(b"")


def open_values(checkpoint: Checkpoint, limits: Limits = DEFAULT) -> ValueReader:
    """A reader of the values of `checkpoint`; close it after use."""
    return ValueReader(checkpoint, limits)
