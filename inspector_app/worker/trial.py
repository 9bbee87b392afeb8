"""One forward: what comes out, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Any

from inspector_app.worker.example_inputs import Call, ExampleInputs, call_of
from inspector_app.worker.failures import Failure
from inspector_app.worker.index_errors import index_failure
from inspector_app.worker.model_source import building
from inspector_app.worker.outputs import info, infos
from inspector_app.worker.protocol import InputSpec, Progress, Trial, Tried
from inspector_app.worker.user_errors import failure_of

# What forward does not take: of other values or sizes that is no fault of the export.
REFUSALS = ("forward", "ids-out-of-range", "row-out-of-range")


def trying(request: Trial) -> Generator[Progress, None, Tried]:
    """Run the model twice, the second time for the clock."""
    model = yield from building(request.model)
    example = ExampleInputs(request.inputs, request.model.device)
    call = call_of(model.module, [spec.name for spec in request.inputs.specs])
    tensors = example.tensors()
    yield Progress("run the model")
    outputs = infos(forward(model.module, call, tensors, request.inputs.specs))
    yield Progress("measure the time")
    start = time.perf_counter()
    forward(model.module, call, tensors)
    seconds = time.perf_counter() - start
    return Tried(tuple(info(name, each) for name, each in tensors.items()), outputs, seconds)


def forward(
    module: Any, call: Call, tensors: dict[str, Any], specs: Sequence[InputSpec] = ()
) -> Any:
    """What the model returns, without gradients.

    Args:
        specs: where the tensors' values come from, for what is said of those that are wrong.

    Raises:
        Failure: its forward fails.
    """
    import torch

    try:
        with torch.no_grad():
            result = call(module, tensors)
    except Failure:
        raise
    except Exception as error:
        failure = index_failure(module, call, tensors, specs, error)
        shapes = ", ".join(
            f"{name} {list(each.shape)} {str(each.dtype).removeprefix('torch.')}"
            for name, each in tensors.items()
        )
        raise failure or failure_of("forward", error, inputs=shapes) from error
    if torch.accelerator.is_available() if hasattr(torch, "accelerator") else False:
        torch.accelerator.synchronize()
    return result
