"""Opens again what was open: after a crash, when it is asked for, or at every start."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from PySide6.QtCore import QCoreApplication, QObject

from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui import session_files, settings
from inspector_app.ui.banner import ERROR, WARNING
from inspector_app.ui.main_window import MainWindow
from inspector_app.ui.session import DialogState, Session
from inspector_app.ui.session_dialogs import DialogStates, open_dialog
from inspector_app.ui.session_files import DeadWindow
from inspector_app.ui.session_keeping import session_of
from inspector_app.ui.session_restored import Restored
from inspector_app.ui.session_tabs import open_tab
from inspector_app.ui.window_notice import WindowNotice

_MOST_NAMED = 3
_LONGEST_NAME = 40
Buttons = list[tuple[str, Callable[[], object]]]


def restore(window: MainWindow, session: Session) -> bool:
    """Open what was open beside what is; a file that is gone says so in its tab.

    Returns:
        It is kept as what this window has open, should the process die of it.
    """
    restored = Restored.of(window)
    restored.begin_trial()
    both = session_of(window, DialogStates(window)).joined(session)
    kept = restored.keep_at_once(replace(both, unproven=True))
    tabs = [open_tab(window, state) for state in session.tabs]
    if session.front < len(tabs):
        window.tabs.setCurrentWidget(tabs[session.front])
    for state in session.dialogs:
        open_dialog(window, state)
    return kept


def reopen_last(window: MainWindow) -> None:
    """Open what was open when a window was closed last."""
    session, broken = session_files.last_session()
    if session:
        restore(window, session)
    elif broken:
        _say_broken(window, broken)
    else:
        window.say(_tr("There is no earlier session"))


class LeftBehind(QObject):
    """What windows that died have left; it is offered until somebody answers.

    Args:
        dead: they, of which this has the locks.
    """

    def __init__(self, window: MainWindow, dead: list[DeadWindow]) -> None:
        # The window's: a button's connection keeps nothing alive.
        super().__init__(window)
        self._window = window
        self._dead = dead
        self.session = Session()
        for each in dead:
            self.session = each.session.joined(self.session)

    def settle(self, at_once: bool) -> None:
        """Restore it `at_once`, or offer that; say what crashed, and what was damaged."""
        crash = next((each.crash for each in self._dead if each.crash), "")
        broken = next((each.broken for each in self._dead if each.broken), "")
        report = _keep_crash(crash) if crash else ""
        if crash:
            self.session = replace(self.session, unproven=True)
        more: Buttons = []
        if report:
            for each in self._dead:
                each.forget_crash()
            more.append((_tr("Show Report"), lambda: _show_report(self._window, report)))
        missing = bool(self.session) and not _is_open(self._window, self.session)
        title = _tr("Checkpoint Inspector crashed")
        # What it died of may be among what was open: then somebody has to ask for it.
        if missing and (self.session.unproven or not at_once):
            self._offer(title if crash else _tr("The last session ended unexpectedly"), more)
            return
        if missing:
            self.restore()
        else:
            self._forget()
        if crash:
            WindowNotice.of(self._window).show_message(WARNING, title, buttons=more)
        elif broken:
            _say_broken(self._window, broken)

    def restore(self) -> None:
        """Open it all."""
        self._hide_notice()
        # Where it is nowhere else it stays, and the next start finds it again.
        if restore(self._window, self.session):
            self._forget()

    def decline(self) -> None:
        """It becomes the last session, which the menu opens."""
        self._hide_notice()
        try:
            session_files.keep_last(self.session)
        except OSError:
            return  # the next start offers it again
        self._forget()
        self._window.say(_tr("File → Reopen the Last Session opens it later"))

    def _offer(self, title: str, more: Buttons) -> None:
        buttons = [(_tr("&Restore"), self.restore), *more, (_tr("Not Now"), self.decline)]
        what = _what_was_open(self.session)
        notice = WindowNotice.of(self._window)
        notice.show_message(WARNING, title, what, buttons=buttons)
        if self._window.tab() is None:
            notice.setFocus()

    def _hide_notice(self) -> None:
        if self._window.findChild(WindowNotice) is not None:
            WindowNotice.of(self._window).hide()

    def _forget(self) -> None:
        for each in self._dead:
            each.forget()
        self._dead = []


def settle(window: MainWindow, asked: bool) -> LeftBehind:
    """Deal with windows that died, and open the last session if that is to be at every start.

    Args:
        asked: the window was started to show certain files.
    """
    always = window.settings.read(settings.REOPEN_AT_START) and not asked
    left = LeftBehind(window, session_files.dead_windows())
    had = bool(left.session)
    left.settle(always)
    if always and not had:
        last = session_files.last_session()[0]
        if last.unproven:
            window.say(
                _tr("What was open last ended a window: File → Reopen the Last Session opens it")
            )
        else:
            restore(window, last)
    return left


def _is_open(window: MainWindow, session: Session) -> bool:
    open_now = {tuple(tab.paths()) for tab in window.all_tabs()}
    return not session.dialogs and all(tab.paths in open_now for tab in session.tabs)


def _what_was_open(session: Session) -> str:
    names = [
        plain(os.path.basename(tab.paths[0]) or tab.paths[0], _LONGEST_NAME)
        for tab in session.tabs[:_MOST_NAMED]
    ]
    said = ", ".join(names)
    if len(session.tabs) > _MOST_NAMED:
        rest = count_text(len(session.tabs) - _MOST_NAMED)
        said = _tr("{names} and {n} more").format(names=said, n=rest)
    if session.dialogs:
        kinds = ", ".join(dict.fromkeys(map(_dialog_words, session.dialogs)))
        said = _tr("{files}; not finished: {dialogs}").format(files=said, dialogs=kinds)
    return _tr("It had open: {what}").format(what=said)


def _dialog_words(state: DialogState) -> str:
    if state.kind == "save" and state.details.get("clean") is True:
        return _tr("Save a Clean Copy")
    words: dict[str, Callable[[], str]] = {
        "export": lambda: _tr("Export"),
        "quantize": lambda: _tr("Quantize"),
        "save": lambda: _tr("Save As"),
        "transfer": lambda: _tr("Transfer Weights"),
    }
    return words[state.kind]() if state.kind in words else plain(state.kind, 20)


def _say_broken(window: MainWindow, path: str) -> None:
    cause = _tr("It is kept as {path}").format(path=plain(path, 400))
    title = _tr("The file of the last session is damaged")
    WindowNotice.of(window).show_message(ERROR, title, cause)


def _keep_crash(crash: str) -> str:
    from inspector_app.ui import error_report

    with suppress(OSError):
        text = error_report.with_surroundings(error_report.crash_text(crash))
        return error_report.keep(text)
    return ""


def _show_report(window: MainWindow, path: str) -> None:
    from inspector_app.ui.error_dialog import show_report

    show_report(window, path)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Session", text)
