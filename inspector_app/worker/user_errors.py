"""Exceptions of other people's code, in words: one line, and the traceback without our frames."""

from __future__ import annotations

import errno
import os
import traceback
from types import TracebackType

from inspector_app.worker.failures import Failed, Failure

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LONGEST_LINE = 600
_LONGEST_TRACEBACK = 40_000


def one_line(error: BaseException) -> str:
    """The exception's class and message in one line of reasonable length."""
    text = " ".join(_message(error).split())
    name = type(error).__name__
    return shortened(f"{name}: {text}" if text else name, _LONGEST_LINE)


def shortened(text: str, limit: int) -> str:
    """The beginning and the end of a long text: both say something."""
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail - 3]} … {text[-tail:]}"


def user_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, from the first frame that is not this program's."""
    try:
        lines = traceback.format_exception(type(error), error, _theirs(error.__traceback__))
        text = "".join(lines)
    except Exception as second:
        # An exception's own __str__ or source line may fail.
        text = f"{type(error).__name__} (its traceback cannot be shown: {type(second).__name__})\n"
    return shortened(text, _LONGEST_TRACEBACK)


def failure_of(code: str, error: BaseException, **details: object) -> Failure:
    """`Failure` of a code whose sentence has ``{error}``; want of memory or room on the disk
    wins over it, for those are what has to be mended."""
    if isinstance(error, Failure):
        return error
    special = _special(error)
    if special is not None:
        return Failure(special[0], traceback=user_traceback(error), **special[1])
    details.setdefault("error", one_line(error))
    return Failure(code, traceback=user_traceback(error), **details)


def described(error: BaseException) -> Failed:
    """What ended a request and no part of it has words for."""
    if isinstance(error, SystemExit):
        details = {"status": str(error.code), "last": "its code called sys.exit"}
        return Failed("worker-ended", details, user_traceback(error))
    if not isinstance(error, Exception):  # KeyboardInterrupt and the like, raised on purpose
        details = {"status": type(error).__name__, "last": "its code raised it"}
        return Failed("worker-ended", details, user_traceback(error))
    return failure_of("worker-fault", error).failed


def _special(error: BaseException) -> tuple[str, dict[str, str]] | None:
    if isinstance(error, MemoryError):
        return "out-of-memory", {"reason": one_line(error)}
    text = _message(error)
    if isinstance(error, RuntimeError) and (
        "DefaultCPUAllocator: " in text or "out of memory" in text
    ):
        return "out-of-memory", {"reason": one_line(error)}
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk-full", {"file": str(error.filename or "the file")}
    return None


def _theirs(trace: TracebackType | None) -> TracebackType | None:
    first = trace
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            return trace
        trace = trace.tb_next
    return first


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:
        return f"(its message cannot be shown: {type(second).__name__})"
