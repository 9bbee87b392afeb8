"""A registry in memory that behaves as `winreg` is documented to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HKEY_CURRENT_USER = 0x80000001
REG_SZ = 1
KEY_READ = 0x20019
KEY_WRITE = 0x20006
KEY_SET_VALUE = 0x0002


@dataclass
class Key:
    """A key: names of keys and values are kept as written and compared without case."""

    values: dict[str, tuple[str, str]] = field(default_factory=dict)
    keys: dict[str, tuple[str, Key]] = field(default_factory=dict)


class Handle:
    """An open key, which allows what it was opened for."""

    def __init__(self, key: Key, access: int) -> None:
        self.key: Key | None = key
        self.access = access

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.key = None

    def opened(self, access: int) -> Key:
        if self.key is None:
            raise OSError(6, "The handle is invalid")
        if self.access & access != access:
            raise PermissionError(5, "Access is denied")
        return self.key


class SmallRegistry:
    """What a module `winreg` offers, as far as it is used."""

    HKEY_CURRENT_USER = HKEY_CURRENT_USER
    REG_SZ = REG_SZ
    KEY_SET_VALUE = KEY_SET_VALUE

    def __init__(self) -> None:
        self.root = Key()

    def _find(self, path: str) -> Key:
        key = self.root
        for part in path.split("\\"):
            assert part, f"an empty name in {path!r}"
            if part.lower() not in key.keys:
                raise FileNotFoundError(2, "The system cannot find the file specified")
            key = key.keys[part.lower()][1]
        return key

    def OpenKey(self, root: int, path: str, reserved: int = 0, access: int = KEY_READ) -> Handle:
        assert (root, reserved) == (HKEY_CURRENT_USER, 0)
        return Handle(self._find(path), access)

    def CreateKey(self, root: int, path: str) -> Handle:
        assert root == HKEY_CURRENT_USER
        key = self.root
        for part in path.split("\\"):
            assert part
            assert len(part) <= 255
            key = key.keys.setdefault(part.lower(), (part, Key()))[1]
        return Handle(key, KEY_WRITE)

    def SetValueEx(self, handle: Handle, name: str, reserved: Any, kind: int, value: str) -> None:
        assert kind == REG_SZ
        assert isinstance(value, str)
        handle.opened(KEY_SET_VALUE).values[name.lower()] = (name, value)

    def QueryValueEx(self, handle: Handle, name: str) -> tuple[str, int]:
        values = handle.opened(0x0001).values
        if name.lower() not in values:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        return values[name.lower()][1], REG_SZ

    def DeleteValue(self, handle: Handle, name: str) -> None:
        values = handle.opened(KEY_SET_VALUE).values
        if name.lower() not in values:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        del values[name.lower()]

    def QueryInfoKey(self, handle: Handle) -> tuple[int, int, int]:
        key = handle.opened(0x0001)
        return len(key.keys), len(key.values), 0

    def EnumKey(self, handle: Handle, number: int) -> str:
        names = list(handle.opened(0x0008).keys.values())
        if number >= len(names):
            raise OSError(259, "No more data is available")
        return names[number][0]

    def DeleteKey(self, root: int, path: str) -> None:
        assert root == HKEY_CURRENT_USER
        if self._find(path).keys:
            raise PermissionError(5, "Access is denied")
        above, _, name = path.rpartition("\\")
        del (self._find(above) if above else self.root).keys[name.lower()]

    def everything(self) -> dict[str, str]:
        """All keys, and values behind an ``@``."""
        found: dict[str, str] = {}

        def walk(key: Key, path: str) -> None:
            for name, value in key.values.values():
                found[f"{path}@{name}"] = value
            for name, below in key.keys.values():
                found[f"{path}\\{name}"] = ""
                walk(below, f"{path}\\{name}")

        walk(self.root, "")
        return found
