"""Grammars of containers: zips, legacy files, tars, safetensors, ONNX, `.pt2` and shard indexes.

Each draws a file that is right but for what was drawn to be wrong; any field may lie.
"""

from __future__ import annotations

import json
import pickle
import struct
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.checkpoint import grammar_pickles as pickles
from tests.checkpoint.hostile_pickles import legacy_parts
from tests.fuzz import protobuf_forms, zip_forms
from tests.fuzz.protobuf_forms import Field
from tests.fuzz.tar_forms import tarred
from tests.fuzz.zip_forms import Archive, ZipEntry

Files = st.SearchStrategy[bytes]

GOOD_PICKLE = pickle.dumps({"epoch": 3, "names": ["a", "b"]}, 2)
_BOUNDS = [0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]

# --- zips

_names = st.sampled_from(
    [
        b"archive/data.pkl", b"archive/byteorder", b"archive/data/0", b"archive/version",
        b"archive/DATA.PKL", b"archive/constants.pkl", b"archive/code/__torch__.py",
        b"archive/archive_format", b"serialized_exported_program.json", b"other/data.pkl",
        b"../x", b"/etc/passwd", b"a\\b", b"C:\\x", b"\0", b"", b"\xff\xfe", b"archive/",
        b"archive/\xe2\x80\xaex", b"x" * 300,
    ]
)  # fmt: skip
_extras = st.sampled_from(
    [b"", b"", b"\x01\x00\x08\x00" + b"\xff" * 8, b"\x01\x00\xff\xff", b"\0", b"FB\x04\0ZZZZ",
     b"\x75\x70\x01\x00\x01", b"\x01\x99\x07\x00\x02\0AE\x03\0\0"]
)  # fmt: skip


def _lies(layout: tuple[tuple[str, str], ...]) -> st.SearchStrategy[dict[str, int]]:
    fields = st.sampled_from([name for name, _ in layout])
    values = st.one_of(st.sampled_from(_BOUNDS), st.integers(0, 400))
    return st.one_of(st.just({}), st.just({}), st.dictionaries(fields, values, max_size=2))


_data = st.one_of(pickles.framed(), st.binary(max_size=40), st.just(b"little"))
true_entries = st.builds(
    ZipEntry,
    name=_names,
    data=_data,
    method=st.sampled_from([0, 0, 8]),
    descriptor=st.booleans(),
    zip64=st.booleans(),
    comment=st.binary(max_size=4),
)
lying_entries = st.builds(
    ZipEntry,
    name=_names,
    data=_data,
    method=st.sampled_from([0, 8, 1, 12, 99]),
    descriptor=st.booleans(),
    zip64=st.booleans(),
    local_extra=_extras,
    central_extra=_extras,
    local=_lies(zip_forms.LOCAL),
    central=_lies(zip_forms.CENTRAL),
    local_name=st.none() | _names,
    in_directory=st.sampled_from([True, True, True, False]),
)


@st.composite
def true_archives(draw: st.DrawFn) -> Archive:
    """Archives that tell the truth about what torch writes, in any form that zip has for it."""
    form = {"descriptor": draw(st.booleans()), "zip64": draw(st.booleans())}
    entries = [
        ZipEntry(b"archive/data.pkl", GOOD_PICKLE, **form),
        ZipEntry(b"archive/byteorder", b"little", **form),
        ZipEntry(b"archive/version", b"3\n", **form),
    ]
    return Archive(entries, with_zip64=draw(st.booleans()), comment=draw(st.binary(max_size=4)))


@st.composite
def zips(draw: st.DrawFn) -> bytes:
    """Archives of which anything may be wrong."""
    first = ZipEntry(b"archive/data.pkl", draw(st.just(GOOD_PICKLE) | pickles.framed()))
    if draw(st.booleans()):
        first = replace(
            first, local=draw(_lies(zip_forms.LOCAL)), central=draw(_lies(zip_forms.CENTRAL))
        )
    archive = Archive(
        [first, *draw(st.lists(lying_entries, max_size=4))],
        comment=draw(st.binary(max_size=6)),
        with_zip64=draw(st.booleans()),
        end=draw(_lies(zip_forms.END)),
        end64=draw(_lies(zip_forms.END64)),
        locator=draw(_lies(zip_forms.LOCATOR)),
        before=draw(st.sampled_from([b"", b"", b"", b"MZ junk"])),
        between=draw(st.sampled_from([b"", b"", b"junk", b"PK\x01\x02"])),
        after=draw(st.sampled_from([b"", b"", b"\0", b"PK\x05\x06" + bytes(18)])),
    )
    return zip_forms.written(archive)


# --- legacy and tars


@st.composite
def legacies(draw: st.DrawFn) -> bytes:
    """The five pickles and what follows, any of them odd, left out or twice."""
    parts = legacy_parts(draw(pickles.framed(pickles.mappings)))
    keys = draw(st.lists(st.sampled_from(["0", "1", "../x", ""]), max_size=3))
    parts[4] = pickle.dumps(keys, 2)
    if draw(st.booleans()):
        index = draw(st.integers(0, 4))
        parts[index] = draw(st.one_of(pickles.framed(), st.just(b""), st.just(parts[0])))
    numel = draw(st.lists(st.sampled_from([0, 1, 4, -1, 2**40, -(2**63)]), max_size=3))
    tail = b"".join(struct.pack("<q", count) + bytes(4 * min(abs(count), 8)) for count in numel)
    return b"".join(parts) + tail[: draw(st.integers(0, len(tail)))] if tail else b"".join(parts)


_small = st.one_of(st.integers(-2, 12), st.sampled_from([2**31, -(2**31), 2**62]))


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """The four members; their numbers and pickles may be wrong, their headers are right."""
    count = draw(st.integers(0, 3))
    storages = pickle.dumps(draw(st.just(count) | _small), 2)
    for key in range(count):
        kind = draw(pickles._classes)
        entry = pickles.number(key) + pickles.text(draw(st.sampled_from(["cpu", "cuda:0", "\0"])))
        storages += b"\x80\x02(" + entry + kind + b"t."
        storages += struct.pack("<q", draw(st.just(4) | _small)) + bytes(16)
    storages += pickle.dumps(draw(st.lists(st.tuples(_small, _small, _small, _small), max_size=2)))
    tensors = pickle.dumps(draw(st.integers(0, 3)), 2)
    for key in range(draw(st.integers(0, 3))):
        kind = draw(pickles._classes)
        tensors += b"\x80\x02(" + pickles.number(key) + pickles.number(draw(st.integers(0, 3)))
        tensors += kind + b"t." + struct.pack("<i4x", draw(st.integers(-1, 3)))
        tensors += struct.pack("<5q", *(draw(_small) for _ in range(5)))
    entries = {
        "sys_info": draw(st.just(pickle.dumps({"little_endian": True}, 2)) | pickles.framed()),
        "pickle": draw(pickles.framed(pickles.mappings)),
        "storages": storages,
        "tensors": tensors,
    }
    for name in draw(st.sets(st.sampled_from(sorted(entries)), max_size=1)):
        del entries[name]
    content = tarred(entries)
    return content[: draw(st.sampled_from([len(content), len(content) // 2, 1500]))]


# --- headers of JSON

_odd_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False),
        st.sampled_from(["", "F32", "\ud800", "\u202e", "../x", "x" * 300]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip
_dtypes = st.sampled_from(["F32", "F64", "BF16", "I8", "BOOL", "F8_E4M3", "F4", "U64", "Q9", ""])
_entries = st.one_of(
    st.fixed_dictionaries(
        {
            "dtype": _dtypes,
            "shape": st.lists(st.integers(0, 5), max_size=3),
            "data_offsets": st.tuples(st.integers(0, 40), st.integers(0, 40)),
        }
    ),
    st.fixed_dictionaries(
        {"dtype": _dtypes | _odd_json, "shape": _odd_json, "data_offsets": _odd_json}
    ),
    _odd_json,
)


@st.composite
def safetensors(draw: st.DrawFn) -> bytes:
    """A header of entries, of a length that may lie, and some bytes."""
    header: dict[str, Any] = draw(st.dictionaries(pickles.texts, _entries, max_size=4))
    if draw(st.booleans()):
        header["__metadata__"] = draw(
            st.dictionaries(st.text(max_size=3), st.text(max_size=3) | _odd_json, max_size=3)
        )
    text = json.dumps(header, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    text += b" " * draw(st.sampled_from([0, 0, 5]))
    true = [len(text)] * 6
    length = draw(st.sampled_from([*true, 0, len(text) - 1, len(text) + 9, 2**63, 2**64 - 1]))
    return struct.pack("<Q", length) + text + bytes(draw(st.integers(0, 45)))


@st.composite
def indexes(draw: st.DrawFn) -> bytes:
    """A shard index; no shard is there."""
    names = st.sampled_from(["a.safetensors", "../a", "/etc/passwd", "", "a\0", "https://x/a", "."])
    mapping = st.dictionaries(st.text(max_size=4), names | _odd_json, max_size=4) | _odd_json
    document = {"metadata": draw(_odd_json), "weight_map": draw(mapping)}
    return json.dumps(document).encode()


_meta = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([7, 13, 5, 29, 0, 99]) | _odd_json,
        "sizes": st.lists(st.fixed_dictionaries({"as_int": st.integers(0, 4)}), max_size=3)
        | _odd_json,
        "strides": st.lists(st.fixed_dictionaries({"as_int": st.integers(0, 4)}), max_size=3)
        | _odd_json,
        "storage_offset": st.fixed_dictionaries({"as_int": st.integers(0, 3) | _odd_json}),
        "device": st.fixed_dictionaries({"type": st.just("cpu") | _odd_json, "index": _odd_json}),
        "layout": st.just(7) | _odd_json,
    }
)
_payload = st.fixed_dictionaries(
    {
        "path_name": st.sampled_from(["weight_0", "../x", ""]) | _odd_json,
        "use_pickle": st.booleans(),
        "is_param": st.booleans(),
        "tensor_meta": _meta | _odd_json,
    }
)
_specs = st.lists(
    st.one_of(
        st.builds(lambda name: {"parameter": {"parameter_name": name}}, st.text(max_size=3)),
        st.builds(lambda arg: {"user_input": {"arg": {"as_tensor": arg}}}, _odd_json),
        st.builds(lambda name: {"buffer": {"buffer_name": name, "persistent": True}}, _odd_json),
        _odd_json,
    ),
    max_size=3,
)
_program = st.fixed_dictionaries(
    {
        "graph_module": st.fixed_dictionaries(
            {
                "graph": st.fixed_dictionaries(
                    {
                        "tensor_values": st.dictionaries(st.text(max_size=3), _meta, max_size=2),
                        "nodes": st.lists(_odd_json, max_size=3) | _odd_json,
                    }
                ),
                "signature": st.fixed_dictionaries(
                    {"input_specs": _specs, "output_specs": _specs | _odd_json}
                ),
            }
        )
        | _odd_json,
        "schema_version": st.just({"major": 8, "minor": 8}) | _odd_json,
        "range_constraints": _odd_json,
        "opset_version": _odd_json,
        "torch_version": _odd_json,
    }
)


@st.composite
def exports(draw: st.DrawFn) -> bytes:
    """A `.pt2` archive that is valid around JSON of which anything may be odd."""
    config = {
        "config": draw(st.dictionaries(st.text(max_size=3), _payload, max_size=3) | _odd_json)
    }
    constants = {"config": draw(st.dictionaries(st.text(max_size=3), _payload, max_size=1))}
    entries = {
        "m/archive_format": b"pt2",
        "m/models/model.json": json.dumps(draw(_program | _odd_json)).encode(),
        "m/data/weights/model_weights_config.json": json.dumps(config).encode(),
        "m/data/weights/weight_0": draw(st.binary(max_size=40) | pickles.framed()),
        "m/data/constants/model_constants_config.json": json.dumps(constants).encode(),
        "m/data/sample_inputs/model.pt": draw(zips() | pickles.framed()),
        "m/byteorder": b"little",
    }
    for name in draw(st.sets(st.sampled_from(sorted(entries)), max_size=1)):
        del entries[name]
    return zip_forms.written(
        Archive([ZipEntry(name.encode(), data) for name, data in entries.items()])
    )


# --- ONNX

_leaves = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"weights.bin", b"../x", b"offset", b"length", b"location", b"-1", b"4"]),
)
_numbers = st.integers(0, 40) | st.sampled_from(_BOUNDS)
_fields = st.recursive(
    st.one_of(
        st.builds(Field, st.integers(1, 25), st.just(0), _numbers),
        st.builds(Field, st.integers(1, 25), st.just(2), _leaves),
        st.builds(Field, st.integers(1, 25), st.just(2), _leaves, st.sampled_from([0, 3, 2**40])),
        st.builds(Field, st.integers(1, 25), st.just(5), st.binary(min_size=4, max_size=4)),
        st.builds(Field, st.integers(1, 25), st.just(1), st.binary(min_size=8, max_size=8)),
    ),
    lambda inner: st.builds(Field, st.integers(1, 25), st.just(2), st.lists(inner, max_size=4)),
    max_leaves=8,
)  # fmt: skip


@st.composite
def models(draw: st.DrawFn) -> bytes:
    """A ModelProto whose graph has tensors that are nearly right (``onnx.proto``)."""
    tensors = []
    for _ in range(draw(st.integers(0, 3))):
        dims = draw(st.lists(st.integers(0, 3) | st.sampled_from(_BOUNDS), max_size=3))
        fields = [Field(1, 0, size) for size in dims]
        fields.append(Field(2, 0, draw(st.integers(0, 30))))  # data_type
        fields.append(Field(8, 2, draw(_leaves)))  # name
        fields.append(Field(9, 2, draw(st.binary(max_size=30))))  # raw_data
        fields += draw(st.lists(_fields, max_size=3))
        tensors.append(Field(draw(st.sampled_from([5, 5, 5, 15])), 2, fields))
    graph = [Field(2, 2, b"graph"), *tensors, *draw(st.lists(_fields, max_size=3))]
    model = [
        Field(1, 0, draw(st.sampled_from([8, 10, 0, 2**64 - 1]))),  # ir_version
        Field(2, 2, b"grammar"),  # producer_name
        Field(7, 2, graph),
        Field(8, 2, [Field(1, 2, b""), Field(2, 0, 17)]),  # opset_import
        *draw(st.lists(_fields, max_size=3)),
    ]
    return protobuf_forms.dumped(model)


FILES: dict[str, Files] = {
    "zip": zips(),
    "legacy": legacies(),
    "tar": tars(),
    "safetensors": safetensors(),
    "index": indexes(),
    "export": exports(),
    "onnx": models(),
}
