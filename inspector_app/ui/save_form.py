"""What is saved, and how: the parts of the file first, and what few people need folded away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from glob import escape

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from inspector_app.analysis.save_options import Form, SaveOptions
from inspector_app.analysis.totals import Totals
from inspector_app.checkpoint.model import Checkpoint, SectionKind, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.save_average import AverageOptions
from inspector_app.ui.save_key_options import KeyOptions
from inspector_app.ui.save_listing import common_prefixes, model_keys
from inspector_app.ui.save_sections import Part, SectionList
from inspector_app.ui.save_value_options import ValueOptions
from inspector_app.ui.text_widgets import Heading
from inspector_app.ui.wizard_widgets import BAD, Box, Fold, Hint

_MOST_VALUES = 12
_LONGEST_SUMMARY = 32


class SaveForm(QScrollArea):
    """The options.

    Args:
        path: the file that is saved in another form.

    Signals:
        changed: another choice.
    """

    changed = Signal()

    def __init__(self, path: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("What is saved"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._form = Form.SAFETENSORS
        self.sections = SectionList()
        self.section_hint = Hint()
        self.ema = Box(self.tr("&Use the averaged weights (EMA) as the model's"))
        self.keys, self.values, self.average = KeyOptions(), ValueOptions(), AverageOptions(path)
        self.folds = [
            Fold(self.tr("Keys"), self.keys),
            Fold(self.tr("Values and layout"), self.values),
            Fold(self.tr("Averaging"), self.average),
        ]
        self._titles = [fold.button.text() for fold in self.folds]
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(16, 4, 14, 12)
        layout.setSpacing(6)
        layout.addWidget(Heading(self.tr("What is kept")))
        for widget in (self.sections, self.section_hint, self.ema):
            layout.addWidget(widget)
        layout.addSpacing(4)
        for fold in self.folds:
            fold.body.setContentsMargins(20, 0, 0, 4)
            layout.addWidget(fold)
        layout.addStretch(1)
        self.setWidget(content)
        self.ema.hide()
        self.ema.toggled.connect(self._edited)
        for part in (self.sections, self.keys, self.values, self.average):
            part.changed.connect(self._edited)

    def show_checkpoint(self, checkpoint: Checkpoint, totals: Totals) -> None:
        """Show what a file consists of, with what is usually wanted chosen."""
        parts = [
            Part(section.path, section.kind, share.tensors, share.nbytes)
            for section, share in totals.sections
        ]
        models = [part.path for part in parts if part.kind == SectionKind.MODEL]
        averages = [part.path for part in parts if part.kind == SectionKind.EMA]
        others = _others(checkpoint, [part.path for part in parts])
        if not parts:
            parts = [Part((), "", totals.whole.tensors, totals.whole.nbytes, others)]
        elif others:
            rest = totals.whole.nbytes - sum(part.nbytes for part in parts)
            count = totals.whole.tensors - sum(part.tensors for part in parts)
            parts.append(Part((), "", count, rest, others))
        ticked = models or averages[:1] or [parts[0].path]
        self.sections.show_parts(parts, ticked)
        self.sections.set_values_usable(self._form == Form.TORCH)
        self.ema.setVisible(bool(models) and bool(averages))
        self.keys.suggest_prefixes(common_prefixes(model_keys(checkpoint, models)))
        self.values.set_ties(sum(map(len, totals.sharing.values())))

    def set_form(self, form: str) -> None:
        """Another form of `Form` is written."""
        if form != self._form:
            self._form = form
            self.values.set_form(form)
            self.sections.set_values_usable(form == Form.TORCH)
            self._edited()

    def options(self) -> SaveOptions:
        """What is chosen, once there is no `problem`."""
        sections, dropped = self._sections()
        options = SaveOptions(
            sections=sections,
            use_ema=not self.ema.isHidden() and self.ema.isChecked(),
        )
        for part in (self.keys, self.values, self.average):
            options = part.apply_to(options)
        return replace(options, drop=(*options.drop, *dropped))

    def problem(self) -> str:
        """What is wrong, in a sentence, or ""."""
        if not self.sections.ticked():
            return self.tr("Choose what is to be kept.")
        for part in (self.keys, self.values, self.average):
            if problem := part.problem():
                return problem
        return ""

    def open_fold(self, part: QWidget) -> None:
        """Unfold a part and scroll to it."""
        for fold in self.folds:
            if fold.body is part:
                fold.set_open(True)
                self.ensureWidgetVisible(part)

    def _sections(self) -> tuple[tuple[TreePath, ...] | None, list[str]]:
        """The parts that are kept, and patterns for those that are dropped instead."""
        ticked, parts = self.sections.ticked(), self.sections.parts
        if self._form == Form.TORCH:
            if len(ticked) == len(parts):
                return None, []
            if any(not part.kind for part in ticked):
                # What has no purpose of its own stays where everything does.
                names = ["/".join(map(str, part.path)) for part in parts if part not in ticked]
                return None, list(map(escape, names))
        paths = tuple(part.path for part in ticked)
        bare = len(parts) == 1 and bool(parts[0].kind)
        return None if bare else paths, []

    def _edited(self) -> None:
        none = not self.sections.ticked()
        self.section_hint.say(self.tr("Choose what is to be kept.") if none else "", BAD)
        for fold, title in zip(self.folds, self._titles, strict=True):
            summary = plain(fold.body.summary(), _LONGEST_SUMMARY)
            fold.button.setText(f"{title}: {summary}" if summary else title)
        self.changed.emit()


def _others(checkpoint: Checkpoint, sections: Sequence[TreePath]) -> tuple[str, ...]:
    """Names of entries at the top that are in no part with a known purpose."""
    if () in sections:
        return ()
    begun = {path[0] for path in sections}
    names = [str(each.key) for each in checkpoint.root.children if each.key not in begun]
    return tuple(names[:_MOST_VALUES])
