"""The quantize dialog: what it would cost, how it is done, and what it did cost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui import consent_memory, quantize_memory
from inspector_app.ui.inputs_page import InputsPage
from inspector_app.ui.model_page import ModelPage
from inspector_app.ui.model_subject import Subject, subject_of
from inspector_app.ui.quantize_data_page import NOTHING, DataPage
from inspector_app.ui.quantize_layers_page import LayersPage
from inspector_app.ui.quantize_memory import Choices
from inspector_app.ui.quantize_method_page import MethodPage
from inspector_app.ui.quantize_preview_page import PreviewPage
from inspector_app.ui.quantize_result_page import ResultPage
from inspector_app.ui.quantize_run_page import QuantizeRunPage
from inspector_app.ui.settings import Settings
from inspector_app.ui.wizard import Wizard, raise_wizard
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Inputs, ModelChoice
from inspector_app.worker.quantize_protocol import CalibrationData, DataKind
from inspector_app.worker.quantize_run import QuantizeOutcome, QuantizePlan

if TYPE_CHECKING:
    from inspector_app.ui.main_window import MainWindow

PREVIEW, METHOD, LAYERS, MODEL, INPUTS, DATA, RUN, RESULT = range(8)


class QuantizeDialog(Wizard):
    """One checkpoint's quantization.

    Args:
        checkpoint: it has to stay whole as long as this is open.
        subject: what is taken from it.
        settings: where choices are remembered.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        subject: Subject,
        settings: Settings,
        parent: QWidget | None = None,
    ) -> None:
        self._settings = settings
        before = quantize_memory.remembered(settings, subject.path)
        self.preview_page = PreviewPage(checkpoint)
        self.method_page = MethodPage(subject, before.interpreter)
        self.layers_page = LayersPage(subject, self.method_page, self.preview_page.run)
        self.model_page = _ModelPage(self.method_page, settings)
        self.inputs_page = _InputsPage(self.model_page, self.method_page)
        self.data_page = DataPage(subject, self.method_page)
        self.run_page = QuantizeRunPage()
        self.result_page = ResultPage()
        pages = [
            self.preview_page,
            self.method_page,
            self.layers_page,
            self.model_page,
            self.inputs_page,
            self.data_page,
            self.run_page,
            self.result_page,
        ]
        super().__init__(subject, pages, parent)
        name = plain(os.path.basename(subject.path), 80)
        self.setWindowTitle(self.tr("Quantize {name}").format(name=name))
        # What needs no answer yet, but will: the figures of the weights come first.
        self.preview_page.run.ended.connect(self.method_page.prepare)
        self.run_page.ended.connect(self._ended)
        self.result_page.open_requested.connect(self.open_requested)
        self.result_page.run_again.connect(self.run_again)
        self.result_page.message.connect(self.status.setText)
        self._restore(before)
        self.show_page(PREVIEW)

    def plan(self) -> QuantizePlan:
        """What the pages say, once none has a problem."""
        model, inputs = ModelChoice(self.subject.path), Inputs(())
        if not self.model_page.skipped():
            model, inputs = self.model_page.choice(), self.inputs_page.inputs()
        return QuantizePlan(
            model=model,
            inputs=inputs,
            options=self.method_page.options(),
            target=self.method_page.path(),
            left=self.layers_page.left(),
            data=None if self.data_page.skipped() else self.data_page.data(),
            interpreter=self.method_page.interpreter(),
            settings=self.data_page.settings(),
            folder=self.subject.folder,
        )

    def begin(self) -> None:
        self.run_page.start(self.plan())

    def run_again(self, names: tuple[str, ...]) -> None:
        """Quantize anew, with these layers left in float as well."""
        self.layers_page.leave_out(names)
        for number in range(RUN):
            page = self.pages[number]
            if not page.skipped() and page.problem():
                self.show_page(number)
                return
        self.start()

    def has_result(self) -> bool:
        return self.result_page.outcome is not None

    def has_failed(self) -> bool:
        outcome = self.result_page.outcome
        return outcome is not None and not outcome.files

    def doing_text(self) -> str:
        return self.tr("&Quantize")

    def remember(self) -> None:
        # Up to what is filled in.
        model = inputs = data = None
        if not self.model_page.skipped() and not self.model_page.source.problem():
            model = self.model_page.choice()
            if not self.inputs_page.input_problem():
                inputs = self.inputs_page.inputs()
        nothing = self.data_page.kind() == NOTHING
        random = self.data_page.kind() == DataKind.RANDOM
        if not (nothing or random or self.data_page.problem()):
            data = self.data_page.data()
        choices = Choices(
            self.method_page.interpreter(),
            self.method_page.target.text.text().strip(),
            self.preview_page.scheme(),
            self.method_page.options(),
            self.layers_page.left(),
            model,
            inputs,
            data,
            nothing,
        )
        quantize_memory.remember(self._settings, self.subject.path, choices)

    def _ended(self, outcome: QuantizeOutcome | Failed) -> None:
        if isinstance(outcome, Failed):
            outcome = QuantizeOutcome(failed=outcome)
        self.result_page.show_outcome(self.run_page.plan, outcome)
        if self.method_page.path() in outcome.files:
            # What would be replaced from now on is what this dialog wrote.
            self.method_page.target.replace.setChecked(True)
        self.show_result()

    def _restore(self, before: Choices) -> None:
        if before.scheme:
            self.preview_page.choose(before.scheme)
        if before.options is None:
            return
        self.method_page.restore(before.options, before.target)
        self.layers_page.restore(before.left)
        if before.model is not None:
            self.model_page.restore(before.model)
        if before.inputs is not None:
            self.inputs_page.restore(before.inputs)
        self._restore_data(before.data, before.nothing)

    def _restore_data(self, data: CalibrationData | None, nothing: bool) -> None:
        if data is not None or nothing:
            self.data_page.restore(data)


class _ModelPage(ModelPage):
    """The page of the model, for methods that run its code."""

    def __init__(self, method: MethodPage, settings: Settings) -> None:
        subject = method.subject
        super().__init__(
            subject,
            "",
            consent_memory.is_trusted(settings, subject),
            lambda: consent_memory.trust(settings, subject),
            interpreters=method.interpreters,
        )
        self._method = method

    def skipped(self) -> bool:
        return not self._method.needs_model()

    def _is_placed(self) -> bool:
        # Integers are computed with on the CPU, and the dtype is what all this is about.
        return False


class _InputsPage(InputsPage):
    """The page of the inputs, likewise: the weights alone cannot be quantized by them."""

    def __init__(self, model: ModelPage, method: MethodPage) -> None:
        super().__init__(model)
        self._method = method
        self.weights_only.hide()
        method.method_changed.connect(self._method_changed)
        self._method_changed()

    def _method_changed(self) -> None:
        # A graph is exported first, and says which of its axes may differ.
        self.show_axes(self._method.method().method.startswith("onnx"))

    def skipped(self) -> bool:
        return not self._method.needs_model()


def show_quantize(window: MainWindow, checkpoint: Checkpoint) -> Wizard:
    """The quantize dialog of a checkpoint; the one that is open already is raised."""
    subject = subject_of(checkpoint)
    shown = raise_wizard(QuantizeDialog, subject, window)
    if shown is not None:
        return shown
    dialog = QuantizeDialog(checkpoint, subject, window.settings, window)
    window.tabs.keep(checkpoint, dialog)
    dialog.open_requested.connect(lambda path: window.open_paths([path]))
    dialog.show()
    return dialog
