"""The menu entry: a ``.desktop`` file (Desktop Entry Specification 1.5)."""

from __future__ import annotations

from collections.abc import Sequence

from inspector_app.desktop.file_types import APP_COMMENT, APP_ID, APP_NAME, opened_by_default
from inspector_app.desktop.launch import entry_string, exec_line

FILE_NAME = f"{APP_ID}.desktop"


def desktop_entry(command: Sequence[str] = (APP_ID,), try_exec: str | None = APP_ID) -> str:
    """The entry's text.

    `%F`, not `%U`: files of a remote folder then reach us as paths, by a mount or as a copy. Only
    types that a double click may open are named: who is associated with a type that nobody else
    opens is its default, and every file manager lists all applications under "open with".

    Args:
        command: what starts the program.
        try_exec: the entry is hidden where this program is gone; None for never.

    Raises:
        ValueError: the command cannot be written in a desktop entry.
    """
    types = "".join(f"{each.mime_type};" for each in opened_by_default())
    lines = [
        "[Desktop Entry]",
        "Type=Application",
        "Version=1.0",
        f"Name={APP_NAME}",
        "GenericName=Checkpoint Viewer",
        f"Comment={APP_COMMENT}",
        f"Icon={APP_ID}",
        f"Exec={exec_line(command, '%F')}",
    ]
    if try_exec is not None:
        try_exec.encode("utf-8")
        lines.append(f"TryExec={entry_string(try_exec)}")
    lines += [
        "Terminal=false",
        "Categories=Science;ArtificialIntelligence;",
        "Keywords=pytorch;checkpoint;state_dict;weights;safetensors;onnx;torchscript;",
        f"MimeType={types}",
        # What our windows say of themselves, so that they are grouped under this entry.
        f"StartupWMClass={APP_ID}",
        "StartupNotify=true",
        "Actions=new-window;compare;",
        "",
        "[Desktop Action new-window]",
        "Name=New Window",
        f"Exec={exec_line([*command, 'open', '--new-window'], '%F')}",
        "",
        "[Desktop Action compare]",
        "Name=Compare Two Checkpoints",
        f"Exec={exec_line([*command, 'open', '--compare'], '%F')}",
    ]
    return "\n".join(lines) + "\n"
