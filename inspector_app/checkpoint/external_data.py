"""Tensors of an ONNX model whose bytes lie in files beside it.

Source: ``onnx.proto``, TensorProto.external_data: pairs ``location`` (a path relative to
the model's folder), ``offset`` and ``length`` (decimal; all from `offset` on if absent).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping

from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.model import Record, StorageRef
from inspector_app.checkpoint.named_files import OutsideFolderError, file_in
from inspector_app.checkpoint.text import plain

_LONGEST_NUMBER = 20


class ExternalFiles:
    """The data files of one model.

    Args:
        model_path: the model.
        report: takes each problem; one for each file that is not there.

    Attributes:
        sizes: the path and the length of each data file that is there.
        stamps: the same with its modification time.
    """

    def __init__(self, model_path: str, report: Callable[[Problem], None]) -> None:
        self.sizes: dict[str, int] = {}
        self.stamps: dict[str, tuple[int, int]] = {}
        self._folder = os.path.dirname(model_path)
        self._model = os.path.realpath(model_path)
        self._report = report
        self._paths: dict[str, str] = {}

    def storage(self, name: str, entries: Mapping[str, str], expected: int | None) -> StorageRef:
        """The storage of the tensor `name`, whose shape and dtype come to `expected` bytes."""
        location = entries.get("location", "")
        path = self._path(location, name)
        size = self.sizes.get(path)
        offset = _number(entries.get("offset", "0"))
        length = _number(entries["length"]) if "length" in entries else None
        if offset is None or (length is None and "length" in entries):
            self._complain(location, name, "has an offset or a length that is no number")
            return StorageRef(name, expected or 0, "cpu", path)
        if length is None:
            length = (expected or 0) if size is None else max(0, size - offset)
        storage = StorageRef(f"{offset}+{length}", length, "cpu", path)
        if size is not None and offset + length > size:
            missing = offset + length - size
            self._complain(location, name, f"ends {missing} bytes before this tensor does")
        elif size is not None:
            storage.record = Record("", offset, length)
        if expected is not None and length != expected:
            details = {"expected": expected, "found": length}
            self._report(Problem("storage-size", name, details))
        return storage

    def _path(self, location: str, name: str) -> str:
        """The path of the data file, "" where it may not be opened; looked at once a file."""
        path = self._paths.get(location)
        if path is not None:
            return path
        self._paths[location] = path = ""
        try:
            path = file_in(self._folder, location)
        except OutsideFolderError:
            self._complain(location, name, "lies outside the model's folder")
            return path
        self._paths[location] = path
        try:
            status = os.stat(path)
        except FileNotFoundError:
            self._complain(location, name, "is missing")
        except OSError as error:
            self._complain(location, name, f"cannot be read: {error.strerror}")
        else:
            if os.path.realpath(path) == self._model:
                self._complain(location, name, "is the model itself")
            if stat.S_ISREG(status.st_mode):
                self.sizes[path] = status.st_size
                self.stamps[path] = (status.st_size, status.st_mtime_ns)
            else:
                self._complain(location, name, "is no regular file")
        return path

    def _complain(self, location: str, name: str, reason: str) -> None:
        details = {"location": plain(location) or "without a location", "reason": reason}
        self._report(Problem("external-data", name, details))


def _number(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER:
        return int(text)
    return None
