"""The wizard's first page: the model, the Python that runs it, and how its weights fit."""

from __future__ import annotations

import os
from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QLabel, QProgressBar, QWidget

from inspector_app.checkpoint.model import TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.interpreter_chooser import InterpreterChooser
from inspector_app.ui.model_consent import ConsentPart
from inspector_app.ui.model_fit import FitView, fit_summary
from inspector_app.ui.model_source_form import SourceForm
from inspector_app.ui.model_subject import HOLDS_GRAPH, Subject
from inspector_app.ui.model_weights_form import PlacementForm, WeightsForm
from inspector_app.ui.wizard_widgets import FORM_WIDTH, FailureBox, WizardPage, row_of
from inspector_app.ui.worker_task import WorkerTask
from inspector_app.ui.worker_words import stage_text
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import (
    Describe,
    Described,
    ModelChoice,
    Progress,
    SourceKind,
    Weights,
)

QUIET_MS = 700  # without typing before a model is built


class ModelPage(WizardPage):
    """Chooses a model and builds it once the choice is complete.

    Args:
        subject: the checkpoint.
        interpreter: the one that was used before, or "".
        trusted: whether the user has consented to run this file's code.
        consent: remembers that they have.
        interpreters: of another page, where that chooses the Python.

    Attributes:
        described: what the worker built of the choice as it is now; None until it has.
    """

    widest = FORM_WIDTH

    def __init__(
        self,
        subject: Subject,
        interpreter: str,
        trusted: bool,
        consent: Callable[[], object],
        parent: QWidget | None = None,
        *,
        interpreters: InterpreterChooser | None = None,
    ) -> None:
        super().__init__(
            self.tr("Model"),
            self.tr("What builds the model that these weights belong to.")
            if interpreters is not None
            else self.tr(
                "What builds the model that these weights belong to, and which Python runs it."
            ),
            parent,
        )
        self.subject = subject
        self.trusted = trusted
        self.described: Described | None = None
        self._consent = consent
        self._failed: Failed | None = None
        # What was built, or is being built, so that nothing is built twice.
        self._asked: tuple[ModelChoice, str] | None = None
        self._active = False
        self.interpreters = interpreters or InterpreterChooser([subject.path], interpreter)
        self.interpreters.changed.connect(self._edited)
        self.source = SourceForm(subject)
        self.source.changed.connect(self._edited)
        self.weights = WeightsForm(subject)
        self.weights.changed.connect(self._edited)
        self.placement = PlacementForm()
        self.placement.changed.connect(self._edited)
        self.consent = ConsentPart()
        self.consent.given.connect(self._consented)
        self.failure = FailureBox()
        self.fit = FitView()
        self._doing = QLabel()
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setFixedSize(120, 10)
        self._waiting = row_of(self._bar, self._doing, stretch=-1)
        self._waiting.hide()
        self._task = WorkerTask(self)
        self._task.progress.connect(self._progressed)
        self._task.finished.connect(self._built)
        self._task.failed.connect(self._not_built)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(QUIET_MS)
        self._quiet.timeout.connect(self._build)
        self.add_part(self.tr("Where the model comes from"), self.source)
        self._weights_part = self.add_part(self.tr("Its weights"), self.weights)
        if interpreters is None:
            self.add_part(self.tr("Python interpreter"), self.interpreters, self.placement)
        else:
            self.add_part("", self.placement)
        self.add_part("", self.consent, self._waiting, self.failure, self.fit)
        self.column.addStretch(1)
        self._show()

    # --- what is chosen

    def choice(self) -> ModelChoice:
        """The model, once there is no `problem`."""
        own, placed = self._own_weights(), self._is_placed()
        return ModelChoice(
            checkpoint=self.subject.path,
            source=self.source.model_source(),
            weights=self._module_section() if own else self.weights.weights(),
            trust=self.trusted,
            device=self.placement.device() if placed else "cpu",
            dtype=self.placement.dtype() if placed else "",
        )

    def interpreter(self) -> str:
        """The Python that runs it."""
        return self.interpreters.interpreter()

    def restore(self, choice: ModelChoice) -> None:
        """Show what was chosen before."""
        self.source.restore(choice.source)
        self.placement.restore(choice.device, choice.dtype)
        if choice.source.source == SourceKind.FILE:
            self.source.choose_module(choice.weights.section or ())
        if choice.source.source != SourceKind.FILE:
            self.weights.restore(choice.weights)

    def choose_part(self, path: TreePath) -> None:
        """Take the model, or its weights, at `path` of the checkpoint."""
        modules = [each for each, _ in self.subject.modules]
        holding = [each for each in modules if path[: len(each)] == each]
        if holding:
            self.source.choose_module(max(holding, key=len))
            return
        if self.subject.format in HOLDS_GRAPH:
            return  # the archive is exported whole
        if self._own_weights():
            self.source.buttons[SourceKind.CODE].setChecked(True)
        self.weights.choose_section(path)

    def problem(self) -> str:
        return self._open_question() or self._result_problem()

    def summary(self) -> str:
        if self.described is None or self.problem():
            return ""
        return plain(self.described.model_class.rpartition(".")[2], 40)

    def enter(self) -> None:
        self._active = True
        self._edited()

    def first_field(self) -> QWidget | None:
        return self.source.first_field()

    def leave(self) -> None:
        self._active = False

    def stop(self) -> None:
        self._quiet.stop()
        self.source.code.stop()
        self._task.stop()
        self.interpreters.stop()

    def needs_consent(self) -> bool:
        """Loading the model runs code of the file, and nobody has agreed."""
        if self.trusted:
            return False
        if self.source.kind() == SourceKind.FILE:
            return bool(self.subject.globals)
        return self._failed is not None and self._failed.code == "consent-needed"

    # --- what becomes of it

    def _own_weights(self) -> bool:
        return self.source.kind() == SourceKind.FILE

    def _is_placed(self) -> bool:
        """A program of torch.export stays as it was exported."""
        return not (self._own_weights() and self.subject.format == HOLDS_GRAPH[1])

    def _module_section(self) -> Weights:
        return Weights(section=self.source.module_path() or None)

    def _open_question(self) -> str:
        """What has to be answered before the model can be built."""
        problem = self.source.problem()
        if not problem and not self._own_weights():
            problem = self.weights.problem()
        if not problem and self._is_placed():
            problem = self.placement.problem()
        if not problem and self.needs_consent():
            problem = self.tr("Loading this model runs code from the file: agree to that first.")
        return problem or self.interpreters.problem()

    def _result_problem(self) -> str:
        if self._failed is not None:
            return self.tr("The model cannot be built.")
        if self.described is None:
            return self.tr("The model is being built…")
        report = self.described.report
        if not report.fits and self.weights.strict.isChecked() and not self._own_weights():
            return fit_summary(report)
        return ""

    def _edited(self) -> None:
        if self._open_question():
            if not self.needs_consent():
                self._forget()
            self._quiet.stop()
        elif self._asked != (self.choice(), self.interpreter()):
            self._forget()
            if self._active:
                self._quiet.start()
        self._show()
        self.changed.emit()

    def _forget(self) -> None:
        self._task.cancel()
        self._asked = self.described = self._failed = None

    def _consented(self) -> None:
        self.trusted = True
        self._failed = None
        self._consent()
        self._edited()

    def _build(self) -> None:
        choice, interpreter = self.choice(), self.interpreter()
        self._asked = (choice, interpreter)
        self._doing.setText(self.tr("Starting Python…"))
        self._task.ask(Describe(choice), interpreter, self.subject.folder)
        self._show()

    def _progressed(self, progress: Progress) -> None:
        self._doing.setText(f"{stage_text(progress.stage)}…")

    def _built(self, described: Described) -> None:
        self.described = described
        self._show()
        # Of what does not fit the list, too; else the page stays where it is, if it can.
        self.show_soon(self.fit if self.problem() else self.fit.banner)
        self.changed.emit()

    def _not_built(self, failed: Failed) -> None:
        self._failed = failed
        self._show()
        self.show_soon(self.failure.banner)
        self.changed.emit()

    def _show(self) -> None:
        own = self._own_weights()
        self._weights_part.setVisible(not own)
        self.placement.setVisible(self._is_placed())
        consent = self.needs_consent()
        self.consent.setVisible(consent)
        if consent:
            self.consent.show_globals(os.path.basename(self.subject.path), self._globals())
        self._waiting.setVisible(self._task.running)
        if self._failed is not None and not consent:
            self.failure.show_failure(self.tr("The model cannot be built"), self._failed)
        else:
            self.failure.hide()
        if self.described is not None:
            self.fit.show_model(self.described, own, self.weights.strict.isChecked())
        else:
            self.fit.hide()

    def _globals(self) -> list[tuple[str, str]]:
        if self.source.kind() == SourceKind.FILE or self._failed is None:
            return list(self.subject.globals)
        return [(each, "") for each in self._failed.details.get("globals", "").split(", ")]
