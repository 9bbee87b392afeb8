"""Which embedding was asked for a row that it does not have, and by which input.

torch says "index out of range in self" and no more. The forward that failed runs again, with
a look at what each embedding gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inspector_app.worker.example_inputs import Call
from inspector_app.worker.failures import Failure
from inspector_app.worker.input_text import text_of
from inspector_app.worker.protocol import InputSpec
from inspector_app.worker.user_errors import user_traceback


def index_failure(
    module: Any,
    call: Call,
    tensors: Mapping[str, Any],
    specs: Sequence[InputSpec],
    error: BaseException,
) -> Failure | None:
    """Words for `error`, which forward raised on `tensors`; None where it is of another kind.

    Args:
        specs: where the inputs' values came from, as far as that is known.
    """
    if not (isinstance(error, IndexError) and "index out of range" in str(error)):
        return None
    found = _first_wrong(module, call, tensors)
    if found is None:
        return None
    name, layer, ids = found
    rows = int(layer.num_embeddings)
    details = {"layer": f"{name} ({type(layer).__name__})", "rows": rows}
    details |= {"low": int(ids.min()), "high": int(ids.max()), "last": rows - 1}
    own = _input_of(ids, tensors)
    if own is None:
        return Failure("row-out-of-range", traceback=user_traceback(error), **details)
    spec = next((each for each in specs if each.name == own), InputSpec(own))
    return Failure(
        "ids-out-of-range",
        traceback=user_traceback(error),
        name=own,
        origin=_origin(spec),
        better=_better(spec, ids, rows),
        **details,
    )


class _Wrong(Exception):
    """The ids that an embedding does not have."""

    def __init__(self, layer: Any, ids: Any) -> None:
        super().__init__()
        self.layer, self.ids = layer, ids


def _first_wrong(
    module: Any, call: Call, tensors: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    import torch

    def look(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = args[0] if args else kwargs.get("input")
        if not (isinstance(ids, torch.Tensor) and ids.numel()):
            return
        if int(ids.min()) < 0 or int(ids.max()) >= layer.num_embeddings:
            raise _Wrong(layer, ids)

    layers = {
        each: name
        for name, each in module.named_modules()
        if isinstance(each, (torch.nn.Embedding, torch.nn.EmbeddingBag))
    }
    hooks = [each.register_forward_pre_hook(look, with_kwargs=True) for each in layers]
    try:
        with torch.no_grad():
            call(module, dict(tensors))
    except _Wrong as wrong:
        return layers[wrong.layer] or "the model", wrong.layer, wrong.ids
    except Exception:
        return None  # what was raised first is what is said
    finally:
        for hook in hooks:
            hook.remove()
    return None


def _input_of(ids: Any, tensors: Mapping[str, Any]) -> str | None:
    """The input that has these values, as it is or reshaped."""
    for name, tensor in tensors.items():
        if tensor.numel() == ids.numel() and bool((tensor.reshape(-1) == ids.reshape(-1)).all()):
            return name
    return None


def _origin(spec: InputSpec) -> str:
    if spec.file:
        return f"from {spec.file}"
    if spec.low is None or spec.high is None:
        return "drawn at random"
    return f"drawn from {spec.low}..{spec.high}"


def _better(spec: InputSpec, ids: Any, rows: int) -> str:
    """The input as it would do."""
    if spec.file or not spec.shape:
        return f"{spec.name}:{','.join(map(str, ids.shape))}:int64:0..{rows}"
    low = max(0, int(spec.low or 0))
    return text_of(InputSpec(spec.name, spec.shape, spec.dtype, low if low < rows else 0, rows))
