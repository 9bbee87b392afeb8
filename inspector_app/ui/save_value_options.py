"""What is done to values when a file is saved: dtypes, devices, layout, ties, shards."""

from __future__ import annotations

import re
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

from inspector_app.analysis.save_options import CASTS, DtypeRule, Form, SaveOptions, Ties
from inspector_app.ui import icons
from inspector_app.ui.wizard_widgets import BAD, QUIET, Box, Hint, field_label

# The smaller ones first: that is what one casts for.
_USUAL = ["bfloat16", "float16", "float32"]
DTYPES = [*_USUAL, *(name for name in CASTS if name not in _USUAL)]
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([kMGT]?)i?B?\s*", re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_DEVICE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(:\d{1,4})?")
_MOST_BYTES = 1 << 60


class DtypeRows(QWidget):
    """Casts of the keys that patterns match, one below the other.

    Signals:
        changed: another pattern or dtype.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[tuple[QWidget, QLineEdit, QComboBox]] = []
        self.add_button = QPushButton(self.tr("Add a pattern"))
        self.add_button.clicked.connect(lambda: self.add_row().setFocus())
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        foot = QHBoxLayout()
        foot.addWidget(self.add_button)
        foot.addStretch(1)
        self._column.addLayout(foot)

    def add_row(self, pattern: str = "", dtype: str = "float32") -> QLineEdit:
        """One more; returns the field of its pattern."""
        holder = QWidget()
        field, combo = QLineEdit(pattern), QComboBox()
        field.setPlaceholderText("*norm*")
        field.setAccessibleName(self.tr("Keys to cast"))
        combo.addItems(DTYPES)
        combo.setCurrentText(dtype)
        combo.setAccessibleName(self.tr("Dtype of these keys"))
        remove = QToolButton()
        remove.setIcon(icons.icon("close"))
        remove.setAutoRaise(True)
        remove.setToolTip(self.tr("Remove this pattern"))
        remove.setAccessibleName(remove.toolTip())
        line = QHBoxLayout(holder)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(field, 1)
        line.addWidget(combo)
        line.addWidget(remove)
        row = (holder, field, combo)
        self.rows.append(row)
        self._column.insertWidget(len(self.rows) - 1, holder)
        field.textChanged.connect(self.changed)
        combo.currentIndexChanged.connect(self.changed)
        remove.clicked.connect(lambda: self._remove(row))
        if pattern:
            self.changed.emit()
        return field

    def rules(self) -> tuple[DtypeRule, ...]:
        """Those that say which keys."""
        return tuple(
            DtypeRule(combo.currentText(), field.text().strip())
            for _, field, combo in self.rows
            if field.text().strip()
        )

    def _remove(self, row: tuple[QWidget, QLineEdit, QComboBox]) -> None:
        self.rows.remove(row)
        self.add_button.setFocus()
        row[0].hide()
        row[0].deleteLater()
        self.changed.emit()


class ValueOptions(QWidget):
    """Dtypes, devices, layout, ties and shards; what does not apply to the form is hidden.

    Signals:
        changed: another choice.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._form = Form.SAFETENSORS
        self._tied = 0
        self.dtype = QComboBox()
        self.dtype.addItem(self.tr("as they are"), "")
        for name in DTYPES:
            self.dtype.addItem(name, name)
        self.dtype.setToolTip(self.tr("What all floating-point tensors are cast to"))
        self.patterns = DtypeRows()
        self.cast_hint = Hint()
        self.device = QComboBox()
        self.device.setEditable(True)
        self.device.addItems(["", "cpu", "cuda:0"])
        self.device.lineEdit().setPlaceholderText(self.tr("as they are"))
        self.shard = QLineEdit()
        self.shard.setPlaceholderText(self.tr("one file"))
        self.shard.setToolTip(self.tr("Split into shards of this size, such as 5 GB"))
        self.clone = Box(self.tr("Give t&ied tensors bytes of their own"))
        self.contiguous = Box(self.tr("Make all tensors conti&guous"))
        for field in (self.dtype, self.device):
            field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        self._labels = {}
        for row, (text, field) in enumerate(
            (
                (self.tr("D&type"), self.dtype),
                (self.tr("De&vice tags"), self.device),
                (self.tr("Shards o&f"), self.shard),
            )
        ):
            label = self._labels[field] = field_label(text, field)
            self._grid.addWidget(label, row, 0)
            self._grid.addWidget(field, row, 1)
        self.hint = Hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(self._grid)
        layout.addWidget(self.patterns)
        for widget in (self.cast_hint, self.clone, self.contiguous, self.hint):
            layout.addWidget(widget)
        self.dtype.currentIndexChanged.connect(self._edited)
        self.patterns.changed.connect(self._edited)
        self.device.editTextChanged.connect(self._edited)
        self.shard.textChanged.connect(self._edited)
        self.clone.toggled.connect(self._edited)
        self.contiguous.toggled.connect(self._edited)
        self.clone.hide()
        self.set_form(self._form)

    def set_form(self, form: str) -> None:
        """Show what applies to a form of `Form`."""
        self._form = form
        self._show(self.device, form == Form.TORCH)
        self._show(self.shard, form == Form.SAFETENSORS)
        self.contiguous.setVisible(form == Form.TORCH)
        self._show_ties()

    def set_ties(self, tied: int) -> None:
        """There are so many tensors that share their bytes with others."""
        self._tied = tied
        self._show_ties()

    def apply_to(self, options: SaveOptions) -> SaveOptions:
        """`options` with what is chosen here, once there is no `problem`."""
        dtype = self.dtype.currentData()
        casts = ((DtypeRule(dtype),) if dtype else ()) + self.patterns.rules()
        torch = self._form == Form.TORCH
        return replace(
            options,
            dtypes=casts,
            device=self.device.currentText().strip() if torch else "",
            contiguous=torch and self.contiguous.isChecked(),
            ties=Ties.CLONE if self._clones() else Ties.KEEP,
            max_shard_bytes=self._shard_bytes() if self._form == Form.SAFETENSORS else None,
        )

    def problem(self) -> str:
        """What is wrong, in a sentence, or ""."""
        shard = self.shard.text().strip()
        if self._form == Form.SAFETENSORS and shard and not self._shard_bytes():
            return self.tr("{size} is no size such as 5 GB.").format(size=shard[:40])
        device = self.device.currentText().strip()
        if self._form == Form.TORCH and device and not _DEVICE.fullmatch(device):
            return self.tr("{device} is no device such as cpu or cuda:0.").format(
                device=device[:40]
            )
        return ""

    def summary(self) -> str:
        """What is chosen here, in a few words, for the folded title."""
        said = [self.dtype.currentData() or ""]
        said += [rule.dtype for rule in self.patterns.rules()]
        if self._form == Form.TORCH:
            said.append(self.device.currentText().strip())
            said.append(self.tr("contiguous") if self.contiguous.isChecked() else "")
        if self._form == Form.SAFETENSORS and self._shard_bytes():
            said.append(self.tr("shards"))
        said.append(self.tr("untied") if self._clones() else "")
        return ", ".join(dict.fromkeys(filter(None, said)))

    def say(self, cast: str, unmatched: str) -> None:
        """Show what casting does, or which patterns match nothing."""
        self.cast_hint.say(unmatched or cast, BAD if unmatched else QUIET)

    def _show_ties(self) -> None:
        self.clone.setVisible(self._tied > 0 and self._form != Form.NPZ)

    def _clones(self) -> bool:
        # An .npz has no place to say that two names are one tensor.
        return self._tied > 0 and (self._form == Form.NPZ or self.clone.isChecked())

    def _shard_bytes(self) -> int | None:
        found = _SIZE.fullmatch(self.shard.text())
        if found is None or len(found[1]) > 20:
            return None
        nbytes = int(float(found[1]) * _UNITS[found[2].upper()])
        return nbytes if 0 < nbytes <= _MOST_BYTES else None

    def _show(self, field: QWidget, shown: bool) -> None:
        field.setVisible(shown)
        self._labels[field].setVisible(shown)

    def _edited(self) -> None:
        self.hint.say(self.problem(), BAD)
        self.changed.emit()
