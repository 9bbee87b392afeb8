"""Which file is A and which is B, what the statuses rest on, and the totals."""

from __future__ import annotations

import os
from collections import Counter

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.comparison import EXACT, Evidence, Tolerance
from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, theme
from inspector_app.ui.compare_tolerance import tolerance_words
from inspector_app.ui.compare_totals import StatusTotals
from inspector_app.ui.diff_figures import Differences
from inspector_app.ui.summary_text import format_words
from inspector_app.ui.text_widgets import ElidedLabel

SIDE = 22


class SideLetter(QWidget):
    """The letter of a side, A or B."""

    def __init__(self, letter: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._letter = letter
        self.setFixedSize(SIDE, SIDE)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        series = theme.tones(QPalette()).series
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(side_colour(self._letter, series))
        painter.drawRoundedRect(QRectF(self.rect()), 5, 5)
        font = QFont(painter.font())
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor("#ffffff" if not theme.is_dark(QPalette()) else "#10141a"))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._letter)
        painter.end()


def side_colour(letter: str, series: tuple[str, ...]) -> QColor:
    """The colour of a side, in charts as well: blue is A, orange is B."""
    # White on the plain orange of the series would be too faint.
    if letter == "A":
        return QColor(series[0])
    return QColor(series[1] if theme.is_dark(QPalette()) else "#b45f06")


class SideLabel(QWidget):
    """One of the two files."""

    def __init__(self, letter: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._letter = letter
        self._name = ElidedLabel()
        font = self._name.font()
        font.setWeight(QFont.Weight.DemiBold)
        self._name.setFont(font)
        self._facts = ElidedLabel(muted=True)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self._name)
        words.addWidget(self._facts)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(9)
        row.addWidget(SideLetter(letter))
        row.addLayout(words, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_file(self, path: str, checkpoint: Checkpoint | None) -> None:
        """Show a file, with what is known of it once it was read."""
        self._name.set_text(os.path.basename(path) or path)
        facts = [os.path.dirname(path)]
        if checkpoint is not None:
            facts[:0] = [format_words(checkpoint.format), size_text(checkpoint.file_bytes)]
        self._facts.set_text(" · ".join(facts))
        self.setAccessibleName(f"{self._letter}: {plain(path, 400)}")

    def text(self) -> str:
        """The name on show."""
        return self._name.text()


class CompareHeader(QWidget):
    """What stands above the tree of a comparison.

    Signals:
        swap_requested: A is to be B.
        values_requested: compare the bytes that have not been compared.
        tolerance_requested: something else is to count as identical.
        previous_requested, next_requested: go to the difference before or after.
    """

    swap_requested = Signal()
    values_requested = Signal()
    tolerance_requested = Signal()
    previous_requested = Signal()
    next_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.a, self.b = SideLabel("A"), SideLabel("B")
        self.swap_button = QToolButton()
        self.swap_button.setIcon(icons.icon("swap"))
        self.swap_button.setIconSize(QSize(18, 18))
        self.swap_button.setAutoRaise(True)
        self.swap_button.setToolTip(self.tr("Swap the sides: load A into B"))
        self.swap_button.setAccessibleName(self.tr("Swap sides"))
        self.swap_button.clicked.connect(self.swap_requested)
        self.report_button = QPushButton(self.tr("Report"))
        self.report_button.setAccessibleName(self.tr("Copy or save the report"))
        self.evidence = ElidedLabel(muted=True)
        self.tolerance_button = QPushButton()
        self.tolerance_button.setToolTip(
            self.tr("By how much values may differ and still count as identical")
        )
        self.tolerance_button.clicked.connect(self.tolerance_requested)
        self.show_tolerance(EXACT)
        self.values_button = QPushButton(self.tr("Compare values"))
        self.values_button.clicked.connect(self.values_requested)
        self.values_button.hide()
        self.totals = StatusTotals()
        self.previous_button = self._arrow("previous", self.tr("Previous difference (Alt+Up)"))
        self.previous_button.clicked.connect(self.previous_requested)
        self.next_button = self._arrow("next", self.tr("Next difference (Alt+Down)"))
        self.next_button.clicked.connect(self.next_requested)

        files = QHBoxLayout()
        files.setSpacing(10)
        files.addWidget(self.a, 1)
        files.addWidget(self.swap_button)
        files.addWidget(self.b, 1)
        files.addWidget(self.report_button)
        chips = QHBoxLayout()
        chips.setSpacing(8)
        chips.addWidget(self.previous_button)
        chips.addWidget(self.next_button)
        chips.addWidget(self.totals, 1)
        chips.addWidget(self.evidence)
        chips.addWidget(self.tolerance_button)
        chips.addWidget(self.values_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 4)
        layout.setSpacing(9)
        layout.addLayout(files)
        layout.addLayout(chips)

    def _arrow(self, name: str, hint: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(icons.icon(name))
        button.setAutoRaise(True)
        button.setToolTip(hint)
        button.setAccessibleName(hint)
        return button

    def show_tolerance(self, tolerance: Tolerance) -> None:
        """Say what counts as identical."""
        self.tolerance_button.setText(tolerance_words(tolerance))
        self.tolerance_button.setAccessibleName(
            self.tr("Tolerance: {words}").format(words=tolerance_words(tolerance))
        )

    def show_evidence(self, differences: Differences | None, running: bool) -> None:
        """Say what the statuses rest on."""
        rests = differences.evidence if differences is not None else Counter()
        words = self._evidence_words(rests)
        self.evidence.set_text(words)
        self.evidence.setVisible(bool(words))
        self.evidence.setToolTip(
            self.tr(
                "{words}. Checksums decide where both files have one of the whole tensor; "
                "all else needs the bytes."
            ).format(words=words)
        )
        waiting = differences is not None and differences.waiting > 0
        self.values_button.setVisible(waiting and not running)

    def _evidence_words(self, rests: Counter[str]) -> str:
        checksum, read = rests[Evidence.CHECKSUM], rests[Evidence.BYTES]
        if checksum and read:
            return self.tr("{n} by checksum, {m} byte by byte").format(
                n=count_text(checksum), m=count_text(read)
            )
        if checksum:
            return self.tr("by checksum")
        return self.tr("bytes compared") if read else ""

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()
