"""A cell of a picture in words: where it lies in the tensor, and what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.slices import Plane
from inspector_app.ui.value_source import figure

if TYPE_CHECKING:
    from inspector_app.analysis.decimate import Picture


def cell_words(
    plane: Plane, picture: Picture, cell: tuple[int, int], start: tuple[int, int], what: str
) -> str:
    """Words for one cell.

    Args:
        plane: what the picture is of.
        cell: its row and column in `picture`.
        start: where the picture begins in the plane.
        what: the value that stands for all in a cell, or "" for both extremes.
    """
    i, j = cell
    top, left = int(picture.row_edges[i]) + start[0], int(picture.column_edges[j]) + start[1]
    bottom = int(picture.row_edges[i + 1]) + start[0] - 1
    right = int(picture.column_edges[j + 1]) + start[1] - 1
    first, last = plane.place(top, left), plane.place(bottom, right)
    index = ", ".join(str(a) if a == b else f"{a}…{b}" for a, b in zip(first, last, strict=True))
    value = float(picture.values[i, j])
    if first == last or picture.done < 1:
        return f"[{index}]: {figure(value, 7)}"
    if not what:
        least, most = float(picture.least[i, j]), float(picture.most[i, j])
        text = QCoreApplication.translate("CellWords", "[{index}]: from {least} to {most}")
        return text.format(index=index, least=figure(least, 7), most=figure(most, 7))
    return f"[{index}]: {what.lower()} {figure(value, 7)}"
