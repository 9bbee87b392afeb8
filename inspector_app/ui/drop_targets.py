"""What dropping files here would do: targets over the window, while files are dragged over it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QMimeData, QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QFont,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from PySide6.QtWidgets import QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, theme
from inspector_app.ui.checkpoint_tab import CheckpointTab

# What `drag_out` calls tensors that are dragged out of this window.
OWN_TENSORS = "application/x-checkpoint-inspector-tensors"
MARGIN, GAP = 24, 16
ICON = 34
# Two files are dropped to be compared; opening both is the smaller target.
COMPARE_SHARE = 0.72


class Target(NamedTuple):
    """One of the places where files can be dropped.

    Attributes:
        share: of the room that all have.
        act: what dropping there does.
    """

    icon: str
    title: str
    detail: str
    share: float
    act: Callable[[], object]


class DropTargets(QWidget):
    """Covers the window while files are dragged over it, if there is a choice.

    Args:
        tab: gives the tab in front.
        parent: what is covered, and takes the drops.

    Signals:
        open_requested: open these files.
        compare_requested: compare B, the second, with A.
        comparison_offered: somebody may compare in a moment.
        hovered: files that would be opened are over the window, and no choice is shown.
    """

    open_requested = Signal(object)
    compare_requested = Signal(str, str)
    comparison_offered = Signal()
    hovered = Signal(bool)

    def __init__(self, tab: Callable[[], QWidget | None], parent: QWidget) -> None:
        super().__init__(parent)
        self._tab = tab
        self._targets: list[Target] = []
        self._side_by_side = True
        self._under = -1
        # The window gets the events; this only shows where they would lead.
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    # What the window hands over

    def enter(self, event: QDragEnterEvent) -> None:
        """Files come over the window."""
        paths = dropped_paths(event.mimeData())
        if not paths:
            return
        event.acceptProposedAction()
        self._targets = self._choices(paths)
        if self._targets:
            parent = self.parentWidget()
            self.setGeometry(parent.rect())
            self._aim(event.position().toPoint())
            self.raise_()
            self.show()
            self.comparison_offered.emit()
        else:
            self.hovered.emit(True)

    def move_over(self, event: QDragMoveEvent) -> None:
        """They move."""
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()
            self._aim(event.position().toPoint())

    def leave(self) -> None:
        """They are gone again."""
        self._targets = []
        self.hide()
        self.hovered.emit(False)

    def drop(self, event: QDropEvent) -> None:
        """They are dropped."""
        paths = dropped_paths(event.mimeData())
        self._targets = self._choices(paths)
        targets, under = self._targets, self._at(event.position().toPoint())
        self.leave()
        if not paths:
            return
        event.acceptProposedAction()
        if targets:
            targets[under].act()
        else:
            self.open_requested.emit(paths)

    def targets(self) -> list[tuple[str, QRect]]:
        """The titles on show, and where they are."""
        return [
            (target.title, rect) for target, rect in zip(self._targets, self._rects(), strict=True)
        ]

    # What can be chosen

    def _choices(self, paths: list[str]) -> list[Target]:
        open_all = Target(
            "folder",
            self.tr("Open"),
            _names(paths),
            0.5,
            lambda: self.open_requested.emit(paths),
        )
        if len(paths) == 2:
            self._side_by_side = False
            a, b = paths
            compare = Target(
                "compare",
                self.tr("Compare"),
                _names(paths, " ↔ "),
                COMPARE_SHARE,
                lambda: self.compare_requested.emit(a, b),
            )
            both = open_all._replace(title=self.tr("Open both"), share=1 - COMPARE_SHARE)
            return [compare, both]
        tab = self._tab()
        if len(paths) == 1 and isinstance(tab, CheckpointTab) and tab.checkpoint is not None:
            if os.path.realpath(tab.path) == os.path.realpath(paths[0]):
                return []
            self._side_by_side = True
            mine = tab.path
            title = self.tr("Compare with {name}").format(name=plain(tab.name(), 40))
            compare = Target(
                "compare",
                title,
                _names([mine, paths[0]], " ↔ "),
                0.5,
                lambda: self.compare_requested.emit(mine, paths[0]),
            )
            return [open_all._replace(title=self.tr("Open in a tab")), compare]
        return []

    def _rects(self) -> list[QRect]:
        parent = self.parentWidget()
        area = parent.rect().adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        rects = []
        room = (area.width() if self._side_by_side else area.height()) - GAP * (
            len(self._targets) - 1
        )
        start = 0
        for target in self._targets:
            length = int(room * target.share)
            if self._side_by_side:
                rects.append(QRect(area.left() + start, area.top(), length, area.height()))
            else:
                rects.append(QRect(area.left(), area.top() + start, area.width(), length))
            start += length + GAP
        return rects

    def _at(self, point: QPoint) -> int:
        """The target at a point, or the nearest: there is no place that does nothing."""
        rects = self._rects()
        if not rects:
            return -1

        def away(rect: QRect) -> int:
            centre = rect.center() - point
            if rect.contains(point):
                return -1
            gap = centre.x() if self._side_by_side else centre.y()
            size = rect.width() if self._side_by_side else rect.height()
            return max(abs(gap) - size // 2, 0)

        return min(range(len(rects)), key=lambda place: away(rects[place]))

    def _aim(self, point: QPoint) -> None:
        under = self._at(point)
        if under != self._under:
            self._under = under
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = QPalette()
        tones = theme.tones(palette)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        veil = palette.color(QPalette.ColorRole.Window)
        veil.setAlphaF(0.86)
        painter.fillRect(self.rect(), veil)
        for place, (target, rect) in enumerate(zip(self._targets, self._rects(), strict=True)):
            aimed = place == self._under
            edge = QColor(tones.accent if aimed else tones.muted)
            pen = QPen(edge, 2.4 if aimed else 1.4)
            pen.setDashPattern([5, 4])
            painter.setPen(pen)
            fill = tones.info_fill if aimed else palette.color(QPalette.ColorRole.Base)
            painter.setBrush(QColor(fill))
            painter.drawRoundedRect(QRectF(rect), 12, 12)
            self._paint_words(painter, target, rect, aimed, palette, tones)
        painter.end()

    def _paint_words(
        self,
        painter: QPainter,
        target: Target,
        rect: QRect,
        aimed: bool,
        palette: QPalette,
        tones: theme.Tones,
    ) -> None:
        middle = rect.center()
        icons.draw(
            painter,
            target.icon,
            QRect(middle.x() - ICON // 2, middle.y() - ICON - 14, ICON, ICON),
            QColor(tones.accent if aimed else tones.muted),
        )
        inner = rect.adjusted(12, 0, -12, 0)
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 1.25)
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(palette.color(QPalette.ColorRole.WindowText))
        height = painter.fontMetrics().height() + 4
        align = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter
        elide = Qt.TextElideMode.ElideMiddle
        title = painter.fontMetrics().elidedText(target.title, elide, inner.width())
        top = middle.y() - 4
        painter.drawText(QRect(inner.left(), top, inner.width(), height), align, title)
        painter.setFont(self.font())
        painter.setPen(QColor(tones.muted))
        detail = painter.fontMetrics().elidedText(target.detail, elide, inner.width())
        painter.drawText(QRect(inner.left(), top + height, inner.width(), height), align, detail)


def dropped_paths(data: QMimeData) -> list[str]:
    """The local files among what is dragged; none of tensors that this window shows."""
    if data.hasFormat(OWN_TENSORS):
        return []  # asking for their files would write them
    if not data.hasUrls():
        return []
    from inspector_app.file_urls import URIS, paths_in

    return paths_in(bytes(data.data(URIS).data()))


def _names(paths: list[str], between: str = ", ") -> str:
    return between.join(plain(os.path.basename(path) or path, 60) for path in paths)
