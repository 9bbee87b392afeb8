"""What the program and its window run on, as text to copy."""

from __future__ import annotations

from PySide6 import __version__ as pyside_version
from PySide6.QtCore import QLibraryInfo, QSettings, QSysInfo, qVersion
from PySide6.QtGui import QGuiApplication, QScreen
from PySide6.QtWidgets import QApplication

from inspector_app.environment import Lines, environment_lines, homeless, report_text
from inspector_app.ui import state_folder, theme
from inspector_app.ui.settings import ORGANIZATION


def report() -> str:
    """All of it, a line for each fact."""
    lines = environment_lines()
    # After the program and Python: what is seen comes from Qt.
    return report_text(lines[:2] + window_lines() + lines[2:])


def settings_path() -> str:
    """The file that `settings.Settings` is kept in."""
    form, scope = QSettings.Format.IniFormat, QSettings.Scope.UserScope
    return QSettings(form, scope, ORGANIZATION, ORGANIZATION).fileName()


def window_lines() -> Lines:
    """Qt, the platform's plugin, the style, each screen, where settings are kept."""
    app = QGuiApplication.instance()
    assert isinstance(app, QApplication)
    shared = "" if QLibraryInfo.isSharedBuild() else ", static"
    scheme = QGuiApplication.styleHints().colorScheme().name.lower()
    shown = "dark" if theme.is_dark(app.palette()) else "light"
    font = app.font()
    lines = [
        ("Qt", f"{qVersion()}{shared} for {QSysInfo.buildAbi()}, PySide6 {pyside_version}"),
        ("Window system", app.platformName()),
        ("Style", f"{app.style().name()}, {shown}; the system says {scheme}"),
        ("Font", f"{font.family()}, {font.pointSizeF():g} pt"),
    ]
    screens = app.screens()
    for number, screen in enumerate(screens, 1):
        name = f"Screen {number}" if len(screens) > 1 else "Screen"
        lines.append((name, _screen(screen)))
    lines.append(("Settings", homeless(settings_path())))
    lines.append(("Sessions and logs", homeless(state_folder.folder())))
    return lines


def _screen(screen: QScreen) -> str:
    size = screen.size()
    return (
        f"{size.width()}x{size.height()} at {screen.devicePixelRatio():.0%}, "
        f"{screen.logicalDotsPerInch():g} dpi, {screen.depth()} bit"
    )
