"""Faults of our own: caught wherever they are raised, written down, shown once. The window lives.

It imports little; what shows a fault comes with the first one.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtWidgets import QWidget

# Different faults that are shown; after those the program only counts.
MOST_SHOWN = 20


class ErrorCatching(QObject):
    """Takes the place of Python's hooks until `restore`.

    Args:
        window: before which faults are shown.

    Attributes:
        times: how often each fault was met, by its kind and place.
    """

    _met = Signal(str, str)

    def __init__(self, window: QWidget | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.window = window
        self.times: Counter[str] = Counter()
        self._busy = threading.local()
        self._before = sys.excepthook, threading.excepthook, sys.unraisablehook
        # From any thread: a queued signal is shown by the window's.
        self._met.connect(self._show)
        sys.excepthook = self._raised
        threading.excepthook = self._raised_in_thread
        sys.unraisablehook = self._not_raisable

    def restore(self) -> None:
        """Give the hooks back."""
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._before

    def _raised(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        self._before[0](kind, error, trace)
        if issubclass(kind, Exception):
            self.note(error, trace)

    def _raised_in_thread(self, said: threading.ExceptHookArgs) -> None:
        self._before[1](said)
        if issubclass(said.exc_type, Exception) and said.exc_value is not None:
            name = said.thread.name if said.thread is not None else "?"
            self.note(said.exc_value, said.exc_traceback, name)

    def _not_raisable(self, said: Any) -> None:
        self._before[2](said)
        if isinstance(said.exc_value, Exception):
            self.note(said.exc_value, said.exc_traceback)

    def note(self, error: BaseException, trace: TracebackType | None, thread: str = "") -> None:
        """Count a fault, and show it unless it has been shown.

        Args:
            thread: the name of the thread that it ended, "" for the window's.
        """
        with suppress(type(error)):
            # Within an event loop that Python has begun, PySide keeps the error as well, for
            # whoever asks it next.
            QCoreApplication.instance()
        # A fault within this, or while everything is taken down, is only printed.
        if QCoreApplication.instance() is None or QCoreApplication.closingDown():
            return
        if getattr(self._busy, "noting", False):
            return
        self._busy.noting = True
        try:
            from inspector_app.ui import error_report

            which = f"{type(error).__name__} {error_report.place_of(trace)}"
            self.times[which] += 1
            if self.times[which] > 1:
                text = ""
            elif len(self.times) <= MOST_SHOWN:
                text = error_report.fault_text(error, thread)
            else:
                return
            self._met.emit(which, text)
        except Exception:
            # Nothing is left but to say so: who reads it is who started us from a terminal.
            self._before[0](*sys.exc_info())  # type: ignore[arg-type]
        finally:
            self._busy.noting = False

    def _show(self, which: str, text: str) -> None:
        self._busy.noting = True
        try:
            from inspector_app.ui.error_dialog import show_fault

            show_fault(self.window, which, text, self.times[which])
        except Exception:
            self._before[0](*sys.exc_info())  # type: ignore[arg-type]
        finally:
            self._busy.noting = False
