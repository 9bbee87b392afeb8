"""Small symbols before the names in the tree. Drawn once for each colour and resolution."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap, QPolygonF

SIDE = 14.0
_KEPT = 256


class Symbol(IntEnum):
    """What a row is."""

    TENSOR = 0
    GROUP = 1
    FOLD = 2
    MAPPING = 3
    SEQUENCE = 4
    VALUE = 5
    MODULE = 6
    OBJECT = 7
    STORAGE = 8
    REFERENCE = 9
    CODE = 10


_drawn: dict[tuple[int, int, float], QPixmap] = {}


def draw_symbol(painter: QPainter, symbol: Symbol, rect: QRect, colour: QColor) -> None:
    """Paint `symbol` into a square of 14 pixels."""
    device = painter.device()
    ratio = device.devicePixelRatio() if device is not None else 1.0
    key = (int(symbol), colour.rgba(), ratio)
    pixmap = _drawn.get(key)
    if pixmap is None:
        if len(_drawn) >= _KEPT:
            _drawn.clear()
        pixmap = _drawn[key] = _make(symbol, colour, ratio)
    painter.drawPixmap(rect.topLeft(), pixmap)


def _make(symbol: Symbol, colour: QColor, ratio: float) -> QPixmap:
    pixels = round(SIDE * ratio)
    pixmap = QPixmap(pixels, pixels)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = QPen(colour, 1.25)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    _SHAPES[symbol](painter, colour)
    painter.end()
    return pixmap


def _tensor(painter: QPainter, colour: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    for row in range(3):
        for column in range(3):
            fill = QColor(colour)
            # Unequal cells read as values, equal ones as a waffle menu.
            fill.setAlphaF((1.0, 0.45, 0.75)[(row * 2 + column) % 3] * colour.alphaF())
            painter.setBrush(fill)
            painter.drawRect(QRectF(1.0 + column * 4.25, 1.0 + row * 4.25, 3.5, 3.5))


def _group(painter: QPainter, colour: QColor) -> None:
    painter.drawPolyline(
        QPolygonF(
            [
                QPointF(1.5, 11.0),
                QPointF(1.5, 3.0),
                QPointF(5.0, 3.0),
                QPointF(6.5, 4.75),
                QPointF(12.5, 4.75),
                QPointF(12.5, 11.0),
                QPointF(1.5, 11.0),
            ]
        )
    )


def _fold(painter: QPainter, colour: QColor) -> None:
    painter.drawRoundedRect(QRectF(1.5, 5.0, 8.0, 7.5), 1.5, 1.5)
    painter.drawPolyline([QPointF(4.0, 3.25), QPointF(11.25, 3.25), QPointF(11.25, 10.0)])
    painter.drawPolyline([QPointF(6.5, 1.25), QPointF(13.0, 1.25), QPointF(13.0, 7.5)])


def _letters(painter: QPainter, text: str) -> None:
    font = painter.font()
    font.setPixelSize(11)
    font.setBold(True)
    painter.setFont(font)
    painter.drawText(QRectF(-2, -1, SIDE + 4, SIDE + 1), Qt.AlignmentFlag.AlignCenter, text)


def _mapping(painter: QPainter, colour: QColor) -> None:
    _letters(painter, "{ }")


def _sequence(painter: QPainter, colour: QColor) -> None:
    _letters(painter, "[ ]")


def _value(painter: QPainter, colour: QColor) -> None:
    painter.drawLine(QPointF(3.0, 5.5), QPointF(11.0, 5.5))
    painter.drawLine(QPointF(3.0, 8.75), QPointF(11.0, 8.75))


def _module(painter: QPainter, colour: QColor) -> None:
    painter.drawPolygon(
        QPolygonF(
            [
                QPointF(7.0, 1.25),
                QPointF(12.25, 4.1),
                QPointF(12.25, 9.9),
                QPointF(7.0, 12.75),
                QPointF(1.75, 9.9),
                QPointF(1.75, 4.1),
            ]
        )
    )
    painter.drawPolyline([QPointF(1.75, 4.1), QPointF(7.0, 7.0), QPointF(12.25, 4.1)])
    painter.drawLine(QPointF(7.0, 7.0), QPointF(7.0, 12.75))


def _object(painter: QPainter, colour: QColor) -> None:
    painter.drawPolygon(
        QPolygonF([QPointF(7, 1.75), QPointF(12.25, 7), QPointF(7, 12.25), QPointF(1.75, 7)])
    )


def _storage(painter: QPainter, colour: QColor) -> None:
    painter.drawEllipse(QRectF(2, 1.5, 10, 3.5))
    painter.drawLine(QPointF(2, 3.25), QPointF(2, 10.75))
    painter.drawLine(QPointF(12, 3.25), QPointF(12, 10.75))
    painter.drawArc(QRectF(2, 9.0, 10, 3.5), 180 * 16, 180 * 16)


def _reference(painter: QPainter, colour: QColor) -> None:
    painter.drawLine(QPointF(3, 11), QPointF(10.5, 3.5))
    painter.drawPolyline([QPointF(5.5, 3.25), QPointF(10.75, 3.25), QPointF(10.75, 8.5)])


def _code(painter: QPainter, colour: QColor) -> None:
    painter.drawPolyline([QPointF(4.75, 3.5), QPointF(1.5, 7), QPointF(4.75, 10.5)])
    painter.drawPolyline([QPointF(9.25, 3.5), QPointF(12.5, 7), QPointF(9.25, 10.5)])


_SHAPES = {
    Symbol.TENSOR: _tensor,
    Symbol.GROUP: _group,
    Symbol.FOLD: _fold,
    Symbol.MAPPING: _mapping,
    Symbol.SEQUENCE: _sequence,
    Symbol.VALUE: _value,
    Symbol.MODULE: _module,
    Symbol.OBJECT: _object,
    Symbol.STORAGE: _storage,
    Symbol.REFERENCE: _reference,
    Symbol.CODE: _code,
}
