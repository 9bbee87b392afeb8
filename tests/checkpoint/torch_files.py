"""Objects of every dtype and layout that torch can save, and the ways to save them.

`CASES` has functions that make an object each, `write` saves one in any form.
"""

from __future__ import annotations

import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.utils import _pytree as pytree

Maker = Callable[[], Any]

# torch.storage._dtype_to_storage_type_map has these; all others are saved untyped, which
# the legacy format writes but torch cannot load again.
TYPED = (
    "float64 float32 float16 bfloat16 complex128 complex64 int64 int32 int16 int8 uint8 bool"
).split()
UNTYPED = (
    "complex32 uint16 uint32 uint64 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz "
    "float8_e8m0fnu float4_e2m1fn_x2 bits8 bits16 bits1x8 bits2x4 bits4x2"
).split()
QUANTIZED = "qint8 quint8 qint32 quint4x2 quint2x4".split()
LAYOUTS = ("coo", "csr", "csc", "bsr", "bsc")


@contextmanager
def prototypes() -> Iterator[None]:
    """Torch warns of what is experimental, a prototype, or about to go: that is the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def write(
    value: Any,
    path: Path,
    *,
    legacy: bool = False,
    protocol: int = 2,
    byteorder: str = "little",
    location: str = "",
) -> Path:
    """Save `value`; `location` is what the file says instead of ``cpu``."""
    real = torch.serialization.location_tag
    told = mock.patch.object(torch.serialization, "location_tag", lambda s: location or real(s))
    with prototypes(), mock.patch("sys.byteorder", byteorder), told:
        torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    return path


def filled(dtype: str, *shape: int) -> torch.Tensor:
    """A tensor with bytes that differ from each other."""
    kind = getattr(torch, dtype)
    count = kind.itemsize
    for size in shape:
        count *= size
    raw = torch.arange(count, dtype=torch.int64) % 251
    if dtype == "bool":
        raw = raw % 2
    return raw.to(torch.uint8).view(kind).reshape(shape)


def per_channel(dtype: str) -> torch.Tensor:
    scales = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    zeros = torch.tensor([0, 1, 2])
    return torch.quantize_per_channel(torch.randn(4, 3), scales, zeros, 1, getattr(torch, dtype))


def quantized() -> dict[str, torch.Tensor]:
    """Per tensor and per channel, and views of them."""
    cases = {}
    for dtype in ("qint8", "quint8", "qint32"):
        whole = torch.quantize_per_tensor(torch.randn(4, 6), 0.25, 3, getattr(torch, dtype))
        cases[f"{dtype} per tensor"] = whole
        cases[f"{dtype} view"] = whole[1:, ::2]
        cases[f"{dtype} per channel"] = per_channel(dtype)
    # Four bits an element: 5 × 7 of them do not fill their last byte.
    cases["quint4x2"] = torch.quantize_per_channel(
        torch.rand(5, 7),
        torch.full((5,), 0.1),
        torch.zeros(5),
        0,
        torch.quint4x2,
    )
    for dtype in ("quint4x2", "quint2x4"):
        cases[f"{dtype} empty"] = torch._empty_affine_quantized(
            [9], scale=0.5, zero_point=1, dtype=getattr(torch, dtype)
        )
    return cases


def views() -> dict[str, Any]:
    """Strides, offsets and sharing."""
    base = torch.arange(120, dtype=torch.float32).reshape(2, 3, 4, 5)
    flat = torch.arange(10)
    return {
        "contiguous": base,
        "transposed": base.permute(3, 1, 0, 2),
        "channels last": base.clone().contiguous(memory_format=torch.channels_last),
        "step": base[..., ::2],
        "row": base[1, 2],
        "element": base[1, 2, 3, 4],
        "expanded": torch.ones(3, 1).expand(3, 1000),
        "expanded scalar": torch.tensor(7.0).expand(2, 3),
        "overlapping": flat.as_strided((3, 4), (1, 2), 1),
        "tail": flat[7:],
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0),
        "zero-sized": torch.empty(3, 0, 5),
        "empty view": flat[10:],
        "many dims": torch.zeros([1] * 40),
        "size one strides": torch.zeros(4, 4).as_strided((1, 4), (999, 1)),
        "bits of a float": base.clone().view(torch.int32),
        "same again": base,
        "detached": base.detach(),
        "big values": torch.zeros(300, 300),
    }


def sparse(values: str = "float32") -> dict[str, torch.Tensor]:
    dense = torch.zeros(4, 6)
    dense[0, 1], dense[2, 3], dense[3, 0] = 1, 2, 3
    with prototypes():
        made = {
            "coo": dense.to_sparse(),
            "csr": dense.to_sparse_csr(),
            "csc": dense.to_sparse_csc(),
            "bsr": dense.to_sparse_bsr((2, 3)),
            "bsc": dense.to_sparse_bsc((2, 3)),
        }
        uncoalesced = torch.sparse_coo_tensor([[1, 1], [2, 2]], [1.0, 2.0], (3, 3))
        hybrid = torch.sparse_coo_tensor([[0, 2]], torch.rand(2, 5), (4, 5))
        made |= {"coo uncoalesced": uncoalesced, "coo hybrid": hybrid}
        made |= {"coo empty": torch.sparse_coo_tensor(size=(3, 4))}
        made |= {"csr batch": torch.stack([dense, dense]).to_sparse_csr()}
        made |= {
            "csr ints": torch.sparse_csr_tensor(
                torch.tensor([0, 1, 2], dtype=torch.int32),
                torch.tensor([0, 1], dtype=torch.int32),
                filled(values, 2),
                (2, 2),
            )
        }
    return made


def nested() -> dict[str, torch.Tensor]:
    parts = [torch.rand(2, 5), torch.rand(3, 5)]
    with prototypes():
        return {
            "strided": torch.nested.nested_tensor(parts),
            "even": torch.nested.nested_tensor([torch.rand(2, 3), torch.rand(2, 3)]),
            "jagged": torch.nested.nested_tensor(parts, layout=torch.jagged),
        }


def bits() -> dict[str, torch.Tensor]:
    """Lazy conjugates and negatives."""
    number = torch.view_as_complex(torch.rand(3, 4, 2))
    return {
        "plain": number,
        "conj": number.conj(),
        "conj transposed": number.mH,
        "neg": number.clone().conj().imag,
        "real": number.clone().real,
    }


def metas() -> dict[str, torch.Tensor]:
    return {
        "meta": torch.empty(3, 4, device="meta"),
        "meta strided": torch.empty(4, 3, device="meta", dtype=torch.float16).t(),
        "meta parameter": nn.Parameter(torch.empty(5, device="meta")),
    }


def parameters() -> dict[str, torch.Tensor]:
    weight = nn.Parameter(torch.rand(4, 3))
    tagged = nn.Parameter(torch.rand(2))
    tagged.tensor_parallel = True
    tagged.partition = {"dim": 0, "names": ["a", "b"]}
    return {
        "parameter": weight,
        "tied": weight,
        "frozen": nn.Parameter(torch.rand(3), requires_grad=False),
        "view of it": weight.data[1:],
        "wants gradients": torch.rand(3, requires_grad=True),
        "with attributes": tagged,
        "buffer": nn.Buffer(torch.rand(2)),
    }


class Labelled(torch.Tensor):
    """A subclass with attributes, saved by `_rebuild_from_type_v2`."""


def labelled() -> Labelled:
    tensor = torch.rand(3, 4).as_subclass(Labelled)
    tensor.label = "left"
    tensor.extra = torch.arange(3)
    return tensor


class TwoPart(torch.Tensor):
    """A wrapper without a storage: what it shows is made of two inner tensors."""

    @staticmethod
    def __new__(cls, codes: torch.Tensor, scale: torch.Tensor) -> TwoPart:
        return torch.Tensor._make_wrapper_subclass(
            cls, codes.shape, dtype=scale.dtype, device=codes.device, requires_grad=False
        )

    def __init__(self, codes: torch.Tensor, scale: torch.Tensor) -> None:
        self.codes = codes
        self.scale = scale

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["codes", "scale"], None

    @staticmethod
    def __tensor_unflatten__(parts: dict[str, torch.Tensor], *_: Any) -> TwoPart:
        return TwoPart(parts["codes"], parts["scale"])

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        def rebuilt(part: torch.Tensor) -> torch.Tensor:
            return function(part, *args[1:], **(kwargs or {}))

        if function is torch.ops.aten.detach.default:
            return cls(rebuilt(args[0].codes), rebuilt(args[0].scale))
        return pytree.tree_map_only(torch.Tensor, lambda t: t, function(*args, **(kwargs or {})))


def wrappers() -> dict[str, Any]:
    inner = TwoPart(torch.arange(12, dtype=torch.int8).reshape(3, 4), torch.rand(3))
    return {"wrapped": inner, "parameter of it": nn.Parameter(inner, requires_grad=False)}


def containers() -> dict[str, Any]:
    tensor = torch.rand(2, 2)
    deep: Any = torch.rand(1)
    for index in range(60):
        deep = {f"level {index}": [deep]}
    return {
        "list": [tensor, [tensor[0]], (), [], {}],
        "tuple": (torch.rand(1), torch.rand(2), torch.rand(3), torch.rand(4)),
        "ordered": OrderedDict(a=torch.rand(1), b=tensor),
        "counter": Counter("abracadabra"),
        "set": {1, 2, 3},
        "size": torch.rand(3, 4).size(),
        "numbers": [0, -1, 255, 256, 65536, -(2**31), 2**63, 1.5, float("nan"), 2 + 3j, True, None],
        "strings": ["", "ünïcode ✓", "x" * 300, b"bytes", bytearray(b"array")],
        0: torch.rand(1),
        -7: torch.rand(2),
        1.5: torch.rand(3),
        True: "true",
        (1, "a"): torch.rand(4),
        None: torch.rand(5),
        b"raw": torch.rand(6),
        "a/b.c": {"": tensor, "é": tensor},
        "dtype": torch.float8_e5m2,
        "device": torch.device("cuda:1"),
        "deep": deep,
    }


def optimizer_state() -> dict[str, Any]:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    model(torch.rand(2, 1, 6, 6)).sum().backward()
    optimizer.step()
    scheduler.step()
    return {
        "epoch": 3,
        "loss": 0.25,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "rng": torch.get_rng_state(),
    }


class Tied(nn.Module):
    """A model with everything that a state_dict leaves out or names twice."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embedding.weight
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.ReLU())])
        self.norms = nn.ModuleDict({"a": nn.BatchNorm1d(4), "b": nn.LayerNorm(4)})
        self.scales = nn.ParameterList([torch.rand(2), torch.rand(3)])
        self.register_buffer("kept", torch.arange(4))
        self.register_buffer("passing", torch.rand(4), persistent=False)
        self.register_buffer("absent", None)
        self.register_parameter("no_bias", None)
        self.config = {"hidden": 4, "names": ["x", "y"]}
        self.cache = torch.rand(3)
        self.twice = self.layers[0]


def storages() -> dict[str, Any]:
    """Storages outside any tensor, and one that a tensor shares."""
    tensor = torch.arange(6, dtype=torch.int16)
    return {"typed": tensor.storage(), "tensor": tensor[2:]}


CASES: dict[str, Maker] = {
    **{
        name: (lambda name=name: {"t": filled(name, 3, 4), "view": filled(name, 4, 6)[1:, ::2]})
        for name in (*TYPED, *UNTYPED)
    },
    "bare tensor": lambda: torch.arange(5, dtype=torch.int16),
    "quantized": quantized,
    "views": views,
    "sparse": sparse,
    "nested": nested,
    "bits": bits,
    "metas": metas,
    "parameters": parameters,
    "labelled": lambda: {"x": labelled(), "after": torch.rand(2)},
    "wrappers": wrappers,
    "containers": containers,
    "optimizer": optimizer_state,
    "model state": lambda: Tied().state_dict(),
}
"""Each is a function that makes the object to save."""

# Classes that torch.load(weights_only=True) must be told about.
SAFE_GLOBALS = [Labelled, TwoPart, nn.Buffer]
