"""The selected node in words: names with values, and one longer text where there is one."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.quantized_storage import quantized_storage
from inspector_app.checkpoint.block_scales import BLOCKS
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import ArrayInfo, Kind, Node, Quantizer, StorageRef, TensorInfo
from inspector_app.checkpoint.storage_forms import FieldStorage
from inspector_app.checkpoint.text import plain

Rows = list[tuple[str, str]]
NAMED_OTHERS = 8
NAMED_CHILDREN = 40
SHOWN_BYTES = 4_096
# Beyond 4,300 digits Python refuses to write an integer in decimal (CVE-2020-10735).
DECIMAL_BITS = 10_000


_translate = QCoreApplication.translate


def kind_words(node: Node) -> str:
    """What the node is, in a word or two."""
    return {
        Kind.MAPPING: _translate("NodeFacts", "Mapping"),
        Kind.SEQUENCE: _translate("NodeFacts", "Sequence"),
        Kind.SCALAR: _translate("NodeFacts", "Value"),
        Kind.TENSOR: _translate("NodeFacts", "Tensor"),
        Kind.ARRAY: _translate("NodeFacts", "NumPy array"),
        Kind.STORAGE: _translate("NodeFacts", "Storage"),
        Kind.MODULE: _translate("NodeFacts", "Module"),
        Kind.OBJECT: _translate("NodeFacts", "Object"),
        Kind.GLOBAL: _translate("NodeFacts", "Class or function, only named"),
        Kind.REFERENCE: _translate("NodeFacts", "Reference"),
        Kind.CODE: _translate("NodeFacts", "Source code"),
    }.get(node.kind, node.kind)


def path_text(node: Node) -> str:
    """The path as Python would index it: ``["model"]["fc.weight"]``."""
    return "".join(f"[{plain(repr(key), 400)}]" for key in node.path)


def value_text(value: object) -> str:
    """A scalar in full; anything else that is no plain data as nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        shown = bytes(value[:SHOWN_BYTES])
        text = repr(shown)
        if len(value) > SHOWN_BYTES:
            text += _translate("NodeFacts", "\n… {count} bytes in all").format(
                count=count_text(len(value))
            )
        return text
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= DECIMAL_BITS else hex(value)
    if isinstance(value, float | complex):
        return repr(value)
    return ""


def facts(node: Node, sharing: dict[int, list[TensorInfo]]) -> Rows:
    """Names and values of what is known about `node`.

    Args:
        sharing: by `id` of a storage, the tensors that view it (`Totals.sharing`).
    """
    rows = [
        (
            _translate("NodeFacts", "Name"),
            plain(node.name, 2_000) or _translate("NodeFacts", "(the whole file)"),
        ),
        (_translate("NodeFacts", "Path"), path_text(node)),
        (_translate("NodeFacts", "Type"), plain(node.type_name, 1_000)),
    ]
    if isinstance(node, TensorInfo):
        return rows[:2] + _tensor(node, sharing)
    if isinstance(node.value, ArrayInfo):
        return rows + _array(node.value)
    if isinstance(node.value, StorageRef):
        return rows + _stored(node.value)
    if node.kind == Kind.SCALAR:
        if isinstance(node.value, str):
            rows.append(
                (
                    _translate("NodeFacts", "Length"),
                    _translate("NodeFacts", "{n} characters").format(n=count_text(len(node.value))),
                )
            )
        elif isinstance(node.value, bytes):
            rows.append(
                (
                    _translate("NodeFacts", "Length"),
                    _translate("NodeFacts", "{n} bytes").format(n=count_text(len(node.value))),
                )
            )
    elif node.children:
        rows.append((_translate("NodeFacts", "Entries"), count_text(len(node.children))))
        if node.kind in (Kind.OBJECT, Kind.ARRAY, Kind.STORAGE):
            rows.append((_translate("NodeFacts", "Holds"), _children(node)))
    return rows


def _array(array: ArrayInfo) -> Rows:
    shape = " × ".join(map(count_text, array.shape))
    return [
        (_translate("NodeFacts", "Shape"), shape or _translate("NodeFacts", "scalar")),
        (_translate("NodeFacts", "NumPy dtype"), plain(array.dtype)),
        (
            _translate("NodeFacts", "Order"),
            _translate("NodeFacts", "Fortran (the last axis varies slowest)")
            if array.fortran
            else "",
        ),
    ]


def _children(node: Node) -> str:
    lines = []
    for child in node.children[:NAMED_CHILDREN]:
        if isinstance(child, TensorInfo):
            what = f"{child.dtype} {list(child.shape)}"
        elif child.kind == Kind.SCALAR:
            what = plain(value_text(child.value), 120)
        else:
            what = plain(child.type_name, 120) or kind_words(child)
        lines.append(f"{plain(str(child.key))}: {what}")
    left = len(node.children) - NAMED_CHILDREN
    if left > 0:
        lines.append(_translate("NodeFacts", "… and {n} more").format(n=count_text(left)))
    return "\n".join(lines)


def _tensor(tensor: TensorInfo, sharing: dict[int, list[TensorInfo]]) -> Rows:
    details = tensor.details
    nbytes = tensor.nbytes
    rows = [
        (_translate("NodeFacts", "Shape"), shape_text(tensor)),
        (_translate("NodeFacts", "Dtype"), _dtype(tensor)),
        (_translate("NodeFacts", "Elements"), count_text(tensor.numel)),
        (_translate("NodeFacts", "Size"), _bytes(nbytes)),
        (_translate("NodeFacts", "Stride"), _stride(tensor)),
        (_translate("NodeFacts", "Layout"), tensor.layout),
        (_translate("NodeFacts", "Device"), plain(tensor.device)),
        (_translate("NodeFacts", "requires_grad"), str(tensor.requires_grad)),
    ]
    if tensor.storage is not None:
        rows += _storage(tensor, tensor.storage, nbytes)
    others = (
        [other for other in sharing.get(id(tensor.storage), ()) if other is not tensor]
        if tensor.storage is not None
        else []
    )
    if others:
        lines = [plain(other.name, 400) for other in others[:NAMED_OTHERS]]
        if len(others) > NAMED_OTHERS:
            lines.append(
                _translate("NodeFacts", "… and {n} more").format(
                    n=count_text(len(others) - NAMED_OTHERS)
                )
            )
        rows.append((_translate("NodeFacts", "Shares with"), "\n".join(lines)))
    if details.quantizer is not None:
        rows.append((_translate("NodeFacts", "Quantizer"), _quantizer(details.quantizer)))
    rows += _quantized(tensor)
    if details.python_type:
        rows.append((_translate("NodeFacts", "Subclass"), plain(details.python_type)))
    elif tensor.type_name not in ("", "torch.Tensor"):
        rows.append((_translate("NodeFacts", "Type"), plain(tensor.type_name)))
    if tensor.children:
        rows.append((_translate("NodeFacts", "Made of"), _children(tensor)))
    if details.coalesced is not None:
        rows.append(
            (
                _translate("NodeFacts", "Coalesced"),
                _translate("NodeFacts", "yes")
                if details.coalesced
                else _translate("NodeFacts", "no"),
            )
        )
    rows.append((_translate("NodeFacts", "Marks"), _marks(tensor)))
    rows.append((_translate("NodeFacts", "Note"), plain(details.note, 1_000)))
    return rows


def shape_text(tensor: TensorInfo) -> str:
    """``64 × 3 × 7 × 7``, or in words where there is no size."""
    if not tensor.shape:
        return _translate("NodeFacts", "scalar (no dimensions)")
    return " × ".join(
        _translate("NodeFacts", "ragged") if size < 0 else count_text(size) for size in tensor.shape
    )


def _dtype(tensor: TensorInfo) -> str:
    dtype = DTYPES.get(tensor.dtype)
    if dtype is None:
        return plain(tensor.dtype)
    if dtype.bits % 8 or not dtype.bits or tensor.is_wrapper:
        return tensor.dtype
    count = dtype.bits // 8
    if count == 1:
        return _translate("NodeFacts", "{dtype}, 1 byte an element").format(dtype=tensor.dtype)
    return _translate("NodeFacts", "{dtype}, {count} bytes an element").format(
        dtype=tensor.dtype, count=count
    )


def _stride(tensor: TensorInfo) -> str:
    if tensor.stride is None:
        return ""
    shown = ", ".join(map(str, tensor.stride)) or "()"
    if 0 in tensor.stride and any(
        step == 0 and size > 1 for step, size in zip(tensor.stride, tensor.shape, strict=False)
    ):
        return _translate("NodeFacts", "{stride} (expanded)").format(stride=shown)
    return (
        shown
        if is_contiguous(tensor)
        else _translate("NodeFacts", "{stride} (not contiguous)").format(stride=shown)
    )


def is_contiguous(tensor: TensorInfo) -> bool:
    """Whether the elements lie in C order without gaps, as torch decides it."""
    if tensor.stride is None:
        return False
    if 0 in tensor.shape:
        return True
    expected = 1
    for size, step in zip(reversed(tensor.shape), reversed(tensor.stride), strict=False):
        if size != 1:
            if step != expected:
                return False
            expected *= size
    return True


def _storage(tensor: TensorInfo, storage: StorageRef, nbytes: int) -> Rows:
    rows = [
        (_translate("NodeFacts", "Storage"), plain(storage.key, 1_000)),
        (_translate("NodeFacts", "Storage offset"), _offset(tensor)),
        (
            _translate("NodeFacts", "Storage size"),
            "" if storage.nbytes == nbytes else _bytes(storage.nbytes),
        ),
    ]
    return rows + _place(storage)


def _stored(storage: StorageRef) -> Rows:
    """A storage that no tensor views."""
    return [
        (_translate("NodeFacts", "Storage"), plain(storage.key, 1_000)),
        (_translate("NodeFacts", "Size"), _bytes(storage.nbytes)),
        (_translate("NodeFacts", "Device"), plain(storage.device)),
        *_place(storage),
    ]


def _place(storage: StorageRef) -> Rows:
    """Where its bytes lie."""
    rows = [(_translate("NodeFacts", "In file"), plain(storage.file, 1_000))]
    record = storage.record
    if record is None:
        if storage.device != "meta" and not isinstance(storage, FieldStorage):
            rows.append(
                (_translate("NodeFacts", "Bytes"), _translate("NodeFacts", "not in the file"))
            )
        return rows
    place = plain(record.name, 1_000)
    if record.offset >= 0:
        at = _translate("NodeFacts", "from byte {offset}").format(offset=count_text(record.offset))
        place = f"{place}, {at}" if place else at
    rows.append((_translate("NodeFacts", "Bytes"), place))
    if record.crc32:
        rows.append((_translate("NodeFacts", "CRC-32"), f"{record.crc32:08x}"))
    return rows


def _offset(tensor: TensorInfo) -> str:
    if tensor.storage_offset is None:
        return ""
    return _translate("NodeFacts", "{n} elements").format(n=count_text(tensor.storage_offset))


def _bytes(nbytes: int) -> str:
    if nbytes < 1_000:
        return _translate("NodeFacts", "{n} bytes").format(n=nbytes)
    return _translate("NodeFacts", "{size} ({n} bytes)").format(
        size=size_text(nbytes), n=count_text(nbytes)
    )


def _quantized(tensor: TensorInfo) -> Rows:
    found = quantized_storage(tensor)
    if found is None:
        return []
    rows = []
    if found.scales > 1:
        scales = count_text(found.scales)
        if found.block:
            scales = _translate("NodeFacts", "{n}, each for {block} values").format(
                n=scales, block=" × ".join(map(count_text, found.block))
            )
        rows.append((_translate("NodeFacts", "Scales"), scales))
    bits = _translate("NodeFacts", "{bits} a value, with scales and zero points").format(
        bits=f"{found.bits:.4g}"
    )
    return [*rows, (_translate("NodeFacts", "Effective bits"), bits)]


def _quantizer(quantizer: Quantizer) -> str:
    if quantizer.scheme == BLOCKS:
        return ""
    parts = [quantizer.scheme]
    if quantizer.scale is not None:
        parts.append(_translate("NodeFacts", "scale {scale!r}").format(scale=quantizer.scale))
    if quantizer.zero_point is not None:
        parts.append(
            _translate("NodeFacts", "zero_point {zero_point}").format(
                zero_point=quantizer.zero_point
            )
        )
    if quantizer.axis is not None:
        parts.append(_translate("NodeFacts", "axis {axis}").format(axis=quantizer.axis))
    return ", ".join(plain(part) for part in parts)


def _marks(tensor: TensorInfo) -> str:
    details = tensor.details
    marks = [
        (details.parameter, "nn.Parameter"),
        (details.conj, _translate("NodeFacts", "conjugated lazily (conj bit)")),
        (details.neg, _translate("NodeFacts", "negated lazily (neg bit)")),
        (details.big_endian, _translate("NodeFacts", "big-endian bytes")),
    ]
    return ", ".join(text for present, text in marks if present)
