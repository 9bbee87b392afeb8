"""Check boxes and radio buttons that can be seen in dark windows as well.

The Fusion style outlines them in a darker shade of the window's colour, which on a dark
window is next to nothing.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QRadioButton,
    QStyle,
    QStyleOptionButton,
)

from inspector_app.ui import theme

_ROUNDING = 2.0


class CheckBox(QCheckBox):
    """`QCheckBox`, outlined where the window is dark."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        _outline(self, QStyle.SubElement.SE_CheckBoxIndicator, round_=False)


class RadioButton(QRadioButton):
    """`QRadioButton`, outlined where the window is dark."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        _outline(self, QStyle.SubElement.SE_RadioButtonIndicator, round_=True)


def _outline(button: QAbstractButton, indicator: QStyle.SubElement, round_: bool) -> None:
    option = QStyleOptionButton()
    option.initFrom(button)
    palette = button.palette()
    if not theme.is_dark(palette):
        return
    place = QRectF(button.style().subElementRect(indicator, option, button))
    place.adjust(0.5, 0.5, -0.5, -0.5)
    colour = QColor(theme.tones(palette).muted)
    if not button.isEnabled():
        colour.setAlphaF(0.5)
    painter = QPainter(button)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour, 1))
    if round_:
        painter.drawEllipse(place)
    else:
        painter.drawRoundedRect(place, _ROUNDING, _ROUNDING)
    painter.end()
