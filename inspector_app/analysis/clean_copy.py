"""A clean copy: tensors and plain data only, and the proof that it is one.

What is written of a file is what `out_building` makes of it, in a form that names nothing
outside torch's allowlist. That is not taken on trust: the file that was written is read again.
"""

from __future__ import annotations

import os
from collections.abc import Generator

from inspector_app.analysis.save_options import ENDINGS, Form
from inspector_app.checkpoint import reading
from inspector_app.checkpoint.allowed_globals import names_outside
from inspector_app.checkpoint.errors import CannotSave
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


def proving(path: str) -> Generator[Progress, None, None]:
    """Read what was written again.

    Raises:
        CannotSave: it names something outside the allowlist, or is anomalous.
        CheckpointError: it cannot be read.
    """
    made = yield from reading(path)
    outside = names_outside(made)
    if outside or made.problems:
        what = outside[0] if outside else made.problems[0].message
        raise CannotSave("clean-copy", path, what=what)
