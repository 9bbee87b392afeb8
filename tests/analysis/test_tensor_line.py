"""The lines that load one tensor, for the places and layouts where that is not a subscript."""

import argparse
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from inspector_app.analysis.loading_code import tensor_line
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import Kind, TensorInfo


def run(code: str) -> Any:
    namespace: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code, "<tensor line>", "exec"), namespace)
    return namespace["tensor"]


def nodes(value: object, path: Path) -> tuple[Any, dict[str, TensorInfo]]:
    """The checkpoint of a saved value, and every tensor of its tree by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, path)
    checkpoint = open_checkpoint(path)
    found = {node.name: node for node in checkpoint.root.walk() if isinstance(node, TensorInfo)}
    return checkpoint, found


def sparse(layout: str) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dense = torch.eye(4)
        if layout == "coo":
            return dense.to_sparse()
        convert = getattr(dense, f"to_sparse_{layout}")
        return convert((2, 2)) if layout.startswith("b") else convert()


PARTS = {
    "coo": ["_indices", "_values"],
    "csr": ["crow_indices", "col_indices", "values"],
    "csc": ["ccol_indices", "row_indices", "values"],
    "bsr": ["crow_indices", "col_indices", "values"],
    "bsc": ["ccol_indices", "row_indices", "values"],
}


@pytest.mark.parametrize("layout", PARTS)
def test_sparse_tensors_and_their_parts(layout: str, tmp_path: Path) -> None:
    tensor = sparse(layout)
    checkpoint, found = nodes({"w": tensor}, tmp_path / "x.pth")
    assert torch.equal(run(tensor_line(checkpoint, found["w"])).to_dense(), tensor.to_dense())
    for method in PARTS[layout]:
        part = found[f"w/{method.lstrip('_')}"]
        assert torch.equal(run(tensor_line(checkpoint, part)), getattr(tensor, method)())


def test_the_scales_of_a_quantized_tensor(tmp_path: Path) -> None:
    scales, zeros = torch.tensor([0.1, 0.2]), torch.tensor([1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensor = torch.quantize_per_channel(torch.ones(2, 3), scales, zeros, 0, torch.qint8)
    checkpoint, found = nodes({"w": tensor}, tmp_path / "x.pth")
    assert torch.equal(run(tensor_line(checkpoint, found["w"])).int_repr(), tensor.int_repr())
    assert torch.allclose(run(tensor_line(checkpoint, found["w/scales"])).float(), scales)
    assert torch.equal(run(tensor_line(checkpoint, found["w/zero_points"])).long(), zeros)


def test_attributes(tmp_path: Path) -> None:
    value = {
        "args": argparse.Namespace(prior=torch.ones(2)),
        "p": torch.nn.Parameter(torch.zeros(2)),
    }
    value["p"].scale = torch.full((3,), 2.0)
    checkpoint, found = nodes(value, tmp_path / "x.pth")
    assert torch.equal(run(tensor_line(checkpoint, found["args/prior"])), torch.ones(2))
    assert torch.equal(run(tensor_line(checkpoint, found["p"])), torch.zeros(2))
    assert torch.equal(run(tensor_line(checkpoint, found["p/scale"])), torch.full((3,), 2.0))


def test_numbers_and_odd_text_as_keys(tmp_path: Path) -> None:
    value = {
        0: {"a/b": torch.ones(1)},
        "x": [torch.zeros(1), (torch.ones(3),)],
        '"\n': torch.ones(4),
    }
    checkpoint, found = nodes(value, tmp_path / "x.pth")
    expected = {
        "0/a/b": torch.ones(1),
        "x/0": torch.zeros(1),
        "x/1/0": torch.ones(3),
        '"\n': torch.ones(4),
    }
    for name, tensor in expected.items():
        assert torch.equal(run(tensor_line(checkpoint, found[name])), tensor)


def test_a_tensor_in_a_set_is_out_of_reach_and_said_to_be(tmp_path: Path) -> None:
    checkpoint, found = nodes({"s": {torch.ones(2)}}, tmp_path / "x.pth")
    code = tensor_line(checkpoint, found["s/0"])
    assert "# No expression leads to this tensor" in code
    compile(code, "<tensor line>", "exec")


def test_a_file_that_is_one_tensor(tmp_path: Path) -> None:
    checkpoint, found = nodes(torch.ones(3), tmp_path / "x.pth")
    assert checkpoint.root.kind == Kind.TENSOR
    assert torch.equal(run(tensor_line(checkpoint, found[""])), torch.ones(3))


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    checkpoint, found = nodes({"w": torch.ones(2)}, tmp_path / "x.pth")
    assert "mmap=True" in tensor_line(checkpoint, found["w"])
    torch.save({"w": torch.ones(2)}, tmp_path / "y.pth", _use_new_zipfile_serialization=False)
    legacy = open_checkpoint(tmp_path / "y.pth")
    assert "mmap" not in tensor_line(legacy, legacy.tensors[0])
    assert torch.equal(run(tensor_line(legacy, legacy.tensors[0])), torch.ones(2))
