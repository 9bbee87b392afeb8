"""What concerns the window as a whole, above its tabs and above the start page alike."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QMainWindow, QVBoxLayout, QWidget

from inspector_app.ui.banner import Banner


class WindowNotice(Banner):
    """A banner with a way to be rid of it; made with `of`."""

    @classmethod
    def of(cls, window: QMainWindow) -> WindowNotice:
        """The notice of a window, made when there is something to say first."""
        made = window.findChild(cls)
        if isinstance(made, cls):
            return made
        made = cls()
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        focused = window.focusWidget()
        content = window.takeCentralWidget()
        layout.addWidget(made)
        layout.addWidget(content, 1)
        window.setCentralWidget(holder)
        content.show()
        if focused is not None:
            focused.setFocus()
        return made

    def show_message(
        self,
        kind: str,
        title: str,
        cause: str = "",
        advice: str = "",
        buttons: list[tuple[str, Callable[[], object]]] | None = None,
    ) -> None:
        """As any banner; without an answer of its own it can be closed."""
        offered = list(buttons or [])
        if len(offered) < 2:
            offered.append((self.tr("Close"), self.hide))
        super().show_message(kind, title, cause, advice, offered)
