"""Keeps what the window has open, so that a crash costs nothing of it.

Every two seconds, while somebody uses the window, it looks at what is open: milliseconds.
Where that is another than before it is written, in a thread: a folder on a network may take
its time.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication

from inspector_app.ui import session_files
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.main_window import MainWindow
from inspector_app.ui.session import Session
from inspector_app.ui.session_dialogs import DialogStates, waiting_for_tabs
from inspector_app.ui.session_files import WindowRecord
from inspector_app.ui.session_restored import Restored
from inspector_app.ui.session_tabs import tab_states

LOOK_MS = 2_000
SOON_MS = 300


class SessionKeeping(QObject):
    """Belongs to a window, from its first picture until it is closed.

    Args:
        files: of this window, which this ends.
    """

    def __init__(self, window: MainWindow, files: WindowRecord) -> None:
        super().__init__(window)
        self._window = window
        self._files = files
        self._dialogs = DialogStates(window)
        self._kept: Session | None = None
        self._writing: Session | None = None
        self._work = LatestWork(self)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._soon.timeout.connect(self.look)
        # What somebody would miss most is kept at once.
        window.tabs.opened.connect(self._look_soon)
        window.tabs.emptied.connect(self._look_soon)
        window.tabs.currentChanged.connect(self._look_soon)
        restored = Restored.of(window)
        restored.proven.connect(self._look_soon)
        restored.keep_at_once = self.keep_at_once
        application = QGuiApplication.instance()
        assert isinstance(application, QGuiApplication)
        application.applicationStateChanged.connect(self._look_soon)
        application.aboutToQuit.connect(self.end)
        self.look()

    def look(self) -> None:
        """Keep what is open now, if it is another than what is kept."""
        if self._work.running:
            self._soon.start()
            return
        session = session_of(self._window, self._dialogs)
        session = replace(session, unproven=Restored.of(self._window).on_trial)
        if session == self._kept:
            return
        self._writing = session
        self._work.run(_saving(self._files, session), _nothing, self._saved, self._not_saved)

    def keep_at_once(self, session: Session) -> bool:
        """Keep it before anything is done with it; False if it cannot be written."""
        self._work.stop()
        self._writing = None
        try:
            self._files.save(session)
        except OSError:
            return False
        self._kept = session
        return True

    def end(self) -> None:
        """The program ends: if the window was closed, what it had is the last session."""
        self._timer.stop()
        self._soon.stop()
        self._work.stop()
        if self._window.isVisible():
            return  # Nobody closed it: its display has died. The next start finds what is kept.
        # Dialogs were closed with it, but for those that nobody has seen.
        later = tuple(waiting_for_tabs(self._window))
        session = Session(tab_states(self._window), _front(self._window), later)
        if session:
            # Without it the sessions before stay the last.
            with suppress(OSError):
                session_files.keep_last(session)
        self._files.end()

    def _look_soon(self, *_what: object) -> None:
        self._soon.start()

    def is_kept(self) -> bool:
        """What was open at the last look is on the disk."""
        return self._kept is not None and not self._work.running

    def _look(self) -> None:
        if QGuiApplication.applicationState() == Qt.ApplicationState.ApplicationActive:
            self.look()

    def _saved(self, _nothing: object) -> None:
        self._kept, self._writing = self._writing, None

    def _not_saved(self, error: Exception) -> None:
        if not isinstance(error, OSError):
            raise error
        # A full disk: the next look tries again.
        self._writing = None


def session_of(window: MainWindow, dialogs: DialogStates) -> Session:
    """What a window has open."""
    return Session(tab_states(window), _front(window), tuple(dialogs.now()))


def _front(window: MainWindow) -> int:
    return max(window.tabs.currentIndex(), 0)


def _saving(files: WindowRecord, session: Session) -> Generator[None, None, None]:
    files.save(session)
    yield


def _nothing(_progress: object) -> None:
    pass
