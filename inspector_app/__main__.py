"""One entry: a window, or a command."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit status; `argv` is without the program's name."""
    from inspector_app.cli import run

    status = run(list(sys.argv[1:] if argv is None else argv))
    if argv is None:
        # The process ends now: collecting a million nodes first would take a second.
        gc.freeze()
    return status


def _import_from_here_last() -> None:
    """`python -m` imports from the folder that it is started in before all others: a ``json.py``
    that lies beside a downloaded checkpoint would run."""
    if sys.path and sys.path[0] in ("", os.getcwd()):
        sys.path.append(sys.path.pop(0))


if __name__ == "__main__":
    _import_from_here_last()
    sys.exit(main())
