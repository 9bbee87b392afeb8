"""Long work whose loops let go of Python's lock: reading, and compiled kernels.

`tasks.Steps` is for work bound by Python, which a thread would not make faster. `Background`
steps a generator in a thread of its own, so a step may take long as long as it holds the
lock (the GIL) for moments only. Between its steps the thread waits while the window has
something to do: a painted row asks Python a dozen times, and each time would wait for the
lock.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Generator
from functools import partial
from threading import Event, Lock, Thread
from time import perf_counter
from typing import Any

from PySide6.QtCore import QAbstractEventDispatcher, QCoreApplication, QObject, QTimer, Signal

POLL_MS = 15
HANDED_SECONDS = 0.008  # of results handed out at once: half a frame at 60 Hz
# A window that is never idle (an animation) must not stop the work.
LONGEST_WAIT_SECONDS = 0.03
# What the window has not yet taken; the thread waits rather than pile up more.
MOST_ARRIVED = 256

# How long a thread may keep the lock that another waits for; Python's own is 5 ms, and a
# painted picture asks for it hundreds of times. Importing the kernels holds it most of all.
SWITCH_SECONDS = 0.0005

_YIELDED, _RETURNED, _RAISED = range(3)


class Background(QObject):
    """Runs a generator in a thread; what it yields arrives on the thread that made this.

    Signals:
        progress: each object that the generator yielded, in order.
        finished: the generator's return value.
        failed: the exception that ended it.

    Exactly one of `finished` and `failed` is emitted, as the last, or neither after a cancel.
    """

    progress = Signal(object)
    finished = Signal(object)
    failed = Signal(object)

    def __init__(self, generator: Generator[Any, None, Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = _Worker(generator)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._hand_out)
        # Not a method of this object, which is half gone when `destroyed` is emitted; and
        # Qt keeps a partial, but not what a method is bound to.
        self.destroyed.connect(partial(_Worker.end, self._worker))
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self._quit)

    @property
    def running(self) -> bool:
        """It was started and has neither ended nor been cancelled."""
        return self._timer.isActive()

    def start(self) -> None:
        """Begin. A second call, or one after a cancel, does nothing."""
        if not self._timer.isActive() and self._worker.start():
            dispatcher = QAbstractEventDispatcher.instance()
            dispatcher.aboutToBlock.connect(self._window_idle)
            dispatcher.awake.connect(self._window_busy)
            self._timer.start()

    def cancel(self) -> None:
        """Stop at the next yield and close the generator there. Returns at once; emits nothing."""
        self._worker.cancel()
        self._stop_listening()

    def wait(self) -> None:
        """Return when the thread has ended: after `cancel`, within a step of the generator."""
        self._worker.join()

    def _stop_listening(self) -> None:
        if self._timer.isActive():
            self._timer.stop()
            dispatcher = QAbstractEventDispatcher.instance()
            if dispatcher is not None:
                dispatcher.aboutToBlock.disconnect(self._window_idle)
                dispatcher.awake.disconnect(self._window_busy)
        self._worker.may_step.set()

    def _quit(self) -> None:
        self._worker.end()

    def _window_idle(self) -> None:
        self._worker.may_step.set()

    def _window_busy(self) -> None:
        self._worker.may_step.clear()

    def _hand_out(self) -> None:
        end = perf_counter() + HANDED_SECONDS
        arrived = self._worker.arrived
        while arrived and self._timer.isActive():
            what, value = arrived.popleft()
            if what == _YIELDED:
                self.progress.emit(value)
            else:
                self._stop_listening()
                (self.finished if what == _RETURNED else self.failed).emit(value)
                return
            if perf_counter() >= end:
                return


class _QuickSwitches:
    """While any thread is in here, Python switches between threads more often."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._threads = 0
        self._usual = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if not self._threads:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(SWITCH_SECONDS)
            self._threads += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                sys.setswitchinterval(self._usual)


_quick_switches = _QuickSwitches()


class _Worker:
    """The thread, and what the two threads share. Knows nothing of Qt."""

    def __init__(self, generator: Generator[Any, None, Any]) -> None:
        self._generator: Generator[Any, None, Any] | None = generator
        self._thread: Thread | None = None
        self._cancelled = Event()
        self.may_step = Event()
        self.may_step.set()
        self.arrived: deque[tuple[int, Any]] = deque()

    def start(self) -> bool:
        if self._thread is not None or self._cancelled.is_set():
            return False
        self._thread = Thread(target=self._run, name="background", daemon=False)
        self._thread.start()
        return True

    def cancel(self) -> None:
        self._cancelled.set()
        self.may_step.set()
        generator = self._generator
        if self._thread is None and generator is not None:
            self._generator = None
            generator.close()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def end(self, *_destroyed: object) -> None:
        self.cancel()
        self.join()

    def _run(self) -> None:
        with _quick_switches:
            self._step_through()

    def _step_through(self) -> None:
        generator, self._generator = self._generator, None
        assert generator is not None
        try:
            while not self._cancelled.is_set():
                self.arrived.append((_YIELDED, next(generator)))
                self.may_step.wait(LONGEST_WAIT_SECONDS)
                while len(self.arrived) >= MOST_ARRIVED and not self._cancelled.is_set():
                    self._cancelled.wait(POLL_MS / 1_000)
            generator.close()
        except StopIteration as stop:
            self.arrived.append((_RETURNED, stop.value))
        except Exception as error:
            # Whatever it is, somebody must show it: a thread would print it and go on.
            self.arrived.append((_RAISED, error))
