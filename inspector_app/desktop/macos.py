"""An installation for one user of macOS: a small application bundle that starts the command."""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from xml.parsers.expat import ExpatError

from inspector_app import __version__
from inspector_app.desktop.file_types import APP_NAME
from inspector_app.desktop.mac_bundle import EXECUTABLE, info_plist
from inspector_app.desktop.report import Change, DesktopTrouble, State, Status

_REGISTER = (
    "/System/Library/Frameworks/CoreServices.framework/Frameworks/LaunchServices.framework"
    "/Support/lsregister"
)
_MADE_FOLDER = "CheckpointInspectorMadeFolder"  # in our plists alone, so also the mark of them
_PATIENCE = 60.0  # seconds for `lsregister`


class MacDesktop:
    """The desktop of one user.

    Args:
        home: the user's folder.
        icons: the folder of the ``.icns`` files.
        register: the program that makes a bundle known, and unknown.
    """

    def __init__(self, home: str, icons: str, register: str = _REGISTER) -> None:
        self._folder = os.path.join(home, "Applications")
        self.bundle = os.path.join(self._folder, f"{APP_NAME}.app")
        self._icons = icons
        self._register = register

    def install(self, command: Sequence[str], default: bool) -> Change:
        """Build the bundle beside its place, then put it there.

        Raises:
            DesktopTrouble: it cannot be done, or another application has the place.
        """
        self._check_ours()
        notes = []
        if default:
            notes.append(
                "macOS lets only you choose the default application: "
                "Get Info, Open with, Change All"
            )
        made = self._made_folder() or not os.path.isdir(self._folder)
        try:
            os.makedirs(self._folder, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".partial-") as partial:
                built = os.path.join(partial, "new")
                for path, content, executable in self._files(command, made):
                    target = os.path.join(built, path)
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with open(target, "wb") as file:
                        file.write(content)
                    os.chmod(target, 0o755 if executable else 0o644)
                self._put(built, os.path.join(partial, "old"))
        except OSError as error:
            raise _trouble(error) from None
        notes += self._told("-f")
        return Change(written=(self.bundle,), notes=tuple(notes))

    def _put(self, built: str, old: str) -> None:
        """Put the new bundle in its place; what was there is there again if that fails."""
        replaced = os.path.lexists(self.bundle)
        if replaced:
            os.rename(self.bundle, old)
        try:
            os.rename(built, self.bundle)
        except OSError:
            if replaced:
                os.rename(old, self.bundle)
            raise

    def _said(self) -> dict[str, object] | None:
        """The plist of what has our place; None where there is none that can be read."""
        try:
            with open(os.path.join(self.bundle, "Contents", "Info.plist"), "rb") as file:
                said = plistlib.load(file)
        except (OSError, ValueError, plistlib.InvalidFileException, ExpatError):
            return None
        return said if isinstance(said, dict) else None

    def _made_folder(self) -> bool:
        """Whether the folder of applications is there because of us."""
        return (self._said() or {}).get(_MADE_FOLDER) is True

    def _check_ours(self) -> None:
        """Nobody else's application is replaced or removed: that of the disk image has this name.

        Raises:
            DesktopTrouble: the place is taken.
        """
        ours = _MADE_FOLDER in (self._said() or {}) and not os.path.islink(self.bundle)
        if os.path.lexists(self.bundle) and not ours:
            raise DesktopTrouble(f"{self.bundle} was not made by this command: move it away first")

    def _files(self, command: Sequence[str], made: bool) -> list[tuple[str, bytes, bool]]:
        said = {**info_plist(__version__), _MADE_FOLDER: made}
        script = f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n'
        found = [
            ("Contents/Info.plist", plistlib.dumps(said), False),
            (f"Contents/MacOS/{EXECUTABLE}", os.fsencode(script), True),
        ]
        for name in sorted(os.listdir(self._icons)):
            if name.endswith(".icns"):
                with open(os.path.join(self._icons, name), "rb") as file:
                    found.append((f"Contents/Resources/{name}", file.read(), False))
        return found

    def uninstall(self) -> Change:
        """Remove the bundle.

        Raises:
            DesktopTrouble: it cannot be done, or it is another application.
        """
        if not os.path.lexists(self.bundle):
            return Change()
        self._check_ours()
        notes = self._told("-u")
        made = self._made_folder()
        try:
            shutil.rmtree(self.bundle)
            if made and not os.listdir(self._folder):
                os.rmdir(self._folder)
        except OSError as error:
            raise _trouble(error) from None
        return Change(removed=(self.bundle,), notes=tuple(notes))

    def status(self) -> Status:
        """What there is. Which application opens a type, macOS tells nobody without its own API."""
        said = self._said()
        if not os.path.lexists(self.bundle) or (said is not None and _MADE_FOLDER not in said):
            return Status(State.ABSENT)
        script = os.path.join(self.bundle, "Contents", "MacOS", EXECUTABLE)
        try:
            with open(script, encoding="utf-8", errors="surrogateescape") as file:
                line = file.read().splitlines()[1]
            command = tuple(shlex.split(line.removeprefix("exec ").removesuffix(' "$@"')))
        except (OSError, IndexError, ValueError):
            return Status(State.PARTLY, missing=(script,))
        missing, outdated = [], []
        for path, content, _ in self._files(command, self._made_folder()):
            try:
                with open(os.path.join(self.bundle, path), "rb") as there:
                    if there.read() != content:
                        outdated.append(os.path.join(self.bundle, path))
            except OSError:
                missing.append(os.path.join(self.bundle, path))
        is_there = bool(command) and os.access(command[0], os.X_OK)
        if missing:
            state = State.PARTLY
        else:
            state = State.STALE if outdated or not is_there else State.INSTALLED
        return Status(state, command, is_there, tuple(missing), tuple(outdated))

    def _told(self, option: str) -> list[str]:
        if not os.path.exists(self._register):
            return ["lsregister is not where it should be: the types may be known after a login"]
        command = [self._register, option, self.bundle]
        try:
            ended = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            return ["lsregister did not answer: log out and in again"]
        except OSError as error:
            return [f"lsregister cannot be started ({error.strerror}): log out and in again"]
        return [] if ended.returncode == 0 else ["lsregister failed: log out and in again"]


def _trouble(error: OSError) -> DesktopTrouble:
    place = f"{error.filename}: " if error.filename else ""
    return DesktopTrouble(f"{place}{error.strerror or error}")
