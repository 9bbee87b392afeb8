"""The one list of file types; all that a desktop is told about them is made from it.

The magic of a torch zip: ``caffe2/serialize/inline_container.cc`` (torch 2.13) writes each entry
stored, with the date and time 0, which is no date at all, and aligns its bytes by an extra field
``FB``, filled with ``Z``. No other program that writes zips does either, so this tells a
checkpoint from every other zip by its first entry, however that is called.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

APP_NAME = "Checkpoint Inspector"
APP_ID = "checkpoint-inspector"  # names the command, the desktop entry, the icon
BUNDLE_ID = "org.checkpoint-inspector.CheckpointInspector"
APP_COMMENT = "See what is inside a PyTorch checkpoint without running it"


class Offered(enum.Enum):
    """How we are offered for a type."""

    DEFAULT = "default"  # a double click opens it, where nothing else does
    OPEN_WITH = "open with"  # many kinds of files have such endings


@dataclass(frozen=True)
class Match:
    """Bytes at a place near the beginning of a file.

    Attributes:
        value: the bytes.
        first: the first offset where they may begin.
        last: the last such offset; `first` if it is None.
        mask: which bits of `value` count; all, if it is None.
        then: of these one has to match as well, if there are any. Offsets are the file's own.
    """

    value: bytes
    first: int = 0
    last: int | None = None
    mask: bytes | None = None
    then: tuple[Match, ...] = ()

    def matches(self, head: bytes) -> bool:
        """Whether a file that begins with `head` matches."""
        mask = self.mask or b"\xff" * len(self.value)
        wanted = bytes(value & bits for value, bits in zip(self.value, mask, strict=True))
        for start in range(self.first, (self.first if self.last is None else self.last) + 1):
            found = head[start : start + len(wanted)]
            if len(found) == len(wanted) and wanted == bytes(
                byte & bits for byte, bits in zip(found, mask, strict=True)
            ):
                return not self.then or any(each.matches(head) for each in self.then)
        return False


@dataclass(frozen=True)
class FileType:
    """A type of file.

    Attributes:
        key: its short name in ProgIDs and UTIs.
        name: what a file manager calls it.
        mime_type: its MIME type.
        endings: with the dot, the most usual first.
        icon: the name of its icon, in a theme and in ``resources/icons``.
        uti: its Uniform Type Identifier (macOS).
        offered: whether a double click may open it, or only "open with".
        parents: MIME types that it is a kind of.
        magic: one of these matches its first bytes.
    """

    key: str
    name: str
    mime_type: str
    endings: tuple[str, ...]
    icon: str
    uti: str
    offered: Offered = Offered.DEFAULT
    parents: tuple[str, ...] = ()
    magic: tuple[Match, ...] = ()


_NAME_END = 300  # a first entry's name has ended here: 30 bytes and a file name's 255
_ZIP = b"PK\x03\x04"
_NO_DATE = b"\0\0\0\0\0\0"  # stored, time 0, date 0: offsets 8 to 13 of a local header


def _torch_zip(*first_entry: Match) -> Match:
    return Match(_ZIP, then=(Match(_NO_DATE, 8, then=first_entry),))


def _in_name(value: bytes, mask: bytes | None = None) -> Match:
    return Match(value, 31, _NAME_END, mask)


_LEGACY_MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # 0x1950a86a20f9469cfc6c, torch.serialization
_CHECKPOINT_MAGIC = (
    _torch_zip(
        _in_name(b"FB\0\0Z", b"\xff\xff\0\0\xff"),
        # No padding was needed.
        _in_name(b"/data.pklFB\0\0"),
        _in_name(b"/data/0FB\0\0"),
        _in_name(b"/versionFB\0\0"),
    ),
    # Zipped anew by Python: stored, no extra field, so the pickle follows the name at once.
    Match(_ZIP, then=(Match(b"\0\0", 8, then=(_in_name(b"/data.pkl\x80\x02"),)),)),
    # Pickle protocol 2 and 3, and 4 and 5, which begin with a frame.
    Match(b"\x80", then=(Match(_LEGACY_MAGIC, 2), Match(_LEGACY_MAGIC, 11))),
)
_EXPORTED_MAGIC = (
    _torch_zip(
        _in_name(b"/data/weights/"), _in_name(b"/archive_format"), _in_name(b"/models/model.json")
    ),
    # Before torch 2.8.
    Match(_ZIP, then=(Match(b"serialized_exported_program.json", 30),)),
)
# Eight bytes of the header's length, which is below 4 GB, then its JSON.
_SAFETENSORS_MAGIC = (
    Match(
        b'\0\0\0\0{"',
        4,
        then=(Match(b'"__metadata__"', 9), Match(b'{"dtype":"', 10, 1024)),
    ),
)
# ModelProto: ir_version 3 to 15, then producer_name with its length. Who leaves the name out
# is known by the ending alone: two bytes are too little to tell a file by.
_PRODUCERS = (b"pytorch", b"onnx", b"tf2onnx", b"skl2onnx", b"keras2onnx", b"paddlepaddle")
_ONNX_MAGIC = (
    Match(
        b"\x08\0\x12",
        mask=b"\xff\xf0\xff",
        then=tuple(
            [Match(bytes([len(name)]) + name, 3) for name in _PRODUCERS]
            + [Match(b"onnx.", 4), Match(b"onnxruntime.", 4)]
        ),
    ),
)

CHECKPOINT = FileType(
    key="PyTorchCheckpoint",
    name="PyTorch checkpoint",
    mime_type="application/x-pytorch-checkpoint",
    # Mobile models (.ptl) are TorchScript, which is no type apart: nothing in their first bytes is.
    endings=(".pth", ".pt", ".ckpt", ".pth.tar", ".ptl"),
    icon="checkpoint-inspector-checkpoint",
    uti="org.checkpoint-inspector.pytorch-checkpoint",
    magic=_CHECKPOINT_MAGIC,
)
EXPORTED_PROGRAM = FileType(
    key="PyTorchExportedProgram",
    name="PyTorch exported program",
    mime_type="application/x-pytorch-exported-program",
    endings=(".pt2",),
    icon="checkpoint-inspector-checkpoint",
    uti="org.checkpoint-inspector.pytorch-exported-program",
    parents=(CHECKPOINT.mime_type,),
    magic=_EXPORTED_MAGIC,
)
SAFETENSORS = FileType(
    key="Safetensors",
    name="Safetensors weights",
    mime_type="application/x-safetensors",
    endings=(".safetensors",),
    icon="checkpoint-inspector-safetensors",
    uti="org.checkpoint-inspector.safetensors",
    magic=_SAFETENSORS_MAGIC,
)
ONNX = FileType(
    key="OnnxModel",
    name="ONNX model",
    mime_type="application/x-onnx",
    endings=(".onnx",),
    icon="checkpoint-inspector-onnx",
    uti="org.checkpoint-inspector.onnx",
    magic=_ONNX_MAGIC,
)
# No magic and no MIME type of their own: what is a checkpoint among these is known by the magic
# above, and all others are somebody else's.
WEIGHTS = FileType(
    key="Weights",
    name="Model weights",
    mime_type="application/octet-stream",
    endings=(".bin",),
    icon=CHECKPOINT.icon,
    uti="org.checkpoint-inspector.weights",
    offered=Offered.OPEN_WITH,
)
PICKLE = FileType(
    key="PythonPickle",
    name="Python pickle",
    mime_type="application/octet-stream",
    endings=(".pkl",),
    icon=CHECKPOINT.icon,
    uti="org.checkpoint-inspector.python-pickle",
    offered=Offered.OPEN_WITH,
)

FILE_TYPES = (CHECKPOINT, EXPORTED_PROGRAM, SAFETENSORS, ONNX, WEIGHTS, PICKLE)


def opened_by_default() -> tuple[FileType, ...]:
    """The types that a double click may open."""
    return tuple(each for each in FILE_TYPES if each.offered is Offered.DEFAULT)


def endings() -> tuple[str, ...]:
    """All endings, with the dot."""
    return tuple(ending for each in FILE_TYPES for ending in each.endings)


def recognised(head: bytes) -> FileType | None:
    """The type whose magic matches a file's first bytes, or None; the most particular first."""
    known = [each for each in FILE_TYPES if any(match.matches(head) for match in each.magic)]
    known.sort(key=lambda each: len(each.parents), reverse=True)
    return known[0] if known else None
