"""Which reader a file is for. The content decides, never the name."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import Problem, RefusedFile, UnreadableFile, UnrecognisedFormat
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Checkpoint, Progress

if TYPE_CHECKING:
    from inspector_app.checkpoint.zip_directory import ZipDirectory

Reading = Generator[Progress, None, Checkpoint]

_GIT_LFS = b"version https://git-lfs.github.com/spec/"
# First bytes of what people try to open, in words.
_LOOKS_LIKE = (
    (b"\x1f\x8b", "it is compressed with gzip; decompress it first"),
    (b"BZh", "it is compressed with bzip2; decompress it first"),
    (b"\xfd7zXZ\0", "it is compressed with xz; decompress it first"),
    (b"(\xb5/\xfd", "it is compressed with zstd; decompress it first"),
    (b"\x04\x22\x4d\x18", "it is compressed with lz4; decompress it first"),
    (b"\x5d\0\0", "it is compressed with lzma; decompress it first"),
    (b"\x1f\x9d", "it is compressed with compress (.Z); decompress it first"),
    (b"\x78\x01", "it is compressed with zlib, as joblib does it; decompress it first"),
    (b"\x78\x9c", "it is compressed with zlib, as joblib does it; decompress it first"),
    (b"\x78\xda", "it is compressed with zlib, as joblib does it; decompress it first"),
    (b"MSCF", "it is a cabinet archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; unpack it first"),
    (b"Rar!", "it is a rar archive; unpack it first"),
    (b"\x89HDF", "it is an HDF5 file, as Keras writes them"),
    (b"\x93NUMPY", "it is a numpy array (.npy)"),
    (b"GGUF", "it is a GGUF file"),
    (b"ggml", "it is a GGML file"),
    (b"\x7fELF", "it is a program or library"),
    (b"MZ", "it is a Windows program or library"),
    (b"\x89PNG", "it is a PNG picture"),
    (b"\xff\xd8\xff", "it is a JPEG picture"),
    (b"%PDF", "it is a PDF document"),
    (b"SQLite format 3", "it is an SQLite database"),
)


def reader_of(path: str | os.PathLike[str], limits: Limits) -> Reading:
    """Read the file, or the folder of shards, at `path` with the reader it is for.

    Raises:
        CheckpointError: it cannot be read, or no reader recognises it.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        from inspector_app.checkpoint import shards

        index = shards.find_index(name)
        if index is None:
            raise UnreadableFile("is-directory", name)
        name = index
    source = ByteSource(name)
    try:
        checkpoint = yield from _read(source, limits)
        if not source.is_unchanged():
            # A training is writing it: what was read may be of two versions.
            checkpoint.problems.insert(0, Problem("file-changed"))
        checkpoint.stamps[source.path] = source.stamp
        return checkpoint
    finally:
        source.close()


# Each reader is imported when the content suggests it: a start should not pay for all.
def _read(source: ByteSource, limits: Limits) -> Reading:
    if source.size == 0:
        raise UnrecognisedFormat("empty", source.path)
    head = source.read(0, 4096)
    if head.startswith(_GIT_LFS):
        raise RefusedFile("git-lfs-pointer", source.path)
    if head.startswith(b"PK\x03\x04"):
        return (yield from _read_zip(source, limits))
    is_tar = _is_tar(head)
    if is_tar:
        from inspector_app.checkpoint import torch_tar

        if torch_tar.recognise(source):
            checkpoint = yield from torch_tar.read(source, limits)
            # A member can be called as the magic number of the later format.
            return _also_tar(checkpoint) if head[:1] == b"\x80" else checkpoint
    if head[:1] == b"\x80":
        from inspector_app.checkpoint import torch_legacy

        if torch_legacy.recognise(source):
            checkpoint = yield from torch_legacy.read(source, limits)
            return _also_tar(checkpoint) if is_tar else checkpoint
    elif is_tar:
        raise UnrecognisedFormat("unrecognised", source.path, looks_like=_tar(source))
    if head[8:].lstrip()[:1] == b"{":
        from inspector_app.checkpoint import safetensors

        if safetensors.recognise(source):
            return (yield from safetensors.read(source, limits))
    if head.lstrip()[:1] == b"{":
        from inspector_app.checkpoint import shards

        if shards.recognise(source):
            return (yield from shards.read(source, limits, reader_of))
    from inspector_app.checkpoint import onnx, raw_pickle, zip_directory

    if raw_pickle.recognise(source, limits):
        return (yield from raw_pickle.read(source, limits))
    if onnx.recognise(source):
        return (yield from onnx.read(source, limits))
    if zip_directory.recognise(source):
        return (yield from _read_zip(source, limits))
    raise _unrecognised(source, head)


def _read_zip(source: ByteSource, limits: Limits) -> Reading:
    from inspector_app.checkpoint import torch_zip, zip_directory

    directory = yield from zip_directory.reading(source, limits)
    if torch_zip.recognise(directory) and not _may_be_more(directory):
        return (yield from torch_zip.read(source, directory, limits))
    from inspector_app.checkpoint import exported_program, torchscript

    if torchscript.recognise(directory):
        return (yield from torchscript.read(source, directory, limits))
    if exported_program.recognise(directory):
        return (yield from exported_program.read(source, directory, limits))
    if torch_zip.recognise(directory):
        return (yield from torch_zip.read(source, directory, limits))
    first = directory.order[0].name if directory.order else ""
    if directory.get(f"{directory.root}/.data/extern_modules") is not None:
        looks_like = "it is an archive of torch.package, which holds Python code"
        raise UnrecognisedFormat("unrecognised", source.path, looks_like=looks_like)
    kind = "a numpy archive (.npz)" if first.endswith(".npy") else "a zip archive"
    looks_like = f"it is {kind} without data.pkl (its first entry is {first})"
    raise UnrecognisedFormat("unrecognised", source.path, looks_like=looks_like)


def _is_tar(head: bytes) -> bool:
    if head[257:262] != b"ustar" and head[:9] not in (
        b"storages\0",
        b"tensors\0\0",
        b"pickle\0\0\0",
    ):
        return False
    from inspector_app.checkpoint.tar_members import BLOCK, is_header

    return is_header(head[:BLOCK])


def _also_tar(checkpoint: Checkpoint) -> Checkpoint:
    checkpoint.problems.insert(0, Problem("also-tar"))
    return checkpoint


def _tar(source: ByteSource) -> str:
    from inspector_app.checkpoint.tar_members import members

    first = next(members(source), None)
    holds = f" of {first.name} and others" if first is not None else ""
    return f"it is a tar archive{holds}; unpack it first"


def _may_be_more(directory: ZipDirectory) -> bool:
    """Whether a torch zip has an entry that TorchScript or torch.export would have too."""
    root = directory.root
    names = (
        f"{root}/constants.pkl",
        f"{root}/archive_format",
        "serialized_exported_program.json",
    )
    return any(directory.get(name) is not None for name in names)


def _unrecognised(source: ByteSource, head: bytes) -> UnrecognisedFormat:
    for first, looks_like in _LOOKS_LIKE:
        if head.startswith(first):
            return UnrecognisedFormat("unrecognised", source.path, looks_like=looks_like)
    text = _as_text(head)
    if text is not None and source.path.lower().endswith(".pth"):
        return RefusedFile("python-path-file", source.path)
    if text is not None and text.lstrip().lower().startswith(("<!doctype", "<html")):
        looks_like = "it is a web page; the download went wrong"
    elif text is not None:
        looks_like = "it is text"
    elif not head.strip(b"\0"):
        looks_like = "it begins with zeros; the download or the copy went wrong"
    else:
        looks_like = f"no known format begins with the bytes {head[:8].hex(' ')}"
    return UnrecognisedFormat("unrecognised", source.path, looks_like=looks_like)


def _as_text(head: bytes) -> str | None:
    try:
        # The last character may be cut off.
        text = head[: len(head) - 4].decode() if len(head) == 4096 else head.decode()
    except UnicodeDecodeError:
        return None
    return (
        text if text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable() else None
    )
