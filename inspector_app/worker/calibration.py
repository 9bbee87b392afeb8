"""Which samples calibrate and which measure, and how they become a model's inputs.

Those to measure on are held out: calibration never sees them. They are taken evenly from all
samples, as files are often sorted by class.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import Parameter
from typing import Any

from inspector_app.worker.calibration_sources import SINGLE, Source, opened
from inspector_app.worker.example_inputs import call_of, forward_parameters
from inspector_app.worker.failures import Failure
from inspector_app.worker.model_choice import DynamicAxis, Inputs, InputSpec
from inspector_app.worker.quantize_protocol import CalibrationData, DataKind

RANDOM = (
    "The data are random: what was measured on them, and ranges that were calibrated with them, "
    "say little about real ones."
)
_PART_HELD_OUT = 5  # one of so many, where there are few
_NAMED = 5
BATCH_AXIS = "batch"


@dataclass(slots=True)
class Samples:
    """Samples, split.

    Attributes:
        data: what was asked for.
        calibrate, held_out: numbers of samples.
        names: of the model's inputs.
    """

    data: CalibrationData
    source: Source
    calibrate: list[int]
    held_out: list[int]
    names: tuple[str, ...]
    dtypes: dict[str, Any]

    @property
    def words(self) -> str:
        """Which are held out."""
        if self.data.source == DataKind.LOADER:
            first, last = self.held_out[0], self.held_out[-1]
            return f"samples {first:,} to {last:,}, which follow those of calibration"
        listed = ", ".join(f"{each:,}" for each in self.held_out[:_NAMED])
        more = "" if len(self.held_out) <= _NAMED else f", … {self.held_out[-1]:,}"
        return f"{len(self.held_out):,} of {self.source.count:,} samples: {listed}{more}"

    @property
    def notes(self) -> list[str]:
        return [RANDOM] if self.data.source == DataKind.RANDOM else []

    def take(self, numbers: Sequence[int]) -> dict[str, Any]:
        """These samples by the inputs' names, in the dtypes that the model takes.

        Raises:
            Failure: they cannot be read, or hold NaN or infinities.
        """
        taken = self.source.take(numbers)
        if list(taken) == [SINGLE]:
            taken = {self.names[0]: taken[SINGLE]}
        elif not set(taken) >= set(self.names):
            taken = dict(zip(self.names, taken.values(), strict=True))
        made = {name: taken[name] for name in self.names}
        for name, values in made.items():
            if values.is_floating_point():
                self._demand_finite(name, values, numbers)
            dtype = self.dtypes.get(name)
            made[name] = values if dtype is None else values.to(dtype)
        return made

    def batches(self, numbers: Sequence[int]) -> Iterator[tuple[list[int], dict[str, Any]]]:
        """Numbers and inputs, a batch at a time."""
        for start in range(0, len(numbers), self.data.batch):
            part = list(numbers[start : start + self.data.batch])
            yield part, self.take(part)

    def fix_batch(self, size: int) -> None:
        """Let every batch have `size` samples, as a graph wants that fixes it; 0 for any.

        Raises:
            Failure: there are too few.
        """
        if not size:
            return
        self.data = replace(self.data, batch=size)
        if min(len(self.calibrate), len(self.held_out)) < size:
            reason = f"the graph takes {size} samples at once, which are not there twice"
            raise Failure("calibration-data", path=self.data.path or "random data", reason=reason)
        self.calibrate = self.calibrate[: len(self.calibrate) // size * size]
        self.held_out = self.held_out[: len(self.held_out) // size * size]

    def labels(self, numbers: Sequence[int]) -> Any:
        """Classes of these samples, or None."""
        labels = self.source.labels
        return None if labels is None else labels[list(numbers)]

    def _demand_finite(self, name: str, values: Any, numbers: Sequence[int]) -> None:
        finite = values.isfinite()
        if bool(finite.all()):
            return
        bad = (~finite).flatten(1).any(1) if values.ndim > 1 else ~finite
        raise Failure(
            "calibration-nan",
            path=self.data.path or "random data",
            name=name,
            count=int((~finite).sum()),
            sample=numbers[int(bad.nonzero()[0])],
        )


def samples_of(data: CalibrationData, inputs: Inputs, names: Sequence[str] = ()) -> Samples:
    """Open and split `data`.

    Args:
        inputs: what the user said of them; their dtypes hold.
        names: of the parameters that the model takes, where nobody has said.

    Raises:
        Failure: they cannot be read, are too few, or are not those of the model.
    """
    for value, what in ((data.samples, "samples"), (data.held_out, "held out"), (data.batch, "")):
        if value < 1:
            reason = f"{value} {what or 'in a batch'} are less than 1"
            raise Failure("calibration-data", path=data.path or "random data", reason=reason)
    source = opened(data, inputs)
    if source.count < 2:
        raise Failure("too-few-samples", path=data.path, count=source.count)
    calibrate, held_out = _split(data, source.count)
    own = list(source.take(held_out[:1]))
    given = [spec.name for spec in inputs.specs]
    if own == [SINGLE]:
        chosen = given[:1] or list(names[:1]) or ["input"]
    elif given and not set(own) >= set(given) and len(given) != len(own):
        reason = f"it has {', '.join(own)}, and the inputs are {', '.join(given)}"
        raise Failure("calibration-data", path=data.path, reason=reason)
    elif all(each.isdecimal() for each in own):
        chosen = given or list(names[: len(own)])
        if len(chosen) < len(own):
            reason = f"it has {len(own)} inputs, and the model takes {len(chosen)}"
            raise Failure("calibration-data", path=data.path, reason=reason)
    else:
        chosen = given or own
    return Samples(data, source, calibrate, held_out, tuple(chosen), _dtypes(inputs))


def _split(data: CalibrationData, count: int) -> tuple[list[int], list[int]]:
    """Numbers to calibrate with, and to measure on."""
    held = min(data.held_out, max(1, count // _PART_HELD_OUT))
    if data.source == DataKind.LOADER:
        first = max(1, min(data.samples, count - held))
        return list(range(first)), list(range(first, min(count, first + data.held_out)))
    held_out = _evenly(list(range(count)), held)
    out = set(held_out)
    return _evenly([each for each in range(count) if each not in out], data.samples), held_out


def _evenly(numbers: list[int], wanted: int) -> list[int]:
    """`wanted` of them, spread over all."""
    if wanted >= len(numbers):
        return numbers
    step = len(numbers) / wanted
    return [numbers[int((place + 0.5) * step)] for place in range(wanted)]


def _dtypes(inputs: Inputs) -> dict[str, Any]:
    import torch

    found = {}
    for spec in inputs.specs:
        dtype = getattr(torch, spec.dtype, None) if spec.dtype else None
        if dtype is not None:
            found[spec.name] = dtype
    return found


# --- a model's inputs


def parameter_names(module: Any) -> list[str]:
    """Names of forward's parameters that take inputs by position, or []."""
    parameters = forward_parameters(module) or []
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in kinds]


def fitting(samples: Samples, module: Any) -> None:
    """Let floating point inputs have the dtype of the model's parameters, where nobody said
    another: arrays are often float64, which no float32 model takes."""
    own = next((each.dtype for each in module.parameters() if each.is_floating_point()), None)
    taken = samples.take(samples.held_out[:1])
    for name, values in taken.items():
        if values.is_floating_point() and own is not None:
            samples.dtypes.setdefault(name, own)


def example_of(inputs: Inputs, samples: Samples | None) -> Inputs:
    """What the model is traced with: the inputs that the user has described, or some samples,
    whose first axis is dynamic.

    The samples go to a file in the worker's temporary folder, which dies with it.
    """
    if samples is None:
        return inputs
    import torch

    count = min(2, len(samples.calibrate))
    taken = samples.take(samples.calibrate[:count])
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "example.pt")
    torch.save({str(place): each for place, each in enumerate(taken.values())}, path)
    specs = tuple(
        InputSpec(name, dtype=str(each.dtype).removeprefix("torch."), file=path, entry=str(place))
        for place, (name, each) in enumerate(taken.items())
    )
    dynamic = inputs.dynamic or tuple(DynamicAxis(name, 0, BATCH_AXIS) for name in taken)
    return replace(inputs, specs=specs, dynamic=dynamic)


def shapes_text(tensors: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {list(each.shape)} {str(each.dtype).removeprefix('torch.')}"
        for name, each in tensors.items()
    )


def tried(module: Any, samples: Samples) -> None:
    """Run the model on one batch of the samples.

    Raises:
        Failure: it does not take them.
    """
    from inspector_app.worker.trial import forward

    call = call_of(module, list(samples.names))
    tensors = samples.take(samples.calibrate[: samples.data.batch])
    try:
        forward(module, call, tensors)
    except Failure as failure:
        if failure.failed.code != "forward":
            raise
        raise Failure(
            "calibration-shape",
            traceback=failure.failed.traceback,
            path=samples.data.path or "random data",
            error=failure.failed.details["error"],
            inputs=shapes_text(tensors),
        ) from failure
