"""What is read agrees with torch, for every dtype, layout, container and form of file."""

from __future__ import annotations

import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch_files import (
    CASES,
    LAYOUTS,
    QUANTIZED,
    TYPED,
    UNTYPED,
    Tied,
    optimizer_state,
    prototypes,
    quantized,
    sparse,
    storages,
    write,
)
from torch_oracle import Loaded, disagreements, facts_of, load, tensors_of

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.dtypes import DTYPES, STORAGE_CLASSES
from inspector_app.checkpoint.model import Kind

# Torch writes these in the legacy form and then cannot load them: it asks UntypedStorage
# for a dtype, and reads a nested tensor's sizes before their bytes have come.
TORCH_CANNOT_LOAD_LEGACY = {*UNTYPED, "nested"}


def made(case: str) -> Any:
    torch.manual_seed(7)
    with prototypes():
        return CASES[case]()


def loaded_by_torch(case: str, path: Path) -> Loaded:
    return load(path, record_locations=case != "wrappers")


def assert_agrees(path: Path, loaded: Loaded, form: str) -> None:
    checkpoint = open_checkpoint(path)
    assert checkpoint.format == form
    assert disagreements(checkpoint, loaded, path) == []
    assert checkpoint.problems == []


@pytest.mark.parametrize("case", CASES)
def test_zip(case: str, tmp_path: Path) -> None:
    path = write(made(case), tmp_path / "file.pt")
    assert_agrees(path, loaded_by_torch(case, path), "torch-zip")


@pytest.mark.parametrize("case", CASES)
def test_legacy(case: str, tmp_path: Path) -> None:
    value = made(case)
    path = write(value, tmp_path / "file.pt", legacy=True)
    if case in TORCH_CANNOT_LOAD_LEGACY:
        with pytest.raises((AttributeError, RuntimeError)):
            load(path)
        loaded = Loaded(value, {}, [])
    else:
        loaded = loaded_by_torch(case, path)
    assert_agrees(path, loaded, "torch-legacy")


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("case", ["views", "containers", "optimizer", "quantized", "parameters"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_protocol(case: str, protocol: int, legacy: bool, tmp_path: Path) -> None:
    path = write(made(case), tmp_path / "file.pt", protocol=protocol, legacy=legacy)
    # weights_only knows the opcodes of protocol 2 alone.
    loaded = load(path, weights_only=False)
    assert_agrees(path, loaded, "torch-legacy" if legacy else "torch-zip")


@pytest.mark.parametrize("location", ["cuda:0", "cuda:3", "mps", "hpu"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_devices(location: str, legacy: bool, tmp_path: Path) -> None:
    value = {"weight": torch.rand(2, 3), "shared": torch.rand(5)[2:]}
    path = write(value, tmp_path / "file.pt", location=location, legacy=legacy)
    loaded = load(path)
    assert set(loaded.locations.values()) == {location}
    assert_agrees(path, loaded, "torch-legacy" if legacy else "torch-zip")


@pytest.mark.parametrize("case", ["float32", "int16", "float8_e5m2", "complex64", "views"])
def test_big_endian(case: str, tmp_path: Path) -> None:
    path = write(made(case), tmp_path / "file.pt", byteorder="big")
    loaded = load(path)
    assert_agrees(path, loaded, "torch-zip")
    assert all(tensor.details.big_endian for tensor in open_checkpoint(path).tensors)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_storages_outside_tensors(legacy: bool, tmp_path: Path) -> None:
    path = write(storages(), tmp_path / "file.pt", legacy=legacy)
    checkpoint = open_checkpoint(path)
    typed = checkpoint.find(["typed"])
    assert typed is not None
    assert typed.kind == Kind.STORAGE
    assert checkpoint.tensors[0].storage is typed.value
    assert disagreements(checkpoint, load(path), path) == []


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("key", ["", "nested"])
def test_whole_module(legacy: bool, key: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = Tied()
    path = write({key: model} if key else model, tmp_path / "model.pt", legacy=legacy)
    with pytest.raises(Exception, match="Weights only load failed"):
        load(path)
    checkpoint = open_checkpoint(path)
    assert disagreements(checkpoint, load(path, weights_only=False), path) == []
    node = checkpoint.find([key] if key else [])
    assert node is not None
    assert node.kind == Kind.MODULE
    assert node.type_name.endswith("Tied")
    assert [entry.name for entry in checkpoint.globals if entry.name.endswith(".Tied")]


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.MultiheadAttention(8, 2),
        lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
        lambda: nn.TransformerEncoderLayer(8, 2, 16),
        lambda: nn.DataParallel(nn.Linear(2, 2)),
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)).state_dict(),
        lambda: nn.Sequential(OrderedDict(a=nn.Conv2d(1, 2, 3), b=nn.BatchNorm2d(2))),
        lambda: nn.ParameterDict({"x": torch.rand(2), "y": torch.rand(3)}),
        nn.Sequential,
        lambda: nn.Embedding(5, 2, padding_idx=0).half(),
    ],
)
def test_modules_of_torch(make: Any, tmp_path: Path) -> None:
    path = write(make(), tmp_path / "model.pt")
    assert_agrees(path, load(path, weights_only=False), "torch-zip")


@pytest.mark.parametrize(
    "optimizer", ["SGD", "Adam", "Adagrad", "LBFGS", "RMSprop", "NAdam", "Rprop", "ASGD"]
)
def test_optimizers(optimizer: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    steps = getattr(torch.optim, optimizer)(model.parameters(), lr=0.1)

    def closure() -> torch.Tensor:
        steps.zero_grad()
        loss = model(torch.ones(4, 3)).square().sum()
        loss.backward()
        return loss

    steps.step(closure)
    path = write(steps.state_dict(), tmp_path / "optimizer.pt")
    assert_agrees(path, load(path), "torch-zip")


def test_every_dtype_is_generated() -> None:
    """A dtype that a new torch brings fails here until it is among the cases."""
    names = {str(kind)[6:] for kind in vars(torch).values() if isinstance(kind, torch.dtype)}
    shells = {f"{sign}int{width}" for sign in ("", "u") for width in range(1, 8)}
    assert names - shells == {*TYPED, *UNTYPED, *QUANTIZED}
    assert names <= DTYPES.keys()
    with prototypes():
        assert {facts_of(tensor)["dtype"] for tensor in quantized().values()} == {*QUANTIZED}
        layouts = {facts_of(tensor)["layout"] for tensor in sparse().values()}
    assert layouts == {f"sparse_{name}" for name in LAYOUTS}


def test_dtype_table_is_that_of_torch() -> None:
    for name, dtype in DTYPES.items():
        kind = getattr(torch, name, None)
        if kind is not None:
            assert dtype.itemsize == kind.itemsize, name
    classes = torch.storage._storage_type_to_dtype_map()
    assert {name: str(kind)[6:] for name, kind in classes.items()} == STORAGE_CLASSES


def test_training_checkpoint_of_many_tensors(tmp_path: Path) -> None:
    """Enough of them for every form of memo index and for the recurring run of opcodes."""
    base = torch.arange(64, dtype=torch.float32)
    value = {
        "step": 12,
        "model": {f"layers.{i}.weight": torch.full((3, 2), i) for i in range(700)},
        "views": [base[i % 60 :][: i % 5] for i in range(300)],
        "half": {f"h{i}": torch.ones(i % 4, 2).half() for i in range(100)},
        "optimizer": optimizer_state(),
        "transposed": [torch.rand(2, 3, 4).permute(2, 0, 1) for _ in range(50)],
        "frozen": [nn.Parameter(torch.rand(2), requires_grad=i % 2 == 0) for i in range(50)],
    }
    for protocol in (2, 4):
        path = write(value, tmp_path / f"{protocol}.pt", protocol=protocol)
        assert_agrees(path, load(path, weights_only=protocol == 2), "torch-zip")


KEYS = st.one_of(
    st.text(max_size=8),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.floats(allow_nan=False),
    st.none(),
    st.binary(max_size=4),
)
SCALARS = st.one_of(
    KEYS, st.floats(), st.complex_numbers(), st.text(alphabet=st.characters(), max_size=400)
)


@st.composite
def tensors(draw: st.DrawFn, pool: list[torch.Tensor]) -> torch.Tensor:
    """A random view of a new storage or of one that an earlier tensor has."""
    if pool and draw(st.booleans()):
        base = draw(st.sampled_from(pool))
    else:
        dtype = draw(st.sampled_from([*TYPED, "uint16", "float8_e4m3fn"]))
        base = torch.zeros(draw(st.integers(0, 40)), dtype=getattr(torch, dtype))
        pool.append(base)
    sizes, strides, room = [], [], base.numel()
    offset = draw(st.integers(0, room))
    room -= offset
    for _ in range(draw(st.integers(0, 3)) if room else 0):
        stride = draw(st.integers(0, 4))
        most = (room - 1) // stride + 1 if stride else 3
        sizes.append(draw(st.integers(0, min(most, 5))))
        strides.append(stride)
        room -= max(sizes[-1] - 1, 0) * stride
    if not base.numel() or offset == base.numel():
        return base[:0]
    view = base.as_strided(sizes, strides, offset)
    if base.is_floating_point() and base.dtype.itemsize > 1:
        wrap = draw(st.sampled_from(["no", "grad", "parameter"]))
        if wrap == "grad":
            view = view.detach().requires_grad_(draw(st.booleans()))
        elif wrap == "parameter":
            view = nn.Parameter(view.detach(), requires_grad=draw(st.booleans()))
    return view


@st.composite
def objects(draw: st.DrawFn) -> Any:
    """Containers in containers, with tensors at the leaves."""
    pool: list[torch.Tensor] = []
    leaves = st.one_of(SCALARS, tensors(pool), tensors(pool))
    return draw(
        st.recursive(
            leaves,
            lambda inner: st.one_of(
                st.lists(inner, max_size=5),
                st.lists(inner, max_size=5).map(tuple),
                st.dictionaries(KEYS, inner, max_size=5),
                st.dictionaries(KEYS, inner, max_size=5).map(OrderedDict),
            ),
            max_leaves=25,
        )
    )


@given(
    value=objects(),
    legacy=st.booleans(),
    protocol=st.sampled_from([2, 2, 3, 4, 5]),
)
def test_random_objects(
    value: Any, legacy: bool, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.pt"
    write(value, path, legacy=legacy, protocol=protocol)
    checkpoint = open_checkpoint(path)
    untyped = any(facts_of(tensor)["dtype"] in UNTYPED for _, tensor in tensors_of(value))
    loaded = Loaded(value, {}, []) if legacy and untyped else load(path, weights_only=False)
    # Keys of different types that are written alike (1 and "1" are not; None and "None" are)
    # may give one path to two tensors; then only their number is compared.
    paths = [path for path, _ in tensors_of(loaded.value)]
    if len(set(paths)) == len(paths):
        assert disagreements(checkpoint, loaded, path) == []
    assert len(checkpoint.tensors) == len(paths)


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (b"3\n", None),
        (b"1", None),
        (b"10", None),
        (b" 3 and more", None),
        (b"0\n", "bad-version"),
        (b"11\n", "bad-version"),
        (b"999999999999999999999999", "bad-version"),
        (b"three", "bad-version"),
        (b"", "bad-version"),
        (None, "missing-record"),
    ],
)
def test_versions_that_torch_refuses(
    tmp_path: Path, version: bytes | None, code: str | None
) -> None:
    """Written anew by zipfile, with the version record changed or left out."""
    torch.save({"w": torch.ones(3)}, tmp_path / "whole.pth")
    path = tmp_path / "changed.pth"
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole, zipfile.ZipFile(path, "w") as changed:
        for name in whole.namelist():
            data = version if name.endswith("/version") else whole.read(name)
            if data is not None:
                changed.writestr(name, data)
    problems = [problem.code for problem in open_checkpoint(path).problems]
    if code is None:
        assert not problems
        torch.load(path)
        return
    assert problems == [code]
    with pytest.raises((RuntimeError, IndexError)):
        torch.load(path)
