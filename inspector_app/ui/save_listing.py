"""What a plan to save does, key by key, and what makes the difference in size."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from glob import escape
from math import prod

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.output_tree import OutTensor
from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.save_notes import Left, PlannedTensor, Why
from inspector_app.analysis.save_options import SaveOptions
from inspector_app.analysis.save_plan import SavePlan
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import Checkpoint, SectionKind, TensorInfo, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.save_preview import Fate, PreviewRow
from inspector_app.ui.save_words import changed_text, note_text, why_text
from inspector_app.ui.section_words import section_words
from inspector_app.ui.tree_columns import shape_text

_ROWS_A_STEP = 300
_MOST_PHRASES = 4
_translate = QCoreApplication.translate


@dataclass(slots=True)
class Listing:
    """
    Attributes:
        rows: what is written, in its order, then what is not.
        counts: of keys, by `Fate`.
        said: what makes the difference in size, a phrase each.
        dropped: what the patterns leave out, in words, or "".
        cast: what casting does to the size, in words, or "".
        unmatched: patterns that match no key, in words, or "": of keys, and of dtypes.
        lost: tensors that were wanted and cannot be written, in words, or "".
    """

    rows: list[PreviewRow] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    dropped: str = ""
    cast: str = ""
    unmatched: tuple[str, str] = ("", "")
    lost: str = ""


def listing(plan: SavePlan, options: SaveOptions) -> Generator[None, None, Listing]:
    """Put a plan, made with `options`, into words, in steps."""
    found = Listing()
    tensors = plan.checkpoints[0].tensors
    mine = yield from _unmatched([*options.keep, *options.drop], tensors)
    theirs = yield from _unmatched([rule.pattern for rule in options.dtypes], tensors)
    found.unmatched = (mine, theirs)
    sections = _section_names(plan.checkpoints[0])
    changes = {each.name: changed_text(each.what, each.details) for each in plan.changed}
    before_cast = after_cast = 0
    for number, planned in enumerate(plan.tensors):
        if number % _ROWS_A_STEP == 0:
            yield
        row = _row(planned, sections, changes)
        if planned.source.dtype != planned.tensor.dtype:
            before_cast += planned.source.nbytes
            after_cast += row.nbytes
        found.rows.append(row)
        found.counts[row.fate] += 1
    for name, written in plan.aliases:
        why = _translate("SaveListing", "tied to {key}, which has the bytes")
        found.rows.append(PreviewRow(Fate.KEPT, name, name, why.format(key=plain(written, 80)), 0))
        found.counts[Fate.KEPT] += 1
    named = {row.old for row in found.rows}
    for each in plan.changed:
        if each.name not in named and each.name.rpartition("/")[2] not in named:
            found.rows.append(PreviewRow(Fate.CHANGED, each.name, each.name, changes[each.name], 0))
            found.counts[Fate.CHANGED] += 1
    parts: Counter[str] = Counter()
    dropped_tensors = dropped_bytes = 0
    for number, left in enumerate(plan.left):
        if number % _ROWS_A_STEP == 0:
            yield
        found.rows.append(_left_row(left))
        found.counts[Fate.DROPPED] += 1
        if left.why == Why.DROPPED and left.name not in sections:
            dropped_tensors += left.tensors
            dropped_bytes += left.nbytes
        elif left.why in {Why.NOT_CHOSEN, Why.REPLACED, Why.DROPPED}:
            parts[sections.get(_section_of(left.name, sections), "")] += left.nbytes
    found.said = _phrases(parts)
    if dropped_tensors:
        found.dropped = _translate("SaveListing", "{n} tensors are left out, {size}").format(
            n=count_text(dropped_tensors), size=size_text(dropped_bytes)
        )
        found.said.append(found.dropped)
    if before_cast:
        found.cast = _translate("SaveListing", "casting: {before} become {after}").format(
            before=size_text(before_cast), after=size_text(after_cast)
        )
        found.said.append(found.cast)
    lost = sum(each.tensors for each in plan.lost_tensors)
    if lost:
        why = plan.lost_tensors[0]
        text = _translate("SaveListing", "{n} tensors cannot be written: {why}")
        found.lost = text.format(n=count_text(lost), why=why_text(why.why, why.details))
    return found


def _row(planned: PlannedTensor, sections: dict[str, str], changes: dict[str, str]) -> PreviewRow:
    source, made = planned.source, planned.tensor
    shape, dtype = shape_text(made.shape), plain(made.dtype, 40)
    if source.dtype != made.dtype:
        dtype = f"{plain(source.dtype, 40)} → {dtype}"
    name = source.name
    section = _section_of(name, sections)
    # A part that becomes the whole file loses its name, and nobody calls that renamed.
    old = name
    if section and not planned.name.startswith(f"{section}/"):
        old = name[len(section) + 1 :]
    why = "; ".join(filter(None, (changes.get(name, ""), note_text(planned.note))))
    changed = source.dtype != made.dtype or bool(why)
    fate = Fate.CHANGED if changed else Fate.KEPT if old == planned.name else Fate.RENAMED
    form = " · ".join(filter(None, (shape, dtype, why)))
    return PreviewRow(fate, old, planned.name, form, nbytes_of(made))


def nbytes_of(made: OutTensor) -> int:
    """Bytes of the elements of what is written; of its parts where it is made of such."""
    if made.parts:
        return sum(map(nbytes_of, made.parts.values()))
    dtype = DTYPES.get(made.dtype)
    return (prod(made.shape) * dtype.bits + 7) // 8 if dtype else 0


def _left_row(left: Left) -> PreviewRow:
    form = ""
    if left.tensors > 1:
        form = _translate("SaveListing", "{n} tensors").format(n=count_text(left.tensors))
    form = " · ".join(filter(None, (form, why_text(left.why, left.details))))
    return PreviewRow(Fate.DROPPED, left.name, "", form, left.nbytes)


def _section_names(checkpoint: Checkpoint) -> dict[str, str]:
    return {"/".join(map(str, each.path)): each.kind for each in checkpoint.sections if each.path}


def _section_of(name: str, sections: dict[str, str]) -> str:
    """The innermost section that a name is in, or ""."""
    while name and name not in sections:
        name = name.rpartition("/")[0]
    return name


def _phrases(parts: Counter[str]) -> list[str]:
    """``optimizer state 804 MB left out``, the largest first."""
    named = []
    for kind, nbytes in parts.most_common(_MOST_PHRASES):
        if kind == SectionKind.OPTIMIZER:
            what = _translate("SaveListing", "optimizer state")
        elif kind:
            words = section_words(kind)
            what = words[:1].lower() + words[1:]
        else:
            what = _translate("SaveListing", "other values")
        if nbytes:
            named.append(f"{what} {size_text(nbytes)}")
    if not named:
        return []
    return [_translate("SaveListing", "{parts} left out").format(parts=", ".join(named))]


def _unmatched(
    patterns: Sequence[str], tensors: Sequence[TensorInfo]
) -> Generator[None, None, str]:
    """Which of the patterns match neither the name nor the key of any tensor, in words."""
    left = {pattern: re.compile(translate(pattern)).match for pattern in patterns if pattern}
    for number, tensor in enumerate(tensors if left else ()):
        if number % _ROWS_A_STEP == 0:
            yield
        names = (tensor.name, str(tensor.key))
        for pattern, matches in list(left.items()):
            if any(map(matches, names)):
                del left[pattern]
        if not left:
            break
    # Whole parts are left out by their names, which are no tensors' names.
    named = ", ".join(plain(each, 60) for each in left if not _is_of_part(each, tensors))
    text = _translate("SaveListing", "{patterns}: no key of the file is like this")
    return text.format(patterns=named) if named else ""


def _is_of_part(pattern: str, tensors: Sequence[TensorInfo]) -> bool:
    if not tensors:
        return False
    root = tensors[0].parent
    while root is not None and root.parent is not None:
        root = root.parent
    return root is not None and any(escape(str(child.key)) == pattern for child in root.children)


def common_prefixes(keys: list[str]) -> list[str]:
    """What all of these keys begin with, up to a dot, the shortest first."""
    if not keys:
        return []
    least, most = min(keys), max(keys)
    shared = 0
    while shared < min(len(least), len(most)) and least[shared] == most[shared]:
        shared += 1
    return [least[: at + 1] for at in range(shared) if least[at] == "."]


def model_keys(checkpoint: Checkpoint, sections: list[TreePath]) -> list[str]:
    """The keys of the tensors right in these parts."""
    wanted = {id(checkpoint.find(path)) for path in sections}
    return [str(each.key) for each in checkpoint.tensors if id(each.parent) in wanted]
