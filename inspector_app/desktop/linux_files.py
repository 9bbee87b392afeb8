"""Which files an installation for one user of Linux consists of, and their content.

Pure but for the icons, which are read from the resources.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from inspector_app.desktop import desktop_entry, file_manager_menus, mime_package
from inspector_app.desktop.file_types import APP_ID
from inspector_app.desktop.launch import is_plain
from inspector_app.resources_path import resource_path

_ICON = re.compile(rf"{APP_ID}(-[a-z-]+)?\.(png|svg)")
LAUNCHER = "launch"


class Folders(NamedTuple):
    """Where this user's files lie (XDG Base Directory Specification)."""

    data: str
    config: str

    @classmethod
    def of(cls, environment: Mapping[str, str], home: str) -> Folders:
        """A relative path in a variable is ignored, as the specification wants."""

        def folder(name: str, otherwise: str) -> str:
            path = environment.get(name, "")
            return path if os.path.isabs(path) else os.path.join(home, otherwise)

        return cls(folder("XDG_DATA_HOME", ".local/share"), folder("XDG_CONFIG_HOME", ".config"))

    @property
    def own(self) -> str:
        return os.path.join(self.data, APP_ID)

    @property
    def icons(self) -> str:
        return os.path.join(self.data, "icons", "hicolor")

    @property
    def mime(self) -> str:
        return os.path.join(self.data, "mime")

    @property
    def applications(self) -> str:
        return os.path.join(self.data, "applications")


class Wanted(NamedTuple):
    """A file that should be there."""

    path: str
    content: bytes
    executable: bool = False


def wanted_files(folders: Folders, command: Sequence[str]) -> list[Wanted]:
    """The files of an installation that starts `command`.

    Raises:
        ValueError: no desktop entry can be written for it.
        FileNotFoundError: the icons are not there.
    """
    found = []
    start = list(command)
    if not is_plain(command):
        # xdg-open splits an Exec line at its spaces, and paths of any bytes fit in no entry.
        launcher = os.path.join(folders.own, LAUNCHER)
        script = f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n'
        found.append(Wanted(launcher, os.fsencode(script), True))
        # GLib looks for a program before it has read `%%` as `%`.
        start = [launcher] if is_plain([launcher]) else ["/bin/sh", launcher]
    try:
        command[0].encode()
        try_exec = command[0]
    except UnicodeEncodeError:
        try_exec = start[0]
    entry = desktop_entry.desktop_entry(start, try_exec)
    found.append(
        Wanted(os.path.join(folders.applications, desktop_entry.FILE_NAME), entry.encode())
    )
    package = os.path.join(folders.mime, "packages", mime_package.FILE_NAME)
    found.append(Wanted(package, mime_package.mime_package().encode()))
    found += _icons(folders)
    found += _menus(folders, start)
    return found


def _icons(folders: Folders) -> list[Wanted]:
    source = resource_path("icons", "hicolor")
    found = []
    for folder, _, names in os.walk(source):
        for name in sorted(names):
            if _ICON.fullmatch(name):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    content = file.read()
                target = os.path.join(folders.icons, os.path.relpath(path, source))
                found.append(Wanted(target, content))
    return found


def _menus(folders: Folders, command: Sequence[str]) -> list[Wanted]:
    """For the file managers that this machine has."""
    script = os.fsencode(file_manager_menus.compare_script(command))
    found = [
        Wanted(path, script, True)
        for program, path in _script_places(folders).items()
        if shutil.which(program)
    ]
    if shutil.which("dolphin"):
        menu = file_manager_menus.service_menu(command).encode()
        found.append(Wanted(_service_menu_place(folders), menu, True))
    return found


def _script_places(folders: Folders) -> dict[str, str]:
    name = file_manager_menus.SCRIPT_NAME
    return {
        "nautilus": os.path.join(folders.data, "nautilus", "scripts", name),
        "nemo": os.path.join(folders.data, "nemo", "scripts", name),
        "caja": os.path.join(folders.config, "caja", "scripts", name),
    }


def _service_menu_place(folders: Folders) -> str:
    return os.path.join(folders.data, "kio", "servicemenus", file_manager_menus.SERVICE_MENU_NAME)


def known_files(folders: Folders) -> list[str]:
    """All files that this or an older version may have put there, and that are there."""
    places = [
        os.path.join(folders.own, LAUNCHER),
        os.path.join(folders.applications, desktop_entry.FILE_NAME),
        os.path.join(folders.mime, "packages", mime_package.FILE_NAME),
        *_script_places(folders).values(),
        _service_menu_place(folders),
    ]
    for folder, _, names in os.walk(folders.icons):
        if os.path.basename(folder) in ("apps", "mimetypes"):
            places += [os.path.join(folder, name) for name in names if _ICON.fullmatch(name)]
    return [path for path in places if os.path.lexists(path)]
