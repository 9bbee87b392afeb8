"""What can be done with a file: two buttons for what is wanted most, a menu for the rest."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QAction, QPalette
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QSizePolicy, QToolButton, QWidget

from inspector_app.ui import theme
from inspector_app.ui.text_widgets import Heading, WarningHeading


class SummaryActions(QWidget):
    """A row of buttons.

    Attributes:
        compute_button, export_button: the two.
        quantize, transfer, save, clean_copy, safety, copy_loading, copy_resume: actions of the
            menu.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.compute_button = QPushButton(self.tr("Compute statistics"))
        self.compute_button.setToolTip(
            self.tr("Count the values of every tensor: mean, extremes, norm, zeros, NaN")
        )
        self.export_button = QPushButton(self.tr("Export…"))
        self.export_button.setToolTip(
            self.tr("Export the model as ONNX, TorchScript, .pt2 or safetensors, and prove it")
        )
        self.more_button = QPushButton(self.tr("More"))
        menu = self.menu = QMenu(self.more_button)
        menu.setToolTipsVisible(True)
        self.quantize = self._action(
            self.tr("&Quantize…"),
            self.tr("See what fewer bits would cost each tensor, quantize, and measure the cost"),
        )
        self.transfer = self._action(
            self.tr("&Transfer weights…"),
            self.tr("Load what fits into another checkpoint or model, and see what does not"),
        )
        menu.addSeparator()
        self.save = self._action(
            self.tr("&Save as…"),
            self.tr("Save the weights alone, or another form: keys, dtypes, shards, averages"),
        )
        self.clean_copy = self._action(
            self.tr("Save a &clean copy…"),
            self.tr("Save the tensors and plain data alone"),
        )
        menu.addSeparator()
        self.copy_loading = self._action(
            self.tr("Copy &loading code"), self.tr("Copy the Python lines that load this file")
        )
        self.copy_resume = self._action(
            self.tr("Copy &resume code"), self.tr("Copy the Python lines that resume the training")
        )
        menu.addSeparator()
        self.safety = self._action(
            self.tr("S&afety"), self.tr("See what loading the file would import and call")
        )
        self.more_button.setMenu(menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(8)
        for button in (self.compute_button, self.export_button, self.more_button):
            layout.addWidget(button)
        layout.addStretch()
        self.forget()

    def forget(self) -> None:
        """What depends on the file is not known yet."""
        self.copy_loading.setEnabled(False)
        self.compute_button.setEnabled(False)
        self.copy_resume.setVisible(False)

    def show_usable(self, tensors: bool, resumable: bool) -> None:
        """The file has tensors, and a training that can be resumed."""
        self.copy_loading.setEnabled(True)
        self.compute_button.setEnabled(tensors)
        self.copy_resume.setVisible(resumable)

    def _action(self, text: str, hint: str) -> QAction:
        action = self.menu.addAction(text)
        action.setToolTip(hint)
        return action


class LinkHeading(QWidget):
    """The title of a part, with a word beside it that leads to more.

    Signals:
        chosen: more is wanted.
    """

    chosen = Signal()

    def __init__(
        self, heading: Heading | WarningHeading, link: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._heading = heading
        self.link = QToolButton()
        self.link.setText(link)
        self.link.setAutoRaise(True)
        self.link.clicked.connect(self.chosen)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        heading.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        layout.addWidget(heading)
        layout.addWidget(self.link)
        layout.addStretch()
        self._follow()

    def setText(self, text: str) -> None:
        """Show `text`, as a label does."""
        self._heading.setText(text)
        self.link.setAccessibleName(f"{text}: {self.link.text()}")

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._follow()

    def _follow(self) -> None:
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.ButtonText, theme.tones(palette).accent)
        self.link.setPalette(palette)
