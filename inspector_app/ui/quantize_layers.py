"""The layers of a model as a tree in which those to quantize are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from inspector_app.analysis.quantities import size_text
from inspector_app.analysis.quantization_figures import SchemeError, TensorPreview
from inspector_app.checkpoint.model import TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.model_subject import Subject
from inspector_app.ui.quantize_table_model import DB, SHARE
from inspector_app.ui.quantize_words import damage_share, db_text
from inspector_app.ui.text_widgets import tooltip
from inspector_app.worker.protocol import WRAPPERS

NAME, DAMAGE, BEFORE, AFTER = range(4)
_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole
_A_STEP = 500
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class Layer:
    """A node of the tree: a layer with weights, or what layers are part of.

    Attributes:
        name: of the layer, dots and all.
        label: what it is called within its parent.
        errors: of its weights, with their bytes before.
        checked: a layer's own; of others it follows from what is below.
    """

    __slots__ = ("before", "checked", "children", "errors", "label", "name", "parent", "row")

    def __init__(self, name: str, label: str, parent: Layer | None) -> None:
        self.name, self.label, self.parent = name, label, parent
        self.children: list[Layer] = []
        self.row = 0
        self.errors: list[SchemeError] = []
        self.before = 0
        self.checked = True

    @property
    def sqnr_db(self) -> float:
        """Of its worst weight."""
        worst = max(self.errors, key=lambda each: each.damage, default=None)
        return math.nan if worst is None else worst.sqnr_db

    @property
    def after(self) -> int:
        return sum(error.nbytes for error in self.errors)


def namer(subject: Subject, as_model: bool = True) -> Callable[[TreePath], str]:
    """A function that gives the layer which the tensor at a path is a weight of, as the model
    calls it, or else the file; "" where it is none of the model's.

    Args:
        subject: whose first model section counts.
        as_model: without what DataParallel and torch.compile put before each key.
    """
    sections = [section for section, _ in subject.sections[:1]]
    sections += [module for module, _ in subject.modules[:1] if not sections]
    section = sections[0] if sections else ()

    def name_of(path: TreePath) -> str:
        if path[: len(section)] != section:
            return ""
        key = ".".join(map(str, path[len(section) :]))
        stripped = as_model
        while stripped:
            stripped = False
            for prefix in WRAPPERS:
                if key.startswith(prefix):
                    key, stripped = key[len(prefix) :], True
        return key.rpartition(".")[0] or key

    return name_of


class LayerModel(QAbstractItemModel):
    """The tree.

    Signals:
        checks_changed: other layers are checked.
    """

    checks_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._root = Layer("", "", None)
        self.layers: dict[str, Layer] = {}  # those with weights, by name, in the file's order
        self._heads = [self.tr("Layer"), self.tr("SQNR"), self.tr("Before"), self.tr("After")]

    # --- what is in it

    def showing(
        self,
        subject: Subject,
        found: Sequence[TensorPreview],
        scheme: str,
        as_model: bool = True,
    ) -> Generator[None, None, None]:
        """Show the layers whose weights `scheme` takes, in steps; who is unchecked when they
        are shown stays so."""
        root = Layer("", "", None)
        layers: dict[str, Layer] = {}
        inner: dict[str, Layer] = {"": root}
        name_of = namer(subject, as_model)
        for count, each in enumerate(sorted(found, key=lambda each: each.number), 1):
            error = each.schemes.get(scheme)
            name = name_of(each.tensor.path) if error is not None else ""
            if name and error is not None:
                layer = layers.get(name)
                if layer is None:
                    layer = layers[name] = self._node_of(name, inner)
                layer.errors.append(error)
                layer.before += each.nbytes
            if count % _A_STEP == 0:
                yield
        unchecked = set(self.left_out())
        for name in unchecked & layers.keys():
            layers[name].checked = False
        self.beginResetModel()
        # Until the view has forgotten its indexes their nodes must not go.
        before, self._root = self._root, root
        self.layers = layers
        self.endResetModel()
        del before

    def left_out(self) -> list[str]:
        """The layers that are not checked, in the file's order."""
        return [name for name, layer in self.layers.items() if not layer.checked]

    def leave_out(self, names: Iterable[str]) -> None:
        """Check all layers but these."""
        left = set(names)
        for name, layer in self.layers.items():
            layer.checked = name not in left
        self._checked()

    def most_damaged(self, count: int) -> list[str]:
        """The layers that lose most, the worst first."""
        known = [layer for layer in self.layers.values() if not math.isnan(layer.sqnr_db)]
        known.sort(key=lambda layer: layer.sqnr_db)
        return [layer.name for layer in known[:count]]

    def matched(self, patterns: Iterable[str]) -> set[str]:
        """The layers that globs match, as the worker will: by name, or by that of a weight."""
        return {
            name
            for name in self.layers
            for pattern in patterns
            if fnmatchcase(name, pattern) or fnmatchcase(f"{name}.weight", pattern)
        }

    def cost(self, patterns: Iterable[str]) -> tuple[int, int]:
        """Bytes of all these layers before, and after where those left out keep theirs."""
        left = self.matched(patterns) | set(self.left_out())
        before = sum(layer.before for layer in self.layers.values())
        after = sum(
            layer.before if layer.name in left else layer.after for layer in self.layers.values()
        )
        return before, after

    def _node_of(self, name: str, inner: dict[str, Layer]) -> Layer:
        """The node of that name, made with all those above it."""
        missing: list[str] = []
        while name not in inner:
            missing.append(name)
            name = name.rpartition(".")[0]
        node = inner[name]
        for each in reversed(missing):
            node = inner[each] = Layer(each, each.rpartition(".")[2] or each, node)
            self._put(node)
        return node

    @staticmethod
    def _put(node: Layer) -> None:
        assert node.parent is not None
        node.row = len(node.parent.children)
        node.parent.children.append(node)

    # --- Qt's side

    def index(self, row: int, column: int, parent: _Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        children = self._node(parent).children
        if 0 <= row < len(children) and 0 <= column < len(self._heads):
            return self.createIndex(row, column, children[row])
        return QModelIndex()

    def parent(self, index: _Index) -> QModelIndex:  # type: ignore[override]
        node = self._node(index).parent
        if node is None or node.parent is None:
            return QModelIndex()
        return self.createIndex(node.row, 0, node)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.column() > 0 else len(self._node(parent).children)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return len(self._heads)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == _Role.TextAlignmentRole and section in (BEFORE, AFTER):
            return _RIGHT
        return self._heads[section] if role == _Role.DisplayRole else None

    def flags(self, index: _Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == NAME else flags

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        if not index.isValid():
            return None
        node, column = self._node(index), index.column()
        if role == _Role.CheckStateRole and column == NAME:
            return self._state(node)
        if role == _Role.DisplayRole:
            return self._text(node, column)
        if role == _Role.ToolTipRole and column == NAME:
            return tooltip(node.name)
        if role == _Role.TextAlignmentRole and column in (BEFORE, AFTER):
            return _RIGHT
        if node.errors and column == DAMAGE:
            if role == SHARE:
                return damage_share(node.sqnr_db)
            if role == DB:
                return node.sqnr_db
        return None

    def setData(self, index: _Index, value: Any, role: int = _Role.EditRole) -> bool:
        if role != _Role.CheckStateRole or not index.isValid():
            return False
        checked = Qt.CheckState(value) == Qt.CheckState.Checked
        below = [self._node(index)]
        while below:
            node = below.pop()
            node.checked = checked
            below.extend(node.children)
        self._checked()
        return True

    def _checked(self) -> None:
        # What is above and below has changed as well; a view paints all that is seen anew.
        rows = self.rowCount()
        if rows:
            self.dataChanged.emit(self.index(0, NAME), self.index(rows - 1, NAME))
        self.checks_changed.emit()

    def _text(self, node: Layer, column: int) -> str:
        if column == NAME:
            return plain(node.label, 120)
        if not node.errors:
            return ""
        if column == DAMAGE:
            return db_text(node.sqnr_db)
        return size_text(node.before if column == BEFORE else node.after)

    def _state(self, node: Layer) -> Qt.CheckState:
        states = set()
        below = [node]
        while below:
            each = below.pop()
            if each.errors:
                states.add(each.checked)
            below.extend(each.children)
            if len(states) > 1:
                return Qt.CheckState.PartiallyChecked
        return Qt.CheckState.Unchecked if states == {False} else Qt.CheckState.Checked

    def _node(self, index: _Index) -> Layer:
        if index.isValid():
            node = index.internalPointer()
            assert isinstance(node, Layer)
            return node
        return self._root


def patterns_of(text: str) -> tuple[str, ...]:
    """Globs that are separated by commas or blanks."""
    return tuple(filter(None, text.replace(",", " ").split()))


def escaped(name: str) -> str:
    """The glob that matches this name alone."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)
