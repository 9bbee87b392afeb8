"""The files that are mutated: small ones of every format, as those who define them write them.

Made anew for each run, by torch, safetensors and onnx; no file is kept. Each is at most
64 KB; together they reach every reader, every kind of node and every layout of a tensor.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import json
import pathlib
import pickle
import re
import struct
import uuid
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import safetensors.torch
import torch
from torch import nn

from tests.checkpoint import torch_files
from tests.fuzz.pickle_forms import named, number, text
from tests.fuzz.tar_forms import tarred
from tests.fuzz.zip_forms import unpacked

LARGEST = 64 << 10


@dataclass(frozen=True)
class Seed:
    """A file to begin with.

    Attributes:
        name: unique; its first word is the reader's, as `Checkpoint.format` has it, or
            ``shards``.
        content: the file.
        beside: files that it refers to, by their names.
        suffix: the ending that it usually has.
    """

    name: str
    content: bytes
    beside: Mapping[str, bytes] = field(default_factory=dict)
    suffix: str = ".pth"

    @property
    def reader(self) -> str:
        return self.name.split()[0]


def seeds() -> list[Seed]:
    """All of them, in one order. A second or two, and some more for the first export."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        np.random.seed(0)
        found = [
            seed
            for make in (
                _zips,
                _other_tensors,
                _legacy,
                _tars,
                _pickles,
                _scripts,
                _exports,
                _tensors,
                _onnx,
                _shards,
            )
            for seed in make()
        ]
    for seed in found:
        assert len(seed.content) <= LARGEST, (seed.name, len(seed.content))
    assert len({seed.name for seed in found}) == len(found)
    return found


# --- torch.save


def saved(value: Any, legacy: bool = False, protocol: int = 2) -> bytes:
    """The file that ``torch.save`` writes of `value`."""
    stream = io.BytesIO()
    # The keys of the legacy form are addresses: neither they nor their order shall matter.
    with mock.patch.object(torch.serialization, "sorted", list, create=True):
        torch.save(
            value, stream, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy
        )
    return _renumbered(stream.getvalue()) if legacy else stream.getvalue()


_ADDRESS = re.compile(rb"(?:X(?P<length>[\x0e\x0f])\0\0\0|\x8c\x0e)(?P<key>[1-9][0-9]{13,14})")


def _renumbered(content: bytes) -> bytes:
    """A legacy file with keys that count up instead of addresses."""
    keys: dict[bytes, bytes] = {}

    def numbered(found: re.Match[bytes]) -> bytes:
        key = keys.setdefault(found["key"], b"%014d" % (10**13 + len(keys)))
        return (b"X\x0e\0\0\0" if found["length"] else b"\x8c\x0e") + key

    return _ADDRESS.sub(numbered, content)


def _small(name: str) -> Any:
    """One of `torch_files.CASES`, without tensors that only make its file large."""
    value = torch_files.CASES[name]()
    if isinstance(value, dict):
        for key in (
            "big values",
            "quint4x2",
            "quint4x2 empty",
            "quint2x4 empty",
        ):  # large; never quite filled
            value.pop(key, None)
    return value


def run_of_tensors(count: int = 45) -> dict[str, torch.Tensor]:
    """So many that the recurring run of a tensor's opcodes is read at once."""
    return collections.OrderedDict(
        (f"layer.{number}.weight", torch.ones(2, number % 3 + 1)) for number in range(count)
    )


def objects() -> dict[str, Any]:
    """What stands in checkpoints besides tensors: of the standard library and of numpy."""
    return {
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1, tags=["a", "b"], nested=argparse.Namespace(x=1)),
        "counter": collections.Counter("abca"),
        "default": collections.defaultdict(list, {"a": [1, 2]}),
        "deque": collections.deque([1, 2, 3], maxlen=5),
        "path": pathlib.PurePosixPath("/a/b"),
        "when": datetime.datetime(2024, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc),
        "day": datetime.date(2024, 2, 3),
        "span": datetime.timedelta(days=1, seconds=2),
        "uuid": uuid.UUID(int=7),
        "set": {1, 2, 3},
        "frozen": frozenset({"a"}),
        "array": np.arange(12, dtype=np.float32).reshape(3, 4),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "text array": np.array(["ab", "c"]),
        "objects": np.array([None, "x", 1], dtype=object),
        "record": np.zeros(2, dtype=[("a", "<i4"), ("b", "<f8")]),
        "number": np.float64(1.5),
        "half": np.float16(0.5),
        "masked": np.datetime64("2024-02-03"),
        "dtype": np.dtype("int16"),
        "complex": 1 + 2j,
        "bytes": b"\x00\xff" * 20,
        "long": 2**200,
        "range": range(3),
        "slice": slice(1, 2),
        "type": torch.float16,
        "device": torch.device("cuda:1"),
        "size": torch.Size([2, 3]),
        "generator": np.random.RandomState(0).get_state()[:2],
        "long list": list(range(400)),
        "ünïcode \u202e": "\x1b[31m",
    }


def training() -> dict[str, Any]:
    """A checkpoint of a training, as PyTorch Lightning lays it out."""
    made = torch_files.optimizer_state()
    del made["rng"]
    return {
        **made,
        "pytorch-lightning_version": "2.2.2",
        "global_step": 12,
        "loops": {"fit_loop": {"epoch_progress": {"total": {"completed": 3}}}},
        "callbacks": {
            "ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5)}
        },
        "lr_schedulers": [made["scheduler"]],
        "hyper_parameters": {"lr": 0.1},
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 3},
        "ema_state_dict": {"weight": torch.zeros(2)},
        "history": {"loss": [0.5, 0.25, 0.125], "acc": [0.1, 0.2, 0.3]},
    }


def _zips() -> Iterator[Seed]:
    for name in ("float32", "bfloat16", "complex64", "bool", "uint16", "float8_e4m3fn", "bits8"):
        with torch_files.prototypes():
            yield Seed(f"torch-zip {name}", saved(_small(name)))
    for name in (
        "bare tensor", "quantized", "views", "sparse", "nested", "bits", "metas", "parameters",
        "labelled", "wrappers", "containers", "model state",
    ):  # fmt: skip
        with torch_files.prototypes():
            yield Seed(f"torch-zip {name}", saved(_small(name)))
    for protocol in (3, 4, 5):
        yield Seed(f"torch-zip protocol {protocol}", saved(_mixed(), protocol=protocol))
    yield Seed("torch-zip storages", saved(torch_files.storages()))
    yield Seed("torch-zip model", saved(torch_files.Tied()))
    yield Seed("torch-zip many", saved(run_of_tensors()))
    yield Seed("torch-zip training", saved(training()))
    yield Seed("torch-zip objects", saved(objects()))
    yield Seed("torch-zip random states", saved({"rng": torch.get_rng_state(), "cuda_rng": [1]}))
    with zipfile.ZipFile(io.BytesIO(saved(_mixed()))) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    yield Seed("torch-zip compressed", zipped(entries, zipfile.ZIP_DEFLATED))
    yield Seed("torch-zip big-endian", zipped(entries | {"archive/byteorder": b"big"}))


def zipped(entries: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive with right lengths and checksums."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


class _OnDevice:
    """Saved as torch saves tensors of devices without storages: by a numpy array."""

    def __init__(self, array: Any, dtype: torch.dtype) -> None:
        self.array, self.dtype = array, dtype

    def __reduce__(self) -> Any:
        arguments = (self.array, self.dtype, "xla:0", True)
        return torch._utils._rebuild_device_tensor_from_numpy, arguments


def _other_tensors() -> Iterator[Seed]:
    """Tensors that this torch does not write by itself, or not without more packages."""
    on_device = {
        "float": _OnDevice(np.arange(6, dtype=np.float32).reshape(2, 3), torch.float32),
        "turned": _OnDevice(np.asfortranarray(np.ones((2, 3))), torch.float64),
        "brain": _OnDevice(np.ones(3, dtype=np.float32), torch.bfloat16),
        "large": _OnDevice(np.zeros(9_000, dtype=np.int8), torch.int8),
    }
    yield Seed("torch-zip on a device", saved(on_device))
    # What torch 0.1 made of a tensor, and of a Variable around it.
    storage = b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu")
    storage += number(6) + b"tQ"
    state = b"(" + storage + number(0) + b"K\x02K\x03\x86K\x03K\x01\x86tb"
    tensor = named("torch", "FloatTensor") + b")\x81" + state
    parameter = named("torch.nn.parameter", "Parameter") + b")\x81"
    variable = parameter + b"(" + tensor + b"N}\x88Ntb"
    stream = b"\x80\x02}(" + text("a") + tensor + text("b") + variable + b"u."
    entries = {"archive/data.pkl": stream, "archive/data/0": bytes(range(24))}
    yield Seed("torch-zip old tensors", zipped(entries))
    yield Seed("pickle old tensors", stream, suffix=".pkl")
    # A wrapper of ours in the clothes of torchao's.
    with torch_files.prototypes():
        entries = unpacked(saved(torch_files.wrappers()))
    stream = entries["archive/data.pkl"].replace(b"codes", b"qdata")
    for name in (b"ctests.checkpoint.torch_files\nTwoPart\n", b"ctorch_files\nTwoPart\n"):
        stream = stream.replace(name, b"ctorchao.quantization\nInt8Tensor\n")
    yield Seed("torch-zip torchao", zipped(entries | {"archive/data.pkl": stream}))


def _mixed() -> dict[str, Any]:
    base = torch.arange(6.0).reshape(2, 3)
    return {
        "state_dict": {
            "a.weight": base,
            "a.view": base[1:],
            "b.bias": torch.zeros(2, dtype=torch.int8),
        },
        "epoch": 3,
        "names": ["x", ("y", None, True, 1.5, 2**40)],
        b"raw": b"\x00\x01",
    }


def _legacy() -> Iterator[Seed]:
    for name in ("float32", "quantized", "sparse", "parameters", "model state"):
        with torch_files.prototypes():
            yield Seed(f"torch-legacy {name}", saved(_small(name), legacy=True))
    yield Seed("torch-legacy mixed", saved(_mixed(), legacy=True))
    yield Seed("torch-legacy protocol 4", saved(_mixed(), legacy=True, protocol=4))
    yield Seed("torch-legacy many", saved(run_of_tensors(), legacy=True))
    yield Seed("torch-legacy model", saved(torch_files.Tied(), legacy=True))
    yield Seed("torch-legacy training", saved(training(), legacy=True))


# --- older and barer


def _dumped(value: Any) -> bytes:
    return pickle.dumps(value, protocol=2)


class _TarPickler(pickle._Pickler):
    """Writes a tensor as the number that it has in the archive."""

    def persistent_id(self, obj: Any) -> str | None:
        return str(obj.number) if isinstance(obj, _Numbered) else None


class _Numbered:
    def __init__(self, number: int) -> None:
        self.number = number


def _tars() -> Iterator[Seed]:
    storages = _dumped(2)
    storages += _dumped((7, "cpu", torch.FloatStorage)) + struct.pack("<q6f", 6, *range(6))
    storages += _dumped((8, "cpu", torch.LongStorage)) + struct.pack("<q3q", 3, *range(3))
    tensors = _dumped(3)
    for key, storage, kind, shape, stride, offset in (
        (1, 7, torch.FloatTensor, (2, 3), (3, 1), 0),
        (2, 7, torch.FloatTensor, (2,), (3,), 1),
        (3, 8, torch.LongTensor, (3,), (1,), 0),
    ):
        tensors += _dumped((key, storage, kind)) + struct.pack("<i4x", len(shape))
        tensors += struct.pack(f"<{2 * len(shape)}q", *shape, *stride) + struct.pack("<q", offset)
    stream = io.BytesIO()
    numbered = {"abc"[number - 1]: _Numbered(number) for number in (1, 2, 3)}
    _TarPickler(stream, 2).dump({"epoch": 3, "state": numbered})
    system = _dumped({"protocol_version": 1000, "little_endian": True})
    for name, views in (
        ("plain", []),
        ("views", [(9, 7, 1, 3), (10, 7, 2, 2)]),
    ):
        entries = {
            "sys_info": system,
            "pickle": stream.getvalue(),
            "storages": storages + _dumped(views),
            "tensors": tensors,
        }
        yield Seed(f"torch-tar {name}", tarred(entries))


def _pickles() -> Iterator[Seed]:
    plain = {
        key: value
        for key, value in objects().items()
        if not type(value).__module__.startswith("torch")
    }
    for protocol in range(6):
        yield Seed(f"pickle protocol {protocol}", pickle.dumps(plain, protocol), suffix=".pkl")
    # What opcodes a pickler of today no longer writes.
    old = (
        b"(dp0\nS'int'\np1\nI12\nsS'long'\np2\nL123456L\nsS'true'\nI01\nsVunicode\\u00e9\nF1.5\n"
        b"s(S'a'\nI1\nS'b'\nNd(lp3\nI1\naI2\na(I1\nI2\ntp4\n0(iargparse\nNamespace\np5\n"
        b"(dp6\nS'x'\nI1\nsb0(cargparse\nNamespace\no0g3\n2000g4\n0S'l'\ng3\ns0."
    )
    yield Seed("pickle text opcodes", old, suffix=".pkl")
    yield Seed("pickle of numbers", pickle.dumps(list(range(-300, 300)), 2), suffix=".pkl")


# --- programs


class _Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.register_buffer("scale", torch.full((3,), 2.0))
        self.register_buffer("passing", torch.zeros(3), persistent=False)
        self.table = torch.arange(3.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x) * self.scale + self.passing + self.table + torch.tensor([1.0, 2.0, 3.0])


class _Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = _Inner()
        self.norm = nn.BatchNorm1d(3)
        self.tied = self.inner.fc.weight
        self.turned = nn.Parameter(torch.randn(3, 2).t()[1:], requires_grad=False)
        self.narrow = nn.Parameter(torch.zeros(3, dtype=torch.bfloat16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.inner(x)) * self.turned + self.narrow


def _scripts() -> Iterator[Seed]:
    model = _Outer().eval()
    traced = torch.jit.trace(model, torch.ones(2, 4))
    for name, module, extra in (
        ("traced", traced, {}),
        ("with extra files", torch.jit.trace(_Inner(), torch.ones(2, 4)), {"labels.txt": "cat"}),
    ):
        stream = io.BytesIO()
        torch.jit.save(module, stream, _extra_files=extra)
        # Debug records are most of it, and nothing reads them.
        with zipfile.ZipFile(io.BytesIO(stream.getvalue())) as archive:
            entries = {
                entry: archive.read(entry)
                for entry in archive.namelist()
                if not entry.endswith(".debug_pkl")
            }
        yield Seed(f"torchscript {name}", zipped(entries), suffix=".pt")


def _exports() -> Iterator[Seed]:
    program = torch.export.export(
        _Outer().eval(), (torch.ones(2, 4),), dynamic_shapes={"x": {0: torch.export.Dim("batch")}}
    )
    stream = io.BytesIO()
    torch.export.save(program, stream, extra_files={"labels.txt": "cat"})
    with zipfile.ZipFile(io.BytesIO(stream.getvalue())) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    # Stack traces of the nodes are most of it, and name folders of the machine.
    entries = {
        name: without_traces(data) if name.endswith("models/model.json") else data
        for name, data in entries.items()
    }
    yield Seed("torch-export program", zipped(entries), suffix=".pt2")
    root = next(iter(entries)).split("/")[0]
    model = entries[f"{root}/models/model.json"]
    yield Seed(
        "torch-export old",
        zipped(
            {
                "serialized_exported_program.json": model,
                "serialized_state_dict.pt": saved(dict(program.state_dict)),
                "serialized_constants.pt": saved(dict(program.constants)),
                "serialized_example_inputs.pt": saved(((torch.ones(2, 4),), {})),
                "version": b"8.8",
            }
        ),
        suffix=".pt2",
    )
    between = {
        name: data
        for name, data in entries.items()
        if not name.startswith((f"{root}/data/weights/", f"{root}/data/constants/"))
    }
    between[f"{root}/data/weights/model.pt"] = saved(dict(program.state_dict))
    between[f"{root}/data/constants/model.pt"] = saved(dict(program.constants))
    between[f"{root}/data/aotinductor/model/kernel.py"] = b"x = 1\n"
    yield Seed("torch-export between", zipped(between), suffix=".pt2")


def without_traces(model: bytes) -> bytes:
    """The JSON of an exported program, without what its nodes tell of source files."""
    document = json.loads(model)
    stack = [document]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            if isinstance(found.get("metadata"), dict):
                found["metadata"] = {
                    key: value
                    for key, value in found["metadata"].items()
                    if key not in ("stack_trace", "source_fn_stack", "from_node")
                }
            stack.extend(found.values())
        elif isinstance(found, list):
            stack.extend(found)
    return json.dumps(document).encode()


# --- without pickles


_SAFETENSORS_BITS = {
    "F64": 64, "U16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F4": 4, "C64": 64, "I64": 64, "BF16": 16,
}  # fmt: skip


def safetensors_file(header: Any, data: bytes) -> bytes:
    """A file whose length of the header is right."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _tensors() -> Iterator[Seed]:
    tensors = {
        "a.weight": torch.arange(6.0).reshape(2, 3),
        "a.bias": torch.zeros(3, dtype=torch.bfloat16),
        "b": torch.ones(4, dtype=torch.int8),
        "empty": torch.zeros(0, 3),
        "flags": torch.tensor([True, False]),
        "scalar": torch.tensor(1.5, dtype=torch.float64),
    }
    plain = safetensors.torch.save(tensors)
    yield Seed("safetensors plain", plain, suffix=".safetensors")
    described = {
        "__metadata__": {"format": "pt", "epoch": "3", "config": json.dumps({"lr": 0.1})},
        "w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
    }
    yield Seed("safetensors metadata", safetensors_file(described, bytes(8)), suffix=".safetensors")
    kinds: dict[str, Any] = {}
    end = 0
    for name, bits in _SAFETENSORS_BITS.items():
        nbytes = 8 * bits // 8
        kinds[name] = {"dtype": name, "shape": [4, 2], "data_offsets": [end, end + nbytes]}
        end += nbytes
    yield Seed("safetensors kinds", safetensors_file(kinds, bytes(end)), suffix=".safetensors")
    quantized = {
        "w": torch.zeros(4, 4, dtype=torch.int8),
        "w_scale": torch.ones(4),
        "_packed": torch.zeros(8, dtype=torch.uint8),
    }
    yield Seed("safetensors quantized", safetensors.torch.save(quantized), suffix=".safetensors")


def _shards() -> Iterator[Seed]:
    first = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
    second = {"b.weight": torch.zeros(3, dtype=torch.int8)}
    for kind, write in (
        ("safetensors", safetensors.torch.save),
        ("bin", saved),
    ):
        names = [f"model-0000{number}-of-00002.{kind}" for number in (1, 2)]
        mapping = dict.fromkeys(first, names[0]) | dict.fromkeys(second, names[1])
        index = {"metadata": {"total_size": 35}, "weight_map": mapping}
        yield Seed(
            f"shards {kind}",
            json.dumps(index, indent=2).encode(),
            dict(zip(names, (write(first), write(second)), strict=True)),
            suffix=f".{kind}.index.json",
        )


def _onnx() -> Iterator[Seed]:
    from onnx import TensorProto, helper

    def floats(name: str, *dims: int, kind: int = TensorProto.FLOAT, raw: bool = True) -> Any:
        count = int(np.prod(dims))
        if raw:
            width = {TensorProto.FLOAT: 4, TensorProto.INT8: 1, TensorProto.BFLOAT16: 2}[kind]
            return helper.make_tensor(name, kind, dims, bytes(range(count * width)), raw=True)
        return helper.make_tensor(name, kind, dims, [1] * count)

    def model(tensors: list[Any], nodes: list[Any] = [], **facts: Any) -> bytes:  # noqa: B006
        sparse = facts.pop("sparse", [])
        functions = facts.pop("functions", [])
        graph = helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
            tensors,
            sparse_initializer=sparse,
            doc_string="a graph",
        )
        made = helper.make_model(graph, producer_name="fuzz", functions=functions, **facts)
        helper.set_model_props(made, {"epoch": "3"})
        return bytes(made.SerializeToString())

    plain = [floats("fc.weight", 2, 3), floats("fc.bias", 2, raw=False)]
    gemm = helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], name="/fc/Gemm", transB=1)
    yield Seed("onnx plain", model(plain, [gemm]), suffix=".onnx")
    kinds = [
        floats("int32", 3, kind=TensorProto.INT32, raw=False),
        floats("int64", 3, kind=TensorProto.INT64, raw=False),
        floats("half", 3, kind=TensorProto.FLOAT16, raw=False),
        floats("double", 3, kind=TensorProto.DOUBLE, raw=False),
        floats("bool", 3, kind=TensorProto.BOOL, raw=False),
        floats("uint64", 3, kind=TensorProto.UINT64, raw=False),
        floats("uint8", 3, kind=TensorProto.UINT8, raw=False),
        floats("int4", 3, kind=TensorProto.INT4, raw=False),
        floats("complex", 2, kind=TensorProto.COMPLEX64, raw=False),
        floats("brain", 3, kind=TensorProto.BFLOAT16),
        helper.make_tensor("text", TensorProto.STRING, [2], [b"a", b"b"]),
    ]
    yield Seed("onnx kinds", model(kinds), suffix=".onnx")
    outside = floats("outside", 2, 3)
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "4"), ("length", "24")):
        entry = outside.external_data.add()
        entry.key, entry.value = key, value
    yield Seed("onnx external", model([outside]), {"weights.bin": bytes(range(40))}, suffix=".onnx")
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("sparse", TensorProto.FLOAT, [2], [1.0, 2.0]),
        helper.make_tensor("", TensorProto.INT64, [2], [1, 5]),
        [2, 3],
    )
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=floats("inner", 2))], "branch", [], [],
        [floats("branch.weight", 1)],
    )  # fmt: skip
    nodes = [
        helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch),
        helper.make_node("Twice", ["x"], ["z"], domain="local"),
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q_weight", "scale", "zero"], ["w"], axis=0),
        helper.make_node("DequantizeLinear", ["q_blocks", "scales"], ["v"], axis=1, block_size=2),
    ]
    function = helper.make_function(
        "local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    parts = [
        floats("q_weight", 2, 3, kind=TensorProto.INT8),
        floats("q_blocks", 2, 4, kind=TensorProto.INT8),
        floats("scales", 2, 2, raw=False),
        floats("scale", 2, raw=False),
        floats("zero", 2, kind=TensorProto.INT8),
    ]
    yield Seed(
        "onnx graph", model(parts, nodes, sparse=[sparse], functions=[function]), suffix=".onnx"
    )
