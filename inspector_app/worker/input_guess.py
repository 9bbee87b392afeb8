"""Inputs that a model should run with, guessed from its first layers and its forward.

Which layer a parameter of ``forward`` enters first is read from forward's source. A size
that nothing tells (an image's) is tried without computing: on torch's meta device.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import replace
from typing import Any

from inspector_app.worker.example_inputs import forward_parameters
from inspector_app.worker.protocol import FLOAT_DTYPES, InputSpec

_TOKENS = 16
_STEPS = 8
_LENGTH = 128
_IMAGE_SIZES = (224, 32, 28, 64, 256, 96, 128, 299, 512, 16, 48, 8)
_IDS = re.compile(r"(^|_)(ids?|tokens?|indices)$")
_MASK = re.compile(r"mask")
_MOST_PARAMETERS = 16


def guesses(module: Any) -> tuple[InputSpec, ...]:
    """One input for each parameter that forward requires."""
    parameters = forward_parameters(module) or []
    kinds = inspect.Parameter
    named = [
        each
        for each in parameters
        if each.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    ]
    required = [each.name for each in named if each.default is kinds.empty]
    if not required:
        # Models of transformers have a default for everything.
        required = [each.name for each in named[:1]] or ["x"]
    entries = _entries(module)
    first = _first_layer(module)
    found: list[InputSpec] = []
    for name in required[:_MOST_PARAMETERS]:
        layer = entries.get(name) or (first if not found else None)
        found.append(_guess(name, layer, found))
    dtype = _computes_in(module)
    found = [replace(each, dtype=dtype) if each.dtype == "float32" else each for each in found]
    return tuple(_sized(module, found))


def _computes_in(module: Any) -> str:
    """The dtype that the model wants its inputs in: that of its first weights."""
    for each in module.parameters():
        name = str(each.dtype).removeprefix("torch.")
        if name in FLOAT_DTYPES:
            return name
    return "float32"


def _guess(name: str, layer: Any, before: list[InputSpec]) -> InputSpec:
    if _MASK.search(name) and before:
        # A mask is mostly one per token: the axes without the features.
        shape = before[0].shape if before[0].dtype == "int64" else before[0].shape[:2]
        return InputSpec(name, shape, "bool" if "padding" in name else "int64", 1, 2)
    spec = _for_layer(name, layer)
    if spec is not None:
        return spec
    if _IDS.search(name):
        return InputSpec(name, (1, _TOKENS), "int64", 0, 100)
    return replace(before[0], name=name) if before else InputSpec(name, (1, 3, 224, 224))


def _for_layer(name: str, layer: Any) -> InputSpec | None:
    from torch import nn

    if layer is None:
        return None
    if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        return InputSpec(name, (1, _TOKENS), "int64", 0, int(layer.num_embeddings))
    if isinstance(layer, nn.modules.conv._ConvNd):
        sizes = {1: (_LENGTH,), 2: (224, 224), 3: (16, 112, 112)}
        axes = len(layer.kernel_size)
        return InputSpec(name, (1, int(layer.in_channels), *sizes.get(axes, ())))
    if isinstance(layer, nn.modules.batchnorm._NormBase):
        axes = {"1": (), "2": (224, 224), "3": (16, 112, 112)}
        digit = re.search(r"(\d)d$", type(layer).__name__)
        return InputSpec(name, (1, int(layer.num_features), *axes[digit[1] if digit else "1"]))
    if isinstance(layer, nn.RNNBase):
        size = int(layer.input_size)
        shape = (1, _STEPS, size) if layer.batch_first else (_STEPS, 1, size)
        return InputSpec(name, shape)
    if isinstance(layer, nn.MultiheadAttention):
        size = int(layer.embed_dim)
        return InputSpec(name, (1, _STEPS, size) if layer.batch_first else (_STEPS, 1, size))
    if isinstance(layer, nn.TransformerEncoderLayer):
        return _for_layer(name, layer.self_attn)
    if isinstance(layer, nn.LayerNorm):
        return InputSpec(name, (1, _STEPS, *map(int, layer.normalized_shape)))
    size = getattr(layer, "in_features", getattr(layer, "in1_features", None))
    return InputSpec(name, (1, int(size))) if isinstance(size, int) else None


def _entries(module: Any) -> dict[str, Any]:
    """Of each parameter of forward the layer that it enters first, as far as it is
    written ``self.layer(parameter)``."""
    try:
        source = textwrap.dedent(inspect.getsource(type(module).forward))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError, AttributeError):
        return {}
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    calls.sort(key=lambda each: (each.lineno, each.col_offset))
    found: dict[str, Any] = {}
    for call in calls:
        child = _child(module, call.func)
        if child is None:
            continue
        for argument in (*call.args, *(each.value for each in call.keywords)):
            # Through what changes no feature: self.fc(x.float()).
            while isinstance(argument, ast.Call) and isinstance(argument.func, ast.Attribute):
                argument = argument.func.value
            if isinstance(argument, ast.Name) and argument.id not in found:
                found[argument.id] = _first_layer(child)
    return found


def _child(module: Any, function: ast.expr) -> Any:
    """The submodule that is called: ``self.a`` or ``self.a.b``."""
    names: list[str] = []
    while isinstance(function, ast.Attribute):
        names.insert(0, function.attr)
        function = function.value
    if not (isinstance(function, ast.Name) and function.id == "self" and names):
        return None
    for name in names:
        module = getattr(module, "_modules", {}).get(name)
        if module is None:
            return None
    return module


def _first_layer(module: Any) -> Any:
    """The first layer in order of registration whose input's features are known."""
    for each in module.modules():
        if _for_layer("x", each) is not None:
            return each
    return None


def _sized(module: Any, found: list[InputSpec]) -> list[InputSpec]:
    """Images of the first usual size that the model takes, if any size can be tried."""
    if not any(len(spec.shape) == 4 for spec in found):
        return found
    for size in _IMAGE_SIZES:
        tried = [
            replace(spec, shape=(*spec.shape[:2], size, size)) if len(spec.shape) == 4 else spec
            for spec in found
        ]
        if _runs(module, tried):
            return tried
    return found


def _runs(module: Any, specs: list[InputSpec]) -> bool:
    import torch

    state = {
        name: value.to("meta")
        for name, value in [*module.named_parameters(), *module.named_buffers()]
    }
    tensors = [
        torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta") for spec in specs
    ]
    try:
        with torch.no_grad():
            torch.func.functional_call(module, state, tuple(tensors))
    except Exception:
        # This size does not fit, or the model looks at values: then nothing can be tried.
        return False
    return True
