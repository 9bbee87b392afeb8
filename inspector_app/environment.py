"""What the program runs on, in lines that go into a report of a problem.

Standard library alone; packages are looked up by their metadata and never imported: torch
would take a second and a half.
"""

from __future__ import annotations

import os
import platform
import sys

from inspector_app import __version__

# What a fault may come from, in the order of how near it is to us.
PACKAGES = (
    "PySide6-Essentials",
    "pyqtgraph",
    "numpy",
    "ml_dtypes",
    "numba",
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "safetensors",
    "torchao",
)
# Settings of the surroundings that change how the window looks or starts.
VARIABLES = (
    "XDG_SESSION_TYPE",
    "XDG_CURRENT_DESKTOP",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "QT_QPA_PLATFORM",
    "QT_QPA_PLATFORMTHEME",
    "QT_STYLE_OVERRIDE",
    "QT_SCALE_FACTOR",
    "QT_ENABLE_HIGHDPI_SCALING",
    "QT_FONT_DPI",
    "LANG",
)
Lines = list[tuple[str, str]]


def environment_lines() -> Lines:
    """Names and values: the program, Python, the system, packages, variables that are set.

    A path in the home folder begins with ``~``: the report is made to be given away.
    """
    kind = f"{platform.python_implementation()} {platform.python_version()}"
    lines = [
        ("Checkpoint Inspector", f"{__version__}, {_installation()}"),
        ("Python", f"{kind}, {sys.maxsize.bit_length() + 1} bit, {homeless(sys.executable)}"),
        ("System", ", ".join(filter(None, (platform.platform(), _distribution())))),
        ("Processors", str(os.cpu_count() or "unknown")),
        ("File names", sys.getfilesystemencoding()),
    ]
    lines += [(name, _version(name)) for name in PACKAGES]
    lines += [(name, homeless(os.environ[name])) for name in VARIABLES if name in os.environ]
    return lines


def report_text(lines: Lines) -> str:
    """The lines, each with its name before it, as text that can be sent."""
    # What comes from the surroundings may have line breaks of its own.
    return "\n".join(f"{name}: {' '.join(value.split())}" for name, value in lines) + "\n"


def homeless(path: str) -> str:
    """A path with the home folder, which names the user, written ``~``."""
    home = os.path.expanduser("~").rstrip(os.sep)
    if home and (path == home or path.startswith(home + os.sep)):
        return "~" + path[len(home) :]
    return path


def _installation() -> str:
    if getattr(sys, "frozen", False):
        return "the bundle"
    return f"in {homeless(os.path.dirname(os.path.abspath(__file__)))}"


def _distribution() -> str:
    if not sys.platform.startswith("linux"):
        return ""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""  # a system without that file is described by its kernel alone


def _version(name: str) -> str:
    # On use: importing it takes as long as a part of the window's start.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
