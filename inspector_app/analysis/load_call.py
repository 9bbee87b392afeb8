"""The lines that call ``torch.load`` for one file, with what it needs to be allowed."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from inspector_app.analysis.needed_globals import needed_globals, split_global
from inspector_app.analysis.python_text import bracketed, comment, literal
from inspector_app.checkpoint.allowed_globals import names_outside
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.model import Checkpoint, Kind, Node
from inspector_app.checkpoint.text import plain

_NAMED_AT_MOST = 4


@dataclass(frozen=True, slots=True)
class LoadCall:
    """How one file is loaded.

    Attributes:
        imports: modules, or whole import lines that begin with ``from``.
        notes: comment lines that stand before the call.
        manager: the lines of a ``with`` statement around it, or none.
        call: the expression.
    """

    imports: tuple[str, ...]
    notes: tuple[str, ...]
    manager: tuple[str, ...]
    call: str

    def assigned_to(self, target: str, suffix: str = "") -> list[str]:
        """Notes and statement that assign the call, with `suffix` behind it, to `target`."""
        line = f"{target} = {self.call}{suffix}"
        if self.manager:
            return [*self.notes, *self.manager, f"    {line}"]
        return [*self.notes, line]


def import_lines(modules: tuple[str, ...] | list[str]) -> list[str]:
    """Import lines: the standard library, a blank line, everything else, sorted."""
    lines = sorted({each if each.startswith("from ") else f"import {each}" for each in modules})
    standard = [line for line in lines if _is_standard(line)]
    others = [line for line in lines if not _is_standard(line)]
    return [*standard, *([""] if standard and others else []), *others]


def _is_standard(line: str) -> bool:
    return line.split()[1].split(".", maxsplit=1)[0] in sys.stdlib_module_names


def whole_models(checkpoint: Checkpoint) -> list[Node]:
    """The pickled modules that torch.load would have to build, outermost sections first."""
    if checkpoint.format not in ("torch-zip", "torch-legacy", "torch-tar", "pickle"):
        return []
    found = [] if checkpoint.root.kind != Kind.MODULE else [checkpoint.root]
    for section in checkpoint.sections:
        node = checkpoint.find(section.path)
        if node is not None and node.kind == Kind.MODULE and node is not checkpoint.root:
            found.append(node)
    return found


def discouraged(checkpoint: Checkpoint) -> Problem | None:
    """Why the way this file was saved is discouraged, or None if it is not."""
    models = whole_models(checkpoint)
    if not models:
        return None
    modules = {split_global(name)[0] for name in names_outside(checkpoint)}
    # Other people's modules first: they are the ones that will be missing.
    ordered = sorted(modules, key=lambda name: (name.startswith("torch."), name))
    shown = ", ".join(plain(name, 60) for name in ordered[:_NAMED_AT_MOST])
    if len(ordered) > _NAMED_AT_MOST:
        shown += f" and {len(ordered) - _NAMED_AT_MOST} more"
    return Problem(
        "pickled-model",
        models[0].name,
        {"model": models[0].type_name, "modules": shown or "its class"},
    )


def shards(checkpoint: Checkpoint) -> list[str]:
    """The files of a sharded checkpoint that have tensors, in order; else none."""
    files = (tensor.storage.file for tensor in checkpoint.tensors if tensor.storage is not None)
    return [file for file in dict.fromkeys(files) if file]


def problem_note(checkpoint: Checkpoint) -> list[str]:
    """A comment on what is wrong with the file, which its library may refuse."""
    if not checkpoint.problems:
        return []
    first = plain(checkpoint.problems[0].message, 120)
    count = len(checkpoint.problems)
    problems = "a problem" if count == 1 else f"{count} problems, the first being"
    return comment(f"This file may be refused, it has {problems}: {first}")


def torch_load(checkpoint: Checkpoint, path: str = "", mmap: bool = False) -> LoadCall:
    """The call for a file that ``torch.save`` wrote; `path` is an expression for another."""
    needed = needed_globals(checkpoint)
    notes = problem_note(checkpoint)
    weights_only = True
    reason = discouraged(checkpoint)
    if needed.refused:
        notes += comment(
            f"weights_only=True refuses this file: it names {_some(needed.refused)}, which is no"
            " known type of data. With False, torch would import and call what the file says."
        )
    elif reason is not None:
        notes += comment(f"{reason.message[:1].upper()}{reason.message[1:]}.")
        notes += comment("weights_only=False runs code from the file: only for one you trust.")
        weights_only = False
    elif needed.functions:
        notes += comment(
            f"weights_only=True refuses {_some(needed.functions)}. With False torch imports and"
            " calls what the file names: only for a file whose maker you trust."
        )
        weights_only = False
    elif checkpoint.format == "torch-tar":
        notes += comment(
            "torch.load cannot read tar files of torch before 0.1.10 with weights_only=True;"
            " with False it runs what the file says: only for a file whose maker you trust."
        )
        weights_only = False
    imports = ["torch"]
    manager: list[str] = []
    if weights_only and not needed.refused:
        imports += needed.imports
        if needed.foreign:
            notes += comment(
                f"{_some(needed.foreign)}: code of other packages, which must be importable."
            )
        if needed.entries:
            manager = bracketed(
                "with torch.serialization.safe_globals(", list(needed.entries), "):"
            )
    options = f'map_location="cpu", weights_only={weights_only}'
    if mmap and checkpoint.format == "torch-zip":
        options += ", mmap=True"
    call = f"torch.load({path or literal(checkpoint.path)}, {options})"
    return LoadCall(tuple(imports), tuple(notes), tuple(manager), call)


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(plain(name, 80) for name in names[:_NAMED_AT_MOST])
    rest = len(names) - _NAMED_AT_MOST
    return f"{shown} and {rest} more" if rest > 0 else shown
