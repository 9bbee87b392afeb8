"""What fuzzing found, each as the smallest file that shows it."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from inspector_app.analysis.safety import examine
from inspector_app.analysis.tensor_checks import checking
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import Kind
from tests.fuzz.looking import last, look
from tests.fuzz.pickle_forms import named, number, text
from tests.fuzz.tar_forms import tarred


def tar_of(body: bytes) -> bytes:
    """A tar with one tensor, whose key is 1, and the pickle `body`."""
    storages = pickle.dumps(1, 2) + b"\x80\x02(" + number(7) + text("cpu")
    storages += named("torch", "FloatStorage") + b"t." + struct.pack("<q2f", 2, 1, 2)
    tensors = pickle.dumps(1, 2) + b"\x80\x02(" + number(1) + number(7)
    tensors += named("torch", "FloatTensor") + b"t." + struct.pack("<i4x3q", 1, 2, 1, 0)
    return tarred(
        {
            "sys_info": pickle.dumps({"little_endian": True}, 2),
            "pickle": body,
            "storages": storages + pickle.dumps([], 2),
            "tensors": tensors,
        }
    )


@pytest.mark.parametrize("opcodes", [b"Nb", b"Na", b"NNs", b"(NNu", b"(NNe"])
def test_opcodes_that_act_on_a_tensor_of_a_tar(opcodes: bytes, tmp_path: Path) -> None:
    """KeyError: only tensors of the recurring run of opcodes stand for a call."""
    path = tmp_path / "found.pth"
    path.write_bytes(tar_of(b"\x80\x02}" + text("x") + text("1") + b"Q" + opcodes + b"s."))
    assert look(path).startswith("tree torch-tar")
    checkpoint = open_checkpoint(path)
    assert "odd-opcode" in {problem.code for problem in checkpoint.problems}
    assert Kind.TENSOR in {node.kind for node in checkpoint.root.walk()}


@pytest.mark.parametrize(
    ("indices", "dims", "says"),
    [
        ([1, 5], [2], ""),
        ([0, 1, 1, 2], [2, 2], ""),
        ([5, 1], [2], "not in order"),
        ([1, 6], [2], "outside"),
        ([0, 3, 1, 2], [2, 2], "an index of dimension 1 is outside"),
        ([1, 2, 0, 1], [2, 2], "not in order"),
        ([0, 1, 1, 2], [4, 1], "another number of dimensions"),
    ],
)
def test_indices_of_onnx(indices: list[int], dims: list[int], says: str, tmp_path: Path) -> None:
    """ValueError: ONNX has a row for each value, or its place in the flat tensor."""
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("sparse", TensorProto.FLOAT, [dims[0]], [1.0] * dims[0]),
        helper.make_tensor("", TensorProto.INT64, dims, indices),
        [2, 3],
    )
    graph = helper.make_graph([], "graph", [], [], sparse_initializer=[sparse])
    path = tmp_path / "found.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert look(path) == "tree onnx"
    problems = last(checking(open_checkpoint(path)))
    assert [problem.message for problem in problems if says not in problem.message] == []
    assert bool(problems) == bool(says)


@pytest.mark.parametrize("arguments", [b"cx\nY\n)R", b"N", b"]", b"}", text("x"), b"K\x07", b")"])
def test_an_object_rebuilt_with_no_tuple(arguments: bytes, tmp_path: Path) -> None:
    """TypeError: REDUCE takes whatever lies on the stack for its arguments."""
    path = tmp_path / "found.pkl"
    target = named("copy_reg", "_reconstructor") + arguments + b"R"
    path.write_bytes(b"\x80\x02" + target + b"}" + text("x") + b"Nsb.")
    assert look(path) == "tree pickle"
    assert open_checkpoint(path).find(["x"]) is not None


def test_a_broken_archive_inside_a_tar_hides_nothing(tmp_path: Path) -> None:
    """BrokenFile from `examine`: a member that only begins like a zip ended the report."""
    path = tmp_path / "found.pth"
    called = b"\x80\x02" + named("os", "system") + text("true") + b"\x85R."
    path.write_bytes(tarred({"sys_info": b"PK\x03\x04 and no more", "pickle": called}))
    assert look(path) == "tree torch-tar"
    report = last(examine(open_checkpoint(path)))
    assert [each.name for each in report.globals if not each.allowed] == ["os.system"]
    assert ("truncated", "sys_info") in {(each.code, each.where) for each in report.anomalies}
