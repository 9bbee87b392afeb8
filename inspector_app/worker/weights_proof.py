"""The proof of a file that holds weights alone: bit for bit, and run in the model.

Each tensor is compared with the original's. Then a copy of the model whose own weights were
made NaN gets those of the file, and both run, where there are inputs to run them on.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from inspector_app.checkpoint import open_checkpoint
from inspector_app.worker.closeness import Bounds, bounds_for, compare
from inspector_app.worker.example_inputs import ExampleInputs, call_of
from inspector_app.worker.model_source import Model
from inspector_app.worker.outputs import flat
from inspector_app.worker.protocol import OutputError, Progress, ProofCase, Prove, Proved
from inspector_app.worker.state_dict import read_state_dict
from inspector_app.worker.trial import forward
from inspector_app.worker.user_errors import one_line

EXACT = Bounds(0.0, 0.0, scaled=False)
_MOST_NAMED = 5


def proving_weights(request: Prove, model: Model) -> Generator[Progress, None, Proved]:
    """Compare the weights of `model` with those of the file."""
    yield Progress("read the result")
    wanted = {
        key: value for key, value in model.module.state_dict().items() if isinstance(value, Tensor)
    }
    runtime = f"torch {torch.__version__}"
    if request.options.kind == "safetensors":
        package = _safetensors()
        # Without the package our own reader reads it, which shares nothing with the writer.
        runtime = f"safetensors {package.__version__}" if package else "the inspector's reader"
    try:
        found = read_weights(request.exported, request.options.kind)
    except Exception as error:
        case = ProofCase({}, (), f"the file cannot be opened: {one_line(error)}")
        return Proved(False, (case,), 0.0, 0.0, runtime=runtime)
    yield Progress("compare the tensors")
    cases = [_tensors(wanted, found)]
    notes = []
    if cases[0].within:
        notes.append(f"{len(wanted):,} tensors are equal bit for bit.")
        if request.inputs.specs:
            yield Progress("run both")
            cases += _runs(request, model, found)
    return Proved(
        all(case.within for case in cases),
        tuple(cases),
        0.0,
        0.0,
        runtime=runtime,
        notes=tuple(notes),
    )


def read_weights(path: str, kind: str) -> dict[str, Tensor]:
    """The tensors of a state_dict or a safetensors file; the metadata of the latter says which
    keys are other names of a tensor."""
    if kind == "state-dict":
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    package = _safetensors()
    if package is None:
        checkpoint = open_checkpoint(path)
        tensors, metadata = read_state_dict(checkpoint, ()), dict(checkpoint.metadata)
    else:
        with package.safe_open(path, framework="pt", device="cpu") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    for name, first in metadata.items():
        if name not in tensors and first in tensors:
            tensors[name] = tensors[first]
    return tensors


def _safetensors() -> Any:
    """The package, or None where it is not installed."""
    try:
        import safetensors
    except ModuleNotFoundError:
        return None
    return safetensors


def _tensors(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> ProofCase:
    missing = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    if missing or extra:
        said = [f"{len(missing)} keys are missing"] if missing else []
        said += [f"{len(extra)} are too many"] if extra else []
        named = ", ".join([*missing, *extra][:_MOST_NAMED])
        return ProofCase({}, (), f"{' and '.join(said)}: {named}")
    errors = []
    for key, value in wanted.items():
        mine, other = value.detach().cpu(), found[key].detach()
        if mine.shape != other.shape or mine.dtype != other.dtype:
            said = f"{key} is {other.dtype} {list(other.shape)}"
            return ProofCase({}, (), f"{said} instead of {mine.dtype} {list(mine.shape)}")
        if not _same_bits(mine, other):
            errors.append(compare(key, mine, other, EXACT))
    within = tuple(OutputError(each.name, each.max_abs, each.max_rel, False) for each in errors)
    return ProofCase({}, within)


def _same_bits(a: Tensor, b: Tensor) -> bool:
    a, b = a.contiguous(), b.contiguous()
    if a.numel() == 0:
        return True
    return torch.equal(a.view(-1).view(torch.uint8), b.view(-1).view(torch.uint8))


def _runs(request: Prove, model: Model, found: Mapping[str, Tensor]) -> list[ProofCase]:
    """The original and its copy on the same inputs."""
    copied = deepcopy(model.module)
    with torch.no_grad():
        for tensor in (*copied.parameters(), *copied.buffers()):
            if tensor.is_floating_point() and not isinstance(
                tensor, torch.nn.UninitializedParameter
            ):
                tensor.fill_(float("nan"))
    for name, buffer in model.module.named_buffers():
        # What a state_dict does not hold stays as the code makes it.
        if name not in found:
            copied.get_buffer(name).copy_(buffer)
    try:
        copied.load_state_dict(dict(found), strict=True)
    except Exception as error:
        return [ProofCase({}, (), f"the model does not take the file: {one_line(error)}")]
    copied.eval()
    example = ExampleInputs(request.inputs, request.model.device)
    call = call_of(model.module, [spec.name for spec in request.inputs.specs])
    cases = []
    for variant in range(max(request.settings.cases, 1)):
        tensors = example.tensors(variant)
        wanted = flat(forward(model.module, call, tensors, request.inputs.specs))
        actual = flat(forward(copied, call, example.tensors(variant)))
        bounds = bounds_for({tensor.dtype for _, tensor in wanted}, request.settings)
        errors = [
            compare(name, a.cpu(), b.cpu(), bounds)
            for (name, a), (_, b) in zip(wanted, actual, strict=True)
        ]
        cases.append(ProofCase(example.sizes(), tuple(errors)))
    return cases
