"""The methods of quantization, one below the other; the chosen one says more and has options."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QButtonGroup, QVBoxLayout, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.quantize_forms import MethodForm, form_of
from inspector_app.ui.text_blocks import Facts
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import BAD, Choice, CopyLine, Hint, TonedLabel, row_of
from inspector_app.worker.quantize_methods import METHODS, Method, method_of
from inspector_app.worker.quantize_protocol import MethodState, QuantizeOptions

_INDENT = 24


def words_of(text: str) -> str:
    """A sentence of `quantize_methods`, translated."""
    return QCoreApplication.translate("QuantizeMethods", text)


class Badge(TonedLabel):
    """Whether a method is there, in a word or two at the end of its row."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("muted", parent)

    def say(self, text: str, available: bool | None) -> None:
        """Show `text`, in the colour of what is there, is not, or is not known."""
        self.setText(text)
        self.set_tone({True: "info", False: "error", None: "muted"}[available])


class MethodRow(QWidget):
    """One method."""

    def __init__(self, method: Method, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.method = method
        self.button = Choice(words_of(method.title))
        self.button.setAccessibleDescription(words_of(method.what))
        self.badge = Badge()
        what = MutedLabel(words_of(method.what))
        what.setWordWrap(True)
        what.setContentsMargins(_INDENT, 0, 0, 0)
        self.form: MethodForm = form_of(method)
        self._facts = Facts()
        self._facts.set_rows(
            [
                (self.tr("Quantizes"), words_of(method.layers)),
                (self.tr("Needs"), words_of(method.needs)),
                (self.tr("Today"), words_of(method.state)),
            ]
        )
        self._lacks = Hint()
        self._pip = CopyLine()
        self._more = QWidget()
        more = QVBoxLayout(self._more)
        more.setContentsMargins(_INDENT, 4, 0, 8)
        more.setSpacing(6)
        for widget in (self._facts, self._lacks, self._pip, self.form):
            more.addWidget(widget)
        self.form.setVisible(self.form.has_fields())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(1)
        layout.addWidget(row_of(self.button, self.badge))
        layout.addWidget(what)
        layout.addWidget(self._more)
        self.set_open(False)

    def set_open(self, opened: bool) -> None:
        """Say more, or little."""
        self._more.setVisible(opened)

    def show_state(self, state: MethodState | None, reason: str) -> None:
        """Whether it works in the interpreter; `reason` stands for what is not known."""
        if state is None:
            self.badge.say(reason, None)
            self._lacks.say("")
            self._pip.set_line("")
            return
        if state.available:
            self.badge.say(plain(state.version, 60) or self.tr("available"), True)
            self.form.set_choices(state.choices)
        else:
            self.badge.say(self.tr("not available"), False)
        self._lacks.say("" if state.available else plain(state.reason, 400), BAD)
        self._pip.set_line("" if state.available else state.pip)


class MethodList(QWidget):
    """All of them.

    Signals:
        changed: another method or option.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        self.rows = [MethodRow(method) for method in METHODS]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for row in self.rows:
            self._group.addButton(row.button)
            row.button.toggled.connect(self._toggled)
            row.form.changed.connect(self.changed)
            layout.addWidget(row)
        self.rows[0].button.setChecked(True)

    def current(self) -> MethodRow:
        """The row of the chosen method."""
        return next(row for row in self.rows if row.button.isChecked())

    def row_of(self, method: str, engine: str = "") -> MethodRow:
        """The row of a method."""
        wanted = (method, engine)
        return next(row for row in self.rows if (row.method.method, row.method.engine) == wanted)

    def options(self) -> QuantizeOptions:
        """The chosen method with its options."""
        return self.current().form.options()

    def restore(self, options: QuantizeOptions) -> None:
        """Show what was chosen before."""
        method = method_of(options)
        row = self.row_of(method.method, method.engine)
        row.form.restore(options)
        row.button.setChecked(True)

    def show_states(self, states: dict[tuple[str, str], MethodState], reason: str) -> None:
        """Whether each works; `reason` stands for those that are not known."""
        for row in self.rows:
            row.show_state(states.get((row.method.method, row.method.engine)), reason)

    def _toggled(self, checked: bool) -> None:
        if checked:
            for row in self.rows:
                row.set_open(row.button.isChecked())
            self.changed.emit()
