"""ONNX Runtime's quantization as a Python program that does the same."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from inspector_app.worker.calibration import Samples
from inspector_app.worker.onnx_source import is_onnx
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_protocol import (
    DataKind,
    OnnxDynamicOptions,
    OnnxStaticOptions,
    Quantize,
)

_PER_LINE = 20
_KINDS = {"int8": "QInt8", "uint8": "QUInt8"}
_CALIBRATE = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
_FORMS = {"qdq": "QDQ", "qoperator": "QOperator"}


def onnx_program(
    request: Quantize, export: str, samples: Samples | None, left: Sequence[str]
) -> str:
    """The program, or "" where there is no short one.

    Args:
        export: the program that exports first, to a file called TARGET in it; "" for none.
        left: names of nodes that stay in float.
    """
    options = request.options
    assert isinstance(options, (OnnxDynamicOptions, OnnxStaticOptions))
    graph = is_onnx(request.model.checkpoint)
    static = isinstance(options, OnnxStaticOptions)
    if (not graph and not export) or (static and not _short(samples)):
        return ""
    title = method_of(options).title
    name = Path(request.model.checkpoint).name
    lines = [f"# Quantizes {name!a}: {title}."]
    lines += ["import os", "import tempfile", ""]
    lines += ["import numpy"] if static else []
    lines += [
        "from onnxruntime import quantization",
        "from onnxruntime.quantization.shape_inference import quant_pre_process",
        "",
    ]
    if export:
        lines += [*export.rstrip().splitlines()[1:], "", "SOURCE = TARGET"]
    else:
        lines += [f"SOURCE = {os.path.abspath(request.model.checkpoint)!r}"]
    lines += [
        f"QUANTIZED = {request.target!r}",
        "",
        "with tempfile.TemporaryDirectory() as folder:",
        '    prepared = os.path.join(folder, "prepared.onnx")',
        "    # Where symbolic shape inference fails: skip_symbolic_shape=True.",
        "    quant_pre_process(SOURCE, prepared)",
    ]
    common = [
        f"per_channel={options.per_channel},",
        f"reduce_range={options.reduce_range},",
        f"weight_type=quantization.QuantType.{_KINDS[options.weights]},",
    ]
    common += [f"nodes_to_exclude={list(left)!r},"] if left else []
    if isinstance(options, OnnxStaticOptions):
        assert samples is not None
        lines = _with_reader(lines, samples)
        common += [
            f"quant_format=quantization.QuantFormat.{_FORMS[options.form]},",
            f"activation_type=quantization.QuantType.{_KINDS[options.activations]},",
            f"calibrate_method=quantization.CalibrationMethod.{_CALIBRATE[options.calibrate]},",
        ]
        if options.calibrate == "percentile":
            common.append(f'extra_options={{"CalibPercentile": {options.percentile!r}}},')
        lines += ["    quantization.quantize_static(", "        prepared,", "        QUANTIZED,"]
        lines.append("        Samples(),")
    else:
        lines += ["    quantization.quantize_dynamic(", "        prepared,", "        QUANTIZED,"]
    return "\n".join([*lines, *(f"        {each}" for each in common), "    )", ""])


def _short(samples: Samples | None) -> bool:
    """Whether the samples are read by a line of numpy."""
    if samples is None or samples.data.source != DataKind.FILE:
        return False
    return Path(samples.data.path).suffix.lower() in (".npy", ".npz")


def _with_reader(lines: list[str], samples: Samples) -> list[str]:
    path = os.path.abspath(samples.data.path)
    own = list(samples.source.take([0]))
    names = dict(zip(own, own, strict=True))
    if not set(own) >= set(samples.names):
        names = dict(zip(samples.names, own, strict=True))
    at = next(n for n, line in enumerate(lines) if line.startswith("with tempfile"))
    reader = [
        f"data = numpy.load({path!r})",
        "samples = {",
        *(
            f"    {name!r}: data{f'[{entry!r}]' if entry else ''}{_cast(samples, name)},"
            for name, entry in names.items()
            if name in samples.names
        ),
        "}",
        "numbers = [  # of the samples that calibrate",
        *(
            f"    {', '.join(map(str, samples.calibrate[start : start + _PER_LINE]))},"
            for start in range(0, len(samples.calibrate), _PER_LINE)
        ),
        "]",
        "",
        "",
        "class Samples(quantization.CalibrationDataReader):",
        "    def __init__(self):",
        "        self.start = 0",
        "",
        "    def get_next(self):",
        f"        batch = numbers[self.start : self.start + {samples.data.batch}]",
        f"        self.start += {samples.data.batch}",
        "        return {name: each[batch] for name, each in samples.items()} if batch else None",
        "",
        "",
    ]
    return [*lines[:at], *reader, *lines[at:]]


def _cast(samples: Samples, name: str) -> str:
    dtype = samples.dtypes.get(name)
    return f".astype({str(dtype).removeprefix('torch.')!r})" if dtype is not None else ""
