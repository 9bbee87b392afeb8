"""The quantize dialog's first page: what each scheme would cost, found without any model."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.quantization_figures import TensorPreview
from inspector_app.analysis.quantization_schemes import SCHEMES
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui.banner import ERROR, WARNING, Banner
from inspector_app.ui.quantize_histogram import GridHistogramView
from inspector_app.ui.quantize_preview_run import ALWAYS, PreviewRun
from inspector_app.ui.quantize_table import PreviewTable
from inspector_app.ui.quantize_words import db_text, kept_text, scheme_text, sizes_text
from inspector_app.ui.text_widgets import ElidedLabel, MutedLabel
from inspector_app.ui.wizard_widgets import Hint, WizardPage, field_label, row_of

FIRST_SCHEME = "int8-per-channel"
TABLE_HEIGHT = 170
_NAMED = 3  # tensors in a sentence
_BAR_STEPS = 1_000


class PreviewPage(WizardPage):
    """The tensors sorted by damage, what they add up to, and the values of the current one.

    Args:
        checkpoint: the file, which has to stay whole.

    Signals:
        figures_changed: figures of the scheme that is chosen have come.
    """

    figures_changed = Signal()

    def __init__(self, checkpoint: Checkpoint, parent: QWidget | None = None) -> None:
        super().__init__(
            self.tr("Preview"),
            self.tr("What storing the weights in fewer bits would cost each. No model is run."),
            parent,
        )
        self.run = PreviewRun(checkpoint, self)
        self.run.changed.connect(self._show)
        self.run.ended.connect(self._show)
        self.scheme_box = QComboBox()
        for scheme in SCHEMES:
            self.scheme_box.addItem(scheme_text(scheme), scheme.name)
        self.scheme_box.setCurrentIndex(self.scheme_box.findData(FIRST_SCHEME))
        self.scheme_box.currentIndexChanged.connect(self._chosen)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedSize(140, 10)
        self.bar.setAccessibleName(self.tr("Progress of the preview"))
        self.button = QPushButton(self.tr("&Stop"))
        self.button.clicked.connect(self._pressed)
        self._counted = MutedLabel()
        self._label = field_label(self.tr("&Scheme"), self.scheme_box)
        self.column.addWidget(
            row_of(self._label, self.scheme_box, self._counted, self.bar, self.button, stretch=2)
        )
        self.totals = Totals()
        self.column.addWidget(self.totals)
        self.banner = Banner()
        self.column.addWidget(self.banner)
        self._hint = Hint()
        self.column.addWidget(self._hint)
        self.table = PreviewTable()
        self.table.setMinimumHeight(TABLE_HEIGHT)
        self.table.chosen.connect(self._show_values)
        self.column.addWidget(self.table, 1)
        self.values = GridHistogramView(checkpoint)
        self.column.addWidget(self.values)
        self._show()

    def scheme(self) -> str:
        """The name of the scheme that is chosen."""
        return str(self.scheme_box.currentData())

    def choose(self, scheme: str) -> None:
        """Choose a scheme, if there is one of that name."""
        place = self.scheme_box.findData(scheme)
        if place >= 0:
            self.scheme_box.setCurrentIndex(place)

    def summary(self) -> str:
        return self.scheme_box.currentText()

    def enter(self) -> None:
        self.run.start(self.scheme())

    def first_field(self) -> QWidget | None:
        return self.table if self.table.tensors.rowCount() else self.scheme_box

    def stop(self) -> None:
        self.run.stop()
        self.table.tensors.stop()
        self.values.stop()

    def _chosen(self) -> None:
        self.run.start(self.scheme())
        self._show()
        self.changed.emit()

    def _pressed(self) -> None:
        if self.run.running:
            self.run.cancel()
        else:
            self.run.start(self.scheme())

    def _show(self) -> None:
        scheme = self.scheme()
        found = self.run.gathered(scheme).tensors
        self.table.show_found(found, scheme)
        running = self.run.running
        self.bar.setVisible(running)
        if self.run.total:
            self.bar.setRange(0, _BAR_STEPS)
            self.bar.setValue(min(self.run.done * _BAR_STEPS // self.run.total, _BAR_STEPS))
        else:
            self.bar.setRange(0, 0)
        complete = self.run.is_complete(scheme)
        self.button.setVisible(not complete)
        self.button.setText(self.tr("&Stop") if running else self.tr("Comp&ute"))
        text = self.tr("{done} of {all} tensors")
        self._counted.setText(
            ""
            if complete
            else text.format(done=count_text(len(found)), all=count_text(self.run.count))
        )
        self._show_totals(scheme)
        self._show_findings(scheme)
        self.figures_changed.emit()

    def _show_totals(self, scheme: str) -> None:
        gathered = self.run.gathered(scheme)
        total, worst = gathered.total, gathered.worst
        if total is None:
            self.totals.show_figures("—", "—", "—", "—")
            return
        named = "—"
        if worst is not None:
            named = f"{plain(worst.tensor.name, 120)}  {db_text(worst.schemes[scheme].sqnr_db)}"
        self.totals.show_figures(
            sizes_text(total.nbytes_before, total.nbytes),
            db_text(total.sqnr_db),
            named,
            self.tr("{n} of {all}").format(
                n=count_text(total.kept), all=count_text(total.kept + total.tensors)
            ),
        )

    def _show_findings(self, scheme: str) -> None:
        if self.run.error:
            self.banner.show_message(
                ERROR,
                self.tr("The preview broke off"),
                self.run.error,
                self.tr("Reload the file if it has changed, and open this window again."),
            )
            return
        always = self.run.gathered(ALWAYS)
        over, broken = always.overflowing, always.broken
        if over:
            title = self.tr("Casting to fp16 would overflow in one tensor")
            if len(over) > 1:
                title = self.tr("Casting to fp16 would overflow in {n} tensors")
            self.banner.show_message(
                WARNING,
                title.format(n=count_text(len(over))),
                _names(over),
                self.tr("fp16 ends at 65,504. bf16 has the range of float32."),
                [(self.tr("Show it"), lambda: self._go_to(over[0]))],
            )
        elif broken:
            title = self.tr("One tensor holds NaN or infinities")
            if len(broken) > 1:
                title = self.tr("{n} tensors hold NaN or infinities")
            self.banner.show_message(
                WARNING,
                title.format(n=count_text(len(broken))),
                _names(broken),
                self.tr("They stay what they are, and choose no scale."),
                [(self.tr("Show it"), lambda: self._go_to(broken[0]))],
            )
        else:
            self.banner.hide()
        padded = self.run.gathered(scheme).padded
        text = self.tr(
            "Tensors whose rows are no multiple of the group: {n}. torchao refuses them."
        )
        self._hint.say(text.format(n=count_text(padded)) if padded else "")

    def _go_to(self, found: TensorPreview) -> None:
        self.table.select(found.number)
        self.table.setFocus()

    def _show_values(self, found: TensorPreview) -> None:
        error = self.table.tensors.error_of(found)
        why = "" if error is not None else self.tr("It stays as it is: {reason}.")
        reason = kept_text(found.kept) if found.kept else self.tr("the scheme does not take it")
        self.values.show_tensor(found.tensor, self.scheme(), why.format(reason=reason))


class Totals(QWidget):
    """What the file comes to: four figures side by side."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 2, 0, 2)
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(1)
        names = (
            self.tr("Size of the tensors"),
            self.tr("SQNR of all"),
            self.tr("Most damaged"),
            self.tr("Kept as they are"),
        )
        self._figures: list[QLabel | ElidedLabel] = []
        for column, name in enumerate(names):
            figure: QLabel | ElidedLabel = ElidedLabel() if column == 2 else QLabel()
            if isinstance(figure, QLabel):
                figure.setTextFormat(Qt.TextFormat.PlainText)
                figure.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            font = figure.font()
            font.setBold(True)
            figure.setFont(font)
            self._figures.append(figure)
            grid.addWidget(MutedLabel(name), 0, column)
            grid.addWidget(figure, 1, column)
        grid.setColumnStretch(2, 1)

    def show_figures(self, size: str, sqnr: str, worst: str, kept: str) -> None:
        """Show other figures."""
        for label, text in zip(self._figures, (size, sqnr, worst, kept), strict=True):
            if isinstance(label, ElidedLabel):
                label.set_text(text)
            else:
                label.setText(text)

    def figures(self) -> list[str]:
        """What is shown."""
        return [label.text() for label in self._figures]


def _names(found: list[TensorPreview]) -> str:
    names = [plain(each.tensor.name, 120) for each in found[:_NAMED]]
    left = len(found) - len(names)
    return ", ".join(names) + (f" … {count_text(left)}" if left else "")
