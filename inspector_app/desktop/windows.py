"""An installation for one user of Windows: keys below ``HKEY_CURRENT_USER``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from inspector_app.desktop import windows_registry as registry
from inspector_app.desktop.launch import windows_arguments
from inspector_app.desktop.report import Change, DesktopTrouble, State, Status

_BEFORE = "DefaultsBefore"  # what opened an ending before us, below our own key
_SHCNE_ASSOCCHANGED = 0x08000000


class WindowsDesktop:
    """The desktop of one user.

    Args:
        winreg: the module of that name.
        icons: the folder of the ``.ico`` files.
        tell: lets the shell look again.
    """

    def __init__(self, winreg: Any, icons: str, tell: Any = None) -> None:
        self._registry = winreg
        self._root = winreg.HKEY_CURRENT_USER
        self._icons = icons
        self._tell = tell or _shell_changed

    def install(self, command: Sequence[str], default: bool) -> Change:
        """Write all keys, in the place of what an older installation wrote.

        Raises:
            DesktopTrouble: it cannot be done.
        """
        entries = registry.registry_entries(command, self._icons)
        try:
            for key in registry.own_keys():
                if not key.endswith(registry.VENDOR):
                    self._delete_tree(key)
            for entry in entries:
                self._write(entry.key, entry.name, entry.text)
            if default:
                self._become_default()
        except OSError as error:
            raise _trouble(error) from None
        self._tell()
        return Change(written=tuple(_place(entry) for entry in entries))

    def _become_default(self) -> None:
        before = rf"Software\{registry.VENDOR}\{_BEFORE}"
        for entry in registry.default_entries():
            present = self._read(entry.key, "")
            if present == entry.text:
                continue
            ending = entry.key.rpartition("\\")[2]
            if self._read(before, ending) is None:
                self._write(before, ending, present or "")
            self._write(entry.key, "", entry.text)

    def uninstall(self) -> Change:
        """Take away all keys that are ours, and our names from those that are shared.

        Raises:
            DesktopTrouble: it cannot be done.
        """
        removed = []
        try:
            self._leave_defaults()
            for entry in registry.registry_entries([registry.PROGRAM], self._icons):
                if entry.shared and self._read(entry.key, entry.name) is not None:
                    self._delete_value(entry.key, entry.name)
                    removed.append(_place(entry))
                    self._delete_empty(entry.key)
            for key in registry.own_keys():
                if self._delete_tree(key):
                    removed.append(key)
                    self._delete_empty(key.rpartition("\\")[0])
        except OSError as error:
            raise _trouble(error) from None
        self._tell()
        return Change(removed=tuple(removed))

    def _leave_defaults(self) -> None:
        before = rf"Software\{registry.VENDOR}\{_BEFORE}"
        for entry in registry.default_entries():
            if self._read(entry.key, "") != entry.text:
                continue  # somebody else has become the default since
            previous = self._read(before, entry.key.rpartition("\\")[2])
            if previous:
                self._write(entry.key, "", previous)
            else:
                self._delete_value(entry.key, "")
                self._delete_empty(entry.key)

    def status(self) -> Status:
        """What there is, and which program opens each ending."""
        defaults: dict[str, str | None] = {}
        ours = set()
        for entry in registry.default_entries():
            ending = entry.key.rpartition("\\")[2]
            # The user's own choice is above all; Windows alone can write it.
            chosen = self._read(
                rf"Software\Microsoft\Windows\CurrentVersion\Explorer\FileExts\{ending}\UserChoice",
                "ProgId",
            )
            defaults[ending] = chosen or self._read(entry.key, "")
            if defaults[ending] == entry.text:
                ours.add(ending)
        opens = rf"{registry.own_keys()[0]}\shell\open\command"
        line = self._read(opens, "")
        if line is None:
            found = any(self._read(key, "") is not None for key in registry.own_keys())
            state = State.PARTLY if found else State.ABSENT
            return Status(state, defaults=defaults, ours=frozenset(ours))
        command = tuple(_arguments(line))
        wanted = registry.registry_entries(command, self._icons)
        missing = [_place(each) for each in wanted if self._read(each.key, each.name) is None]
        outdated = [
            _place(each)
            for each in wanted
            if self._read(each.key, each.name) not in (None, each.text)
        ]
        is_there = bool(command) and os.path.exists(command[0])
        if missing:
            state = State.PARTLY
        else:
            state = State.STALE if outdated or not is_there else State.INSTALLED
        return Status(
            state,
            command,
            is_there,
            tuple(missing),
            tuple(outdated),
            defaults=defaults,
            ours=frozenset(ours),
        )

    def _read(self, key: str, name: str) -> str | None:
        try:
            with self._registry.OpenKey(self._root, key) as opened:
                value, _ = self._registry.QueryValueEx(opened, name)
        except FileNotFoundError:
            return None
        return value if isinstance(value, str) else None

    def _write(self, key: str, name: str, text: str) -> None:
        with self._registry.CreateKey(self._root, key) as opened:
            self._registry.SetValueEx(opened, name, 0, self._registry.REG_SZ, text)

    def _delete_value(self, key: str, name: str) -> None:
        access = self._registry.KEY_SET_VALUE
        with self._registry.OpenKey(self._root, key, 0, access) as opened:
            self._registry.DeleteValue(opened, name)

    def _delete_tree(self, key: str) -> bool:
        """Delete a key with all below it; whether it was there."""
        try:
            with self._registry.OpenKey(self._root, key) as opened:
                keys, _, _ = self._registry.QueryInfoKey(opened)
                below = [self._registry.EnumKey(opened, number) for number in range(keys)]
        except FileNotFoundError:
            return False
        for name in below:
            self._delete_tree(rf"{key}\{name}")
        self._registry.DeleteKey(self._root, key)
        return True

    def _delete_empty(self, key: str) -> None:
        """Delete a key that has nothing left, and those above it, up to the classes."""
        while key.startswith(registry.CLASSES + "\\") or key == registry.REGISTERED:
            try:
                with self._registry.OpenKey(self._root, key) as opened:
                    keys, values, _ = self._registry.QueryInfoKey(opened)
            except FileNotFoundError:
                return
            if keys or values:
                return
            self._registry.DeleteKey(self._root, key)
            key = key.rpartition("\\")[0]


def _arguments(line: str) -> list[str]:
    """The arguments of a command that `windows_line` wrote, without the file's place."""
    found = windows_arguments(line)
    return found[:-1] if found[-1:] == ["%1"] else found


def _place(entry: registry.Entry) -> str:
    return rf"HKEY_CURRENT_USER\{entry.key}" + (f" [{entry.name}]" if entry.name else "")


def _trouble(error: OSError) -> DesktopTrouble:
    return DesktopTrouble(f"the registry cannot be changed: {error.strerror or error}")


def _shell_changed() -> None:
    """Tell the shell, which shows icons and types from memory (SHChangeNotify)."""
    import ctypes

    shell = getattr(ctypes, "windll").shell32  # noqa: B009 (there on Windows alone)
    shell.SHChangeNotify(_SHCNE_ASSOCCHANGED, 0, None, None)
