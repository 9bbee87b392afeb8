"""The arguments of a class or factory: a form made from its signature."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from itertools import pairwise

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import BAD, Hint, field_label, label_width
from inspector_app.worker.source_listing import Argument, Offer

_LONGEST_VALUE = 10_000
_MOST_ROWS = 60
_TO_BASELINE = 4  # pixels, from the top of a field to that of its text


class NoValue(ValueError):
    """A text that is no value."""


def value_of(text: str, annotation: str = "", default: object = None) -> object:
    """What `text` stands for, as a JSON value: ``64``, ``0.5``, ``True``, ``[1, 2]``, ``"relu"``;
    a bare word where the annotation or the default says that it is a text.

    Raises:
        NoValue: it stands for none.
    """
    text = text.strip()
    if len(text) > _LONGEST_VALUE:
        raise NoValue
    for read in (json.loads, ast.literal_eval):
        try:
            return _as_json(read(text))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
    if "str" in annotation or "Literal" in annotation or isinstance(default, str):
        return text
    raise NoValue


def text_of_value(value: object) -> str:
    """What `value_of` reads back."""
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, bool) else str(value)


def _as_json(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    raise NoValue


class _Row(QWidget):
    """One argument: its field, and below what is wrong with it."""

    changed = Signal()

    def __init__(self, argument: Argument, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.argument = argument
        self.field = QLineEdit()
        if argument.required:
            self.field.setPlaceholderText(self.tr("required"))
        else:
            self.field.setPlaceholderText(plain(argument.default, 60))
        self.hint = Hint()
        # Stands beside the row: its type, and where its value comes from.
        self.origin = MutedLabel()
        if argument.has_suggestion:
            self.field.setText(text_of_value(argument.suggested))
        self.field.textChanged.connect(self._changed)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.field, 0, 0)
        layout.addWidget(self.hint, 1, 0)
        self._check()

    def value(self) -> object:
        """The value.

        Raises:
            NoValue: there is none.
        """
        return value_of(self.field.text(), self.argument.annotation, self.argument.value)

    def problem(self) -> str:
        """What is wrong, or ""."""
        name = plain(self.argument.name)
        if not self.field.text().strip():
            if self.argument.required:
                return self.tr("{name} has no default: give it a value.").format(name=name)
            return ""
        try:
            self.value()
        except NoValue:
            return self.tr(
                '{name}: this is no value such as 64, 0.5, True, [1, 2] or "relu".'
            ).format(name=name)
        return ""

    def _changed(self) -> None:
        self._check()
        self.changed.emit()

    def _check(self) -> None:
        filled = bool(self.field.text().strip())
        if filled and (problem := self.problem()):
            self.hint.say(problem, BAD)
        else:
            self.hint.say("")
        said = [plain(self.argument.annotation, 40)]
        if filled and self.argument.has_suggestion and self._is_suggested():
            said.append(self.tr("from the checkpoint"))
        self.origin.setText(", ".join(filter(None, said)))

    def _is_suggested(self) -> bool:
        return self.field.text() == text_of_value(self.argument.suggested)


class ArgumentsForm(QWidget):
    """A row per argument; others can be given as a JSON object.

    Args:
        first: the field before them, from which the Tab key goes on to them.

    Signals:
        changed: something was typed.
    """

    changed = Signal()

    def __init__(self, first: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._first = first
        self.rows: dict[str, _Row] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnMinimumWidth(0, label_width(self))
        self._grid.setColumnStretch(1, 1)
        self.others = QLineEdit()
        self.others.setPlaceholderText('{"width": 64}')
        self.others.textChanged.connect(self._others_changed)
        self._others_label = QLabel()
        self._others_hint = Hint()
        self._others_visible = True
        self.set_offer(None)

    def set_offer(self, offer: Offer | None) -> None:
        """Show the arguments of `offer`; None leaves the JSON object alone."""
        kept = {name: row.field.text() for name, row in self.rows.items()}
        others = self.others.text()
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None and widget not in (self.others, self._others_hint):
                widget.hide()
                widget.deleteLater()
        self.rows = {}
        for place, argument in enumerate((offer.arguments if offer else ())[:_MOST_ROWS]):
            row = _Row(argument)
            if kept.get(argument.name):
                row.field.setText(kept[argument.name])
            row.changed.connect(self.changed)
            self.rows[argument.name] = row
            label = field_label(plain(argument.name, 40), row.field)
            for beside in (label, row.origin):
                beside.setContentsMargins(0, _TO_BASELINE, 0, 0)
            self._grid.addWidget(label, place, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(row, place, 1)
            self._grid.addWidget(row.origin, place, 2, Qt.AlignmentFlag.AlignTop)
        place = self._grid.rowCount()
        self._others_visible = offer is None or offer.any_keyword
        text = self.tr("Other arguments") if self.rows else self.tr("Arguments")
        self._others_label = field_label(text, self.others)
        self._grid.addWidget(self._others_label, place, 0)
        self._grid.addWidget(self.others, place, 1)
        self._grid.addWidget(self._others_hint, place + 1, 1)
        self._others_label.setVisible(self._others_visible)
        self.others.setVisible(self._others_visible)
        self.others.setText(others)
        self._order()
        if not self._others_visible:
            self._others_hint.hide()

    def _order(self) -> None:
        """Let the Tab key go on to the rows: new ones would come after everything else."""
        if self._first.window() is self.window():
            fields = [self._first, *(row.field for row in self.rows.values()), self.others]
            for before, after in pairwise(fields):
                QWidget.setTabOrder(before, after)

    def set_values(self, values: Mapping[str, object]) -> None:
        """Fill in what was given before."""
        left = dict(values)
        for name, row in self.rows.items():
            if name in left:
                row.field.setText(text_of_value(left.pop(name)))
        self.others.setText(json.dumps(left, ensure_ascii=False) if left else "")

    def values(self) -> dict[str, object]:
        """The arguments that are given, once there is no `problem`."""
        given = self._others() if self._others_visible else {}
        given = dict(given or {})
        for name, row in self.rows.items():
            if row.field.text().strip():
                given[name] = row.value()
        return given

    def problem(self) -> str:
        """What is wrong, or ""."""
        for row in self.rows.values():
            if problem := row.problem():
                return problem
        if self._others_visible and self._others() is None:
            return self.tr('The other arguments are no JSON object such as {"width": 64}.')
        return ""

    def _others(self) -> dict[str, object] | None:
        text = self.others.text().strip()
        if not text:
            return {}
        try:
            found = value_of(text)
        except NoValue:
            return None
        return found if isinstance(found, dict) else None

    def _others_changed(self) -> None:
        wrong = self._others_visible and self._others() is None
        self._others_hint.say(
            self.tr('This is no JSON object such as {"width": 64}.') if wrong else "", BAD
        )
        self.changed.emit()
