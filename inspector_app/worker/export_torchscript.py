"""TorchScript, by trace or by script.

A trace records what the model did for one input. Whether that holds for others is checked
here, on values that are mirrored and random anew and on other sizes of dynamic axes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from inspector_app.worker.export import Prepared, Writing, Written
from inspector_app.worker.failures import Failure
from inspector_app.worker.outputs import flat, info, infos
from inspector_app.worker.protocol import OutputInfo, Progress, TorchScriptOptions
from inspector_app.worker.trial import REFUSALS, forward
from inspector_app.worker.user_errors import failure_of

DEPRECATED = (
    "TorchScript is in maintenance and deprecated since torch 2.10: torch.export's .pt2, ONNX, "
    "or a state_dict with the model's code last longer"
)


def writing(prepared: Prepared, options: TorchScriptOptions, path: str) -> Writing:
    """Write a TorchScript archive."""
    import torch

    notes = [DEPRECATED]
    with warnings.catch_warnings():
        # torch says of every call that it is deprecated; so does our note.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        if options.way == "script":
            yield Progress("script the model")
            script = _scripted(prepared)
        else:
            yield Progress("trace the model")
            script = _traced(prepared)
        if options.freeze or options.optimize:
            yield Progress("freeze the graph")
            script = _changed("freeze", torch.jit.freeze, script)
        if options.optimize:
            yield Progress("optimize the graph")
            script = _changed("optimize", torch.jit.optimize_for_inference, script)
            notes.append("optimized for the kind of processor that it was exported on")
        for name, tensors in _others(prepared, options.check_inputs):
            yield Progress(f"check {name}")
            _check(prepared, script, tensors, name)
        yield Progress("write the file")
        torch.jit.save(script, path)
    return Written(_operators(script), notes)


def _traced(prepared: Prepared) -> Any:
    """The trace; what the model gave in the course of it becomes `prepared.outputs`."""
    import torch

    if isinstance(prepared.module, torch.jit.ScriptModule):
        return prepared.module
    positional = prepared.call.args(prepared.tensors)
    keywords = prepared.call.kwargs(prepared.tensors)
    inputs: dict[str, Any] = {"example_inputs": positional}
    if keywords:
        # torch takes either positions or names.
        inputs = {"example_kwarg_inputs": {**_by_name(prepared), **keywords}}
    given: list[list[tuple[str, Any]]] = []

    def look(_module: Any, _inputs: Any, output: Any) -> Any:
        found = flat(output)
        given.append(found)
        # TorchScript knows dictionaries of one kind of values only.
        return None if _plain([name for name, _ in found]) else dict(found)

    hook = prepared.module.register_forward_hook(look)
    try:
        with torch.no_grad():
            # Its own check is for non-determinism on the same input; ours is on others. Strict
            # would refuse dictionaries and lists.
            script = torch.jit.trace(prepared.module, **inputs, check_trace=False, strict=False)
    except Exception as error:
        hook.remove()
        _outputs_of(prepared)  # where the model itself fails, that is what is wrong
        raise failure_of("trace-fails", error) from error
    finally:
        hook.remove()
    # Not in the hook: sizes are no numbers while they are traced.
    prepared.outputs = tuple(info(name, tensor) for name, tensor in given[0])
    return script


def _plain(names: Sequence[str]) -> bool:
    """A tensor, or a tuple or list of tensors."""
    return list(names) == ["output"] or all(name.isdecimal() for name in names)


def _outputs_of(prepared: Prepared) -> tuple[OutputInfo, ...]:
    """What the model gives for the example.

    Raises:
        Failure: its forward fails.
    """
    tensors = prepared.example.tensors(sizes=prepared.example.traced_sizes())
    specs = prepared.example.inputs.specs
    return infos(forward(prepared.module, prepared.call, tensors, specs))


def _by_name(prepared: Prepared) -> dict[str, Any]:
    return {name: prepared.tensors[name] for name in prepared.call.positional}


def _scripted(prepared: Prepared) -> Any:
    import torch

    if isinstance(prepared.module, torch.jit.ScriptModule):
        return prepared.module
    try:
        return torch.jit.script(prepared.module)
    except Exception as error:
        raise failure_of("script-fails", error) from error


def _changed(what: str, function: Any, script: Any) -> Any:
    try:
        return function(script)
    except Exception as error:
        raise failure_of("torchscript-pass", error, what=what) from error


def _others(prepared: Prepared, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Inputs that the model was not traced with, each with a name."""
    sizes = prepared.example.traced_sizes()
    for variant in range(1, count + 1):
        yield f"on other values ({variant})", prepared.example.tensors(variant, sizes)
    if not (count and prepared.example.inputs.dynamic):
        return
    for larger in ((lambda size: size + 1), (lambda size: 2 * size)):
        bounds: dict[str, int] = {}
        for each in prepared.example.inputs.dynamic:
            size = larger(sizes[each.name])
            fits = each.most is None or size <= each.most
            bounds[each.name] = size if fits else sizes[each.name]
        # Some models take multiples alone; what the model refuses cannot be compared.
        if _takes(prepared, prepared.example.tensors(1, bounds)):
            yield "on other sizes", prepared.example.tensors(1, bounds)


def _takes(prepared: Prepared, tensors: dict[str, Any]) -> bool:
    try:
        forward(prepared.module, prepared.call, tensors)
    except Failure as failure:
        if failure.failed.code not in REFUSALS:
            raise
        return False
    return True


def _check(prepared: Prepared, script: Any, tensors: dict[str, Any], name: str) -> None:
    import torch

    torch.manual_seed(0)
    specs = prepared.example.inputs.specs
    wanted = flat(forward(prepared.module, prepared.call, tensors, specs))
    # Of a script, for which nothing runs but this: the first inputs have the example's sizes.
    prepared.outputs = prepared.outputs or tuple(info(*each) for each in wanted)
    torch.manual_seed(0)
    try:
        with torch.no_grad():
            found = flat(prepared.call(script, tensors))
    except Exception as error:
        raise failure_of("trace-departs", error, reason=f"{name} it fails: {error}") from error
    if len(found) != len(wanted):
        reason = f"{name} it gives {len(found)} tensors instead of {len(wanted)}"
        raise Failure("trace-departs", reason=reason)
    for (output, expected), (_, actual) in zip(wanted, found, strict=True):
        try:
            torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4, equal_nan=True)
        except AssertionError as error:
            raise Failure("trace-departs", reason=f"{name}, {output} {_departs(error)}") from None


def _departs(error: AssertionError) -> str:
    """What `torch.testing.assert_close` has to say, in half a sentence."""
    text = " ".join(str(error).split())
    most = re.search(r"Greatest absolute difference: (\S+) .*?\(up to (\S+) allowed\)", text)
    if most is None:
        return f"differs: {text}"
    return f"departs by {float(most[1]):.3g} where {most[2]} is allowed"


def _operators(script: Any) -> dict[str, int]:
    """Operators of the graph, with those of the functions and modules that it calls."""
    counts: dict[str, int] = {}
    for node in script.inlined_graph.nodes():
        kind = node.kind()
        if not kind.startswith("prim::"):
            counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))
