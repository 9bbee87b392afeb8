"""The file summary in words."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.totals import Share, Totals
from inspector_app.checkpoint.model import Checkpoint, SectionKind
from inspector_app.checkpoint.text import plain
from inspector_app.ui.section_words import section_words

Rows = list[tuple[str, str]]
NAMED_GLOBALS = 6
METADATA_ROWS = 30
PICKLED = ("torch-zip", "torch-legacy", "torch-tar", "pickle")

_translate = QCoreApplication.translate


def format_words(name: str) -> str:
    """A format's name as people say it."""
    return {
        "torch-zip": _translate("Summary", "PyTorch checkpoint (zip)"),
        "torch-legacy": _translate("Summary", "PyTorch checkpoint (legacy, before 1.6)"),
        "torch-tar": _translate("Summary", "PyTorch checkpoint (tar, before 0.1.10)"),
        "torchscript": _translate("Summary", "TorchScript module"),
        "torch-export": _translate("Summary", "torch.export program (.pt2)"),
        "safetensors": _translate("Summary", "safetensors"),
        "onnx": _translate("Summary", "ONNX model"),
        "pickle": _translate("Summary", "Python pickle"),
    }.get(name, plain(name))


def file_rows(checkpoint: Checkpoint) -> Rows:
    """What is known before anything is added up."""
    rows = [
        (_translate("Summary", "Format"), format_words(checkpoint.format)),
        (
            _translate("Summary", "File size"),
            _translate("Summary", "{size} ({n} bytes)").format(
                size=size_text(checkpoint.file_bytes), n=count_text(checkpoint.file_bytes)
            ),
        ),
    ]
    if len(checkpoint.files) > 1:
        rows.append((_translate("Summary", "Files"), count_text(len(checkpoint.files))))
    if checkpoint.modified_ns:
        try:
            when = datetime.fromtimestamp(checkpoint.modified_ns / 1e9)
        except (OverflowError, OSError, ValueError):
            when = None  # a time that the calendar does not have
        if when is not None:
            rows.append((_translate("Summary", "Modified"), f"{when:%Y-%m-%d %H:%M:%S}"))
    return rows


def totals_rows(totals: Totals) -> Rows:
    """Counts, devices, storages."""
    return [
        (_translate("Summary", "Tensors"), count_text(totals.whole.tensors)),
        (_translate("Summary", "Parameters"), _parameters(totals)),
        (_translate("Summary", "Devices"), _devices(totals.devices)),
        (_translate("Summary", "Storages"), _storages(totals)),
    ]


def tensors_text(count: int) -> str:
    """``1 tensor``, ``62 tensors``."""
    if count == 1:
        return _translate("Summary", "1 tensor")
    return _translate("Summary", "{n} tensors").format(n=count_text(count))


def _parameters(totals: Totals) -> str:
    """Those of the model; a training checkpoint's optimizer holds tensors that are none."""
    whole = totals.whole.elements
    model = sum(
        share.elements for section, share in totals.sections if section.kind == SectionKind.MODEL
    )
    if not model or model == whole:
        return count_text(whole)
    return _translate("Summary", "{model} in the model, {whole} elements in all tensors").format(
        model=count_text(model), whole=count_text(whole)
    )


def _devices(devices: dict[str, Share]) -> str:
    if len(devices) == 1:
        return plain(next(iter(devices)))
    return ", ".join(
        _translate("Summary", "{device} ({tensors})").format(
            device=plain(device), tensors=tensors_text(share.tensors)
        )
        for device, share in list(devices.items())[:20]
    )


def _storages(totals: Totals) -> str:
    if not totals.storages:
        return ""
    text = _translate("Summary", "{n}, {size}").format(
        n=count_text(totals.storages), size=size_text(totals.storage_bytes)
    )
    if totals.sharing:
        shared = _translate("Summary", "{n} shared by {tensors} tensors").format(
            n=count_text(len(totals.sharing)),
            tensors=count_text(sum(map(len, totals.sharing.values()))),
        )
        return f"{text}, {shared}"
    return text


def metadata_rows(checkpoint: Checkpoint) -> Rows:
    """What the container states about itself."""
    return [
        (plain(name, 40), plain(value, 400))
        for name, value in list(checkpoint.metadata.items())[:METADATA_ROWS]
    ]


def section_rows(totals: Totals) -> Rows:
    """Each section, where it is and what it adds up to."""
    rows = []
    for section, share in totals.sections:
        place = plain("/".join(map(str, section.path)), 120) or _translate(
            "Summary", "(the whole file)"
        )
        if share.tensors:
            place = _translate("Summary", "{place}: {tensors}, {size}").format(
                place=place, tensors=tensors_text(share.tensors), size=size_text(share.nbytes)
            )
        rows.append((section_words(section.kind), place))
    return rows


def globals_sentence(checkpoint: Checkpoint) -> str:
    """What the file would import, against torch's allowlist; "" where that is no question."""
    outside = [use.name for use in checkpoint.globals if not use.allowed]
    if not outside:
        if checkpoint.format not in PICKLED:
            return ""
        return _translate(
            "Summary",
            "Every class and function that the file names is on the allowlist of "
            "torch.load(weights_only=True).",
        )
    names = ", ".join(plain(name, 120) for name in outside[:NAMED_GLOBALS])
    if len(outside) > NAMED_GLOBALS:
        names = _translate("Summary", "{names} and {n} more").format(
            names=names, n=count_text(len(outside) - NAMED_GLOBALS)
        )
    if len(outside) == 1:
        return _translate(
            "Summary",
            "The file names a class or function outside the allowlist of "
            "torch.load(weights_only=True): {names}. It has not been imported or run here.",
        ).format(names=names)
    return _translate(
        "Summary",
        "The file names {n} classes or functions outside the allowlist of "
        "torch.load(weights_only=True): {names}. None has been imported or run here.",
    ).format(n=count_text(len(outside)), names=names)
