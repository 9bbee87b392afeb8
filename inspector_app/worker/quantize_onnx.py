"""ONNX Runtime's quantization, of an ``.onnx`` file or of a model that is exported first.

Graphs of the exporter that is based on torch.export carry shapes which the quantizer's own
rewriting contradicts (a ShapeInferenceError with onnxruntime 1.31); `quant_pre_process` infers
them anew, folds BatchNorms and constants, and is done always.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspector_app.worker.calibration import Samples, samples_of
from inspector_app.worker.export import Prepared, Written
from inspector_app.worker.export import _writing_failure as writing_failure
from inspector_app.worker.failures import Failure
from inspector_app.worker.model_source import Model, building
from inspector_app.worker.onnx_session import OnnxSession
from inspector_app.worker.onnx_source import is_onnx
from inspector_app.worker.onnx_weights import (
    WeightNode,
    as_stored,
    excluded,
    scopes_of,
    weight_nodes,
)
from inspector_app.worker.outputs import infos
from inspector_app.worker.protocol import Export, OnnxOptions, Progress
from inspector_app.worker.quantize import ADVICE, Ready, making_ready
from inspector_app.worker.quantize_code import file_line
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_onnx_code import onnx_program
from inspector_app.worker.quantize_protocol import (
    OnnxDynamicOptions,
    OnnxStaticOptions,
    Quantize,
    Quantized,
)
from inspector_app.worker.quantized_sides import session_dtypes
from inspector_app.worker.script_text import script_of
from inspector_app.worker.torch_import import import_package, import_torch
from inspector_app.worker.trial import forward
from inspector_app.worker.user_errors import failure_of

PURPOSE = "quantization by ONNX Runtime"
FLOAT = ".float.onnx"  # how the float graph beside the result is called
_MOST_INSIDE = 1_900_000_000
_POLL_SECONDS = 0.1
_OLD_EXPORTER = (
    "Exported by the exporter based on TorchScript, as the one based on torch.export fails: {}"
)
_NO_SYMBOLIC = "Pre-processing went without symbolic shape inference, which fails on this graph."


@dataclass(slots=True)
class _Source:
    """The float graph that is quantized.

    Attributes:
        path: of the graph.
        samples: of the data, or None.
        inputs: names of its inputs, as the original takes them.
        modules: of the model by name; {} of an ``.onnx``.
        export: lines of Python that made it, or "".
    """

    path: str
    samples: Samples | None
    inputs: tuple[str, ...]
    modules: dict[str, Any] = field(default_factory=dict)
    export: str = ""
    notes: list[str] = field(default_factory=list)


def quantizing_onnx(request: Quantize) -> Generator[Progress, None, Quantized]:
    """Write the graph quantized as the request asks."""
    options = request.options
    assert isinstance(options, (OnnxDynamicOptions, OnnxStaticOptions))
    import_torch()
    import_package("onnxruntime", PURPOSE)
    onnx = import_package("onnx", PURPOSE)
    if is_onnx(request.model.checkpoint):
        source = yield from _from_graph(request)
    else:
        source = yield from _exported(request)
    start = time.perf_counter()
    float_path = os.path.join(request.staging, request.name + FLOAT)
    yield Progress("prepare the graph")
    source.notes += _pre_processed(source.path, float_path)
    shared = isinstance(options, OnnxDynamicOptions) and unshare(float_path, onnx)
    graph = onnx.load(float_path, load_external_data=False).graph
    scopes = {}
    if source.modules:
        scopes = scopes_of(onnx.load(source.path, load_external_data=False).graph, source.modules)
    nodes = weight_nodes(graph, onnx, options, request.left, source.modules, scopes)
    target = os.path.join(request.staging, request.name)
    calibrated = yield from _quantized(request, source, float_path, target, nodes)
    yield Progress("check the quantized graph")
    _demand_runs(target, source)
    files = sorted(
        (each for each in os.listdir(request.staging) if not each.startswith(request.name + FLOAT)),
        key=lambda name: (name != request.name, name),
    )
    stored = onnx.load(target, load_external_data=False).graph
    return Quantized(
        files=tuple(files),
        nbytes=sum(Path(request.staging, name).stat().st_size for name in files),
        original_bytes=_graph_bytes(source.path),
        seconds=time.perf_counter() - start,
        layers=tuple(as_stored(stored, onnx, nodes)),
        calibrated=calibrated,
        held_out=source.samples.words if source.samples else "",
        notes=tuple(source.notes),
        loading_code=_loading_code(request.target, method_of(options).title),
        # The program would need those copies too.
        script=""
        if shared
        else onnx_program(request, source.export, source.samples, excluded(nodes)),
        beside=request.name + FLOAT,
        beside_code="",
        inputs=source.inputs,
    )


def _from_graph(request: Quantize) -> Generator[Progress, None, _Source]:
    yield Progress("open the graph")
    path = request.model.checkpoint
    try:
        session = OnnxSession(path)
    except Failure:
        raise
    except Exception as error:
        raise failure_of("file-not-loaded", error, file=path) from error
    samples = None
    if request.data is not None:
        samples = samples_of(request.data, request.inputs, session.inputs)
        samples.dtypes.update(session_dtypes(session))
        samples.fix_batch(session.fixed_batch())
        _try_samples(session, samples)
    notes = list(samples.notes) if samples else []
    return _Source(path, samples, tuple(session.inputs), notes=notes)


def _try_samples(session: OnnxSession, samples: Samples) -> None:
    tensors = samples.take(samples.calibrate[: samples.data.batch])
    try:
        session.run(tensors)
    except Exception as error:
        from inspector_app.worker.calibration import shapes_text

        raise failure_of(
            "calibration-shape",
            error,
            path=samples.data.path or "random data",
            inputs=shapes_text(tensors),
        ) from error


def _exported(request: Quantize) -> Generator[Progress, None, _Source]:
    from inspector_app.worker.export_onnx import check_packages, in_signature_order

    check_packages(OnnxOptions())
    model = yield from building(request.model)
    ready = yield from making_ready(request, model)
    if ready.example is None or ready.call is None:
        raise Failure("bad-input", name="x", reason="there is none: describe it, or give data")
    yield Progress("export the model")
    tensors = ready.tensors()
    outputs = infos(forward(model.module, ready.call, tensors))
    prepared = Prepared(model, ready.example, ready.call, tensors, outputs)
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "float.onnx")
    options, written = yield from _written(prepared, path, ready)
    call = in_signature_order(model.module, ready.call)
    export = _export_text(request, model, prepared, options, written)
    return _Source(
        path,
        ready.samples,
        (*call.positional, *call.keywords),
        dict(model.module.named_modules()),
        export,
        [*model.notes, *ready.notes],
    )


def _written(
    prepared: Prepared, path: str, ready: Ready
) -> Generator[Progress, None, tuple[OnnxOptions, Written]]:
    """Export by the new exporter, or by the older one where that fails."""
    from inspector_app.worker.export_onnx import writing

    options = OnnxOptions()
    try:
        return options, (yield from writing(prepared, options, path))
    except Failure as failure:
        if failure.failed.code == "package-missing":
            raise
        first = failure
    older = OnnxOptions(exporter="torchscript")
    for each in Path(path).parent.iterdir():
        each.unlink()
    try:
        written = yield from writing(prepared, older, path)
    except Failure:
        raise first from None
    ready.notes.append(_OLD_EXPORTER.format(first.failed.cause))
    return older, written


def _export_text(
    request: Quantize, model: Model, prepared: Prepared, options: OnnxOptions, written: Written
) -> str:
    """A program that exports to a file beside the target, or ""."""
    if any(spec.file for spec in prepared.example.inputs.specs):
        from dataclasses import replace

        shown = [
            replace(spec, file="", entry="", low=None, high=None)
            for spec in prepared.example.sized()
        ]
        inputs = replace(prepared.example.inputs, specs=tuple(shown))
        example = type(prepared.example)(inputs, prepared.example.device)
        prepared = Prepared(model, example, prepared.call, prepared.tensors, prepared.outputs)
    export = Export(
        request.model, prepared.example.inputs, request.staging, request.name + FLOAT, options
    )
    return script_of(export, model, written, prepared)


def _pre_processed(path: str, target: str) -> list[str]:
    """Write the graph with shapes inferred, BatchNorms folded."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    beside = _graph_bytes(path) > _MOST_INSIDE
    arguments = {"save_as_external_data": beside, "all_tensors_to_one_file": beside}
    if beside:
        arguments["external_data_location"] = os.path.basename(target) + ".data"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            quant_pre_process(path, target, **arguments)
            return []
        except Exception:
            # Symbolic shape inference asserts on some graphs; ONNX's own goes on.
            try:
                quant_pre_process(path, target, skip_symbolic_shape=True, **arguments)
            except Exception as error:
                raise failure_of(
                    "not-quantizable",
                    error,
                    method="ONNX Runtime's pre-processing",
                    advice="Export the model anew, with the other exporter or another opset.",
                ) from error
    return [_NO_SYMBOLIC]


def unshare(path: str, onnx: Any) -> bool:
    """Give each Gemm of the graph at `path` a weight of its own; whether any shared one.

    quantize_dynamic makes a MatMul of a Gemm and transposes its weight in place, as if no
    other node had it (``onnxruntime/quantization/onnx_model.py``, 1.31): of two that share it
    both would compute something else.
    """
    model = onnx.load(path, load_external_data=False)
    used: dict[str, int] = {}
    for node in model.graph.node:
        for name in node.input:
            used[name] = used.get(name, 0) + 1
    initializers = {each.name: each for each in model.graph.initializer}
    changed = False
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Gemm" or node.input[1] not in initializers:
            continue
        name = node.input[1]
        if used[name] > 1:
            copy = model.graph.initializer.add()
            copy.CopyFrom(initializers[name])
            copy.name = f"{name}_of_node_{number}"
            node.input[1] = copy.name
            used[name] -= 1
            changed = True
    if changed:
        onnx.save_model(model, path)
    return changed


def _quantized(
    request: Quantize, source: _Source, float_path: str, target: str, nodes: list[WeightNode]
) -> Generator[Progress, None, int]:
    """Quantize in a thread, so that progress is heard; the number of samples calibrated with."""
    from onnxruntime import quantization as ort

    options = request.options
    beside = _graph_bytes(float_path) > _MOST_INSIDE
    kinds = {"int8": ort.QuantType.QInt8, "uint8": ort.QuantType.QUInt8}
    common: dict[str, Any] = {
        "per_channel": options.per_channel,
        "reduce_range": options.reduce_range,
        "weight_type": kinds[options.weights],
        "nodes_to_exclude": excluded(nodes),
        "use_external_data_format": beside,
    }
    reader = None
    if isinstance(options, OnnxStaticOptions):
        assert source.samples is not None
        reader = _reader(source.samples, ort)
        calibrate = {
            "minmax": ort.CalibrationMethod.MinMax,
            "entropy": ort.CalibrationMethod.Entropy,
            "percentile": ort.CalibrationMethod.Percentile,
        }[options.calibrate]
        form = {"qdq": ort.QuantFormat.QDQ, "qoperator": ort.QuantFormat.QOperator}[options.form]
        extra = {}
        if options.calibrate == "percentile":
            extra = {"CalibPercentile": options.percentile}
        common |= {
            "calibration_data_reader": reader,
            "quant_format": form,
            "activation_type": kinds[options.activations],
            "calibrate_method": calibrate,
            "extra_options": extra,
        }
    work = ort.quantize_static if reader is not None else ort.quantize_dynamic
    total = len(source.samples.calibrate) if reader is not None and source.samples else None
    stage = "calibrate" if reader is not None else "quantize"
    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings(), quiet_log():
        warnings.simplefilter("ignore")
        task = pool.submit(work, float_path, target, **common)
        while not task.done():
            yield Progress(stage, reader.done if reader is not None else 0, total)
            time.sleep(_POLL_SECONDS)
        try:
            task.result()
        except Failure:
            raise
        except OSError as error:
            raise writing_failure(error, request) from error
        except Exception as error:
            raise failure_of(
                "not-quantizable",
                error,
                method=method_of(options).title,
                advice=ADVICE[""],
            ) from error
    return reader.done if reader is not None else 0


@contextmanager
def quiet_log() -> Iterator[None]:
    """Without what onnxruntime logs on each call: to pre-process the graph, which was done."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _reader(samples: Samples, ort: Any) -> Any:
    class Reader(ort.CalibrationDataReader):  # type: ignore[misc, name-defined]
        """Batches of the samples that calibrate; `done` counts them."""

        def __init__(self) -> None:
            self.done = 0
            # The histograms of the quantizer take batches of one size alone.
            size = samples.data.batch
            whole = len(samples.calibrate) // size * size or len(samples.calibrate)
            self._batches = samples.batches(samples.calibrate[:whole])

        def get_next(self) -> dict[str, Any] | None:
            found = next(self._batches, None)
            if found is None:
                return None
            numbers, tensors = found
            self.done += len(numbers)
            return {name: each.numpy() for name, each in tensors.items()}

    return Reader()


def _demand_runs(target: str, source: _Source) -> None:
    """That onnxruntime takes the result at all."""
    try:
        session = OnnxSession(target)
        if source.samples is not None:
            numbers = source.samples.calibrate[: source.samples.data.batch]
            session.run(source.samples.take(numbers))
    except Exception as error:
        raise failure_of(
            "quantized-fails", error, advice="Leave the node it names in float."
        ) from error


def _loading_code(target: str, title: str) -> str:
    lines = [
        f"# Loads {Path(target).name!a}: {title}.",
        "import onnxruntime",
        "",
        file_line(target),
        "",
        'session = onnxruntime.InferenceSession(FILE, providers=["CPUExecutionProvider"])',
        "# outputs = session.run(None, {name: array})",
        "",
    ]
    return "\n".join(lines)


def _graph_bytes(path: str) -> int:
    """Of the graph and the data beside it."""
    size = os.stat(path).st_size
    for ending in (".data", "_data"):
        if os.path.exists(path + ending):
            size += os.stat(path + ending).st_size
    return size
