"""What is to become of the selected keys: take, keep, fit or begin anew."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.transfer_plan import Act, Choice, Flow, Initial, Where
from inspector_app.checkpoint.text import plain
from inspector_app.ui.text_widgets import ElidedLabel
from inspector_app.ui.transfer_picture import facts, reason_text
from inspector_app.ui.wizard_widgets import Choice as RadioButton

KINDS = (
    *("zeros", "ones", "normal", "uniform"),
    *("kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform"),
)
TARGET_VALUES = ""
# The row has to fit into a window of 1024 pixels; a list that drops down is wide enough.
_NARROW = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
_INITIAL_AMOUNT = Initial().amount


class ChoicePanel(QWidget):
    """The choice for one key, or for all keys of a module.

    Signals:
        chosen: the target's keys, and the `Choice` for them; None is what is usual.
    """

    chosen = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._flows: Sequence[Flow] = ()
        self._showing = False
        self.title = ElidedLabel()
        self.title.setAccessibleName(self.tr("Selected key"))
        self.reason = QLabel()
        self.reason.setWordWrap(True)
        self._group = QButtonGroup(self)
        self.buttons: dict[str, RadioButton] = {}
        for act, text in (
            (Act.TAKE, self.tr("&Take")),
            (Act.KEEP, self.tr("&Keep the target's")),
            (Act.FIT, self.tr("S&lice or pad")),
            (Act.INITIALISE, self.tr("Re-&initialise")),
        ):
            button = RadioButton(text)
            button.clicked.connect(self._choose)
            self._group.addButton(button)
            self.buttons[act] = button
        self.where, self.rest, self.kind = QComboBox(), QComboBox(), QComboBox()
        for text, where in (
            (self.tr("from the beginning"), Where.BEGIN),
            (self.tr("from the middle"), Where.CENTRE),
            (self.tr("from the end"), Where.END),
        ):
            self.where.addItem(text, where)
        self.rest.addItem(self.tr("the rest keeps the target's"), TARGET_VALUES)
        for kind in KINDS:
            self.rest.addItem(self.tr("the rest: {kind}").format(kind=kind), kind)
            self.kind.addItem(kind, kind)
        self.where.setAccessibleName(self.tr("Which part of a longer axis"))
        self.rest.setAccessibleName(self.tr("What the rest is filled with"))
        self.kind.setAccessibleName(self.tr("New values"))
        for combo, characters in ((self.where, 13), (self.rest, 17), (self.kind, 10)):
            combo.setSizeAdjustPolicy(_NARROW)
            combo.setMinimumContentsLength(characters)
            combo.activated.connect(self._choose)
        self.usual_button = QPushButton(self.tr("As &usual"))
        self.usual_button.setToolTip(self.tr("Take what fits, and keep the rest of the target"))
        self.usual_button.setAutoDefault(False)
        self.usual_button.clicked.connect(self._undo)
        row = QHBoxLayout()
        row.setSpacing(10)
        for act in (Act.TAKE, Act.KEEP):
            row.addWidget(self.buttons[act])
        row.addWidget(self.buttons[Act.FIT])
        row.addWidget(self.where)
        row.addWidget(self.rest)
        row.addWidget(self.buttons[Act.INITIALISE])
        row.addWidget(self.kind)
        row.addStretch(1)
        row.addWidget(self.usual_button)
        words = QGridLayout()
        words.setHorizontalSpacing(12)
        words.addWidget(self.title, 0, 0)
        words.addWidget(self.reason, 0, 1)
        words.setColumnStretch(0, 1)
        words.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 6, 16, 6)
        layout.setSpacing(6)
        layout.addLayout(words)
        layout.addLayout(row)
        self.show_flows((), "")

    def show_flows(self, flows: Sequence[Flow], name: str) -> None:
        """Show what is chosen for these keys; `name` is theirs, or their module's."""
        self._flows = flows
        self._showing = True
        choices = {flow.choice for flow in flows}
        choice = next(iter(choices)) if len(choices) == 1 else None
        self._group.setExclusive(False)
        for act, button in self.buttons.items():
            button.setChecked(choice is not None and choice.act == act)
            button.setEnabled(any(can(flow, act) for flow in flows))
        self._group.setExclusive(True)
        if choice is not None:
            self.where.setCurrentIndex(max(self.where.findData(choice.where[0]), 0))
            kind = choice.initial.kind if choice.initial is not None else TARGET_VALUES
            self.rest.setCurrentIndex(max(self.rest.findData(kind), 0))
            self.kind.setCurrentIndex(max(self.kind.findData(kind), 0))
        self.where.setEnabled(self.buttons[Act.FIT].isChecked())
        self.rest.setEnabled(self.buttons[Act.FIT].isChecked())
        self.kind.setEnabled(self.buttons[Act.INITIALISE].isChecked())
        self.usual_button.setEnabled(bool(flows))
        self._show_words(flows, name)
        self._showing = False

    def focus_choice(self) -> None:
        """Go to what is chosen."""
        button = self._group.checkedButton() or self.buttons[Act.KEEP]
        button.setFocus()

    def _show_words(self, flows: Sequence[Flow], name: str) -> None:
        if not flows:
            self.title.set_text(
                self.tr("Select a key or a module of the target to choose what becomes of it.")
            )
            self.reason.setText("")
        elif len(flows) == 1:
            flow = flows[0]
            said = facts(flow.target)
            if flow.source is not None and facts(flow.source) != said:
                said = f"{facts(flow.source)} → {said}"
            self.title.set_text(f"{plain(name, 300)}   {said}")
            self.reason.setText(reason_text(flow))
        else:
            text = self.tr("{name}: {n} keys")
            self.title.set_text(text.format(name=plain(name, 300), n=count_text(len(flows))))
            self.reason.setText("")

    def _choose(self, _value: object = None) -> None:
        if self._showing or not self._flows:
            return
        act = next((each for each, button in self.buttons.items() if button.isChecked()), "")
        if not act:
            return
        keys = [flow.key for flow in self._flows if can(flow, act)]
        self.chosen.emit(keys, self._choice(act))

    def _choice(self, act: str) -> Choice:
        if act == Act.FIT:
            rest = self.rest.currentData()
            initial = _initial(rest) if rest != TARGET_VALUES else None
            return Choice(act, (self.where.currentData(),), initial)
        if act == Act.INITIALISE:
            return Choice(act, initial=_initial(self.kind.currentData()))
        return Choice(act)

    def _undo(self) -> None:
        self.chosen.emit([flow.key for flow in self._flows], None)


def _initial(kind: str) -> Initial:
    return Initial(kind, _INITIAL_AMOUNT)


def can(flow: Flow, act: str) -> bool:
    """A choice can be carried out for a key."""
    if act == Act.TAKE:
        return flow.source is not None and flow.source.shape == flow.target.shape
    if act == Act.FIT:
        source, target = flow.source, flow.target
        if source is None or source.shape == target.shape:
            return False
        plain_ones = source.layout == target.layout == "strided"
        return plain_ones and len(source.shape) == len(target.shape)
    return True
