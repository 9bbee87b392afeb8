"""What is typed and chosen in the fields of a form, whichever form it is.

A field is named by the classes of ours that it is in, its own class and how many of those came
before it: ``SaveForm/KeyOptions/QLineEdit/0``. So what one version of a form has kept another
may still find, and what it does not find it leaves alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QPlainTextEdit,
    QRadioButton,
    QSpinBox,
    QToolButton,
    QWidget,
)
from shiboken6 import isValid

Value = str | bool | int | float
# A property of a box, or of what it is in: what it agrees to is asked for each time.
ASKED_EACH_TIME = "asked_each_time"
_OURS = "inspector_app."
_KINDS: tuple[type[QWidget], ...] = (
    QComboBox,
    QAbstractButton,
    QLineEdit,
    QPlainTextEdit,
    QAbstractSpinBox,
)
_LONGEST = 100_000
_MOST = 2_000
_MOST_ROUNDS = 4


def fields_of(form: QWidget) -> dict[str, Value]:
    """What is in the fields of `form`, by their names."""
    found: dict[str, Value] = {}
    for name, field in _fields(form):
        value = _value(field)
        if isinstance(value, str) and len(value) > _LONGEST:
            continue
        found[name] = value
        if len(found) == _MOST:
            break
    return found


def fill(form: QWidget, values: Mapping[str, object]) -> None:
    """Put `values` into the fields that they name, as if they were typed; others stay.

    Fields that appear because of others are filled as well.
    """
    done: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        found = [each for each in _fields(form) if each[0] in values and each[0] not in done]
        for name, field in found:
            done.add(name)
            if isValid(field):  # another choice may have taken it away
                _set(field, values[name])
        if not found:
            return


def _fields(form: QWidget) -> Iterator[tuple[str, QWidget]]:
    """The fields with their names: choices first, since they may decide what can be typed."""
    found: dict[type[QWidget], list[QWidget]] = {kind: [] for kind in _KINDS}
    # Once through all of them: each look makes Python objects of every widget of the form.
    for widget in form.findChildren(QWidget):
        kind = next((kind for kind in _KINDS if isinstance(widget, kind)), None)
        if kind is not None and _is_field(widget):
            found[kind].append(widget)
    places: dict[QWidget, str | None] = {form: ""}
    seen: Counter[str] = Counter()
    for kind, fields in found.items():
        for field in fields:
            place = _place(field.parentWidget(), places)
            if place is not None:
                shared = f"{place}{kind.__name__}"
                yield f"{shared}/{seen[shared]}", field
                seen[shared] += 1


def _place(widget: QWidget | None, places: dict[QWidget, str | None]) -> str | None:
    """The classes of ours that hold it; None if what is in it is not kept."""
    if widget is None:
        return None
    if widget not in places:
        above = _place(widget.parentWidget(), places)
        kind = type(widget)
        ours = kind.__module__.startswith(_OURS)
        if widget.property(ASKED_EACH_TIME) or isinstance(
            widget, (QAbstractItemView, QComboBox, QAbstractSpinBox)
        ):
            above = None
        places[widget] = f"{above}{kind.__name__}/" if ours and above is not None else above
    return places[widget]


def _is_field(widget: QWidget) -> bool:
    if widget.property(ASKED_EACH_TIME):
        return False
    if isinstance(widget, QAbstractButton):
        kept = isinstance(widget, (QCheckBox, QRadioButton, QToolButton))
        return kept and widget.isCheckable()
    if isinstance(widget, (QLineEdit, QPlainTextEdit)):
        return not widget.isReadOnly()
    return True


def _value(field: QWidget) -> Value:
    if isinstance(field, QComboBox):
        return field.currentText()
    if isinstance(field, QAbstractButton):
        return field.isChecked()
    if isinstance(field, QLineEdit):
        return field.text()
    if isinstance(field, QPlainTextEdit):
        return field.toPlainText()
    if isinstance(field, (QSpinBox, QDoubleSpinBox)):
        return field.value()
    return field.text() if isinstance(field, QAbstractSpinBox) else ""


def _set(field: QWidget, value: object) -> None:
    """Nothing if the value is of another kind than the field, or has it already."""
    if type(value) is not type(_value(field)) or value == _value(field):
        return
    if isinstance(field, QComboBox) and isinstance(value, str):
        index = field.findText(value)
        if index >= 0:
            field.setCurrentIndex(index)
        elif field.isEditable():
            field.setEditText(value[:_LONGEST])
    elif isinstance(field, QRadioButton):
        # As with the mouse: some forms listen to clicks. Another of its group is chosen instead.
        if value is True:
            field.click()
    elif isinstance(field, QAbstractButton):
        field.click()
    elif isinstance(field, QLineEdit) and isinstance(value, str):
        field.setText(value[:_LONGEST])
    elif isinstance(field, QPlainTextEdit) and isinstance(value, str):
        field.setPlainText(value[:_LONGEST])
    elif isinstance(field, QSpinBox) and isinstance(value, int):
        if field.minimum() <= value <= field.maximum():
            field.setValue(value)
    elif isinstance(field, QDoubleSpinBox) and isinstance(value, float):
        field.setValue(value)
