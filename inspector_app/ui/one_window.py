"""A second start hands its files to the window that is open already.

The two speak over a local socket that only the same user can reach: one JSON list of
absolute paths, or ``{"compare": [A, B]}``, ended by a newline.
"""

from __future__ import annotations

import json
import sys

from PySide6.QtCore import QObject
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from inspector_app.ui.main_window import MainWindow

WAIT_MS = 1_000
MESSAGE_BYTES = 1 << 20
COMPARE = "compare"


def hand_over(paths: list[str], name: str, compare: bool = False) -> bool:
    """Let an open window open, or compare, `paths`; False if there is none that answers."""
    connection = QLocalSocket()
    connection.connectToServer(name)
    if not connection.waitForConnected(WAIT_MS):
        return False
    request = {COMPARE: paths} if compare else paths
    connection.write(json.dumps(request).encode() + b"\n")
    # The answer tells a window that took them from one that is stuck.
    answered = (
        connection.waitForReadyRead(WAIT_MS) and bytes(connection.readAll().data()) == b"ok\n"
    )
    connection.disconnectFromServer()
    return answered


def listen(window: MainWindow, name: str) -> QLocalServer | None:
    """Take files from later starts; None if another window does so already."""
    server = QLocalServer(window)
    server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
    server.newConnection.connect(lambda: _accept(server, window))
    if server.listen(name):
        return server
    if sys.platform != "win32" and not hand_over([], name):
        # A window that died has left its socket behind.
        QLocalServer.removeServer(name)
        if server.listen(name):
            return server
    server.deleteLater()
    return None


def _accept(server: QLocalServer, window: MainWindow) -> None:
    while (connection := server.nextPendingConnection()) is not None:
        _Request(connection, window)


class _Request(QObject):
    """One start that hands over its files."""

    def __init__(self, connection: QLocalSocket, window: MainWindow) -> None:
        super().__init__(window)
        self._connection = connection
        self._window = window
        self._received = b""
        connection.readyRead.connect(self._read)
        connection.disconnected.connect(connection.deleteLater)
        connection.disconnected.connect(self.deleteLater)
        self._read()

    def _read(self) -> None:
        self._received += bytes(self._connection.readAll().data())
        if len(self._received) > MESSAGE_BYTES:
            self._connection.abort()
            return
        if not self._received.endswith(b"\n"):
            return
        try:
            request = json.loads(self._received)
        except (ValueError, RecursionError):
            request = None
        comparing = isinstance(request, dict) and list(request) == [COMPARE]
        paths = request[COMPARE] if comparing else request
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            self._connection.abort()
            return
        if comparing and len(paths) != 2:
            self._connection.abort()
            return
        self._connection.write(b"ok\n")
        self._connection.flush()
        if comparing:
            self._window.compare(*paths)
        else:
            self._window.open_paths(paths)
        self._window.showNormal() if self._window.isMinimized() else self._window.show()
        self._window.raise_()
        self._window.activateWindow()
