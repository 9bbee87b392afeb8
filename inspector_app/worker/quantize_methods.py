"""The methods of quantization: what each is, what it needs, where it stands in PyTorch today.

What is known without any interpreter. Whether a method works in a certain one is probed
there (`quantize_probe`).
"""

from __future__ import annotations

from dataclasses import dataclass

from inspector_app.worker.quantize_protocol import (
    CastOptions,
    DynamicOptions,
    OnnxDynamicOptions,
    OnnxStaticOptions,
    QuantizeOptions,
    StaticOptions,
    WeightOnlyOptions,
)

_EAGER = (
    "torch.ao.quantization is deprecated in favour of torchao; it was to go with PyTorch 2.10, "
    "and 2.13 still has it"
)


@dataclass(frozen=True, slots=True)
class Method:
    """A method, with the engine that does it.

    Attributes:
        method, engine: as in `quantize_protocol.MethodState`.
        title: as people call it.
        what: what it does, a sentence.
        needs: what it needs, a sentence.
        state: where it stands in PyTorch today, a sentence.
        layers: which layers it quantizes.
        endings: of the files that it writes, its own first.
        calibration: it cannot do without data.
        model: it runs the model's code.
        options: of the protocol, with their defaults.
    """

    method: str
    engine: str
    title: str
    what: str
    needs: str
    state: str
    layers: str
    endings: tuple[str, ...]
    options: QuantizeOptions
    calibration: bool = False
    model: bool = True


METHODS = (
    Method(
        "dynamic",
        "eager",
        "Dynamic int8 or fp16",
        "Weights are stored as int8; activations are quantized for each input as it comes.",
        "The model's code. Data only to measure the cost.",
        f"{_EAGER}. fp16 halves the file and computes in float32.",
        "Linear, LSTM, GRU, their cells, and Embedding if asked for",
        (".pth", ".pt"),
        DynamicOptions(),
    ),
    Method(
        "dynamic",
        "torchao",
        "Dynamic int8 (torchao)",
        "Weights are int8 with a scale per row; activations are quantized per token.",
        "The model's code and torchao. Data only to measure the cost.",
        "torchao's quantize_ is the successor of quantize_dynamic; it is made for torch.compile, "
        "and slower without it.",
        "Linear",
        (".pth", ".pt2"),
        DynamicOptions(engine="torchao"),
    ),
    Method(
        "static",
        "fx",
        "Static int8, FX graph mode",
        "Weights and activations are int8; the ranges of activations come from calibration.",
        "The model's code, which torch.fx must be able to trace, and calibration data.",
        f"{_EAGER}; its successor is PT2E in torchao. Its int8 kernels run without compiling.",
        "Conv, Linear, with BatchNorm and ReLU fused into them, and what stands between",
        (".pth", ".pt"),
        StaticOptions(),
        calibration=True,
    ),
    Method(
        "static",
        "pt2e",
        "Static int8, PT2E",
        "As FX, on torch.export's graph, for the x86 backend of torch.compile.",
        "The model's code, which torch.export must be able to follow, torchao and calibration "
        "data.",
        "torchao's current way. The file holds int8 weights; without torch.compile, which needs "
        "a C++ compiler, they are computed with in float32, and slowly.",
        "Conv2d, Linear, with BatchNorm fused into them",
        (".pt2",),
        StaticOptions(engine="pt2e"),
        calibration=True,
    ),
    Method(
        "static",
        "eager",
        "Static int8, eager mode",
        "As FX, for a model that marks where int8 begins and ends.",
        "QuantStub and DeQuantStub in the model's code, and calibration data.",
        f"{_EAGER}.",
        "Conv, Linear between the stubs",
        (".pth", ".pt"),
        StaticOptions(engine="eager"),
        calibration=True,
    ),
    Method(
        "weight-only",
        "int8",
        "Weight-only int8",
        "Weights are int8 with a scale per row; the model computes in float.",
        "The model's code and torchao. Data only to measure the cost.",
        "torchao's current way; made for torch.compile.",
        "Linear",
        (".pth", ".pt2"),
        WeightOnlyOptions(),
    ),
    Method(
        "weight-only",
        "int4",
        "Weight-only int4",
        "Two weights in a byte, with a scale and a zero point for each group.",
        "The model's code and torchao. Rows of a multiple of the group's size, and 16 of them.",
        "On the CPU torchao has it among its prototypes alone, packed for the kernel of one kind "
        "of processor; without bfloat16 it is slow.",
        "Linear",
        (".pth", ".pt2"),
        WeightOnlyOptions(bits=4, group_size=32),
    ),
    Method(
        "onnx-dynamic",
        "",
        "ONNX Runtime, dynamic",
        "Weights of the graph are int8; activations are quantized for each input as it comes.",
        "An .onnx file, or the model's code, which is exported first; onnx and onnxruntime.",
        "Maintained with ONNX Runtime.",
        "MatMul, Gemm, LSTM, Attention, Gather of embeddings; Conv where the runtime has it",
        (".onnx",),
        OnnxDynamicOptions(),
    ),
    Method(
        "onnx-static",
        "",
        "ONNX Runtime, static",
        "Weights and activations of the graph are int8, with ranges from calibration.",
        "An .onnx file, or the model's code, which is exported first; onnx and onnxruntime, and "
        "calibration data.",
        "Maintained with ONNX Runtime; QDQ is the form that other runtimes read too.",
        "Conv, MatMul, Gemm and what stands between",
        (".onnx",),
        OnnxStaticOptions(),
        calibration=True,
    ),
    Method(
        "cast",
        "",
        "Cast to fp16, bf16 or fp8",
        "Each weight is rounded to a smaller float dtype; whoever loads it decides how to compute.",
        "Nothing but the file. The model's code and data only to measure the cost.",
        "Plain dtypes of torch: every tool reads fp16 and bf16, few compute with fp8.",
        "every floating point tensor",
        (".pth", ".safetensors"),
        CastOptions(),
        model=False,
    ),
)


def method_of(options: QuantizeOptions) -> Method:
    """The method that `options` ask for."""
    engine = engine_of(options)
    for each in METHODS:
        if (each.method, each.engine) == (options.kind, engine):
            return each
    raise LookupError(f"{options.kind} has no engine {engine!r}")


def engine_of(options: QuantizeOptions) -> str:
    if isinstance(options, (DynamicOptions, StaticOptions)):
        return options.engine
    return f"int{options.bits}" if isinstance(options, WeightOnlyOptions) else ""
