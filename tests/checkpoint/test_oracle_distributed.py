"""A DTensor is a wrapper: the checkpoint has it and its local tensor, not its mesh's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch_files import prototypes, write
from torch_oracle import disagreements, load

from inspector_app.checkpoint import open_checkpoint

tensor = pytest.importorskip("torch.distributed.tensor")


@pytest.fixture
def mesh() -> Iterator[object]:
    """A process group of this process alone."""
    with prototypes():
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        try:
            yield tensor.DeviceMesh("cpu", [0])
        finally:
            dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="torch was built without distributed")
def test_dtensor(mesh: object, tmp_path: Path) -> None:
    with prototypes():
        sharded = tensor.distribute_tensor(torch.rand(4, 3), mesh, [tensor.Shard(0)])
        replicated = tensor.distribute_tensor(torch.rand(2, 2), mesh, [tensor.Replicate()])
        value = {"w": sharded, "p": nn.Parameter(replicated), "plain": torch.rand(2)}
        path = write(value, tmp_path / "distributed.pt")
        loaded = load(path, weights_only=False, record_locations=False)
        checkpoint = open_checkpoint(path)
        assert disagreements(checkpoint, loaded, path) == []
    assert [tensor.path for tensor in checkpoint.tensors] == [
        ("w",),
        ("w", "_local_tensor"),
        ("p",),
        ("p", "_local_tensor"),
        ("plain",),
    ]
    assert checkpoint.tensors[0].details.python_type == "torch.distributed.tensor.DTensor"
    assert checkpoint.problems == []
