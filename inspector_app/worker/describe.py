"""What a model is, how the checkpoint's weights fit it, and what it wants as inputs."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any

from inspector_app.worker.example_inputs import forward_parameters
from inspector_app.worker.input_guess import guesses
from inspector_app.worker.model_source import building
from inspector_app.worker.protocol import (
    Describe,
    Described,
    ForwardParameter,
    KeyShape,
    Progress,
)


def describing(request: Describe) -> Generator[Progress, None, Described]:
    """Build the model; that its weights do not fit is told, not raised."""
    model = yield from building(request.model, demanding=False)
    yield Progress("look at its forward")
    module = model.module
    keys = tuple(
        KeyShape(key, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for key, value in module.state_dict().items()
        if hasattr(value, "shape")
    )
    return Described(
        model_class=_class_of(module),
        parameters=sum(each.numel() for each in module.parameters()),
        keys=keys,
        report=model.report,
        forward=tuple(map(_described, forward_parameters(module) or [])),
        guesses=guesses(module),
        notes=tuple(model.notes),
    )


def _class_of(module: Any) -> str:
    original = getattr(module, "original_name", None)
    if isinstance(original, str):
        return original
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _described(parameter: inspect.Parameter) -> ForwardParameter:
    empty = inspect.Parameter.empty
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    star = stars.get(parameter.kind, "")
    annotation = parameter.annotation
    return ForwardParameter(
        name=star + parameter.name,
        annotation="" if annotation is empty else inspect.formatannotation(annotation),
        default="" if parameter.default is empty else repr(parameter.default)[:200],
        required=parameter.default is empty and not star,
    )
