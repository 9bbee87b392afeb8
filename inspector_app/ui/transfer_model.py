"""A model class as the target of a transfer: a worker builds it and saves what it begins with."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui import consent_memory
from inspector_app.ui.model_page import ModelPage
from inspector_app.ui.model_subject import Subject
from inspector_app.ui.settings import Settings
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import FailureBox, Line
from inspector_app.ui.worker_task import WorkerTask
from inspector_app.worker.export_run import ExportOutcome, ExportPlan, exporting
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Inputs, SourceKind, StateDictOptions, Weights

START_SIZE = (760, 620)
_TICK_SECONDS = 0.05
_FILE = "model.pth"


class ModelTarget(QDialog):
    """Chooses the class, as the export wizard does, and has it built.

    Args:
        subject: the source: its code may be beside it, and says what does not fit.

    Signals:
        built: the file with the model's own values, and what it is called. The file is in a
            folder of its own, which is whoever takes it to remove.
    """

    built = Signal(str, str)

    def __init__(self, subject: Subject, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.subject = subject
        self._folder = ""
        self.setWindowTitle(self.tr("Load Into a Model Class"))
        self.page = _Page(
            subject,
            "",
            consent_memory.is_trusted(settings, subject),
            lambda: consent_memory.trust(settings, subject),
        )
        # That not everything fits is what a transfer is for.
        self.page.weights.strict.setChecked(False)
        self.failure = FailureBox()
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setFixedSize(120, 10)
        self._status = MutedLabel()
        self._status.setWordWrap(True)
        self.use_button = QPushButton(self.tr("&Use this model"))
        self.use_button.setDefault(True)
        cancel = QPushButton(self.tr("Cancel"))
        cancel.setAutoDefault(False)
        line = Line()
        line.setFixedHeight(1)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 10, 16, 12)
        foot.addWidget(self._status, 1)
        for widget in (self._bar, self.use_button, cancel):
            foot.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.page, 1)
        layout.addWidget(self.failure)
        layout.addWidget(line)
        layout.addLayout(foot)
        self._task = WorkerTask(self)
        self._task.finished.connect(self._built)
        self._task.failed.connect(self._failed)
        self.page.changed.connect(self._update)
        self.use_button.clicked.connect(self.build)
        cancel.clicked.connect(self.reject)
        self.resize(QSize(*START_SIZE).boundedTo(self.screen().availableSize() * 0.9))
        self.page.enter()
        self._update()

    def build(self) -> None:
        """Have the worker write what the model begins with."""
        self._folder = tempfile.mkdtemp(prefix="checkpoint-inspector-")
        choice = self.page.choice()
        if choice.source.source != SourceKind.FILE:
            choice = replace(choice, weights=Weights(load=False))
        plan = ExportPlan(
            model=choice,
            inputs=Inputs(()),
            options=StateDictOptions(),
            target=os.path.join(self._folder, _FILE),
            interpreter=self.page.interpreter(),
            proof=None,
            folder=self.subject.folder,
        )
        self.failure.hide()
        self._task.run(exporting(plan, tick=_TICK_SECONDS))
        self._update()

    def _built(self, outcome: ExportOutcome) -> None:
        if outcome.failed is not None or not outcome.files:
            self._failed(outcome.failed or Failed("worker-fault", {"error": ""}))
            return
        described = self.page.described
        name = described.model_class.rpartition(".")[2] if described is not None else ""
        self._folder = ""
        self.built.emit(outcome.files[0], self.tr("{name} (as built)").format(name=plain(name, 40)))
        self.accept()

    def _failed(self, failed: Failed) -> None:
        self._remove()
        self.failure.show_failure(self.tr("The model cannot be built"), failed)
        self._update()

    def _update(self) -> None:
        running, problem = self._task.running, self.page.problem()
        self.page.setEnabled(not running)
        self._bar.setVisible(running)
        self._status.setText(self.tr("Building the model…") if running else problem)
        self.use_button.setEnabled(not running and not problem)

    def _remove(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    def done(self, result: int) -> None:
        self._task.stop()
        self.page.stop()
        self._remove()
        super().done(result)


class _Page(ModelPage):
    """Without the choice of weights: those are what the transfer is about."""

    def _show(self) -> None:
        super()._show()
        self._weights_part.hide()
