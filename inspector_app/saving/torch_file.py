"""A torch file: a zip with the pickle of the tree, and an entry for each storage.

Source: ``torch/serialization.py`` of torch 2.13, ``_save``: the records and their order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from inspector_app.analysis.output_tree import OutStorage
from inspector_app.analysis.save_plan import SavePlan
from inspector_app.checkpoint.pickle_nodes import BytesPlace
from inspector_app.saving.layout import FileLayout, Write
from inspector_app.saving.pickle_writer import PickleWriter
from inspector_app.saving.read_ahead import Job
from inspector_app.saving.zip_writer import ZipWriter

_ROOT = "archive"
_BEFORE = {".format_version": b"1", ".storage_alignment": b"64", "byteorder": b"little"}
_VERSION = b"3\n"
_PER_ENTRY = 250


class TorchLayout(FileLayout):
    """The records of a torch file."""

    checksums = True

    def __init__(self, pickle: bytes, storages: Sequence[OutStorage], names: Sequence[str]) -> None:
        jobs = [Job(storage.content, storage.nbytes) for storage in storages]
        super().__init__(jobs, names, [storage.dtype for storage in storages])
        self._pickle = pickle
        self.nbytes += len(pickle) + _PER_ENTRY * (len(jobs) + 6)

    def begin(self, write: Write) -> None:
        self._write = write
        self._zip = ZipWriter(write)
        self._add("data.pkl", self._pickle)
        for name, data in _BEFORE.items():
            self._add(name, data)

    def begin_job(self, number: int) -> None:
        self._zip.begin(f"{_ROOT}/data/{number}", self.jobs[number].nbytes)

    def end_job(self, number: int, crc32: int) -> None:
        self._zip.end(crc32)

    def end(self) -> None:
        self._add("version", _VERSION)
        # Twenty digits for the names, twenty for the contents.
        names = data = 0
        for entry in self._zip.entries:
            names = zlib.crc32(entry.name, names)
            data = zlib.crc32(entry.crc32.to_bytes(4, "little"), data)
        self._add(".data/serialization_id", f"{names:020d}{data:020d}".encode())
        self._zip.close()

    def _add(self, name: str, data: bytes) -> None:
        self._zip.begin(f"{_ROOT}/{name}", len(data))
        self._write(data)
        self._zip.end(zlib.crc32(data))


def layout(plan: SavePlan, long_text: Callable[[BytesPlace], bytes]) -> TorchLayout:
    """How the file of `plan` is put together.

    Raises:
        CheckpointError: a long text cannot be read.
    """
    writer = PickleWriter(long_text)
    pickle = b"".join(writer.pieces(plan.root))
    named: dict[OutStorage, str] = {}
    for each in plan.tensors:
        for tensor in (each.tensor, *each.tensor.parts.values()):
            if tensor.storage is not None:
                named.setdefault(tensor.storage, each.name)
    names = [named.get(storage, "") for storage in writer.storages]
    return TorchLayout(pickle, writer.storages, names)
