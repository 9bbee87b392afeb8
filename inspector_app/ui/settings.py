"""What the window remembers. Each setting is declared once: key, type, default.

They are kept as text in an ini file of the user's (bytes in base64, lists and switches as
JSON), so that reading one never builds anything but plain data. A value that is damaged or
of another type counts as its default.
"""

from __future__ import annotations

import base64
from types import ModuleType
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QSettings

T = TypeVar("T")

ORGANIZATION = "checkpoint-inspector"
RECENT_LIMIT = 12


class Setting(Generic[T]):
    """One value that is remembered."""

    __slots__ = ("default", "key", "kind")

    def __init__(self, key: str, kind: type[T], default: T) -> None:
        self.key = key
        self.kind = kind
        self.default = default


GEOMETRY = Setting("window/geometry", bytes, b"")
SPLITTER = Setting("window/splitter", bytes, b"")
SIDE_SPLITTER = Setting("window/side_splitter", bytes, b"")
COLUMNS = Setting("tree/columns", bytes, b"")
FOLD_REPEATED = Setting("tree/fold_repeated", bool, True)
APPEARANCE = Setting("appearance", str, "system")
LAST_FOLDER = Setting("files/last_folder", str, "")
KEY_RULES: Setting[list[str]] = Setting("compare/key_rules", list, [])
COMPARE_TOLERANCE: Setting[list[float]] = Setting("compare/tolerance", list, [])
COMPARE_COLUMNS = Setting("compare/columns", bytes, b"")
COMPARE_SPLITTER = Setting("compare/splitter", bytes, b"")
REOPEN_AT_START = Setting("session/reopen_at_start", bool, False)
RECENT_FILES: Setting[list[str]] = Setting("files/recent", list, [])


class Settings:
    """The user's ini file; with `remember` off neither read nor written.

    Attributes:
        broken: where the file was put because it is none; "" if nothing was wrong with it.
    """

    def __init__(self, remember: bool = True) -> None:
        self._store = _opened() if remember else None
        self.broken = ""
        if self._store is not None and self._store.status() == QSettings.Status.FormatError:
            from inspector_app.ui import state_folder

            # Else what Qt made of it would be written over what somebody may have meant.
            self.broken = state_folder.set_aside(self._store.fileName())
            self._store = _opened()
        self._kept: dict[str, Any] = {}

    def read(self, setting: Setting[T]) -> T:
        """The remembered value, or the default."""
        if setting.key in self._kept:
            value: T = self._kept[setting.key]
            return value
        text = self._store.value(setting.key) if self._store is not None else None
        found = _decoded(text, setting.kind) if isinstance(text, str) else None
        return found if isinstance(found, setting.kind) else setting.default

    def write(self, setting: Setting[T], value: T) -> None:
        """Remember `value`; a disk that cannot be written costs the memory, nothing else."""
        self._kept[setting.key] = value
        if self._store is not None:
            self._store.setValue(setting.key, _encoded(value))

    def recent_files(self) -> list[str]:
        """Files opened lately, the latest first."""
        return [path for path in self.read(RECENT_FILES) if isinstance(path, str)][:RECENT_LIMIT]

    def add_recent(self, path: str) -> None:
        """Put `path` in front of the recent files, of this window and others."""
        self._read_anew(RECENT_FILES)
        others = [known for known in self.recent_files() if known != path]
        self.write(RECENT_FILES, [path, *others][:RECENT_LIMIT])

    def remove_recent(self, path: str) -> None:
        """Forget one recent file."""
        self._read_anew(RECENT_FILES)
        self.write(RECENT_FILES, [known for known in self.recent_files() if known != path])

    def clear_recent(self) -> None:
        """Forget the recent files."""
        self.write(RECENT_FILES, [])

    def _read_anew(self, setting: Setting[Any]) -> None:
        """Take what other windows have written since."""
        if self._store is not None:
            self._store.sync()
            if self._store.status() != QSettings.Status.AccessError:
                self._kept.pop(setting.key, None)


def _opened() -> QSettings:
    return QSettings(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, ORGANIZATION, ORGANIZATION
    )


def _encoded(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, str) else _json().dumps(value)


def _decoded(text: str, kind: type) -> Any:
    """The value of a text, or None if it is none of its kind."""
    if kind is str:
        return text
    try:
        return base64.b64decode(text, validate=True) if kind is bytes else _json().loads(text)
    except (ValueError, RecursionError):
        return None


def _json() -> ModuleType:
    # Imported on use: nothing of what the first picture needs is kept as JSON.
    import json

    return json
