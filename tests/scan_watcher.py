"""Scans and shows files with an audit hook that sees whatever is imported, run, opened or sent.

Started by `test_cli_scan_hostile.py` as a process of its own, since a hook cannot be
removed. Takes a folder of files to warm up with and one to watch; prints a JSON line for
each of the second.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from hostile_reader import FORBIDDEN, HARMLESS, WRITING

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
    seen: list[str] = []
    watching = False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if not watching:
            return
        if event == "import":
            bad = True
        elif event == "open":
            mode, flags = arguments[1], arguments[2]
            bad = bool(set(mode or "") & set("wax+")) or bool((flags or 0) & WRITING)
        else:
            bad = event.startswith(FORBIDDEN) and event not in HARMLESS
        if bad:
            seen.append(f"{event} {arguments!r:.200}")

    sys.addaudithook(watch)
    for path in sorted(folder.iterdir()):
        watching = True
        status, answer, trouble = outcome("scan", path, "--json")
        text_status, text, _ = outcome("scan", path)
        show_status, shown, show_trouble = outcome("show", path)
        watching = False
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
            "seen": seen[:10],
        }
        seen.clear()
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
