"""Several checkpoints become one when they are saved: which, and how they are averaged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.save_options import Averaging, SaveOptions
from inspector_app.ui import icons
from inspector_app.ui.text_widgets import ElidedLabel, MutedLabel
from inspector_app.ui.wizard_widgets import BAD, Hint, field_label

MEAN, WEIGHTED, EMA = "mean", "weighted", "ema"
_WEIGHT_WIDTH = 9  # average characters
_FIRST_DECAY = "0.9"


class AverageOptions(QWidget):
    """The other files, and for each its weight.

    Signals:
        changed: another file, kind or weight.
        files_wanted: the button to add files was pressed.
    """

    changed = Signal()
    files_wanted = Signal()

    def __init__(self, path: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.paths = [path]
        self.weights: list[QLineEdit] = []
        self._holders: list[QWidget] = []
        self.kind = QComboBox()
        for text, kind in (
            (self.tr("mean"), MEAN),
            (self.tr("weighted mean"), WEIGHTED),
            (self.tr("exponential (EMA)"), EMA),
        ):
            self.kind.addItem(text, kind)
        self.kind.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.decay = QLineEdit(_FIRST_DECAY)
        self.add_button = QPushButton(self.tr("Add checkpoi&nts…"))
        self.add_button.clicked.connect(self.files_wanted)
        self.hint = Hint()
        self._note = MutedLabel(
            self.tr("Computed in float64, and rounded once to the dtype that is written.")
        )
        self._note.setWordWrap(True)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setColumnStretch(1, 1)
        self._kind_label = field_label(self.tr("Averag&e"), self.kind)
        self._decay_label = field_label(self.tr("Deca&y"), self.decay)
        for row, (label, field) in enumerate(
            ((self._kind_label, self.kind), (self._decay_label, self.decay))
        ):
            grid.addWidget(label, row, 0)
            grid.addWidget(field, row, 1)
        self._files = QVBoxLayout()
        self._files.setSpacing(4)
        foot = QHBoxLayout()
        foot.addWidget(self.add_button)
        foot.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(self._files)
        layout.addLayout(foot)
        layout.addLayout(grid)
        layout.addWidget(self.hint)
        layout.addWidget(self._note)
        self.kind.currentIndexChanged.connect(self._edited)
        self.decay.textChanged.connect(self._edited)
        self._add_row(path)
        self._edited()

    def add_paths(self, paths: Sequence[str]) -> None:
        """Average these, too."""
        for path in paths:
            path = os.path.abspath(path)
            if path not in self.paths:
                self.paths.append(path)
                self._add_row(path)
        self._edited()

    def remove_path(self, path: str) -> None:
        """Leave a file out again."""
        place = self.paths.index(path)
        del self.paths[place], self.weights[place]
        holder = self._holders.pop(place)
        holder.hide()
        holder.deleteLater()
        self.add_button.setFocus()
        self._edited()

    def apply_to(self, options: SaveOptions) -> SaveOptions:
        """`options` with what is chosen here, once there is no `problem`."""
        if len(self.paths) < 2:
            return options
        kind = self.kind.currentData()
        weights = tuple(_number(each) or 0.0 for each in self.weights) if kind == WEIGHTED else ()
        decay = (_number(self.decay) or 0.0) if kind == EMA else 0.0
        return replace(options, averaging=Averaging(kind, weights, decay))

    def problem(self) -> str:
        """What is wrong, in a sentence, or ""."""
        if len(self.paths) < 2:
            return ""
        kind = self.kind.currentData()
        if kind == WEIGHTED:
            weights = [_number(each) for each in self.weights]
            if any(weight is None for weight in weights):
                return self.tr("Each weight has to be a number.")
            if sum(each for each in weights if each is not None) == 0:
                return self.tr("The weights add up to 0.")
        decay = _number(self.decay)
        if kind == EMA and (decay is None or not 0 <= decay < 1):
            return self.tr("The decay has to be a number from 0 to below 1.")
        return ""

    def summary(self) -> str:
        """What is chosen here, in a few words, for the folded title."""
        if len(self.paths) < 2:
            return ""
        return self.tr("{n} files, {kind}").format(n=len(self.paths), kind=self.kind.currentText())

    def _add_row(self, path: str) -> None:
        holder = QWidget()
        line = QHBoxLayout(holder)
        line.setContentsMargins(0, 0, 0, 0)
        name = ElidedLabel(os.path.basename(path))
        weight = QLineEdit("1")
        weight.setAccessibleName(self.tr("Weight of {name}").format(name=name.text()))
        weight.setFixedWidth(weight.fontMetrics().averageCharWidth() * _WEIGHT_WIDTH)
        weight.textChanged.connect(self._edited)
        line.addWidget(name, 1)
        line.addWidget(weight)
        if self._holders:
            remove = QToolButton()
            remove.setIcon(icons.icon("close"))
            remove.setAutoRaise(True)
            remove.setToolTip(self.tr("Leave this file out"))
            remove.setAccessibleName(remove.toolTip())
            remove.clicked.connect(lambda: self.remove_path(path))
            line.addWidget(remove)
        self.weights.append(weight)
        self._holders.append(holder)
        self._files.addWidget(holder)

    def _edited(self) -> None:
        several = len(self.paths) > 1
        kind = self.kind.currentData()
        for widget in (self.kind, self._kind_label, self._note):
            widget.setVisible(several)
        for widget in (self.decay, self._decay_label):
            widget.setVisible(several and kind == EMA)
        for weight in self.weights:
            weight.setVisible(several and kind == WEIGHTED)
        self.hint.say(self.problem(), BAD)
        self.changed.emit()


def _number(field: QLineEdit) -> float | None:
    try:
        value = float(field.text().strip())
    except ValueError:
        return None
    return value if abs(value) < 1e300 else None
