"""How a file is put together around the bytes of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector_app.saving.read_ahead import Job

Write = Callable[[bytes], object]


class FileLayout:
    """What is written before, between and after the jobs' bytes.

    Attributes:
        jobs: the bytes of tensors, in their order in the file.
        names, dtypes: what each job is for, for people.
        nbytes: length of the file, to about a thousandth.
        checksums: whether each job's CRC-32 is needed.
    """

    checksums = False

    def __init__(self, jobs: Sequence[Job], names: Sequence[str], dtypes: Sequence[str]) -> None:
        self.jobs = jobs
        self.names = names
        self.dtypes = dtypes
        self.nbytes = sum(job.nbytes for job in jobs)

    def begin(self, write: Write) -> None:
        """Write what stands before the first job."""

    def begin_job(self, number: int) -> None:
        """Write what stands right before the bytes of a job."""

    def end_job(self, number: int, crc32: int) -> None:
        """Write what stands right after them."""

    def end(self) -> None:
        """Write what stands after the last job."""
