"""The lines of the copied program that make the inputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from inspector_app.worker.example_inputs import ExampleInputs
from inspector_app.worker.protocol import InputSpec


def input_lines(example: ExampleInputs, device: str) -> tuple[set[str], list[str]]:
    """Imports, and the lines that make ``inputs``, a dictionary by name."""
    sizes = example.traced_sizes()
    imports: set[str] = set()
    lines = [f"torch.manual_seed({example.inputs.seed})"]
    if sizes != example.sizes():
        lines.append("# A dynamic axis is shown with a size of at least 2: 1 would become fixed.")
    lines.append("inputs = {")
    for given, spec in zip(example.inputs.specs, example.sized(), strict=True):
        shape = list(spec.shape)
        axes = {}
        for each in example.inputs.dynamic:
            if each.input == spec.name and shape[each.axis] != sizes[each.name]:
                shape[each.axis] = axes[each.axis] = sizes[each.name]
        if given.file:
            text = _from_values(imports, given, {a: (spec.shape[a], axes[a]) for a in axes})
        else:
            text = _random(spec, shape)
        moved = f".to({device!r})" if device != "cpu" else ""
        lines.append(f"    {spec.name!r}: {text}{moved},")
    return imports, [*lines, "}", ""]


def _random(spec: InputSpec, shape: list[int]) -> str:
    dtype = f"torch.{spec.dtype}"
    if spec.dtype.startswith("complex"):
        return f"torch.randn({shape}, dtype={dtype})"
    if spec.dtype.startswith(("float", "bfloat")):
        if spec.low is None or spec.high is None:
            made = f"torch.randn({shape})"
        else:
            made = f"torch.rand({shape}) * {spec.high - spec.low!r} + {spec.low!r}"
            made = f"({made})"
        return made if spec.dtype == "float32" else f"{made}.to({dtype})"
    low = 0 if spec.low is None else int(spec.low)
    high = 2 if spec.high is None else int(spec.high)
    made = f"torch.randint({low}, {high}, {shape})"
    return made if spec.dtype == "int64" else f"{made}.to({dtype})"


def _from_values(imports: set[str], spec: InputSpec, axes: Mapping[int, tuple[int, int]]) -> str:
    """The values of a file, repeated or cut along `axes` from the first size to the second."""
    path = os.path.abspath(spec.file)
    suffix = Path(path).suffix.lower()
    entry = f"[{spec.entry!r}]" if spec.entry else ""
    if suffix in (".npy", ".npz"):
        imports.add("import numpy")
        if suffix == ".npz" and not entry:
            entry = f"[{spec.name!r}]"
        text = f"torch.from_numpy(numpy.load({path!r}){entry})"
    else:
        text = f'torch.load({path!r}, map_location="cpu", weights_only=True){entry}'
    for axis, (own, size) in axes.items():
        text += f".index_select({axis}, torch.arange({size}) % {own})"
    return text if not spec.dtype else f"{text}.to(torch.{spec.dtype})"
