"""Is a file an ONNX model? Protocol buffers have no magic number, so the fields decide."""

from __future__ import annotations

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.protobuf import BYTES, VARINT, WireReader

# ModelProto: field number to wire type and name.
MODEL_FIELDS = {
    1: (VARINT, "ir_version"),
    2: (BYTES, "producer_name"),
    3: (BYTES, "producer_version"),
    4: (BYTES, "domain"),
    5: (VARINT, "model_version"),
    6: (BYTES, "doc_string"),
    7: (BYTES, "graph"),
    8: (BYTES, "opset_import"),
    14: (BYTES, "metadata_props"),
    20: (BYTES, "training_info"),
    25: (BYTES, "functions"),
    26: (BYTES, "configuration"),
}
TEXT_FIELDS = (2, 3, 4, 6)
# Fields that a later version of the format may add.
_LATER_FIELDS = 64
_IR_VERSION, _GRAPH = 1, 7
_HIGHEST_IR_VERSION = 1_000
_GRAPH_FIELDS = (1, 2, 5, 10, 11, 12, 13, 14, 15, 16)
_MOST_FIELDS = 4_096


def recognise(source: ByteSource) -> bool:
    """Whether `source` is a ModelProto: known fields only, with an ir_version and a graph."""
    wire = WireReader(source)
    version = False
    graph: tuple[int, int] | None = None
    for number, kind, at, length in wire.fields(0, source.size, _MOST_FIELDS):
        if number not in MODEL_FIELDS and graph is not None and number < _LATER_FIELDS:
            continue
        if number not in MODEL_FIELDS or MODEL_FIELDS[number][0] != kind:
            return False
        if number == _IR_VERSION:
            if not 0 < at < _HIGHEST_IR_VERSION:
                return False
            version = True
        elif number in TEXT_FIELDS and not _is_text(wire.read(at, min(length, 64))):
            return False
        elif number == _GRAPH:
            graph = (at, at + length)
    if not version or graph is None:
        return False
    # A file that was cut ends within its graph, or within a field after it.
    if wire.faults and graph[1] != source.size and wire.faults[0][0] < graph[1]:
        return False
    return _starts_graph(wire, *graph)


def _is_text(data: bytes) -> bool:
    text = data.decode(errors="replace")
    return not any(letter < " " and letter not in "\t\n\r" for letter in text) and (
        "\ufffd" not in text[:-3]
    )


def _starts_graph(wire: WireReader, start: int, end: int) -> bool:
    for number, kind, _, _ in wire.fields(start, end, 8):
        if kind != BYTES or number not in _GRAPH_FIELDS:
            return False
    return True
