"""What is done to keys when a file is saved: prefixes, renames, and which are left out."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLineEdit,
    QPlainTextEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.key_mapping import BadRuleError, Rule
from inspector_app.analysis.save_options import SaveOptions
from inspector_app.checkpoint.text import plain
from inspector_app.ui.text_blocks import fixed_font
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import BAD, QUIET, Hint, field_label

_RULE_LINES = 3
_MOST_PREFIXES = 6


class KeyOptions(QWidget):
    """Prefixes, rules and globs.

    Signals:
        changed: something else was typed.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.strip = QComboBox()
        self.strip.setEditable(True)
        self.strip.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.strip.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.strip.lineEdit().setPlaceholderText(self.tr("such as module."))
        self.add = QLineEdit()
        self.add.setPlaceholderText(self.tr("such as backbone."))
        self.rules = QPlainTextEdit()
        self.rules.setFont(fixed_font())
        self.rules.setTabChangesFocus(True)
        self.rules.setPlaceholderText("^encoder\\.(\\d+)=>blocks.\\1")
        self.rules.setToolTip(self.tr("One to a line:  REGEX=>REPLACEMENT"))
        self.rules.setFixedHeight(_RULE_LINES * self.rules.fontMetrics().lineSpacing() + 14)
        self.rule_hint = Hint()
        self.keep, self.drop = QLineEdit(), QLineEdit()
        self.keep.setPlaceholderText(self.tr("everything"))
        self.drop.setPlaceholderText(self.tr("nothing"))
        globs = self.tr("Patterns such as *.weight, separated by spaces; * stands for anything")
        for field in (self.keep, self.drop):
            field.setToolTip(globs)
        self.glob_hint = Hint()
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(5)
        grid.setColumnStretch(1, 1)
        for row, (text, field) in enumerate(
            (
                (self.tr("Strip prefi&x"), self.strip),
                (self.tr("A&dd prefix"), self.add),
                (self.tr("&Keep keys"), self.keep),
                (self.tr("Dr&op keys"), self.drop),
            )
        ):
            grid.addWidget(field_label(text, field), row, 0)
            grid.addWidget(field, row, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(grid)
        layout.addWidget(self.glob_hint)
        layout.addWidget(field_label(self.tr("Rena&me by rules"), self.rules))
        layout.addWidget(self.rules)
        layout.addWidget(self.rule_hint)
        note = MutedLabel(self.tr("The prefix goes first, then the rules apply, one by one."))
        note.setWordWrap(True)
        layout.addWidget(note)
        self.strip.editTextChanged.connect(self._edited)
        self.rules.textChanged.connect(self._edited)
        for field in (self.add, self.keep, self.drop):
            field.textChanged.connect(self._edited)

    def suggest_prefixes(self, prefixes: Sequence[str]) -> None:
        """Offer what all keys begin with."""
        typed = self.strip.currentText()
        self.strip.clear()
        self.strip.addItems(list(prefixes[:_MOST_PREFIXES]))
        self.strip.setEditText(typed)
        if prefixes:
            said = self.tr("All keys begin with {prefix}")
            self.strip.lineEdit().setPlaceholderText(said.format(prefix=plain(prefixes[0], 60)))

    def apply_to(self, options: SaveOptions) -> SaveOptions:
        """`options` with what is typed here, once there is no `problem`."""
        from dataclasses import replace

        prefix = self.strip.currentText().strip()
        return replace(
            options,
            strip_prefix=(prefix,) if prefix else (),
            add_prefix=self.add.text().strip(),
            rules=tuple(self._rules()),
            keep=tuple(self.keep.text().split()),
            drop=tuple(self.drop.text().split()),
        )

    def problem(self) -> str:
        """What is wrong, in a sentence, or ""."""
        try:
            self._rules()
        except BadRuleError as error:
            return plain(str(error), 300)
        return ""

    def summary(self) -> str:
        """What is chosen here, in a few words, for the folded title."""
        said = []
        if prefix := self.strip.currentText().strip():
            said.append(f"− {plain(prefix, 24)}")
        if prefix := self.add.text().strip():
            said.append(f"+ {plain(prefix, 24)}")
        if self.keep.text().strip():
            said.append(self.tr("keep"))
        if self.drop.text().strip():
            said.append(self.tr("drop"))
        if self.rules.toPlainText().strip():
            said.append(self.tr("rules"))
        return ", ".join(said)

    def say(self, counts: str, unmatched: str) -> None:
        """Show how many keys the globs leave out, or which of them match nothing."""
        self.glob_hint.say(unmatched or counts, BAD if unmatched else QUIET)

    def _rules(self) -> list[Rule]:
        lines = [line.strip() for line in self.rules.toPlainText().splitlines()]
        return [Rule.parse(line) for line in lines if line]

    def _edited(self) -> None:
        self.rule_hint.say(self.problem(), BAD)
        self.changed.emit()
