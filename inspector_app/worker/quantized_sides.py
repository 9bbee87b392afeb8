"""The two sides of a comparison with their samples: what measuring and weighing begin with."""

from __future__ import annotations

from collections.abc import Generator

from inspector_app.worker.calibration import Samples, fitting, parameter_names, samples_of
from inspector_app.worker.example_inputs import Call, call_of
from inspector_app.worker.model_source import building
from inspector_app.worker.onnx_session import OnnxSession
from inspector_app.worker.onnx_source import is_onnx
from inspector_app.worker.protocol import Progress
from inspector_app.worker.quantize_protocol import Measure, Quantized, Weigh
from inspector_app.worker.quantized_loading import Side, loaded
from inspector_app.worker.torch_import import import_torch

Sided = Generator[Progress, None, tuple[Side, Samples]]


def original_side(request: Measure | Weigh) -> Sided:
    """The model from its source, afresh; an ``.onnx`` checkpoint in ONNX Runtime."""
    torch = import_torch()
    if is_onnx(request.model.checkpoint):
        yield Progress("open the original")
        session = OnnxSession(request.model.checkpoint)
        samples = samples_of(request.data, request.inputs, session.inputs)
        samples.dtypes.update(session_dtypes(session))
        samples.fix_batch(session.fixed_batch())
        return Side(None, None, f"onnxruntime {session.version}", session), samples
    model = yield from building(request.model)
    samples = samples_of(request.data, request.inputs, parameter_names(model.module))
    fitting(samples, model.module)
    call = call_of(model.module, list(samples.names))
    return Side(model.module, call, f"torch {torch.__version__}"), samples


def quantized_side(request: Weigh, quantized: Quantized) -> Sided:
    """The file by its loading code, without the original."""
    torch = import_torch()
    yield Progress("open the quantized file")
    call = Call(quantized.inputs, quantized.keywords)
    side = loaded(quantized, request.staging, call)
    names = [*quantized.inputs, *quantized.keywords]
    samples = samples_of(request.data, request.inputs, names)
    dtype = getattr(torch, request.model.dtype) if request.model.dtype else torch.float32
    for name, values in samples.take(samples.held_out[:1]).items():
        if values.is_floating_point():
            samples.dtypes.setdefault(name, dtype)
    if side.session is not None:
        samples.dtypes.update(session_dtypes(side.session))
        samples.fix_batch(side.session.fixed_batch())
    return side, samples


def session_dtypes(session: OnnxSession) -> dict[str, object]:
    """The dtypes that an ONNX graph's inputs have, as torch's."""
    import torch

    kinds = {
        "tensor(float)": torch.float32,
        "tensor(double)": torch.float64,
        "tensor(float16)": torch.float16,
        "tensor(int64)": torch.int64,
        "tensor(int32)": torch.int32,
        "tensor(uint8)": torch.uint8,
        "tensor(int8)": torch.int8,
        "tensor(bool)": torch.bool,
    }
    return {name: kinds[kind] for name, kind in session.kinds().items() if kind in kinds}
