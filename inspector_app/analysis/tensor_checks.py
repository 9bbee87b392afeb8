"""What indices, offsets, scales and zero points say, checked against their tensors on demand.

A sparse tensor whose indices lie outside it, or a quantized one with a zero_point that its
dtype does not have, is read by torch without a word and crashes or computes nonsense later.
What their shapes tell is checked on reading (`checkpoint.tensor_structure`); this reads values:
of the few tensors that are sparse, nested or quantized by channel, and only their indices.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from math import prod
from typing import Any

from inspector_app.checkpoint.errors import CheckpointError, Problem
from inspector_app.checkpoint.model import Checkpoint, Progress, TensorInfo
from inspector_app.checkpoint.tensor_structure import QUANTIZED_RANGES
from inspector_app.checkpoint.values import ValueReader, open_values

_PIECE = 1 << 16  # indices in a step
_SLICE = 5_000
_MOST_PROBLEMS = 1_000
_COMPRESSED = {
    "sparse_csr": ("crow_indices", "col_indices", 0),
    "sparse_bsr": ("crow_indices", "col_indices", 0),
    "sparse_csc": ("ccol_indices", "row_indices", 1),
    "sparse_bsc": ("ccol_indices", "row_indices", 1),
}

Parts = dict[str, TensorInfo]
# Yields what is wrong, or None after each step.
Check = Generator[str | None, None, None]


def checking(checkpoint: Checkpoint) -> Generator[Progress, None, tuple[Problem, ...]]:
    """A problem for each tensor whose parts contradict each other, in steps of milliseconds.

    Of each tensor the first contradiction counts. One whose values cannot be read has been
    reported when the file was read, and is left out here.
    """
    problems: list[Problem] = []
    tensors = checkpoint.tensors
    with open_values(checkpoint) as reader:
        for number, tensor in enumerate(tensors):
            if number % _SLICE == 0:
                yield Progress("tensors", number, len(tensors))
            check = _check_of(tensor, checkpoint.format)
            if check is None or len(problems) >= _MOST_PROBLEMS:
                continue
            parts = {str(part.key): part for part in tensor.inner_tensors()}
            try:
                for what in check(reader, tensor, parts):
                    if what:
                        problems.append(Problem("bad-tensor", tensor.name, {"what": what}))
                        break
                    yield Progress("tensors", number, len(tensors))
            except (CheckpointError, KeyError, IndexError):
                # Parts that are missing or cut off, or shapes that do not fit each other.
                continue
    return tuple(problems)


def _check_of(
    tensor: TensorInfo, form: str
) -> Callable[[ValueReader, TensorInfo, Parts], Check] | None:
    if tensor.layout == "sparse_coo":
        return _onnx_sparse if form == "onnx" else _coo
    if tensor.layout in _COMPRESSED:
        return _compressed
    if tensor.layout == "nested":
        return _nested
    if tensor.layout == "jagged":
        return _jagged
    quantizer = tensor.details.quantizer
    if quantizer is not None and quantizer.scale is None and tensor.dtype in QUANTIZED_RANGES:
        return _channels
    return None


def _pieces(length: int, overlap: int = 0) -> Iterator[slice]:
    for start in range(0, max(length - overlap, 0), _PIECE):
        yield slice(start, min(start + _PIECE + overlap, length))


def _coo(reader: ValueReader, tensor: TensorInfo, parts: Parts) -> Check:
    import numpy as np

    indices = parts["indices"]
    if len(indices.shape) != 2:
        return  # said when the file was read
    sparse, count = indices.shape
    if len(tensor.shape) < sparse:
        return
    coalesced = tensor.details.coalesced
    before: Any = None
    for piece in _pieces(count):
        rows: Any = reader.read(indices, (slice(None), piece))
        for axis in range(sparse):
            if rows[axis].size and (rows[axis].min() < 0 or rows[axis].max() >= tensor.shape[axis]):
                yield f"an index of dimension {axis} is outside of it"
        if coalesced and sparse:
            joined = rows if before is None else np.concatenate([before, rows], axis=1)
            if not _ascending(joined):
                yield "it says that it is coalesced, and its indices are not in order"
            before = rows[:, -1:]
        yield None


def _onnx_sparse(reader: ValueReader, tensor: TensorInfo, parts: Parts) -> Check:
    """Indices are ``[NNZ, rank]``, or ``[NNZ]`` into the flat tensor; in order in either form
    (``SparseTensorProto`` in ``onnx.proto``)."""
    import numpy as np

    indices = parts["indices"]
    flat = len(indices.shape) == 1
    sizes = (prod(tensor.shape),) if flat else tensor.shape
    if not flat and (len(indices.shape) != 2 or indices.shape[1] != len(sizes)):
        yield "its indices have another number of dimensions than it"
        return
    before: Any = None
    for piece in _pieces(indices.shape[0]):
        read: Any = reader.read(indices, (piece,))
        rows = read[np.newaxis] if flat else read.T
        for axis, size in enumerate(sizes):
            if rows[axis].size and (rows[axis].min() < 0 or rows[axis].max() >= size):
                yield (
                    "an index is outside of it"
                    if flat
                    else (f"an index of dimension {axis} is outside of it")
                )
        joined = rows if before is None else np.concatenate([before, rows], axis=1)
        if not _ascending(joined):
            yield "its indices are not in order"
        before = rows[:, -1:]
        yield None


def _ascending(rows: Any) -> bool:
    """Whether the columns are in lexicographic order, each but once."""
    import numpy as np

    undecided: Any = np.ones(max(rows.shape[1] - 1, 0), bool)
    for row in rows:
        left, right = row[:-1], row[1:]
        if (undecided & (left > right)).any():
            return False
        undecided &= left == right
    return not undecided.any()


def _compressed(reader: ValueReader, tensor: TensorInfo, parts: Parts) -> Check:
    outer_name, inner_name, axis = _COMPRESSED[tensor.layout]
    outer, inner, values = parts[outer_name], parts[inner_name], parts["values"]
    batch = len(outer.shape) - 1
    blocked = tensor.layout in ("sparse_bsr", "sparse_bsc")
    block = values.shape[batch + 1 : batch + 3] if blocked else (1, 1)
    if 0 in block:
        return
    plain = tensor.shape[batch + 1 - axis] // block[1 - axis]
    if batch:
        # Every matrix of a batch has its own; the first stands for them.
        first = (0,) * batch
    else:
        first = ()
    count = inner.shape[-1]
    for piece in _pieces(outer.shape[-1], 1):
        starts = reader.read(outer, (*first, piece))
        steps = starts[1:] - starts[:-1]
        if piece.start == 0 and starts.size and starts[0] != 0:
            yield f"its {outer_name} do not begin with 0"
        if (steps < 0).any() or (steps > plain).any():
            yield f"its {outer_name} do not ascend as they should"
        if piece.stop == outer.shape[-1] and starts[-1] != count:
            yield f"its {outer_name} end with {starts[-1]}, and it has {count} values"
        yield None
    for piece in _pieces(count):
        places = reader.read(inner, (*first, piece))
        if places.size and (places.min() < 0 or places.max() >= plain):
            yield f"one of its {inner_name} is outside of it"
        yield None


def _nested(reader: ValueReader, tensor: TensorInfo, parts: Parts) -> Check:
    sizes, strides, offsets = (parts[name] for name in ("sizes", "strides", "storage_offsets"))
    available = parts["buffer"].numel
    if len(sizes.shape) != 2:
        return
    for piece in _pieces(sizes.shape[0]):
        read = [reader.read(part, (piece,)).tolist() for part in (sizes, strides, offsets)]
        # Python's numbers: what a file multiplies need not fit into 64 bits.
        for size, stride, offset in zip(*read, strict=True):
            if min((0, offset, *size, *stride)) < 0:
                yield "a component's size, stride or offset is negative"
            elif 0 not in size:
                last = sum((many - 1) * step for many, step in zip(size, stride, strict=True))
                if offset + last >= available:
                    yield "a component reaches beyond its buffer"
        yield None


def _jagged(reader: ValueReader, tensor: TensorInfo, parts: Parts) -> Check:
    values, offsets = parts["_values"], parts["_offsets"]
    ragged = next((axis for axis, size in enumerate(tensor.shape) if size == -1), 0)
    length = values.shape[ragged - 1] if ragged else 0
    for piece in _pieces(offsets.shape[0], 1):
        starts = reader.read(offsets, (piece,))
        if (starts[1:] < starts[:-1]).any():
            yield "its offsets do not ascend"
        if starts.size and (starts.min() < 0 or starts.max() > length):
            yield "one of its offsets is outside of its values"
        yield None


def _channels(reader: ValueReader, tensor: TensorInfo, parts: Parts) -> Check:
    import numpy as np

    low, high = QUANTIZED_RANGES[tensor.dtype]
    scales, zero_points = parts["scales"], parts["zero_points"]
    floating = zero_points.dtype.startswith(("float", "bfloat"))
    for piece in _pieces(scales.shape[0]):
        some: Any = reader.read(scales, (piece,))
        if not np.isfinite(some).all() or (some <= 0).any():
            yield "one of its scales is no positive number"
        zeros: Any = reader.read(zero_points, (piece,))
        if floating:
            if not np.isfinite(zeros).all():
                yield "one of its zero_points is no finite number"
        elif (zeros < low).any() or (zeros > high).any():
            yield f"one of its zero_points is not between {low} and {high}, as {tensor.dtype} is"
        yield None
