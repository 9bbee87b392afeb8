"""Colours: the system's light or dark, or the one that the user chose.

Everything is derived from the palette in force, so a widget that is painted anew follows.
The pairs of `Tones` have a contrast of at least 4.5 to 1 (WCAG 2.2, AA); a test measures it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

SYSTEM, LIGHT, DARK = "system", "light", "dark"
_POLISHES = "_polishes_again"


class Tones(NamedTuple):
    """Colours beyond the palette's, as ``#rrggbb``.

    Attributes:
        muted: text of less weight.
        line: hairlines and frames.
        accent: what can be acted on.
        info, warning, error: text and icons.
        info_fill, warning_fill, error_fill: what lies behind them.
        series: parts of a bar, told apart side by side.
    """

    muted: str
    line: str
    accent: str
    info: str
    info_fill: str
    warning: str
    warning_fill: str
    error: str
    error_fill: str
    series: tuple[str, ...]


_LIGHT = Tones(
    muted="#5b6472",
    line="#d3d8e0",
    accent="#2f5fc4",
    info="#234a96",
    info_fill="#e6eefc",
    warning="#744a00",
    warning_fill="#fff1d0",
    error="#9c1f1f",
    error_fill="#fde7e5",
    series=("#3b6fd4", "#e08a1e", "#2a9d8f", "#b5489c", "#7a8b2d", "#c8453b", "#6f63c9", "#7d8796"),
)
_DARK = Tones(
    muted="#a3acba",
    line="#3d444f",
    accent="#8ab4ff",
    info="#b6cffc",
    info_fill="#22304a",
    warning="#ffd58a",
    warning_fill="#3d311a",
    error="#ffb3ad",
    error_fill="#452426",
    series=("#6f9bf2", "#f0a445", "#4fc2b2", "#d87fc3", "#a9bb57", "#ec7a70", "#a095f0", "#98a2b1"),
)


def is_dark(palette: QPalette) -> bool:
    """Whether text is lighter than what lies behind it."""
    window = palette.color(QPalette.ColorRole.Window).lightnessF()
    return window < palette.color(QPalette.ColorRole.WindowText).lightnessF()


def tones(palette: QPalette) -> Tones:
    """The colours that go with `palette`."""
    return _DARK if is_dark(palette) else _LIGHT


def apply(choice: str) -> None:
    """Show the application in `choice`: ``system``, ``light`` or ``dark``.

    Qt asks the platform first. Where the platform has no say in colours (a bare X server,
    no display), the Fusion style takes our own palette.
    """
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    if application.property(_POLISHES) is None:
        application.setProperty(_POLISHES, True)
        # Also where it is the system that changes its colours.
        application.paletteChanged.connect(_polish_again, Qt.ConnectionType.QueuedConnection)
    hints = QGuiApplication.styleHints()
    scheme = {LIGHT: Qt.ColorScheme.Light, DARK: Qt.ColorScheme.Dark}.get(
        choice, Qt.ColorScheme.Unknown
    )
    hints.setColorScheme(scheme)
    application.setPalette(QPalette())
    wanted_dark = choice == DARK
    platform_knows = hints.colorScheme() != Qt.ColorScheme.Unknown
    if choice == SYSTEM:
        # Where no platform theme says otherwise Qt takes Fusion, unless it is told not to.
        # Asking for the style's name would cost the start 6 ms: QStyle has many enumerations.
        if not platform_knows and not os.environ.get("QT_STYLE_OVERRIDE"):
            application.setPalette(_fusion_palette(is_dark(application.palette())))
    elif not platform_knows or is_dark(application.palette()) != wanted_dark:
        if application.style().name() != "fusion":
            application.setStyle("fusion")
        application.setPalette(_fusion_palette(wanted_dark))


def _polish_again() -> None:
    """A style sheet keeps the colours that it took from the palette before (Qt 6.11)."""
    for widget in QApplication.allWidgets():
        if sheet := widget.styleSheet():
            widget.setStyleSheet(sheet)


def _fusion_palette(dark: bool) -> QPalette:
    role = QPalette.ColorRole
    if dark:
        colours = {
            role.Window: "#20242b",
            role.WindowText: "#e6e9ee",
            role.Base: "#191c22",
            role.AlternateBase: "#1f232a",
            role.Text: "#e6e9ee",
            role.Button: "#2d323b",
            role.ButtonText: "#e6e9ee",
            role.BrightText: "#ffffff",
            role.ToolTipBase: "#2d323b",
            role.ToolTipText: "#e6e9ee",
            role.PlaceholderText: "#9aa3b1",
            role.Highlight: "#2f5fb3",
            role.HighlightedText: "#ffffff",
            role.Link: "#8ab4ff",
            role.LinkVisited: "#c3a6ff",
            role.Light: "#3a404b",
            role.Midlight: "#333842",
            role.Mid: "#15181d",
            role.Dark: "#121419",
            role.Shadow: "#0a0b0e",
        }
        faint = "#767f8d"
    else:
        colours = {
            role.Window: "#f3f4f6",
            role.WindowText: "#1c2128",
            role.Base: "#ffffff",
            role.AlternateBase: "#f7f8fa",
            role.Text: "#1c2128",
            role.Button: "#f7f8fa",
            role.ButtonText: "#1c2128",
            role.BrightText: "#ffffff",
            role.ToolTipBase: "#ffffff",
            role.ToolTipText: "#1c2128",
            role.PlaceholderText: "#687180",
            role.Highlight: "#2f66c8",
            role.HighlightedText: "#ffffff",
            role.Link: "#2f5fc4",
            role.LinkVisited: "#6b46b8",
            role.Light: "#ffffff",
            role.Midlight: "#e9ebef",
            role.Mid: "#b9c0ca",
            role.Dark: "#9aa2ae",
            role.Shadow: "#6b7280",
        }
        faint = "#98a0ac"
    palette = QPalette()
    for name, colour in colours.items():
        palette.setColor(name, QColor(colour))
    palette.setColor(role.Accent, QColor(colours[role.Highlight]))
    disabled = QPalette.ColorGroup.Disabled
    for name in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(disabled, name, QColor(faint))
    palette.setColor(disabled, role.Highlight, QColor(colours[role.Midlight]))
    return palette
