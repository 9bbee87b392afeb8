"""Where a second start finds the window that is open already. Cheap: each start looks there."""

from __future__ import annotations

import os
import re
import sys


def server_name() -> str:
    """A name for a local socket: alike for the same user on the same display only."""
    display = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or ""
    name = f"checkpoint-inspector-{re.sub(r'[^A-Za-z0-9]', '_', display)}"
    if sys.platform == "win32":
        return f"{name}-{os.environ.get('USERNAME', '')}"
    folder = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("TMPDIR") or "/tmp"
    return os.path.join(folder, f"{name}-{os.getuid()}")


def is_taken(name: str) -> bool:
    """Whether a window of this user may be listening; whether it does, only asking tells."""
    if sys.platform == "win32":
        return True
    try:
        # Anybody may put a socket into /tmp.
        return os.stat(name).st_uid == os.getuid()
    except OSError:
        return False
