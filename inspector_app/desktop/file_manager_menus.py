"""Two files in a file manager, compared: its own menu for that.

Nautilus, Caja and Nemo run scripts of a folder; Dolphin has service menus.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from inspector_app.desktop.file_types import APP_ID, opened_by_default
from inspector_app.desktop.launch import exec_line

SCRIPT_NAME = "Compare checkpoints"
SERVICE_MENU_NAME = "compare-checkpoints.desktop"

_SCRIPT = """\
#!/bin/sh
# For GNOME Files, Caja and Nemo: right-click two files, Scripts, Compare checkpoints.
# It belongs into ~/.local/share/nautilus/scripts (caja: ~/.config/caja/scripts, nemo:
# ~/.local/share/nemo/scripts). The program says what is wrong if it is not given two files.
paths="${NAUTILUS_SCRIPT_SELECTED_FILE_PATHS:-${CAJA_SCRIPT_SELECTED_FILE_PATHS:-$NEMO_SCRIPT_SELECTED_FILE_PATHS}}"
set -f
IFS='
'
# One path a line: split there and nowhere else.
# shellcheck disable=SC2086
exec COMMAND diff --window $paths
"""

_SERVICE_MENU = """\
# For Dolphin: right-click two files, Compare checkpoints. It belongs into
# ~/.local/share/kio/servicemenus, executable. Not every checkpoint has an ending of its own,
# so it is offered for zip archives and unknown bytes as well.
[Desktop Entry]
Type=Service
MimeType=TYPES
Actions=compare
X-KDE-RequiredNumberOfUrls=2

[Desktop Action compare]
Name=Compare checkpoints
Icon=ICON
Exec=EXEC
"""


def compare_script(command: Sequence[str] = (APP_ID,)) -> str:
    """The script of Nautilus, Caja and Nemo; `command` may hold any bytes (surrogateescape)."""
    return _SCRIPT.replace("COMMAND", shlex.join(command))


def service_menu(command: Sequence[str] = (APP_ID,)) -> str:
    """Dolphin's menu.

    Raises:
        ValueError: the command cannot be written in a desktop entry.
    """
    types = [each.mime_type for each in opened_by_default()]
    types += ["application/zip", "application/octet-stream"]
    return (
        _SERVICE_MENU.replace("TYPES", "".join(f"{each};" for each in types))
        .replace("ICON", APP_ID)
        .replace("EXEC", exec_line([*command, "diff", "--window"], "%F"))
    )
