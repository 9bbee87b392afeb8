"""The window that is open takes the files of later starts.

What is said is in `window_protocol`, what a start does in `handing_over`.
"""

from __future__ import annotations

import os
import sys
from collections import deque

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QApplication

from inspector_app import __version__
from inspector_app.ui import window_protocol as protocol
from inspector_app.ui.main_window import MainWindow

# Fifty double clicks at once are no more than somebody's selection.
MOST_WAITING = 256
MOST_AT_ONCE = 10
# A start speaks at once; what says nothing is none.
QUIET_MS = 10_000
ALERT_MS = 0  # until somebody looks


class OneWindow(QObject):
    """Listens, and opens what is asked for, a few requests between two events of the window.

    Args:
        window: takes the files.
        socket: path of the socket, or a pipe's name.
        lock: the descriptor of the lock beside it, which this closes when it stops.

    Attributes:
        listening: later starts find it.
    """

    def __init__(self, window: MainWindow, socket: str, lock: int) -> None:
        super().__init__(window)
        self._window = window
        self._lock: int | None = lock
        self._asked: deque[tuple[protocol.Request, _Start]] = deque()
        self._token = ""
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.setMaxPendingConnections(MOST_WAITING)
        self._server.setListenBacklogSize(MOST_WAITING)
        self._server.newConnection.connect(self._accept)
        self._next = QTimer(self)
        self._next.setInterval(0)
        self._next.timeout.connect(self._open_next)
        if sys.platform != "win32":
            # Only the holder of the lock comes here: what is there was left by one that died.
            QLocalServer.removeServer(socket)
        self.listening = self._server.listen(socket)
        if (application := QApplication.instance()) is not None:
            application.aboutToQuit.connect(self.stop)
        if not self.listening:
            self.stop()  # else each start would wait for what never comes

    def name(self) -> str:
        """Where it listens."""
        return self._server.fullServerName()

    def stop(self) -> None:
        """Take nothing more: starts that wait for an answer look for another window."""
        self._next.stop()
        self._server.close()
        for _request, start in self._asked:
            start.drop()
        self._asked.clear()
        self.listening = False
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def ask(self, request: protocol.Request, start: _Start) -> None:
        """Open it, after what was asked for before."""
        self._asked.append((request, start))
        self._next.start()

    def _accept(self) -> None:
        while (connection := self._server.nextPendingConnection()) is not None:
            if len(self.findChildren(_Start)) >= MOST_WAITING:
                connection.abort()
                connection.deleteLater()
            else:
                _Start(connection, self)

    def _open_next(self) -> None:
        """Open what waits: several files at once take half as long as one after the other."""
        paths: list[str] = []
        starts: list[_Start] = []
        while self._asked and len(starts) < MOST_AT_ONCE:
            request, start = self._asked.popleft()
            if start.gone:
                continue  # it has waited too long, and has a window of its own
            if not self._window.isVisible():
                start.drop()  # the window was closed, and this process ends
                continue
            starts.append(start)
            if request.compare:
                self._window.open_paths(paths)
                paths = []
                self._window.dialogs.compare_these(request.paths)
            else:
                paths += request.paths
            self._token = request.token or self._token
        self._window.open_paths(paths)
        for start in starts:
            start.answer(protocol.TAKEN)
        if not self._asked:
            self._next.stop()
            if starts:
                bring_to_front(self._window, self._token)
                self._token = ""


class _Start(QObject):
    """One start that hands over its files.

    Attributes:
        gone: nobody waits for the answer.
    """

    def __init__(self, connection: QLocalSocket, owner: OneWindow) -> None:
        super().__init__(owner)
        self._connection = connection
        self._owner = owner
        self._received = b""
        self._asked = False
        self.gone = False
        connection.setParent(self)
        connection.readyRead.connect(self._read)
        connection.disconnected.connect(self._ended)
        QTimer.singleShot(QUIET_MS, self, self._end_quiet)
        connection.write(protocol.greeting(__version__))
        connection.flush()
        self._read()

    def answer(self, word: str) -> None:
        """Say what became of it."""
        self._connection.write(protocol.answer(word))
        self._connection.flush()

    def drop(self) -> None:
        """End without an answer."""
        self._connection.abort()
        self._ended()

    def _ended(self) -> None:
        self.gone = True
        self.deleteLater()

    def _end_quiet(self) -> None:
        if not self._asked:
            self.drop()

    def _read(self) -> None:
        if self.gone:
            return
        self._received += bytes(self._connection.readAll().data())
        if len(self._received) > protocol.MESSAGE_BYTES:
            self.drop()
            return
        if self._asked or not self._received.endswith(b"\n"):
            return
        self._asked = True
        received, self._received = self._received, b""
        try:
            request = protocol.read_request(received)
        except protocol.NotUnderstoodError as error:
            self.answer(error.answer)
            self._connection.disconnectFromServer()
            return
        self._owner.ask(request, self)


def bring_to_front(window: MainWindow, token: str) -> None:
    """Show the window before all others, with the leave that `token` gives where that counts."""
    if token:
        # Qt hands it to the compositor, once.
        os.environ["XDG_ACTIVATION_TOKEN"] = token
    window.setWindowState(window.windowState() & ~Qt.WindowState.WindowMinimized)
    window.show()
    window.raise_()
    window.activateWindow()
    if not window.isActiveWindow():
        # Where a desktop lets nobody come to the front, it is marked in the task bar.
        QApplication.alert(window, ALERT_MS)
