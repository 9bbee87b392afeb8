"""An empty box can be told from a dark window."""

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QCheckBox, QWidget

from inspector_app.ui import theme
from inspector_app.ui.boxes import CheckBox, RadioButton


def luminance(colour: QColor) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = (colour.redF(), colour.greenF(), colour.blueF())
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def best_contrast(qtbot, kind) -> float:
    """The best contrast between the window and a pixel where the indicator is."""
    window = QWidget()
    qtbot.addWidget(window)
    box = kind(window)
    box.resize(30, 30)
    window.resize(30, 30)
    window.show()
    picture = window.grab().toImage()
    ground = luminance(picture.pixelColor(29, 29))
    best = 1.0
    for x in range(picture.width()):
        for y in range(picture.height()):
            light = luminance(picture.pixelColor(x, y))
            best = max(best, (max(light, ground) + 0.05) / (min(light, ground) + 0.05))
    return best


@pytest.mark.parametrize("kind", [CheckBox, RadioButton])
def test_an_empty_box_stands_out_in_the_dark(qtbot, kind):
    theme.apply(theme.DARK)
    try:
        assert best_contrast(qtbot, QCheckBox) < 3 <= best_contrast(qtbot, kind)
    finally:
        theme.apply(theme.SYSTEM)
