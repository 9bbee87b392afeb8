"""What the File menu says of sessions."""

from __future__ import annotations

from PySide6.QtGui import QAction

from inspector_app.ui import actions as table
from inspector_app.ui import settings
from inspector_app.ui.main_window import MainWindow


def attach(window: MainWindow) -> None:
    """Add the entries of the session to a window's File menu, after the recent files."""
    menu = window.menus[table.FILE]
    before = window.actions_by_id["open_sample"]
    reopen = QAction(window.tr("Reopen the Last Sess&ion"), window)
    reopen.setObjectName("reopen_session")
    reopen.triggered.connect(lambda: _reopen(window))
    always = QAction(window.tr("Reopen at Eac&h Start"), window)
    always.setObjectName("reopen_at_start")
    always.setCheckable(True)
    always.setChecked(window.settings.read(settings.REOPEN_AT_START))
    always.toggled.connect(lambda on: window.settings.write(settings.REOPEN_AT_START, on))
    for action in (reopen, always):
        menu.insertAction(before, action)


def _reopen(window: MainWindow) -> None:
    from inspector_app.ui import session_restoring

    session_restoring.reopen_last(window)
