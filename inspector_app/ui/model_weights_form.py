"""Which tensors go into the model, under which keys, and where it runs with them."""

from __future__ import annotations

import sys

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QSizePolicy,
    QWidget,
)

from inspector_app.analysis.key_mapping import BadRuleError, Rule
from inspector_app.checkpoint.model import TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.model_subject import Subject
from inspector_app.ui.section_words import section_words
from inspector_app.ui.text_blocks import fixed_font
from inspector_app.ui.wizard_widgets import BAD, Box, Hint, field_label, label_width
from inspector_app.worker.protocol import FLOAT_DTYPES, WRAPPERS, Weights

_MOST_LINES = 5


class WeightsForm(QWidget):
    """Which tensors go into the model.

    Signals:
        changed: another choice.
    """

    changed = Signal()

    def __init__(self, subject: Subject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._paths: list[TreePath | None] = []
        self.section = QComboBox()
        self.section.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for path, kind in subject.sections:
            self._add(path, f"{_name(path) or self.tr('the whole file')} — {section_words(kind)}")
        if not self._paths:
            self._add(None, self.tr("the whole file"))
        self.section.currentIndexChanged.connect(self.changed)
        self.prefixes = QLineEdit(", ".join(WRAPPERS))
        self.prefixes.textChanged.connect(self.changed)
        self.rules = _Lines()
        self.rules.setPlaceholderText(r"^encoder\.layer\.(\d+)=>blocks.\1")
        self.rules.textChanged.connect(self._rules_typed)
        self._rules_hint = Hint()
        self.strict = Box(self.tr("All &keys have to fit (strict)"))
        self.strict.setChecked(True)
        self.strict.toggled.connect(self.changed)
        hint = Hint()
        hint.say(
            self.tr(
                "Dropped, or added, where more keys match: DataParallel and torch.compile add them."
            )
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        grid.setColumnMinimumWidth(0, label_width(self))
        grid.setColumnStretch(1, 1)
        grid.addWidget(field_label(self.tr("&Section"), self.section), 0, 0)
        grid.addWidget(self.section, 0, 1)
        grid.addWidget(field_label(self.tr("&Prefixes"), self.prefixes), 1, 0)
        grid.addWidget(self.prefixes, 1, 1)
        grid.addWidget(hint, 2, 1)
        label = field_label(self.tr("&Renames"), self.rules)
        grid.addWidget(label, 3, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.rules, 3, 1)
        grid.addWidget(self._rules_hint, 4, 1)
        grid.addWidget(self.strict, 5, 1)
        self._rules_typed()

    def weights(self) -> Weights:
        """What is chosen; without the rules while one of them is wrong."""
        rules = [] if self.problem() else self._typed()
        prefixes = [each.strip() for each in self.prefixes.text().split(",")]
        return Weights(
            section=self._paths[max(self.section.currentIndex(), 0)],
            strip_prefixes=tuple(filter(None, prefixes)),
            rules=tuple((rule.pattern, rule.replacement) for rule in rules),
            strict=self.strict.isChecked(),
        )

    def problem(self) -> str:
        """What is wrong, or ""."""
        try:
            self._typed()
        except BadRuleError as error:
            return plain(f"{error}.", 300)
        return ""

    def restore(self, weights: Weights) -> None:
        """Show what was chosen before."""
        if weights.section in self._paths:
            self.section.setCurrentIndex(self._paths.index(weights.section))
        self.prefixes.setText(", ".join(weights.strip_prefixes))
        self.rules.setPlainText("\n".join(str(Rule(*each)) for each in weights.rules))
        self.strict.setChecked(weights.strict)

    def choose_section(self, path: TreePath) -> None:
        """Take the tensors at `path`, which need be no section that is known."""
        if path not in self._paths:
            self._add(path, _name(path))
        self.section.setCurrentIndex(self._paths.index(path))

    def _typed(self) -> list[Rule]:
        lines = [line.strip() for line in self.rules.toPlainText().splitlines()]
        return [Rule.parse(line) for line in lines if line]

    def _rules_typed(self) -> None:
        problem = self.problem()
        said = self.tr("Rules REGEX=>REPLACEMENT, one a line: for keys that no prefix explains.")
        self._rules_hint.say(problem or said, *((BAD,) if problem else ()))
        self.changed.emit()

    def _add(self, path: TreePath | None, text: str) -> None:
        self._paths.append(path)
        self.section.addItem(text)


class PlacementForm(QWidget):
    """Where the model runs, and what its floating point tensors are cast to before.

    Signals:
        changed: another choice.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._device = QComboBox()
        self._device.setEditable(True)
        self._device.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self._device.addItems(["cpu", "cuda", *(["mps"] if sys.platform == "darwin" else [])])
        self._device.setToolTip(self.tr("As torch names it: cpu, cuda, cuda:1, mps, xpu"))
        self._device.currentTextChanged.connect(self.changed)
        self._dtype = QComboBox()
        self._dtype.addItems([self.tr("as the model has it"), *FLOAT_DTYPES])
        self._dtype.currentIndexChanged.connect(self.changed)
        label = field_label(self.tr("&Device"), self._device)
        label.setMinimumWidth(label_width(self))
        self._device.setMinimumWidth(self.fontMetrics().averageCharWidth() * 14)
        cast = field_label(self.tr("Floating point &type"), self._dtype)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        for widget in (label, self._device, cast, self._dtype):
            row.addWidget(widget)
        row.insertSpacing(2, 12)
        row.addStretch(1)

    def device(self) -> str:
        """As torch names it."""
        return self._device.currentText().strip()

    def dtype(self) -> str:
        """One of `FLOAT_DTYPES`, or ""."""
        return ("", *FLOAT_DTYPES)[max(self._dtype.currentIndex(), 0)]

    def problem(self) -> str:
        """What is missing, or ""."""
        return "" if self.device() else self.tr("Name the device that the model runs on: cpu.")

    def restore(self, device: str, dtype: str) -> None:
        """Show what was chosen before."""
        self._device.setCurrentText(device)
        if dtype in FLOAT_DTYPES:
            self._dtype.setCurrentIndex(FLOAT_DTYPES.index(dtype) + 1)


class _Lines(QPlainTextEdit):
    """A field of a few lines: as tall as they are."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(fixed_font())
        self.setTabChangesFocus(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.textChanged.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        lines = min(max(self.blockCount(), 1), _MOST_LINES)
        edge = 2 * (self.frameWidth() + int(self.document().documentMargin()))
        return QSize(200, self.fontMetrics().lineSpacing() * lines + edge + 2)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()


def _name(path: TreePath) -> str:
    return plain("/".join(map(str, path)), 80)
