"""One entry: a window, or a command."""

from __future__ import annotations

import gc
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


if __name__ == "__main__":
    sys.exit(main())
