"""What is said of windows beside this one."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from inspector_app.ui.handing_over import OTHER_VERSION


def alone_sentence(reason: str) -> str:
    """Why there are two windows, although one would do.

    Args:
        reason: `STUCK` or `OTHER_VERSION` of `handing_over`.
    """
    if reason == OTHER_VERSION:
        return QCoreApplication.translate(
            "Windows", "The window that is open is of another version: this is one of its own"
        )
    return QCoreApplication.translate(
        "Windows", "The window that is open does not answer: this is one of its own"
    )
