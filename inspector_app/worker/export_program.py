"""``torch.export``: the model as a graph with its weights, a ``.pt2``."""

from __future__ import annotations

from typing import Any

from inspector_app.worker.export import Prepared, Writing, Written
from inspector_app.worker.export_errors import export_failure
from inspector_app.worker.protocol import ExportedProgramOptions, Inputs, Progress

_INFERRED = (
    "The model does not take every size of its dynamic axes; torch.export inferred which ones, "
    "and the file refuses others."
)


def writing(prepared: Prepared, options: ExportedProgramOptions, path: str) -> Writing:
    """Write an exported program."""
    import torch

    yield Progress("export the model")
    program, inferred = exported_program(prepared, strict=options.strict)
    yield Progress("write the file")
    torch.export.save(program, path)
    counts: dict[str, int] = {}
    for node in program.graph.nodes:
        if node.op == "call_function":
            counts[str(node.target)] = counts.get(str(node.target), 0) + 1
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    notes = [_INFERRED] if inferred else []
    return Written(dict(ordered), notes, inferred=inferred)


def exported_program(prepared: Prepared, *, strict: bool = False) -> tuple[Any, bool]:
    """What torch.export.export gives for the prepared example, and whether it inferred the
    ranges of the dynamic axes.

    Declared axes are independent of each other and take any size. A model that takes
    multiples of 4 alone, or needs two of them equal, is exported with hints instead, which
    let torch.export say what holds.

    Raises:
        Failure: torch.export cannot follow the model, or the model fixes a dynamic axis.
    """
    shapes = dynamic_shapes(prepared)
    try:
        return _exported(prepared, shapes, strict), False
    except Exception as error:
        failure = export_failure(error)
        if failure.failed.code != "axis-not-dynamic":
            raise failure from error
    try:
        return _exported(prepared, hinted(shapes), strict), True
    except Exception as error:
        raise export_failure(error) from error


def _exported(prepared: Prepared, shapes: Any, strict: bool) -> Any:
    import torch

    call, tensors = prepared.call, prepared.tensors
    with torch.no_grad():
        return torch.export.export(
            prepared.module,
            call.args(tensors),
            call.kwargs(tensors),
            dynamic_shapes=shapes,
            strict=strict,
        )


def hinted(shapes: Any) -> Any:
    """`shapes` with a hint in place of each dimension."""
    from torch.export import Dim

    if isinstance(shapes, dict):
        return {key: hinted(each) for key, each in shapes.items()}
    if isinstance(shapes, tuple):
        return tuple(map(hinted, shapes))
    return None if shapes is None else Dim.DYNAMIC


def dynamic_shapes(prepared: Prepared) -> Any:
    """The `dynamic_shapes` of torch.export: for each argument its axes; None if there is none.

    By parameter name, which is what both exporters want, or as a tuple where the inputs are
    passed by position under other names.
    """
    inputs: Inputs = prepared.example.inputs
    if not inputs.dynamic:
        return None
    dims = _dims(inputs)
    axes: dict[str, dict[int, Any]] = {spec.name: {} for spec in inputs.specs}
    for each in inputs.dynamic:
        axes[each.input][each.axis] = dims[each.name]
    by_position = [axes[name] for name in prepared.call.positional]
    parameters = _parameter_names(prepared)
    if parameters is None:
        return (tuple(by_position),) if not prepared.call.keywords else None
    named = dict(zip(parameters, by_position, strict=False))
    return named | {name: axes[name] for name in prepared.call.keywords}


def _parameter_names(prepared: Prepared) -> list[str] | None:
    from inspector_app.worker.example_inputs import forward_parameters

    parameters = forward_parameters(prepared.module)
    if parameters is None or any(each.kind == each.VAR_POSITIONAL for each in parameters):
        return None
    return [each.name for each in parameters]


def _dims(inputs: Inputs) -> dict[str, Any]:
    from torch.export import Dim

    bounds: dict[str, dict[str, int]] = {}
    for each in inputs.dynamic:
        own = bounds.setdefault(each.name, {})
        if each.least is not None:
            own["min"] = max(each.least, own.get("min", 0))
        if each.most is not None:
            own["max"] = min(each.most, own.get("max", each.most))
    return {name: Dim(name, **own) for name, own in bounds.items()}
