"""Writes a report to a file, and never over what was compared."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterable
from contextlib import suppress

from inspector_app.analysis.comparison import Comparison


def refuse_sources(path: str, comparison: Comparison) -> None:
    """Raise an `OSError` where `path` is one of the files that are compared."""
    for checkpoint in (comparison.a, comparison.b):
        for source in (checkpoint.path, *checkpoint.files):
            # Two names may be of one file; a report that is not there yet is none of them.
            with suppress(FileNotFoundError):
                if os.path.samefile(path, source):
                    raise OSError(errno.EEXIST, "it is one of the files that are compared", path)


def writing_report(
    path: str, parts: Iterable[str], comparison: Comparison
) -> Generator[None, None, None]:
    """Write `parts` to `path`, a part a step.

    As `writing` does.

    Raises:
        OSError: it cannot be written, or it is one of the files that are compared.
    """
    refuse_sources(path, comparison)
    yield from writing(path, parts)


def writing(path: str, parts: Iterable[str]) -> Generator[None, None, None]:
    """Write `parts` to `path`, a part a step.

    They go to a file beside it, which takes its place when it is complete. If the generator
    is closed before, or anything fails, nothing is left of it, and what was there stays.

    Raises:
        OSError: it cannot be written.
    """
    target = os.path.abspath(path)
    partial = f"{target}.{os.getpid()}.partial"
    # What UTF-8 lacks, as a lone surrogate of a key, is escaped.
    file = open(partial, "x", encoding="utf-8", errors="backslashreplace", newline="\n")  # noqa: SIM115
    try:
        with file:
            for part in parts:
                file.write(part)
                yield
        os.replace(partial, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial)
