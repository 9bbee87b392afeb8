"""The manual page of the command, from the list of commands itself (man-pages(7))."""

from __future__ import annotations

from inspector_app import __version__
from inspector_app.cli import COMMANDS, PROGRAM
from inspector_app.desktop.file_types import APP_COMMENT

_END = """\
.SH EXIT STATUS
.TP
.B 0
There is nothing to report.
.TP
.B 1
Something was found: files differ, a proof failed, a file is suspicious.
.TP
.B 2
Trouble, said in one line on the standard error.
"""


def manual_page(date: str) -> str:
    """The page in roff; `date` is ISO 8601."""
    lines = [
        f'.TH {PROGRAM.upper().replace("-", chr(92) + "-")} 1 {date} "{__version__}"',
        ".SH NAME",
        f"{_text(PROGRAM)} \\- {_text(APP_COMMENT[0].lower() + APP_COMMENT[1:])}",
        ".SH SYNOPSIS",
        f".B {_text(PROGRAM)}",
        r".RI [ FILE " "\\&...]",
        ".br",
        f".B {_text(PROGRAM)}",
        r".I COMMAND",
        r"[\fB\-\-help\fR] \&...",
        ".SH DESCRIPTION",
        "Opens PyTorch checkpoints, safetensors and ONNX files in a window, a tab for each. Where",
        "a window is open already, they become tabs of it.",
        ".SH COMMANDS",
    ]
    for name, command in COMMANDS.items():
        lines += [
            ".TP",
            f".B {_text(name)}",
            f"{_text(command.summary[0].upper())}{_text(command.summary[1:])}.",
        ]
    return "\n".join(lines) + "\n" + _END


def _text(text: str) -> str:
    """Text as roff wants it: hyphens that are typed, and no line that begins a request."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("…", r"\&...")
    return rf"\&{text}" if text.startswith((".", "'")) else text
