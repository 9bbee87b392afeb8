"""Writing a quantized model of torch in the form that is asked for, with its loading code.

A state_dict holds the quantized tensors; its code builds the model, runs the steps without
calibration, and loads them. TorchScript and ``.pt2`` bring their graph along; for these a
state_dict is written beside, in the client's folder, for the comparison of layers.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.quantize_code import loading_program, quantizing_program
from inspector_app.worker.quantize_layers import Candidate
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_protocol import Quantize, QuantizedLayer
from inspector_app.worker.quantize_steps import Steps
from inspector_app.worker.user_errors import failure_of

if TYPE_CHECKING:
    from inspector_app.worker.quantize import Ready

LAYERS = ".layers.pth"  # how the state_dict beside a graph is called
_PACKED = (
    "The weights of LSTM and GRU are packed, and torch.load(weights_only=True) refuses "
    "them: load this file only from where you trust it."
)


@dataclass(slots=True)
class Written:
    """What was written, and the code that belongs to it; as in `Quantized`."""

    loading_code: str
    script: str = ""
    beside: str = ""
    beside_code: str = ""
    notes: list[str] = field(default_factory=list)
    layers: list[QuantizedLayer] = field(default_factory=list)


def write_form(
    request: Quantize,
    ready: Ready,
    steps: Steps,
    made: Any,
    found: Sequence[Candidate],
    calibrated: int,
) -> Written:
    """Write what `made.model` is by now, in the form of the target's ending."""
    path = os.path.join(request.staging, request.name)
    ending = Path(request.name).suffix.lower()
    notes: list[str] = []
    if ending == ".pth":
        safe = _write_state(made.model, ready.model.module, steps, found, path)
        code = loading_program(request, ready.model, steps, weights_only=safe)
        if not safe:
            notes.append(_PACKED)
        script = quantizing_program(request, ready, steps, "state-dict", calibrated)
        return Written(code, script, notes=notes)
    if ending == ".pt":
        _write_script(request, ready, made.model, path)
        code = loading_program(request, ready.model, steps, form="torchscript")
        script = quantizing_program(request, ready, steps, "torchscript", calibrated)
    elif method_of(request.options).engine == "pt2e":
        return _write_pt2e(request, ready, steps, made, found, path, calibrated)
    else:
        _write_program(ready, made.model, path)
        code = loading_program(request, ready.model, steps, form="torch-export")
        script = quantizing_program(request, ready, steps, "torch-export", calibrated)
    beside = request.name + LAYERS
    place = os.path.join(request.staging, beside)
    safe = _write_state(made.model, ready.model.module, steps, found, place)
    target = os.path.join(os.path.dirname(request.target), beside)
    beside_code = loading_program(request, ready.model, steps, weights_only=safe, target=target)
    return Written(code, script, beside, beside_code, notes)


def _write_state(
    module: Any, float_module: Any, steps: Steps, found: Sequence[Candidate], path: str
) -> bool:
    """Save its state_dict; whether weights_only=True reads it back."""
    import torch

    state = _halved(float_module, found) if steps.half else module.state_dict()
    torch.save(state, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(path, weights_only=True, mmap=True)
    except Exception:
        return False  # then it needs the whole of pickle, and the notes say so
    return True


def _halved(module: Any, found: Sequence[Candidate]) -> dict[str, Any]:
    """The float model's state, the weights that were packed as float16 in that dtype: packing
    rounds them just so, and torch itself would write them as float32."""
    import torch

    most = torch.finfo(torch.float16).max
    layers = {each.name for each in found if not each.reason}
    state = dict(module.state_dict())
    for key, value in state.items():
        layer, _, name = key.rpartition(".")
        if layer in layers and name.startswith("weight"):
            state[key] = value.clamp(-most, most).half()
    return state


def _write_script(request: Quantize, ready: Ready, module: Any, path: str) -> None:
    import torch

    call = ready.call
    if call is None:
        raise Failure("bad-input", name="x", reason="TorchScript needs an example, or data")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        tensors = ready.tensors()
        try:
            if call.keywords:
                script = torch.jit.trace(
                    module,
                    example_kwarg_inputs={name: tensors[name] for name in tensors},
                    check_trace=False,
                    strict=False,  # a dictionary of outputs
                )
            else:
                script = torch.jit.trace(
                    module, call.args(tensors), check_trace=False, strict=False
                )
        except Exception as error:
            raise failure_of("trace-fails", error) from error
        torch.jit.save(script, path)


def _write_program(ready: Ready, module: Any, path: str) -> None:
    import torch

    from inspector_app.worker.export import Prepared
    from inspector_app.worker.export_program import exported_program
    from inspector_app.worker.model_source import Model

    if ready.example is None or ready.call is None:
        raise Failure("bad-input", name="x", reason="torch.export needs an example, or data")
    prepared = Prepared(Model(module), ready.example, ready.call, ready.tensors(), ())
    program, _ = exported_program(prepared)
    torch.export.save(program, path)


def _write_pt2e(
    request: Quantize,
    ready: Ready,
    steps: Steps,
    made: Any,
    found: Sequence[Candidate],
    path: str,
    calibrated: int,
) -> Written:
    import torch

    from inspector_app.worker.quantized_graph import layers_of

    program = made.names["program"]
    torch.export.save(program, path)
    code = loading_program(request, ready.model, steps, form="torch-export")
    script = quantizing_program(request, ready, steps, "torch-export", calibrated)
    return Written(code, script, layers=layers_of(program, found))
