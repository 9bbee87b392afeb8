"""The options of each method of quantization, and the preview's scheme that comes closest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtWidgets import QComboBox, QWidget

from inspector_app.ui.options_form import OptionsForm
from inspector_app.ui.wizard_widgets import QUIET, Hint
from inspector_app.worker.quantize_methods import Method
from inspector_app.worker.quantize_protocol import (
    CastOptions,
    DynamicOptions,
    OnnxDynamicOptions,
    OnnxStaticOptions,
    QuantizeOptions,
    StaticOptions,
    WeightOnlyOptions,
)

OBSERVERS = ("histogram", "minmax", "moving-average")
CALIBRATES = ("minmax", "entropy", "percentile")
CASTS = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
GROUPS = (32, 64, 128)
INTEGERS = ("int8", "uint8")
FORMS = ("qdq", "qoperator")
_PREVIEW_OF_CASTS = {
    "float16": "fp16",
    "bfloat16": "bf16",
    "float8_e4m3fn": "fp8-e4m3",
    "float8_e5m2": "fp8-e5m2",
}


def scheme_of(options: QuantizeOptions) -> str:
    """The preview's scheme that tells most of what `options` do to the weights."""
    if isinstance(options, CastOptions):
        return _PREVIEW_OF_CASTS[options.dtype]
    if isinstance(options, WeightOnlyOptions):
        if options.bits == 4:
            return f"int4-group-{options.group_size}-affine"
        return "int8-per-channel"
    if isinstance(options, DynamicOptions):
        if options.dtype == "float16":
            return "fp16"
        if options.engine == "torchao":
            return "int8-per-channel"
    return "int8-per-channel" if options.per_channel else "int8-per-tensor"


def tag_of(options: QuantizeOptions) -> str:
    """What a file is called that has been quantized so."""
    if isinstance(options, CastOptions):
        return _PREVIEW_OF_CASTS[options.dtype]
    if isinstance(options, WeightOnlyOptions):
        return f"int{options.bits}"
    if isinstance(options, DynamicOptions):
        return "fp16" if options.dtype == "float16" else "int8"
    return "int8"


def cast_of(scheme: str) -> str:
    """The dtype of a preview's scheme that is a cast, or ""."""
    return next((dtype for dtype, name in _PREVIEW_OF_CASTS.items() if name == scheme), "")


class MethodForm(OptionsForm):
    """The options of one method."""

    def options(self) -> QuantizeOptions:
        raise NotImplementedError

    def set_choices(self, choices: Mapping[str, tuple[str, ...]]) -> None:
        """Values of options that were tried in the interpreter and work."""

    def has_fields(self) -> bool:
        """There is something to choose."""
        return self.layout().count() > 0

    def backends(self) -> QComboBox:
        """A list of backends, of which that machine's own is the first."""
        box = self.combo(self.tr("that machine's own"))
        self.add(self.tr("&Backend"), box)
        return box


def show_backends(box: QComboBox, names: tuple[str, ...]) -> None:
    """List those that work; the chosen one stays chosen where it is among them."""
    chosen = box.currentText() if box.currentIndex() else ""
    box.blockSignals(True)
    while box.count() > 1:
        box.removeItem(1)
    box.addItems(list(names))
    box.setCurrentIndex(max(box.findText(chosen), 0) if chosen else 0)
    box.blockSignals(False)


def chosen_backend(box: QComboBox) -> str:
    """The backend, or "" for the machine's own."""
    return box.currentText() if box.currentIndex() > 0 else ""


def choose_backend(box: QComboBox, name: str) -> None:
    """Choose a backend, which may be listed once the interpreter was asked."""
    if name and box.findText(name) < 0:
        box.addItem(name)
    box.setCurrentIndex(max(box.findText(name), 0) if name else 0)


class DynamicForm(MethodForm):
    """Dynamic int8 or fp16 of torch itself."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.dtype = self.combo("int8", "float16")
        self.dtype.currentIndexChanged.connect(self._say)
        self.per_channel = self.box(self.tr("A scale for each output c&hannel"))
        self.embeddings = self.box(self.tr("Quantize &embeddings too, to uint8"))
        self.add(self.tr("&Weights"), self.dtype)
        self.backend = self.backends()
        self.add("", self.per_channel)
        self.add("", self.embeddings)

    def options(self) -> QuantizeOptions:
        int8 = self.dtype.currentIndex() == 0
        return DynamicOptions(
            dtype="int8" if int8 else "float16",
            per_channel=int8 and self.per_channel.isChecked(),
            embeddings=int8 and self.embeddings.isChecked(),
            backend=chosen_backend(self.backend),
        )

    def restore(self, options: Any) -> None:
        if isinstance(options, DynamicOptions):
            self.dtype.setCurrentIndex(int(options.dtype == "float16"))
            self.per_channel.setChecked(options.per_channel)
            self.embeddings.setChecked(options.embeddings)
            choose_backend(self.backend, options.backend)

    def set_choices(self, choices: Mapping[str, tuple[str, ...]]) -> None:
        show_backends(self.backend, choices.get("backend", ()))

    def _say(self) -> None:
        int8 = self.dtype.currentIndex() == 0
        self.per_channel.setEnabled(int8)
        self.embeddings.setEnabled(int8)


class TorchaoDynamicForm(MethodForm):
    """Nothing to choose."""

    def options(self) -> QuantizeOptions:
        return DynamicOptions(engine="torchao", per_channel=True)


class StaticForm(MethodForm):
    """Static int8 by one of its engines."""

    def __init__(self, engine: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self.backend = self.backends() if engine != "pt2e" else None
        self.observer = self.combo(
            self.tr("histogram: ranges that lose least"),
            self.tr("minimum and maximum"),
            self.tr("moving average of minimum and maximum"),
        )
        self.add(self.tr("&Observer"), self.observer)
        self.per_channel = self.box(self.tr("A scale for each output c&hannel of weights"), True)
        self.add("", self.per_channel)
        self.fuse = self.box(self.tr("&Fuse Conv, BatchNorm and ReLU that follow each other"), True)
        if engine == "eager":
            self.add("", self.fuse)

    def options(self) -> QuantizeOptions:
        return StaticOptions(
            engine=self._engine,
            backend=chosen_backend(self.backend) if self.backend is not None else "",
            observer=OBSERVERS[self.observer.currentIndex()],
            per_channel=self.per_channel.isChecked(),
            fuse=self.fuse.isChecked(),
        )

    def restore(self, options: Any) -> None:
        if isinstance(options, StaticOptions):
            if self.backend is not None:
                choose_backend(self.backend, options.backend)
            self.observer.setCurrentIndex(OBSERVERS.index(options.observer))
            self.per_channel.setChecked(options.per_channel)
            self.fuse.setChecked(options.fuse)

    def set_choices(self, choices: Mapping[str, tuple[str, ...]]) -> None:
        if self.backend is not None:
            show_backends(self.backend, choices.get("backend", ()))


class WeightOnlyForm(MethodForm):
    """int8 or int4 weights of torchao."""

    def __init__(self, bits: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bits = bits
        self.group = self.combo(*map(str, GROUPS))
        if bits == 4:
            self.add(self.tr("&Weights with one scale"), self.group)

    def options(self) -> QuantizeOptions:
        size = GROUPS[self.group.currentIndex()] if self._bits == 4 else 0
        return WeightOnlyOptions(self._bits, size)

    def restore(self, options: Any) -> None:
        if isinstance(options, WeightOnlyOptions) and options.group_size in GROUPS:
            self.group.setCurrentIndex(GROUPS.index(options.group_size))


class OnnxDynamicForm(MethodForm):
    """ONNX Runtime's dynamic quantization."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.weights = self.combo(*INTEGERS)
        self.per_channel = self.box(self.tr("A scale for each output c&hannel"), True)
        self.reduce_range = self.box(self.tr("&7 bits, for processors without VNNI"))
        self.add(self.tr("&Weights"), self.weights)
        self.add("", self.per_channel)
        self.add("", self.reduce_range)

    def options(self) -> QuantizeOptions:
        return OnnxDynamicOptions(
            INTEGERS[self.weights.currentIndex()],
            self.per_channel.isChecked(),
            self.reduce_range.isChecked(),
        )

    def restore(self, options: Any) -> None:
        if isinstance(options, OnnxDynamicOptions):
            self.weights.setCurrentIndex(INTEGERS.index(options.weights))
            self.per_channel.setChecked(options.per_channel)
            self.reduce_range.setChecked(options.reduce_range)


class OnnxStaticForm(MethodForm):
    """ONNX Runtime's static quantization."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.calibrate = self.combo(
            self.tr("minimum and maximum"), self.tr("entropy"), self.tr("percentile")
        )
        self.calibrate.currentIndexChanged.connect(self._say)
        self.percentile = self.line("99.999")
        self.form = self.combo(self.tr("QDQ, which other runtimes read too"), self.tr("QOperator"))
        self.weights, self.activations = self.combo(*INTEGERS), self.combo(*INTEGERS)
        self.activations.setCurrentIndex(1)
        self.per_channel = self.box(self.tr("A scale for each output c&hannel"), True)
        self.reduce_range = self.box(self.tr("&7 bits, for processors without VNNI"))
        self.add(self.tr("Cali&bration"), self.calibrate)
        self.add(self.tr("Percentile"), self.percentile)
        self.add(self.tr("F&orm"), self.form)
        self.add(self.tr("&Weights"), self.weights)
        self.add(self.tr("&Activations"), self.activations)
        self.add("", self.per_channel)
        self.add("", self.reduce_range)
        self._say()

    def options(self) -> QuantizeOptions:
        return OnnxStaticOptions(
            calibrate=CALIBRATES[self.calibrate.currentIndex()],
            percentile=self._percentile() or 99.999,
            form=FORMS[self.form.currentIndex()],
            weights=INTEGERS[self.weights.currentIndex()],
            activations=INTEGERS[self.activations.currentIndex()],
            per_channel=self.per_channel.isChecked(),
            reduce_range=self.reduce_range.isChecked(),
        )

    def restore(self, options: Any) -> None:
        if isinstance(options, OnnxStaticOptions):
            self.calibrate.setCurrentIndex(CALIBRATES.index(options.calibrate))
            self.percentile.setText(f"{options.percentile:g}")
            self.form.setCurrentIndex(FORMS.index(options.form))
            self.weights.setCurrentIndex(INTEGERS.index(options.weights))
            self.activations.setCurrentIndex(INTEGERS.index(options.activations))
            self.per_channel.setChecked(options.per_channel)
            self.reduce_range.setChecked(options.reduce_range)

    def problem(self) -> str:
        wrong = self.percentile.text().strip() and self._percentile() is None
        if self.percentile.isEnabled() and wrong:
            return self.tr("The percentile is no number above 50 and up to 100.")
        return ""

    def _percentile(self) -> float | None:
        try:
            value = float(self.percentile.text())
        except ValueError:
            return None
        return value if 50 < value <= 100 else None

    def _say(self) -> None:
        self.percentile.setEnabled(CALIBRATES[self.calibrate.currentIndex()] == "percentile")


class CastForm(MethodForm):
    """A smaller float dtype."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.dtype = self.combo("fp16", "bf16", "fp8 e4m3", "fp8 e5m2")
        self.overflow = self.box(self.tr("Write &values that are too large, instead of refusing"))
        self._hint = Hint()
        self.add(self.tr("&Dtype"), self.dtype)
        self.add("", self._hint)
        self.add("", self.overflow)
        self.dtype.currentIndexChanged.connect(self._say)
        self._say()

    def options(self) -> QuantizeOptions:
        return CastOptions(CASTS[self.dtype.currentIndex()], self.overflow.isChecked())

    def restore(self, options: Any) -> None:
        if isinstance(options, CastOptions):
            self.dtype.setCurrentIndex(CASTS.index(options.dtype))
            self.overflow.setChecked(options.overflow)

    def _say(self) -> None:
        words = (
            self.tr("Values beyond 65,504 become infinite."),
            self.tr("The range of float32, and 8 bits of precision."),
            self.tr("Up to 448, 4 bits of precision."),
            self.tr("Up to 57,344, 3 bits of precision."),
        )
        self._hint.say(words[self.dtype.currentIndex()], QUIET)


def form_of(method: Method) -> MethodForm:
    """The form of a method's options."""
    options = method.options
    if isinstance(options, DynamicOptions):
        return DynamicForm() if options.engine == "eager" else TorchaoDynamicForm()
    if isinstance(options, StaticOptions):
        return StaticForm(options.engine)
    if isinstance(options, WeightOnlyOptions):
        return WeightOnlyForm(options.bits)
    if isinstance(options, OnnxDynamicOptions):
        return OnnxDynamicForm()
    return OnnxStaticForm() if isinstance(options, OnnxStaticOptions) else CastForm()
