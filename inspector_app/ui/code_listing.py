"""The source texts in a file, one at a time."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QSizePolicy, QVBoxLayout, QWidget

from inspector_app.checkpoint.code_text import reading_code
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_blocks import TextBlock

LISTED = 2_000


class CodeListing(QWidget):
    """A list of names, and the text of the one that is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._checkpoint: Checkpoint | None = None
        self._steps: Steps | None = None
        self.names = QComboBox()
        self.names.setAccessibleName(self.tr("Source text"))
        self.names.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.names.currentIndexChanged.connect(self._read)
        self._text = TextBlock(framed=True, fixed_pitch=True, max_lines=24)
        self._text.setAccessibleName(self.tr("Source text"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.names)
        layout.addWidget(self._text)

    def set_checkpoint(self, checkpoint: Checkpoint) -> None:
        """List the texts of this file."""
        self.cancel()
        self._checkpoint = None
        self.names.clear()
        self.names.addItems([plain(code.name) for code in checkpoint.code[:LISTED]])
        self._checkpoint = checkpoint
        self.names.setVisible(len(checkpoint.code) > 1)
        self._read(self.names.currentIndex())

    def text(self) -> str:
        """What is shown."""
        return self._text.toPlainText()

    def cancel(self) -> None:
        """Stop reading."""
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _read(self, index: int) -> None:
        self.cancel()
        if self._checkpoint is None or index < 0:
            return
        self._steps = Steps(reading_code(self._checkpoint, self._checkpoint.code[index]), self)
        self._steps.finished.connect(self._text.set_text)
        self._steps.failed.connect(self._failed)
        self._steps.start()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, CheckpointError):
            raise error
        self._text.set_text(error_cause(error))
