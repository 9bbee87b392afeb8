"""What is there before a file is open: a drop zone, recent files, the sample."""

from __future__ import annotations

import os

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, theme
from inspector_app.ui.text_widgets import Heading, MutedLabel, tooltip

COLUMN_WIDTH = 560
SHOWN_RECENT = 6
LOGO_SIZE = 64


class DropZone(QFrame):
    """Where files are dropped; the window takes them, this shows that it would."""

    open_requested = Signal()
    sample_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hovered = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._icon = QLabel()
        self._icon.setAlignment(Qt.AlignmentFlag.AlignCenter)
        text = QLabel(self.tr("Drop checkpoints here"))
        text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        font = text.font()
        font.setPointSizeF(font.pointSizeF() * 1.2)
        text.setFont(font)
        kinds = MutedLabel(self.tr(".pth  .pt  .ckpt  .bin  .safetensors  .pt2  .onnx"))
        kinds.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.open_button = QPushButton(icons.icon("folder"), self.tr("Open…"))
        self.open_button.clicked.connect(self.open_requested)
        self.sample_button = QPushButton(icons.icon("sample"), self.tr("Open the sample"))
        self.sample_button.setToolTip(
            self.tr("A small training checkpoint that comes with the program")
        )
        self.sample_button.clicked.connect(self.sample_requested)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch()
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.sample_button)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 26, 24, 26)
        layout.setSpacing(6)
        layout.addWidget(self._icon)
        layout.addSpacing(4)
        layout.addWidget(text)
        layout.addWidget(kinds)
        layout.addSpacing(12)
        layout.addLayout(buttons)
        self._follow()

    def set_hovered(self, hovered: bool) -> None:
        """Show that dropping now would open files."""
        self._hovered = hovered
        self.update()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._follow()

    def paintEvent(self, event: QPaintEvent) -> None:
        tones = theme.tones(QPalette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        edge = QColor(tones.accent if self._hovered else tones.muted)
        if not self._hovered:
            edge.setAlphaF(0.6)
        pen = QPen(edge, 2 if self._hovered else 1.4)
        pen.setDashPattern([5, 4])
        painter.setPen(pen)
        fill = tones.info_fill if self._hovered else QPalette().color(QPalette.ColorRole.Base)
        painter.setBrush(QColor(fill))
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -2, -2), 12, 12)
        painter.end()

    def _follow(self) -> None:
        accent = theme.tones(QPalette()).accent
        self._icon.setPixmap(icons.icon("drop", accent).pixmap(32, 32))


class RecentRow(QAbstractButton):
    """One recent file: its name, and below it where it lies. It can be dragged away.

    Signals:
        path_wanted, place_wanted, forget_requested: from its menu, with the path.
    """

    path_wanted = Signal(str)
    place_wanted = Signal(str)
    forget_requested = Signal(str)

    def __init__(self, path: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.path = path
        self._pressed_at = QPoint()
        self._name = plain(os.path.basename(path) or path)
        self._folder = plain(os.path.dirname(path), 400)
        self._icon = icons.icon("file")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Open {name}").format(name=self._name))
        self.setAccessibleDescription(self._folder)
        self.setToolTip(tooltip(path))

    def sizeHint(self) -> QSize:
        return QSize(200, 2 * self.fontMetrics().height() + 14)

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = self.palette()
        tones = theme.tones(palette)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.underMouse() or self.isDown():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tones.info_fill))
            painter.drawRoundedRect(self.rect(), 6, 6)
        metrics = self.fontMetrics()
        icon_size = 18
        self._icon.paint(painter, 10, (self.height() - icon_size) // 2, icon_size, icon_size)
        left = 10 + icon_size + 12
        width = self.width() - left - 10
        top = (self.height() - 2 * metrics.height()) // 2
        elide = Qt.TextElideMode.ElideMiddle
        painter.setPen(palette.color(QPalette.ColorRole.WindowText))
        name = metrics.elidedText(self._name, elide, width)
        painter.drawText(left, top + metrics.ascent(), name)
        painter.setPen(QColor(tones.muted))
        folder = metrics.elidedText(self._folder, elide, width)
        painter.drawText(left, top + metrics.height() + metrics.ascent(), folder)
        if self.hasFocus():
            painter.setPen(QPen(QColor(tones.accent), 1.4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(self.rect().adjusted(1, 1, -2, -2), 6, 6)
        painter.end()

    def menu(self) -> QMenu:
        """What can be done with the file. It deletes itself once it was closed."""
        menu = QMenu(self)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.addAction(self.tr("&Open"), self.click)
        menu.addSeparator()
        menu.addAction(self.tr("Copy &Path"), lambda: self.path_wanted.emit(self.path))
        menu.addAction(self.tr("Show in File &Manager"), lambda: self.place_wanted.emit(self.path))
        menu.addSeparator()
        menu.addAction(
            self.tr("&Remove From the List"), lambda: self.forget_requested.emit(self.path)
        )
        return menu

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.menu().popup(event.globalPos())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        far = event.position().toPoint() - self._pressed_at
        if self.isDown() and far.manhattanLength() >= QApplication.startDragDistance():
            from inspector_app.ui.drag_out import drag_files

            self.setDown(False)  # a drag is no click
            drag_files(self, [self.path])
            return
        super().mouseMoveEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed_at = event.position().toPoint()
        super().mousePressEvent(event)

    def keyPressEvent(self, event: object) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)


class StartPage(QWidget):
    """The first thing people see.

    Signals:
        open_requested: to choose files.
        sample_requested: to open the sample.
        file_requested: to open this file.
        clear_requested: to forget the recent files.
        path_wanted, place_wanted, forget_requested: of this recent file: to be copied, to be
            shown where it lies, to be forgotten.
    """

    open_requested = Signal()
    sample_requested = Signal()
    file_requested = Signal(str)
    clear_requested = Signal()
    path_wanted = Signal(str)
    place_wanted = Signal(str)
    forget_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        logo = QLabel()
        logo.setPixmap(icons.application_icon().pixmap(LOGO_SIZE, LOGO_SIZE))
        title = QLabel("Checkpoint Inspector")
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 1.9)
        font.setBold(True)
        title.setFont(font)
        promise = MutedLabel(
            self.tr("See what is inside a PyTorch checkpoint. Nothing in the file is ever run.")
        )
        promise.setWordWrap(True)
        self.drop_zone = DropZone()
        self.drop_zone.open_requested.connect(self.open_requested)
        self.drop_zone.sample_requested.connect(self.sample_requested)
        self._recent_title = Heading(self.tr("Recent files"))
        self._clear = QToolButton()
        self._clear.setText(self.tr("Clear"))
        self._clear.setAutoRaise(True)
        self._clear.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._clear.setToolTip(self.tr("Forget the recent files"))
        self._clear.clicked.connect(self.clear_requested)
        self._recent = QVBoxLayout()
        self._recent.setSpacing(2)

        words = QVBoxLayout()
        words.setSpacing(2)
        words.addStretch()
        words.addWidget(title)
        words.addWidget(promise)
        words.addStretch()
        head = QHBoxLayout()
        head.setSpacing(18)
        head.addWidget(logo)
        head.addLayout(words, 1)
        recent_head = QHBoxLayout()
        recent_head.addWidget(self._recent_title)
        recent_head.addStretch()
        recent_head.addWidget(self._clear)

        column = QWidget()
        column.setFixedWidth(COLUMN_WIDTH)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addSpacing(22)
        layout.addWidget(self.drop_zone)
        layout.addSpacing(20)
        layout.addLayout(recent_head)
        layout.addSpacing(4)
        layout.addLayout(self._recent)
        outer = QVBoxLayout(self)
        outer.addStretch(2)
        outer.addWidget(column, 0, Qt.AlignmentFlag.AlignHCenter)
        outer.addStretch(3)
        self.set_recent([])

    def set_recent(self, paths: list[str]) -> None:
        """List these files, the latest first."""
        while (item := self._recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for path in paths[:SHOWN_RECENT]:
            row = RecentRow(path)
            row.clicked.connect(lambda _checked=False, path=path: self.file_requested.emit(path))
            row.path_wanted.connect(self.path_wanted)
            row.place_wanted.connect(self.place_wanted)
            row.forget_requested.connect(self.forget_requested)
            self._recent.addWidget(row)
        self._recent_title.setVisible(bool(paths))
        self._clear.setVisible(bool(paths))

    def recent_rows(self) -> list[RecentRow]:
        """The rows on show."""
        found = [self._recent.itemAt(index).widget() for index in range(self._recent.count())]
        return [row for row in found if isinstance(row, RecentRow)]
