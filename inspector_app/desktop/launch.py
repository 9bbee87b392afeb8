"""How a desktop starts us: by what installed it, and quoted as each system wants it.

Desktop entries: "The Exec key" of the Desktop Entry Specification 1.5. Windows:
``CommandLineToArgvW``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence

from inspector_app.desktop.file_types import APP_ID

# What needs no quotes, neither for the specification nor for xdg-open, which splits at spaces.
_WORD = re.compile(r"[A-Za-z0-9_/.,:=@+-]+")
_RESERVED = re.compile(r'(["`$\\])')
_PIECE = re.compile(r"(\\*)([^\\]|$)", re.DOTALL)


def command_here(windowed: bool = False) -> list[str]:
    """The program and arguments that start what is running now, as absolute paths.

    Args:
        windowed: on Windows, without a console window.
    """
    if getattr(sys, "frozen", False):
        return [_bundle_program()]
    python = os.path.abspath(sys.executable)
    folder = os.path.dirname(python)
    if sys.platform == "win32":
        # The script that pip makes opens a console window beside ours.
        without_console = os.path.join(folder, "pythonw.exe")
        if windowed and os.path.exists(without_console):
            python = without_console
    else:
        script = os.path.join(folder, APP_ID)
        if os.access(script, os.X_OK) and os.path.abspath(sys.argv[0] or "") == script:
            return [script]
    # Not `-m`: that imports from the current folder first, which is the file's on Windows, and
    # may hold an inspector_app that somebody else put there. From a clone, which nothing
    # installed, its own folder comes first.
    first = [] if _is_found(sys.executable) else [_package_folder()]
    start = (
        f"import sys; sys.path[:sys.path[0] == ''] = {first!a}; sys.argv[0] = {APP_ID!a}; "
        "from inspector_app.__main__ import main; sys.exit(main())"
    )
    return [python, "-c", start]


def _bundle_program() -> str:
    program = os.path.abspath(sys.executable)
    image = os.environ.get("APPIMAGE", "")
    if os.path.isabs(image) and os.path.exists(image):
        # It runs from a folder that is gone when it ends.
        return image
    root, ending = os.path.splitext(program)
    if ending.lower() == ".com" and os.path.exists(f"{root}.exe"):
        # The .com is for terminals, and opens one.
        return f"{root}.exe"
    return program


def _package_folder() -> str:
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _is_found(python: str) -> bool:
    """Whether `python`, started anywhere, imports this very package."""
    look = "import inspector_app, sys; sys.stdout.write(ascii(inspector_app.__file__))"
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(
        [python, "-c", look], capture_output=True, cwd=os.path.sep, env=without, check=False
    )
    here = os.path.join(_package_folder(), "inspector_app", "__init__.py")
    return found.returncode == 0 and found.stdout.decode() == ascii(here)


def is_plain(command: Sequence[str]) -> bool:
    """Whether no argument needs quotes in any of the places that read an Exec line."""
    return all(_WORD.fullmatch(argument) for argument in command)


def exec_line(command: Sequence[str], *codes: str) -> str:
    """The value of an Exec key: the command, quoted, and field codes such as ``%F``.

    Raises:
        ValueError: an argument cannot be written in such a line (a line break, bytes that are
            not UTF-8).
    """
    return " ".join([*map(_exec_word, command), *codes])


def _exec_word(argument: str) -> str:
    argument.encode("utf-8")
    if "\n" in argument or "\r" in argument or "\0" in argument:
        raise ValueError("an Exec key is one line")
    escaped = argument.replace("%", "%%")
    if _WORD.fullmatch(argument):
        return escaped
    # Quoted for the command line, then escaped once more as every string of a desktop entry.
    return '"' + _RESERVED.sub(r"\\\1", escaped).replace("\\", "\\\\") + '"'


def entry_string(text: str) -> str:
    """A value of type string in a desktop entry."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def windows_line(command: Sequence[str], *codes: str) -> str:
    """A command of the Windows registry: each argument quoted, then codes such as ``"%1"``."""
    quoted = [
        subprocess.list2cmdline([each]) if '"' in each else _windows_word(each) for each in command
    ]
    return " ".join([*quoted, *codes])


def windows_arguments(line: str) -> list[str]:
    """The arguments of such a line, codes too, as ``CommandLineToArgvW`` splits it."""
    found: list[str] = []
    word, begun, quoted = "", False, False
    for backslashes, mark in _PIECE.findall(line):
        if mark == '"':
            # Backslashes are escapes in front of a quotation mark alone.
            word += backslashes[: len(backslashes) // 2]
            begun = True
            if len(backslashes) % 2:
                word += mark
            else:
                quoted = not quoted
            continue
        word += backslashes
        if mark in (" ", "\t") and not quoted:
            if begun or word:
                found.append(word)
            word, begun = "", False
        else:
            word += mark
    if begun or word:
        found.append(word)
    return found


def _windows_word(argument: str) -> str:
    if argument.endswith("\\"):
        argument += "\\" * (len(argument) - len(argument.rstrip("\\")))
    return f'"{argument}"'
