"""Two files side by side, from the moment they are asked for."""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from inspector_app.analysis.comparison import Comparison, Tolerance
from inspector_app.analysis.key_mapping import NO_MAPPING, KeyMapping
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui import compare_reading
from inspector_app.ui.compare_body import CompareBody
from inspector_app.ui.compare_reading import Earlier, UnreadableSideError
from inspector_app.ui.compare_tolerance import remember_tolerance, remembered_tolerance
from inspector_app.ui.diff_tree import DiffTree
from inspector_app.ui.document_tab import DocumentTab
from inspector_app.ui.file_watch import Stamp, stamp
from inspector_app.ui.settings import Settings
from inspector_app.ui.tasks import Steps

if TYPE_CHECKING:
    from inspector_app.ui.key_suggestions import KeySuggestions


class CompareTab(DocumentTab):
    """A comparison of the files at `path` (A) and `path_b` (B): B as it would load into A.

    Args:
        remembered: where rules for keys and the tolerance are kept.

    Signals: those of `DocumentTab`, and
        sides_changed: A and B were swapped.
    """

    kind = "comparison"
    sides_changed = Signal()

    def __init__(
        self, path: str, path_b: str, remembered: Settings, parent: QWidget | None = None
    ) -> None:
        body = CompareBody()
        super().__init__(body, parent)
        self.body = body
        self._remembered = remembered
        self.path, self.path_b = os.path.abspath(path), os.path.abspath(path_b)
        self.mapping: KeyMapping = NO_MAPPING
        self.tolerance = remembered_tolerance(remembered)
        self.failed_path = ""
        self._steps: Steps | None = None
        self._shown_a = ""
        self._stamps: dict[str, Stamp | None] = {}
        self._left: list[Checkpoint] = []
        self.body.header.swap_requested.connect(self.swap_sides)
        self.body.shown.connect(self._shown)
        self.body.painted.connect(self._painted)
        self.body.settled.connect(self.settled)
        self.body.activity_changed.connect(self._set_activity)
        self.body.state_changed.connect(self.state_changed)
        self.body.message.connect(self.message)
        self.body.tolerance_chosen.connect(self.set_tolerance)
        self.body.header.show_tolerance(self.tolerance)
        self._watch.changed.connect(self._files_changed)
        self._watch.vanished.connect(self._files_changed)
        self._name_sides()

    @cached_property
    def suggestions(self) -> KeySuggestions:
        """Prefixes and renames that would make more keys match."""
        from inspector_app.ui.key_suggestions import KeySuggestions

        made = KeySuggestions(self)
        made.mapping_chosen.connect(self.set_mapping)
        made.review_requested.connect(self._review)
        return made

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

    def paths(self) -> list[str]:
        """What it shows."""
        return [self.path, self.path_b]

    def first_focus(self) -> QWidget:
        """What the keys go to."""
        return self.tree.view if self.checkpoint is not None else self.card

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
        self._reading_cancelled(self.tr("Read them again"))
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
        self._begin_reading()
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

    def _read(self, comparison: Comparison) -> None:
        self._end_steps()
        if "suggestions" in self.__dict__:
            self.suggestions.stop()
        self._shown_a = self.path
        self._left += self.body.show_comparison(comparison, self.mapping, self.tolerance)
        self._show_content()
        self.body.header.a.show_file(self.path, comparison.a)
        self.body.header.b.show_file(self.path_b, comparison.b)
        self.state_changed.emit()

    def _failed(self, error: Exception) -> None:
        self._end_steps()
        if isinstance(error, UnreadableSideError):
            self.failed_path = error.path
            self._show_failure(error.error, error.path, "A" if error.path == self.path else "B")
        else:
            self.failed_path = self.path
            self._show_failure(error, self.path)

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

    # Small things

    def _review(self) -> None:
        if self.body.side is not None:
            self.body.side.show_keys()

    def _name_sides(self) -> None:
        self.body.header.a.show_file(self.path, None)
        self.body.header.b.show_file(self.path_b, None)

    def _doing(self) -> str:
        return self.tr("Comparing {name}").format(name=self.name())

    def _is_reading(self) -> bool:
        return self._steps is not None

    def _has_content(self) -> bool:
        return self.comparison is not None

    def _files_changed(self) -> None:
        self._show_outdated(
            self.tr("One of the files changed on disk"),
            self.tr("What is shown here is what they held before."),
            self.tr("Compare again"),
        )

    def _end_steps(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None
