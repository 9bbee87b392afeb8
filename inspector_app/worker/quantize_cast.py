"""Casts weights to a smaller float dtype. No model code runs unless a model is named: then its
keys are the model's own, and what it costs can be measured."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Generator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.worker.export import _writing_failure as writing_failure
from inspector_app.worker.failures import Failure
from inspector_app.worker.model_choice import SourceKind
from inspector_app.worker.model_source import Model, building
from inspector_app.worker.protocol import Progress
from inspector_app.worker.quantize_code import file_line
from inspector_app.worker.quantize_layers import BY_USER
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_protocol import (
    CastOptions,
    LeftInFloat,
    Quantize,
    Quantized,
    QuantizedLayer,
)
from inspector_app.worker.script_text import Program, add_model, moved_to
from inspector_app.worker.state_dict import read_state_dict
from inspector_app.worker.torch_import import import_package, import_torch

_NOT_COMPUTED = (
    "load_state_dict puts the rounded weights into the model's own dtype: the file is smaller, "
    "and the model computes as before."
)
_NAMED = 8


def quantizing_cast(request: Quantize) -> Generator[Progress, None, Quantized]:
    """Write the weights in another dtype."""
    options = request.options
    assert isinstance(options, CastOptions)
    torch = import_torch()
    model = None
    held_out, positional, keywords = "", (), ()
    if request.model.source.source == SourceKind.FILE:
        yield Progress("read the weights")
        state = _weights(request)
    else:
        model = yield from building(request.model)
        state = model.module.state_dict()
        if request.data is not None:
            from inspector_app.worker.quantize import making_ready

            ready = yield from making_ready(request, model)
            held_out = ready.samples.words if ready.samples else ""
            if ready.call is not None:
                positional, keywords = ready.call.positional, ready.call.keywords
    start = time.perf_counter()
    dtype = getattr(torch, options.dtype)
    made: dict[str, Any] = OrderedDict()
    layers = []
    _demand_known(state, request.left)
    for number, (key, value) in enumerate(state.items()):
        yield Progress("cast", number, len(state))
        made[key], layer = _cast(key, value, dtype, options, request.left)
        layers += [layer] if layer is not None else []
    if not any(each.quantized for each in layers):
        raise Failure(
            "nothing-to-quantize",
            method=method_of(options).title,
            takes="floating point tensors wider than that dtype",
            found=f"none of {len(state)} tensors is one that was not left",
        )
    yield Progress("write the file")
    if hasattr(state, "_metadata"):
        made._metadata = state._metadata  # type: ignore[attr-defined]
    path = os.path.join(request.staging, request.name)
    try:
        _write(made, path)
    except Exception as error:
        raise writing_failure(error, request) from error
    return Quantized(
        files=(request.name,),
        nbytes=Path(path).stat().st_size,
        original_bytes=_saved_bytes(state),
        seconds=time.perf_counter() - start,
        layers=tuple(layers),
        held_out=held_out,
        notes=(*(model.notes if model else ()), _NOT_COMPUTED),
        loading_code=_loading_code(request, model),
        script=_script(request),
        inputs=tuple(positional),
        keywords=tuple(keywords),
    )


def _weights(request: Quantize) -> Mapping[str, Any]:
    path = request.model.checkpoint
    try:
        checkpoint = open_checkpoint(path)
    except CheckpointError as error:
        raise Failure("file-not-loaded", file=path, error=error.message) from None
    return read_state_dict(checkpoint, request.model.weights.section)


def _cast(
    key: str, value: Any, dtype: Any, options: CastOptions, left: LeftInFloat
) -> tuple[Any, QuantizedLayer | None]:
    """The tensor as it is written, and what is said of it; None where it is no float."""
    import torch

    if not torch.is_tensor(value) or not value.is_floating_point():
        return value, None
    own = str(value.dtype).removeprefix("torch.")
    reason = BY_USER if is_left(key, left) else ""
    if value.element_size() <= dtype.itemsize and value.dtype != dtype:
        reason = reason or f"it is {own} already"
    if reason or value.dtype == dtype:
        bits = 8 * value.element_size()
        layer = QuantizedLayer(key, "tensor", own, bits, value.nbytes, value.nbytes, reason)
        return value, layer
    cast = value.to(dtype)
    lost = value.isfinite() & ~cast.to(torch.float32).isfinite()
    count = int(lost.sum())
    if count and not options.overflow:
        raise Failure(
            "overflow",
            name=key,
            count=f"{count:,}",
            dtype=options.dtype,
            most=f"{torch.finfo(dtype).max:g}",
        )
    bits = 8 * dtype.itemsize
    return cast, QuantizedLayer(key, "tensor", options.dtype, bits, value.nbytes, cast.nbytes)


def is_left(key: str, left: LeftInFloat) -> bool:
    """Whether a tensor stays as it is: by its key, or by the layer that it is of."""
    layer = key.rpartition(".")[0]
    if key in left.names or layer in left.names:
        return True
    return any(fnmatchcase(key, each) or fnmatchcase(layer, each) for each in left.patterns)


def _demand_known(state: Mapping[str, Any], left: LeftInFloat) -> None:
    for pattern in (*left.patterns, *left.names):
        if not any(is_left(key, LeftInFloat(patterns=(pattern,))) for key in state):
            more = f" and {len(state) - _NAMED:,} more" if len(state) > _NAMED else ""
            known = ", ".join([*state][:_NAMED]) + more
            raise Failure("no-such-layer", name=pattern, known=known)


def _write(state: Mapping[str, Any], path: str) -> None:
    import torch

    if path.lower().endswith(".safetensors"):
        import_package("safetensors", "writing .safetensors")
        library = import_package("safetensors.torch", "writing .safetensors")
        tensors = {key: each for key, each in state.items() if torch.is_tensor(each)}
        # It refuses tensors that share bytes.
        library.save_file({key: each.contiguous().clone() for key, each in tensors.items()}, path)
        return
    torch.save(state, path)


def _saved_bytes(state: Mapping[str, Any]) -> int:
    from inspector_app.worker.quantize import saved_size

    return saved_size(state)


def _loading_code(request: Quantize, model: Model | None) -> str:
    program = Program({"import torch"}, [])
    program.add(file_line(request.target), "")
    load = 'torch.load(FILE, map_location="cpu", weights_only=True)'
    if request.name.lower().endswith(".safetensors"):
        program.need("from safetensors.torch import load_file")
        load = "load_file(FILE)"
    if model is None:
        program.add(f"state = {load}")
    else:
        add_model(program, request.model, model.form)
        program.add("model.eval()")
        moved = moved_to(request.model)
        if moved:
            program.add(f"model.to({moved})")
        program.add(f"model.load_state_dict({load})")
    return program.text(f"Loads {Path(request.target).name!a}.")


def _script(request: Quantize) -> str:
    """Of a bare state_dict that torch.load reads; else ""."""
    from inspector_app.worker.quantize_cast_code import cast_program

    return cast_program(request)
