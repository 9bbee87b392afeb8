"""Every checksum that a checkpoint's files state, compared with the bytes: on demand, it reads all.

Zip archives (``torch.save``, TorchScript, ``torch.export``) have a CRC-32 of each entry.
Legacy files, safetensors and pickles have none, and a report says so.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass

from inspector_app.checkpoint import zip_checksums, zip_directory
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import CheckpointError, Problem
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Checkpoint, Progress

_MOST_PROBLEMS = 1_000


@dataclass(frozen=True, slots=True)
class ChecksumReport:
    """What was compared.

    Attributes:
        checked: entries whose bytes match a checksum.
        without: entries that state none; of those at least the length was compared.
        read_bytes: how much was read of the files.
        problems: a sentence for each entry that does not match, and for what was not compared.
    """

    checked: int
    without: int
    read_bytes: int
    problems: tuple[Problem, ...]

    @property
    def sentence(self) -> str:
        """The outcome in one English sentence."""
        if self.problems:
            return f"{len(self.problems)} of the checksums were found wrong or not compared"
        if not self.checked:
            return "the file states no checksums"
        return f"all {self.checked} checksums match"


def checking(
    checkpoint: Checkpoint, limits: Limits = DEFAULT
) -> Generator[Progress, None, ChecksumReport]:
    """Compare all entries of all archives that `checkpoint` consists of.

    Yields progress in bytes every millisecond or two.
    """
    checked = without = done = 0
    problems: list[Problem] = []
    total = sum(map(_length, checkpoint.files))
    for path in checkpoint.files:
        own = path == checkpoint.path
        before = done
        try:
            with ByteSource(path) as source:
                if not zip_directory.recognise(source):
                    continue
                limit = source.size
                directory = yield from zip_directory.reading(
                    source, limits._replace(checked_headers=0)
                )
                for index, record in enumerate(directory.order):
                    if done - before > limit:
                        # Entries that overlap, each of which may be as long as the file.
                        count = len(directory.order) - index
                        where = "" if own else os.path.basename(path)
                        problems.append(Problem("unchecked", where, {"count": count}))
                        break
                    steps = zip_checksums.verifying(directory, record)
                    found: list[Problem] = []
                    while True:
                        try:
                            done += next(steps)
                        except StopIteration as end:
                            found = end.value
                            break
                        yield Progress("checksums", done, total)
                    if found:
                        problems += found if own else [_in(path, problem) for problem in found]
                    elif record.crc32:
                        checked += 1
                    else:
                        without += 1
                    if index % 100 == 0:
                        yield Progress("checksums", done, total)
        except CheckpointError as error:
            where = error.where if own else f"{os.path.basename(path)}: {error.where}"
            problems.append(Problem(error.code, where.removesuffix(": "), error.details))
    if len(problems) > _MOST_PROBLEMS:
        problems[_MOST_PROBLEMS:] = [Problem("more-problems", "", {"limit": _MOST_PROBLEMS})]
    return ChecksumReport(checked, without, done, tuple(problems))


def _in(path: str, problem: Problem) -> Problem:
    return Problem(problem.code, f"{os.path.basename(path)}: {problem.where}", problem.details)


def _length(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
