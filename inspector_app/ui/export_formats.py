"""The formats that a model can be exported to: what each is for, and its options."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication
from PySide6.QtWidgets import (
    QSpinBox,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui.options_form import OptionsForm
from inspector_app.ui.wizard_widgets import QUIET, Hint
from inspector_app.worker.protocol import (
    ExportedProgramOptions,
    FormatOptions,
    OnnxOptions,
    SafetensorsOptions,
    StateDictOptions,
    TorchScriptOptions,
)

_NOOP = QT_TRANSLATE_NOOP


class Format(NamedTuple):
    """One format.

    Attributes:
        kind: as `FormatOptions` calls it.
        ending: of its files.
        title: its name.
        words: what it is for, and how it stands with it.
        graph: it holds what the model computes, not its weights alone.
    """

    kind: str
    ending: str
    title: str
    words: str
    graph: bool


FORMATS = (
    Format(
        "onnx",
        ".onnx",
        "ONNX",
        _NOOP(
            "Formats",
            "Runs without Python: onnxruntime, TensorRT, OpenVINO, browsers. The usual choice "
            "for deployment.",
        ),
        True,
    ),
    Format(
        "torch-export",
        ".pt2",
        "torch.export (.pt2)",
        _NOOP(
            "Formats",
            "What PyTorch itself builds on now. Its format still changes: newer versions of "
            "PyTorch may not read the file.",
        ),
        True,
    ),
    Format(
        "torchscript",
        ".pt",
        "TorchScript",
        _NOOP(
            "Formats",
            "Runs in C++ and on older stacks. PyTorch has deprecated it in favour of "
            "torch.export: it works, but nobody improves it.",
        ),
        True,
    ),
    Format(
        "safetensors",
        ".safetensors",
        "safetensors",
        _NOOP("Formats", "The weights alone, which load fast and run nothing. No graph."),
        False,
    ),
    Format(
        "state-dict",
        ".pth",
        "state_dict",
        _NOOP(
            "Formats",
            "The weights alone, under the model's keys, without optimizer or anything else. "
            "No graph.",
        ),
        False,
    ),
)


def format_of(kind: str) -> Format:
    """The format of a kind."""
    return next(each for each in FORMATS if each.kind == kind)


def words_of(format_: Format) -> str:
    """What it is for, translated."""
    return QCoreApplication.translate("Formats", format_.words)


EXPORTERS = ("dynamo", "torchscript")
DATA = ("auto", "inside", "beside")
WAYS = ("trace", "script")
_OPSETS = (9, 25)


class OnnxForm(OptionsForm):
    """Exporter, opset and where the weights go."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.exporter = self.combo(
            self.tr("based on torch.export"), self.tr("based on TorchScript (deprecated)")
        )
        self.exporter.currentIndexChanged.connect(self._say)
        self._hint = Hint()
        self.opset = QSpinBox()
        # Its least value stands for the exporter's own choice.
        self.opset.setRange(_OPSETS[0] - 1, _OPSETS[1])
        self.opset.setSpecialValueText(self.tr("the exporter's own"))
        self.opset.valueChanged.connect(self.changed)
        self.data = self.combo(
            self.tr("in the file, beside it if they are larger than it can hold"),
            self.tr("in the file"),
            self.tr("in a .data file beside it; both belong together"),
        )
        self.optimize = self.box(self.tr("Let the exporter simplify the &graph"), True)
        self.inputs = self.line(self.tr("as forward calls them"))
        self.outputs = self.line(self.tr("as the model calls them"))
        self.metadata = self.line(self.tr("author=…, version=1.2"))
        self.add(self.tr("Expor&ter"), self.exporter)
        self.add("", self._hint)
        self.add(self.tr("&Opset"), self.opset)
        self.add(self.tr("&Weights"), self.data)
        self.add(self.tr("Names of inputs"), self.inputs)
        self.add(self.tr("Names of outputs"), self.outputs)
        self.add(self.tr("&Metadata"), self.metadata)
        self.add("", self.optimize)
        self._say()

    def options(self) -> FormatOptions:
        opset = self.opset.value()
        return OnnxOptions(
            exporter=EXPORTERS[self.exporter.currentIndex()],
            opset=None if opset == self.opset.minimum() else opset,
            optimize=self.optimize.isChecked(),
            external_data=DATA[self.data.currentIndex()],
            input_names=_names(self.inputs.text()),
            output_names=_names(self.outputs.text()),
            metadata=dict(_pairs(self.metadata.text())),
        )

    def restore(self, options: FormatOptions) -> None:
        if isinstance(options, OnnxOptions):
            self.exporter.setCurrentIndex(EXPORTERS.index(options.exporter))
            self.opset.setValue(options.opset or self.opset.minimum())
            self.optimize.setChecked(options.optimize)
            self.data.setCurrentIndex(DATA.index(options.external_data))
            self.inputs.setText(", ".join(options.input_names))
            self.outputs.setText(", ".join(options.output_names))
            self.metadata.setText(", ".join(f"{k}={v}" for k, v in options.metadata.items()))

    def problem(self) -> str:
        for part in filter(None, (each.strip() for each in self.metadata.text().split(","))):
            if not part.partition("=")[0].strip() or "=" not in part:
                text = self.tr("{part} is no metadata such as author=me.")
                return text.format(part=plain(part, 60))
        return ""

    def _say(self) -> None:
        old = EXPORTERS[self.exporter.currentIndex()] == "torchscript"
        self._hint.say(
            self.tr(
                "PyTorch has deprecated it. It keeps one way through control flow that "
                "depends on values; try it where the other fails."
            )
            if old
            else self.tr("PyTorch's own choice. Control flow that depends on values is an error."),
            QUIET,
        )


class TorchScriptForm(OptionsForm):
    """Trace or script, and what is done with the graph."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.way = self.combo(
            self.tr("trace: record one run"), self.tr("script: compile the source")
        )
        self.way.currentIndexChanged.connect(self._say)
        self._hint = Hint()
        self.checks = QSpinBox()
        self.checks.setRange(0, 20)
        self.checks.setValue(2)
        self.checks.valueChanged.connect(self.changed)
        self.freeze = self.box(self.tr("&Freeze: put parameters into the graph"))
        self.optimize = self.box(self.tr("Optimize for &inference, which freezes too"))
        self.add(self.tr("&Way"), self.way)
        self.add("", self._hint)
        self.add(self.tr("Checked on other inputs"), self.checks)
        self.add("", self.freeze)
        self.add("", self.optimize)
        self._say()

    def options(self) -> FormatOptions:
        return TorchScriptOptions(
            way=WAYS[self.way.currentIndex()],
            freeze=self.freeze.isChecked(),
            optimize=self.optimize.isChecked(),
            check_inputs=self.checks.value(),
        )

    def restore(self, options: FormatOptions) -> None:
        if isinstance(options, TorchScriptOptions):
            self.way.setCurrentIndex(WAYS.index(options.way))
            self.freeze.setChecked(options.freeze)
            self.optimize.setChecked(options.optimize)
            self.checks.setValue(options.check_inputs)

    def _say(self) -> None:
        traced = WAYS[self.way.currentIndex()] == "trace"
        self.checks.setEnabled(traced)
        self._hint.say(
            self.tr(
                "Whatever the example does not do is lost: branches, loops, sizes. The proof "
                "tries other inputs."
            )
            if traced
            else self.tr("Keeps branches and loops, but knows a part of Python only."),
            QUIET,
        )


class ExportedProgramForm(OptionsForm):
    """Strict or not."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.strict = self.box(
            self.tr("&Strict: trace with TorchDynamo, which is sound and refuses more")
        )
        self.add("", self.strict)

    def options(self) -> FormatOptions:
        return ExportedProgramOptions(self.strict.isChecked())

    def restore(self, options: FormatOptions) -> None:
        if isinstance(options, ExportedProgramOptions):
            self.strict.setChecked(options.strict)


class SafetensorsForm(OptionsForm):
    """Metadata."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.metadata = self.line(self.tr("format=pt, …"))
        self.add(self.tr("&Metadata"), self.metadata)

    def options(self) -> FormatOptions:
        return SafetensorsOptions(dict(_pairs(self.metadata.text())))

    def restore(self, options: FormatOptions) -> None:
        if isinstance(options, SafetensorsOptions):
            self.metadata.setText(", ".join(f"{k}={v}" for k, v in options.metadata.items()))


class StateDictForm(OptionsForm):
    """Nothing to choose."""

    def options(self) -> FormatOptions:
        return StateDictOptions()


FORMS: dict[str, Callable[[], OptionsForm]] = {
    "onnx": OnnxForm,
    "torch-export": ExportedProgramForm,
    "torchscript": TorchScriptForm,
    "safetensors": SafetensorsForm,
    "state-dict": StateDictForm,
}


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in text.split(","))))


def _pairs(text: str) -> list[tuple[str, str]]:
    found = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if equals and key.strip():
            found.append((key.strip(), value.strip()))
    return found
