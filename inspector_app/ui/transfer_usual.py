"""What is done with keys for which nothing else was chosen."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from inspector_app.analysis.transfer_plan import Act, Choice, Initial, TransferOptions
from inspector_app.ui.wizard_widgets import Box, field_label

_KEEP = Choice(Act.KEEP)


class UsualChoices(QWidget):
    """One choice for keys of another shape, one for missing keys, and casts.

    Signals:
        changed: another choice.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.mismatched, self.missing = QComboBox(), QComboBox()
        keep, zeros, normal = (
            self.tr("keep the target's"),
            self.tr("zeros"),
            self.tr("new, kaiming_uniform"),
        )
        fresh = (
            (zeros, Choice(Act.INITIALISE, initial=Initial("zeros"))),
            (normal, Choice(Act.INITIALISE, initial=Initial("kaiming_uniform"))),
        )
        fitted = (self.tr("slice or pad"), Choice(Act.FIT))
        self._choices = {
            self.mismatched: ((keep, _KEEP), fitted, *fresh),
            self.missing: ((keep, _KEEP), *fresh),
        }
        self.cast = Box(self.tr("&Cast to the target's dtypes"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for text, combo in (
            (self.tr("Oth&er shape:"), self.mismatched),
            (self.tr("Missin&g:"), self.missing),
        ):
            for words, _choice in self._choices[combo]:
                combo.addItem(words)
            combo.currentIndexChanged.connect(self.changed)
            row.addWidget(field_label(text, combo))
            row.addWidget(combo)
            row.addSpacing(8)
        row.addWidget(self.cast)
        row.addStretch(1)
        self.cast.toggled.connect(self.changed)

    def apply_to(self, options: TransferOptions) -> TransferOptions:
        """`options` with what is chosen here."""
        return replace(
            options,
            mismatched=self._choices[self.mismatched][self.mismatched.currentIndex()][1],
            missing=self._choices[self.missing][self.missing.currentIndex()][1],
            cast=self.cast.isChecked(),
        )

    def show_options(self, options: TransferOptions) -> None:
        """Show what is in force; nothing is emitted."""
        with QSignalBlocker(self):
            for combo, choice in (
                (self.mismatched, options.mismatched),
                (self.missing, options.missing),
            ):
                known = [each for _words, each in self._choices[combo]]
                if choice in known:
                    combo.setCurrentIndex(known.index(choice))
            self.cast.setChecked(options.cast)
