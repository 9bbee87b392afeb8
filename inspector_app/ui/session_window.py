"""Begins what a window has of sessions, once it has been painted."""

from __future__ import annotations

import faulthandler
import sys

from inspector_app.checkpoint.text import plain
from inspector_app.ui import session_menu, session_restoring
from inspector_app.ui.banner import WARNING
from inspector_app.ui.main_window import MainWindow
from inspector_app.ui.session_files import WindowRecord
from inspector_app.ui.session_keeping import SessionKeeping
from inspector_app.ui.window_notice import WindowNotice


def begin(window: MainWindow, asked: bool) -> SessionKeeping | None:
    """Keep what the window has open, and deal with what windows before have left.

    Args:
        asked: the window was started to show certain files.

    Returns:
        What keeps it; None where nothing can be written.
    """
    session_menu.attach(window)
    if window.settings.broken:
        _say_settings_broken(window)
    # First its own files: what it restores is in them before it is done.
    try:
        record = WindowRecord()
    except OSError:
        session_restoring.settle(window, asked)
        window.say(
            window.tr("What is open will not survive a crash: the folder for it is not writable")
        )
        return None
    _write_crashes(record)
    keeping = SessionKeeping(window, record)
    session_restoring.settle(window, asked)
    return keeping


def _write_crashes(record: WindowRecord) -> None:
    """Let Python write down where it is when the process dies."""
    if sys.stderr is not None and faulthandler.is_enabled():
        return  # somebody looks at a terminal, as `python -X dev` does
    try:
        # Open until the end: what happens then has no time to open a file.
        log = open(record.crash, "w", encoding="utf-8")  # noqa: SIM115
    except OSError:
        return
    faulthandler.enable(log)
    record.keep_open(log)


def _say_settings_broken(window: MainWindow) -> None:
    title = window.tr("The settings were damaged, and begin anew")
    cause = window.tr("What they were is kept as {path}").format(
        path=plain(window.settings.broken, 400)
    )
    WindowNotice.of(window).show_message(WARNING, title, cause)
