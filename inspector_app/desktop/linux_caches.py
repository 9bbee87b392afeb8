"""The caches that a Linux desktop makes of what is installed.

An icon cache is brought up to date where there is one, and never begun: from then on everybody
who installs an icon for this user would have to do the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from inspector_app.desktop.desktop_entry import FILE_NAME as ENTRY
from inspector_app.desktop.file_types import opened_by_default
from inspector_app.desktop.linux_files import Folders
from inspector_app.desktop.mime_package import FILE_NAME as PACKAGE
from inspector_app.desktop.placed_files import remove

SECONDS = 60
# What update-mime-database writes beside the types (shared-mime-info 2.4).
_MIME_NAMES = (
    "XMLnamespaces",
    "aliases",
    "generic-icons",
    "globs",
    "globs2",
    "icons",
    "magic",
    "mime.cache",
    "subclasses",
    "treemagic",
    "types",
    "version",
)


def cache_files(folders: Folders) -> list[str]:
    """All that the tools may write in a user's folders because of us, there or not."""
    types = [f"{each.mime_type}.xml" for each in opened_by_default()]
    return [
        *(os.path.join(folders.mime, name) for name in (*_MIME_NAMES, *types)),
        os.path.join(folders.applications, "mimeinfo.cache"),
    ]


def refresh(folders: Folders, begin: bool = True) -> list[str]:
    """Let the desktop see what is there now; what did not work, a sentence each.

    Args:
        folders: where things are.
        begin: also make caches that are not there yet.
    """
    notes = []
    if begin or os.path.exists(os.path.join(folders.mime, "mime.cache")):
        notes += _run(["update-mime-database", folders.mime], "the types of files are not known")
    if begin or os.path.exists(os.path.join(folders.applications, "mimeinfo.cache")):
        command = ["update-desktop-database", "-q", folders.applications]
        notes += _run(command, "the menu entry may not be offered for files")
    if os.path.isdir(folders.icons):
        if os.path.exists(os.path.join(folders.icons, "icon-theme.cache")):
            command = ["gtk-update-icon-cache", "-q", "-f", "-t", folders.icons]
            notes += _run(command, "icons may not be shown")
        else:
            # A running desktop looks at this folder's time to see that there are new ones.
            os.utime(folders.icons)
    return notes


def _run(command: list[str], otherwise: str) -> list[str]:
    if shutil.which(command[0]) is None:
        return [f"{command[0]} is not installed: {otherwise}"]
    try:
        ended = subprocess.run(
            command, capture_output=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"{command[0]} could not be run ({error}): {otherwise}"]
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"exit status {ended.returncode}"
        return [f"{command[0]} failed ({reason}): {otherwise}"]
    return []


def neighbours(folders: Folders) -> list[str]:
    """Desktop entries and MIME packages of others in the user's folders."""
    found = []
    for folder, ending, own in (
        (os.path.join(folders.mime, "packages"), ".xml", PACKAGE),
        (folders.applications, ".desktop", ENTRY),
    ):
        if os.path.isdir(folder):
            names = sorted(os.listdir(folder))
            found += [
                os.path.join(folder, name)
                for name in names
                if name.endswith(ending) and name != own
            ]
    return found


def forget(folders: Folders, made: list[str], before: list[str]) -> list[str]:
    """After the files are gone: take away the caches that are there because of us.

    Args:
        folders: where they are.
        made: the caches that were not there before us.
        before: the neighbours of that time. Where others have come since, caches stay.
    """
    known = set(cache_files(folders))
    came = set(neighbours(folders)) - set(before)
    for path in known.intersection(made):
        folder = folders.mime if path.startswith(folders.mime + os.sep) else folders.applications
        if not any(each.startswith(folder + os.sep) for each in came):
            remove(path)
    return refresh(folders, begin=False)
