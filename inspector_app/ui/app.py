"""Starts the window.

Only what the first picture needs is imported: a bare PySide6 window takes 0.2 s, and ours
must not take twice as long.
"""

from __future__ import annotations

import gc
import os
import sys

from inspector_app.ui import handing_over, meeting_place, platform_check
from inspector_app.ui.handing_over import Meeting
from inspector_app.ui.window_protocol import Request

SCREENSHOT_SIZE = (1280, 800)
TROUBLE = 2


def run(
    files: list[str],
    screenshot: str | None = None,
    new_window: bool = False,
    compare: bool = False,
) -> int:
    """Show the window with `files` open, until it is closed; returns the exit status.

    Args:
        files: a tab for each.
        screenshot: paint the window once, write it to this PNG file and end. Works without
            a display, and neither reads nor changes what the window remembers.
        new_window: do not hand the files to a window that is open already.
        compare: one tab that compares the two files, the first of which is A.

    What keeps the window from starting is one line on stderr, and status 2.
    """
    trouble = platform_check.prepare(screenshot is not None)
    if trouble:
        return _fail(trouble)
    paths = [_absolute(path) for path in files]
    met, socket = Meeting(), ""
    if screenshot is None:
        # Before Qt: of fifty starts at once one needs it.
        met, socket = _meet(paths, new_window, compare)
        if met.handed:
            return 0
    try:
        import_ahead()
        from inspector_app.ui import windows
    except ImportError as error:
        return _fail(platform_check.import_trouble(error))
    if screenshot is not None:
        from inspector_app.ui import picture

        return picture.paint_once(paths, os.path.abspath(screenshot), SCREENSHOT_SIZE, compare)
    return windows.show_until_closed(paths, compare, socket, met.reason)


def _absolute(given: str) -> str:
    if given[:5].lower() == "file:":
        # Browsers and portals hand on URLs.
        from inspector_app.ui.given_paths import path_of

        return path_of(given)
    return os.path.abspath(given)


def _meet(paths: list[str], new_window: bool, compare: bool) -> tuple[Meeting, str]:
    """Hand the files to the window that is open; the socket if this becomes it, else ""."""
    place = meeting_place.find()
    if place is None:
        return Meeting(), ""
    if new_window:
        met = handing_over.be_first(place)
    else:
        environment = os.environ
        token = environment.get("XDG_ACTIVATION_TOKEN") or environment.get("DESKTOP_STARTUP_ID")
        met = handing_over.meet(place, Request(tuple(paths), compare, token or ""))
    return met, place.socket if met.lock is not None else ""


def import_ahead() -> None:
    """Import what is needed and has nothing to do with Qt, before Qt.

    Once PySide6 is there it reads the source of each further module, looking for its name.
    """
    # `collector` takes over later: what a start makes is no garbage.
    gc.disable()
    import inspector_app.analysis.quantities
    import inspector_app.checkpoint.recognise
    import inspector_app.checkpoint.torch_zip
    import inspector_app.ui.tree_building
    import inspector_app.ui.tree_filter  # noqa: F401


def _fail(sentence: str) -> int:
    print(f"checkpoint-inspector: {sentence}", file=sys.stderr)
    return TROUBLE
