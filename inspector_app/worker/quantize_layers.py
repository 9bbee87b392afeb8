"""Which layers of a model a method quantizes, which it leaves, and how they are stored then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_protocol import (
    DynamicOptions,
    LeftInFloat,
    QuantizedLayer,
    QuantizeOptions,
    StaticOptions,
    WeightOnlyOptions,
)

BY_USER = "left in float as asked"
_NAMED = 8
_INT4_ROWS = 16  # the packed kernel takes so many rows at once
_RNN = ("LSTM", "GRU")
_CELLS = ("LSTMCell", "GRUCell", "RNNCell")
_EMBEDDINGS = ("Embedding", "EmbeddingBag")
_CONVS = ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A layer that the method takes by its type.

    Attributes:
        name: as in `named_modules`.
        type: its class's name.
        numel: of its weights, without biases.
        float_bytes: of these.
        reason: why it is left in float, or "".
    """

    name: str
    type: str
    numel: int
    float_bytes: int
    reason: str = ""


def types_of(options: QuantizeOptions) -> tuple[str, ...]:
    """Names of the classes of torch.nn that a method takes."""
    if isinstance(options, DynamicOptions):
        if options.engine == "torchao":
            return ("Linear",)
        embeddings = _EMBEDDINGS if options.embeddings and options.dtype == "int8" else ()
        return ("Linear", *_RNN, *_CELLS, *embeddings)
    if isinstance(options, StaticOptions):
        return ("Conv2d", "Linear") if options.engine == "pt2e" else ("Linear", *_CONVS)
    if isinstance(options, WeightOnlyOptions):
        return ("Linear",)
    raise LookupError(options.kind)


def candidates(module: Any, options: QuantizeOptions, left: LeftInFloat) -> list[Candidate]:
    """The layers of `module` that the method takes, in their order.

    Raises:
        Failure: there is none, all are left in float, or a name is no layer's.
    """
    wanted = types_of(options)
    found = []
    for name, each in module.named_modules():
        kind = _type(each, wanted)
        if kind:
            weights = _weights(each)
            numel = sum(weight.numel() for weight in weights)
            size = sum(weight.nbytes for weight in weights)
            found.append(Candidate(name, kind, numel, size, _reason(name, each, options, left)))
    _demand_known(module, found, left)
    if all(each.reason for each in found):
        raise Failure(
            "nothing-to-quantize",
            method=method_of(options).title,
            takes=method_of(options).layers,
            found=_what(module, found),
        )
    return found


def left_names(found: Iterable[Candidate]) -> list[str]:
    return [each.name for each in found if each.reason]


def as_stored(module: Any, found: Iterable[Candidate], half: bool = False) -> list[QuantizedLayer]:
    """How each candidate lies in the quantized module.

    Args:
        half: weights that were quantized are float16.
    """
    modules = dict(module.named_modules())
    layers = []
    for each in found:
        now = modules.get(each.name)
        reason = each.reason
        stored = None if now is None or reason else _stored(now, half)
        if stored is None:
            reason = reason or "the method passed it over"
            bits = each.float_bytes * 8 // max(each.numel, 1)
            stored = (f"float{bits}", bits, each.float_bytes)
        layers.append(
            QuantizedLayer(
                each.name, each.type, stored[0], stored[1], each.float_bytes, stored[2], reason
            )
        )
    return layers


def _type(module: Any, wanted: Iterable[str]) -> str:
    """The first class of torch.nn in `wanted` that it is of, or ""."""
    from torch import nn

    for name in wanted:
        if isinstance(module, getattr(nn, name)):
            return name
    return ""


def _weights(module: Any) -> list[Any]:
    return [each for name, each in module.named_parameters(recurse=False) if "weight" in name]


def _reason(name: str, module: Any, options: QuantizeOptions, left: LeftInFloat) -> str:
    if name in left.names or any(
        fnmatchcase(name, pattern) or fnmatchcase(f"{name}.weight", pattern)
        for pattern in left.patterns
    ):
        return BY_USER
    if isinstance(options, WeightOnlyOptions) and options.bits == 4:
        rows, width = module.weight.shape
        if width % options.group_size:
            return f"its rows of {width} are no multiple of {options.group_size}"
        if rows % _INT4_ROWS:
            return f"its {rows} rows are no multiple of {_INT4_ROWS}"
    part = type(module).__name__ == "NonDynamicallyQuantizableLinear"
    if part and isinstance(options, (DynamicOptions, WeightOnlyOptions)):
        # Attention reads its weight by itself, as a float tensor.
        return "it is part of nn.MultiheadAttention, which takes float weights alone"
    return ""


def _demand_known(module: Any, found: list[Candidate], left: LeftInFloat) -> None:
    # A layer that the method passes over stays in float anyway: who leaves it out is right.
    every = [name for name, _ in module.named_modules()]
    names = [each.name for each in found]
    for pattern in left.patterns:
        if not any(
            fnmatchcase(name, pattern) or fnmatchcase(f"{name}.weight", pattern) for name in every
        ):
            _no_such(pattern, names)
    for name in left.names:
        if name not in every:
            _no_such(name, names)


def _no_such(name: str, names: list[str]) -> None:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    known = ", ".join(names[:_NAMED]) + more
    raise Failure("no-such-layer", name=name, known=known or "none that can be quantized")


def _what(module: Any, found: list[Candidate]) -> str:
    if found:
        reasons = Counter(each.reason for each in found)
        first = {each.reason: each.name for each in reversed(found)}
        return "; ".join(
            f"{first[reason]} and {count - 1:,} more: {reason}"
            if count > 1
            else f"{first[reason]}: {reason}"
            for reason, count in reasons.items()
        )
    kinds = Counter(
        type(each).__name__
        for each in module.modules()
        if any(True for _ in each.parameters(recurse=False))
    )
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_NAMED))
    return f"the model has {listed or 'no parameters'}"


# --- how it is stored


def _stored(module: Any, half: bool) -> tuple[str, int, int] | None:
    """Dtype, bits and bytes with scales; None where it is a float layer."""
    weight = getattr(module, "weight", None)
    if weight is not None and hasattr(weight, "__tensor_flatten__"):
        return _subclass(weight)
    package = type(module).__module__
    if not package.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")):
        return None
    if callable(weight):
        return _of_packed(weight(), half)
    return _of_cells(module, half)


def _subclass(weight: Any) -> tuple[str, int, int]:
    names, _ = weight.__tensor_flatten__()
    parts = {name: getattr(weight, name) for name in names}
    main = parts.get("qdata", next(iter(parts.values())))
    bits = main.nbytes * 8 // max(weight.numel(), 1)
    dtype = f"int{bits}" if bits < 8 else str(main.dtype).removeprefix("torch.")
    return dtype, bits, sum(each.nbytes for each in parts.values())


def _of_packed(weight: Any, half: bool) -> tuple[str, int, int] | None:
    if not weight.is_quantized:
        return ("float16", 16, weight.numel() * 2) if half else None
    size = weight.element_size() * weight.numel()
    if str(weight.qscheme()).startswith("torch.per_channel"):
        size += weight.q_per_channel_scales().nbytes + weight.q_per_channel_zero_points().nbytes
    bits = 4 if str(weight.dtype) == "torch.quint4x2" else 8 * weight.element_size()
    return ("uint8" if "quint8" in str(weight.dtype) else f"int{bits}", bits, size)


def _of_cells(module: Any, half: bool) -> tuple[str, int, int] | None:
    """An LSTM or GRU, whose weights are packed: ``w_ih``, ``w_hh`` of each direction."""
    numel = 0
    found: Mapping[str, Any] = module.get_weight() if hasattr(module, "get_weight") else {}
    scales = 0
    for each in found.values():
        # get_weight() of a layer with float16 gives lists of weights in float.
        parts = each if isinstance(each, (list, tuple)) else [each]
        numel += sum(part.numel() for part in parts)
        scales += len(parts) * 12
    if not numel:
        return None
    return ("float16", 16, numel * 2) if half else ("int8", 8, numel + scales)
