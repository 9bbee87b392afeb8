"""What torch.export and the ONNX exporters raise, as sentences.

Their messages run over pages; what somebody can act on is one line in them: an operator, an
axis, a line of the model's code. The whole text stays in the traceback.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from inspector_app.worker.failures import Failure
from inspector_app.worker.user_errors import failure_of, user_traceback

_NO_FUNCTION = re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)', overload='(\w+)'")
_NO_SYMBOLIC = re.compile(r"Exporting the operator '([^']+)' to ONNX")
_UNSUPPORTED = re.compile(r"Unsupported: ONNX export of operator ([^,\s]+)")
# torch.export: an axis was declared dynamic, and the model needs one size of it.
_STATIC = (
    re.compile(
        r"tracing inferred a static shape of (?P<size>\d+) for dimension (?P<axis>[^.\n]*\S+)"
    ),
    re.compile(r"You marked (?P<axis>[^\n]+?) as dynamic but your code specialized .*?\(\d+\)"),
    re.compile(r"Not all values of (?P<axis>[^\n]+?) (?:in the specified range )?[^\n]*satisfy"),
    re.compile(r"(?P<axis>[^\n]+) was inferred to be a constant \((?P<size>\d+)\)"),
)
_VIOLATED = "Constraints violated"
_DATA_DEPENDENT = ("data-dependent", "DataDependent", "Dynamic control flow is not supported")
_PLACE = re.compile(r'File "([^"]+)", line (\d+), in (\w+)\s*\n\s*([^\n]+)')
_FIXES = re.compile(r"Suggested fixes:\s*\n(.*)", re.DOTALL)
_LIBRARY = ("/torch/", "\\torch\\")


def onnx_failure(error: BaseException) -> Failure:
    """Of the ONNX exporters; an error of torch.export within is that one's."""
    for each in chain(error):
        text = str(each)
        found = _NO_FUNCTION.search(text)
        if found:
            return Failure(
                "operator-without-onnx",
                traceback=user_traceback(error),
                operator=f"{found[1]}.{found[2]}",
            )
        found = _NO_SYMBOLIC.search(text) or _UNSUPPORTED.search(text)
        if found:
            return Failure(
                "operator-without-onnx", traceback=user_traceback(error), operator=found[1]
            )
    if any(type(each).__name__ == "TorchExportError" for each in chain(error)):
        causes = [each for each in chain(error) if type(each).__name__ != "TorchExportError"]
        return export_failure(causes[0] if causes else error, user_traceback(error))
    return written_failure("onnx-fails", error)


def export_failure(error: BaseException, traceback: str = "") -> Failure:
    """Of torch.export."""
    traceback = traceback or user_traceback(error)
    texts = [str(each) for each in chain(error)]
    joined = "\n".join(texts)
    if any(word in joined for word in _DATA_DEPENDENT):
        place = code_place(joined)
        reason = "its control flow or a shape depends on the values of a tensor"
        return Failure(
            "export-fails", traceback=traceback, error=f"{reason}{place and f', {place}'}"
        )
    if _VIOLATED in joined or any(pattern.search(joined) for pattern in _STATIC):
        return Failure("axis-not-dynamic", traceback=traceback, reason=_axis_reason(joined))
    return written_failure("export-fails", error)


def written_failure(code: str, error: BaseException) -> Failure:
    """`code`, unless a file could not be written: then that."""
    for each in chain(error):
        if isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT):
            return failure_of(code, each)
        if isinstance(each, OSError) and each.filename and each.errno is not None:
            return Failure(
                "not-writable",
                traceback=user_traceback(error),
                file=str(each.filename),
                reason=str(each.strerror),
            )
    return failure_of(code, _deepest(error))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it stems from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def code_place(text: str) -> str:
    """The last line of the model's own code that a message of torch quotes, or ""."""
    places = [
        found for found in _PLACE.finditer(text) if not any(part in found[1] for part in _LIBRARY)
    ]
    if not places:
        return ""
    file, line, _, code = places[-1].groups()
    name = re.split(r"[/\\]", file)[-1]
    return f"{name} line {line}: {code.strip()}"


def _deepest(error: BaseException) -> BaseException:
    """The cause that says most: exporters wrap what happened in instructions."""
    explicit = error
    while explicit.__cause__ is not None:
        explicit = explicit.__cause__
    return explicit


def _axis_reason(text: str) -> str:
    for pattern in _STATIC:
        found = pattern.search(text)
        if found:
            line = " ".join(found[0].split())
            break
    else:
        after = text.partition(_VIOLATED)[2]
        lines = [line.strip(" -!") for line in after.splitlines()[1:] if line.strip()]
        line = lines[0] if lines else text.splitlines()[0]
    fixes = _FIXES.search(text)
    suggested = [each.strip() for each in fixes[1].splitlines()] if fixes else []
    suggested = [each for each in suggested if "=" in each][:3]
    return f"{line}; torch suggests {', '.join(suggested)}" if suggested else line
