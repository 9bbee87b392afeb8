"""What the pictures of values are made of, imported before somebody waits for it.

They cost 24 MB, which a window that is only glanced at does not need: they come when somebody
turns to the tree or to the tabs of the pictures, with the mouse or a key. That is about half a
second before a picture is asked for, and they take a third of one. The imports run in a thread,
between whose steps the window goes first.

PySide makes each class when it is asked for first, and not for two threads at once: where both
ask for the same one, the second takes it out of the table that the first still points into
(`incarnateType` in shiboken's sbkmodule.cpp), and the process dies. pyqtgraph asks for every
class there is. So they are all made here before, on the window's thread and in its pauses.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module
from weakref import WeakSet

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtWidgets import QAbstractScrollArea, QWidget

from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.tasks import Steps

_INTENT = frozenset(
    {QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress, QEvent.Type.KeyPress, QEvent.Type.Wheel}
)
_NAMES = (
    "numpy",
    "ml_dtypes",
    "inspector_app.analysis.decimate",
    "pyqtgraph",
    "inspector_app.ui.heatmap_view",
)


class EarlyImports(QObject):
    """Imports once, in the background.

    Signals:
        ready: it is done. What could not be imported is told by who needs it.
    """

    ready = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.is_ready = False
        self._expected = self._begun = False
        # Not held: what they show would outlive its tab, by the cycle.
        self._watched: WeakSet[QWidget] = WeakSet()
        self._classes: Steps | None = None
        self._work = LatestWork(self)

    @property
    def running(self) -> bool:
        """It has begun and is not done."""
        return self._classes is not None or self._work.running

    def watch(self, widget: QWidget) -> None:
        """Begin when somebody turns to `widget`, if it is expected then."""
        places = [widget]
        if isinstance(widget, QAbstractScrollArea):
            places.append(widget.viewport())
        for place in places:
            place.installEventFilter(self)
        self._watched.update(places)

    def expect(self) -> None:
        """There is something to picture: begin when somebody turns to it, or go on."""
        self._expected = True
        if self._begun:
            self.begin()

    def begin(self) -> None:
        """It is needed now."""
        self._begun = True
        for widget in self._watched:
            widget.removeEventFilter(self)
        self._watched.clear()
        if not self.is_ready and not self.running:
            self._classes = Steps(_making_classes(), self)
            self._classes.finished.connect(self._classes_made)
            self._classes.start()

    def stop(self) -> None:
        """Return when no import is going on."""
        self._expected = False
        self._drop_classes()
        self._work.stop()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if self._expected and event.type() in _INTENT and watched.isActiveWindow():
            self.begin()
        return super().eventFilter(watched, event)

    def _classes_made(self) -> None:
        self._drop_classes()
        self._work.run(_importing(), lambda _: None, self._over, self._over)

    def _drop_classes(self) -> None:
        if self._classes is not None:
            self._classes.cancel()
            self._classes.deleteLater()
            self._classes = None

    def _over(self, _: object) -> None:
        self.is_ready = True
        self.ready.emit()


def _making_classes() -> Generator[None, None, None]:
    for module in (QtCore, QtGui, QtWidgets):
        for name in dir(module):
            getattr(module, name, None)
            yield


def _importing() -> Generator[None, None, None]:
    for name in _NAMES:
        import_module(name)
        yield
