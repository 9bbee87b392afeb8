"""What a window restores, until it is there as it was.

A file may be unreadable for now, its drive gone, or take its time: until what was chosen
before can be filled in, it stays in the session. And what was just restored may be what the
window before died of: for a while nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from shiboken6 import isValid

from inspector_app.ui.main_window import MainWindow
from inspector_app.ui.session import DialogState, Session, TabState
from inspector_app.ui.waiting_for import WaitingFor

TRIAL_MS = 10_000
State = TabState | DialogState


class Restored(QObject):
    """Belongs to a window; made with `of`.

    Attributes:
        on_trial: what was restored may yet end this process.
        keep_at_once: writes what is open, and what is about to be; False if it could not.

    Signals:
        proven: it has not.
    """

    proven = Signal()

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.on_trial = False
        self.keep_at_once: Callable[[Session], bool] = lambda _session: False
        self._window = window
        self._waiting: list[tuple[State, QObject]] = []
        self._trial = QTimer(self)
        self._trial.timeout.connect(self._look)

    @classmethod
    def of(cls, window: MainWindow) -> Restored:
        """What is restored in a window."""
        # Not among all of its children: it has thousands of widgets.
        found = window.findChild(cls, "", Qt.FindChildOption.FindDirectChildrenOnly)
        return found if isinstance(found, cls) else cls(window)

    def begin_trial(self) -> None:
        """Something is about to be restored: it is on trial until it was read, and longer."""
        self.on_trial = True
        self._trial.start(TRIAL_MS)

    def fill_in(
        self,
        state: State,
        owner: QObject,
        ready: Callable[[], bool],
        fill: Callable[[], object],
    ) -> None:
        """Do `fill` once it is `ready`, which may be never; until then `state` is kept.

        Args:
            owner: the tab or the dialog; once somebody closes it nothing is kept.
        """
        entry = (state, owner)
        self._waiting.append(entry)

        def come() -> None:
            fill()
            self._waiting = [each for each in self._waiting if each is not entry]

        WaitingFor(ready, come, owner)

    def waiting(self, owner: QObject) -> list[State]:
        """What is not filled in yet of a tab, or a dialog: of a tab with its dialogs."""
        self._waiting = [each for each in self._waiting if isValid(each[1])]
        return [state for state, owned in self._waiting if owned is owner]

    def _look(self) -> None:
        if all(tab.is_settled() for tab in self._window.all_tabs()):
            self._trial.stop()
            self.on_trial = False
            self.proven.emit()
