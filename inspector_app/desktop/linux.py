"""An installation for one user of Linux."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence

from inspector_app.desktop import linux_caches, mime_defaults
from inspector_app.desktop.desktop_entry import FILE_NAME as ENTRY
from inspector_app.desktop.file_types import opened_by_default
from inspector_app.desktop.linux_files import Folders, known_files, wanted_files
from inspector_app.desktop.placed_files import (
    content_of,
    make_folder,
    place,
    remove,
    remove_empty,
)
from inspector_app.desktop.receipt import RECEIPT, Receipt
from inspector_app.desktop.report import Change, DesktopTrouble, State, Status


class LinuxDesktop:
    """The desktop of one user.

    Args:
        environment: says where the folders are.
        home: the user's.
    """

    def __init__(self, environment: Mapping[str, str], home: str) -> None:
        self.folders = Folders.of(environment, home)
        self._associations = mime_defaults.Associations(environment, home)
        self._receipt_path = os.path.join(self.folders.own, RECEIPT)
        self._list_path = os.path.join(self.folders.config, mime_defaults.FILE_NAME)

    def install(self, command: Sequence[str], default: bool) -> Change:
        """Put everything in place; what an older installation left goes.

        Raises:
            DesktopTrouble: it cannot be done.
        """
        try:
            wanted = wanted_files(self.folders, command)
        except ValueError:
            raise DesktopTrouble(
                f"no menu entry can be written for {command[0]} below {self.folders.data}: the "
                "name of a folder has bytes that are not UTF-8"
            ) from None
        except FileNotFoundError as error:
            raise DesktopTrouble(f"this installation is not whole: {error}") from None
        receipt = Receipt.read(self._receipt_path)
        receipt.command = list(command)
        present = known_files(self.folders)
        # Only what was not there before the first installation is taken away by the last.
        if not present:
            receipt.caches = []
            receipt.neighbours = linux_caches.neighbours(self.folders)
        receipt.caches += [
            path
            for path in linux_caches.cache_files(self.folders)
            if not os.path.exists(path) and path not in receipt.caches
        ]
        try:
            self._write_receipt(receipt)
            for each in wanted:
                before = len(receipt.folders)
                make_folder(os.path.dirname(each.path), receipt.folders)
                if len(receipt.folders) > before:
                    # Before anything else: after an end by force all can still be taken away.
                    self._write_receipt(receipt)
                place(each.path, each.content, each.executable)
            for path in set(present) - {each.path for each in wanted}:
                remove(path)
            # What update-mime-database would make, so that we know of it.
            make_folder(os.path.join(self.folders.mime, "application"), receipt.folders)
            if default:
                self._become_default(receipt)
            self._write_receipt(receipt)
        except OSError as error:
            if not present:
                # The first error is the one to tell.
                with contextlib.suppress(OSError):
                    self._take_away(receipt)
            raise _trouble(error) from None
        notes = linux_caches.refresh(self.folders)
        return Change(written=tuple(each.path for each in wanted), notes=tuple(notes))

    def _write_receipt(self, receipt: Receipt) -> None:
        make_folder(self.folders.own, receipt.folders)
        place(self._receipt_path, receipt.content(), durable=True)

    def _become_default(self, receipt: Receipt) -> None:
        before = self._list_text()
        types = [each.mime_type for each in opened_by_default()]
        after = mime_defaults.with_default(before or "", ENTRY, types)
        if after == before:
            return
        receipt.made_list = receipt.made_list or before is None
        make_folder(self.folders.config, receipt.folders)
        place(self._list_path, after.encode("utf-8", "surrogateescape"), durable=True)

    def _list_text(self) -> str | None:
        try:
            with open(self._list_path, "rb") as file:
                return file.read().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return None

    def uninstall(self) -> Change:
        """Take away all that `install` put there, and the folders and caches that it made.

        Raises:
            DesktopTrouble: it cannot be done.
        """
        try:
            return self._take_away(Receipt.read(self._receipt_path))
        except OSError as error:
            raise _trouble(error) from None

    def _take_away(self, receipt: Receipt) -> Change:
        removed = [path for path in known_files(self.folders) if remove(path)]
        refused = None
        try:
            self._leave_the_list(receipt)
        except OSError as error:
            refused = error  # somebody keeps that list from being written; all else can go
        notes: list[str] = []
        if removed or receipt.command:
            notes = linux_caches.forget(self.folders, receipt.caches, receipt.neighbours)
        if remove(self._receipt_path):
            removed.append(self._receipt_path)
        own = [path for path in receipt.folders if self._is_below_home(path)]
        remove_empty([*own, self.folders.own])
        if refused is not None:
            raise refused
        return Change(removed=tuple(removed), notes=tuple(notes))

    def _is_below_home(self, path: str) -> bool:
        """A receipt is a file like any other: it empties no folder elsewhere."""
        folders = (self.folders.data, self.folders.config)
        return os.path.isabs(path) and any(
            path == each or path.startswith(each + os.sep) or each.startswith(path + os.sep)
            for each in folders
        )

    def _leave_the_list(self, receipt: Receipt) -> None:
        before = self._list_text()
        if before is None:
            return
        after = mime_defaults.without(before, ENTRY)
        if not after.strip() and receipt.made_list:
            remove(self._list_path)
        elif after != before:
            place(self._list_path, after.encode("utf-8", "surrogateescape"), durable=True)

    def status(self) -> Status:
        """What there is, and which application opens each type."""
        defaults = {
            each.mime_type: self._associations.default_of(each.mime_type)
            for each in opened_by_default()
        }
        ours = frozenset(name for name, entry in defaults.items() if entry == ENTRY)
        system = [
            path
            for folder in self._associations.data_folders[1:]
            if os.path.exists(path := os.path.join(folder, "applications", ENTRY))
        ]
        wide = system[0] if system else ""
        present = known_files(self.folders)
        receipt = Receipt.read(self._receipt_path)
        if not present:
            state = State.INSTALLED if wide else State.ABSENT
            return Status(state, system_wide=wide, defaults=defaults, ours=ours)
        command = receipt.command
        if not command:
            return Status(
                State.PARTLY,
                missing=(self._receipt_path,),
                system_wide=wide,
                defaults=defaults,
                ours=ours,
            )
        try:
            wanted = wanted_files(self.folders, command)
        except (ValueError, OSError):
            wanted = []
        missing = [each.path for each in wanted if each.path not in present]
        outdated = [
            each.path
            for each in wanted
            if each.path in present and content_of(each.path) != each.content
        ]
        outdated += sorted(set(present) - {each.path for each in wanted})
        is_there = os.access(command[0], os.X_OK)
        if missing:
            state = State.PARTLY
        elif outdated or not is_there:
            state = State.STALE
        else:
            state = State.INSTALLED
        return Status(
            state,
            tuple(command),
            is_there,
            tuple(missing),
            tuple(outdated),
            wide,
            defaults,
            ours,
        )


def _trouble(error: OSError) -> DesktopTrouble:
    place = f"{error.filename}: " if error.filename else ""
    return DesktopTrouble(f"{place}{error.strerror or error}")
