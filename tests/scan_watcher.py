"""Scans and shows files with an audit hook that sees whatever is imported, run, opened or sent.

Started by `scan_answers.py`. Takes a folder of files to warm up with and one to watch; prints a
JSON line for each of the second.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

from audit_watch import AuditWatch

from inspector_app.cli import run


def outcome(command: str, path: Path, *options: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run([command, str(path), *options])
    return status, out.getvalue(), err.getvalue()


def main(warm_up: Path, folder: Path) -> None:
    for path in sorted(warm_up.iterdir()):
        for options in (["--json"], ["--sarif"], []):
            outcome("scan", path, *options)
        outcome("show", path)
    # Codecs of text opcodes, which Python loads when the first text is decoded.
    "".encode("raw_unicode_escape")
    watch = AuditWatch()
    for path in sorted(folder.iterdir()):
        with watch:
            status, answer, trouble = outcome("scan", path, "--json")
            text_status, text, _ = outcome("scan", path)
            show_status, shown, show_trouble = outcome("show", path)
        lines = (text + shown + trouble + show_trouble).splitlines()
        row = {
            "file": path.name,
            "status": status,
            "text_status": text_status,
            "report": json.loads(answer),
            "text": text,
            "trouble": trouble,
            "show_status": show_status,
            "shown": shown[:2000],
            "show_trouble": show_trouble,
            "unsafe": [ascii(line) for line in lines if not line.isprintable()][:3],
            "seen": watch.seen,
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
