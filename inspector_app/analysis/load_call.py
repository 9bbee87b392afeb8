"""The lines that call ``torch.load`` for one file, with what it needs to be allowed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from inspector_app.analysis.needed_globals import NeededGlobals, needed_globals, split_global
from inspector_app.analysis.python_text import bracketed, comment, literal
from inspector_app.checkpoint.allowed_globals import names_outside
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.model import Checkpoint, Kind, Node
from inspector_app.checkpoint.text import plain

_NAMED_AT_MOST = 4
_WELL_KNOWN = ("torch.ao.", "torch.nn.", "torch.optim.", "torch.torch_version.", "torchao.")
# torch's own machine lacks the opcodes of protocol 4.
_NEWEST_PROTOCOL = 3


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
    lines = {each if each.startswith("from ") else f"import {each}" for each in modules}
    ordered = sorted(lines, key=lambda line: (line.startswith("from "), line))
    standard = [line for line in ordered if _is_standard(line)]
    others = [line for line in ordered if not _is_standard(line)]
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
    if len(checkpoint.files) < 2:
        return []
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


def torch_load(
    checkpoint: Checkpoint, path: str = "", mmap: bool = False, brief: bool = False
) -> LoadCall:
    """The call for a file that ``torch.save`` wrote.

    Args:
        checkpoint: the file.
        path: an expression for another file that is loaded in the same way.
        mmap: map the file, where its format allows that, so that only what is used is read.
        brief: leave out why a whole model is a bad way to save.
    """
    needed = needed_globals(checkpoint)
    notes = problem_note(checkpoint)
    reason = discouraged(checkpoint)
    if reason is not None and not brief:
        notes += comment(f"{reason.message[:1].upper()}{reason.message[1:]}.")
    obstacle = "" if needed.refused else _obstacle(checkpoint, needed, reason is not None)
    weights_only = not obstacle
    if needed.refused:
        notes += comment(
            f"weights_only=True refuses this file: it names {some(needed.refused)}, which is no"
            " known type of data. With False, torch would import and call what the file says."
        )
    elif obstacle:
        notes += comment(
            f"weights_only=True cannot load {obstacle}. With False, torch imports and calls what"
            " the file names: only for a file whose maker you trust."
        )
    imports = ["torch"]
    manager: list[str] = []
    if weights_only and not needed.refused:
        imports += needed.imports
        foreign = [name for name in needed.foreign if not name.startswith(_WELL_KNOWN)]
        if foreign:
            notes += comment(
                f"This allows the file to make objects of {some(foreign)}, whose code has to be"
                " installed: only for a file whose maker you trust."
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


def _obstacle(checkpoint: Checkpoint, needed: NeededGlobals, whole_model: bool) -> str:
    """What keeps ``weights_only=True`` from loading the file whatever is allowed, or ""."""
    if whole_model:
        return "pickled models"
    if needed.functions:
        return some(needed.functions)
    if needed.unfillable:
        return f"what is in {some(needed.unfillable)}"
    if checkpoint.format == "torch-tar":
        return "tar files of torch before 0.1.10"
    protocol = checkpoint.metadata.get("pickle_protocol", "2")
    if protocol.isdecimal() and int(protocol[:9]) > _NEWEST_PROTOCOL:
        return f"a pickle of protocol {protocol[:9]}"
    return ""


def some(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more there are."""
    shown = ", ".join(plain(name, 80) for name in names[:_NAMED_AT_MOST])
    rest = len(names) - _NAMED_AT_MOST
    return f"{shown} and {rest} more" if rest > 0 else shown
