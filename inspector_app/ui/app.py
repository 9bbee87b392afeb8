"""Starts the window.

Only what the first picture needs is imported: a bare PySide6 window takes 0.2 s, and ours
must not take twice as long.
"""

from __future__ import annotations

import gc
import os
import sys

from inspector_app.ui import file_lock, meeting_place, platform_check

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
    socket, lock, reason = "", None, ""
    if screenshot is None:
        # Before Qt: of fifty starts at once one needs it.
        handed, socket, lock, reason = _meet(paths, new_window, compare)
        if handed:
            if "DESKTOP_STARTUP_ID" in os.environ:
                from inspector_app.ui.startup_end import end_startup

                end_startup()
            return 0
    try:
        import_ahead()
        from inspector_app.ui import windows
    except ImportError as error:
        return _fail(platform_check.import_trouble(error))
    if screenshot is not None:
        from inspector_app.ui import picture

        return picture.paint_once(paths, os.path.abspath(screenshot), SCREENSHOT_SIZE, compare)
    return windows.show_until_closed(paths, compare, socket, lock, reason)


def _absolute(given: str) -> str:
    if given[:5].lower() == "file:":
        # Browsers and portals hand on URLs.
        from inspector_app.ui.given_paths import path_of

        return path_of(given)
    return os.path.abspath(given)


def _meet(paths: list[str], new_window: bool, compare: bool) -> tuple[bool, str, int | None, str]:
    """Be the window that later starts find, or let the one that is have the files.

    Returns:
        Whether an open window took them; else the socket to listen at and the lock that allows
        it, "" and None where another window has them, and why that did not take the files.
    """
    place = meeting_place.find()
    if place is None:
        return False, "", None, ""
    try:
        lock = file_lock.take(place.lock)
    except OSError:
        return False, "", None, ""  # no locks are to be had there: each start has its window
    if lock is not None or new_window:
        return False, place.socket if lock is not None else "", lock, ""
    from inspector_app.ui.handing_over import meet
    from inspector_app.ui.window_protocol import Request

    environment = os.environ
    token = environment.get("XDG_ACTIVATION_TOKEN") or environment.get("DESKTOP_STARTUP_ID") or ""
    met = meet(place, Request(tuple(paths), compare, token))
    return met.handed, place.socket if met.lock is not None else "", met.lock, met.reason


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
