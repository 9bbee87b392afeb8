"""Reports of the program's own faults: made of where it was, kept here, never sent anywhere.

A report has the program's surroundings and the places in its code. Of what a file holds it has
nothing but what the error's own sentence says, shortened; its reader sees all of it.
"""

from __future__ import annotations

import os
import re
import traceback
from contextlib import suppress
from types import TracebackType

from inspector_app.checkpoint.text import plain
from inspector_app.environment import environment_lines, homeless, report_text
from inspector_app.ui import state_folder

MOST_KEPT = 20
_FOLDER = "reports"
_NAME = re.compile(r"report-(\d{6})\.txt")
_LONGEST_SENTENCE = 500
_MOST_FRAMES = 40
_LONGEST_LOG = 20_000
_LINE = re.compile(r'(File ")([^"\n]+)(")')


def fault_text(error: BaseException, thread: str = "") -> str:
    """The report of an exception that nobody expected, but for `with_surroundings`.

    Asks nothing of Qt: it may be any thread's.

    Args:
        thread: the name of the thread that it ended, "" for the window's.
    """
    parts = [sentence(error)]
    if thread:
        parts.append(f"In the thread {plain(thread, 100)}.")
    parts.append(_places(error))
    for name, other in (("Caused by", error.__cause__), ("While handling", error.__context__)):
        hidden = name != "Caused by" and (error.__suppress_context__ or error.__cause__)
        if other is not None and not hidden:
            parts.append(f"{name} {sentence(other)}\n{_places(other)}")
    return "\n\n".join(["A fault of the program", *filter(None, parts)])


def crash_text(log: str) -> str:
    """The report of a process that died, from what Python wrote down of where it was."""
    lines = [plain(line, 400) for line in log[:_LONGEST_LOG].splitlines()]
    return "\n".join(["The program crashed", "", *map(_without_home, lines)])


def with_surroundings(text: str) -> str:
    """A report, and below it what the program and its window run on."""
    lines = environment_lines()
    with suppress(Exception):  # a report of less is still a report
        from inspector_app.ui.environment_report import window_lines

        lines[2:2] = window_lines()
    return f"{text}\n\n{report_text(lines)}"


def sentence(error: BaseException) -> str:
    """What kind of error it is, and what it says, in one line."""
    try:
        said = str(error)
    except Exception as nested:
        said = f"(its text fails: {type(nested).__name__})"
    # A path is shortened as a whole: the home folder names the user.
    said = said.replace(os.path.expanduser("~") + os.sep, "~" + os.sep)
    return plain(f"{type(error).__name__}: {said}", _LONGEST_SENTENCE)


def place_of(trace: TracebackType | None) -> str:
    """Where in our code it was last, or where at all: two alike are the same fault."""
    frames = traceback.extract_tb(trace)
    ours = [each for each in frames if f"{os.sep}inspector_app{os.sep}" in each.filename]
    at = (ours or list(frames))[-1:]
    return "".join(f"{each.filename}:{each.lineno}" for each in at)


def keep(text: str) -> str:
    """Keep a report among the last twenty; returns its path.

    Raises:
        OSError: it cannot be written.
    """
    folder = state_folder.make(_FOLDER)
    numbers = sorted(
        int(match[1]) for name in os.listdir(folder) if (match := _NAME.fullmatch(name))
    )
    number = numbers[-1] + 1 if numbers else 1
    path = os.path.join(folder, f"report-{number % 1_000_000:06d}.txt")
    state_folder.write(path, text.encode("utf-8", "backslashreplace"))
    for old in numbers[: max(len(numbers) + 1 - MOST_KEPT, 0)]:
        with suppress(OSError):
            os.unlink(os.path.join(folder, f"report-{old:06d}.txt"))
    return path


def _places(error: BaseException) -> str:
    """The frames without their lines of source: who reports a fault need not send code."""
    frames = traceback.extract_tb(error.__traceback__)
    shown = frames[-_MOST_FRAMES:]
    lines = [f"  … {len(frames) - len(shown)} more"] if len(shown) < len(frames) else []
    lines += [
        f"  {homeless(frame.filename)}, line {frame.lineno}, in {frame.name}" for frame in shown
    ]
    return "\n".join(lines)


def _without_home(line: str) -> str:
    return _LINE.sub(lambda match: f"{match[1]}{homeless(match[2])}{match[3]}", line)
