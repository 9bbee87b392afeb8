"""Carries a plan out: writes beside the target, and takes its place when all is on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import TypeAlias

from inspector_app.analysis.save_options import Form
from inspector_app.analysis.save_plan import SavePlan
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import CannotSave, UnreadableFile
from inspector_app.checkpoint.model import Progress
from inspector_app.checkpoint.pickle_nodes import BytesPlace
from inspector_app.saving import npz_file, safetensors_file, torch_file
from inspector_app.saving.blocks import Sources
from inspector_app.saving.layout import FileLayout
from inspector_app.saving.partial_file import PartialFile, disk_full
from inspector_app.saving.read_ahead import ReadAhead
from inspector_app.saving.shard_set import ShardSet


@dataclass(frozen=True, slots=True)
class SaveProgress:
    """How far it is: `done` of `total` bytes of values, and what is being written.

    While `proving` they are what of the file has been read again, in the reader's own units.
    """

    done: int
    total: int
    what: str = ""
    proving: bool = False


@dataclass(frozen=True, slots=True)
class Overflow:
    """Finite values that were too large for the dtype that they were cast to.

    They are infinite now; NaN where the dtype has no infinity; of ``float8_e4m3fn`` the largest
    number.
    """

    name: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written.

    Attributes:
        files: the target; of shards the index first.
        nbytes: length of all of them.
        overflows: of each tensor that had any.
    """

    files: tuple[str, ...]
    nbytes: int
    overflows: tuple[Overflow, ...]


Saving: TypeAlias = Generator[SaveProgress, None, Saved]
# Reads a file that is complete but not at its place: where it lies, and what it is to be.
Proof: TypeAlias = Callable[[str, str], Generator[Progress, None, None]]


def saving(plan: SavePlan, force: bool = False, proof: Proof | None = None) -> Saving:
    """Write what `plan` says.

    A step waits for the disk and computes for some milliseconds, mostly without the GIL: the
    window runs it in a thread (`ui.background`). If the generator is closed, or anything fails,
    nothing is left of what was begun, and what was there stays.

    Args:
        force: replace what has the target's name, which may be the source itself.
        proof: has to end without an error before the file gets its name; of shards each.

    Raises:
        CheckpointError: it cannot be read or written; the sentence says why.
    """
    _refuse(plan, force)
    _check_stamps(plan)
    if plan.form == Form.SAFETENSORS and plan.max_shard_bytes is not None:
        shards = safetensors_file.shards(plan, plan.max_shard_bytes)
        if len(shards) > 1:
            return (yield from _writing_shards(plan, shards, force, proof))
    layout: FileLayout
    if plan.form == Form.TORCH:
        layout = torch_file.layout(plan, _long_text)
    elif plan.form == Form.SAFETENSORS:
        layout = safetensors_file.layout(plan.tensors, plan.metadata)
    else:
        layout = npz_file.layout(plan)
    _check_room(plan, layout.nbytes)
    overflows: list[Overflow] = []
    with closing(Sources()) as sources, PartialFile(plan.target) as file:
        yield from _writing(layout, sources, file, overflows, 0, layout.nbytes)
        sources.check_unchanged()
        _check_stamps(plan)
        # Windows replaces no file that is open: the target may be the source.
        sources.close()
        file.finish()
        yield from _proving(file, proof)
        file.place(force)
    return Saved((file.target,), file.nbytes, tuple(overflows))


def best_name(path: str) -> str:
    """Where "save as best" puts a copy: beside, with ``_best`` before the ending."""
    stem, ending = os.path.splitext(path)
    return f"{stem}_best{ending}"


def _writing(
    layout: FileLayout,
    sources: Sources,
    file: PartialFile,
    overflows: list[Overflow],
    done: int,
    total: int,
) -> Generator[SaveProgress, None, None]:
    ahead = ReadAhead(sources, layout.jobs, layout.checksums)
    layout.begin(file.write)
    begun = -1
    with closing(ahead.batches()) as batches:
        for pieces in batches:
            for piece in pieces:
                if piece.number != begun:
                    begun = piece.number
                    layout.begin_job(begun)
                if piece.data is not None:
                    file.write(piece.data)
                    done += len(piece.data)
                    continue
                if piece.place is not None:
                    file.copy(*piece.place)
                    done += piece.place[2]
                    continue
                layout.end_job(begun, piece.crc32)
                if piece.overflows:
                    name, dtype = layout.names[begun], layout.dtypes[begun]
                    overflows.append(Overflow(name, dtype, piece.overflows))
            yield SaveProgress(done, total, layout.names[begun])
    layout.end()


def _proving(file: PartialFile, proof: Proof | None) -> Generator[SaveProgress, None, None]:
    if proof is not None:
        for each in proof(file.path, file.target):
            done = each.done if each.total else 0
            yield SaveProgress(done, each.total or 0, proving=True)


def _writing_shards(
    plan: SavePlan, shards: list[safetensors_file.Shard], force: bool, proof: Proof | None
) -> Saving:
    """All files are complete before the first gets its name, and the index is the last."""
    shard_set = ShardSet(plan.target, len(shards), force)
    layouts = [safetensors_file.layout(shard.tensors, plan.metadata) for shard in shards]
    total = sum(layout.nbytes for layout in layouts)
    _check_room(plan, total)
    overflows: list[Overflow] = []
    with ExitStack() as stack:
        sources = stack.enter_context(closing(Sources()))
        files = []
        done = 0
        for name, layout in zip(shard_set.names, layouts, strict=True):
            file = stack.enter_context(PartialFile(os.path.join(shard_set.folder, name)))
            files.append(file)
            yield from _writing(layout, sources, file, overflows, done, total)
            done = sum(each.nbytes for each in files)
            file.finish()
            yield from _proving(file, proof)
        index = stack.enter_context(PartialFile(shard_set.index))
        index.write(safetensors_file.index(plan, shards, shard_set.names))
        sources.check_unchanged()
        _check_stamps(plan)
        sources.close()
        index.finish()
        placed: list[str] = []
        try:
            for file in files:
                file.place(force=False)
                placed.append(file.target)
            index.place(force)
        except BaseException:
            # Without the index nobody reads them, and the old ones have other names.
            for path in placed:
                with suppress(OSError):
                    os.unlink(path)
            raise
        shard_set.remove_old()
    paths = (index.target, *placed)
    return Saved(paths, index.nbytes + sum(file.nbytes for file in files), tuple(overflows))


def _refuse(plan: SavePlan, force: bool) -> None:
    """Raise `CannotSave` where the target may not be written."""
    target = plan.target
    if os.path.isdir(target):
        raise CannotSave("save-folder", target)
    for checkpoint in plan.checkpoints:
        sources = {checkpoint.path, *checkpoint.files}
        for source in sources:
            with suppress(OSError):
                # One file may be replaced when all of it has been read; of several none.
                if os.path.samefile(source, target) and len(checkpoint.files) > 1:
                    raise CannotSave("save-source", target)
    if os.path.lexists(target) and not force:
        raise CannotSave("save-exists", target)


def _check_stamps(plan: SavePlan) -> None:
    """Raise `UnreadableFile` where a source is not what was planned with."""
    for checkpoint in plan.checkpoints:
        if not checkpoint.modified_ns or not os.path.isfile(checkpoint.path):
            continue
        try:
            changed = os.stat(checkpoint.path).st_mtime_ns != checkpoint.modified_ns
        except OSError:
            changed = True
        if changed:
            raise UnreadableFile("file-changed", checkpoint.path)


def _check_room(plan: SavePlan, nbytes: int) -> None:
    """Raise `CannotSave` before hours of work where the disk has no room for the result."""
    import shutil

    folder = os.path.dirname(os.path.realpath(plan.target))
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        reason = str(error.strerror or error)
        raise CannotSave("save-not-writable", plan.target, reason=reason) from None
    if free < nbytes:
        raise disk_full(plan.target, nbytes)


def _long_text(place: BytesPlace) -> bytes:
    assert place.place is not None
    path, offset = place.place
    with ByteSource(path) as source:
        data = source.read(offset, place.nbytes)
    if len(data) != place.nbytes:
        raise UnreadableFile("file-changed", path)
    return data
