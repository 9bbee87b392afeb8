"""The proof: the original and the exported file, run side by side on the same inputs.

It is a request of its own, done by another process than the export: the original is built
anew from the checkpoint, so that nothing which the export did to the model can hide in it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inspector_app.worker.example_inputs import Call, ExampleInputs, call_of
from inspector_app.worker.export import WITHOUT_GRAPH
from inspector_app.worker.failures import Failure
from inspector_app.worker.model_source import Model, building
from inspector_app.worker.outputs import flat
from inspector_app.worker.proof_cases import axis_ranges, size_sets
from inspector_app.worker.protocol import OutputError, Progress, ProofCase, Prove, Proved
from inspector_app.worker.trial import REFUSALS, forward
from inspector_app.worker.user_errors import one_line

if TYPE_CHECKING:
    from inspector_app.worker.closeness import Bounds
    from inspector_app.worker.results import Result

_MOST_NOTES = 4
_SCALED = (
    "The absolute tolerance counts in units of the largest magnitude of each output: what "
    "rounding leaves grows with the values that were added."
)


def proving(request: Prove) -> Generator[Progress, None, Proved]:
    """Compare the original and the file `request.exported`.

    Raises:
        Failure: the original cannot be run, gives other results each time, or what it takes
            to run the file is missing. That the file computes something else, or cannot be
            run, is a result.
    """
    model = yield from building(request.model)
    if request.options.kind in WITHOUT_GRAPH:
        from inspector_app.worker.weights_proof import proving_weights

        return (yield from proving_weights(request, model))
    sides = yield from _both(request, model)
    if isinstance(sides, Proved):
        return sides
    yield from _cases(sides, request)
    return (yield from _conclusion(sides, request))


@dataclass(slots=True)
class Sides:
    """The original and the result, and what has been compared so far.

    Attributes:
        failing: variant and sizes of the first inputs whose outputs depart.
        node: of an ONNX graph the first that failed, or "".
    """

    model: Model
    call: Call
    example: ExampleInputs
    bounds: Bounds
    result: Result
    cases: list[ProofCase] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failing: tuple[int, dict[str, int]] | None = None
    node: str = ""

    def original(self, variant: int, sizes: dict[str, int]) -> list[tuple[str, Any]]:
        # Made anew for each run: a model may write into its inputs.
        tensors = self.example.tensors(variant, sizes)
        found = flat(forward(self.model.module, self.call, tensors))
        return [(name, tensor.detach().cpu().clone()) for name, tensor in found]


def _both(request: Prove, model: Model) -> Generator[Progress, None, Sides | Proved]:
    from inspector_app.worker.closeness import bounds_for, compare
    from inspector_app.worker.results import opened

    example = ExampleInputs(request.inputs, request.model.device)
    call = call_of(model.module, [spec.name for spec in request.inputs.specs])
    yield Progress("run the original")
    outputs = flat(forward(model.module, call, example.tensors(), request.inputs.specs))
    outputs = [(name, tensor.detach().cpu().clone()) for name, tensor in outputs]
    again = flat(forward(model.module, call, example.tensors()))
    dtypes = {tensor.dtype for _, tensor in outputs}
    # An extra state need be no tensor.
    states = model.module.state_dict().values()
    dtypes.update(each.dtype for each in states if hasattr(each, "dtype"))
    bounds = bounds_for(dtypes, request.settings)
    for (name, first), (_, second) in zip(outputs, again, strict=True):
        if not compare(name, first, second.cpu(), bounds).within:
            raise Failure("not-deterministic", output=name)
    yield Progress("open the result")
    try:
        result = opened(request.exported, request.options, model.module, call)
    except Failure:
        raise
    except Exception as error:
        case = ProofCase({}, (), f"the file cannot be opened: {one_line(error)}")
        return Proved(False, (case,), bounds.rtol, bounds.atol)
    return Sides(model, call, example, bounds, result)


def _cases(sides: Sides, request: Prove) -> Generator[Progress, None, None]:
    ranges = axis_ranges(request.inputs.dynamic, sides.example.sizes())
    sets = list(size_sets(ranges))
    variants = max(request.settings.cases, 1)
    total = len(sets) * variants
    refused = []
    for number, sizes in enumerate(sets):
        for variant in range(variants):
            yield Progress("compare", number * variants + variant, total)
            try:
                wanted = sides.original(variant, sizes)
            except Failure as failure:
                # The first sizes are those of the example, which has run.
                if failure.failed.code not in REFUSALS or number == 0:
                    raise
                refused.append(", ".join(f"{name}={size}" for name, size in sizes.items()))
                break
            case = _compared(sides, variant, sizes, wanted)
            if not case.within and not case.error and sides.failing is None:
                sides.failing = (variant, sizes)
            sides.cases.append(case)
    if refused:
        sides.notes.append(f"The original itself does not take {'; '.join(refused)}.")


def _compared(
    sides: Sides, variant: int, sizes: dict[str, int], wanted: list[tuple[str, Any]]
) -> ProofCase:
    from inspector_app.worker.closeness import compare

    try:
        found = sides.result.run(sides.example.tensors(variant, sizes))
    except Exception as error:
        node = getattr(error, "node", "")
        if node and not sides.node:
            sides.node = node
        said = str(error) if node else one_line(error)
        return ProofCase(sizes, (), f"the result cannot be run: {said}")
    if len(found) != len(wanted):
        return ProofCase(sizes, (), f"{len(found)} outputs instead of {len(wanted)}")
    errors: list[OutputError] = []
    for (name, expected), (_, actual) in zip(wanted, found, strict=True):
        actual = actual.detach().cpu()
        shape = [*expected.shape, 2] if expected.is_complex() else list(expected.shape)
        if list(actual.shape) not in (shape, list(expected.shape)):
            said = f"output {name} has shape {list(actual.shape)} instead of {shape}"
            return ProofCase(sizes, (), said)
        if actual.dtype != expected.dtype and not expected.is_complex():
            _note(sides, f"Output {name} is {_dtype(actual)} instead of {_dtype(expected)}.")
        if expected.numel() and not expected.isfinite().any():
            _note(sides, f"Output {name} has no finite value for some inputs: that says little.")
        errors.append(compare(name, expected, actual, sides.bounds))
    return ProofCase(sizes, tuple(errors))


def _conclusion(sides: Sides, request: Prove) -> Generator[Progress, None, Proved]:
    passed = all(case.within for case in sides.cases)
    departs = ""
    if not passed and request.options.kind == "onnx":
        yield Progress("find the layer that departs")
        departs = _departure(sides)
    original = result = 0.0
    if passed and request.settings.repeats > 0:
        yield Progress("measure both")
        original, result = _seconds(sides, request.settings.repeats)
    if sides.bounds.scaled:
        sides.notes.append(_SCALED)
    return Proved(
        passed=passed,
        cases=tuple(sides.cases),
        rtol=sides.bounds.rtol,
        atol=sides.bounds.atol,
        original_seconds=original,
        result_seconds=result,
        runtime=sides.result.runtime,
        departs=departs,
        notes=tuple(sides.notes),
    )


def _departure(sides: Sides) -> str:
    """Where the first inputs that fail take another way; "" where nobody can tell."""
    from inspector_app.worker.onnx_layers import first_departure, layer_of_node
    from inspector_app.worker.results import OnnxResult

    assert isinstance(sides.result, OnnxResult)
    if sides.failing is None:
        return layer_of_node(sides.node, sides.model.module, sides.result.path)
    variant, sizes = sides.failing

    def tensors() -> dict[str, Any]:
        return sides.example.tensors(variant, sizes)

    try:
        return first_departure(
            sides.model.module,
            lambda: forward(sides.model.module, sides.call, tensors()),
            sides.result.path,
            sides.result.feed(tensors()),
            sides.bounds,
        )
    except Exception as error:
        # The failure itself is known; this would only have said where.
        _note(sides, f"Which layer departs could not be found out: {one_line(error)}")
        return ""


def _seconds(sides: Sides, repeats: int) -> tuple[float, float]:
    """Median time of a forward of both, in turns: a machine that slows down slows both."""
    import statistics
    import time

    tensors = sides.example.tensors()
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for side in (0, 1):
            start = time.perf_counter()
            if side:
                sides.result.run(tensors)
            else:
                forward(sides.model.module, sides.call, tensors)
            if turn:  # the first one warms up
                times[side].append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def _note(sides: Sides, text: str) -> None:
    if text not in sides.notes and len(sides.notes) < _MOST_NOTES:
        sides.notes.append(text)


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")
