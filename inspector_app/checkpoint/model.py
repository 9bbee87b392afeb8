"""What a file holds: a tree of nodes, some of which are tensors.

A `Checkpoint` is what every reader returns. Its `root` is the tree as the file has it:
mappings, sequences, objects, scalars and tensors. Nothing here has values: a tensor is
a view (`storage`, `storage_offset`, `shape`, `stride`) of bytes that are read on demand.

Small facts are named tuples: a frozen dataclass takes eight times as long to define, and
the first picture waits for them. Nodes are plain objects without generated ``__repr__``,
``__eq__`` or ``__hash__``: those would recurse as deep as a hostile file likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.errors import Problem

PathElement = str | int
TreePath = tuple[PathElement, ...]


class Kind:
    """What a node is. Plain strings, so that they cost nothing and read well in JSON."""

    MAPPING = "mapping"
    SEQUENCE = "sequence"
    SCALAR = "scalar"  # None, bool, int, float, complex, str, bytes: in `value`
    TENSOR = "tensor"
    ARRAY = "array"  # a numpy array
    STORAGE = "storage"  # a storage outside any tensor
    MODULE = "module"  # a whole torch.nn.Module; its children are its state_dict
    OBJECT = "object"  # an instance of a class that is not imported
    GLOBAL = "global"  # a class or function that is only named
    REFERENCE = "reference"  # an object that contains itself, or one cut by a limit
    CODE = "code"  # source text that the file carries


class Record(NamedTuple):
    """Where a run of bytes lies in a file.

    Attributes:
        name: the archive entry, or "".
        offset: of the first byte, or -1 while only the local header knows (zip).
        nbytes: length, once decompressed.
        header_offset: of the local header of a zip entry, or -1.
        crc32: of the bytes as the archive's directory says, 0 if it says nothing.
        method: the compression method of a zip entry; 0 is none.
        packed_bytes: length in the file.
        flags: the general purpose bits of a zip entry.
    """

    name: str
    offset: int
    nbytes: int
    header_offset: int = -1
    crc32: int = 0
    method: int = 0
    packed_bytes: int = 0
    flags: int = 0


class StorageRef:
    """Bytes that one or more tensors view.

    Attributes:
        key: its name within the file; equal keys are the same bytes.
        nbytes: the length that the file declares.
        device: the location tag, such as ``cpu`` or ``cuda:0``.
        file: the file that has the bytes ("" for the checkpoint's own).
        record: where they lie, or None if the file lacks them.
    """

    __slots__ = ("device", "file", "key", "nbytes", "record")

    def __init__(
        self,
        key: str,
        nbytes: int,
        device: str = "cpu",
        file: str = "",
        record: Record | None = None,
    ) -> None:
        self.key = key
        self.nbytes = nbytes
        self.device = device
        self.file = file
        self.record = record


class Node:
    """One entry of the tree.

    Attributes:
        key: its place in its parent: a mapping's key, an index, an attribute's name. The
            root has "".
        parent: None for the root.
        kind: one of `Kind`.
        type_name: the Python type as the file names it, such as ``dict``, ``float`` or
            ``argparse.Namespace``.
        value: the value of a scalar; arguments or text of others; else None.
        children: in the file's order.
    """

    __slots__ = ("children", "key", "kind", "parent", "type_name", "value")

    def __init__(
        self,
        key: PathElement,
        kind: str,
        type_name: str = "",
        value: Any = None,
        parent: Node | None = None,
    ) -> None:
        self.key = key
        self.parent = parent
        self.kind = kind
        self.type_name = type_name
        self.value = value
        self.children: Sequence[Node] = ()

    @property
    def path(self) -> TreePath:
        """The keys from the root to here; the root's is ()."""
        keys: list[PathElement] = []
        node = self
        while node.parent is not None:
            keys.append(node.key)
            node = node.parent
        return tuple(reversed(keys))

    @property
    def name(self) -> str:
        """The path joined with ``/``."""
        return "/".join(map(str, self.path))

    def walk(self) -> Iterator[Node]:
        """This node and everything below it, parents first, in the file's order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


class Quantizer(NamedTuple):
    """How a quantized tensor's integers become values: ``(q - zero_point) * scale``.

    Attributes:
        scheme: ``per_tensor_affine``, ``per_channel_affine`` or
            ``per_channel_affine_float_qparams``; `block_scales.BLOCKS` for torchao's tensors
            and ONNX's DequantizeLinear, whose parts are called so there.
        scale, zero_point: the numbers of a per-tensor scheme, else None; the per-channel
            ones are tensors among the node's children, ``scales`` and ``zero_points``.
        axis: the channels' axis, or None.
        dtype: what the values are rounded to, or "" for float32.
    """

    scheme: str
    scale: float | None = None
    zero_point: int | None = None
    axis: int | None = None
    dtype: str = ""


class TensorDetails(NamedTuple):
    """What few tensors have.

    Attributes:
        parameter: it was saved as an ``nn.Parameter``.
        python_type: the subclass that wraps it, such as ``torchao…Int4Tensor``; its inner
            tensors are the node's children.
        conj, neg: torch's lazy conjugate and negative bits.
        big_endian: the bytes are in big-endian order.
        coalesced: of a sparse COO tensor, None if the file does not say.
        quantizer: of a quantized tensor.
        note: anything else worth a sentence.
    """

    parameter: bool = False
    python_type: str = ""
    conj: bool = False
    neg: bool = False
    big_endian: bool = False
    coalesced: bool | None = None
    quantizer: Quantizer | None = None
    note: str = ""


PLAIN = TensorDetails()


class ArrayInfo(NamedTuple):
    """A numpy array outside any tensor: the value of a `Kind.ARRAY` node.

    Attributes:
        shape: its size.
        dtype: numpy's code, such as ``<f8``.
        fortran: the last axis varies slowest.
        data: its bytes if they are few, else None.
        place: where they lie if they are many: the file, ``bytes`` or ``str`` (a text that
            has a character for each of them), the offset and the length in the file.
    """

    shape: tuple[int, ...]
    dtype: str
    fortran: bool = False
    data: bytes | None = None
    place: tuple[str, str, int, int] | None = None


class TensorInfo(Node):
    """A tensor: a view of a storage, without its values.

    Sparse, nested and wrapped tensors have no storage of their own; the tensors that
    they are made of are their children (``indices``, ``values``, ``_local_tensor`` …).

    Attributes:
        dtype: torch's name without ``torch.``.
        shape: the size; -1 where a nested tensor is ragged.
        stride: in elements, or None where the layout has none.
        storage: the bytes that it views, or None.
        storage_offset: in elements, or None.
        device: the location tag, ``meta`` included.
        requires_grad: as torch would report it after loading.
        layout: ``strided``, ``sparse_coo``, ``sparse_csr``, ``sparse_csc``,
            ``sparse_bsr``, ``sparse_bsc``, ``nested`` or ``jagged``.
        details: what few tensors have.
    """

    __slots__ = (
        "details",
        "device",
        "dtype",
        "layout",
        "requires_grad",
        "shape",
        "storage",
        "storage_offset",
        "stride",
    )

    def __init__(
        self,
        key: PathElement,
        dtype: str,
        shape: tuple[int, ...],
        stride: tuple[int, ...] | None,
        storage: StorageRef | None,
        storage_offset: int | None,
        device: str = "cpu",
        requires_grad: bool = False,
        parent: Node | None = None,
        layout: str = "strided",
        details: TensorDetails = PLAIN,
        type_name: str = "torch.Tensor",
    ) -> None:
        # Written out instead of calling Node: a file has a million of these.
        self.key = key
        self.parent = parent
        self.kind = Kind.TENSOR
        self.type_name = type_name
        self.value = None
        self.children = ()
        self.dtype = dtype
        self.shape = shape
        self.stride = stride
        self.storage = storage
        self.storage_offset = storage_offset
        self.device = device
        self.requires_grad = requires_grad
        self.layout = layout
        self.details = details

    @property
    def numel(self) -> int:
        """Number of elements; of a ragged one, those of its buffer."""
        if -1 in self.shape:
            return sum(part.numel for part in self.inner_tensors() if part.key == "buffer")
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of its elements; those of its parts where it has no storage itself."""
        if self.storage is None and self.children:
            return sum(part.nbytes for part in self.inner_tensors())
        dtype = DTYPES.get(self.dtype)
        return (self.numel * dtype.bits + 7) // 8 if dtype else 0

    @property
    def is_wrapper(self) -> bool:
        """It is made of inner tensors, which hold the bytes."""
        return self.storage is None and any(True for _ in self.inner_tensors())

    def inner_tensors(self) -> Iterator[TensorInfo]:
        """The tensors right below it."""
        return (child for child in self.children if isinstance(child, TensorInfo))


def contiguous_stride(shape: Sequence[int]) -> tuple[int, ...]:
    """The stride, in elements, of a contiguous tensor, as torch computes it."""
    stride = []
    step = 1
    for size in reversed(shape):
        stride.append(step)
        step *= max(size, 1)
    return tuple(reversed(stride))


class SectionKind:
    """What a part of a checkpoint is for."""

    MODEL = "model"
    EMA = "ema"
    OPTIMIZER = "optimizer"
    SCHEDULER = "scheduler"
    SCALER = "grad-scaler"
    HYPER_PARAMETERS = "hyper-parameters"
    RNG = "rng"


class Section(NamedTuple):
    """A part of a checkpoint with a known purpose."""

    path: TreePath
    kind: str


class GlobalUse(NamedTuple):
    """A class or function that the file would import if it were loaded the unsafe way.

    Attributes:
        name: ``module.qualified_name``.
        use: of ``named``, ``call``, ``newobj``, ``build``, ``persistent-id``, sorted;
            ``named`` only if nothing else is done with it.
        allowed: it is among the default globals of ``torch.load(weights_only=True)``.
    """

    name: str
    use: tuple[str, ...]
    allowed: bool


class CodeText(NamedTuple):
    """Source text in the file. It is shown and never run.

    Attributes:
        name: the archive entry, or the class it belongs to.
        record: where its bytes lie, if they have not been read.
        text: the text, if it has been read.
    """

    name: str
    record: Record | None = None
    text: str | None = None


class Checkpoint:
    """What a file holds.

    Attributes:
        path: the file, as it was asked for; of a sharded one its index or folder.
        format: ``torch-zip``, ``torch-legacy``, ``torch-tar``, ``torchscript``,
            ``torch-export``, ``safetensors``, ``onnx`` or ``pickle``.
        file_bytes: its length, shards and external data included.
        root: the tree.
        tensors: every tensor, in the file's own order; parts of sparse, nested and
            quantized ones are not listed, those of wrapping subclasses are.
        sections: parts with a known purpose, outermost first.
        globals: sorted by name.
        problems: in the order they were found.
        metadata: facts that the container states about itself, such as its version.
        code: source texts in the file.
        storages: by file and key, each counted once.
        files: the files it consists of, the first being `path` where that is a file.
        modified_ns: modification time when it was read.
        stamps: of each file, also of external data, the length and the modification time
            when it was read; of a checkpoint that was not read from its files empty.
    """

    __slots__ = (
        "code",
        "file_bytes",
        "files",
        "format",
        "globals",
        "metadata",
        "modified_ns",
        "path",
        "problems",
        "root",
        "sections",
        "stamps",
        "storages",
        "tensors",
    )

    def __init__(
        self,
        path: str,
        format: str,
        file_bytes: int,
        root: Node,
        tensors: list[TensorInfo] | None = None,
        sections: list[Section] | None = None,
        globals: list[GlobalUse] | None = None,
        problems: list[Problem] | None = None,
        metadata: Mapping[str, str] | None = None,
        code: list[CodeText] | None = None,
        storages: dict[tuple[str, str], StorageRef] | None = None,
        files: list[str] | None = None,
        modified_ns: int = 0,
    ) -> None:
        self.path = path
        self.format = format
        self.file_bytes = file_bytes
        self.root = root
        self.tensors: list[TensorInfo] = [] if tensors is None else tensors
        self.sections: list[Section] = [] if sections is None else sections
        self.globals: list[GlobalUse] = [] if globals is None else globals
        self.problems: list[Problem] = [] if problems is None else problems
        self.metadata: Mapping[str, str] = {} if metadata is None else metadata
        self.code: list[CodeText] = [] if code is None else code
        self.storages: dict[tuple[str, str], StorageRef] = {} if storages is None else storages
        self.files: list[str] = [] if files is None else files
        self.modified_ns = modified_ns
        self.stamps: dict[str, tuple[int, int]] = {}

    def find(self, path: Sequence[PathElement]) -> Node | None:
        """The node at `path`, or None. Of equal keys the last counts."""
        node = self.root
        for key in path:
            for child in reversed(node.children):
                if child.key == key and type(child.key) is type(key):
                    node = child
                    break
            else:
                return None
        return node


class Progress(NamedTuple):
    """How far a reader is. `total` is None while it is not known."""

    stage: str
    done: int
    total: int | None = None
