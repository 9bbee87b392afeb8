"""Views of storages in legacy streams, which torch wrote until version 0.2, against torch."""

from __future__ import annotations

import io
import pickle
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._utils import _rebuild_tensor_v2

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.values import ValueReader

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": sys.byteorder == "little", "type_sizes": {}}


class View:
    """A tensor whose persistent id has view metadata.

    Args:
        view: ``(key, offset, size)`` in elements of the storage, or what stands there.
    """

    def __init__(self, view: object, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.view, self.shape, self.stride = view, shape, stride

    def __reduce__(self) -> tuple[object, ...]:
        arguments = (self, 0, self.shape, self.stride, False, OrderedDict())
        return _rebuild_tensor_v2, arguments


class _Pickler(pickle.Pickler):
    """Each `View` is met twice: as the tensor, and as its own storage."""

    def __init__(self, file: io.BytesIO, elements: int) -> None:
        super().__init__(file, protocol=2)
        self._elements = elements
        self._open: set[int] = set()

    def persistent_id(self, value: object) -> Any:
        if not isinstance(value, View):
            return None
        if id(value) not in self._open:
            self._open.add(id(value))
            return None
        return ("storage", torch.FloatStorage, "7", "cpu", self._elements, value.view)


def stream(held: object, values: torch.Tensor) -> bytes:
    """A legacy stream whose tensors view one storage, which has `values`."""
    file = io.BytesIO()
    for part in (MAGIC, 1001, SYSTEM):
        pickle.dump(part, file, protocol=2)
    _Pickler(file, len(values)).dump(held)
    pickle.dump(["7"], file, protocol=2)
    file.write(struct.pack("<q", len(values)) + values.numpy().tobytes())
    return file.getvalue()


VALUES = torch.arange(12, dtype=torch.float32)


def test_views_lie_where_torch_finds_them(tmp_path: Path) -> None:
    views = {
        "all": View(None, (3, 4), (4, 1)),
        "part": View(("a", 2, 6), (2, 3), (3, 1)),
        "again": View(("a", 2, 6), (3, 2), (1, 3)),
        "last": View(("b", 11, 1), (1,), (1,)),
        "none": View(("c", 12, 0), (0, 2), (2, 1)),
    }
    path = tmp_path / "views.pth"
    path.write_bytes(stream(views, VALUES))
    expected = torch.load(path, weights_only=True)
    checkpoint = open_checkpoint(path)
    assert not checkpoint.problems
    with ValueReader(checkpoint) as reader:
        for tensor in checkpoint.tensors:
            whole = [slice(None)] * len(tensor.shape)
            read = torch.from_numpy(reader.read(tensor, whole).copy())
            assert torch.equal(read, expected[str(tensor.key)]), tensor.key
    part, again = (checkpoint.find((name,)).storage for name in ("part", "again"))
    assert part is again
    assert part.nbytes == 24


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (("a", 2), "is not (key, offset, size)"),
        ("a", "is not (key, offset, size)"),
        (("a", -1, 2), "has no possible place"),
        (("a", 1, -2), "has no possible place"),
        (("a", 1.5, 2), "has no possible place"),
        (("a", 8, 5), "reaches beyond it"),
        (("a", 1 << 70, 1), "reaches beyond it"),
    ],
)
def test_a_view_that_lies_is_named(tmp_path: Path, view: object, said: str) -> None:
    path = tmp_path / "lies.pth"
    path.write_bytes(stream({"w": View(view, (1,), (1,)), "epoch": 3}, VALUES))
    checkpoint = open_checkpoint(path)
    assert checkpoint.find(("epoch",)).value == 3
    problems = {each.where: each for each in checkpoint.problems}
    assert problems["w"].code == "bad-tensor"
    assert said in problems["w"].message
