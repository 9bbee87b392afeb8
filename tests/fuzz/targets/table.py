"""The fuzz targets: one for each reader, and one for the directory of archives.

A target takes the bytes of a file. What is not of its format any more is not kept, so that
each explores its own reader.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterable
from dataclasses import dataclass

_NAMES = (
    b"data.pkl", b"constants.pkl", b"byteorder", b"version", b"archive/", b"archive/data/0",
    b"data/weights/model_weights_config.json", b"models/model.json", b"archive_format",
    b"serialized_exported_program.json", b".data/serialization_id", b"little", b"big", b"code/",
)  # fmt: skip
_TORCH = (
    b"storage", b"cpu", b"cuda:0", b"meta", b"FloatStorage", b"UntypedStorage", b"torch._utils",
    b"_rebuild_tensor_v2", b"_rebuild_tensor_v3", b"_rebuild_qtensor", b"_rebuild_sparse_tensor",
    b"_rebuild_nested_tensor", b"_rebuild_parameter", b"_rebuild_wrapper_subclass",
    b"_rebuild_from_type_v2", b"torch._tensor", b"torch.serialization", b"_get_layout",
    b"collections", b"OrderedDict", b"argparse", b"Namespace", b"_parameters", b"_modules",
    b"numpy.core.multiarray", b"_reconstruct", b"scalar", b"dtype", b"ndarray", b"_codecs",
    b"encode", b"latin1", b"state_dict", b"param_groups",
)  # fmt: skip
_ZIP = (
    b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08",
    b"\x01\x00\x18\x00", b"\xff\xff\xff\xff", b"\xff\xff",
)  # fmt: skip
_SAFETENSORS = (
    b'"dtype"', b'"shape"', b'"data_offsets"', b'"__metadata__"', b'"F32"', b'"BF16"', b'"F4"',
    b'"I64"', b"[]", b"{}", b"[0,0]", b"18446744073709551615", b"-1", b"1e9", b"null",
)  # fmt: skip
_INDEX = (
    b'"weight_map"', b'"metadata"', b'"total_size"', b'".safetensors"', b'"../x"', b'"/etc/passwd"',
    b"{}", b"[]", b"null", b"\\u0000", b"\\ud800",
)  # fmt: skip
_TAR = (
    b"storages", b"tensors", b"pickle", b"sys_info", b"ustar", b"PaxHeader", b"././@LongLink",
    b"0000000", b"\x80\xff",
)  # fmt: skip
_ONNX = (
    b"location", b"offset", b"length", b"weights.bin", b"Constant", b"DequantizeLinear", b"scale",
    b"\x0a", b"\x12", b"\x3a", b"\x08\x07", b"\x70\x01", b"\x80\x80\x80\x80\x80\x01",
)  # fmt: skip
_OPCODES = tuple(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    Attributes:
        name: as it is asked for.
        reader: whose seeds it begins with; "" for those of every archive.
        format: what `Checkpoint.format` says of its files; "" for any.
        words: what its files are made of.
    """

    name: str
    reader: str
    format: str
    words: tuple[bytes, ...]


TARGETS = {
    target.name: target
    for target in (
        Target("torch-zip", "torch-zip", "torch-zip", (*_ZIP, *_NAMES, *_TORCH, *_OPCODES)),
        Target("torch-legacy", "torch-legacy", "torch-legacy", (*_TORCH, *_OPCODES)),
        Target("torch-tar", "torch-tar", "torch-tar", (*_TAR, *_OPCODES)),
        Target("torchscript", "torchscript", "torchscript", (*_ZIP, *_NAMES, *_TORCH, *_OPCODES)),
        Target("torch-export", "torch-export", "torch-export", (*_ZIP, *_NAMES, *_TORCH, *_INDEX)),
        Target("safetensors", "safetensors", "safetensors", _SAFETENSORS),
        Target("onnx", "onnx", "onnx", _ONNX),
        Target("pickle", "pickle", "pickle", (*_TORCH, *_OPCODES)),
        Target("shards", "shards", "", _INDEX),
        Target("zip-directory", "", "", (*_ZIP, *_NAMES)),
    )
}


def dictionary(words: Iterable[bytes]) -> str:
    """A libFuzzer dictionary (llvm.org/docs/LibFuzzer.html#dictionaries)."""
    lines = []
    for word in dict.fromkeys(words):
        escaped = "".join(
            chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}"
            for byte in word
        )
        lines.append(f'"{escaped}"')
    return "\n".join(lines) + "\n"
