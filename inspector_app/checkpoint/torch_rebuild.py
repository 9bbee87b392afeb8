"""Tensors from the inert calls that torch writes for them.

Each function of ``torch._utils`` and ``torch._tensor`` that rebuilds a tensor is
recognised by name, and its arguments are read as that function (torch 2.13) would read
them. Anything else in their place is a `BadTensorError`, which the tree shows as a problem.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inspector_app.checkpoint.dtypes import DTYPES, STORAGE_CLASSES, find
from inspector_app.checkpoint.model import (
    PLAIN,
    Quantizer,
    StorageRef,
    TensorDetails,
    TensorInfo,
    contiguous_stride,
)
from inspector_app.checkpoint.pickle_nodes import Call, GlobalRef, PairList, PersistentId
from inspector_app.checkpoint.tensor_runs import view_bytes
from inspector_app.checkpoint.tensor_structure import (
    compressed_fault,
    coo_fault,
    nested_fault,
    per_tensor_oddities,
    too_many_elements,
)

_WRAPPED_AT_MOST = 16
_MOST_METADATA = 32
Part = tuple[str | int, Any]
ResolveStorage = Callable[[PersistentId], tuple[StorageRef, str]]


class BadTensorError(Exception):
    """The arguments are not those that torch would accept."""


class Rebuilt:
    """A tensor and what hangs below it.

    Attributes:
        tensor: without key and parent.
        parts: its inner tensors and attributes, by name; still inert.
    """

    __slots__ = ("parts", "tensor")

    def __init__(self, tensor: TensorInfo, parts: list[Part] | None = None) -> None:
        self.tensor = tensor
        self.parts = parts or []


class TensorRebuilder:
    """Rebuilds tensors of one file.

    Args:
        resolve: the storage of a persistent id and its dtype ("" for an untyped one).
        big_endian: the file's storages are in big-endian order.
        problem: is told the code and the details of what is odd but shown all the same.
    """

    def __init__(
        self,
        resolve: ResolveStorage,
        problem: Callable[[str, dict[str, object]], None],
        big_endian: bool = False,
    ) -> None:
        self._resolve = resolve
        self._problem = problem
        self._plain = TensorDetails(big_endian=True) if big_endian else PLAIN
        self._functions: dict[str, Callable[[tuple[Any, ...]], Rebuilt]] = {
            "torch._utils._rebuild_tensor": self._version_1,
            "torch._utils._rebuild_tensor_v2": self._version_2,
            "torch._utils._rebuild_tensor_v3": self._version_3,
            "torch._utils._rebuild_qtensor": self._quantized,
            "torch._utils._rebuild_sparse_tensor": self._sparse,
            "torch._utils._rebuild_nested_tensor": self._nested,
            "torch.nested._internal.nested_tensor._rebuild_njt": self._jagged,
            "torch._utils._rebuild_meta_tensor_no_storage": self._meta,
            "torch._utils._rebuild_device_tensor_from_cpu_tensor": self._from_cpu,
            "torch._utils._rebuild_device_tensor_from_numpy": self._from_numpy,
            "torch._utils._rebuild_xla_tensor": self._from_numpy,
            "torch._utils._rebuild_wrapper_subclass": self._wrapper,
            "torch._utils._rebuild_parameter": self._parameter,
            "torch._utils._rebuild_parameter_with_state": self._parameter,
            "torch._tensor._rebuild_from_type": self._from_type,
            "torch._tensor._rebuild_from_type_v2": self._from_type,
        }
        self._depth = 0

    def rebuild(self, value: Any) -> Rebuilt | None:
        """The tensor that `value` stands for, or None if it is none.

        Raises:
            BadTensorError: it is meant to be one, but its arguments are wrong.
        """
        if type(value) is TensorInfo:
            return Rebuilt(_copy(value))
        if type(value) is not Call or type(value.function) is not GlobalRef:
            return None
        name = value.function.full_name
        function = self._functions.get(name)
        if function is None:
            return self._legacy(value, name)
        if type(value.args) is not tuple:
            raise BadTensorError(f"{name} is called without a tuple of arguments")
        self._depth += 1
        try:
            if self._depth > _WRAPPED_AT_MOST:
                raise BadTensorError("a tensor is wrapped in too many others")
            rebuilt = function(value.args)
        except (IndexError, TypeError, ValueError, OverflowError):
            raise BadTensorError(f"{name} is called with the wrong arguments") from None
        finally:
            self._depth -= 1
        if value.state:
            rebuilt.parts.extend(attributes(value.state[-1]))
        return rebuilt

    # --- one function for each of torch's

    def _version_1(self, args: tuple[Any, ...]) -> Rebuilt:
        return self._strided(args, requires_grad=False)

    def _version_2(self, args: tuple[Any, ...]) -> Rebuilt:
        return self._strided(args, _boolean(args[4]), metadata=args[6] if len(args) > 6 else None)

    def _version_3(self, args: tuple[Any, ...]) -> Rebuilt:
        metadata = args[7] if len(args) > 7 else None
        return self._strided(args, _boolean(args[4]), dtype_name(args[6]), metadata)

    def _strided(
        self,
        args: tuple[Any, ...],
        requires_grad: bool,
        dtype: str = "",
        metadata: Any = None,
        details: TensorDetails | None = None,
    ) -> Rebuilt:
        storage, storage_dtype = self.storage(args[0])
        dtype = dtype or storage_dtype
        offset, shape, stride = integer(args[1]), integers(args[2]), integers(args[3])
        if offset < 0 or len(shape) != len(stride) or min((0, *shape, *stride)) < 0:
            raise BadTensorError("a size, stride or storage_offset is not possible")
        known = DTYPES.get(dtype)
        if known is None:
            self._problem("unknown-dtype", {"dtype": dtype or "untyped"})
        else:
            needed = view_bytes(shape, stride, offset, known.bits)
            if needed > storage.nbytes:
                self._problem("view-bounds", {"needed": needed, "available": storage.nbytes})
            elif 0 in stride and too_many_elements(shape):
                self._odd("it has more elements than 64 bits count")
        if details is None:
            details = self._plain
        if metadata is not None:
            bits = dict(pairs_of(metadata, _MOST_METADATA))
            details = TensorDetails(
                conj=bits.get("conj") is True,
                neg=bits.get("neg") is True,
                big_endian=details.big_endian,
            )
        return Rebuilt(
            TensorInfo(
                "",
                dtype,
                shape,
                stride,
                storage,
                offset,
                storage.device,
                requires_grad,
                details=details,
            )
        )

    def _quantized(self, args: tuple[Any, ...]) -> Rebuilt:
        parameters = args[4]
        if type(parameters) is not tuple or not parameters:
            raise BadTensorError("the quantizer's parameters are no tuple")
        scheme = dtype_name(parameters[0])
        parts: list[Part] = []
        if scheme in ("per_tensor_affine", "per_tensor_symmetric"):
            scale, zero_point = parameters[1], parameters[2]
            if type(scale) not in (float, int):
                raise BadTensorError("the scale is no number")
            quantizer = Quantizer(scheme, float(scale), integer(zero_point))
        elif scheme in ("per_channel_affine", "per_channel_affine_float_qparams"):
            axis = integer(parameters[3])
            shape = integers(args[2])
            if not 0 <= axis < len(shape):
                raise BadTensorError(f"the axis {axis} is out of range")
            parts = [("scales", parameters[1]), ("zero_points", parameters[2])]
            for name, value in parts:
                found = self.rebuild(value)
                length = found.tensor.numel if found else len(value)
                if length != shape[axis]:
                    raise BadTensorError(f"{length} {name} for {shape[axis]} channels")
                if found and name == "zero_points" and found.tensor.dtype.startswith("float"):
                    # torch writes the name of the integer scheme for both.
                    scheme = "per_channel_affine_float_qparams"
            quantizer = Quantizer(scheme, axis=axis)
        else:
            raise BadTensorError(f"the quantization scheme {scheme} is unknown")
        details = TensorDetails(quantizer=quantizer, big_endian=self._plain.big_endian)
        rebuilt = self._strided(args, _boolean(args[5]), details=details)
        rebuilt.parts = parts
        if quantizer.scale is not None and quantizer.zero_point is not None:
            given = (rebuilt.tensor.dtype, quantizer.scale, quantizer.zero_point)
            for what in per_tensor_oddities(*given):
                self._odd(what)
        return rebuilt

    def _odd(self, what: str) -> None:
        if what:
            self._problem("bad-tensor", {"what": what})

    def _sparse(self, args: tuple[Any, ...]) -> Rebuilt:
        layout = layout_name(args[0])
        data = args[1]
        if layout == "sparse_coo":
            names = ["indices", "values"]
            size = data[2]
            coalesced = data[3] if len(data) > 3 else None
        elif layout in ("sparse_csr", "sparse_bsr"):
            names, size, coalesced = ["crow_indices", "col_indices", "values"], data[3], None
        elif layout in ("sparse_csc", "sparse_bsc"):
            names, size, coalesced = ["ccol_indices", "row_indices", "values"], data[3], None
        else:
            raise BadTensorError(f"the layout {layout} is no sparse one")
        values = self.rebuild(data[len(names) - 1])
        indices = self.rebuild(data[0])
        if values is None or indices is None:
            raise BadTensorError("a sparse tensor's indices or values are no tensors")
        shape = integers(size)
        if min((0, *shape)) < 0:
            raise BadTensorError("a size is negative")
        if layout == "sparse_coo":
            if too_many_elements(shape):
                self._odd("it has more elements than 64 bits count")
            self._odd(coo_fault(indices.tensor, values.tensor, shape))
        else:
            inner = self.rebuild(data[1])
            if inner is None:
                raise BadTensorError("a sparse tensor's indices are no tensors")
            parts = (indices.tensor, inner.tensor, values.tensor)
            self._odd(compressed_fault(layout, *parts, shape))
        details = TensorDetails(coalesced=coalesced if type(coalesced) is bool else None)
        tensor = TensorInfo(
            "",
            values.tensor.dtype,
            shape,
            None,
            None,
            None,
            values.tensor.device,
            False,
            layout=layout,
            details=details,
        )
        return Rebuilt(tensor, list(zip(names, data, strict=False)))

    def _nested(self, args: tuple[Any, ...]) -> Rebuilt:
        buffer, sizes = self.rebuild(args[0]), self.rebuild(args[1])
        if buffer is None or sizes is None or len(sizes.tensor.shape) > 2:
            raise BadTensorError("a nested tensor's buffer or sizes are no tensors")
        others = [self.rebuild(value) for value in (*args, None, None)[2:4]]
        strides, offsets = (None if part is None else part.tensor for part in others)
        self._odd(nested_fault(sizes.tensor, strides, offsets))
        known = sizes.tensor.shape
        shape = (known[0] if known else 0, *([-1] * (known[1] if len(known) > 1 else 0)))
        tensor = TensorInfo(
            "",
            buffer.tensor.dtype,
            shape,
            None,
            None,
            None,
            buffer.tensor.device,
            buffer.tensor.requires_grad,
            layout="nested",
        )
        names = ("buffer", "sizes", "strides", "storage_offsets")
        return Rebuilt(tensor, list(zip(names, args, strict=False)))

    def _jagged(self, args: tuple[Any, ...]) -> Rebuilt:
        given = dict(pairs_of(args[0], _MOST_METADATA))
        values, offsets = self.rebuild(given.get("values")), self.rebuild(given.get("offsets"))
        lengths = self.rebuild(given.get("lengths"))
        if values is None or offsets is None:
            raise BadTensorError("a jagged tensor's values or offsets are no tensors")
        ragged = integer(given.get("_ragged_idx", 1))
        inner = list(values.tensor.shape)
        if not 1 <= ragged <= len(inner):
            raise BadTensorError(f"the ragged axis {ragged} is out of range")
        inner[ragged - 1] = -1
        count = lengths.tensor.numel if lengths else max(offsets.tensor.numel - 1, 0)
        tensor = TensorInfo(
            "",
            values.tensor.dtype,
            (count, *inner),
            None,
            None,
            None,
            values.tensor.device,
            _boolean(given.get("requires_grad")),
            layout="jagged",
        )
        return Rebuilt(tensor)

    def _meta(self, args: tuple[Any, ...]) -> Rebuilt:
        dtype = dtype_name(args[0])
        shape, stride = integers(args[1]), integers(args[2])
        if len(shape) != len(stride) or min((0, *shape)) < 0:
            raise BadTensorError("a size or stride is not possible")
        return Rebuilt(TensorInfo("", dtype, shape, stride, None, 0, "meta", _boolean(args[3])))

    def _from_cpu(self, args: tuple[Any, ...]) -> Rebuilt:
        inner = self.rebuild(args[0])
        if inner is None:
            raise BadTensorError("what should be moved to a device is no tensor")
        tensor = inner.tensor
        tensor.dtype = dtype_name(args[1])
        tensor.device = device_name(args[2])
        tensor.requires_grad = _boolean(args[3])
        return inner

    def _from_numpy(self, args: tuple[Any, ...]) -> Rebuilt:
        shape = array_shape(args[0])
        tensor = TensorInfo(
            "",
            dtype_name(args[1]),
            shape,
            contiguous_stride(shape),
            None,
            0,
            device_name(args[2]),
            _boolean(args[3]),
            details=TensorDetails(note="saved as a numpy array"),
        )
        return Rebuilt(tensor, [("array", args[0])])

    def _wrapper(self, args: tuple[Any, ...]) -> Rebuilt:
        name = args[0].full_name if type(args[0]) is GlobalRef else ""
        return Rebuilt(
            TensorInfo(
                "",
                dtype_name(args[1]),
                integers(args[2]),
                integers(args[3]) if args[3] is not None else None,
                None,
                integer(args[4]) if args[4] is not None else None,
                device_name(args[6]),
                _boolean(args[7]),
                layout=layout_name(args[5]),
                details=TensorDetails(python_type=name),
                type_name=name or "torch.Tensor",
            )
        )

    def _parameter(self, args: tuple[Any, ...]) -> Rebuilt:
        inner = self.rebuild(args[0])
        if inner is None:
            raise BadTensorError("a parameter's data is no tensor")
        tensor = inner.tensor
        tensor.requires_grad = _boolean(args[1])
        tensor.details = _changed(tensor.details, parameter=True)
        if tensor.type_name == "torch.Tensor":
            tensor.type_name = "torch.nn.Parameter"
        if len(args) > 3:
            inner.parts.extend(attributes(args[3]))
        return inner

    def _from_type(self, args: tuple[Any, ...]) -> Rebuilt:
        inner = self.rebuild(Call("call", args[0], args[2], 0))
        if inner is None:
            raise BadTensorError("a tensor subclass is rebuilt by an unknown function")
        kind = args[1]
        name = kind.full_name if type(kind) is GlobalRef else "?"
        tensor = inner.tensor
        if name not in ("torch.Tensor", "torch.nn.parameter.Parameter"):
            tensor.details = _changed(tensor.details, python_type=name)
            tensor.type_name = name
        elif name == "torch.nn.parameter.Parameter":
            tensor.details = _changed(tensor.details, parameter=True)
        inner.parts.extend(attributes(args[3]))
        return inner

    def _legacy(self, value: Call, name: str) -> Rebuilt | None:
        """``torch.FloatTensor`` and kin: an empty object whose state is the tensor's."""
        module, _, kind = name.rpartition(".")
        parameter = name == "torch.nn.parameter.Parameter"
        typed = module in ("torch", "torch.cuda") and kind.endswith("Tensor")
        if not (parameter or typed) or not value.state:
            return None
        state = value.state[-1]
        if type(state) is not tuple:
            return None
        if len(state) == 5:  # an old Variable: data, _, hooks, requires_grad, _
            inner = self.rebuild(state[0])
            if inner is None:
                raise BadTensorError("a variable's data is no tensor")
            inner.tensor.requires_grad = _boolean(state[3])
        elif len(state) == 4:
            inner = self._strided(state, requires_grad=parameter)
        else:
            raise BadTensorError(f"{name} has a state of {len(state)} parts")
        if parameter:
            inner.tensor.details = _changed(inner.tensor.details, parameter=True)
        return inner

    # --- arguments

    def storage(self, value: Any) -> tuple[StorageRef, str]:
        """The storage that an inert value stands for, and its dtype."""
        if type(value) is Call and type(value.function) is GlobalRef and value.state:
            raise BadTensorError("the storage is stored in a form that is not supported")
        if type(value) is not PersistentId:
            raise BadTensorError("the storage is no persistent id")
        return self._resolve(value)


def storage_reference(pid: Any) -> tuple[str, str, str, int, Any]:
    """Key, dtype ("" if untyped), location, bytes and view of a storage's persistent id.

    Raises:
        BadTensorError: the id is not what torch writes.
    """
    if type(pid) is not tuple or len(pid) not in (5, 6):
        raise BadTensorError("the persistent id is not that of a storage")
    tag, kind, key, location, numel = pid[:5]
    if tag not in ("storage", b"storage") or type(kind) is not GlobalRef:
        raise BadTensorError("the persistent id is not that of a storage")
    key = key if isinstance(key, str) else str(key) if type(key) is int else ""
    if not key or not isinstance(location, str) or type(numel) is not int or numel < 0:
        raise BadTensorError("the persistent id is not that of a storage")
    if kind.name == "UntypedStorage":
        return key, "", location, numel, pid[5] if len(pid) == 6 else None
    dtype = STORAGE_CLASSES.get(kind.name)
    if dtype is None:
        raise BadTensorError(f"the storage class {kind.full_name} is unknown")
    nbytes = numel * DTYPES[dtype].itemsize
    return key, dtype, location, nbytes, pid[5] if len(pid) == 6 else None


def integer(value: Any) -> int:
    if type(value) is not int:
        raise BadTensorError("a number is no integer")
    return value


def integers(value: Any) -> tuple[int, ...]:
    """A size or stride: a tuple, a list or an inert ``torch.Size``."""
    if type(value) is Call and type(value.args) is tuple and len(value.args) == 1:
        value = value.args[0]
    if type(value) not in (tuple, list) or len(value) > 1000:
        raise BadTensorError("a size or stride is no tuple")
    return tuple(map(integer, value))


def _boolean(value: Any) -> bool:
    return value is True or (type(value) is int and value != 0)


def dtype_name(value: Any) -> str:
    """``torch.float32`` as ``float32``; other names as they are."""
    if type(value) is not GlobalRef:
        raise BadTensorError("the dtype is no dtype")
    found = find(value.name)
    return found.name if found else value.name


def device_name(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type(value) is Call and type(value.args) is tuple and value.args:
        return ":".join(str(part) for part in value.args if isinstance(part, (str, int)))
    raise BadTensorError("the device is no device")


def layout_name(value: Any) -> str:
    """``torch.sparse_coo``, by name or as torch writes it: ``_get_layout(name)``."""
    if type(value) is Call and type(value.args) is tuple and value.args:
        value = value.args[0]
    if isinstance(value, str):
        return value.removeprefix("torch.")
    if type(value) is GlobalRef:
        return value.name
    raise BadTensorError("the layout is no layout")


def array_shape(value: Any) -> tuple[int, ...]:
    """The shape of an inert numpy array: the second part of its state, or, from protocol 5 on,
    the third argument of ``numpy.core.numeric._frombuffer``.
    """
    if type(value) is Call and value.state and type(value.state[-1]) is tuple:
        state = value.state[-1]
        if len(state) == 5:
            return integers(state[1])
    if type(value) is Call and type(value.args) is tuple and len(value.args) == 4:
        function = value.function
        if type(function) is GlobalRef and function.name == "_frombuffer":
            return integers(value.args[2])
    raise BadTensorError("the array is no numpy array")


def pairs_of(value: Any, most: int | None = None) -> list[tuple[Any, Any]]:
    """The pairs of an inert mapping whose keys are text, or the first `most` of them.

    Anything else has none.
    """
    pairs = value.pairs if type(value) in (PairList, Call) else None
    return [(key, item) for key, item in (pairs or [])[:most] if isinstance(key, str)]


def attributes(state: Any) -> list[Part]:
    """The attributes that BUILD or ``_set_obj_state`` would set."""
    if type(state) is tuple and len(state) == 2:
        return [*pairs_of(state[0]), *pairs_of(state[1])]
    return list(pairs_of(state))


def _changed(details: TensorDetails, **changes: Any) -> TensorDetails:
    return details._replace(**changes)


def _copy(tensor: TensorInfo) -> TensorInfo:
    return TensorInfo(
        "",
        tensor.dtype,
        tensor.shape,
        tensor.stride,
        tensor.storage,
        tensor.storage_offset,
        tensor.device,
        tensor.requires_grad,
        layout=tensor.layout,
        details=tensor.details,
        type_name=tensor.type_name,
    )
