"""What is going to be written: a tree of plain data and tensors, without their bytes.

Everything in it is what ``torch.load(weights_only=True)`` takes by itself. A tensor views an
`OutStorage`; where the bytes of that come from is its content, which `saving` carries out.
Nodes are plain objects without generated ``__eq__`` or ``__repr__``: a file has a million.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from inspector_app.analysis.save_options import Averaging
from inspector_app.checkpoint.model import Checkpoint, Quantizer, StorageRef, TensorInfo
from inspector_app.checkpoint.pickle_nodes import BytesPlace


class StoredBytes(NamedTuple):
    """Bytes of a storage as they are, from its byte `start`."""

    checkpoint: Checkpoint
    storage: StorageRef
    start: int
    nbytes: int


class TensorValues(NamedTuple):
    """All values of a tensor, contiguous, as `dtype`."""

    checkpoint: Checkpoint
    tensor: TensorInfo
    dtype: str


class AveragedValues(NamedTuple):
    """The average of equally shaped tensors, contiguous, as `dtype`."""

    sources: tuple[tuple[Checkpoint, TensorInfo], ...]
    averaging: Averaging
    dtype: str


class FittedValues(NamedTuple):
    """The values of `base` with a part of them overwritten by a part of `patch`.

    Attributes:
        into, out_of: slices of the shapes of `base` and `patch`, equally long.
        dtype: of the result, and of `base`.
    """

    base: TensorValues | InitialValues
    patch: TensorValues
    into: tuple[slice, ...]
    out_of: tuple[slice, ...]
    dtype: str


class InitialValues(NamedTuple):
    """New values, contiguous. Of one seed and name they are always the same.

    Attributes:
        kind: ``zeros``, ``ones``, ``normal``, ``uniform``, ``kaiming_normal``,
            ``kaiming_uniform``, ``xavier_normal`` or ``xavier_uniform``.
        amount: the standard deviation of ``normal``, the bound of ``uniform``.
        name: of the tensor: each one draws numbers of its own.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    amount: float
    seed: int
    name: str


class HeldBytes(NamedTuple):
    """Bytes that are here already."""

    data: bytes


Content: TypeAlias = (
    StoredBytes | TensorValues | AveragedValues | FittedValues | InitialValues | HeldBytes
)


class OutStorage:
    """Bytes that one or more written tensors view.

    Attributes:
        content: where they come from.
        dtype: torch's name of the elements, or "" where tensors of several view it.
        nbytes: how many.
        device: the location tag.
    """

    __slots__ = ("content", "device", "dtype", "nbytes")

    def __init__(self, content: Content, dtype: str, nbytes: int, device: str) -> None:
        self.content = content
        self.dtype = dtype
        self.nbytes = nbytes
        self.device = device


class OutTensor:
    """A tensor that is written. As `TensorInfo`, but without a place in a file.

    Attributes:
        parts: of a sparse, nested or per-channel quantized one, by name.
    """

    __slots__ = (
        "coalesced",
        "conj",
        "device",
        "dtype",
        "layout",
        "neg",
        "parameter",
        "parts",
        "quantizer",
        "requires_grad",
        "shape",
        "storage",
        "storage_offset",
        "stride",
    )

    def __init__(
        self,
        dtype: str,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
        storage: OutStorage | None = None,
        storage_offset: int = 0,
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.stride = stride
        self.storage = storage
        self.storage_offset = storage_offset
        self.device = "cpu"
        self.requires_grad = False
        self.parameter = False
        self.layout = "strided"
        self.conj = False
        self.neg = False
        self.coalesced: bool | None = None
        self.quantizer: Quantizer | None = None
        self.parts: dict[str, OutTensor] = {}


class OutMapping:
    """A dictionary.

    Attributes:
        type_name: ``dict``, ``collections.OrderedDict`` or ``collections.Counter``.
        pairs: keys are text, numbers, None, bytes, or tuples of these.
        metadata: of an OrderedDict, its attribute ``_metadata``, or None.
    """

    __slots__ = ("metadata", "pairs", "type_name")

    def __init__(self, type_name: str, pairs: list[tuple[Out, Out]]) -> None:
        self.type_name = type_name
        self.pairs = pairs
        self.metadata: Out = None


class OutSequence:
    """Items in order; `type_name` is ``list``, ``tuple``, ``set`` or ``torch.Size``."""

    __slots__ = ("items", "type_name")

    def __init__(self, type_name: str, items: list[Out]) -> None:
        self.type_name = type_name
        self.items = items


@dataclass(frozen=True, slots=True)
class OutGlobal:
    """A name that torch knows, such as ``torch.float16``."""

    name: str


@dataclass(frozen=True, slots=True)
class OutDevice:
    """A ``torch.device``, as ``cuda:1``."""

    name: str


Out: TypeAlias = (
    OutTensor
    | OutMapping
    | OutSequence
    | OutGlobal
    | OutDevice
    | BytesPlace
    | str
    | bytes
    | bytearray
    | int
    | float
    | complex
    | bool
    | None
)
