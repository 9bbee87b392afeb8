"""Where the model comes from: the file, transformers, or Python code."""

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
from inspector_app.ui.wizard_widgets import Choice, field_label, label_width, row_of
from inspector_app.worker.protocol import ModelSource, SourceKind


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
        self.module = QComboBox()
        self.module.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
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

    def module_path(self) -> TreePath:
        """Where the pickled model lies that is chosen."""
        modules = self._subject.modules
        return modules[max(self.module.currentIndex(), 0)][0] if modules else ()

    def choose_module(self, path: TreePath) -> None:
        """Take the pickled model at `path`, if there is one."""
        paths = [each for each, _ in self._subject.modules]
        if path in paths:
            self.buttons[SourceKind.FILE].setChecked(True)
            self.module.setCurrentIndex(paths.index(path))

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
        if len(self._subject.modules) > 1:
            text = self.tr("The file holds it: one of {n} pickled models")
            return text.format(n=len(self._subject.modules))
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
            for path, name in self._subject.modules:
                place = plain("/".join(map(str, path)), 80) or self.tr("the whole file")
                self.module.addItem(f"{place} — {plain(name, 60)}")
            self.module.currentIndexChanged.connect(self.changed)
            if len(self._subject.modules) > 1:
                grid.addWidget(field_label(self.tr("Model"), self.module), 1, 0)
                grid.addWidget(self.module, 1, 1)
            self.script = QLineEdit()
            self.script.setPlaceholderText(self.tr("only where they were in the script itself"))
            self.script.textChanged.connect(self.changed)
            label = field_label(self.tr("Script of its classes (.py)"), self.script)
            choose = QPushButton(self.tr("Choose…"))
            choose.clicked.connect(self._ask_script)
            grid.addWidget(label, 2, 0)
            grid.addWidget(row_of(self.script, choose), 2, 1)
        return fields

    def _ask_script(self) -> None:
        ask_source(self, self._subject.folder, self.script.setText)

    def _toggled(self, checked: bool) -> None:
        for kind, button in self.buttons.items():
            self._fields[kind].setVisible(button.isChecked())
        if checked:
            self.changed.emit()
