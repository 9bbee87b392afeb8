"""What every tab has: what is shown, and instead of it or above it what there is to say."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Node, Progress
from inspector_app.checkpoint.text import plain
from inspector_app.ui.activity_bar import Activity
from inspector_app.ui.file_watch import FileWatch
from inspector_app.ui.text_widgets import MutedLabel

if TYPE_CHECKING:
    from inspector_app.ui.banner import Banner

QUIET_MS = 200  # before this, "Reading …" would only flicker
CARD_WIDTH = 620
Buttons = list[tuple[str, Callable[[], object]]]


class DocumentTab(QWidget):
    """A tab of the window, from the moment its file is asked for.

    Args:
        content: what is shown once there is something to show.

    Attributes:
        kind: what it shows: a ``file``, a ``comparison`` or a ``run``.

    Signals:
        activity_changed: an `Activity`, or None when nothing is going on.
        settled: the content is shown whole, or the error is.
        loaded: a checkpoint is in the tree; the collector should leave it alone.
        replaced: this checkpoint is shown no more.
        state_changed: what actions can be done has changed.
        message: one sentence for the status bar.
        close_requested: from a button of a banner.
    """

    kind = ""
    activity_changed = Signal(object)
    settled = Signal()
    loaded = Signal()
    replaced = Signal(object)
    state_changed = Signal()
    message = Signal(str)
    close_requested = Signal()

    def __init__(self, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.error: Exception | None = None
        self.activity: Activity | None = None
        self.node: Node | None = None
        self._content = content
        self._placeholder = MutedLabel()
        self._placeholder.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedLayout()
        for page in (self._placeholder, content):
            self._pages.addWidget(page)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._layout.addLayout(self._pages, 1)
        self._watch = FileWatch(self)
        self._watch.restored.connect(self._hide_banner)

    # What is made when it is needed first, so that the content comes sooner.

    @cached_property
    def banner(self) -> Banner:
        """Above what is shown."""
        from inspector_app.ui.banner import Banner

        made = Banner()
        self._layout.insertWidget(0, made)
        return made

    @cached_property
    def card(self) -> Banner:
        """Instead of anything else."""
        from inspector_app.ui.banner import Banner

        made = Banner(card=True)
        made.setMaximumWidth(CARD_WIDTH)
        self._pages.addWidget(made.centred())
        return made

    # What each tab has of its own

    def name(self) -> str:
        """What the tab is called, safe to show."""
        raise NotImplementedError

    def paths(self) -> list[str]:
        """The files, or the folder, that it shows."""
        raise NotImplementedError

    def first_focus(self) -> QWidget:
        """What the keys go to when it is shown."""
        raise NotImplementedError

    def read(self) -> None:
        """Read what is to be shown, again if it is shown already."""
        raise NotImplementedError

    def _doing(self) -> str:
        """What goes on while it is read."""
        raise NotImplementedError

    def _is_reading(self) -> bool:
        raise NotImplementedError

    def _has_content(self) -> bool:
        """There is something to show."""
        raise NotImplementedError

    # What is going on

    def _begin_reading(self) -> None:
        """Show that it is being read, in place of the content if there is none yet."""
        self._hide_banner()
        self.error = None
        if not self._has_content():
            self._placeholder.setText("")
            self._pages.setCurrentWidget(self._placeholder)
            QTimer.singleShot(QUIET_MS, self, self._show_placeholder)
        self._set_activity(Activity(self._doing()))

    def _show_placeholder(self) -> None:
        if self._is_reading():
            self._placeholder.setText(f"{self._doing()}…")

    def _read_further(self, progress: object) -> None:
        if isinstance(progress, Progress):
            self._set_activity(Activity(self._doing(), progress.done, progress.total))

    def _reading_cancelled(self, again: str) -> None:
        self._set_activity(None)
        if not self._has_content():
            title = self.tr("Reading was cancelled")
            buttons = [(again, self.read), (self.tr("Close"), self._close)]
            self._show_card("info", title, "", "", buttons)

    def _set_activity(self, activity: Activity | None) -> None:
        self.activity = activity
        self.activity_changed.emit(activity)

    # What there is to say

    def _show_content(self) -> None:
        self._pages.setCurrentWidget(self._content)

    def _show_failure(
        self, error: Exception, path: str, side: str = "", not_again: str = ""
    ) -> None:
        """Say why the file at `path` cannot be read; what is shown stays.

        Args:
            side: which of two files it is.
            not_again: the title where it had been read before, instead of the error's.
        """
        from inspector_app.ui.problem_text import error_cause, error_title, next_step

        self._set_activity(None)
        self.error = error
        title, cause, advice = error_title(error), error_cause(error), next_step(error)
        if side:
            title = self.tr("{side}: {what}").format(side=side, what=title)
        buttons: Buttons = [(self.tr("Try again"), self.read)]
        if not isinstance(error, CheckpointError):
            import traceback

            details = "".join(traceback.format_exception(error))
            buttons.append((self.tr("Copy details"), lambda: self._copy_details(details)))
        text = f"{plain(path, 400)}\n{cause}"
        if not self._has_content():
            buttons.append((self.tr("Close"), self._close))
            self._show_card("error", title, text, advice, buttons)
        elif not_again:
            self.banner.show_message("error", not_again, cause, advice, buttons)
        else:
            self.banner.show_message("error", title, text, advice, buttons)
        self.state_changed.emit()
        self.settled.emit()

    def _show_outdated(self, title: str, kept: str, again: str) -> None:
        """Say that what is on the disk is no longer what is shown."""
        buttons = [(again, self.read), (self.tr("Ignore"), self._hide_banner)]
        self.banner.show_message("warning", title, "", kept, buttons)

    def _show_card(self, *message: object) -> None:
        self.card.show_message(*message)
        self._pages.setCurrentWidget(self.card.parentWidget())

    def _hide_banner(self) -> None:
        if "banner" in self.__dict__:
            self.banner.hide()

    def _copy_details(self, details: str) -> None:
        QGuiApplication.clipboard().setText(details)
        self.message.emit(self.tr("Details copied"))

    def _close(self) -> None:
        self.close_requested.emit()
