"""One fuzz target in this process: ``python -m tests.fuzz.targets.one NAME SEEDS [libFuzzer's]``.

libFuzzer changes bytes and keeps what reaches new branches of `inspector_app.checkpoint`. Half
of the changes know the structure: a record of the container is changed, by libFuzzer or by the
project's own mutations, and the container is written anew around it.
"""

from __future__ import annotations

import contextlib
import gc
import random
import struct
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["inspector_app.checkpoint"]):
    from tests.fuzz.looking import assert_harmless, load_readers, look

    load_readers()

from inspector_app.checkpoint import zip_directory
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.limits import DEFAULT
from tests.fuzz import bounds, mutations, zip_forms
from tests.fuzz.stored_seeds import StoredSeed, stored
from tests.fuzz.targets.table import TARGETS, Target
from tests.fuzz.trial import write_file

_COLLECT_EVERY = 300
_STRUCTURED = 0.5
_WHOLE_OF = 4  # one of so many files is looked at from every side
_NOT_KEPT = -1
# What the process itself takes grows with the corpus: a file's own share is what counts.
_MEGABYTES = bounds.MEGABYTES - 150
_NO_CONTAINER = (
    ValueError, LookupError, struct.error, zipfile.BadZipFile, zlib.error, NotImplementedError,
    EOFError, OSError, RecursionError, RuntimeError, tarfile.TarError,
    OverflowError,  # of tarfile, for a size of 89 bits
)  # fmt: skip
_SHARED_MEMORY = Path("/dev/shm")


class Fuzzing:
    """The target's function and its mutator, for libFuzzer to call.

    Args:
        target: what is fuzzed.
        seeds: what its corpus begins with.
        folder: for the file that is looked at.
    """

    def __init__(self, target: Target, seeds: list[StoredSeed], folder: Path) -> None:
        self._target = target
        self._folder = folder
        self._others = seeds
        own = [seed for seed in seeds if seed.reader == target.reader] or seeds
        self._seed = own[0]
        self._beside = {name: data for seed in own for name, data in seed.beside.items()}
        self._count = 0

    def __call__(self, data: bytes) -> int:
        """Look at a file; any exception but `CheckpointError` is a finding."""
        self._count += 1
        if self._count % _COLLECT_EVERY == 0:
            gc.collect()
        seed = StoredSeed(self._seed.name, data, self._beside, self._seed.suffix)
        path = write_file(self._folder, seed, data)
        before = bounds.resident_megabytes()
        bounds.forget_peak()
        start = time.process_time()
        kept = self._read_directory(path) if not self._target.reader else self._look(path, data)
        seconds = time.process_time() - start
        assert seconds <= bounds.SECONDS, f"{seconds:.1f} s of processor time"
        taken = bounds.peak_megabytes() - before
        assert taken <= _MEGABYTES, f"{taken} MB more at its peak"
        return 0 if kept else _NOT_KEPT

    def _look(self, path: Path, data: bytes) -> bool:
        archive = self._target.reader in ("torch-zip", "torchscript", "torch-export")
        if archive != data.startswith(b"PK\x03\x04"):
            return False
        # The same for the same bytes, so that a finding can be seen again.
        outcome = look(path, whole=zlib.crc32(data) % _WHOLE_OF == 0)
        wanted = self._target.format
        return not wanted or outcome == f"tree {wanted}" or outcome.startswith("error b")

    def _read_directory(self, path: Path) -> bool:
        try:
            with ByteSource(path) as source:
                if not zip_directory.recognise(source):
                    return False
                steps = zip_directory.reading(source, DEFAULT)
                while True:
                    try:
                        next(steps)
                    except StopIteration as end:
                        directory = end.value
                        break
                for record in directory.order[:50]:
                    self._read_record(directory, record)
        except CheckpointError as error:
            assert_harmless(str(error))
        return True

    def _read_record(self, directory: zip_directory.ZipDirectory, record: object) -> None:
        try:
            directory.read(record)
        except CheckpointError as error:
            assert_harmless(str(error))

    def mutator(self, data: bytes, max_size: int, seed: int) -> bytes:
        """A changed file; libFuzzer's own change where the structure cannot be read."""
        chance = random.Random(seed)
        if chance.random() < _STRUCTURED:
            # What was changed before is often no container any more; then bytes are changed.
            with contextlib.suppress(*_NO_CONTAINER):
                return self._structured(data, chance, max_size)[:max_size]
        return bytes(atheris.Mutate(data, max_size))

    def _structured(self, data: bytes, chance: random.Random, max_size: int) -> bytes:
        if data.startswith(b"PK") and chance.random() < 0.5:
            entries = zip_forms.unpacked(data)
            name = chance.choice(sorted(entries))
            changed = bytes(atheris.Mutate(entries[name] or b"\0", max(len(entries[name]), 1) + 64))
            return zip_forms.written(mutations._plain(entries | {name: changed}))
        return mutations.with_structure(data, chance, self._seed, self._others)


def main(arguments: list[str]) -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    name, seeds, *options = arguments[1:]
    shared = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=shared) as folder:
        fuzzing = Fuzzing(TARGETS[name], stored(Path(seeds)), Path(folder))
        gc.disable()
        atheris.Setup([arguments[0], *options], fuzzing, custom_mutator=fuzzing.mutator)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
