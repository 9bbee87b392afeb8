"""Facts about the selected key: both tensors side by side, and the metrics."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from inspector_app.analysis.comparison import Evidence, KeyPair, Status, ValueDifference
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.ui import diff_status
from inspector_app.ui.diff_columns import (
    DiffColumn,
    metric_text,
    tensor_text,
    value_text,
)
from inspector_app.ui.text_blocks import Facts
from inspector_app.ui.text_widgets import ElidedLabel, MutedLabel

BADGE = 20
LONGEST_VALUE = 2_000


class Badge(QWidget):
    """The letter of a status in its colour."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._status = Status.IDENTICAL
        self.setFixedSize(BADGE, BADGE)

    def show_status(self, status: str) -> None:
        """Show another status."""
        self._status = status
        self.setToolTip(diff_status.explanation(status))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        diff_status.draw_badge(painter, self._status, QRectF(self.rect()), QPalette())
        painter.end()


class PairDetails(QScrollArea):
    """The details of one key; without one it says how to get them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Details of the selection"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self._badge = Badge()
        self._title = ElidedLabel()
        font = self._title.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.15)
        self._title.setFont(font)
        self._subtitle = MutedLabel()
        self._subtitle.setWordWrap(True)
        self._facts = Facts()
        self._empty = MutedLabel(self.tr("Select a key to see how it differs."))
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self._title)
        words.addWidget(self._subtitle)
        self._head = QWidget()
        row = QHBoxLayout(self._head)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(9)
        row.addWidget(self._badge)
        row.addLayout(words, 1)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(16, 12, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(self._head)
        layout.addWidget(self._empty)
        layout.addWidget(self._facts)
        layout.addStretch()
        self.setWidget(content)
        self.show_selected(None)

    def show_selected(self, selected: KeyPair | ValueDifference | None) -> None:
        """Show a pair or a value, or how to select one."""
        self._empty.setVisible(selected is None)
        self._head.setVisible(selected is not None)
        self._facts.setVisible(selected is not None)
        if isinstance(selected, KeyPair):
            self._title.set_text(selected.key or "''")
            self._badge.show_status(selected.status)
            self._subtitle.setText(self._sentence(selected))
            self._facts.set_rows(self._rows(selected))
        elif selected is not None:
            self._title.set_text("/".join(map(str, selected.path)))
            self._badge.show_status(diff_status.VALUE)
            self._subtitle.setText(self.tr("A value that differs"))
            self._facts.set_rows(
                [
                    ("A", value_text(selected.a, LONGEST_VALUE)),
                    ("B", value_text(selected.b, LONGEST_VALUE)),
                    (self.tr("Change"), self._change(selected)),
                ]
            )

    def facts(self) -> dict[str, str]:
        """What is shown, by name."""
        return {} if self._facts.isHidden() else self._facts.rows()

    def sentence(self) -> str:
        """What became of the key, in words."""
        return self._subtitle.text()

    def _sentence(self, pair: KeyPair) -> str:
        if pair.error:
            return self.tr("The bytes could not be compared: {why}").format(
                why=plain(pair.error, 300)
            )
        match pair.status:
            case Status.MISSING:
                return self.tr("Missing: A has it, B does not")
            case Status.UNEXPECTED:
                return self.tr("Unexpected: B has it, A does not")
            case Status.MISMATCHED:
                if pair.reasons == ("dtype",):
                    return self.tr("Another dtype: PyTorch casts it without a word")
                return self.tr("Another shape: PyTorch refuses to load it")
            case Status.UNCOMPARED:
                return self.tr("Not compared yet: only the bytes can tell")
        if pair.status == Status.IDENTICAL:
            if pair.evidence == Evidence.CHECKSUM:
                return self.tr("Identical, by checksum")
            if pair.metrics is not None:
                return self.tr("Identical within the tolerance")
            return self.tr("Identical, bit for bit")
        if pair.evidence == Evidence.CHECKSUM:
            return self.tr("Changed, by checksum")
        return self.tr("Changed")

    def _rows(self, pair: KeyPair) -> list[tuple[str, str]]:
        rows = []
        for side, tensor in (("A", pair.a), ("B", pair.b)):
            rows.append((side, self._tensor(tensor) if tensor is not None else self.tr("absent")))
        metrics = pair.metrics
        if metrics is not None:
            for column, name in (
                (DiffColumn.REL_L2, self.tr("Relative L2")),
                (DiffColumn.MAX_ABS, self.tr("Max abs")),
                (DiffColumn.MEAN_ABS, self.tr("Mean abs")),
                (DiffColumn.COSINE, self.tr("Cosine")),
            ):
                rows.append((name, metric_text(metrics, column)))
            rows.append(
                (
                    self.tr("Differing"),
                    self.tr("{n} of {all} elements ({share})").format(
                        n=count_text(metrics.differing),
                        all=count_text(metrics.count),
                        share=metric_text(metrics, DiffColumn.DIFFERING),
                    ),
                )
            )
            if metrics.sign_flips:
                rows.append((self.tr("Sign flips"), count_text(metrics.sign_flips)))
            if metrics.nan_changes:
                rows.append((self.tr("NaN in one file"), count_text(metrics.nan_changes)))
            if metrics.infinity_changes:
                rows.append((self.tr("Inf changed"), count_text(metrics.infinity_changes)))
        rows += self._notes(pair)
        return rows

    def _tensor(self, tensor: TensorInfo) -> str:
        return f"{tensor_text(tensor)}\n{plain(tensor.name, 400)}"

    def _notes(self, pair: KeyPair) -> list[tuple[str, str]]:
        a, b = pair.a, pair.b
        if a is None or b is None:
            return []
        shown = {
            "device": (self.tr("Device"), a.device, b.device),
            "requires_grad": (self.tr("requires_grad"), str(a.requires_grad), str(b.requires_grad)),
            "stride": (self.tr("Stride"), str(a.stride), str(b.stride)),
            "layout": (self.tr("Layout"), a.layout, b.layout),
        }
        rows = []
        for note in pair.notes:
            if note in shown:
                name, one, other = shown[note]
                rows.append((name, f"{plain(one, 80)} → {plain(other, 80)}"))
        return rows

    @staticmethod
    def _change(difference: ValueDifference) -> str:
        a, b = difference.a, difference.b
        numbers = (int, float)
        if isinstance(a, bool) or isinstance(b, bool):
            return ""
        if not isinstance(a, numbers) or not isinstance(b, numbers) or abs(a) > 1e300 or not a:
            return ""
        if abs(b) > 1e300:
            return ""
        return f"{float(b) - float(a):+.6g}  (× {float(b) / float(a):.4g})"
