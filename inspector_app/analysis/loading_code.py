"""Python lines that load a checkpoint properly.

The lines are for people to paste: they run as they stand once ``model`` (and for
`resume_code` the optimizer and its kin) exist, and never replace these. Everything that
comes from the file is inside a `repr` or a one-line comment.
"""

from __future__ import annotations

from inspector_app.analysis.access import access
from inspector_app.analysis.foreign_formats import (
    exported_program_lines,
    onnx_lines,
    raw_pickle_lines,
    safetensors_lines,
    torchscript_lines,
)
from inspector_app.analysis.load_call import (
    discouraged,
    import_lines,
    shards,
    torch_load,
)
from inspector_app.analysis.model_lines import (
    LoadedPart,
    is_lightning,
    model_parts,
    whole_model_lines,
)
from inspector_app.analysis.python_text import bracketed, comment, literal
from inspector_app.analysis.resume_code import resume_code
from inspector_app.analysis.state_dict_keys import HEADER, METADATA, change_lines, key_changes
from inspector_app.analysis.tensor_line import tensor_line
from inspector_app.checkpoint.model import Checkpoint, Kind, SectionKind
from inspector_app.checkpoint.text import plain

__all__ = ["discouraged", "discouraged_reason", "loading_code", "resume_code", "tensor_line"]

_WRITERS = {
    "safetensors": safetensors_lines,
    "torchscript": torchscript_lines,
    "torch-export": exported_program_lines,
    "onnx": onnx_lines,
    "pickle": raw_pickle_lines,
}


def loading_code(checkpoint: Checkpoint) -> str:
    """Lines that load the file and put its weights into ``model``, ready for inference.

    With several models in the file each has a variable named after its key.
    """
    writer = _WRITERS.get(checkpoint.format, _saved_by_torch)
    return "\n".join(writer(checkpoint)) + "\n"


def discouraged_reason(checkpoint: Checkpoint) -> str | None:
    """Why the way this file was saved is discouraged: an English sentence, or None."""
    problem = discouraged(checkpoint)
    if problem is None:
        return None
    return f"{problem.message[:1].upper()}{problem.message[1:]}."


def _saved_by_torch(checkpoint: Checkpoint) -> list[str]:
    if shards(checkpoint):
        return _sharded(checkpoint)
    load = torch_load(checkpoint)
    parts = model_parts(checkpoint)
    lines = [*import_lines(load.imports), ""]
    if [part.expression for part in parts] == ["checkpoint"] and not parts[0].whole:
        # A bare state_dict needs no name for what is around it.
        return [*lines, *load.assigned_to("state_dict"), *_into_model(parts[0], taken=True)]
    lines += load.assigned_to("checkpoint")
    for part in parts:
        lines += ["", *(whole_model_lines(part) if part.whole else _into_model(part))]
    rest = _what_else(checkpoint)
    return [*lines, *(["", *rest] if rest else [])]


def _sharded(checkpoint: Checkpoint) -> list[str]:
    load = torch_load(checkpoint, path="shard")
    lines = [*import_lines(load.imports), ""]
    lines.append("state_dict = {}")
    lines += bracketed("for shard in ", [literal(path) for path in shards(checkpoint)], ":")
    lines += [f"    {line}" for line in load.assigned_to("part")]
    lines.append("    state_dict.update(part)")
    part = LoadedPart("model", "state_dict", checkpoint.root)
    return [*lines, *_into_model(part, taken=True, ignored=HEADER)]


def _into_model(part: LoadedPart, taken: bool = False, ignored: str = METADATA) -> list[str]:
    """Lines from the state_dict to a model that holds it; `taken` if it has its name."""
    lines = [] if taken else [f"state_dict = {part.expression}"]
    lines += change_lines(key_changes(part.node, (ignored,)))
    lines += ["", f"# {part.name} = YourModel(...)"]
    lines += [f"{part.name}.load_state_dict(state_dict)", f"{part.name}.eval()"]
    return lines


def _what_else(checkpoint: Checkpoint) -> list[str]:
    """Comments on the parts that the lines above do not load."""
    lines: list[str] = []
    if checkpoint.root.kind == Kind.TENSOR:
        lines.append("tensor = checkpoint")
    kinds = {section.kind for section in checkpoint.sections}
    for section in checkpoint.sections:
        node = checkpoint.find(section.path)
        expression = access("checkpoint", node) if node is not None else None
        if expression is None:
            continue
        if section.kind == SectionKind.EMA and SectionKind.MODEL in kinds:
            lines += comment(f"The averaged weights (EMA) are in {plain(expression)}")
        elif section.kind == SectionKind.HYPER_PARAMETERS:
            lines += comment(f"The hyper-parameters are in {plain(expression)}")
        elif not kinds & {SectionKind.MODEL, SectionKind.EMA}:
            lines += comment(f"The {section.kind} state is {plain(expression)}")
    if is_lightning(checkpoint):
        # Their own call also restores the hyper-parameters.
        lines += ["# With Lightning:"]
        lines += [f"# model = YourModule.load_from_checkpoint({literal(checkpoint.path)})"]
    return lines
