"""Which models are quantized by which method; the models are trained on generated data.

Each quantization goes through the worker as the window's and the command's do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspector_app.worker.protocol import Inputs, ModelChoice, ModelSource, SourceKind
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    CastOptions,
    DynamicOptions,
    MeasureSettings,
    OnnxDynamicOptions,
    OnnxStaticOptions,
    QuantizeOptions,
    StaticOptions,
    WeightOnlyOptions,
)
from inspector_app.worker.quantize_run import QuantizeOutcome, QuantizePlan, quantizing

MODELS_FILE = Path(__file__).resolve().with_name("quantization_models.py")
SAMPLES = 1000

# By what a model is quantized: a name, the ending of the file, the options.
WAYS: dict[str, tuple[str, QuantizeOptions]] = {
    "dynamic int8": (".pth", DynamicOptions()),
    "dynamic int8, per channel, embeddings": (
        ".pth",
        DynamicOptions(per_channel=True, embeddings=True),
    ),
    "dynamic int8, TorchScript": (".pt", DynamicOptions()),
    "dynamic fp16": (".pth", DynamicOptions(dtype="float16")),
    "dynamic int8, torchao": (".pth", DynamicOptions(engine="torchao")),
    "dynamic int8, torchao, .pt2": (".pt2", DynamicOptions(engine="torchao")),
    "static FX": (".pth", StaticOptions()),
    "static FX, TorchScript": (".pt", StaticOptions()),
    "static FX, qnnpack, minmax": (".pth", StaticOptions(backend="qnnpack", observer="minmax")),
    "static eager": (".pth", StaticOptions(engine="eager")),
    "static PT2E": (".pt2", StaticOptions(engine="pt2e")),
    "weight-only int8": (".pth", WeightOnlyOptions()),
    "weight-only int8, .pt2": (".pt2", WeightOnlyOptions()),
    "weight-only int4": (".pth", WeightOnlyOptions(4, 32)),
    "cast fp16": (".pth", CastOptions("float16")),
    "cast bf16": (".pth", CastOptions("bfloat16")),
    "cast fp8 e4m3": (".safetensors", CastOptions("float8_e4m3fn")),
    "ONNX Runtime dynamic": (".onnx", OnnxDynamicOptions()),
    "ONNX Runtime static": (".onnx", OnnxStaticOptions()),
    "ONNX Runtime static, entropy": (".onnx", OnnxStaticOptions("entropy")),
    "ONNX Runtime static, percentile": (".onnx", OnnxStaticOptions("percentile")),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A model of the matrix.

    Attributes:
        name: a class of ``tests/quantizations/quantization_models.py``.
        input: the name of its input.
        data: makes samples and their classes.
        steps: of training.
        ways: of `WAYS` that apply to it.
        refused: ways that cannot do it, and the code of the failure that says so.
    """

    name: str
    input: str
    data: Callable[[int, int], tuple[Any, Any]]
    steps: int
    refused: Mapping[str, str] = field(default_factory=dict)


def images(count: int, seed: int) -> tuple[Any, Any]:
    """Gratings in four directions, in noise: 1 × 16 × 16."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(count) % 4
    angle = classes * (torch.pi / 4)
    phase = torch.rand(count, generator=generator) * 2 * torch.pi
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    along = torch.cos(angle)[:, None, None] * columns + torch.sin(angle)[:, None, None] * rows
    wave = torch.sin(along * 1.2 + phase[:, None, None])
    noise = torch.randn(count, 16, 16, generator=generator)
    return (wave + 0.6 * noise)[:, None], classes


def sentences(count: int, seed: int) -> tuple[Any, Any]:
    """Twelve tokens; the class says of which quarter of the vocabulary most of them are."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(count) % 4
    own = torch.randint(0, 12, (count, 12), generator=generator) + 12 * classes[:, None]
    others = torch.randint(0, 48, (count, 12), generator=generator)
    return torch.where(torch.rand(count, 12, generator=generator) < 0.55, own, others), classes


def points(count: int, seed: int) -> tuple[Any, Any]:
    """Sixteen features; the class is the quarter that has the largest sum."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, 16, generator=generator)
    return values, values.unflatten(1, (4, 4)).sum(2).argmax(1)


_NO_STUBS = {"static eager": "no-stubs"}
SUBJECTS = (
    Subject("Cnn", "image", images, 30, _NO_STUBS),
    Subject("Stubbed", "image", images, 60),
    Subject("Lstm", "ids", sentences, 80, _NO_STUBS),
    Subject("Transformer", "ids", sentences, 80, _NO_STUBS),
    Subject("Encoder", "ids", sentences, 60, _NO_STUBS),
)
BY_NAME = {each.name: each for each in SUBJECTS}
OUTLIER = Subject("Outlier", "x", points, 250)


def trained(subject: Subject) -> Any:
    """The model after training, in eval mode; the same each time."""
    import torch

    from tests.quantizations import quantization_models as models

    torch.manual_seed(7)
    module = getattr(models, subject.name)()
    optimizer = torch.optim.Adam(module.parameters(), 2e-3)
    samples, classes = subject.data(2048, 1)
    for step in range(subject.steps):
        batch = torch.arange(step * 64, step * 64 + 64) % len(samples)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(samples[batch]), classes[batch])
        loss.backward()
        optimizer.step()
    return module.eval()


def accuracy(module: Any, subject: Subject) -> float:
    """On samples that it was not trained with."""
    import torch

    samples, classes = subject.data(400, 2)
    with torch.no_grad():
        return float((module(samples).argmax(1) == classes).float().mean())


def prepared(subject: Subject, folder: Path, change: Callable[[Any], None] | None = None) -> Path:
    """Train it and write its checkpoint and its data into `folder`; the checkpoint's path."""
    import numpy
    import torch

    module = trained(subject)
    if change is not None:
        change(module)
    path = folder / f"{subject.name}.pth"
    torch.save(module.state_dict(), path)
    samples, classes = subject.data(SAMPLES, 3)
    arrays = {subject.input: samples.numpy(), "labels": classes.numpy()}
    numpy.savez(folder / f"{subject.name}.npz", **arrays)
    return path


def choice_of(subject: Subject, checkpoint: Path) -> ModelChoice:
    return ModelChoice(
        str(checkpoint), ModelSource(SourceKind.CODE, f"{MODELS_FILE}:{subject.name}")
    )


def data_of(checkpoint: Path) -> CalibrationData:
    return CalibrationData(path=str(checkpoint.with_suffix(".npz")), batch=32)


def plan_of(
    subject: Subject, checkpoint: Path, way: str, settings: MeasureSettings | None = None
) -> QuantizePlan:
    """The quantization of `subject` by `way`, to a file beside the checkpoint."""
    ending, options = WAYS[way]
    name = "".join(each if each.isalnum() else "-" for each in way)
    return QuantizePlan(
        choice_of(subject, checkpoint),
        Inputs(()),
        options,
        str(checkpoint.with_name(f"{subject.name}-{name}{ending}")),
        data=data_of(checkpoint),
        settings=settings or MeasureSettings(),
    )


def outcome_of(plan: QuantizePlan) -> QuantizeOutcome:
    """Run a plan to its end."""
    steps = quantizing(plan)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome: QuantizeOutcome = end.value
            return outcome


def cells() -> Iterator[tuple[Subject, str]]:
    """Each model by each way; that of eager mode by the ways that are about it."""
    for subject in SUBJECTS:
        for way in WAYS:
            if subject.name != "Stubbed" or way == "static eager":
                yield subject, way
