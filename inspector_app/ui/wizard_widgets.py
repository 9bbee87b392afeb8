"""Parts of which the pages of wizards are made."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, theme
from inspector_app.ui.banner import ERROR, WARNING, Banner
from inspector_app.ui.text_blocks import TextBlock
from inspector_app.ui.text_widgets import Heading, MutedLabel
from inspector_app.ui.worker_words import cause_text, next_step_text
from inspector_app.worker.failures import Failed

QUIET, GOOD, BAD = "quiet", "good", "bad"
_TONES = {QUIET: "muted", GOOD: "info", BAD: "error"}
PAGE_MARGIN = 20
FORM_WIDTH = 980
_INDICATOR_ON_DARK = "#687282"


class Line(QWidget):
    """A hairline between the pages and what stands beside and below them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(1, 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.tones(self.palette()).line))
        painter.end()


class Box(QCheckBox):
    """A check box that is seen on dark, too."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        _lift_indicator(self)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            _lift_indicator(self)


class Choice(QRadioButton):
    """A radio button that is seen on dark, too."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        _lift_indicator(self)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            _lift_indicator(self)


def _lift_indicator(button: QAbstractButton) -> None:
    """Give the sign of a button a contrast of 3 to 1 (WCAG 2.2, 1.4.11): on dark the style
    draws it, and its edge, darker than what lies around."""
    palette = QPalette()
    if theme.is_dark(palette):
        palette.setColor(QPalette.ColorRole.Base, QColor(_INDICATOR_ON_DARK))
        disabled = QPalette.ColorGroup.Disabled
        palette.setColor(disabled, QPalette.ColorRole.Base, QColor(theme.tones(palette).line))
    button.setPalette(palette)


class TonedLabel(QLabel):
    """A label in one of the theme's colours.

    Args:
        tone: the name of one of `theme.Tones`.
    """

    def __init__(self, tone: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tone = tone

    def set_tone(self, tone: str) -> None:
        """Take another colour."""
        self._tone = tone
        palette = QPalette()
        colour = getattr(theme.tones(palette), tone)
        palette.setColor(QPalette.ColorRole.WindowText, QColor(colour))
        self.setPalette(palette)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.set_tone(self._tone)


class Hint(TonedLabel):
    """One sentence below a field: what is wrong with it, or worth knowing. Hidden without."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(_TONES[QUIET], parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.hide()

    def say(self, text: str, kind: str = QUIET) -> None:
        """Show `text`; "" shows nothing."""
        self.setText(plain(text, 1_000))
        self.setVisible(bool(text))
        self.set_tone(_TONES[kind])


class Fold(QWidget):
    """A part that is shown when its title is pressed."""

    def __init__(self, title: str, body: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.body = body
        self.button = QToolButton()
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setAutoRaise(True)
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.toggled.connect(self.set_open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(body)
        self.set_open(False)

    def set_open(self, opened: bool) -> None:
        """Show the part, or its title alone."""
        self.button.setChecked(opened)
        arrow = Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow
        self.button.setArrowType(arrow)
        self.body.setVisible(opened)


class CopyLine(QWidget):
    """A line to be copied, as one for pip. Hidden until `set_line`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = TextBlock(framed=True, fixed_pitch=True, max_lines=3)
        self._text.setAccessibleName(self.tr("Line to install what is missing"))
        self.button = QPushButton(icons.icon("copy"), self.tr("Copy line"))
        self.button.clicked.connect(self._copy)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._text, 1)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    def set_line(self, line: str) -> None:
        """Show `line`; "" hides it."""
        self._text.set_text(line)
        self.setVisible(bool(line))

    def line(self) -> str:
        """What is shown."""
        return self._text.toPlainText()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.line())


class FailureBox(QWidget):
    """Why something could not be done: cause, next step, and the traceback folded away."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.banner = Banner()
        self.pip = CopyLine()
        self._traceback = TextBlock(framed=True, fixed_pitch=True, max_lines=16)
        self._traceback.setAccessibleName(self.tr("Traceback"))
        self.fold = Fold(self.tr("Traceback of the model's code"), self._traceback)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.banner)
        layout.addWidget(self.pip)
        layout.addWidget(self.fold)
        self.hide()

    def show_failure(self, title: str, failed: Failed, warning: bool = False) -> None:
        """Say what went wrong."""
        kind = WARNING if warning else ERROR
        self.banner.show_message(kind, title, cause_text(failed), next_step_text(failed))
        self.pip.set_line(failed.details.get("pip", ""))
        self._traceback.set_text(failed.traceback)
        self.fold.setVisible(bool(failed.traceback))
        self.fold.set_open(False)
        self.show()

    def traceback(self) -> str:
        """The traceback, which may be folded away."""
        return self._traceback.toPlainText()


class WizardPage(QScrollArea):
    """A page of a wizard: a column of parts that scrolls where it is too tall.

    Attributes:
        column: where the parts go.
        widest: of a page of fields, which would be no better for being longer; 0 for no bound.

    Signals:
        changed: what the page says may be another now.
    """

    changed = Signal()

    widest = 0

    def __init__(self, title: str, purpose: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.setAccessibleName(title)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Only what is in it takes the focus.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = QWidget()
        self.column = QVBoxLayout(content)
        self.column.setContentsMargins(PAGE_MARGIN, 16, PAGE_MARGIN, 16)
        self.column.setSpacing(10)
        heading = Heading(title)
        font = heading.font()
        font.setPointSizeF(font.pointSizeF() * 1.3)
        heading.setFont(font)
        said = MutedLabel(purpose)
        said.setWordWrap(True)
        head = QVBoxLayout()
        head.setSpacing(2)
        head.addWidget(heading)
        head.addWidget(said)
        self.column.addLayout(head)
        self.setWidget(content)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        over = max(self.viewport().width() - self.widest, 0) if self.widest else 0
        self.column.setContentsMargins(PAGE_MARGIN, 16, PAGE_MARGIN + over, 16)

    def problem(self) -> str:
        """Why the next page cannot be shown yet, in a sentence; "" if it can."""
        return ""

    def summary(self) -> str:
        """What was chosen, in a few words for the list of steps."""
        return ""

    def enter(self) -> None:
        """The page comes to the front."""

    def leave(self) -> None:
        """Another page comes to the front."""

    def skipped(self) -> bool:
        """What was chosen before makes the page unnecessary."""
        return False

    def first_field(self) -> QWidget | None:
        """What takes the focus when the page comes to the front."""
        return None

    def stop(self) -> None:
        """End what is going on."""

    def show_soon(self, part: QWidget) -> None:
        """Scroll to a part once it has its place: it says something that must be seen."""
        QTimer.singleShot(0, part, lambda: self.ensureWidgetVisible(part, 0, PAGE_MARGIN))

    def add_part(self, title: str, *widgets: QWidget) -> QWidget:
        """A part of the page with a heading; returns it."""
        part = QWidget()
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(6)
        if title:
            layout.addWidget(Heading(title))
        for widget in widgets:
            layout.addWidget(widget)
        self.column.addWidget(part)
        return part


def label_width(widget: QWidget) -> int:
    """How wide the labels of a page's fields are, so that the fields stand below each other."""
    return widget.fontMetrics().averageCharWidth() * 22


def field_label(text: str, field: QWidget) -> QLabel:
    """A label that takes people to its field, and names it for those who do not see it."""
    label = QLabel(text)
    label.setBuddy(field)
    field.setAccessibleName(text.replace("&", ""))
    return label


def row_of(*widgets: QWidget, stretch: int = 0) -> QWidget:
    """Widgets side by side, of which the one at `stretch` takes the room (-1: none)."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(8)
    for index, widget in enumerate(widgets):
        layout.addWidget(widget, int(index == stretch))
    if stretch < 0:
        layout.addStretch(1)
    row.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    return row
