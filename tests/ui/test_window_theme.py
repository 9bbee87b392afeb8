from __future__ import annotations

import pytest
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from inspector_app.ui import theme


def luminance(colour: QColor) -> float:
    """WCAG 2.2, "relative luminance"."""
    parts = []
    for value in (colour.redF(), colour.greenF(), colour.blueF()):
        parts.append(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: QColor | str, other: QColor | str) -> float:
    light, dark = sorted((luminance(QColor(one)), luminance(QColor(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(params=[theme.LIGHT, theme.DARK])
def choice(request, qapp):
    theme.apply(request.param)
    yield request.param
    theme.apply(theme.SYSTEM)


def test_the_choice_is_what_is_seen(choice, qapp):
    assert theme.is_dark(qapp.palette()) == (choice == theme.DARK)
    assert theme.is_dark(QPalette()) == (choice == theme.DARK)


def test_texts_have_enough_contrast(choice, qapp):
    palette = qapp.palette()
    tones = theme.tones(palette)
    role = QPalette.ColorRole
    window, base = palette.color(role.Window), palette.color(role.Base)
    pairs = [
        (palette.color(role.WindowText), window),
        (palette.color(role.Text), base),
        (palette.color(role.ButtonText), palette.color(role.Button)),
        (palette.color(role.HighlightedText), palette.color(role.Highlight)),
        (palette.color(role.ToolTipText), palette.color(role.ToolTipBase)),
        (palette.color(role.PlaceholderText), base),
        (tones.muted, window),
        (tones.muted, base),
        (tones.accent, window),
        (tones.accent, base),
        (tones.info, tones.info_fill),
        (tones.warning, tones.warning_fill),
        (tones.warning, window),
        (tones.error, tones.error_fill),
        (tones.muted, tones.info_fill),
    ]
    for text, behind in pairs:
        assert contrast(text, behind) >= 4.5, (QColor(text).name(), QColor(behind).name())


def test_parts_of_a_bar_stand_out_and_differ(choice, qapp):
    series = theme.tones(qapp.palette()).series
    behind = qapp.palette().color(QPalette.ColorRole.Window)
    assert len(set(series)) == len(series)
    for colour in series:
        assert contrast(colour, behind) >= 2


def test_back_to_the_system(qapp):
    theme.apply(theme.SYSTEM)
    before = qapp.palette().color(QPalette.ColorRole.Window)
    theme.apply(theme.DARK)
    theme.apply(theme.SYSTEM)
    assert QApplication.palette().color(QPalette.ColorRole.Window) == before


def test_an_unknown_choice_is_the_system(qapp):
    theme.apply("purple")
    before = qapp.palette().color(QPalette.ColorRole.Window)
    theme.apply(theme.SYSTEM)
    assert qapp.palette().color(QPalette.ColorRole.Window) == before
