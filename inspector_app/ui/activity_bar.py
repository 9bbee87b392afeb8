"""Progress with a cancel button, in the status bar."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QToolButton, QWidget

from inspector_app.ui import icons

QUIET_MS = 150  # what takes less time than this would only flicker
STEPS = 1_000  # the bar's own; a file's bytes would overflow its int


class Activity(NamedTuple):
    """What a tab is doing. `total` is None while it is not known."""

    text: str
    done: int = 0
    total: int | None = None


class ActivityBar(QWidget):
    """What the tab in front is doing; hidden while it is doing nothing."""

    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._latest: Activity | None = None
        self._bar: QProgressBar | None = None
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(QUIET_MS)
        self._delay.timeout.connect(self._show_latest)
        self.hide()

    def show_activity(self, activity: Activity | None) -> None:
        """Show what is going on, or nothing for None."""
        self._latest = activity
        if activity is None:
            self._delay.stop()
            self.hide()
        elif self.isVisible():
            self._show_latest()
        elif not self._delay.isActive():
            self._delay.start()

    def _show_latest(self) -> None:
        activity = self._latest
        if activity is None:
            return
        if self._bar is None:
            self._build()
        self.show()
        self._label.setText(activity.text)
        self._bar.setAccessibleName(activity.text)
        if activity.total:
            self._bar.setRange(0, STEPS)
            self._bar.setValue(min(activity.done * STEPS // activity.total, STEPS))
        else:
            self._bar.setRange(0, 0)

    def _build(self) -> None:
        # On first use: most files are open before there is anything to show.
        self._label = QLabel()
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._bar = QProgressBar()
        self._bar.setFixedWidth(160)
        self._bar.setMaximumHeight(12)
        self._bar.setTextVisible(False)
        self.cancel_button = QToolButton()
        self.cancel_button.setIcon(icons.icon("close"))
        self.cancel_button.setText(self.tr("Cancel"))
        self.cancel_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.cancel_button.setAutoRaise(True)
        self.cancel_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.cancel_button.clicked.connect(self.cancel_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 4, 0)
        layout.setSpacing(8)
        layout.addWidget(self._label)
        layout.addWidget(self._bar)
        layout.addWidget(self.cancel_button)
