"""The wizard's second page: the model's inputs, tried at once."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui.input_card import InputCard
from inspector_app.ui.model_page import ModelPage
from inspector_app.ui.text_blocks import Facts
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import (
    BAD,
    FORM_WIDTH,
    Box,
    FailureBox,
    Hint,
    WizardPage,
    row_of,
)
from inspector_app.ui.worker_task import WorkerTask
from inspector_app.ui.worker_words import (
    cause_text,
    seconds_text,
    shape_text,
    stage_text,
    tensor_text,
)
from inspector_app.worker.failures import Failed, Failure
from inspector_app.worker.input_text import check_axes
from inspector_app.worker.protocol import Inputs, InputSpec, ModelChoice, Progress, Trial, Tried

QUIET_MS = 700
_MOST_INPUTS = 32


class InputsPage(WizardPage):
    """A card for each input, and what one forward gives.

    Args:
        model: the page before.

    Attributes:
        tried: what one forward of the inputs as they are gave; None until it has.
    """

    widest = FORM_WIDTH

    def __init__(self, model: ModelPage, parent: QWidget | None = None) -> None:
        super().__init__(
            self.tr("Inputs"),
            self.tr("What forward is given: an example of each input, and which axes may differ."),
            parent,
        )
        self._model = model
        self.cards: list[InputCard] = []
        self.tried: Tried | None = None
        self._failed: Failed | None = None
        self._asked: tuple[ModelChoice, str, Inputs] | None = None
        self._guessed: tuple[InputSpec, ...] | None = None
        self._untouched = True
        self._active = False
        self._with_axes = True
        self.weights_only = Box(self.tr("Export the weights alone: they need &no inputs"))
        self.weights_only.toggled.connect(self._edited)
        self._cards = QVBoxLayout()
        self._cards.setSpacing(8)
        holder = QWidget()
        holder.setLayout(self._cards)
        self._cards.setContentsMargins(0, 0, 0, 0)
        self.add = QPushButton(self.tr("&Add input"))
        self.add.clicked.connect(self._add_one)
        self.guess = QPushButton(self.tr("&Guess again"))
        self.guess.setToolTip(self.tr("Replace the inputs by those that the model suggests"))
        self.guess.clicked.connect(self._guess)
        self._hint = Hint()
        self._doing = QLabel()
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setFixedSize(120, 10)
        self._waiting = row_of(self._bar, self._doing, stretch=-1)
        self._waiting.hide()
        self.failure = FailureBox()
        self._outputs = Facts()
        self._time = MutedLabel()
        self._outputs_part = QWidget()
        self._task = WorkerTask(self)
        self._task.progress.connect(self._progressed)
        self._task.finished.connect(self._worked)
        self._task.failed.connect(self._did_not_work)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(QUIET_MS)
        self._quiet.timeout.connect(self._try)
        self.column.addWidget(holder)
        self.column.addWidget(row_of(self.add, self.guess, stretch=-1))
        self.column.addWidget(self._hint)
        self.column.addWidget(self._waiting)
        self.column.addWidget(self.failure)
        self._outputs_part = self.add_part(
            self.tr("What one forward gives"), self._outputs, self._time
        )
        self._outputs_part.hide()
        self.column.addWidget(self.weights_only)
        self.column.addStretch(1)

    # --- what is given

    def inputs(self) -> Inputs:
        """The inputs, none where the weights alone are exported.

        Raises:
            Failure: something is wrong with one of them.
        """
        if self.weights_only.isChecked():
            return Inputs(())
        specs = tuple(card.spec() for card in self.cards)
        dynamic = tuple(axis for card in self.cards for axis in card.dynamic())
        check_axes(specs, dynamic)
        return Inputs(specs, dynamic)

    def problem(self) -> str:
        if self.weights_only.isChecked():
            return ""
        if problem := self.input_problem():
            return problem
        if self._failed is not None:
            return self.tr("The model does not run with these inputs.")
        return "" if self.tried is not None else self.tr("The model is being tried…")

    def summary(self) -> str:
        if self.weights_only.isChecked():
            return self.tr("none")
        if self.tried is None or self.problem():
            return ""
        first = self.tried.inputs[0]
        more = f" +{len(self.tried.inputs) - 1}" if len(self.tried.inputs) > 1 else ""
        return f"{plain(first.name, 16)} {shape_text(first.shape)}{more}"

    def restore(self, inputs: Inputs) -> None:
        """Show what was given before."""
        self.weights_only.setChecked(not inputs.specs)
        if not inputs.specs:
            return
        self._show_specs(inputs.specs)
        for card in self.cards:
            name = card.name.text()
            card.axes.set_dynamic([each for each in inputs.dynamic if each.input == name])
        self._untouched = False

    def enter(self) -> None:
        self._active = True
        described = self._model.described
        guesses = described.guesses if described is not None else ()
        if guesses != self._guessed:
            self._guessed = guesses
            if self._untouched:
                self._show_specs(guesses)
                self._untouched = True
        self._edited()

    def show_axes(self, wanted: bool) -> None:
        """Ask which axes are dynamic, or do not."""
        self._with_axes = wanted
        for card in self.cards:
            card.show_axes(wanted)

    def first_field(self) -> QWidget | None:
        return self.cards[0].shape if self.cards else self.add

    def leave(self) -> None:
        self._active = False

    def stop(self) -> None:
        self._quiet.stop()
        self._task.stop()

    # --- cards

    def _show_specs(self, specs: tuple[InputSpec, ...]) -> None:
        for card in list(self.cards):
            self._take(card)
        for spec in specs[:_MOST_INPUTS]:
            self._put(spec)

    def _put(self, spec: InputSpec) -> InputCard:
        card = InputCard(spec, self._model.subject.folder)
        card.show_axes(self._with_axes)
        card.changed.connect(self._touched)
        card.axes.ticked.connect(lambda axis, size: self._tick_others(card, axis, size))
        card.remove_requested.connect(lambda: self._remove(card))
        self.cards.append(card)
        self._cards.addWidget(card)
        self._order()
        return card

    def _order(self) -> None:
        """Let the Tab key go from card to card: new ones would come after everything else."""
        fields = [field for card in self.cards for field in card.fields()]
        for before, after in pairwise([*fields, self.add, self.guess, self.weights_only]):
            QWidget.setTabOrder(before, after)

    def _tick_others(self, card: InputCard, axis: int, size: int) -> None:
        """The batch of one input is mostly that of the others."""
        for other in self.cards:
            if axis == 0 and other is not card:
                other.axes.tick_too(size)

    def _take(self, card: InputCard) -> None:
        self.cards.remove(card)
        self._cards.removeWidget(card)
        card.hide()
        card.deleteLater()

    def _add_one(self) -> None:
        taken = {card.name.text() for card in self.cards}
        described = self._model.described
        known = [each.name for each in described.forward] if described is not None else []
        names = [*known, *(f"input_{number}" for number in range(_MOST_INPUTS))]
        name = next(each for each in names if each not in taken and each.isidentifier())
        self._put(InputSpec(name, (1,))).name.setFocus()
        self._touched()

    def _remove(self, card: InputCard) -> None:
        self._take(card)
        self.add.setFocus()
        self._touched()

    def _guess(self) -> None:
        self._show_specs(self._guessed or ())
        self._touched()
        self._untouched = True

    # --- what becomes of it

    def input_problem(self) -> str:
        """What is wrong with what was typed, or ""."""
        if self.weights_only.isChecked():
            return ""
        if not self.cards:
            return self.tr("Add an input: forward is given nothing.")
        for card in self.cards:
            if problem := card.problem():
                return problem
        names = [card.name.text().strip() for card in self.cards]
        for name in names:
            if names.count(name) > 1:
                return self.tr("Two inputs are called {name}.").format(name=plain(name))
        try:
            self.inputs()
        except Failure as failure:
            return cause_text(failure.failed)
        return ""

    def _touched(self) -> None:
        self._untouched = False
        self._order()
        self._edited()

    def _edited(self) -> None:
        problem = self.input_problem()
        shown = problem if all(not card.problem() for card in self.cards) else ""
        self._hint.say(shown, BAD)
        if problem or self.weights_only.isChecked() or self._model.problem():
            self._forget()
            self._quiet.stop()
        elif self._asked != self._wanted():
            self._forget()
            if self._active:
                self._quiet.start()
        self._show()
        self.changed.emit()

    def _wanted(self) -> tuple[ModelChoice, str, Inputs]:
        return self._model.choice(), self._model.interpreter(), self.inputs()

    def _forget(self) -> None:
        self._task.cancel()
        self._asked = self.tried = self._failed = None

    def _try(self) -> None:
        self._asked = choice, interpreter, inputs = self._wanted()
        self._doing.setText(self.tr("Starting Python…"))
        self._task.ask(Trial(choice, inputs), interpreter, self._model.subject.folder)
        self._show()

    def _progressed(self, progress: Progress) -> None:
        self._doing.setText(f"{stage_text(progress.stage)}…")

    def _worked(self, tried: Tried) -> None:
        self.tried = tried
        for card, info in zip(self.cards, tried.inputs, strict=False):
            card.set_file_shape(info.shape)
        self._order()
        self._show()
        self.changed.emit()

    def _did_not_work(self, failed: Failed) -> None:
        self._failed = failed
        self._show()
        self.show_soon(self.failure.banner)
        self.changed.emit()

    def _show(self) -> None:
        without = self.weights_only.isChecked()
        for card in self.cards:
            card.setEnabled(not without)
        self.add.setEnabled(not without and len(self.cards) < _MOST_INPUTS)
        self.guess.setEnabled(not without and bool(self._guessed))
        self._waiting.setVisible(self._task.running)
        if self._failed is not None:
            self.failure.show_failure(
                self.tr("The model does not run with these inputs"), self._failed
            )
        else:
            self.failure.hide()
        self._outputs_part.setVisible(self.tried is not None)
        if self.tried is not None:
            self._outputs.set_rows(
                [(plain(each.name, 60), tensor_text(each)) for each in self.tried.outputs]
            )
            text = self.tr("One forward takes {time}.")
            self._time.setText(text.format(time=seconds_text(self.tried.seconds)))
