"""The checksums of a file's entries, compared with the bytes when somebody asks for it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from inspector_app.analysis.checksum_check import ChecksumReport, checking
from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Progress
from inspector_app.checkpoint.text import plain
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.problem_text import error_cause, problem_text
from inspector_app.ui.text_blocks import TextBlock
from inspector_app.ui.wizard_widgets import BAD, GOOD, QUIET, Hint

_SHOWN = 200
_PARTS = 1_000  # of the bar


class Checksums(QWidget):
    """A button, how far it is, and how it turned out.

    Signals:
        settled: it has ended.
    """

    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._checkpoint: Checkpoint | None = None
        self._work = LatestWork(self)
        self.button = QPushButton(self.tr("Verify checksums"))
        self.button.setToolTip(self.tr("Read the whole file and compare each entry's CRC-32"))
        self.button.clicked.connect(self._pressed)
        self._bar = QProgressBar()
        self._bar.setRange(0, _PARTS)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(8)
        self._bar.setAccessibleName(self.tr("Bytes read"))
        self._read = QLabel()
        self.said = Hint()
        self._problems = TextBlock(framed=True, max_lines=8)
        self._problems.setAccessibleName(self.tr("Wrong checksums"))
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self.button)
        row.addWidget(self._bar, 1)
        row.addWidget(self._read)
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self.said)
        layout.addWidget(self._problems)
        self._show_running()

    def show_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """Offer it for another file."""
        self.stop()
        self._checkpoint = checkpoint
        self.said.say("")
        self._problems.hide()
        self.button.setEnabled(checkpoint is not None)
        self._show_running()

    def stop(self) -> None:
        """End what is going on; no thread reads afterwards."""
        self._work.stop()

    @property
    def running(self) -> bool:
        """Bytes are being read."""
        return self._work.running

    def problems(self) -> str:
        """The wrong ones, a line each."""
        return "" if self._problems.isHidden() else self._problems.toPlainText()

    def start(self) -> None:
        """Compare them all."""
        if self._checkpoint is None:
            return
        self._problems.hide()
        self.said.say("")
        self._bar.setValue(0)
        self._read.setText("")
        self._work.run(checking(self._checkpoint), self._progressed, self._finished, self._failed)
        self._show_running()

    def _pressed(self) -> None:
        if self._work.running:
            self._work.cancel()
            self.said.say(self.tr("Cancelled"), QUIET)
            self._show_running()
            self.settled.emit()
        else:
            self.start()

    def _progressed(self, progress: Progress) -> None:
        total = progress.total or 1
        self._bar.setValue(min(_PARTS * progress.done // total, _PARTS))
        text = self.tr("{done} of {total}")
        done = min(progress.done, total)
        self._read.setText(text.format(done=size_text(done), total=size_text(total)))

    def _finished(self, report: ChecksumReport) -> None:
        self._show_running()
        if report.problems:
            count = len(report.problems)
            said = self.tr("{n} entries do not match").format(n=count_text(count))
            self.said.say(self.tr("1 entry does not match") if count == 1 else said, BAD)
            lines = [
                f"•  {plain(each.where)}: {problem_text(each)}" for each in report.problems[:_SHOWN]
            ]
            self._problems.set_text("\n".join(lines))
            self._problems.show()
        elif report.checked:
            count = count_text(report.checked)
            self.said.say(self.tr("✓ All {n} checksums match the bytes").format(n=count), GOOD)
        else:
            self.said.say(self.tr("The file states no checksums"), QUIET)
        self.settled.emit()

    def _failed(self, error: Exception) -> None:
        self._show_running()
        if not isinstance(error, CheckpointError):
            raise error
        self.said.say(error_cause(error), BAD)
        self.settled.emit()

    def _show_running(self) -> None:
        running = self._work.running
        self.button.setText(self.tr("Cancel") if running else self.tr("Verify checksums"))
        self._bar.setVisible(running)
        self._read.setVisible(running)
