"""The selected key: facts about both tensors, and pages of how their values differ."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.analysis.comparison import Comparison, KeyPair, ValueDifference
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.values import ValueReader
from inspector_app.ui.paged_pane import DETAILS, PagedPane
from inspector_app.ui.pair_details import PairDetails
from inspector_app.ui.pair_source import PairSource
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.slice_field import SliceField
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.value_source import ValueSource

HISTOGRAMS, DIFFERENCE, SCATTER, ELEMENTS = range(DETAILS + 1, 5)


class PairPane(PagedPane):
    """Details, histograms, difference, scatter and first elements of the selected pair."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(PairDetails(), parent)
        titles = (
            self.tr("Details"),
            self.tr("Histograms"),
            self.tr("Difference"),
            self.tr("Scatter"),
            self.tr("Elements"),
        )
        self._add_tabs(self.tr("Views of the pair"), titles)
        self._comparison: Comparison | None = None
        self._readers: tuple[ValueReader, ValueReader] | None = None
        self._selected: KeyPair | ValueDifference | None = None
        self._presented: tuple[Any, ...] | None = None
        self.slice_field = SliceField()
        self.slice_field.changed.connect(self._later.start)
        self._trouble = MutedLabel()
        self._trouble.setWordWrap(True)
        self._trouble.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._trouble.setMargin(16)
        self._stack.addWidget(self._trouble)
        body = QVBoxLayout(self._body)
        body.setContentsMargins(16, 8, 16, 4)
        body.addWidget(self.slice_field)
        self._show_controls()

    # What is shown

    def set_comparison(self, comparison: Comparison | None) -> None:
        """Pairs shown from now on are this comparison's."""
        self.stop()
        self._comparison = comparison
        if comparison is not None:
            self._imports.expect()

    def show_selected(self, selected: KeyPair | ValueDifference | None) -> None:
        """Show another selection. The page in front stays, where the pair has it."""
        self.details.show_selected(selected)
        if selected is not self._selected:
            self._cancel_pages()
            self._selected = selected
        self._show_controls()
        self._later.start()

    def compared(self, pairs: list[KeyPair]) -> None:
        """The bytes of these pairs have been compared."""
        if any(pair is self._selected for pair in pairs):
            self.details.show_selected(self._selected)

    def trouble(self) -> str:
        """Why nothing is shown, or ""."""
        shown = self._stack.currentWidget() is self._trouble
        return self._trouble.text() if shown else ""

    def stop(self) -> None:
        """End all reading, and close the files."""
        super().stop()
        self._selected = self._presented = self._comparison = None
        self.details.show_selected(None)
        readers, self._readers = self._readers, None
        for reader in readers or ():
            reader.close()
        self._show_controls()

    def _pair(self) -> KeyPair | None:
        """The selected pair, if it has both tensors."""
        pair = self._selected
        if isinstance(pair, KeyPair) and pair.a is not None and pair.b is not None:
            return pair
        return None

    def _cancel_pages(self) -> None:
        for page in self._pages.values():
            page.cancel()
        self._presented = None

    def _has_pages(self) -> bool:
        return self._pair() is not None

    def _show_controls(self) -> None:
        pair = self._pair()
        self.tabs.setVisible(pair is not None)
        alike = pair is not None and "shape" not in pair.reasons
        for number in (DIFFERENCE, SCATTER, ELEMENTS):
            self.tabs.setTabVisible(number, alike)
        number = self.current()
        self._body.setVisible(number == DIFFERENCE)
        if number == DETAILS:
            self._stack.setCurrentWidget(self.details)

    def _present(self) -> None:
        """Let the page in front show the pair as it is chosen now."""
        number, pair = self.current(), self._pair()
        if pair is None or self._comparison is None or number == DETAILS:
            return
        if not self._imports.is_ready:
            self._stack.setCurrentWidget(self._preparing)
            self._imports.begin()
            return
        page = self.page(number)
        try:
            source = self._source(number, pair)
        except CheckpointError as error:
            self._failed(error)
            return
        self._stack.setCurrentWidget(page.parentWidget())
        presented = (number, pair, source.plane if isinstance(source, ValueSource) else None)
        if self._presented == presented:
            return
        self._presented = presented
        for other, made in self._pages.items():
            if other != number:
                made.cancel()
        page.show_source(source)

    def _source(self, number: int, pair: KeyPair) -> PairSource | ValueSource:
        assert self._comparison is not None
        assert pair.a is not None
        assert pair.b is not None
        if self._readers is None:
            self._readers = ValueReader(self._comparison.a), ValueReader(self._comparison.b)
        if number != DIFFERENCE:
            return PairSource(pair, self._readers, pair.a, pair.b)
        from inspector_app.analysis.difference_reader import DifferenceReader

        reader = DifferenceReader(*self._readers, pair.b)
        shape = reader.elements(pair.a).shape
        self.slice_field.set_shape(shape)
        return ValueSource(reader, pair.a, shape, self.slice_field.plane, False)

    def _failed(self, error: Exception | None) -> None:
        if error is not None:
            self._trouble.setText(error_cause(error))
            self._stack.setCurrentWidget(self._trouble)
        self._presented = None
        self.settled.emit()

    def _make(self, number: int) -> Any:
        if number == HISTOGRAMS:
            from inspector_app.ui.pair_histogram import PairHistogram

            return PairHistogram()
        if number == DIFFERENCE:
            from inspector_app.ui.heatmap_view import HeatmapView

            return HeatmapView()
        if number == SCATTER:
            from inspector_app.ui.pair_scatter import PairScatter

            return PairScatter()
        from inspector_app.ui.pair_elements import PairElements

        return PairElements()
