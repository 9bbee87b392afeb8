"""The quantize dialog's third page: which layers are quantized, and what leaving others costs."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHeaderView,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QTreeView,
    QWidget,
)

from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui.copying import offer_copy
from inspector_app.ui.model_subject import Subject
from inspector_app.ui.quantize_forms import scheme_of
from inspector_app.ui.quantize_layers import AFTER, BEFORE, DAMAGE, NAME, LayerModel, patterns_of
from inspector_app.ui.quantize_method_page import MethodPage
from inspector_app.ui.quantize_preview_run import PreviewRun
from inspector_app.ui.quantize_table import BAR_WIDTH, CheckDelegate, DamageDelegate
from inspector_app.ui.quantize_words import sizes_text
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import BAD, Hint, WizardPage, field_label, row_of
from inspector_app.worker.quantize_protocol import LeftInFloat

TREE_HEIGHT = 220
_MOST_OPEN = 200  # rows of a tree that is opened whole at once


class LayersPage(WizardPage):
    """A checked tree of the layers with the preview's figures.

    Args:
        subject: the checkpoint.
        method: the page before.
        run: the preview.
    """

    def __init__(
        self, subject: Subject, method: MethodPage, run: PreviewRun, parent: QWidget | None = None
    ) -> None:
        super().__init__(
            self.tr("Layers"),
            self.tr("What is quantized. Layers that are not checked stay in float."),
            parent,
        )
        self._subject, self._method, self._run = subject, method, run
        self._shown: tuple[str, int] | None = None
        self._active = False
        self._steps: Steps | None = None
        # What was left out before, until the layers are known.
        self._waiting: tuple[str, ...] = ()
        self._by_damage: set[str] = set()
        self.layers = LayerModel(self)
        self.layers.checks_changed.connect(self._edited)
        self.tree = QTreeView()
        self.tree.setModel(self.layers)
        self.tree.setAccessibleName(self.tr("Layers to quantize"))
        self.tree.setUniformRowHeights(True)
        offer_copy(self.tree)
        self.tree.setAlternatingRowColors(True)
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.tree.setMinimumHeight(TREE_HEIGHT)
        self.tree.setItemDelegateForColumn(NAME, CheckDelegate(self.tree))
        self.tree.setItemDelegateForColumn(DAMAGE, DamageDelegate(self.tree))
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        metrics = self.fontMetrics()
        header.resizeSection(DAMAGE, BAR_WIDTH + 26 + metrics.horizontalAdvance("100.0 dB"))
        for column in (BEFORE, AFTER):
            header.resizeSection(column, metrics.horizontalAdvance("1000 MB") + 24)
        self.worst = QSpinBox()
        self.worst.setRange(0, 0)
        self.worst.setSuffix(self.tr(" layers"))
        self.worst.valueChanged.connect(self._skip_worst)
        self.everything = QPushButton(self.tr("Check &all"))
        self.everything.clicked.connect(self._check_all)
        self.patterns = QLineEdit()
        self.patterns.setPlaceholderText(self.tr("lm_head, *.embed*, encoder.0.*"))
        self.patterns.textChanged.connect(self._edited)
        self._hint = Hint()
        self._size = MutedLabel()
        self._waiting_label = MutedLabel()
        self.column.addWidget(
            row_of(
                field_label(self.tr("Skip the &most damaged"), self.worst),
                self.worst,
                self._waiting_label,
                self.everything,
                stretch=2,
            )
        )
        self.column.addWidget(self.tree, 1)
        self.column.addWidget(
            row_of(field_label(self.tr("S&kip patterns"), self.patterns), self.patterns, stretch=1)
        )
        self.column.addWidget(self._hint)
        self.column.addWidget(self._size)
        run.changed.connect(self._figures_came)
        method.method_changed.connect(self._method_changed)

    # --- what is chosen

    def left(self) -> LeftInFloat:
        """What stays in float."""
        return LeftInFloat(patterns_of(self.patterns.text()), tuple(self._left_names()))

    def leave_out(self, names: tuple[str, ...]) -> None:
        """Leave these out as well; they may be no layers of the checkpoint's."""
        known = [*self._left_names(), *names]
        self._waiting = tuple(each for each in known if each not in self.layers.layers)
        self.layers.leave_out(known)
        self._edited()

    def restore(self, left: LeftInFloat) -> None:
        """Show what was chosen before."""
        self.patterns.setText(", ".join(left.patterns))
        self._waiting = left.names

    def problem(self) -> str:
        layers = self.layers.layers
        if layers:
            left = self.layers.matched(patterns_of(self.patterns.text()))
            if len(left | set(self._left_names())) >= len(layers):
                return self.tr("Every layer is left in float: check one.")
        return ""

    def summary(self) -> str:
        left = len(self._left_names()) + len(patterns_of(self.patterns.text()))
        return self.tr("{n} left in float").format(n=count_text(left)) if left else self.tr("all")

    def enter(self) -> None:
        self._active = True
        self._run.start(self._scheme())
        self._figures_came()
        self._edited()

    def leave(self) -> None:
        self._active = False

    def first_field(self) -> QWidget | None:
        return self.tree

    def stop(self) -> None:
        self._end_steps()

    # --- what becomes of it

    def _scheme(self) -> str:
        return scheme_of(self._method.options())

    def _left_names(self) -> list[str]:
        return [*self.layers.left_out(), *self._waiting]

    def _method_changed(self) -> None:
        self._shown = None
        self.changed.emit()

    def _figures_came(self) -> None:
        if not self._active:
            return
        scheme = self._scheme()
        gathered = self._run.gathered(scheme)
        found = gathered.tensors
        self._waiting_label.setText(
            "" if gathered.complete else self.tr("Finding what each would lose…")
        )
        # Not while figures come: whoever checks a layer must find it where it was.
        if not gathered.complete and found and self._run.running:
            return
        if self._shown == (scheme, len(found)):
            return
        self._shown = (scheme, len(found))
        self._end_steps()
        as_model = self._method.needs_model()
        self._steps = Steps(self.layers.showing(self._subject, found, scheme, as_model), self)
        self._steps.finished.connect(self._layers_known)
        self._steps.start()

    def _layers_known(self) -> None:
        self._end_steps()
        layers = self.layers.layers
        if self._waiting:
            self.layers.leave_out([*self.layers.left_out(), *self._waiting])
            self._waiting = tuple(each for each in self._waiting if each not in layers)
        self.worst.setMaximum(max(len(layers) - 1, 0))
        if len(layers) <= _MOST_OPEN:
            self.tree.expandAll()
        else:
            self.tree.expandToDepth(0)
        self._edited()

    def _end_steps(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _skip_worst(self, count: int) -> None:
        wanted = set(self.layers.most_damaged(count))
        # What was unchecked by hand stays so.
        by_hand = set(self.layers.left_out()) - self._by_damage
        self._by_damage = wanted
        self.layers.leave_out(by_hand | wanted)

    def _check_all(self) -> None:
        self._waiting = ()
        self._by_damage = set()
        self.worst.setValue(0)
        self.layers.leave_out(())

    def _edited(self) -> None:
        self.tree.viewport().update()
        patterns = patterns_of(self.patterns.text())
        if self.layers.layers:
            unmatched = [each for each in patterns if not self.layers.matched([each])]
            text = self.tr("No layer of the checkpoint matches {pattern}.")
            said = text.format(pattern=plain(unmatched[0], 80)) if unmatched else ""
            self._hint.say(said or self.problem(), BAD)
            before, after = self.layers.cost(patterns)
            text = self.tr("Weights of these layers: {sizes}, as far as the method takes them.")
            self._size.setText(text.format(sizes=sizes_text(before, after)))
        else:
            self._size.setText("")
        self.changed.emit()
