"""The allowlist is torch's own, and the renaming of Python 2 names too."""

import io
import pickle

import pytest
import torch
from torch import _utils, _weights_only_unpickler

from inspector_app.checkpoint import allowed_globals
from inspector_app.checkpoint.allowed_globals import (
    ALLOWED,
    is_allowed,
    names_outside,
    python3_name,
)
from inspector_app.checkpoint.model import Checkpoint, GlobalUse, Kind, Node

PAIRS = [
    *_utils.NAME_MAPPING,
    *((module, "Anything") for module in _utils.IMPORT_MAPPING),
    ("__builtin__", "set"),
    ("__builtin__", "bytearray"),
    ("__builtin__", "complex"),
    ("__builtin__", "eval"),
    ("__builtin__", "object"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("copy_reg", "_reconstructor"),
    ("_codecs", "encode"),
    ("_codecs", "decode"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("UserDict", "OrderedDict"),
    ("argparse", "Namespace"),
    ("os", "system"),
    ("posix", "system"),
    ("torch", "FloatStorage"),
    ("torch", "BoolTensor"),
    ("torch.cuda", "QInt8Storage"),
    ("torch", "Size"),
    ("torch", "nn.parameter.Parameter"),
    ("torch.nn", "parameter.Parameter"),
    ("torch.nn.parameter", "Buffer"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_xla_tensor"),
    ("torch.storage", "_load_from_bytes"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "scalar"),
    ("exceptions", "ValueError"),
    ("cPickle", "loads"),
    ("", ""),
    ("", "torch.Size"),
    ("torch.Size", ""),
]


def torch_accepts(module: str, name: str) -> bool:
    """Whether torch's own machine puts this global on its stack."""
    stream = b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\n."
    try:
        _weights_only_unpickler.load(io.BytesIO(stream))
    except pickle.UnpicklingError:
        return False
    return True


def test_the_list_is_the_one_of_torch() -> None:
    assert frozenset(_weights_only_unpickler._get_allowed_globals()) == ALLOWED


def test_the_renaming_tables_are_those_of_torch() -> None:
    assert allowed_globals._RENAMED == _utils.NAME_MAPPING
    assert allowed_globals._RENAMED_MODULES == _utils.IMPORT_MAPPING


@pytest.mark.parametrize(("module", "name"), PAIRS)
def test_torch_says_the_same_of_a_pickle(module: str, name: str) -> None:
    assert is_allowed(module, name) is torch_accepts(module, name)
    stream = io.BytesIO(f"{module}\n{name}\n".encode())
    assert python3_name(module, name) == _weights_only_unpickler._read_global_instruction(
        stream.readline
    )


@pytest.mark.parametrize("full_name", sorted(ALLOWED))
def test_torch_accepts_each_wherever_the_border_lies(full_name: str) -> None:
    parts = full_name.split(".")
    for border in range(1, len(parts)):
        module, name = ".".join(parts[:border]), ".".join(parts[border:])
        assert is_allowed(module, name)
        assert torch_accepts(module, name)


def test_what_a_saved_file_names_is_allowed() -> None:
    buffer = io.BytesIO()
    torch.save({"w": torch.nn.Parameter(torch.ones(2)), "s": {1}, "b": b"x"}, buffer)
    buffer.seek(0)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(buffer) == []


def test_names_outside_are_those_not_allowed() -> None:
    uses = [GlobalUse("a.b", ("call",), False), GlobalUse("torch.Size", ("call",), True)]
    checkpoint = Checkpoint("x", "torch-zip", 0, Node("", Kind.MAPPING), globals=uses)
    assert names_outside(checkpoint) == ["a.b"]
