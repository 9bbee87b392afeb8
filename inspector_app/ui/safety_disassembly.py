"""A pickle's opcodes: searched, and led from to a place in the tree and back."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.safety import tracing
from inspector_app.analysis.safety_report import SafetyReport
from inspector_app.checkpoint.disassembly import Disassembly, Row
from inspector_app.checkpoint.disassembly_search import finding
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Progress, TreePath
from inspector_app.checkpoint.record_source import MemorySource
from inspector_app.checkpoint.reopened_source import ReopenedSource
from inspector_app.checkpoint.text import plain
from inspector_app.checkpoint.trace_places import Places
from inspector_app.ui import icons, safety_words
from inspector_app.ui.latest_steps import LatestSteps
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.safety_opcodes import OpcodeList
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import ElidedLabel

_OFFSET = re.compile(r"@\s*(?:0x([0-9a-f]+)|([0-9]+))|0x([0-9a-f]+)", re.IGNORECASE)
_DIGITS = 20  # no file has an offset of so many
LISTED = 1_000  # streams; others as soon as something leads to them
_NOTES = 20_000


class DisassemblyView(QWidget):
    """One stream at a time.

    Signals:
        back_requested: the findings are to be shown again.
        path_chosen: of the node whose opcodes are around the row that was chosen.
        settled: a place that was asked for is known, or why it is not.
    """

    back_requested = Signal()
    path_chosen = Signal(object)
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._report: SafetyReport | None = None
        self._stream = -1
        self.rows: Disassembly | None = None
        self.places: Places | None = None
        self._error = ""
        self._traced_already = False
        self._wanted: int | None = None  # an offset to go to once its row is known
        self._followed: TreePath | None = None
        self._indexing: Steps | None = None
        self._tracing = LatestSteps(self)
        self._tracing.failed.connect(self._untraced)
        self._searching = LatestSteps(self)
        self._searching.failed.connect(self._failed)

        self.back = QPushButton(self.tr("‹ Findings"))
        self.back.clicked.connect(self.back_requested)
        self.streams = QComboBox()
        self.streams.setAccessibleName(self.tr("Pickle"))
        self.streams.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.streams.currentIndexChanged.connect(self._chosen)
        self.alone = ElidedLabel(muted=True)
        self.search = _Search()
        self.search.setPlaceholderText(self.tr("Opcode, argument, or offset as @1234"))
        self.search.setAccessibleName(self.tr("Search the opcodes"))
        self.search.setClearButtonEnabled(True)
        self.search.wanted.connect(self._find)
        self.search.textEdited.connect(lambda _text: self._say())
        self.earlier = self._arrow("previous", self.tr("Find the previous one"), False)
        self.later = self._arrow("next", self.tr("Find the next one"), True)
        self.list = OpcodeList()
        self.list.selected.connect(self._row_selected)
        self.list.activated.connect(self._row_activated)
        self.status = ElidedLabel(muted=True)
        self.place = ElidedLabel()
        self.show_button = QPushButton(self.tr("Show in the tree"))
        self.show_button.clicked.connect(self._show_place)
        upper = QHBoxLayout()
        upper.setSpacing(8)
        upper.addWidget(self.back)
        upper.addWidget(self.streams, 1)
        upper.addWidget(self.alone, 1)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.search, 1)
        row.addWidget(self.earlier)
        row.addWidget(self.later)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.place, 1)
        foot.addWidget(self.show_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 10, 16, 10)
        layout.setSpacing(6)
        layout.addLayout(upper)
        layout.addLayout(row)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.status)
        layout.addLayout(foot)

    def _arrow(self, name: str, words: str, forwards: bool) -> QToolButton:
        button = QToolButton()
        button.setIcon(icons.icon(name))
        button.setToolTip(words)
        button.setAccessibleName(words)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda: self._find(forwards))
        return button

    # --- what is listed

    def show_report(self, report: SafetyReport | None) -> None:
        """Offer other streams; the first is listed when this is looked at."""
        self.cancel()
        self._report = report
        streams = report.pickles[:LISTED] if report is not None else ()
        with QSignalBlocker(self.streams):
            self.streams.clear()
            for number, each in enumerate(streams):
                self.streams.addItem(safety_words.stream_text(each), number)
        self.streams.setVisible(len(streams) > 1)
        self.alone.setVisible(len(streams) <= 1)
        self.alone.set_text(safety_words.stream_text(streams[0]) if streams else "")
        self.search.clear()

    def show_offset(self, stream: int, offset: int | None = None) -> None:
        """List a stream, and go to the opcode at `offset`."""
        if self._report is None or not 0 <= stream < len(self._report.pickles):
            return
        if stream != self._stream:
            with QSignalBlocker(self.streams):
                if self.streams.findData(stream) < 0:
                    text = safety_words.stream_text(self._report.pickles[stream])
                    self.streams.addItem(text, stream)
                self.streams.setCurrentIndex(self.streams.findData(stream))
            self._begin(stream)
        self._wanted = offset
        self._go_to_wanted()

    def ensure_listed(self) -> None:
        """List a stream if none is."""
        if self._stream < 0:
            self.show_offset(0)

    def follow(self, path: TreePath | None) -> None:
        """Another node is selected in the tree: mark its opcodes and bring them into sight."""
        self._followed = path
        if path is not None:
            self._want_places()
        self._mark_followed()

    def cancel(self) -> None:
        """Stop what is going on, and let go of the file."""
        if self._indexing is not None:
            self._indexing.cancel()
            self._indexing.deleteLater()
            self._indexing = None
        self._tracing.cancel()
        self._searching.cancel()
        self.list.show_rows(None)
        self.rows = self.places = None
        self._stream = -1
        self._error = ""
        self._traced_already = False
        self._say()

    def is_settled(self) -> bool:
        """Nothing is going on."""
        return self._indexing is None and not self._tracing.running and not self._searching.running

    def _chosen(self, index: int) -> None:
        if index >= 0:
            self.show_offset(self.streams.itemData(index))

    def _begin(self, index: int) -> None:
        self.cancel()
        assert self._report is not None
        stream = self._report.pickles[index]
        self._stream = index
        try:
            file = ReopenedSource(stream.file)
        except CheckpointError as error:
            self._failed(error)
            return
        source = file if stream.data is None else MemorySource(file, stream.data)
        rows = self.rows = Disassembly(source, stream.start, stream.end)
        self.list.show_rows(rows, dict(self._notes(index)))
        steps = self._indexing = Steps(rows.indexing(), self)
        steps.progress.connect(self._grown)
        steps.finished.connect(lambda _result: self._indexed())
        steps.failed.connect(self._failed)
        steps.start()
        self._say()

    def _notes(self, stream: int) -> Generator[tuple[int, str], None, None]:
        """What is said beside opcodes that use what is outside the allowlist."""
        assert self._report is not None
        count = 0
        for found in self._report.outside:
            for use in found.uses:
                if use.pickle == stream and count < _NOTES:
                    count += 1
                    how = safety_words.how_text(use.how)
                    yield use.offset, f"← {plain(found.name, 80)}: {how}"

    def _grown(self, _progress: Progress) -> None:
        self.list.grown()
        self._go_to_wanted()
        self._say()

    def _indexed(self) -> None:
        self._end_indexing()
        self.list.grown()
        self._go_to_wanted()
        self._mark_followed()
        self._say()

    def _want_places(self) -> None:
        """Trace the stream once somebody asks where something stands: it takes a while, and of
        a hundred thousand tensors a hundred megabytes."""
        if self._report is None or self._stream < 0 or self._traced_already:
            return
        self._traced_already = True
        self._tracing.run(tracing(self._report.pickles[self._stream]), self._traced)

    def _end_indexing(self) -> None:
        if self._indexing is not None:
            self._indexing.deleteLater()
            self._indexing = None

    def _traced(self, places: Places | None) -> None:
        self.places = places
        self._mark_followed()
        self._say()
        self.settled.emit()

    def _untraced(self, error: Exception) -> None:
        if not isinstance(error, CheckpointError):
            raise error
        self._failed(error)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, CheckpointError):
            raise error
        self._end_indexing()
        self._error = error_cause(error)
        self._say()
        self.settled.emit()

    # --- where to go

    def _go_to_wanted(self) -> None:
        if self._wanted is None or self.rows is None:
            return
        number = self.rows.row_at(self._wanted)
        if number is None and not self.rows.complete:
            return
        self._wanted = None
        if number is not None:
            self.list.go_to(number, tell=True)
            self.list.setFocus()
        else:
            self._say(self.tr("There is no opcode at this offset"))

    def _find(self, forwards: bool) -> None:
        text = self.search.text().strip()
        if self.rows is None or not text or not self.rows.count:
            return
        offset = _OFFSET.fullmatch(text)
        if offset is not None:
            self._searching.cancel()
            self._wanted = _offset_of(offset)
            self._go_to_wanted()
            return
        begin = self.list.current() + (1 if forwards else -1)
        begin %= self.rows.count
        self._searching.run(finding(self.rows, text, begin, forwards), self._found)
        self._say()

    def _found(self, number: int | None) -> None:
        if number is not None:
            self.list.go_to(number, tell=True)
            return
        self._say(
            self.tr("Nothing like this in the opcodes")
            if self.rows is None or self.rows.complete
            else self.tr("Nothing like this so far")
        )

    def _mark_followed(self) -> None:
        if self.places is None or self._followed is None or self.rows is None:
            self.list.mark(0, -1)
            return
        span = self.places.span_of(self._followed)
        if span is None:
            self.list.mark(0, -1)
            return
        self.list.mark(*span)
        row = self.list.current_row()
        number = self.rows.row_at(span[0])
        # A row that was chosen here is in sight already.
        if number is not None and not (row and span[0] <= row.offset <= span[1]):
            self.list.go_to(number)
            self._say()

    def _path(self) -> Sequence[Any] | None:
        row = self.list.current_row()
        if row is None or self.places is None:
            return None
        return self.places.path_at(row.offset)

    def _row_selected(self, _row: Row) -> None:
        self._want_places()
        self._say()

    def _row_activated(self, _row: Row) -> None:
        self._show_place()

    def _show_place(self) -> None:
        path = self._path()
        if path is not None:
            self.path_chosen.emit(tuple(path))

    # --- what is said

    def _say(self, instead: str = "") -> None:
        self.status.set_text(instead or self._state())
        path = self._path()
        if path is None:
            waiting = self._tracing.running
            where = self.tr("Finding places in the tree…") if waiting else ""
        else:
            where = "/".join(map(str, path)) or self.tr("(the whole file)")
        self.place.set_text(where)
        self.show_button.setEnabled(bool(path))

    def _state(self) -> str:
        rows = self.rows
        if self._error or rows is None:
            return self._error
        count = count_text(rows.count)
        if not rows.complete:
            return self.tr("{n} opcodes so far…").format(n=count)
        if self._searching.running:
            return self.tr("Searching…")
        if rows.trouble:
            text = self.tr("{n} opcodes; the listing ends at byte {offset}: {why}")
            return text.format(n=count, offset=rows.end, why=rows.trouble)
        return self.tr("{n} opcodes, {bytes} bytes").format(
            n=count, bytes=count_text(rows.end - rows.start)
        )


def _offset_of(found: re.Match[str]) -> int:
    """Hexadecimal behind 0x, else decimal. Far behind every file the rest of it says nothing."""
    base = 10 if found[2] else 16
    return int((found[1] or found[2] or found[3]).lstrip("0")[:_DIGITS] or "0", base)


class _Search(QLineEdit):
    """Return finds the next, Shift and Return the one before.

    Signals:
        wanted: whether forwards.
    """

    wanted = Signal(bool)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.wanted.emit(not event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        else:
            super().keyPressEvent(event)
