"""A file that was cut anywhere is an error or a tree with a problem, never one that looks whole.

Small files are cut at every byte, larger ones at steps and at every byte near their end. What
may be missing without a word carries nothing: the padding of a tar. (An ONNX model could also
be cut right between two whole fields that follow ``opset_import``: it is then another, whole
model.)
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from test_torch_tar import example, tar_bytes

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.values import open_values

VALUE = {"a": torch.arange(3.0), "more": {"b": torch.ones(2, 2)}, "epoch": 3}


def written(write: Callable[[io.BytesIO], None]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(stream)
    return stream.getvalue()


def safetensors() -> bytes:
    entries = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "U8", "shape": [90], "data_offsets": [8, 98]},
    }
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + bytes(range(98))


def onnx_model() -> bytes:
    value = onnx.helper.make_tensor_value_info
    weight = onnx.numpy_helper.from_array(np.arange(3, dtype=np.float32), "w")
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"], "n")
    graph = onnx.helper.make_graph(
        [node], "g", [value("x", 1, [3])], [value("y", 1, [3])], [weight]
    )
    return onnx.helper.make_model(graph, producer_name="us").SerializeToString()


def exported(stream: io.BytesIO) -> None:
    torch.export.save(torch.export.export(torch.nn.Linear(2, 1), (torch.ones(1, 2),)), stream)


FORMATS: dict[str, tuple[Callable[[], bytes], int]] = {
    "torch-zip": (lambda: written(lambda stream: torch.save(VALUE, stream)), 1),
    "torch-legacy": (
        lambda: written(
            lambda stream: torch.save(VALUE, stream, _use_new_zipfile_serialization=False)
        ),
        1,
    ),
    "torch-tar": (lambda: tar_bytes(*example()), 5),
    "torchscript": (
        lambda: written(lambda s: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), s)),
        1,
    ),
    "torch-export": (lambda: written(exported), 5),
    "safetensors": (safetensors, 1),
    "onnx": (onnx_model, 1),
    "pickle": (lambda: pickle.dumps({"a": [1, 2.5, "text"], "b": (None, True)}, 4), 1),
    "pickle of protocol 0": (lambda: pickle.dumps({"a": [1, 2.5, "text"], "b": (None,)}, 0), 1),
    "shards": (lambda: json.dumps({"weight_map": {"a": "x.safetensors"}}).encode(), 1),
}
AT_EVERY_BYTE = 120  # from the end


def cuts(content: bytes, step: int) -> list[int]:
    near = range(max(len(content) - AT_EVERY_BYTE, 1), len(content))
    return sorted({*range(1, len(content), step), *near})


def opened(path: Path) -> tuple[Checkpoint | None, str]:
    """The checkpoint, or None and the sentence why there is none."""
    try:
        return open_checkpoint(path), ""
    except CheckpointError as error:
        return None, str(error)


def carries_something(name: str, content: bytes, length: int) -> bool:
    return name != "torch-tar" or content[length:].strip(b"\0") != b""


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize("name", FORMATS)
def test_every_cut_is_said(name: str, tmp_path: Path) -> None:
    make, step = FORMATS[name]
    content = make()
    path = tmp_path / "cut.bin"
    path.write_bytes(content)
    if name != "shards":
        assert open_checkpoint(path).problems == []
    trees = 0
    for length in cuts(content, step):
        path.write_bytes(content[:length])
        checkpoint, sentence = opened(path)
        assert sentence.isprintable()
        if checkpoint is None:
            assert sentence
            continue
        trees += 1
        if carries_something(name, content, length):
            assert checkpoint.problems, length
        assert all(problem.message.isprintable() for problem in checkpoint.problems)
    # What came before the cut is shown; not of what nothing tells from other text.
    assert trees or name in ("shards", "pickle of protocol 0")


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.parametrize("name", ["torch-zip", "torch-legacy", "safetensors", "onnx"])
def test_values_of_a_cut_file_are_right_or_refused(name: str, tmp_path: Path) -> None:
    make, _ = FORMATS[name]
    content = make()
    path = tmp_path / "cut.bin"
    path.write_bytes(content)
    whole = open_checkpoint(path)
    with open_values(whole) as reader:
        expected = {tensor.path: reader.read(tensor).tolist() for tensor in whole.tensors}
    read = 0
    for length in cuts(content, 41):
        path.write_bytes(content[:length])
        checkpoint, _ = opened(path)
        if checkpoint is None:
            continue
        with open_values(checkpoint) as reader:
            for tensor in checkpoint.tensors:
                try:
                    values = reader.read(tensor).tolist()
                except CheckpointError:
                    continue
                assert values == expected[tensor.path], length
                read += 1
    assert read
