"""Sentences for problems and errors, translated by their code."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from inspector_app.checkpoint.errors import (
    MESSAGES,
    CheckpointError,
    LimitExceeded,
    Problem,
    RefusedFile,
    UnreadableFile,
    UnrecognisedFormat,
    sentence,
)
from inspector_app.checkpoint.text import plain


def _translated(code: str) -> str:
    return QCoreApplication.translate("checkpoint", MESSAGES[code])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def problem_text(problem: Problem) -> str:
    """What is wrong, without the place."""
    return _capital(sentence(problem.code, problem.details, _translated(problem.code)))


def error_title(error: Exception) -> str:
    """What could not be done, in a few words."""
    translate = QCoreApplication.translate
    if isinstance(error, UnrecognisedFormat):
        return translate("ErrorText", "This is not a checkpoint")
    if isinstance(error, CheckpointError):
        return translate("ErrorText", "This file could not be opened")
    return translate("ErrorText", "Reading this file went wrong")


def error_cause(error: Exception) -> str:
    """The cause, as one sentence."""
    if isinstance(error, CheckpointError):
        text = _capital(sentence(error.code, error.details, _translated(error.code)))
        text = text.rstrip(".") + "."
        return f"{text} ({plain(error.where)})" if error.where else text
    if isinstance(error, MemoryError):
        return QCoreApplication.translate("ErrorText", "There is not enough memory.")
    return QCoreApplication.translate(
        "ErrorText", "Checkpoint Inspector itself failed: {error}"
    ).format(error=plain(f"{type(error).__name__}: {error}"))


def next_step(error: Exception) -> str:
    """What the reader of the banner can do."""
    translate = QCoreApplication.translate
    if isinstance(error, MemoryError):
        return translate("ErrorText", "Close tabs or other programs, then try again.")
    if not isinstance(error, CheckpointError):
        return translate(
            "ErrorText", "Please report this, with the details that “Copy details” gives."
        )
    if error.code == "not-found":
        return translate("ErrorText", "It may have been moved, renamed or deleted.")
    if error.code == "web-address":
        return translate("ErrorText", "Download it first, then open the downloaded file.")
    if error.code in ("is-directory", "not-regular"):
        return translate("ErrorText", "Open a checkpoint itself.")
    if error.code == "permission":
        return translate("ErrorText", "Change its permissions or open a copy of it.")
    if error.code == "git-lfs-pointer":
        return translate("ErrorText", "Fetch the file itself, then try again.")
    if isinstance(error, RefusedFile | UnrecognisedFormat):
        return translate(
            "ErrorText",
            "Files of PyTorch (.pth, .pt, .ckpt, .bin), TorchScript, torch.export (.pt2), "
            "safetensors and ONNX can be opened, whatever their names are.",
        )
    if isinstance(error, LimitExceeded):
        return translate("ErrorText", "The file may be damaged, or made to exhaust memory.")
    if isinstance(error, UnreadableFile):
        return translate("ErrorText", "Check the disk or the connection, then try again.")
    return translate("ErrorText", "The file may be incomplete: download or copy it again.")
