"""What PyTorch would print if B were loaded into A, word for word."""

from __future__ import annotations

from collections.abc import Generator

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from inspector_app.analysis.comparison import Comparison
from inspector_app.analysis.key_mapping import NO_MAPPING, KeyMapping
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.text_blocks import fixed_font, plain_lines
from inspector_app.ui.text_widgets import MutedLabel


class LoadPage(QWidget):
    """The message of ``load_state_dict``, made when it is looked at.

    Signals:
        message: one sentence for the status bar.
    """

    message = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("What PyTorch would say"))
        self._comparison: Comparison | None = None
        self._mapping: KeyMapping = NO_MAPPING
        self._looked_at = False
        self._whole = ""
        self._work = LatestWork(self)
        self._words = MutedLabel()
        self._words.setWordWrap(True)
        self.copy_button = QPushButton(self.tr("Copy"))
        self.copy_button.clicked.connect(self._copy)
        self._text = QPlainTextEdit()
        self._text.setReadOnly(True)
        self._text.setTabChangesFocus(True)
        self._text.setFont(fixed_font())
        self._text.setAccessibleName(self.tr("What PyTorch would say"))
        row = QHBoxLayout()
        row.addWidget(self._words, 1)
        row.addWidget(self.copy_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 10, 16, 12)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self._text, 1)
        layout.addStretch()
        self.forget()

    def show_comparison(self, comparison: Comparison, mapping: KeyMapping) -> None:
        """Show another comparison."""
        self.forget()
        self._comparison, self._mapping = comparison, mapping
        if self._looked_at:
            self._make()

    def set_looked_at(self, looked_at: bool) -> None:
        """The page is in front, or not."""
        self._looked_at = looked_at
        if looked_at and not self._whole and not self._work.running:
            self._make()

    def forget(self) -> None:
        """Another comparison is about to come."""
        self._work.stop()
        self._comparison = None
        self._whole = ""
        self._text.hide()
        self.copy_button.hide()
        self._words.setText("")

    def text(self) -> str:
        """The whole message, or the sentence that there is none."""
        return self._whole

    def _make(self) -> None:
        if self._comparison is None:
            return
        self._words.setText(self.tr("Preparing…"))
        self._work.run(
            _loading(self._comparison, self._mapping),
            lambda _: None,
            self._made,
            self._failed,
        )

    def _made(self, message: str) -> None:
        if message:
            self._words.setText(self.tr("A.load_state_dict(B) raises this RuntimeError:"))
        else:
            self._words.setText(self.tr("A.load_state_dict(B) raises nothing:"))
        # What torch returns if all is well.
        self._whole = message or "<All keys matched successfully>"
        self._text.setPlainText(plain_lines(self._whole))
        self._text.show()
        self.copy_button.show()

    def _failed(self, error: Exception) -> None:
        self._words.setText(f"{type(error).__name__}: {error}")

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._whole)
        self.message.emit(self.tr("Copied"))


def _loading(comparison: Comparison, mapping: KeyMapping) -> Generator[None, None, str]:
    from inspector_app.analysis.strict_load import strict_load

    yield
    return strict_load(comparison, mapping).message
