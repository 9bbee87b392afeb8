"""The source texts of a file, as much of them as a report has room for."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from inspector_app.analysis.safety_report import SafetyReport
from inspector_app.checkpoint.code_text import CodeTexts
from inspector_app.checkpoint.errors import CheckpointError, UnreadableFile
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.model import Checkpoint, Progress

MOST_TEXTS = 1_000  # that are read; of the others the names are known
MOST_CHARACTERS = 100_000  # of one
MOST_TOGETHER = 2_000_000
_LIMITS = DEFAULT._replace(text_bytes=16 << 20)


class SourceText(NamedTuple):
    """One of them. Name and text are the file's, and go through `checkpoint.text.plain`.

    Attributes:
        name, where: as `safety_report.CodeFound` has them.
        text: its beginning, or None where it cannot be read.
        truncated: there is more of it.
        offset, nbytes: of its bytes in the file, or None.
        trouble: why it cannot be read, or "".
    """

    name: str
    where: str
    text: str | None
    truncated: bool = False
    offset: int | None = None
    nbytes: int | None = None
    trouble: str = ""


def reading_sources(
    checkpoint: Checkpoint, report: SafetyReport
) -> Generator[Progress, None, tuple[SourceText, ...]]:
    """Every text of `report`, in its order, cut to the bounds above.

    Raises:
        UnreadableFile: the file is gone, or has become unreadable.
    """
    made = []
    room = MOST_TOGETHER
    with CodeTexts(checkpoint, _LIMITS) as texts:
        for number, (code, found) in enumerate(zip(checkpoint.code, report.code, strict=True)):
            if number >= MOST_TEXTS or not room:
                made.append(SourceText(found.name, found.where, "", truncated=True))
                continue
            try:
                read = yield from texts.reading(code)
            except UnreadableFile:
                raise
            except CheckpointError as error:
                made.append(SourceText(found.name, found.where, None, trouble=error.message))
                continue
            text = read.text[: min(MOST_CHARACTERS, room)]
            room -= len(text)
            cut = len(text) < len(read.text)
            made.append(SourceText(found.name, found.where, text, cut, read.offset, read.nbytes))
            yield Progress("reading source texts", number, len(report.code))
    return tuple(made)
