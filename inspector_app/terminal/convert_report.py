"""What `convert` says: as text and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.save_notes import Changed, Left, what_sentence, why_sentence
from inspector_app.checkpoint.text import plain

if TYPE_CHECKING:
    from inspector_app.analysis.save_plan import SavePlan
    from inspector_app.saving.save import Saved
    from inspector_app.terminal.style import Style

_SHOWN = 20
_NOTES = {
    "cast": "cast",
    "average": "averaged",
    "ema": "of the moving average",
    "taken": "taken",
    "fitted": "fitted",
    "initialised": "made anew",
}


def text_parts(
    plan: SavePlan,
    saved: Saved | None,
    style: Style,
    wrong_only: bool = False,
    clean: bool = False,
) -> Iterator[str]:
    """A line for what is written, then what is not, and what in another form.

    Args:
        clean: what was written has been read again, and names nothing outside the allowlist.
    """
    left = plan.lost_tensors if wrong_only else list(plan.left)
    if not wrong_only:
        yield from _head(plan, saved, style)
    if clean:
        yield "  nothing outside the allowlist of torch.load(weights_only=True)\n"
    yield from _left_lines(left, style)
    if not wrong_only:
        yield from _changed_lines(plan, style)
    if saved is not None:
        lines = [
            f"{plain(each.name)}: {count_text(each.count)} finite values are too large for "
            f"{each.dtype}"
            for each in saved.overflows
        ]
        yield from _some(lines, style.warning("too large:"))


def _head(plan: SavePlan, saved: Saved | None, style: Style) -> Iterator[str]:
    if saved is None:
        name, nbytes, what = plan.target, plan.written_bytes, "would be written, about "
    else:
        name, nbytes, what = saved.files[0], saved.nbytes, ""
    count = len(plan.tensors)
    tensors = f"{count_text(count)} tensor{'s' * (count != 1)}"
    more = f" in {len(saved.files) - 1} files" if saved and len(saved.files) > 1 else ""
    yield f"{style.bold(plain(name))}: {tensors}, {what}{size_text(nbytes)}{more}\n"
    difference = plan.source_bytes - nbytes
    if difference:
        how = "smaller" if difference > 0 else "larger"
        whose = plan.checkpoints[0].path if len(plan.checkpoints) == 1 else "all that was read"
        yield f"  {size_text(abs(difference))} {how} than {plain(whose)}\n"
    for note, times in Counter(each.note for each in plan.tensors if each.note).items():
        yield f"  {count_text(times)} {_NOTES[note]}\n"


def _left_lines(left: list[Left], style: Style) -> Iterator[str]:
    chosen = [each for each in left if each.chosen]
    lost = [each for each in left if not each.chosen]
    for title, group in (("left out:", chosen), (style.warning("not written:"), lost)):
        yield from _some([_left_line(each) for each in group], title)


def _left_line(each: Left) -> str:
    held = ""
    if each.tensors:
        many = f"{count_text(each.tensors)} tensor{'s' * (each.tensors != 1)}"
        held = f" ({many}, {size_text(each.nbytes)})"
    return f"{plain(each.name) or 'the file'}{held}: {why_sentence(each)}"


def _changed_lines(plan: SavePlan, style: Style) -> Iterator[str]:
    lines = [_changed_line(each) for each in plan.changed]
    yield from _some(lines, "in another form:")
    same = [f"{plain(alias)} is {plain(kept)}" for alias, kept in plan.aliases]
    yield from _some(same, "written once, the metadata has the other name:")


def _changed_line(each: Changed) -> str:
    return f"{plain(each.name) or 'the file'}: {what_sentence(each)}"


def _some(lines: list[str], title: str) -> Iterator[str]:
    if not lines:
        return
    yield f"  {title}\n"
    for line in lines[:_SHOWN]:
        yield f"    {line}\n"
    if len(lines) > _SHOWN:
        yield f"    and {count_text(len(lines) - _SHOWN)} more; --json lists them all\n"


def json_parts(plan: SavePlan, saved: Saved | None, clean: bool = False) -> Iterator[str]:
    """One object, with a newline at its end. Of a clean copy that was written it says so."""
    yield (
        json.dumps(
            {
                "schema": 1,
                "sources": [checkpoint.path for checkpoint in plan.checkpoints],
                "target": plan.target,
                "format": plan.form,
                "written": saved is not None,
                "files": list(saved.files) if saved else [],
                "source_bytes": plan.source_bytes,
                "file_bytes": saved.nbytes if saved else None,
                "planned_bytes": plan.written_bytes,
                "tensors": [
                    {
                        "name": each.name,
                        "source": each.source.name,
                        "shape": list(each.tensor.shape),
                        "dtype": each.tensor.dtype,
                        "from_dtype": each.source.dtype,
                        "note": each.note or None,
                    }
                    for each in plan.tensors
                ],
                "left": [
                    {
                        "name": each.name,
                        "why": each.why,
                        "message": why_sentence(each),
                        "chosen": each.chosen,
                        "tensors": each.tensors,
                        "nbytes": each.nbytes,
                    }
                    for each in plan.left
                ],
                "changed": [
                    {"name": each.name, "what": each.what, "message": what_sentence(each)}
                    for each in plan.changed
                ],
                "aliases": [{"name": alias, "is": kept} for alias, kept in plan.aliases],
                "overflows": [
                    {"name": each.name, "dtype": each.dtype, "count": each.count}
                    for each in (saved.overflows if saved else ())
                ],
                **({"clean": saved is not None} if clean else {}),
            },
            separators=(",", ":"),
            allow_nan=False,
        )
        + "\n"
    )
