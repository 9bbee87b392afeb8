"""What was found in a file, from what matters most to what can be looked up."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QGuiApplication, QPalette
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.safety_report import SafetyReport, Use
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.ui import icons, safety_words, theme
from inspector_app.ui.code_listing import CodeListing
from inspector_app.ui.safety_anomalies import AnomalyList
from inspector_app.ui.safety_checksums import Checksums
from inspector_app.ui.safety_globals import GlobalsTree
from inspector_app.ui.text_blocks import TextBlock
from inspector_app.ui.text_widgets import Heading

_SIGN = 22
_SIGNS = {
    safety_words.CALM: ("check", "accent"),
    safety_words.UNUSUAL: ("warning", "warning"),
    safety_words.GRAVE: ("error", "error"),
}
_TITLE_SCALE = 1.15


class Findings(QScrollArea):
    """The report of one file.

    Signals:
        use_chosen: a `Use`, to be shown in the tree.
        opcode_wanted: a `Use` whose opcode is to be shown; None for any.
        anomaly_chosen: a `Problem`, to be shown where it is.
        clean_copy_requested: tensors and plain data are to be saved alone.
        message: one sentence for the status bar.
    """

    use_chosen = Signal(object)
    opcode_wanted = Signal(object)
    anomaly_chosen = Signal(object)
    clean_copy_requested = Signal()
    message = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Safety"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._report: SafetyReport | None = None
        self._tone = safety_words.CALM
        self._use: Use | None = None
        self._sign = QLabel()
        self._sign.setFixedWidth(_SIGN)
        self._title = Heading()
        font = self._title.font()
        font.setPointSizeF(font.pointSizeF() * _TITLE_SCALE)
        self._title.setFont(font)
        self._title.setWordWrap(True)
        self._text = TextBlock(max_lines=20)
        self.opcodes_button = QPushButton(self.tr("Disassembly"))
        self.opcodes_button.setToolTip(self.tr("Every opcode of the file's pickles"))
        self.opcodes_button.clicked.connect(lambda: self.opcode_wanted.emit(None))
        self.clean_button = QPushButton(self.tr("Save a clean copy…"))
        self.clean_button.setToolTip(self.tr("Save the tensors and plain data alone"))
        self.clean_button.clicked.connect(self.clean_copy_requested)
        self._verdict = TextBlock(max_lines=6)
        self._torch = TextBlock(framed=True, fixed_pitch=True, max_lines=10)
        self._torch.setAccessibleName(self.tr("Torch's message"))
        self._allow = TextBlock(max_lines=4)
        self._allow.set_text(self.tr("To load it all the same, if you trust who made it:"))
        self._lines = TextBlock(framed=True, fixed_pitch=True, max_lines=12)
        self._lines.setAccessibleName(self.tr("Lines that make torch accept it"))
        self._copy = QPushButton(icons.icon("copy"), self.tr("Copy lines"))
        self._copy.clicked.connect(self._copy_lines)
        self.anomalies = AnomalyList()
        self.anomalies.chosen.connect(self.anomaly_chosen)
        self._no_anomaly = TextBlock(max_lines=4)
        self._no_anomaly.set_text(
            self.tr("None: container and streams are as torch writes and reads them.")
        )
        self.globals = GlobalsTree()
        self.globals.use_selected.connect(self._select)
        self.globals.use_chosen.connect(self.use_chosen)
        self._arguments = TextBlock(framed=True, fixed_pitch=True, max_lines=6)
        self._arguments.setAccessibleName(self.tr("Arguments"))
        self.tree_button = QPushButton(self.tr("Show in the tree"))
        self.tree_button.clicked.connect(lambda: self.use_chosen.emit(self._use))
        self.opcode_button = QPushButton(self.tr("Show the opcode"))
        self.opcode_button.clicked.connect(lambda: self.opcode_wanted.emit(self._use))
        self.checksums = Checksums()
        self.sources = CodeListing()

        content = QWidget()
        self._layout = QVBoxLayout(content)
        self._layout.setContentsMargins(16, 14, 16, 16)
        self._layout.setSpacing(6)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        said = QVBoxLayout()
        said.setSpacing(4)
        said.addWidget(self._title)
        said.addWidget(self._text)
        head.addLayout(said, 1)
        self._layout.addLayout(head)
        self._layout.addLayout(_row(self.opcodes_button, self.clean_button))
        self._parts = {
            "anomalies": self._part(self.tr("Anomalies"), self.anomalies, self._no_anomaly),
            "globals": self._part(
                self.tr("What loading would import"),
                self.globals,
                self._arguments,
                _row(self.tree_button, self.opcode_button),
            ),
            "torch": self._part(
                "torch.load(weights_only=True)",
                self._verdict,
                self._torch,
                self._allow,
                self._lines,
                _row(self._copy),
            ),
            "checksums": self._part(self.tr("Checksums"), self.checksums),
            "sources": self._part(
                self.tr("Source texts in the file (shown, never run)"), self.sources
            ),
        }
        self._layout.addStretch()
        self.setWidget(content)
        self._select(None)

    def show_report(self, checkpoint: Checkpoint, report: SafetyReport) -> None:
        """Show what was found in a file."""
        self._report = report
        said = safety_words.headline(report)
        self._tone = said.tone
        self._title.setText(said.title)
        self._text.set_text(said.text)
        self.opcodes_button.setVisible(bool(report.pickles))
        self.clean_button.setVisible(not report.clean and bool(checkpoint.tensors))
        self.anomalies.show_problems(report.anomalies)
        self.anomalies.setVisible(bool(report.anomalies))
        self._no_anomaly.setVisible(not report.anomalies)
        self.globals.show_report(report)
        self._parts["globals"].setVisible(bool(report.globals))
        self._select(None)
        verdict = report.weights_only
        self._verdict.set_text(safety_words.verdict_text(verdict))
        self._torch.set_text(verdict.message)
        self._torch.setVisible(bool(verdict.message))
        self._lines.set_text("\n".join(verdict.lines))
        for widget in (self._allow, self._lines, self._copy):
            widget.setVisible(bool(verdict.lines))
        self._parts["torch"].setVisible(verdict.loads is not None)
        self.checksums.show_checkpoint(checkpoint)
        self._parts["sources"].setVisible(bool(checkpoint.code))
        if checkpoint.code:
            self.sources.set_checkpoint(checkpoint)
        self.verticalScrollBar().setValue(0)
        self._follow()

    def stop(self) -> None:
        """End what is going on."""
        self.checksums.stop()
        self.sources.cancel()

    def said(self) -> tuple[str, str]:
        """What is said first."""
        return self._title.text(), self._text.toPlainText()

    def torch_said(self) -> tuple[str, str, str]:
        """The verdict, the message and the lines on show."""
        blocks = (self._verdict, self._torch, self._lines)
        shown = ["" if block.isHidden() else block.toPlainText() for block in blocks]
        return shown[0], shown[1], shown[2]

    def arguments(self) -> str:
        """Those of the use that is selected."""
        return "" if self._arguments.isHidden() else self._arguments.toPlainText()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._follow()

    def _follow(self) -> None:
        name, tone = _SIGNS[self._tone]
        icon = icons.icon(name, getattr(theme.tones(QPalette()), tone))
        self._sign.setPixmap(icon.pixmap(_SIGN, _SIGN))

    def _part(self, title: str, *bodies: QWidget | QHBoxLayout) -> QWidget:
        part = QWidget()
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 12, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(Heading(title))
        for body in bodies:
            if isinstance(body, QWidget):
                layout.addWidget(body)
            else:
                layout.addLayout(body)
        self._layout.addWidget(part)
        return part

    def _select(self, use: Use | None) -> None:
        self._use = use
        self._arguments.set_text(use.arguments if use is not None else "")
        self._arguments.setVisible(bool(use is not None and use.arguments))
        self.tree_button.setVisible(use is not None)
        self.opcode_button.setVisible(use is not None)
        self.tree_button.setEnabled(bool(use is not None and use.path))

    def _copy_lines(self) -> None:
        if self._report is not None:
            lines = self._report.weights_only.lines
            QGuiApplication.clipboard().setText("\n".join(lines) + "\n")
            self.message.emit(
                self.tr("1 line copied")
                if len(lines) == 1
                else self.tr("{n} lines copied").format(n=count_text(len(lines)))
            )


def _row(*buttons: QPushButton) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    for button in buttons:
        row.addWidget(button)
    row.addStretch()
    return row
