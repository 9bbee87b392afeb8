"""Where the measured windows are painted."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def display() -> Iterator[tuple[str, dict[str, str]]]:
    """The name of a platform, and the environment that selects it for both sides.

    The display that is there; else an Xvfb of its own; else Qt's offscreen platform.
    """
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        yield "the display", {}
    elif shutil.which("Xvfb"):
        reader, writer = os.pipe()
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
            pass_fds=[writer],
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        try:
            with os.fdopen(reader) as answers:
                number = answers.readline().strip()
            if not number:
                raise RuntimeError("Xvfb did not start")
            yield "Xvfb", {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
        finally:
            server.terminate()
            server.wait()
    else:
        yield "offscreen", {"QT_QPA_PLATFORM": "offscreen"}
