"""The lines of the copied program that build the model and give it its weights."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path

from inspector_app.checkpoint.model import Checkpoint, Kind, Node, TensorInfo
from inspector_app.worker.code_source import package_of, split_spec
from inspector_app.worker.consent import globals_that_run
from inspector_app.worker.protocol import LoadReport, ModelChoice, SourceKind
from inspector_app.worker.suggestions import default_section, pickled_model

_STANDARD = ("import importlib.util", "import os", "import re", "import sys", "import tempfile")
_TORCH_FORMATS = ("torch-zip", "torch-legacy", "torch-tar")


class NoScript(Exception):
    """There is no short program for this; the text says why."""


@dataclass(slots=True)
class Program:
    """A program under way: `imports` and the lines of its `body`."""

    imports: set[str]
    body: list[str]

    def need(self, *statements: str) -> None:
        self.imports.update(statements)

    def add(self, *lines: str) -> None:
        self.body.extend(lines)

    def text(self, first: str) -> str:
        """The whole program, `first` as a comment at its top."""
        own = sorted(each for each in self.imports if each in _STANDARD)
        others = sorted(each for each in self.imports if each not in _STANDARD)
        lines = [f"# {first}", *own, *[""] * bool(own)]
        return "\n".join([*lines, *others, "", *self.body, ""])


# --- the model


def add_model(
    program: Program, choice: ModelChoice, form: str, checkpoint: Checkpoint | None = None
) -> None:
    """The lines that build the model; `checkpoint` tells where in the file it is, where nothing
    was chosen."""
    source = choice.source
    if source.source == SourceKind.CODE:
        _from_code(program, source.spec, source.arguments)
    elif source.source == SourceKind.TRANSFORMERS:
        _from_transformers(program, choice)
    else:
        _from_file(program, choice, form, checkpoint)


def _from_code(program: Program, spec: str, arguments: Mapping[str, object]) -> None:
    source, name = split_spec(spec)
    called = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    if not all(key.isidentifier() and not iskeyword(key) for key in arguments):
        called = f"**{dict(arguments)!r}"
    if not source.endswith(".py"):
        folder, dotted = Path.cwd(), source
    else:
        folder, dotted = package_of(Path(source).absolute())
    program.need("import sys")
    # Before all others, as a script's own folder is, unless it would hide Python's own modules.
    put = "append(" if _hides(folder) else "insert(0, "
    program.add("# Where the model's code lies.", f"sys.path.{put}{str(folder)!r})")
    taken = dotted in sys.stdlib_module_names or dotted in ("torch", "onnx", "transformers")
    if not taken and all(part.isidentifier() for part in dotted.split(".")):
        first, _, rest = name.partition(".")
        program.add(f"from {dotted} import {first}", "")
        program.add(f"model = {first}{rest and '.' + rest}({called})")
        return
    program.need("import importlib.util")
    program.add(
        f"spec = importlib.util.spec_from_file_location('model_source', {source!r})",
        "source = importlib.util.module_from_spec(spec)",
        "spec.loader.exec_module(source)",
        "",
        f"model = source.{name}({called})",
    )


def _hides(folder: Path) -> bool:
    """Whether a file in it is called like a module of the standard library."""
    try:
        return any(each.stem in sys.stdlib_module_names for each in folder.glob("*.py"))
    except OSError:
        return False


def _from_transformers(program: Program, choice: ModelChoice) -> None:
    config = choice.source.spec
    folder = os.path.dirname(os.path.abspath(config or choice.checkpoint))
    if not config and os.path.isdir(choice.checkpoint):
        folder = os.path.abspath(choice.checkpoint)
    trust = ", trust_remote_code=True" if choice.trust else ""
    program.need("import transformers")
    program.add(
        f"config = transformers.AutoConfig.from_pretrained({folder!r}{trust})",
        "config.use_cache = False  # keys and values for the next step are no output",
    )
    asked = choice.source.arguments.get("class")
    name = repr(str(asked)) if asked else "config.architectures[0]"
    program.add(f"model = getattr(transformers, {name})(config)")


def _from_file(
    program: Program, choice: ModelChoice, form: str, checkpoint: Checkpoint | None
) -> None:
    if form == "torch-export":
        program.add("model = torch.export.load(CHECKPOINT).module()")
        return
    if form == "torchscript":
        program.add('model = torch.jit.load(CHECKPOINT, map_location="cpu")')
        return
    if choice.source.spec:
        raise NoScript("classes of __main__ are found by the inspector")
    program.need("import sys")
    folder = str(Path(choice.checkpoint).absolute().parent)
    where = choice.weights.section or ()
    if choice.weights.section is None and checkpoint is not None:
        where = pickled_model(checkpoint) or ()
    section = _place(checkpoint, where)
    program.add(
        f"sys.path.append({folder!r})  # where the code of a pickled model may lie",
        "# This runs code from the file.",
        f'model = torch.load(CHECKPOINT, map_location="cpu", weights_only=False){section}',
    )


def _place(checkpoint: Checkpoint | None, path: Sequence[str | int]) -> str:
    """What leads from the loaded value to the node at `path`."""
    text = ""
    for depth, key in enumerate(path):
        holder = checkpoint.find(path[:depth]) if checkpoint is not None else None
        attribute = holder is not None and holder.kind == Kind.OBJECT
        if attribute and not (isinstance(key, str) and key.isidentifier()):
            raise NoScript("the model is an attribute that no program can name")
        text += f".{key}" if attribute else f"[{key!r}]"
    return text


def moved_to(choice: ModelChoice) -> str:
    parts = [f"device={choice.device!r}"] if choice.device != "cpu" else []
    parts += [f"dtype=torch.{choice.dtype}"] if choice.dtype else []
    return ", ".join(parts)


# --- its weights


def add_weights(
    program: Program, choice: ModelChoice, checkpoint: Checkpoint, report: LoadReport
) -> None:
    weights = choice.weights
    section = default_section(checkpoint) if weights.section is None else weights.section
    node = checkpoint.find(section or ())
    if node is None or node.kind == Kind.MODULE:
        raise NoScript("the weights are those of a pickled module")
    _read(program, checkpoint, section or (), node)
    if weights.renames:
        program.add("renames = {")
        program.add(*(f"    {old!r}: {new!r}," for old, new in weights.renames.items()))
        program.add("}", "weights = {renames.get(key, key): each for key, each in weights.items()}")
    elif report.stripped or report.added or weights.rules:
        added = f"{report.added!r} + " if report.added else ""
        stripped = f".removeprefix({report.stripped!r})" if report.stripped else ""
        key = f"{added}key{stripped}"
        for pattern, replacement in weights.rules:
            program.need("import re")
            key = f"re.sub({pattern!r}, {replacement!r}, {key})"
        program.add(f"weights = {{{key}: each for key, each in weights.items()}}")
    if report.fits:
        program.add("model.load_state_dict(weights)")
        return
    for each in report.mismatched:
        program.add(f"del weights[{each.key!r}]  # another shape: {list(each.checkpoint)}")
    program.add("model.load_state_dict(weights, strict=False)")


def _read(
    program: Program, checkpoint: Checkpoint, section: Sequence[str | int], node: Node
) -> None:
    if checkpoint.format == "safetensors":
        program.need("from safetensors.torch import load_file")
        files = sorted({each.storage.file for each in _tensors(node) if each.storage is not None})
        folder = os.path.abspath(checkpoint.path)
        if not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        if len(files) <= 1 and os.path.isfile(checkpoint.path) and files[:1] != [""]:
            program.add("weights = load_file(CHECKPOINT)")
            return
        program.add("weights = {}", f"for name in {files!r}:")
        program.add("    weights.update(load_file(name))")
        return
    if checkpoint.format not in _TORCH_FORMATS or not os.path.isfile(checkpoint.path):
        raise NoScript(f"weights in the form {checkpoint.format} are read by the inspector alone")
    runs = globals_that_run(checkpoint)
    if runs:
        program.add("# weights_only=True refuses this file; loading it runs code from it.")
    program.add(
        f'weights = torch.load(CHECKPOINT, map_location="cpu", weights_only={not runs})'
        f"{''.join(f'[{key!r}]' for key in section)}"
    )
    if any(not isinstance(each, TensorInfo) for each in node.children if each.key != "_metadata"):
        program.add(
            "weights = {key: each for key, each in weights.items() if torch.is_tensor(each)}"
        )


def _tensors(node: Node) -> list[TensorInfo]:
    return [child for child in node.children if isinstance(child, TensorInfo)]
