"""A .npz file: a zip with a .npy file for each tensor.

Source: ``numpy/lib/format.py`` (version 1.0 and 2.0) and ``numpy.savez``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from inspector_app.analysis.flat_tensors import NPY_CODES
from inspector_app.analysis.save_plan import PlannedTensor, SavePlan
from inspector_app.saving.layout import FileLayout, Write
from inspector_app.saving.read_ahead import Job
from inspector_app.saving.zip_writer import ZipWriter

_ALIGNED = 64
_SHORT = 0xFFFF
_PER_ENTRY = 250


def npy_header(tensor_shape: Sequence[int], code: str) -> bytes:
    """What stands before the values."""
    shape = "".join(f"{size}, " for size in tensor_shape).rstrip()
    if len(tensor_shape) != 1:
        shape = shape.rstrip(",")
    text = f"{{'descr': '{code}', 'fortran_order': False, 'shape': ({shape}), }}"
    long = len(text) + _ALIGNED > _SHORT
    before = 12 if long else 10
    text += " " * (-(before + len(text) + 1) % _ALIGNED) + "\n"
    version, form = (b"\x02\x00", "<I") if long else (b"\x01\x00", "<H")
    return b"\x93NUMPY" + version + struct.pack(form, len(text)) + text.encode("ascii")


class NpzLayout(FileLayout):
    """An entry for each tensor."""

    checksums = True

    def __init__(self, tensors: Sequence[PlannedTensor]) -> None:
        self._headers = []
        jobs = []
        for each in tensors:
            storage = each.tensor.storage
            assert storage is not None
            header = npy_header(each.tensor.shape, NPY_CODES[each.tensor.dtype])
            self._headers.append(header)
            jobs.append(Job(storage.content, storage.nbytes, zlib.crc32(header)))
        names = [each.name for each in tensors]
        super().__init__(jobs, names, [each.tensor.dtype for each in tensors])
        self.nbytes += sum(map(len, self._headers)) + _PER_ENTRY * len(jobs)

    def begin(self, write: Write) -> None:
        self._write = write
        self._zip = ZipWriter(write)

    def begin_job(self, number: int) -> None:
        header = self._headers[number]
        self._zip.begin(f"{self.names[number]}.npy", len(header) + self.jobs[number].nbytes)
        self._write(header)

    def end_job(self, number: int, crc32: int) -> None:
        self._zip.end(crc32)

    def end(self) -> None:
        self._zip.close()


def layout(plan: SavePlan) -> NpzLayout:
    """How the file of `plan` is put together."""
    return NpzLayout(plan.tensors)
