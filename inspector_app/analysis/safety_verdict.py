"""What ``torch.load(weights_only=True)`` of torch 2.13 says of a file, and what would help."""

from __future__ import annotations

from collections.abc import Sequence

from inspector_app.analysis.load_call import import_lines
from inspector_app.analysis.needed_globals import NeededGlobals
from inspector_app.analysis.python_text import bracketed
from inspector_app.analysis.safety_report import Verdict
from inspector_app.analysis.safety_streams import LEGACY_PARTS, LoadedStream
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain

_CALL = "torch.load(weights_only=True)"
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# Problems of the container or of a tensor with which torch stops, whatever the pickle says.
_STOPPING = frozenset(
    {
        "missing-record",
        "bad-version",
        "bad-checksum",
        "encrypted-entry",
        "prepended-bytes",
        "outside-root",
    }
)
# The records that torch reads before it unpickles anything, in its order: ``init`` in
# caffe2/serialize/inline_container.cc, ``_load`` in torch/serialization.py.
_READ_FIRST = (
    ".data/serialization_id",
    ".data/version",
    "version",
    ".format_version",
    "byteorder",
    ".storage_alignment",
    "data.pkl",
)
_ENCRYPTED = frozenset({"encrypted-entry", "falsely-encrypted"})
_NO_PICKLES = {
    "safetensors": "there is no pickle in it: nothing is imported or called",
    "onnx": f"{_CALL} does not read ONNX; there is no pickle in it",
}


def verdict_of(
    checkpoint: Checkpoint, loaded: Sequence[LoadedStream], needed: NeededGlobals
) -> Verdict:
    """What torch says of `loaded`, the streams that it would read, in its order."""
    form = checkpoint.format
    if form in _NO_PICKLES:
        return Verdict(True if form == "safetensors" else None, _NO_PICKLES[form])
    if form == "torch-export":
        return Verdict(None, f"{_CALL} does not read it; torch.export.load does")
    if form == "torchscript":
        message = (
            "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``."
        )
        return Verdict(
            False,
            f"{_CALL} refuses every TorchScript archive; torch.jit.load reads it, and imports"
            " nothing that the file names",
            message,
        )
    if form == "torch-tar":
        message = "Cannot use ``weights_only=True`` with files saved in the legacy .tar format."
        return Verdict(False, f"{_CALL} refuses tar files of torch before 0.1.10", message)
    encrypted = _encrypted(checkpoint.problems)
    if encrypted is not None:
        return encrypted
    for stream in loaded:
        refused = _refused(stream, needed, loaded)
        if refused is not None:
            return refused
    if form == "pickle":
        return Verdict(
            False,
            f"{_CALL} refuses it: it is a bare pickle, not a file of torch.save",
            "Invalid magic number; corrupt file?",
        )
    if form == "torch-legacy":
        other = _other_legacy(loaded)
        if other is not None:
            return other
    for problem in checkpoint.problems:
        if problem.code in _STOPPING:
            place = f"{plain(problem.where)}: " if problem.where else ""
            return Verdict(False, f"{_CALL} stops: {place}{problem.message}")
    return Verdict(True, f"{_CALL} accepts all that its pickles name and do")


def broken_verdict(
    loaded: Sequence[LoadedStream], reason: str, problems: Sequence[Problem] = ()
) -> Verdict:
    """The same of a file that is so broken that it has no tree."""
    encrypted = _encrypted(problems)
    if encrypted is not None:
        return encrypted
    none = NeededGlobals((), (), (), (), (), ())
    for stream in loaded:
        refused = _refused(stream, none, loaded)
        if refused is not None:
            return refused
    return Verdict(False, f"{_CALL} fails: {reason}")


def _encrypted(problems: Sequence[Problem]) -> Verdict | None:
    """What torch says of a mark at what it reads first, be the mark a false one."""
    marked = {each.where.partition("/")[2] for each in problems if each.code in _ENCRYPTED}
    for name in _READ_FIRST:
        if name in marked:
            return Verdict(
                False,
                f"{_CALL} fails: {name} is marked as encrypted",
                "PytorchStreamReader failed retrieving file meta-data for"
                f" {name}: unsupported encryption",
            )
    return None


def _refused(
    stream: LoadedStream, needed: NeededGlobals, loaded: Sequence[LoadedStream]
) -> Verdict | None:
    refusal = stream.refusals[0]
    if refusal is None:
        if not stream.broken:
            return None
        if stream.cut:
            return Verdict(
                None,
                f"what {_CALL} says cannot be told: {stream.broken}",
                pickle=stream.index,
                offset=stream.offset,
            )
        return Verdict(
            False,
            f"{_CALL} fails: {stream.broken}",
            pickle=stream.index,
            offset=stream.offset,
        )
    lines: tuple[str, ...] = ()
    helped = all(each.refusals[1] is None and not each.broken for each in loaded)
    if helped and (needed.entries or needed.imports):
        lines = tuple(_lines(needed))
    message = plain(refusal.message, 1_000)
    verb = "refuses it" if refusal.kind == "UnpicklingError" else "fails"
    return Verdict(
        False,
        f"{_CALL} {verb}: {plain(refusal.message.partition('. Please use ')[0], 400)}",
        message,
        lines,
        stream.index,
        refusal.offset,
    )


def _lines(needed: NeededGlobals) -> list[str]:
    lines = import_lines(["torch", *needed.imports])
    if needed.entries:
        call = "torch.serialization.add_safe_globals("
        lines += ["", *bracketed(call, list(needed.entries), ")")]
    return lines


def _other_legacy(loaded: Sequence[LoadedStream]) -> Verdict | None:
    if loaded and loaded[0].value != _MAGIC:
        return Verdict(
            False,
            f"{_CALL} fails: the magic number is wrong",
            "Invalid magic number; corrupt file?",
        )
    if len(loaded) > 1 and loaded[1].value != _PROTOCOL:
        shown = "no number" if loaded[1].value is None else str(loaded[1].value)
        return Verdict(
            False,
            f"{_CALL} fails: the protocol version is {plain(shown, 40)}",
            f"Invalid protocol version: {plain(shown, 40)}",
        )
    if len(loaded) < len(LEGACY_PARTS):
        return Verdict(None, f"what {_CALL} says cannot be told: not all its pickles were read")
    return None
