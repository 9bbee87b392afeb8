"""Where the model comes from: the file, transformers, or Python code; and which weights."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.model import TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.model_source_code import SourceCode, ask_source
from inspector_app.ui.model_subject import Subject
from inspector_app.ui.section_words import section_words
from inspector_app.ui.wizard_widgets import Box, Choice, Hint, field_label, label_width, row_of
from inspector_app.worker.protocol import WRAPPERS, ModelSource, SourceKind, Weights


class SourceForm(QWidget):
    """A choice among what applies to the file, with the fields of each.

    Signals:
        changed: another choice.
    """

    changed = Signal()

    def __init__(self, subject: Subject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._subject = subject
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QRadioButton] = {}
        self._fields: dict[str, QWidget] = {}
        self.code = SourceCode(subject)
        self.code.changed.connect(self.changed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for kind in subject.source_kinds():
            button = Choice(self._title(kind))
            button.toggled.connect(self._toggled)
            self._group.addButton(button)
            self.buttons[kind] = button
            fields = self._fields[kind] = self._fields_of(kind)
            fields.setContentsMargins(24, 0, 0, 4)
            layout.addWidget(button)
            layout.addWidget(fields)
        # One that needs no choice is no choice.
        if len(self.buttons) == 1:
            next(iter(self.buttons.values())).hide()
            self._fields[SourceKind.CODE].setContentsMargins(0, 0, 0, 4)
        next(iter(self.buttons.values())).setChecked(True)

    def kind(self) -> str:
        """The `SourceKind` that is chosen."""
        return next(kind for kind, button in self.buttons.items() if button.isChecked())

    def model_source(self) -> ModelSource:
        """What is chosen, once there is no `problem`."""
        kind = self.kind()
        if kind == SourceKind.CODE:
            return self.code.model_source()
        if kind == SourceKind.TRANSFORMERS:
            name = self.architecture.text().strip()
            return ModelSource(kind, self._subject.config_file, {"class": name} if name else {})
        script = self.script.text().strip() if self._is_pickle() else ""
        return ModelSource(kind, script)

    def problem(self) -> str:
        """What is wrong or missing, or ""."""
        return self.code.problem() if self.kind() == SourceKind.CODE else ""

    def first_field(self) -> QWidget:
        """Where people begin."""
        alone = len(self.buttons) == 1
        return self.code.source if alone else self.buttons[self.kind()]

    def restore(self, source: ModelSource) -> None:
        """Show what was chosen before, as far as it applies."""
        if source.source not in self.buttons:
            return
        self.buttons[source.source].setChecked(True)
        if source.source == SourceKind.CODE:
            self.code.restore(source)
        elif source.source == SourceKind.TRANSFORMERS:
            self.architecture.setText(str(source.arguments.get("class", "")))
        elif self._is_pickle():
            self.script.setText(source.spec)

    def _is_pickle(self) -> bool:
        return bool(self._subject.modules)

    def _title(self, kind: str) -> str:
        if kind == SourceKind.CODE:
            return self.tr("Python code builds it: a class or a function")
        if kind == SourceKind.TRANSFORMERS:
            return self.tr("The config.json of Hugging Face beside it says which it is")
        if self._subject.format == "torchscript":
            return self.tr("The file holds it: a TorchScript archive")
        if self._subject.format == "torch-export":
            return self.tr("The file holds it: a program of torch.export")
        name = self._subject.modules[0][1]
        text = self.tr("The file holds it, pickled: {name}")
        return text.format(name=plain(name, 60)).replace("&", "&&")

    def _fields_of(self, kind: str) -> QWidget:
        if kind == SourceKind.CODE:
            return self.code
        fields = QWidget()
        grid = QGridLayout(fields)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setColumnMinimumWidth(0, label_width(self))
        grid.setColumnStretch(1, 1)
        if kind == SourceKind.TRANSFORMERS:
            self.architecture = QLineEdit()
            self.architecture.setPlaceholderText(self.tr("as the config says"))
            self.architecture.textChanged.connect(self.changed)
            grid.addWidget(field_label(self.tr("Class of transformers"), self.architecture), 0, 0)
            grid.addWidget(self.architecture, 0, 1)
        elif self._is_pickle():
            self.script = QLineEdit()
            self.script.setPlaceholderText(self.tr("only where they were in the script itself"))
            self.script.textChanged.connect(self.changed)
            label = field_label(self.tr("Script of its classes (.py)"), self.script)
            choose = QPushButton(self.tr("Choose…"))
            choose.clicked.connect(self._ask_script)
            grid.addWidget(label, 0, 0)
            grid.addWidget(row_of(self.script, choose), 0, 1)
        return fields

    def _ask_script(self) -> None:
        ask_source(self, self._subject.folder, self.script.setText)

    def _toggled(self, checked: bool) -> None:
        for kind, button in self.buttons.items():
            self._fields[kind].setVisible(button.isChecked())
        if checked:
            self.changed.emit()


class WeightsForm(QWidget):
    """Which tensors go into the model.

    Signals:
        changed: another choice.
    """

    changed = Signal()

    def __init__(self, subject: Subject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._paths: list[TreePath | None] = []
        self.section = QComboBox()
        self.section.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for path, kind in subject.sections:
            name = plain("/".join(map(str, path)), 80) or self.tr("the whole file")
            self._add(path, f"{name} — {section_words(kind)}")
        if not self._paths:
            self._add(None, self.tr("the whole file"))
        self.section.currentIndexChanged.connect(self.changed)
        self.prefixes = QLineEdit(", ".join(WRAPPERS))
        self.prefixes.textChanged.connect(self.changed)
        self.strict = Box(self.tr("All &keys have to fit (strict)"))
        self.strict.setChecked(True)
        self.strict.toggled.connect(self.changed)
        hint = Hint()
        hint.say(
            self.tr(
                "Dropped, or added, where more keys match that way: DataParallel and "
                "torch.compile put them before each key."
            )
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        grid.setColumnMinimumWidth(0, label_width(self))
        grid.setColumnStretch(1, 1)
        grid.addWidget(field_label(self.tr("&Section"), self.section), 0, 0)
        grid.addWidget(self.section, 0, 1)
        grid.addWidget(field_label(self.tr("&Prefixes"), self.prefixes), 1, 0)
        grid.addWidget(self.prefixes, 1, 1)
        grid.addWidget(hint, 2, 1)
        grid.addWidget(self.strict, 3, 1)

    def weights(self) -> Weights:
        """What is chosen."""
        prefixes = [each.strip() for each in self.prefixes.text().split(",")]
        return Weights(
            section=self._paths[max(self.section.currentIndex(), 0)],
            strip_prefixes=tuple(filter(None, prefixes)),
            strict=self.strict.isChecked(),
        )

    def restore(self, weights: Weights) -> None:
        """Show what was chosen before."""
        if weights.section in self._paths:
            self.section.setCurrentIndex(self._paths.index(weights.section))
        self.prefixes.setText(", ".join(weights.strip_prefixes))
        self.strict.setChecked(weights.strict)

    def _add(self, path: TreePath | None, text: str) -> None:
        self._paths.append(path)
        self.section.addItem(text)
