"""Two files side by side, from the moment they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget

from inspector_app.analysis.comparison import Comparison, Tolerance
from inspector_app.analysis.key_mapping import NO_MAPPING, KeyMapping
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Node, Progress
from inspector_app.checkpoint.text import plain
from inspector_app.ui import compare_reading
from inspector_app.ui.activity_bar import Activity
from inspector_app.ui.banner import Banner
from inspector_app.ui.compare_body import CARD_WIDTH, CompareBody
from inspector_app.ui.compare_reading import Earlier, UnreadableSideError
from inspector_app.ui.compare_tolerance import remember_tolerance, remembered_tolerance
from inspector_app.ui.diff_tree import DiffTree
from inspector_app.ui.file_watch import FileWatch, Stamp, stamp
from inspector_app.ui.settings import Settings
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import MutedLabel

if TYPE_CHECKING:
    from inspector_app.ui.key_suggestions import KeySuggestions

QUIET_MS = 200


class CompareTab(QWidget):
    """A comparison of the files at `path` (A) and `path_b` (B): B as it would load into A.

    Args:
        remembered: where rules for keys and the tolerance are kept.

    Signals: those of `CheckpointTab`, and
        sides_changed: A and B were swapped.
    """

    activity_changed = Signal(object)
    settled = Signal()
    loaded = Signal()
    replaced = Signal(object)
    state_changed = Signal()
    message = Signal(str)
    close_requested = Signal()
    sides_changed = Signal()

    def __init__(
        self, path: str, path_b: str, remembered: Settings, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._remembered = remembered
        self.path, self.path_b = os.path.abspath(path), os.path.abspath(path_b)
        self.mapping: KeyMapping = NO_MAPPING
        self.tolerance = remembered_tolerance(remembered)
        self.error: Exception | None = None
        self.failed_path = ""
        self.activity: Activity | None = None
        self.node: Node | None = None
        self._steps: Steps | None = None
        self._shown_a = ""
        self._stamps: dict[str, Stamp | None] = {}
        self._left: list[Checkpoint] = []
        self.body = CompareBody()
        self.body.header.swap_requested.connect(self.swap_sides)
        self.body.shown.connect(self._shown)
        self.body.painted.connect(self._painted)
        self.body.settled.connect(self.settled)
        self.body.activity_changed.connect(self._set_activity)
        self.body.state_changed.connect(self.state_changed)
        self.body.message.connect(self.message)
        self.body.tolerance_chosen.connect(self.set_tolerance)
        self.body.header.show_tolerance(self.tolerance)
        self._placeholder = MutedLabel()
        self._placeholder.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedLayout()
        self._pages.addWidget(self._placeholder)
        self._pages.addWidget(self.body)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._layout.addLayout(self._pages, 1)
        self._watch = FileWatch(self)
        self._watch.changed.connect(self._files_changed)
        self._watch.vanished.connect(self._files_changed)
        self._watch.restored.connect(self._hide_banner)
        self._name_sides()

    # What is made when it is needed first.

    @cached_property
    def banner(self) -> Banner:
        """Above what is shown."""
        made = Banner()
        self._layout.insertWidget(0, made)
        return made

    @cached_property
    def card(self) -> Banner:
        """Instead of anything else."""
        made = Banner(card=True)
        made.setMaximumWidth(CARD_WIDTH)
        self._pages.addWidget(made.centred())
        return made

    @cached_property
    def suggestions(self) -> KeySuggestions:
        """Prefixes and renames that would make more keys match."""
        from inspector_app.ui.key_suggestions import KeySuggestions

        made = KeySuggestions(self)
        made.mapping_chosen.connect(self.set_mapping)
        made.review_requested.connect(self._review)
        return made

    def _hide_banner(self) -> None:
        if "banner" in self.__dict__:
            self.banner.hide()

    # What a tab of the window has

    @property
    def comparison(self) -> Comparison | None:
        """What is shown, once it is."""
        return self.body.comparison

    @property
    def tree(self) -> DiffTree:
        """The tree of both files."""
        return self.body.tree

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The rows of both files, once they are shown."""
        return self.tree.checkpoint

    def name(self) -> str:
        """Both files' names, safe to show."""
        names = [os.path.basename(path) or path for path in (self.path, self.path_b)]
        return " ↔ ".join(plain(name, 40) for name in names)

    def is_settled(self) -> bool:
        """Nothing is going on."""
        return self._steps is None and not self.body.is_busy

    def cancel(self) -> bool:
        """Stop what is going on; what is shown stays. False if it was nothing."""
        if self._steps is None:
            return self.body.run.cancel()
        self._end_steps()
        self._set_activity(None)
        if self.comparison is None:
            self._show_card(
                "info",
                self.tr("Reading was cancelled"),
                "",
                "",
                [(self.tr("Read them again"), self.read), (self.tr("Close"), self._close)],
            )
        return True

    def stop(self) -> list[Checkpoint]:
        """End everything before the tab goes; returns what it showed."""
        self._end_steps()
        self._watch.stop()
        if "suggestions" in self.__dict__:
            self.suggestions.stop()
        return self._left + self.body.stop()

    def save_layout(self) -> tuple[bytes, bytes]:
        """The places of the splitter, and of the columns."""
        splitter = bytes(self.body.splitter.saveState().data())
        return splitter, self.tree.column_state()

    def restore_layout(self, splitter: bytes, columns: bytes) -> None:
        """Put them where they were; damaged states are ignored by Qt."""
        self.body.restore_layout(splitter)
        self.tree.restore_column_state(columns)

    # What actions call

    def next_difference(self) -> None:
        """Go to the next pair that is not identical."""
        self.body.go_to_difference(forward=True)

    def previous_difference(self) -> None:
        """Go to the pair before that is not identical."""
        self.body.go_to_difference(forward=False)

    def only_differences(self) -> None:
        """List the differences alone, or everything again."""
        self.body.only_differences()

    def compare_values(self) -> None:
        """Compare the bytes that have not been compared."""
        self.body.compare_values()

    def compare_every_byte(self) -> None:
        """Compare also the bytes of what checksums call identical."""
        self.body.compare_values(every=True)

    def can_resume(self) -> bool:
        """There is no resume code of two files."""
        return False

    # Reading

    def read(self) -> None:
        """Read both files, again if they are shown already."""
        self._start(self._reading())

    def set_mapping(self, mapping: KeyMapping) -> None:
        """Match the keys by another mapping."""
        comparison = self.comparison
        if comparison is not None and mapping != self.mapping:
            self.mapping = mapping
            self._start(self._comparing_anew(comparison.a, comparison.b))

    def set_tolerance(self, tolerance: Tolerance) -> None:
        """Let other differences count as identical; what depends on it is read again."""
        remember_tolerance(self._remembered, tolerance)
        comparison = self.comparison
        if tolerance != self.tolerance:
            self.tolerance = tolerance
            if comparison is not None:
                self._start(self._comparing_anew(comparison.a, comparison.b))

    def _comparing_anew(self, a: Checkpoint, b: Checkpoint) -> Generator[Any, None, Comparison]:
        shown = self.comparison
        assert shown is not None
        before = Earlier(shown, self.body.tolerance, self.tolerance)
        return compare_reading.comparing_anew(a, b, self.mapping, before)

    def swap_sides(self) -> None:
        """Make A of B, and B of A."""
        self.path, self.path_b = self.path_b, self.path
        self._name_sides()
        self.sides_changed.emit()
        comparison = self.comparison
        if comparison is None:
            self.read()
            return
        self.mapping = compare_reading.swapped_mapping(self.mapping, comparison)
        a, b = comparison.a, comparison.b
        # Swapping back before the first time was done, what is shown has the right order.
        if self.path != self._shown_a:
            a, b = b, a
        self._start(self._comparing_anew(a, b))
        self.state_changed.emit()

    def _start(self, generator: Generator[Any, None, Comparison]) -> None:
        self.cancel()
        self.body.run.stop()
        self._hide_banner()
        self.error = None
        if self.comparison is None:
            self._placeholder.setText("")
            self._pages.setCurrentWidget(self._placeholder)
            QTimer.singleShot(QUIET_MS, self, self._show_placeholder)
        self._set_activity(Activity(self.tr("Comparing {name}").format(name=self.name())))
        self._steps = Steps(generator, self)
        self._steps.progress.connect(self._read_further)
        self._steps.finished.connect(self._read)
        self._steps.failed.connect(self._failed)
        self._steps.start()

    def _reading(self) -> Generator[Any, None, Comparison]:
        self._watch.stop()
        self._stamps = {path: stamp(path) for path in (self.path, self.path_b)}
        a = yield from compare_reading.reading_side(self.path)
        b = yield from compare_reading.reading_side(self.path_b)
        comparison = yield from compare_reading.comparing_anew(a, b, self.mapping, None)
        for name in (*a.files, *b.files):
            self._stamps.setdefault(name, stamp(name))
        self._watch.watch(self._stamps)
        return comparison

    def _read_further(self, progress: object) -> None:
        if isinstance(progress, Progress):
            text = self.tr("Comparing {name}").format(name=self.name())
            self._set_activity(Activity(text, progress.done, progress.total))

    def _read(self, comparison: Comparison) -> None:
        self._end_steps()
        if "suggestions" in self.__dict__:
            self.suggestions.stop()
        self._shown_a = self.path
        self._left += self.body.show_comparison(comparison, self.mapping, self.tolerance)
        self._pages.setCurrentWidget(self.body)
        self.body.header.a.show_file(self.path, comparison.a)
        self.body.header.b.show_file(self.path_b, comparison.b)
        self.state_changed.emit()

    def _failed(self, error: Exception) -> None:
        self._end_steps()
        self._set_activity(None)
        from inspector_app.ui.problem_text import error_cause, error_title, next_step

        path = error.path if isinstance(error, UnreadableSideError) else self.path
        cause = error.error if isinstance(error, UnreadableSideError) else error
        self.error, self.failed_path = cause, path
        title = error_title(cause)
        if isinstance(error, UnreadableSideError):
            side = "A" if path == self.path else "B"
            title = self.tr("{side}: {what}").format(side=side, what=title)
        buttons: list[tuple[str, Callable[[], object]]] = [(self.tr("Try again"), self.read)]
        if not isinstance(cause, CheckpointError):
            import traceback

            details = "".join(traceback.format_exception(cause))
            buttons.append((self.tr("Copy details"), lambda: self.copy(details)))
        text = f"{plain(path, 400)}\n{error_cause(cause)}"
        if self.comparison is None:
            buttons.append((self.tr("Close"), self._close))
            self._show_card("error", title, text, next_step(cause), buttons)
        else:
            self.banner.show_message("error", title, text, next_step(cause), buttons)
        self.state_changed.emit()
        self.settled.emit()

    def _shown(self) -> None:
        # Not before: until now the tree showed the nodes of what was there.
        self._set_activity(None)
        left, self._left = self._left, []
        for checkpoint in left:
            self.replaced.emit(checkpoint)
        self.loaded.emit()

    def _painted(self) -> None:
        comparison, side = self.comparison, self.body.side
        assert comparison is not None
        assert side is not None
        side.keys.serve(self.suggestions, self._remembered)
        self.suggestions.look(comparison, self.mapping, self.banner)

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""
        QGuiApplication.clipboard().setText(text)
        self.message.emit(self.tr("Copied"))

    # Small things

    def _review(self) -> None:
        if self.body.side is not None:
            self.body.side.show_keys()

    def _name_sides(self) -> None:
        self.body.header.a.show_file(self.path, None)
        self.body.header.b.show_file(self.path_b, None)

    def _show_placeholder(self) -> None:
        if self._steps is not None:
            self._placeholder.setText(self.tr("Comparing {name}…").format(name=self.name()))

    def _files_changed(self) -> None:
        self.banner.show_message(
            "warning",
            self.tr("One of the files changed on disk"),
            "",
            self.tr("What is shown here is what they held before."),
            [(self.tr("Compare again"), self.read), (self.tr("Ignore"), self._hide_banner)],
        )

    def _show_card(self, *message: object) -> None:
        self.card.show_message(*message)
        self._pages.setCurrentWidget(self.card.parentWidget())

    def _close(self) -> None:
        self.close_requested.emit()

    def _set_activity(self, activity: Activity | None) -> None:
        self.activity = activity
        self.activity_changed.emit(activity)

    def _end_steps(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None
