"""What a plot shows, as text: a table for each of its lines, tabs between the columns."""

from __future__ import annotations

from typing import Any

MOST_POINTS = 20_000  # of one line


def plotted_text(plot: Any) -> str:
    """The points of what a `pyqtgraph.PlotWidget` shows: x and y, or a bin's edges and count."""
    tables = [_table(item) for item in plot.getPlotItem().items if item.isVisible()]
    return "\n\n".join(filter(None, tables))


def _table(item: Any) -> str:
    import numpy as np

    columns = _columns(item)
    if columns is None or not len(columns[0]):
        return ""
    # Each with the digits that tell it from its neighbours.
    cells = [np.asarray(column)[:MOST_POINTS].tolist() for column in columns]
    return "\n".join("\t".join(map(repr, row)) for row in zip(*cells, strict=False))


def _columns(item: Any) -> list[Any] | None:
    """The coordinates of an item, or None for one that has none, such as a picture."""
    import pyqtgraph

    if isinstance(item, pyqtgraph.BarGraphItem):
        found = [item.opts.get(name) for name in ("x0", "x1", "height")]
        return found if all(each is not None for each in found) else None
    if isinstance(item, pyqtgraph.PlotDataItem):
        # Not what is drawn, which is a logarithm where the axis is.
        found = item.getOriginalDataset()
        return None if found[0] is None else list(found)
    if isinstance(item, pyqtgraph.PlotCurveItem | pyqtgraph.ScatterPlotItem):
        x, y = item.getData()
        if x is None:
            return None
        return [x[:-1], x[1:], y] if len(x) == len(y) + 1 else [x, y]
    return None
