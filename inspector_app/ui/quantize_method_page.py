"""The quantize dialog's second page: the method, the Python that has it, and the file."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QProgressBar, QWidget

from inspector_app.ui.interpreter_chooser import InterpreterChooser
from inspector_app.ui.model_subject import Subject
from inspector_app.ui.quantize_forms import tag_of
from inspector_app.ui.quantize_method_list import MethodList, words_of
from inspector_app.ui.target_field import TargetField
from inspector_app.ui.wizard_widgets import (
    FORM_WIDTH,
    FailureBox,
    WizardPage,
    field_label,
    label_width,
    row_of,
)
from inspector_app.ui.worker_task import WorkerTask
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Progress
from inspector_app.worker.quantize_methods import Method
from inspector_app.worker.quantize_protocol import (
    MethodsProbed,
    MethodState,
    ProbeMethods,
    QuantizeOptions,
)

GRAPH = "onnx"  # what is in the file is quantized itself, whatever built it
_FORMS = {
    ".pth": "state_dict (.pth)",
    ".pt": "TorchScript (.pt)",
    ".pt2": "torch.export (.pt2)",
    ".onnx": "ONNX (.onnx)",
    ".safetensors": "safetensors",
}


class MethodPage(WizardPage):
    """Chooses a method, of those that were tried in the chosen Python.

    Args:
        subject: the checkpoint.
        interpreter: the one that was used before, or "".

    Signals:
        method_changed: another method or option.
    """

    method_changed = Signal()

    widest = FORM_WIDTH

    def __init__(self, subject: Subject, interpreter: str, parent: QWidget | None = None) -> None:
        super().__init__(
            self.tr("Method"),
            self.tr("How it is quantized, by which Python, and where the result goes."),
            parent,
        )
        self.subject = subject
        self._known: dict[str, MethodsProbed | Failed] = {}
        self._asking = ""
        self._active = False
        self._endings: tuple[str, ...] = ()
        self.interpreters = InterpreterChooser([subject.path], interpreter)
        self.interpreters.changed.connect(self._edited)
        self._task = WorkerTask(self)
        self._task.progress.connect(self._trying)
        self._task.finished.connect(self._learned)
        self._task.failed.connect(self._learned)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedSize(120, 10)
        self._doing = QLabel()
        self._waiting = row_of(self._bar, self._doing, stretch=-1)
        self._failure = FailureBox()
        self.methods = MethodList()
        self.methods.changed.connect(self._method_changed)
        self.form_box = QComboBox()
        self.form_box.currentIndexChanged.connect(self._form_changed)
        self.target = TargetField(subject.path, subject.folder, self.tr("Quantize To"))
        self.target.changed.connect(self.changed)
        place = QWidget()
        grid = QGridLayout(place)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.setColumnMinimumWidth(0, label_width(self))
        grid.setColumnStretch(1, 1)
        grid.addWidget(field_label(self.tr("Saved a&s"), self.form_box), 0, 0)
        grid.addWidget(row_of(self.form_box, stretch=-1), 0, 1)
        grid.addWidget(self.target, 1, 0, 1, 2)
        self.add_part(
            self.tr("Python interpreter"), self.interpreters, self._waiting, self._failure
        )
        self.add_part(self.tr("Method"), self.methods)
        self.add_part(self.tr("File"), place)
        self.column.addStretch(1)
        if subject.format == GRAPH:
            self.methods.row_of("onnx-dynamic").button.setChecked(True)
            for row in self.methods.rows:
                row.setVisible(row.method.method.startswith("onnx"))
        self._method_changed()

    # --- what is chosen

    def method(self) -> Method:
        """The chosen method."""
        return self.methods.current().method

    def options(self) -> QuantizeOptions:
        """With its options."""
        return self.methods.options()

    def interpreter(self) -> str:
        """The Python that does it."""
        return self.interpreters.interpreter()

    def path(self) -> str:
        """The file to write."""
        return self.target.path()

    def needs_model(self) -> bool:
        """The model's code is run."""
        return self.method().model and self.subject.format != GRAPH

    def reads_images(self) -> bool | None:
        """The chosen Python has what reads images; None while that is not known."""
        known = self._known.get(self.interpreter())
        return known.images if isinstance(known, MethodsProbed) else None

    def restore(self, options: QuantizeOptions, target: str) -> None:
        """Show what was chosen before."""
        self.methods.restore(options)
        self.target.restore(target)
        for place in range(self.form_box.count()):
            if target.lower().endswith(self.form_box.itemData(place)):
                self.form_box.setCurrentIndex(place)
                break

    def problem(self) -> str:
        if problem := self.interpreters.problem():
            return problem
        known = self._known.get(self.interpreter())
        if known is None:
            return self.tr("The methods are being tried…")
        if isinstance(known, Failed):
            return self.tr("The methods cannot be tried in this Python.")
        state = self._state()
        if state is None or not state.available:
            return self.tr("{method} is not available in this Python.").format(
                method=words_of(self.method().title)
            )
        return self.methods.current().form.problem() or self.target.problem()

    def summary(self) -> str:
        return words_of(self.method().title)

    def prepare(self) -> None:
        """Begin to try the methods, which takes seconds, before somebody waits for it."""
        self._active = True
        self._edited()

    def enter(self) -> None:
        self._active = True
        self.target.check()
        self._edited()

    def first_field(self) -> QWidget | None:
        return self.methods.current().button

    def stop(self) -> None:
        self._task.stop()
        self.interpreters.stop()

    # --- what becomes of it

    def _state(self) -> MethodState | None:
        return self._states().get((self.method().method, self.method().engine))

    def _states(self) -> dict[tuple[str, str], MethodState]:
        known = self._known.get(self.interpreter())
        if not isinstance(known, MethodsProbed):
            return {}
        return {(each.method, each.engine): each for each in known.methods}

    def _method_changed(self) -> None:
        endings = self.method().endings
        if endings != self._endings:
            self._endings = endings
            self.form_box.blockSignals(True)
            self.form_box.clear()
            for ending in endings:
                self.form_box.addItem(_FORMS[ending], ending)
            self.form_box.blockSignals(False)
        self._form_changed()
        self.method_changed.emit()

    def _form_changed(self) -> None:
        ending = str(self.form_box.currentData())
        self.target.suggest(tag_of(self.options()), ending, _FORMS[ending])
        self.changed.emit()

    def _edited(self) -> None:
        path = self.interpreter()
        asked = self._asking == path and self._task.running
        unknown = path not in self._known and not self.interpreters.problem()
        if self._active and unknown and not asked:
            self._asking = path
            self._doing.setText(self.tr("Trying each method in this Python…"))
            self._bar.setRange(0, 0)
            self._task.ask(ProbeMethods(), path)
        self._show()
        self.changed.emit()

    def _trying(self, progress: Progress) -> None:
        if progress.total:
            text = self.tr("Trying each method in this Python: {method}…")
            self._doing.setText(text.format(method=words_of(progress.stage)))
            self._bar.setRange(0, progress.total)
            self._bar.setValue(progress.done)

    def _learned(self, known: MethodsProbed | Failed) -> None:
        path, self._asking = self._asking, ""
        self._known[path] = known
        self._edited()

    def _show(self) -> None:
        trying = self._task.running and self._asking == self.interpreter()
        self._waiting.setVisible(trying)
        known = self._known.get(self.interpreter())
        if isinstance(known, Failed):
            self._failure.show_failure(self.tr("The methods cannot be tried"), known)
        else:
            self._failure.hide()
        reason = self.tr("being tried…") if trying else ""
        self.methods.show_states(self._states(), reason)
