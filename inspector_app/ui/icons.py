"""Icons from `resources/icons`, in the colours of the palette in force."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QIconEngine, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer

from inspector_app.resources_path import resource_path

_APPLICATION_SIZES = (16, 24, 32, 48, 64, 128, 256)


@lru_cache(maxsize=64)
def _source(name: str) -> str:
    with open(resource_path("icons", f"{name}.svg"), encoding="utf-8") as file:
        return file.read()


@lru_cache(maxsize=128)
def _renderer(name: str, colour: str) -> QSvgRenderer:
    return QSvgRenderer(QByteArray(_source(name).replace("currentColor", colour).encode()))


def draw(painter: QPainter, name: str, rect: QRect, colour: QColor) -> None:
    """Paint an icon in one colour."""
    _renderer(name, colour.name()).render(painter, QRectF(rect))


class _PaletteIcon(QIconEngine):
    """Paints in the palette's text colour, or in one given, at any scale."""

    def __init__(self, name: str, colour: str | None = None) -> None:
        super().__init__()
        # Here rather than on painting, where an exception would end the process.
        _source(name)
        self._name = name
        self._colour = colour

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        palette = QGuiApplication.palette()
        group = (
            QPalette.ColorGroup.Disabled
            if mode == QIcon.Mode.Disabled
            else QPalette.ColorGroup.Active
        )
        role = (
            QPalette.ColorRole.HighlightedText
            if mode == QIcon.Mode.Selected
            else QPalette.ColorRole.ButtonText
        )
        plain = self._colour is None or mode != QIcon.Mode.Normal
        colour = palette.color(group, role) if plain else QColor(self._colour)
        draw(painter, self._name, rect, colour)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _PaletteIcon(self._name, self._colour)


def icon(name: str, colour: str | None = None) -> QIcon:
    """The icon called `name`, following the palette unless a `colour` is given."""
    return QIcon(_PaletteIcon(name, colour))


def application_icon() -> QIcon:
    """The icon of the program itself; at 16 pixels it is a drawing of its own."""
    made = QIcon()
    for size in _APPLICATION_SIZES:
        made.addFile(
            resource_path("icons", "hicolor", f"{size}x{size}", "apps", "checkpoint-inspector.png")
        )
    return made
