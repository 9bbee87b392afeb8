"""One optimizer: its options by param group, and what it keeps for which parameter."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple, overload

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.analysis.optimizer_state import Entry, OptimizerState
from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.training_words import number_text, numbers_text
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.ui.bar_chart import Bar, BarChart
from inspector_app.ui.figures_table import FiguresTable
from inspector_app.ui.text_table import Row, TextTable
from inspector_app.ui.text_widgets import Heading, MutedLabel

_MOST_GROUPS = 6
_CANDIDATES = 8
_SLICE = 250


class Kept(NamedTuple):
    """A row: a parameter, and one tensor that is kept for it, or what there is instead."""

    entry: Entry
    name: str
    tensor: TensorInfo | None


def listing(optimizer: OptimizerState) -> Generator[None, None, list[Kept]]:
    """What is kept for each parameter, in short steps."""
    found: list[Kept] = []
    for number, entry in enumerate(optimizer.entries):
        if number % _SLICE == _SLICE - 1:
            yield
        slots = entry.slots
        shaped = [
            Kept(entry, slot.name, slot.node)
            for slot in slots
            if isinstance(slot.node, TensorInfo) and slot.node.shape
        ]
        found += shaped or [Kept(entry, ", ".join(slot.name for slot in slots), None)]
    return found


class _Rows(Sequence[Row]):
    """The texts of what is kept, made when they are looked at."""

    def __init__(self, kept: Sequence[Kept], text: Callable[[Kept], Row]) -> None:
        self._kept, self._text = kept, text

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        if isinstance(place, slice):
            return [self._text(each) for each in self._kept[place]]
        return self._text(self._kept[place])


class OptimizerView(QWidget):
    """The param groups side by side, and below them the parameters.

    Signals:
        tensor_chosen: a tensor of its state.
    """

    tensor_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._optimizer: OptimizerState | None = None
        self._kept: Sequence[Kept] = ()
        self._title = Heading()
        self._words = MutedLabel()
        self._words.setWordWrap(True)
        self._sizes = BarChart(self.tr("Bytes of the state and of the weights"))
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        self.groups: FiguresTable | None = None
        self.parameters = TextTable(
            self.tr("Parameters of the optimizer"),
            [self.tr("Id"), self.tr("Parameter"), self.tr("Kept"), self.tr("Shape")],
            stretched=1,
            most=10,
        )
        self.parameters.chosen.connect(self._chosen)
        self._hint = MutedLabel(self.tr("Double-click a row to see its values in the tree."))
        self._hint.setWordWrap(True)
        for widget in (self._title, self._words, self._sizes, self.parameters, self._hint):
            self._layout.addWidget(widget)

    def show_optimizer(
        self, optimizer: OptimizerState, kept: Sequence[Kept], model_nbytes: int
    ) -> None:
        """Show another one.

        Args:
            optimizer: what is shown.
            kept: its rows, by `listing`.
            model_nbytes: bytes of the models, to compare with.
        """
        self._optimizer = optimizer
        kind = optimizer.kind or self.tr("an optimizer of an unknown class")
        self._title.setText(self.tr("Optimizer: {kind}").format(kind=plain(kind)))
        words = [plain(optimizer.recognised.library)] if optimizer.recognised.library else []
        words += [plain(each) for each in optimizer.variant]
        if optimizer.left_out:
            count = count_text(len(optimizer.left_out))
            words.append(self.tr("{n} parameters of the model are not in it").format(n=count))
        self._words.setText(" · ".join(words))
        self._words.setVisible(bool(words))
        whole = max(optimizer.nbytes, model_nbytes, 1)
        self._sizes.set_bars(
            [
                _bar(self.tr("State"), optimizer.nbytes, whole),
                _bar(self.tr("Weights"), model_nbytes, whole),
            ]
        )
        self._show_groups(optimizer)
        self._kept = kept
        self.parameters.show_rows(_Rows(kept, self._row), self._hint_of)
        self.parameters.setVisible(bool(kept))
        self._hint.setVisible(any(each.tensor is not None for each in kept))

    def forget(self) -> None:
        """Let go of the file."""
        self._optimizer = None
        self._kept = ()
        self.parameters.show_rows([])

    def _show_groups(self, optimizer: OptimizerState) -> None:
        if self.groups is not None:
            self.groups.hide()
            self.groups.deleteLater()
        shown = optimizer.groups[:_MOST_GROUPS]
        heads = [self.tr("Param group"), *(str(group.number) for group in shown)]
        made = self.groups = FiguresTable(self.tr("Param groups side by side"), heads, most=14)
        rows = [[self.tr("parameters"), *(count_text(group.parameters) for group in shown)]]
        for option in dict.fromkeys(key for group in shown for key in group.options):
            rows.append(
                [plain(option, 40), *(_value(group.options.get(option)) for group in shown)]
            )
        made.show_rows(rows)
        made.setVisible(bool(shown))
        self._layout.insertWidget(3, made)

    def _row(self, kept: Kept) -> Row:
        entry, tensor = kept.entry, kept.tensor
        named = entry.named
        if named.name:
            name = plain(named.name, 200)
        elif named.total:
            name = self.tr("ambiguous: {n} candidates").format(n=count_text(named.total))
        else:
            name = "?"
        shape = tensor.shape if tensor is not None else entry.shape
        text = " × ".join(map(str, shape)) if shape else ""
        return (plain(str(entry.id), 40), name, plain(kept.name, 60), text)

    def _hint_of(self, row: int) -> str:
        named = self._kept[row].entry.named
        if named.name or not named.total:
            return plain(named.name, 400)
        names = ", ".join(plain(each, 100) for each in named.candidates[:_CANDIDATES])
        more = named.total - min(len(named.candidates), _CANDIDATES)
        if more > 0:
            names = self.tr("{names} and {n} more").format(names=names, n=count_text(more))
        return self.tr("It may be {names}: shapes and order leave them all.").format(names=names)

    def _chosen(self, row: int) -> None:
        tensor = self._kept[row].tensor
        if tensor is not None:
            self.tensor_chosen.emit(tensor)


def _bar(name: str, nbytes: int, whole: int) -> Bar:
    return Bar(name, nbytes / whole, size_text(nbytes))


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return numbers_text(value, 8)
    if value is None or isinstance(value, (bool, int, float, str)):
        return number_text(value)
    return plain(str(value), 60)
