"""Shows a file in the desktop's file manager, selected where that can be asked for."""

from __future__ import annotations

import os
import sys
from shutil import which

from PySide6.QtCore import QProcess, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication

from inspector_app.file_urls import url_of

# https://www.freedesktop.org/wiki/Specifications/file-manager-interface/
_SERVICE = "org.freedesktop.FileManager1"
_PATH = "/org/freedesktop/FileManager1"
PATIENCE_MS = 5_000


def show_in_folder(path: str) -> None:
    """Open the folder of the file at `path`, with the file selected if possible."""
    command = _command(path)
    if command is None:
        _open_folder(path)
        return
    process = QProcess(QApplication.instance())

    def ended() -> None:
        # Explorer's status is 1 even where it succeeds.
        failed = process.exitStatus() != QProcess.ExitStatus.NormalExit or process.exitCode() != 0
        if failed and sys.platform != "win32":
            _open_folder(path)
        process.deleteLater()

    def not_started(error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            _open_folder(path)
            process.deleteLater()

    process.finished.connect(ended)
    process.errorOccurred.connect(not_started)
    program, arguments = command
    if sys.platform == "win32":
        # Quoted as a whole, as Qt would, Explorer does not understand it.
        process.setNativeArguments(" ".join(arguments))
        process.setProgram(program)
        process.start()
    else:
        process.start(program, arguments)


def _command(path: str) -> tuple[str, list[str]] | None:
    """The program that selects the file, and its arguments."""
    if sys.platform == "win32":
        return "explorer.exe", ["/select,", f'"{os.path.normpath(path)}"']
    if sys.platform == "darwin":
        return "open", ["-R", path]
    address = _address(path)
    if gdbus := which("gdbus"):
        place = ["--dest", _SERVICE, "--object-path", _PATH, "--timeout", str(PATIENCE_MS // 1000)]
        method = ["--method", f"{_SERVICE}.ShowItems", f"['{address}']", "''"]
        return gdbus, ["call", "--session", *place, *method]
    if dbus_send := which("dbus-send"):
        call = [f"--dest={_SERVICE}", f"--reply-timeout={PATIENCE_MS}", "--print-reply", _PATH]
        method = [f"{_SERVICE}.ShowItems", f"array:string:{address}", "string:"]
        return dbus_send, ["--session", *call, *method]
    return None


def _address(path: str) -> str:
    """The file as a URL: it has nothing that gdbus' or dbus-send's own syntax has a meaning for."""
    return url_of(os.path.abspath(path))


def _open_folder(path: str) -> None:
    QDesktopServices.openUrl(QUrl(url_of(os.path.dirname(os.path.abspath(path)))))
