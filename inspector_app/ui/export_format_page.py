"""The wizard's third page: the format, its options, where it goes and how it is proven."""

from __future__ import annotations

import os
import re

from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QGridLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui.export_formats import FORMATS, FORMS, format_of, words_of
from inspector_app.ui.inputs_page import InputsPage
from inspector_app.ui.model_page import ModelPage
from inspector_app.ui.options_form import OptionsForm
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import (
    BAD,
    FORM_WIDTH,
    Box,
    Choice,
    CopyLine,
    Hint,
    WizardPage,
    field_label,
    row_of,
)
from inspector_app.worker.export_run import ENDINGS
from inspector_app.worker.protocol import (
    ExportedProgramOptions,
    FormatOptions,
    OnnxOptions,
    ProofSettings,
    SourceKind,
)

_BOUND = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


class FormatPage(WizardPage):
    """Chooses what is written.

    Args:
        model, inputs: the pages before.
    """

    widest = FORM_WIDTH

    def __init__(self, model: ModelPage, inputs: InputsPage, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Format"), self.tr("What is written, and where it goes."), parent)
        self._model, self._inputs = model, inputs
        # What the target was when we named it; another text is the user's own.
        self._suggested = ""
        self._entered = False
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QRadioButton] = {}
        self.forms: dict[str, OptionsForm] = {}
        rows = QWidget()
        column = QVBoxLayout(rows)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self._words: dict[str, MutedLabel] = {}
        for format_ in FORMATS:
            button = Choice(format_.title)
            button.toggled.connect(self._toggled)
            words = MutedLabel(words_of(format_))
            words.setWordWrap(True)
            words.setContentsMargins(24, 0, 0, 4)
            button.setAccessibleDescription(words.text())
            form = FORMS[format_.kind]()
            form.setContentsMargins(24, 0, 0, 6)
            form.changed.connect(self._edited)
            self._group.addButton(button)
            self.buttons[format_.kind] = button
            self.forms[format_.kind] = form
            self._words[format_.kind] = words
            for widget in (button, words, form):
                column.addWidget(widget)
        self._lacks = Hint()
        self.pip = CopyLine()
        self.target = QLineEdit()
        self.target.textChanged.connect(self._edited)
        self.choose = QPushButton(self.tr("Choose…"))
        self.choose.clicked.connect(self._ask)
        self._target_hint = Hint()
        self.replace = Box(self.tr("&Replace the file that is there"))
        self.replace.toggled.connect(self._edited)
        self.prove = Box(self.tr("Prove that the result &computes the same"))
        self.prove.setChecked(True)
        self.prove.toggled.connect(self._edited)
        self.rtol, self.atol = QLineEdit(), QLineEdit()
        for bound in (self.rtol, self.atol):
            bound.setPlaceholderText(self.tr("of the dtype"))
            bound.setMaximumWidth(110)
            bound.textChanged.connect(self._edited)
        self._proof_hint = Hint()
        self._bounds = row_of(
            field_label("rtol", self.rtol),
            self.rtol,
            field_label("atol", self.atol),
            self.atol,
            stretch=-1,
        )
        self._bounds.setContentsMargins(24, 0, 0, 0)
        place = QWidget()
        grid = QGridLayout(place)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.addWidget(row_of(self.target, self.choose), 0, 0)
        grid.addWidget(self._target_hint, 1, 0)
        grid.addWidget(self.replace, 2, 0)
        self.target.setAccessibleName(self.tr("File to write"))
        self.add_part("", rows, self._lacks, self.pip)
        self.add_part(self.tr("File"), place)
        self.add_part(self.tr("Proof"), self.prove, self._bounds, self._proof_hint)
        self.column.addStretch(1)
        self.buttons["onnx"].setChecked(True)

    # --- what is chosen

    def kind(self) -> str:
        """The kind of format."""
        return next(kind for kind, button in self.buttons.items() if button.isChecked())

    def options(self) -> FormatOptions:
        """The format with its options."""
        return self.forms[self.kind()].options()

    def path(self) -> str:
        """The file to write; relative paths begin at the checkpoint's folder."""
        text = os.path.expanduser(self.target.text().strip())
        return os.path.normpath(os.path.join(self._model.subject.folder, text)) if text else ""

    def proof(self) -> ProofSettings | None:
        """How the result is proven; None if it is not."""
        if not self.prove.isChecked():
            return None
        rtol, atol = (self._bound(field) for field in (self.rtol, self.atol))
        return ProofSettings(rtol=rtol, atol=atol)

    def problem(self) -> str:
        kind = self.kind()
        if format_of(kind).graph and self._inputs.weights_only.isChecked():
            return self.tr("Without inputs the weights alone can be exported.")
        packages, _ = self._model.interpreters.lacking(kind)
        if packages:
            text = self.tr("The chosen Python lacks {packages}.")
            return text.format(packages=", ".join(packages))
        return self.options_problem() or self._target_problem()

    def options_problem(self) -> str:
        """What is wrong with the options or the bounds, or ""."""
        problem = self.forms[self.kind()].problem() or self._proof_problem()
        if not problem and self._holds_script():
            options = self.options()
            if isinstance(options, OnnxOptions) and options.exporter == "dynamo":
                return self.tr(
                    "torch.export does not take TorchScript: choose the exporter that is based "
                    "on TorchScript."
                )
            if isinstance(options, ExportedProgramOptions):
                return self.tr("torch.export does not take TorchScript: choose another format.")
        return problem

    def _holds_script(self) -> bool:
        """The model is a TorchScript archive itself."""
        source = self._model.source.kind()
        return self._model.subject.format == "torchscript" and source == SourceKind.FILE

    def summary(self) -> str:
        return format_of(self.kind()).title

    def restore(self, options: FormatOptions, target: str, proof: ProofSettings | None) -> None:
        """Show what was chosen before."""
        if options.kind in self.buttons:
            self.buttons[options.kind].setChecked(True)
            self.forms[options.kind].restore(options)
            self._entered = True
        if target:
            self.target.setText(target)
        self.prove.setChecked(proof is not None)
        if proof is not None:
            self.rtol.setText("" if proof.rtol is None else f"{proof.rtol:g}")
            self.atol.setText("" if proof.atol is None else f"{proof.atol:g}")

    def enter(self) -> None:
        without = self._inputs.weights_only.isChecked()
        for format_ in FORMATS:
            usable = format_.graph is False or not without
            self.buttons[format_.kind].setEnabled(usable)
        if self._holds_script() and not self._entered:
            self.forms["onnx"].restore(OnnxOptions(exporter="torchscript"))
        self._entered = True
        if without and format_of(self.kind()).graph:
            self.buttons["safetensors"].setChecked(True)
        self._edited()

    def first_field(self) -> QWidget | None:
        return self.buttons[self.kind()]

    # --- what becomes of it

    def _toggled(self, checked: bool) -> None:
        if not checked:
            return
        kind = self.kind()
        for each, form in self.forms.items():
            form.setVisible(each == kind and form.layout().count() > 0)
        self._suggest(kind)
        self._edited()

    def _suggest(self, kind: str) -> None:
        """A file beside the checkpoint; of one that the user has named, the ending."""
        ending = format_of(kind).ending
        text = self.target.text().strip()
        if text and text != self._suggested:
            stem, old = os.path.splitext(text)
            self.target.setText(stem + ending if old.lower() in ENDINGS else text)
            return
        source = self._model.subject.path
        stem = (
            os.path.splitext(source)[0] if os.path.isfile(source) else os.path.join(source, "model")
        )
        path = stem + ending
        if os.path.normcase(path) == os.path.normcase(source):
            path = f"{stem}.exported{ending}"
        self._suggested = path
        self.target.setText(path)

    def _target_problem(self) -> str:
        path = self.path()
        if not path:
            return self.tr("Name the file to write.")
        kind = self.kind()
        said = ENDINGS.get(os.path.splitext(path)[1].lower())
        if said is not None and said != kind and {said, kind} != {"torchscript", "state-dict"}:
            return self.tr("The name says another format: {ending} is usual for this one.").format(
                ending=format_of(kind).ending
            )
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            return self.tr("There is no folder {folder}.").format(folder=plain(folder))
        if os.path.isdir(path):
            return self.tr("There is a folder of this name.")
        if not os.access(folder, os.W_OK):
            return self.tr("Files cannot be written to {folder}.").format(folder=plain(folder))
        if os.path.exists(path):
            if os.path.samefile(path, self._model.subject.path):
                return self.tr("This is the checkpoint itself: choose another name.")
            if not self.replace.isChecked():
                text = self.tr("{name} exists: choose another name, or to replace it.")
                return text.format(name=plain(os.path.basename(path)))
        return ""

    def _proof_problem(self) -> str:
        if self.prove.isChecked() and format_of(self.kind()).graph:
            for name, field in (("rtol", self.rtol), ("atol", self.atol)):
                if field.text().strip() and self._bound(field) is None:
                    return self.tr("{name} is no number such as 1e-4.").format(name=name)
        return ""

    @staticmethod
    def _bound(field: QLineEdit) -> float | None:
        text = field.text().strip()
        return float(text) if _BOUND.fullmatch(text) else None

    def _edited(self) -> None:
        path = self.path()
        self.replace.setVisible(
            os.path.isfile(path) and not os.path.samefile(path, self._model.subject.path)
        )
        self._target_hint.say(self._target_problem(), BAD)
        packages, line = self._model.interpreters.lacking(self.kind())
        text = self.tr("The chosen Python lacks {packages}. Install it there, or choose another:")
        self._lacks.say(text.format(packages=", ".join(packages)) if packages else "", BAD)
        self.pip.set_line(line)
        graph = format_of(self.kind()).graph
        self._bounds.setVisible(graph)
        self._bounds.setEnabled(self.prove.isChecked())
        problem = self._proof_problem()
        if problem:
            self._proof_hint.say(problem, BAD)
        elif self.prove.isChecked() and not graph:
            self._proof_hint.say(
                self.tr(
                    "Every tensor is read back and compared bit for bit, and a model with them "
                    "is run."
                )
            )
        else:
            self._proof_hint.say(
                self.tr(
                    "Original and result run on the same inputs, on others, and on other sizes "
                    "of each dynamic axis. What differs is not written."
                )
                if self.prove.isChecked()
                else self.tr("The file is written without comparing it to the original.")
            )
        self.changed.emit()

    def _ask(self) -> None:
        ending = format_of(self.kind()).ending
        dialog = QFileDialog(self, self.tr("Export To"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([f"{format_of(self.kind()).title} (*{ending})"])
        dialog.setDefaultSuffix(ending[1:])
        dialog.setDirectory(os.path.dirname(self.path()) or self._model.subject.folder)
        dialog.selectFile(os.path.basename(self.path()))
        dialog.fileSelected.connect(self._asked)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _asked(self, path: str) -> None:
        self.target.setText(path)
        # The dialog has asked already.
        self.replace.setChecked(True)
