"""A cast as a Python program that does the same."""

from __future__ import annotations

import os
from pathlib import Path

from inspector_app.checkpoint import open_checkpoint
from inspector_app.worker.consent import globals_that_run
from inspector_app.worker.model_choice import SourceKind
from inspector_app.worker.quantize_protocol import CastOptions, Quantize
from inspector_app.worker.suggestions import default_section


def cast_program(request: Quantize) -> str:
    """The program, or "" where there is no short one: the weights went through a model, or
    torch.load(weights_only=True) does not read the file."""
    options, choice = request.options, request.model
    assert isinstance(options, CastOptions)
    checkpoint = open_checkpoint(choice.checkpoint)
    safe = checkpoint.format == "torch-zip" and not globals_that_run(checkpoint)
    if choice.source.source != SourceKind.FILE or not safe:
        return ""
    section = choice.weights.section
    path = default_section(checkpoint) if section is None else section
    places = "".join(f"[{key!r}]" for key in path or ())
    left = [*request.left.patterns, *request.left.names]
    lines = [
        f"# Casts {Path(choice.checkpoint).name!a} to {options.dtype}.",
        *(["from fnmatch import fnmatchcase", ""] if left else []),
        "import torch",
        *(["from safetensors.torch import save_file"] if _is_safetensors(request) else []),
        "",
        f"weights = torch.load({os.path.abspath(choice.checkpoint)!r}, "
        f'map_location="cpu", weights_only=True){places}',
    ]
    if left:
        lines.append(f"left = {left!r}  # of keys, or of the layers before their last dot")
    lines += [
        "for key, value in weights.items():",
        f"    wider = torch.is_tensor(value) and value.is_floating_point() "
        f"and value.itemsize > torch.{options.dtype}.itemsize",
    ]
    if left:
        lines += [
            '    names = (key, key.rpartition(".")[0])',
            "    wider &= not any(fnmatchcase(name, each) for name in names for each in left)",
        ]
    lines += ["    if wider:", f"        weights[key] = value.to(torch.{options.dtype})"]
    if _is_safetensors(request):
        whole = "{key: each.contiguous().clone() for key, each in weights.items()}"
        lines.append(f"save_file({whole}, {request.target!r})")
    else:
        lines.append(f"torch.save(weights, {request.target!r})")
    return "\n".join([*lines, ""])


def _is_safetensors(request: Quantize) -> bool:
    return request.name.lower().endswith(".safetensors")
