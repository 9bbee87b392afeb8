"""Whether Qt can open a window here, before it tries: where it cannot, it calls abort()."""

from __future__ import annotations

import os
import re
import sys

# What Qt's xcb platform plugin links to and Debian or Ubuntu may lack, with the package
# that has it (`ldd libqxcb.so`, "Qt for X11 Requirements" in Qt's documentation).
XCB_LIBRARIES = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libX11-xcb.so.1": "libx11-xcb1",
}
BASE_PACKAGES = "libegl1 libgl1 libdbus-1-3 libfontconfig1 libxkbcommon0 libglib2.0-0"


def prepare(screenshot: bool) -> str:
    """Choose the platform where nobody did; a sentence if there is none to choose."""
    environment = os.environ
    if not sys.platform.startswith("linux") or environment.get("QT_QPA_PLATFORM"):
        return ""
    if not environment.get("DISPLAY") and not environment.get("WAYLAND_DISPLAY"):
        if not screenshot:
            return (
                "there is no display to open a window on; "
                "use “show FILE”, or “open FILE --screenshot OUT.png”"
            )
        environment["QT_QPA_PLATFORM"] = "offscreen"
        return ""
    if environment.get("WAYLAND_DISPLAY") and environment.get("XDG_SESSION_TYPE") == "wayland":
        return ""
    missing = missing_packages()
    if missing and screenshot:
        environment["QT_QPA_PLATFORM"] = "offscreen"
        return ""
    if missing:
        return (
            "Qt cannot open a window, because libraries of the system are missing; on Debian or "
            f"Ubuntu: apt-get install {' '.join(missing)}"
        )
    display = environment.get("DISPLAY", "")
    if display and not display_answers(display):
        return f"the display {display} does not answer"
    return ""


def missing_packages() -> list[str]:
    """Packages with the libraries that the xcb plugin needs and the system lacks."""
    # The cache that ld.so keeps answers at once; `ctypes` takes longer to import than this.
    known = _content("/etc/ld.so.cache")
    unknown = [name for name in XCB_LIBRARIES if f"{name}\0".encode() not in known]
    if not unknown:
        return []
    import ctypes

    missing = []
    for library in unknown:
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(XCB_LIBRARIES[library])
    return missing


def display_answers(display: str) -> bool:
    """Whether somebody listens at a local X display; a remote one is believed."""
    local = re.fullmatch(r"(?:unix)?:(\d+)(?:\.\d+)?", display)
    if local is None:
        return True
    path = f"/tmp/.X11-unix/X{local[1]}"
    if re.search(rb"@?%s$" % re.escape(path).encode(), _content("/proc/net/unix"), re.MULTILINE):
        return True
    import socket

    for address in (path, f"\0{path}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(address)
            except OSError:
                continue
            return True
    return False


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def import_trouble(error: ImportError) -> str:
    """Why PySide6 could not be imported, and what helps."""
    library = re.match(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file", str(error))
    if library is None:
        return f"the window cannot be opened: {error}"
    return (
        f"Qt needs {library[1]}, which the system lacks; on Debian or Ubuntu: "
        f"apt-get install {BASE_PACKAGES}"
    )
