"""The desktop of who runs this, on the system that it runs on."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Protocol

from inspector_app.desktop.report import Change, DesktopTrouble, Status
from inspector_app.resources_path import resource_path


class Desktop(Protocol):
    """What each system's desktop can do."""

    def install(self, command: Sequence[str], default: bool) -> Change:
        """Make the types known, and `command` as what opens them."""

    def uninstall(self) -> Change:
        """Leave nothing of that."""

    def status(self) -> Status:
        """What there is."""


def this_desktop() -> Desktop:
    """The desktop of this user.

    Raises:
        DesktopTrouble: there is none that we know, or the installation is not whole.
    """
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        raise DesktopTrouble("this user has no home folder")
    try:
        if sys.platform == "win32":
            import winreg

            from inspector_app.desktop.windows import WindowsDesktop

            return WindowsDesktop(winreg, resource_path("icons"))
        if sys.platform == "darwin" and getattr(sys, "frozen", False):
            raise DesktopTrouble(
                "this application makes its file types known by itself: "
                "move it to the Applications folder"
            )
        if sys.platform == "darwin":
            from inspector_app.desktop.macos import MacDesktop

            return MacDesktop(home, resource_path("icons"))
    except FileNotFoundError as error:
        raise DesktopTrouble(f"this installation is not whole: {error}") from None
    from inspector_app.desktop.linux import LinuxDesktop

    return LinuxDesktop(os.environ, home)
