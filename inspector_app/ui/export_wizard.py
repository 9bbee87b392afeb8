"""The export wizard: from a checkpoint to a file that is proven to compute the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from inspector_app.checkpoint.model import Checkpoint, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui import consent_memory, export_memory
from inspector_app.ui.export_format_page import FormatPage
from inspector_app.ui.export_memory import Choices
from inspector_app.ui.export_result_page import ResultPage
from inspector_app.ui.export_run_page import ExportRunPage
from inspector_app.ui.inputs_page import InputsPage
from inspector_app.ui.model_page import ModelPage
from inspector_app.ui.model_subject import Subject, subject_of
from inspector_app.ui.settings import Settings
from inspector_app.ui.wizard import Wizard, raise_wizard
from inspector_app.worker.export_run import ExportOutcome, ExportPlan
from inspector_app.worker.failures import Failed

if TYPE_CHECKING:
    from inspector_app.ui.main_window import MainWindow

MODEL, INPUTS, FORMAT, RUN, RESULT = range(5)


class ExportWizard(Wizard):
    """One checkpoint's export.

    Args:
        subject: the checkpoint.
        settings: where choices are remembered.
    """

    def __init__(self, subject: Subject, settings: Settings, parent: QWidget | None = None) -> None:
        self._settings = settings
        before = export_memory.remembered(settings, subject.path)
        self.model_page = ModelPage(
            subject,
            before.interpreter,
            consent_memory.is_trusted(settings, subject),
            lambda: consent_memory.trust(settings, subject),
        )
        self.inputs_page = InputsPage(self.model_page)
        self.format_page = FormatPage(self.model_page, self.inputs_page)
        self.run_page = ExportRunPage()
        self.result_page = ResultPage(subject.nbytes)
        pages = [
            self.model_page,
            self.inputs_page,
            self.format_page,
            self.run_page,
            self.result_page,
        ]
        super().__init__(subject, pages, parent)
        name = plain(os.path.basename(subject.path), 80)
        self.setWindowTitle(self.tr("Export {name}").format(name=name))
        self.run_page.ended.connect(self._ended)
        self.result_page.open_requested.connect(self.open_requested)
        self.result_page.message.connect(self.status.setText)
        self._restore(before)
        self.show_page(MODEL)

    def plan(self) -> ExportPlan:
        """What the pages say, once none has a problem."""
        return ExportPlan(
            model=self.model_page.choice(),
            inputs=self.inputs_page.inputs(),
            options=self.format_page.options(),
            target=self.format_page.path(),
            interpreter=self.model_page.interpreter(),
            proof=self.format_page.proof(),
            folder=self.subject.folder,
        )

    def begin(self) -> None:
        self.run_page.start(self.plan())

    def has_result(self) -> bool:
        return self.result_page.outcome is not None

    def has_failed(self) -> bool:
        outcome = self.result_page.outcome
        return outcome is not None and not outcome.files

    def remember(self) -> None:
        # Up to the first page that is not filled in.
        if self.model_page.source.problem():
            return
        choices = Choices(
            self.model_page.interpreter(),
            self.format_page.target.text().strip(),
            self.model_page.choice(),
        )
        if not self.inputs_page.input_problem():
            choices = choices._replace(inputs=self.inputs_page.inputs())
            if not self.format_page.options_problem():
                choices = choices._replace(
                    options=self.format_page.options(), proof=self.format_page.proof()
                )
        export_memory.remember(self._settings, self.subject.path, choices)

    def doing_text(self) -> str:
        return self.tr("&Export")

    def _ended(self, outcome: ExportOutcome | Failed) -> None:
        if isinstance(outcome, Failed):
            outcome = ExportOutcome(failed=outcome)
        self.result_page.show_outcome(self.run_page.plan, outcome)
        self.show_result()

    def _restore(self, before: Choices) -> None:
        if before.model is not None:
            self.model_page.restore(before.model)
        if before.inputs is not None:
            self.inputs_page.restore(before.inputs)
        if before.options is not None:
            self.format_page.restore(before.options, before.target, before.proof)


def show_wizard(
    window: MainWindow, checkpoint: Checkpoint, part: TreePath | None = None
) -> ExportWizard:
    """The wizard of a checkpoint; the one that is open already is raised.

    Args:
        window: where results are opened.
        checkpoint: of the tab.
        part: the path of the model or of the weights to export; None for those of before.
    """
    subject = subject_of(checkpoint)
    wizard = raise_wizard(ExportWizard, subject, window)
    if not isinstance(wizard, ExportWizard):
        wizard = ExportWizard(subject, window.settings, window)
        wizard.open_requested.connect(lambda path: window.open_paths([path]))
        wizard.show()
    if part is not None and not wizard.run_page.running:
        wizard.model_page.choose_part(part)
        wizard.show_page(MODEL)
    return wizard
