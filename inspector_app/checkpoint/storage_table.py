"""The storages that a pickle refers to, each once."""

from __future__ import annotations

from inspector_app.checkpoint.model import StorageRef


class StorageTable:
    """Storages by key. Tensors with one key share bytes.

    Attributes:
        by_key: in the order they were first named.
        conflicts: keys that were named again with another length or device.
    """

    def __init__(self) -> None:
        self.by_key: dict[str, StorageRef] = {}
        self.conflicts: dict[str, str] = {}

    def get(self, key: str, nbytes: int, device: str) -> StorageRef:
        """The storage called `key`; the first mention decides, as in torch."""
        storage = self.by_key.get(key)
        if storage is None:
            storage = self.by_key[key] = StorageRef(key, nbytes, device)
        elif storage.nbytes != nbytes:
            self.conflicts[key] = f"{storage.nbytes} and {nbytes} bytes"
        elif storage.device != device:
            self.conflicts[key] = f"{storage.device} and {device}"
        return storage
