"""Which values the pages of the tensor pane show, and how a value is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.slices import MESSAGES, Plane, SliceError
from inspector_app.checkpoint.text import plain

if TYPE_CHECKING:
    from inspector_app.checkpoint.model import TensorInfo
    from inspector_app.checkpoint.values import ValueReader


class ValueSource(NamedTuple):
    """A tensor's values, as they were chosen to be shown.

    Attributes:
        shape: of the values (`Elements.shape`).
        plane: two of the dimensions, or None where the part is empty.
        raw: a quantized tensor's integers instead of what they stand for.
    """

    reader: ValueReader
    tensor: TensorInfo
    shape: tuple[int, ...]
    plane: Plane | None
    raw: bool


def figure(value: object, digits: int = 5) -> str:
    """A number with so many significant digits; integers in full."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, complex):
        return f"{value:.{digits}g}"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return plain(str(value), 60)


def slice_error_text(error: SliceError) -> str:
    """What is wrong with a slice, as one sentence."""
    text = QCoreApplication.translate("slices", MESSAGES[error.code])
    shown = {name: plain(str(value), 60) for name, value in error.details.items()}
    text = text.format(**shown)
    return text[:1].upper() + text[1:] + "."
