"""Tensors for a model's inputs: an example, and variants of it with other values and sizes.

Two processes make the same tensors from the same request.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.input_files import read_input
from inspector_app.worker.input_text import check_axes
from inspector_app.worker.protocol import Inputs, InputSpec
from inspector_app.worker.user_errors import failure_of

# torch.export takes a dynamic axis of size 1 for a constant.
_LEAST_DYNAMIC = 2


@dataclass(frozen=True, slots=True)
class Call:
    """How a model is called: the inputs' names by position and by keyword."""

    positional: tuple[str, ...]
    keywords: tuple[str, ...] = ()

    def args(self, tensors: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(tensors[name] for name in self.positional)

    def kwargs(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {name: tensors[name] for name in self.keywords}

    def __call__(self, module: Any, tensors: Mapping[str, Any]) -> Any:
        return module(*self.args(tensors), **self.kwargs(tensors))


@dataclass(slots=True)
class ExampleInputs:
    """Makes the tensors of a request.

    Args:
        inputs: what is asked for.
        device: where the tensors go.
    """

    inputs: Inputs
    device: str = "cpu"
    _files: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.inputs.specs]
        for name in names:
            if names.count(name) > 1:
                raise Failure("bad-input", name=name, reason="the name occurs twice")
        if not names:
            raise Failure("bad-input", name="x", reason="there is none")
        for spec in self.inputs.specs:
            if spec.file:
                self._files[spec.name] = read_input(spec)
        check_axes(self.sized(), self.inputs.dynamic)

    def sized(self) -> list[InputSpec]:
        """The inputs with the shapes and dtypes that they really have."""
        import dataclasses

        listed = []
        for spec in self.inputs.specs:
            if spec.file:
                value = self._files[spec.name]
                dtype = spec.dtype or str(value.dtype).removeprefix("torch.")
                spec = dataclasses.replace(spec, shape=tuple(value.shape), dtype=dtype)
            listed.append(spec)
        return listed

    def given_sizes(self) -> dict[str, int]:
        """The size of each dynamic axis by its name, as it was given."""
        shapes = {spec.name: spec.shape for spec in self.sized()}
        return {each.name: shapes[each.input][each.axis] for each in self.inputs.dynamic}

    def sizes(self) -> dict[str, int]:
        """The same for the example: the nearest size within the bounds, where the one that was
        given lies outside."""
        sizes = self.given_sizes()
        for each in self.inputs.dynamic:
            sizes[each.name] = max(sizes[each.name], each.least or 0)
        for each in self.inputs.dynamic:
            if each.most is not None:
                sizes[each.name] = min(sizes[each.name], each.most)
        return sizes

    def notes(self) -> list[str]:
        """What of the example is not as it was given."""
        given = self.given_sizes()
        return [
            f"{name} is {given[name]} in the example, outside its bounds: {size} stands for it"
            for name, size in self.sizes().items()
            if size != given[name]
        ]

    def traced_sizes(self) -> dict[str, int]:
        """The same, each at least 2 if its bounds allow that: what exporters are shown."""
        sizes = self.sizes()
        for each in self.inputs.dynamic:
            size = max(sizes[each.name], _LEAST_DYNAMIC)
            sizes[each.name] = size if each.most is None else min(size, each.most)
        return sizes

    def tensors(self, variant: int = 0, sizes: Mapping[str, int] | None = None) -> dict[str, Any]:
        """One tensor per input.

        Args:
            variant: 0 is the example; 1 has its values mirrored within their range, which
                flips what depends on a sign; others are random anew.
            sizes: of dynamic axes, by name, where they are not those of the example.
        """
        sizes = self.sizes() if sizes is None else sizes
        made = {}
        for index, spec in enumerate(self.sized()):
            shape = list(spec.shape)
            for each in self.inputs.dynamic:
                if each.input == spec.name and each.name in sizes:
                    shape[each.axis] = sizes[each.name]
            made[spec.name] = self._tensor(spec, shape, index, variant).to(self.device)
        return made

    def _tensor(self, spec: InputSpec, shape: list[int], index: int, variant: int) -> Any:
        import torch

        generator = torch.Generator()
        seed = self.inputs.seed + (0 if variant == 1 else variant)
        generator.manual_seed(seed * 1_000_003 + index)
        dtype = getattr(torch, spec.dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise Failure("bad-input", name=spec.name, reason=f"there is no dtype {spec.dtype}")
        try:
            if spec.file:
                value = _other_values(self._files[spec.name], shape, variant, generator)
            else:
                value = _random(spec, shape, dtype, generator)
                if variant == 1:
                    value = _mirrored(value, spec, dtype)
            return value.to(dtype)
        except Exception as error:
            raise failure_of("bad-input", error, name=spec.name, reason=str(error)) from error


def call_of(module: Any, names: Sequence[str]) -> Call:
    """How inputs of these names are passed to the model's forward.

    By their names where forward has them, those in front by position; in their order where
    it has none of them.

    Raises:
        Failure: forward does not take them.
    """
    parameters = forward_parameters(module)
    if parameters is None:
        return Call(tuple(names))
    kinds = inspect.Parameter
    named = [
        each
        for each in parameters
        if each.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    ]
    positional = [
        each
        for each in parameters
        if each.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    ]
    any_keyword = any(each.kind == kinds.VAR_KEYWORD for each in parameters)
    any_position = any(each.kind == kinds.VAR_POSITIONAL for each in parameters)
    known = {each.name for each in named}
    signature = ", ".join(map(str, parameters))
    if known.intersection(names):
        unknown = [name for name in names if name not in known]
        if unknown and not any_keyword:
            reason = f"it has no {' and no '.join(unknown)}"
            raise Failure("inputs-do-not-match", signature=signature, reason=reason)
        front = []
        for each in positional:
            if each.name not in names:
                break
            front.append(each.name)
        call = Call(tuple(front), tuple(name for name in names if name not in front))
        passed = set(names)
    else:
        if len(names) > len(positional) and not any_position:
            reason = f"it takes {len(positional)}, not {len(names)}"
            raise Failure("inputs-do-not-match", signature=signature, reason=reason)
        call, passed = Call(tuple(names)), {each.name for each in positional[: len(names)]}
    lacking = [
        each.name
        for each in parameters
        if each.default is kinds.empty
        and each.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
        and each.name not in passed
    ]
    if lacking:
        reason = f"{', '.join(lacking)} is missing"
        raise Failure("inputs-do-not-match", signature=signature, reason=reason)
    return call


def forward_parameters(module: Any) -> list[inspect.Parameter] | None:
    """Parameters of forward, without self; None where nobody can tell."""
    import torch

    if isinstance(module, torch.jit.ScriptModule):
        return _schema_parameters(module)
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return None
    kinds = {each.kind for each in parameters}
    if kinds == {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return None
    return parameters


def _schema_parameters(module: Any) -> list[inspect.Parameter] | None:
    try:
        schema = module.forward.schema
    except (AttributeError, RuntimeError):
        return None
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=each.default_value if each.has_default_value() else inspect.Parameter.empty,
            annotation=str(each.type),
        )
        for each in schema.arguments[1:]
    ]


# --- values


def _random(spec: InputSpec, shape: list[int], dtype: Any, generator: Any) -> Any:
    import torch

    if dtype.is_complex:
        return torch.randn(shape, dtype=torch.complex128, generator=generator)
    if dtype.is_floating_point:
        if spec.low is None or spec.high is None:
            return torch.randn(shape, generator=generator)
        unit = torch.rand(shape, dtype=torch.float64, generator=generator)
        return unit * (spec.high - spec.low) + spec.low
    low, high = _integers(spec)
    return torch.randint(low, high, shape, generator=generator)


def _mirrored(value: Any, spec: InputSpec, dtype: Any) -> Any:
    """The same values, turned around in the middle of their range."""
    if dtype.is_complex or (dtype.is_floating_point and (spec.low is None or spec.high is None)):
        return -value
    if dtype.is_floating_point:
        return float(spec.low or 0) + float(spec.high or 0) - value
    low, high = _integers(spec)
    return low + high - 1 - value


def _integers(spec: InputSpec) -> tuple[int, int]:
    if spec.low is None or spec.high is None:
        return 0, 2
    return math.floor(spec.low), math.ceil(spec.high)


def _other_values(value: Any, shape: list[int], variant: int, generator: Any) -> Any:
    """A file's values: repeated or cut to `shape`, and of variants mirrored within their own
    range (floats) or in another order (integers: ids and masks stay what they are)."""
    import torch

    for axis, size in enumerate(shape):
        if value.shape[axis] != size:
            value = value.index_select(axis, torch.arange(size) % value.shape[axis])
    if variant == 0 or not value.numel():
        return value
    if variant == 1 and value.dtype.is_floating_point:
        return value.min() + value.max() - value
    order = torch.randperm(value.numel(), generator=generator)
    return value.reshape(-1)[order].reshape(value.shape)
