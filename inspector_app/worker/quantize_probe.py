"""Which methods of quantization this interpreter has: each is tried on a model of one layer.

What the versions promise says little: of the packings of int4 that torchao names, none but a
prototype runs on a CPU (torchao 0.18), and torch is built with other backends elsewhere.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Generator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.interpreters import pip_line
from inspector_app.worker.protocol import Progress
from inspector_app.worker.quantize_layers import candidates
from inspector_app.worker.quantize_methods import METHODS, Method
from inspector_app.worker.quantize_protocol import (
    DynamicOptions,
    LeftInFloat,
    MethodsProbed,
    MethodState,
    ProbeMethods,
    QuantizeOptions,
    StaticOptions,
    WeightOnlyOptions,
)
from inspector_app.worker.quantize_steps import (
    Steps,
    dynamic_steps,
    eager_steps,
    fx_steps,
    pt2e_steps,
    torchao_steps,
)
from inspector_app.worker.torch_import import import_torch
from inspector_app.worker.user_errors import one_line

_WIDTH = 128
_EXAMPLE = f"torch.zeros([2, {_WIDTH}])"
_GROUPS = (32, 64, 128)
_Choices = dict[str, tuple[str, ...]]


def probing_methods(_request: ProbeMethods) -> Generator[Progress, None, MethodsProbed]:
    """Try each method."""
    yield Progress("import torch")
    import_torch()
    states = []
    for number, method in enumerate(METHODS):
        yield Progress(method.title, number, len(METHODS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            states.append(_state(method))
    return MethodsProbed(tuple(states), images=find_spec("PIL") is not None)


def _state(method: Method) -> MethodState:
    missing = [name for name in _packages(method) if find_spec(name) is None]
    if missing:
        return MethodState(
            method.method,
            method.engine,
            available=False,
            reason=f"There is no {' and no '.join(missing)}.",
            pip=pip_line(sys.executable, missing),
        )
    try:
        choices = _TRIALS[method.method](method)
    except Failure as failure:
        return MethodState(method.method, method.engine, False, failure.failed.cause)
    except Exception as error:
        # Whatever a library raises on this machine is why the method does not work on it.
        return MethodState(method.method, method.engine, False, one_line(error))
    return MethodState(
        method.method, method.engine, True, version=_version(method), choices=choices
    )


def _packages(method: Method) -> tuple[str, ...]:
    if method.method.startswith("onnx"):
        return ("onnx", "onnxruntime")
    return ("torchao",) if method.engine in ("torchao", "pt2e", "int8", "int4") else ()


def _version(method: Method) -> str:
    names = _packages(method)
    name = names[-1] if names else "torch"
    return f"{name} {import_module(name).__version__}"


def _linear() -> Any:
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(_WIDTH, 32), torch.nn.ReLU()).eval()


def _run(steps: Steps, model: Any) -> None:
    """Run the steps on `model` as they are run on anybody's, and the model they make."""
    import torch

    names: dict[str, Any] = {"torch": torch, "model": model}
    x = torch.randn(2, _WIDTH)
    with torch.no_grad():
        exec("\n".join([*steps.imports, *steps.before]), names)
        if steps.after:
            names["model"](x)
            exec("\n".join(steps.after), names)
        names["model"](x)


def _backends(make: Callable[[str], tuple[Steps, Any]]) -> _Choices:
    """Those of torch's backends that run it."""
    import torch

    before = torch.backends.quantized.engine
    works, first = [], None
    try:
        for backend in torch.backends.quantized.supported_engines:
            if backend == "none":
                continue
            try:
                _run(*make(backend))
                works.append(backend)
            except Exception as error:
                # That one backend fails is what is asked here.
                first = first or error
    finally:
        torch.backends.quantized.engine = before
    if not works:
        raise first or RuntimeError("torch was built without backends for int8")
    works.sort(key=lambda each: each != before)  # this machine's own first
    return {"backend": tuple(works)}


def _dynamic(method: Method) -> _Choices:
    options = method.options
    assert isinstance(options, DynamicOptions)
    if options.engine == "torchao":
        _run(torchao_steps(options, _found(options)), _linear())
        return {}

    def make(backend: str) -> tuple[Steps, Any]:
        return dynamic_steps(options, _found(options), backend), _linear()

    return _backends(make)


def _static(method: Method) -> _Choices:
    import torch

    options = method.options
    assert isinstance(options, StaticOptions)
    if options.engine == "pt2e":
        _run(pt2e_steps(options, _found(options), f"({_EXAMPLE},)", "None"), _linear())
        return {"backend": ("x86",)}

    def make(backend: str) -> tuple[Steps, Any]:
        if options.engine == "fx":
            return fx_steps(options, _found(options), backend, [_EXAMPLE]), _linear()
        return eager_steps(options, [], backend, []), torch.ao.quantization.QuantWrapper(_linear())

    return _backends(make)


def _weight_only(method: Method) -> _Choices:
    options = method.options
    assert isinstance(options, WeightOnlyOptions)
    if options.bits == 8:
        _run(torchao_steps(options, _found(options)), _linear())
        return {}
    works = []
    for group in _GROUPS:
        each = WeightOnlyOptions(4, group)
        _run(torchao_steps(each, _found(each)), _linear())
        works.append(str(group))
    return {"group_size": tuple(works)}


def _found(options: QuantizeOptions) -> Any:
    return candidates(_linear(), options, LeftInFloat())


def _onnx(method: Method) -> _Choices:
    """A graph of one product with weights, quantized and run."""
    import numpy
    import onnx
    from onnxruntime import InferenceSession
    from onnxruntime import quantization as ort

    from inspector_app.worker.quantize_onnx import quiet_log

    weight = numpy.random.default_rng(0).standard_normal((8, 4)).astype("float32")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "probe",
        [value("x", onnx.TensorProto.FLOAT, [2, 8])],
        [value("y", onnx.TensorProto.FLOAT, [2, 4])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    x = {"x": numpy.ones((2, 8), "float32")}
    with tempfile.TemporaryDirectory() as folder:
        source, target = str(Path(folder, "a.onnx")), str(Path(folder, "b.onnx"))
        onnx.save_model(model, source)
        with quiet_log():
            if method.calibration:
                ort.quantize_static(source, target, _reader(ort, x))
            else:
                ort.quantize_dynamic(source, target)
        InferenceSession(target, providers=["CPUExecutionProvider"]).run(None, x)
    return {"calibrate": ("minmax", "entropy", "percentile")} if method.calibration else {}


def _reader(ort: Any, x: dict[str, Any]) -> Any:
    class Reader(ort.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.left = [x]

        def get_next(self) -> dict[str, Any] | None:
            return self.left.pop() if self.left else None

    return Reader()


def _cast(_method: Method) -> _Choices:
    """Done by the inspector itself."""
    return {"dtype": ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")}


_TRIALS: dict[str, Callable[[Method], _Choices]] = {
    "dynamic": _dynamic,
    "static": _static,
    "weight-only": _weight_only,
    "onnx-dynamic": _onnx,
    "onnx-static": _onnx,
    "cast": _cast,
}
