"""By how much values may differ and still count as identical: asked for, said, remembered."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.comparison import EXACT, Tolerance
from inspector_app.ui import settings
from inspector_app.ui.text_widgets import MutedLabel

WIDTH = 380


def remembered_tolerance(remembered: settings.Settings) -> Tolerance:
    """The last one; exact where what is remembered is none."""
    kept = remembered.read(settings.COMPARE_TOLERANCE)
    if len(kept) == 2 and all(type(each) in {int, float} for each in kept):
        found = [_number(str(each)) for each in kept]
        if None not in found:
            return Tolerance(*found)
    return EXACT


def remember_tolerance(remembered: settings.Settings, tolerance: Tolerance) -> None:
    """Let the next comparison have it, too."""
    remembered.write(settings.COMPARE_TOLERANCE, list(tolerance))


def bound_text(tolerance: Tolerance) -> str:
    """``1e-5 + 0.001·|A|``; "" where nothing may differ."""
    parts = [_figure(tolerance.atol)] if tolerance.atol else []
    if tolerance.rtol:
        parts.append(f"{_figure(tolerance.rtol)}·|A|")
    return " + ".join(parts)


def tolerance_words(tolerance: Tolerance) -> str:
    """What the header says."""
    if tolerance == EXACT:
        return _tr("Exact")
    return _tr("Within {bound}").format(bound=bound_text(tolerance))


class ToleranceDialog(QDialog):
    """Two numbers, from 0 up.

    Signals:
        chosen: the `Tolerance` that was entered.
    """

    chosen = Signal(object)

    def __init__(self, tolerance: Tolerance, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Tolerance"))
        words = QLabel(
            self.tr(
                "Values of B count as identical to those of A "
                "where |B\u00a0−\u00a0A| ≤ atol + rtol·|A|."
            )
        )
        words.setWordWrap(True)
        self.rtol = QLineEdit(f"{tolerance.rtol or 0}")
        self.atol = QLineEdit(f"{tolerance.atol or 0}")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("&rtol, times |A|"), self.rtol)
        form.addRow(self.tr("&atol, as a number"), self.atol)
        self.state = MutedLabel()
        self.state.setWordWrap(True)
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Ok | standard.Cancel)
        self.exact_button = buttons.addButton(
            self.tr("&Exact"), QDialogButtonBox.ButtonRole.ResetRole
        )
        self.exact_button.setToolTip(self.tr("Nothing may differ: 0 and 0"))
        self.exact_button.clicked.connect(self._set_exact)
        self.ok_button = buttons.button(standard.Ok)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 14)
        layout.setSpacing(12)
        layout.addWidget(words)
        layout.addLayout(form)
        layout.addWidget(self.state)
        layout.addWidget(buttons)
        self.setMinimumWidth(WIDTH)
        for field in (self.rtol, self.atol):
            field.textChanged.connect(self._look)
        self._look()
        self.rtol.selectAll()

    def _entered(self) -> Tolerance | None:
        rtol, atol = _number(self.rtol.text()), _number(self.atol.text())
        return None if rtol is None or atol is None else Tolerance(rtol, atol)

    def _look(self) -> None:
        tolerance = self._entered()
        self.ok_button.setEnabled(tolerance is not None)
        if tolerance is None:
            self.state.setText(self.tr("Both are numbers from 0 up, such as 1e-5."))
        elif tolerance == EXACT:
            self.state.setText(self.tr("Only equal bits count as identical."))
        else:
            self.state.setText(self.tr("The values are read again to find out."))

    def _set_exact(self) -> None:
        self.rtol.setText("0")
        self.atol.setText("0")

    def _accept(self) -> None:
        tolerance = self._entered()
        if tolerance is not None:
            self.chosen.emit(tolerance)
            self.accept()


def ask_for_tolerance(
    tolerance: Tolerance, window: QWidget, chosen: Callable[[Tolerance], object]
) -> ToleranceDialog:
    """Open the dialog; it holds up nothing but its window."""
    dialog = ToleranceDialog(tolerance, window)
    dialog.chosen.connect(chosen)
    dialog.open()
    return dialog


def _number(text: str) -> float | None:
    """A tolerance as people write it, with a comma, too; None if it is none."""
    try:
        value = float(text.strip().replace(",", ".") or "0")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _figure(value: float) -> str:
    """Four significant digits, as people write tolerances: ``1e-5``."""
    return f"{value:.4g}".replace("e-0", "e-").replace("e+", "e")


def _tr(text: str) -> str:
    return QCoreApplication.translate("CompareTolerance", text)
