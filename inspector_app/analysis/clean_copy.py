"""A clean copy: tensors and plain data only, and the proof that it is one.

What is written of a file is what `out_building` makes of it, in a form that names nothing
outside torch's allowlist. That is not taken on trust: the file that was written is read again
before it gets its name.
"""

from __future__ import annotations

import os
from collections.abc import Generator

from inspector_app.analysis.safety import examine
from inspector_app.analysis.save_options import ENDINGS, Form
from inspector_app.checkpoint import reading
from inspector_app.checkpoint.errors import CannotSave, CheckpointError
from inspector_app.checkpoint.model import Progress

# What a clean copy of `model.pth` is called.
SUFFIX = ".clean"


def check_target(target: str) -> None:
    """A clean copy is a torch file: other forms hold tensors only, and lose the plain data.

    Raises:
        CannotSave: `target` has another ending.
    """
    if ENDINGS.get(os.path.splitext(target)[1].lower()) != Form.TORCH:
        endings = " ".join(ending for ending, form in ENDINGS.items() if form == Form.TORCH)
        raise CannotSave("clean-ending", target, endings=endings)


def proving(path: str, target: str) -> Generator[Progress, None, None]:
    """Read what was written again, and execute its pickle once more to see every use of a name.

    Args:
        path: where it lies.
        target: what it is to be called; an error names it.

    Raises:
        CannotSave: it names something outside the allowlist, is anomalous, or is nothing that
            ``torch.load(weights_only=True)`` would load; or it cannot be read.
    """
    try:
        report = yield from examine((yield from reading(path)))
    except CheckpointError as error:
        raise CannotSave("clean-copy", target, what=error.message) from None
    what = ""
    if report.outside:
        what = report.outside[0].name
    elif report.anomalies:
        what = report.anomalies[0].message
    elif report.weights_only.loads is not True:
        what = report.weights_only.message or report.weights_only.sentence
    if what:
        raise CannotSave("clean-copy", target, what=what)
