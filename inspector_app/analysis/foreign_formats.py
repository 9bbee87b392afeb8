"""Lines that load what ``torch.load`` does not: safetensors, TorchScript, ``.pt2``, ONNX
and raw pickles."""

from __future__ import annotations

from inspector_app.analysis.load_call import import_lines, problem_note, shards, some
from inspector_app.analysis.needed_globals import needed_globals
from inspector_app.analysis.python_text import bracketed, comment, literal
from inspector_app.analysis.state_dict_keys import HEADER, change_lines, key_changes
from inspector_app.checkpoint.allowed_globals import names_outside
from inspector_app.checkpoint.model import Checkpoint


def safetensors_lines(checkpoint: Checkpoint) -> list[str]:
    """The weights of a safetensors file, or of all shards, into ``model``."""
    files = shards(checkpoint)
    changes = change_lines(key_changes(checkpoint.root, ignored=(HEADER,)))
    imports = ["from safetensors.torch import load_file"]
    if any("torch." in line for line in changes):
        imports.append("torch")
    lines = [*import_lines(imports), "", *problem_note(checkpoint)]
    if files and files != [checkpoint.path]:
        lines.append("state_dict = {}")
        lines += bracketed("for shard in ", [literal(file) for file in files], ":")
        lines.append('    state_dict.update(load_file(shard, device="cpu"))')
    else:
        lines.append(f'state_dict = load_file({literal(checkpoint.path)}, device="cpu")')
    lines += [*changes, "", "# model = YourModel(...)"]
    return [*lines, "model.load_state_dict(state_dict)", "model.eval()"]


def torchscript_lines(checkpoint: Checkpoint) -> list[str]:
    """The program itself: TorchScript brings its model along."""
    lines = ["import torch", "", *problem_note(checkpoint)]
    lines += comment("The file holds the program, too: running the model runs code from the file.")
    lines.append(f'model = torch.jit.load({literal(checkpoint.path)}, map_location="cpu")')
    return [*lines, "model.eval()", "state_dict = model.state_dict()"]


def exported_program_lines(checkpoint: Checkpoint) -> list[str]:
    """The exported program and a callable module made of it."""
    lines = ["import torch", "", *problem_note(checkpoint)]
    lines.append(f"program = torch.export.load({literal(checkpoint.path)})")
    lines.append("state_dict = program.state_dict")
    return [*lines, "model = program.module()  # as it was exported: it has no train() or eval()"]


def onnx_lines(checkpoint: Checkpoint) -> list[str]:
    """The initializers as arrays, and in comments how to run the graph."""
    path = literal(checkpoint.path)
    lines = ["import onnx", "from onnx import numpy_helper", "", *problem_note(checkpoint)]
    lines.append(f"graph = onnx.load({path}).graph")
    lines.append("weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}")
    lines += ["", "# To run it:", "# import onnxruntime"]
    session = f'onnxruntime.InferenceSession({path}, providers=["CPUExecutionProvider"])'
    # One line whatever the path holds: repr leaves no line ends.
    return [*lines, f"# session = {session}"]


def raw_pickle_lines(checkpoint: Checkpoint) -> list[str]:
    """A pickle that torch.save did not write."""
    return unpickled(checkpoint)


def unpickled(checkpoint: Checkpoint) -> list[str]:
    """Lines that load a raw pickle into ``checkpoint``, with what that does.

    A pickle that names what plain data never needs is not loaded at all.
    """
    notes = problem_note(checkpoint)
    refused = needed_globals(checkpoint).refused
    if refused:
        notes += comment(
            f"Not loaded here: the pickle names {some(refused)}, which is no known type of data."
            " Loading it would import and call what the file says."
        )
        return [*notes, "checkpoint = None"]
    names = [each.name for each in checkpoint.globals]
    if names:
        notes += comment(
            f"A raw pickle: loading it imports and calls what it names ({some(names)})."
            " Only for a file whose maker you trust."
        )
    outside = [name for name in names_outside(checkpoint) if name.startswith("numpy.")]
    if names and len(outside) == len(names):
        notes += comment("It holds numpy data; numpy.savez or safetensors would need no pickle.")
    path = literal(checkpoint.path)
    imports = ["import pickle", ""]
    return [
        *imports,
        *notes,
        f'with open({path}, "rb") as file:',
        "    checkpoint = pickle.load(file)",
    ]
