"""The options of `quantize` for each method, and for the data."""

from __future__ import annotations

import argparse
import os
from typing import Any

from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.worker.quantize_methods import METHODS
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    CastOptions,
    DataKind,
    DynamicOptions,
    LeftInFloat,
    OnnxDynamicOptions,
    OnnxStaticOptions,
    QuantizeOptions,
    StaticOptions,
    WeightOnlyOptions,
)
from inspector_app.worker.quantize_run import Bounds

CASTS = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
RANDOM = "random"
_NAMES = tuple(dict.fromkeys(each.method for each in METHODS))
# Each option, and the methods that have it.
_OWN = {
    "engine": ("dynamic", "static"),
    "half": ("dynamic",),
    "embeddings": ("dynamic",),
    "backend": ("dynamic", "static"),
    "observer": ("static",),
    "no_fuse": ("static",),
    "bits": ("weight-only",),
    "group_size": ("weight-only",),
    "per_channel": ("dynamic", "static", "onnx-dynamic", "onnx-static"),
    "per_tensor": ("dynamic", "static", "onnx-dynamic", "onnx-static"),
    "reduce_range": ("onnx-dynamic", "onnx-static"),
    "weights": ("onnx-dynamic", "onnx-static"),
    "activations": ("onnx-static",),
    "calibrate": ("onnx-static",),
    "percentile": ("onnx-static",),
    "qoperator": ("onnx-static",),
    "overflow": ("cast",),
}


def declare_methods(parser: argparse.ArgumentParser) -> None:
    """Add what says how."""
    how = parser.add_argument_group("how")
    how.add_argument("--method", choices=_NAMES, help="the method")
    how.add_argument(
        "--engine",
        choices=("eager", "torchao", "fx", "pt2e"),
        help="of dynamic: eager (if absent) or torchao; of static: fx (if absent), pt2e or eager",
    )
    how.add_argument("--half", action="store_true", help="dynamic: weights in fp16, not int8")
    how.add_argument("--embeddings", action="store_true", help="dynamic: Embedding too, as uint8")
    how.add_argument("--backend", metavar="B", help="x86, fbgemm, qnnpack or onednn")
    how.add_argument(
        "--observer",
        choices=("histogram", "minmax", "moving-average"),
        help="static: how ranges of activations are found; histogram if absent",
    )
    how.add_argument("--no-fuse", action="store_true", help="static, eager: fuse nothing")
    how.add_argument("--bits", type=int, choices=(8, 4), help="weight-only: 8 if absent")
    how.add_argument(
        "--group-size",
        type=int,
        choices=(32, 64, 128),
        help="weight-only: weights that share a scale; 32 of 4 bits, a row of 8 bits if absent",
    )
    scales = how.add_mutually_exclusive_group()
    scales.add_argument("--per-channel", action="store_true", help="a scale per output channel")
    scales.add_argument("--per-tensor", action="store_true", help="a scale per tensor")
    how.add_argument("--reduce-range", action="store_true", help="onnx: weights of 7 bits")
    how.add_argument("--weights", choices=("int8", "uint8"), help="onnx: int8 if absent")
    how.add_argument("--activations", choices=("uint8", "int8"), help="onnx-static")
    how.add_argument(
        "--calibrate", choices=("minmax", "entropy", "percentile"), help="onnx-static: minmax"
    )
    how.add_argument("--percentile", type=float, help="onnx-static: 99.999 if absent")
    how.add_argument("--qoperator", action="store_true", help="onnx-static: no QDQ nodes")
    how.add_argument("--overflow", action="store_true", help="cast: allow what is too large")
    how.add_argument(
        "--skip",
        metavar="GLOB",
        action="append",
        default=[],
        help="layers that stay in float; may be repeated",
    )


def declare_data(parser: argparse.ArgumentParser) -> None:
    """Add what says with which data."""
    data = parser.add_argument_group("the data, to calibrate with and to measure on")
    data.add_argument(
        "--calibration",
        metavar="DATA",
        help=".npy, .npz, .pt or .safetensors with samples along the first axis; a folder of "
        "images; FILE.py:NAME, a function that gives batches; or random, whose result means "
        "little",
    )
    data.add_argument("--samples", type=int, default=128, help="to calibrate with, at most")
    data.add_argument("--held-out", type=int, default=256, help="others to measure on, at most")
    data.add_argument("--batch", type=int, default=16, help="samples that run at once")
    data.add_argument("--labels", default="labels", help="the array that holds classes")
    data.add_argument("--resize", metavar="HxW", help="images, such as 224x224")
    data.add_argument("--mean", metavar="R,G,B", help="taken from images, where white is 1")
    data.add_argument("--std", metavar="R,G,B", help="images are divided by it")
    data.add_argument("--grey", action="store_true", help="images have one channel")
    bounds = parser.add_argument_group("what must be kept for OUT to be written")
    bounds.add_argument("--least-agreement", type=float, help="share of the same class, as 0.99")
    bounds.add_argument("--most-loss", type=float, help="of accuracy, as 0.01; needs labels")
    bounds.add_argument("--least-sqnr", type=float, metavar="DB", help="of each output")
    bounds.add_argument("--no-measure", action="store_true", help="write without comparing")


def options_of(arguments: argparse.Namespace) -> QuantizeOptions:
    """How, as the protocol has it.

    Raises:
        Trouble: an option belongs to another method.
    """
    method = arguments.method
    for name, methods in _OWN.items():
        if getattr(arguments, name) not in (None, False) and method not in methods:
            option = f"--{name.replace('_', '-')}"
            raise Trouble(f"{option} is of the method {' and '.join(methods)}, not of {method}")
    return _options(arguments, method)


def _options(arguments: argparse.Namespace, method: str) -> QuantizeOptions:
    if method == "dynamic":
        engine = _engine(arguments, "eager", ("eager", "torchao"))
        return DynamicOptions(
            engine,
            "float16" if arguments.half else "int8",
            arguments.per_channel,
            arguments.embeddings,
            arguments.backend or "",
        )
    if method == "static":
        return StaticOptions(
            _engine(arguments, "fx", ("fx", "pt2e", "eager")),
            arguments.backend or "",
            arguments.observer or "histogram",
            not arguments.per_tensor,
            not arguments.no_fuse,
        )
    if method == "weight-only":
        bits = arguments.bits or 8
        group = 32 if bits == 4 else 0
        return WeightOnlyOptions(bits, arguments.group_size or group)
    shared: dict[str, Any] = {
        "weights": arguments.weights or "int8",
        "per_channel": not arguments.per_tensor,
        "reduce_range": arguments.reduce_range,
    }
    if method == "onnx-dynamic":
        return OnnxDynamicOptions(**shared)
    if method == "onnx-static":
        return OnnxStaticOptions(
            calibrate=arguments.calibrate or "minmax",
            percentile=arguments.percentile or 99.999,
            form="qoperator" if arguments.qoperator else "qdq",
            activations=arguments.activations or "uint8",
            **shared,
        )
    return CastOptions(arguments.dtype or "float16", arguments.overflow)


def _engine(arguments: argparse.Namespace, own: str, known: tuple[str, ...]) -> str:
    engine: str = arguments.engine or own
    if engine not in known:
        raise Trouble(f"--engine of {arguments.method} is {' or '.join(known)}, not {engine}")
    return engine


def left_of(arguments: argparse.Namespace) -> LeftInFloat:
    return LeftInFloat(tuple(arguments.skip))


def bounds_of(arguments: argparse.Namespace) -> Bounds:
    """Raises `Trouble` where nothing can be kept that is not measured."""
    bounds = Bounds(arguments.least_agreement, arguments.most_loss, arguments.least_sqnr)
    if bounds != Bounds() and (arguments.no_measure or not arguments.calibration):
        raise Trouble("what must be kept is measured: give --calibration, without --no-measure")
    return bounds


def data_of(arguments: argparse.Namespace) -> CalibrationData | None:
    """The data.

    Raises:
        Trouble: a figure of them cannot be read.
    """
    given = arguments.calibration
    if given is None:
        return None
    if given == RANDOM:
        kind, path = DataKind.RANDOM, ""
    elif os.path.isdir(given):
        kind, path = DataKind.IMAGES, os.path.abspath(given)
    elif os.path.exists(given) or not _names_code(given):
        kind, path = DataKind.FILE, os.path.abspath(given)
    else:
        kind, path = DataKind.LOADER, given
    return CalibrationData(
        kind,
        path,
        arguments.samples,
        arguments.held_out,
        arguments.batch,
        arguments.labels,
        _size(arguments.resize),
        _figures("--mean", arguments.mean),
        _figures("--std", arguments.std),
        arguments.grey,
    )


def _names_code(text: str) -> bool:
    source, _, name = text.rpartition(":")
    return bool(source) and name.isidentifier()


def _size(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and 0 < int(part) < 65_536 for part in parts):
        raise Trouble(f"--resize {plain(text)}: write height and width, such as 224x224")
    return (int(parts[0]), int(parts[1]))


def _figures(option: str, text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise Trouble(f"{option} {plain(text)}: write figures, such as 0.485,0.456,0.406") from None
