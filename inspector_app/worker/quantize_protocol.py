"""What a worker is asked and answers about quantization: frozen dataclasses, as in `protocol`.

    ProbeMethods -> MethodsProbed   which methods that interpreter has, tried, not assumed
    Quantize     -> Quantized       files written to a folder of the client's
    Measure      -> Measured        float and quantized, side by side on held-out samples
    Weigh        -> Weighed         peak memory of a fresh process that runs one of both

Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from inspector_app.worker.model_choice import Inputs, ModelChoice

# --- how


@dataclass(frozen=True, slots=True)
class DynamicOptions:
    """Weights are stored in fewer bits; activations are quantized for each input anew.

    Attributes:
        engine: ``eager``, `torch.ao.quantization.quantize_dynamic`, or ``torchao``.
        dtype: ``int8``, or ``float16`` (of the engine eager alone).
        per_channel: a scale for each output channel; of eager's int8 the default is one for
            the whole tensor. torchao always has them.
        embeddings: quantize nn.Embedding and nn.EmbeddingBag too, to uint8 (eager alone).
        backend: one of `torch.backends.quantized.supported_engines`; "" for that machine's own.
    """

    kind: ClassVar[str] = "dynamic"
    engine: str = "eager"
    dtype: str = "int8"
    per_channel: bool = False
    embeddings: bool = False
    backend: str = ""


@dataclass(frozen=True, slots=True)
class StaticOptions:
    """Weights and activations in int8, with ranges that calibration found.

    Attributes:
        engine: ``fx`` (graph mode), ``pt2e`` (torchao, on torch.export's graph) or ``eager``
            (a model that has QuantStub and DeQuantStub itself).
        backend: ``x86``, ``fbgemm``, ``qnnpack`` or ``onednn``; "" for that machine's own.
            pt2e has the quantizer ``x86`` alone.
        observer: of activations: ``histogram``, ``minmax`` or ``moving-average``.
        per_channel: of weights.
        fuse: eager: fuse Conv, BatchNorm and ReLU that follow each other. fx and pt2e always do.
    """

    kind: ClassVar[str] = "static"
    engine: str = "fx"
    backend: str = ""
    observer: str = "histogram"
    per_channel: bool = True
    fuse: bool = True


@dataclass(frozen=True, slots=True)
class WeightOnlyOptions:
    """Weights of Linear in fewer bits, computing in float (torchao).

    Attributes:
        bits: 8, or 4 in groups.
        group_size: 32, 64 or 128 weights have a scale in common; of 8 bits 0, a whole row.
    """

    kind: ClassVar[str] = "weight-only"
    bits: int = 8
    group_size: int = 0


@dataclass(frozen=True, slots=True)
class OnnxDynamicOptions:
    """ONNX Runtime's dynamic quantization.

    Attributes:
        weights: ``int8`` or ``uint8``.
        per_channel: a scale for each output channel.
        reduce_range: 7 bits of weights, which processors without VNNI need not to overflow.
    """

    kind: ClassVar[str] = "onnx-dynamic"
    weights: str = "int8"
    per_channel: bool = True
    reduce_range: bool = False


@dataclass(frozen=True, slots=True)
class OnnxStaticOptions:
    """ONNX Runtime's static quantization with calibration.

    Attributes:
        calibrate: ``minmax``, ``entropy`` or ``percentile``.
        percentile: of `calibrate` percentile.
        form: ``qdq`` or ``qoperator``.
        weights, activations: ``int8`` or ``uint8``.
        per_channel, reduce_range: as of `OnnxDynamicOptions`.
    """

    kind: ClassVar[str] = "onnx-static"
    calibrate: str = "minmax"
    percentile: float = 99.999
    form: str = "qdq"
    weights: str = "int8"
    activations: str = "uint8"
    per_channel: bool = True
    reduce_range: bool = False


@dataclass(frozen=True, slots=True)
class CastOptions:
    """Weights in a smaller float dtype, without any model code.

    Attributes:
        dtype: ``float16``, ``bfloat16``, ``float8_e4m3fn`` or ``float8_e5m2``.
        overflow: write values that exceed the dtype as infinite, or NaN where it has no
            infinity, instead of refusing.
    """

    kind: ClassVar[str] = "cast"
    dtype: str = "float16"
    overflow: bool = False


QuantizeOptions: TypeAlias = (
    DynamicOptions
    | StaticOptions
    | WeightOnlyOptions
    | OnnxDynamicOptions
    | OnnxStaticOptions
    | CastOptions
)


@dataclass(frozen=True, slots=True)
class LeftInFloat:
    """Layers that are not quantized.

    Attributes:
        patterns: globs that match a layer's name, or that of its weight.
        names: of layers, exactly.
    """

    patterns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


# --- data


class DataKind:
    """What calibration data are."""

    FILE = "file"  # .npy, .npz, .pt or .safetensors; samples along the first axis
    IMAGES = "images"  # a folder of images; folders in it are classes
    LOADER = "loader"  # FILE.py:NAME, a function that gives an iterable of batches
    RANDOM = "random"  # drawn like the example inputs; its result means little


@dataclass(frozen=True, slots=True)
class CalibrationData:
    """Samples to calibrate with and, others of them, to measure on.

    A file holds one array per input by its name, or a single array for a single input. The
    entry `labels` holds the class of each sample.

    Attributes:
        source: one of `DataKind`.
        path: the file or folder, or the loader's ``FILE.py:NAME``; "" of random data.
        samples: at most so many for calibration.
        held_out: at most so many others to measure on, taken evenly from all (of a loader
            those that follow).
        batch: samples that run at once.
        labels: the name of the entry with classes; those of a loader come as the second of
            two in each batch.
        resize: of images: height and width; () keeps them, if all are of one size.
        mean, std: of images: per channel, in units where white is 1; () for none.
        grey: images have one channel.
    """

    source: str = DataKind.FILE
    path: str = ""
    samples: int = 128
    held_out: int = 256
    batch: int = 16
    labels: str = "labels"
    resize: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    grey: bool = False


# --- requests


@dataclass(frozen=True, slots=True)
class ProbeMethods:
    """Try each method on a model of one layer."""

    kind: ClassVar[str] = "probe-methods"


@dataclass(frozen=True, slots=True)
class Quantize:
    """Write the model quantized.

    Attributes:
        model: an ``.onnx`` checkpoint is quantized itself by the methods of ONNX Runtime.
        inputs: () specs are taken from the data.
        options: how.
        left: what stays in float.
        data: to calibrate with; None where the method needs none.
        staging: an empty folder beside the target, as in `protocol.Export`.
        name: of the file to write; its ending says the form.
        target: where the client will move it: what the loading code names.
    """

    kind: ClassVar[str] = "quantize"
    model: ModelChoice
    inputs: Inputs
    options: QuantizeOptions
    left: LeftInFloat
    data: CalibrationData | None
    staging: str
    name: str
    target: str


@dataclass(frozen=True, slots=True)
class MeasureSettings:
    """How float and quantized are compared.

    Attributes:
        repeats: forwards that are timed; 0 measures no time.
        layers: compare activations layer by layer.
        memory: peak memory of both, each in a process of its own.
    """

    repeats: int = 20
    layers: bool = True
    memory: bool = True


@dataclass(frozen=True, slots=True)
class Measure:
    """Load the original afresh and the file by its loading code, run both, compare.

    Attributes:
        model, inputs, options, left, data: as of `Quantize`.
        quantized: its result.
        staging: the folder in which the files still lie.
    """

    kind: ClassVar[str] = "measure"
    model: ModelChoice
    inputs: Inputs
    options: QuantizeOptions
    left: LeftInFloat
    data: CalibrationData
    quantized: Quantized
    staging: str
    settings: MeasureSettings = MeasureSettings()


@dataclass(frozen=True, slots=True)
class Weigh:
    """Load one of both and run it once.

    Attributes:
        quantized: None for the original; else as of `Measure`.
    """

    kind: ClassVar[str] = "weigh"
    model: ModelChoice
    inputs: Inputs
    data: CalibrationData
    quantized: Quantized | None
    staging: str


# --- results


@dataclass(frozen=True, slots=True)
class MethodState:
    """What one method is in that interpreter.

    Attributes:
        method: `QuantizeOptions.kind`.
        engine: of `DynamicOptions` and `StaticOptions`; "int8" or "int4" of weight-only;
            else "".
        available: it was tried and works.
        reason: why not, a sentence; "" where it does.
        pip: the line that would install what is missing, or "".
        version: of the library that does it, such as ``torchao 0.18.0``.
        choices: values of an option that were tried and work, by its name, such as
            ``backend``: (``x86``, ``fbgemm``).
    """

    method: str
    engine: str
    available: bool
    reason: str = ""
    pip: str = ""
    version: str = ""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MethodsProbed:
    """
    Attributes:
        methods: each, in the order in which they are shown.
        images: pillow is there, which reads images.
    """

    kind: ClassVar[str] = "methods-probed"
    methods: tuple[MethodState, ...]
    images: bool = False


@dataclass(frozen=True, slots=True)
class QuantizedLayer:
    """A layer of the model that the method can quantize.

    Attributes:
        name: as in `named_modules`; of an ONNX graph the initializer of its weight.
        type: its class, such as ``Linear``; of ONNX the operator.
        stored: dtype of its weights now, such as ``int8``; that of the original where it
            was left in float.
        bits: of one stored weight, as they lie in the file.
        float_bytes: of its weights before.
        nbytes: of its weights and their scales now.
        reason: why it was left in float, or "".
    """

    name: str
    type: str
    stored: str
    bits: int
    float_bytes: int
    nbytes: int
    reason: str = ""

    @property
    def quantized(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True)
class Quantized:
    """
    Attributes:
        files: names in the staging folder, the one that was asked for first.
        nbytes: all of them together.
        original_bytes: the model's state_dict in float, as torch.save writes it; of ONNX the
            float graph.
        seconds: from the built model to the written file, calibration included.
        layers: that can be quantized, in the order of the model.
        calibrated: number of samples.
        held_out: which samples calibration did not see, in words; "" without data.
        notes: sentences worth knowing.
        loading_code: a Python program that loads the file; it defines `model` (of ONNX
            `session`).
        script: the same quantization as a Python program with public APIs, or "".
        beside: a file in the staging folder that shows the layers where the target cannot:
            a state_dict for TorchScript and ``.pt2``, the float graph for ONNX; "" if none.
        beside_code: loads it, or "".
        inputs: names of the inputs that are passed by position, as the file has them.
        keywords: names of those that are passed by name.
    """

    kind: ClassVar[str] = "quantized"
    files: tuple[str, ...]
    nbytes: int
    original_bytes: int
    seconds: float
    layers: tuple[QuantizedLayer, ...] = ()
    calibrated: int = 0
    held_out: str = ""
    notes: tuple[str, ...] = ()
    loading_code: str = ""
    script: str = ""
    beside: str = ""
    beside_code: str = ""
    inputs: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputDamage:
    """How far one output departs over all held-out samples.

    Attributes:
        sqnr_db: signal to quantization noise, 10·log10(Σ float² / Σ (float − quantized)²);
            infinite where both are equal.
        max_abs, mean_abs: of the difference.
        cosine: similarity of both as one vector each.
        agreement: share of samples with the same arg-max; None where the output does not
            look like class scores.
    """

    name: str
    sqnr_db: float
    max_abs: float
    mean_abs: float
    cosine: float
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class LayerDamage:
    """One layer's activations, in the order in which the layers run.

    Attributes:
        name: as of `QuantizedLayer`.
        sqnr_db: of its output, as it is within the quantized model.
        input_sqnr_db: of its input.
        added: noise relative to the signal that this layer adds: that of its output less
            that of its input, at least 0.
        saved_bytes: what leaving it in float would cost.
    """

    name: str
    sqnr_db: float
    input_sqnr_db: float
    added: float
    saved_bytes: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of a forward of one batch: the median, and the quartiles around it."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measured:
    """
    Attributes:
        samples: number that both ran on.
        held_out: which, in words.
        outputs: of the model.
        float_accuracy, quantized_accuracy: share of right classes; None without labels.
        layers: activations; () where nothing can be compared.
        breaks: the first layer whose output falls below `breaks_db`, or "".
        breaks_db: that bound.
        leave: layers that would be left in float, those that add most noise first.
        leave_bytes: what leaving all of them would cost.
        float_latency, quantized_latency: in one run, in turns; None if not measured.
        batch: samples in a timed forward.
        float_runtime, quantized_runtime: what ran it, with its version.
        deterministic: the quantized model gives the same outputs twice.
        notes: sentences worth knowing.
    """

    kind: ClassVar[str] = "measured"
    samples: int
    held_out: str
    outputs: tuple[OutputDamage, ...]
    float_accuracy: float | None = None
    quantized_accuracy: float | None = None
    layers: tuple[LayerDamage, ...] = ()
    breaks: str = ""
    breaks_db: float = 20.0
    leave: tuple[str, ...] = ()
    leave_bytes: int = 0
    float_latency: Latency | None = None
    quantized_latency: Latency | None = None
    batch: int = 1
    float_runtime: str = ""
    quantized_runtime: str = ""
    deterministic: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Weighed:
    """
    Attributes:
        peak: most resident bytes of the process, from before loading to after a forward,
            less those before; None where the system does not tell.
    """

    kind: ClassVar[str] = "weighed"
    peak: int | None
