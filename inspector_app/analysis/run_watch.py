"""Watches a folder into which a training writes its checkpoints.

Folder watchers of operating systems tell of new names and not of files that grow, so the folder
is polled: `RunWatch.scanning` looks at names, sizes and times, and reads only what is at rest.

A file is left alone while it changes. Once it has been at rest for `SETTLED_SECONDS` it is read
once: if it is whole it is there, within two seconds of its last byte where scans come every half
second. If it is torn it counts as being written until `WRITING_SECONDS` after its last change,
and is not opened again meanwhile; then it is incomplete.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from inspector_app.analysis.companions import TRAINER_STATE, is_one_checkpoint
from inspector_app.analysis.run_checkpoints import (
    FileState,
    Run,
    RunCheckpoint,
    reading_checkpoint,
    run_of,
    size_and_time,
)
from inspector_app.analysis.run_order import place_of
from inspector_app.checkpoint.errors import UnreadableFile
from inspector_app.checkpoint.model import Progress

SETTLED_SECONDS = 1.0
WRITING_SECONDS = 10.0
POLL_SECONDS = 0.5
MOST_FILES = 20_000

_ENDINGS = (".pth", ".pt", ".ckpt", ".safetensors", ".pth.tar")
# Other files end so, too.
_NAMED_BIN = re.compile(r"(pytorch_model|adapter_model|diffusion_pytorch_model|model)[^/]*\.bin$")
# What belongs to a checkpoint and is none.
_PARTS = re.compile(
    r"(optimizer|scheduler|scaler|sampler|training_args|rng_state|random_states)(_\d+)?\.(pt|bin|pth|pkl)$"
    r"|.*-\d{5}-of-\d{5}\.(safetensors|bin)$"
)
_WHOLE_FOLDER = (
    TRAINER_STATE,
    "model.safetensors",
    "pytorch_model.bin",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
)
_MODEL_FILES = _WHOLE_FOLDER[1:]
_USUAL_FOLDERS = frozenset({"checkpoints", "checkpoint", "ckpt", "ckpts", "weights", "models"})


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What a scan found.

    Attributes:
        before: as it was known, or None where it is new.
        after: as it is, or None where it is gone.
    """

    before: RunCheckpoint | None
    after: RunCheckpoint | None


@dataclass(slots=True)
class _Seen:
    """A file as it was last seen.

    Attributes:
        stamp: size and time.
        since: when it was last seen to change, in the clock's seconds.
        read: the stamp that it had when it was read, or None.
        shown: what is known of it.
    """

    stamp: tuple[int, int]
    since: float
    read: tuple[int, int] | None
    shown: RunCheckpoint


def candidates(path: str) -> list[tuple[str, str]]:
    """The checkpoints in a folder: paths, and the names that they are shown by.

    A folder in it that holds one checkpoint in several files, as Hugging Face's Trainer writes
    them, is one. Its shards, and what lies beside a model, are none of their own.

    Raises:
        UnreadableFile: the folder cannot be listed.
    """
    return sorted(_in_folder(path, "", 0), key=lambda pair: pair[1])[:MOST_FILES]


def _in_folder(folder: str, before: str, depth: int) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError as error:
        if depth:
            return  # a folder that is just being made or taken away
        raise UnreadableFile("os-error", folder, reason=str(error.strerror)) from None
    names = {entry.name for entry in found}
    if depth == 0 and is_one_checkpoint(folder):
        model = _model_in(folder, names)
        if model:
            yield model, os.path.basename(os.path.abspath(folder))
            found = [entry for entry in found if entry.is_dir()]
    for entry in found:
        if entry.is_dir():
            if depth == 0:
                yield from _sub_folder(entry.path, entry.name)
        elif _is_checkpoint(entry.name):
            yield entry.path, before + entry.name


def _is_checkpoint(name: str) -> bool:
    if _PARTS.match(name):
        return False
    return name.endswith(_ENDINGS) or _NAMED_BIN.match(name) is not None


def _sub_folder(path: str, name: str) -> Iterator[tuple[str, str]]:
    try:
        names = set(os.listdir(path))
    except OSError:
        return
    if not names.isdisjoint(_WHOLE_FOLDER):
        model = _model_in(path, names)
        if model:
            yield model, name
    elif name.lower() in _USUAL_FOLDERS:
        yield from _in_folder(path, f"{name}/", 1)


def _model_in(folder: str, names: set[str]) -> str:
    """The file, or the index, of the model in a folder that is one checkpoint; or ""."""
    return next((os.path.join(folder, each) for each in _MODEL_FILES if each in names), "")


class RunWatch:
    """Follows a run.

    Args:
        folder: that is watched, or "".
        files: checkpoints besides, wherever they lie.
    """

    def __init__(self, folder: str = "", files: Sequence[str] = ()) -> None:
        self._folder = folder
        self._files = list(files)
        self._seen: dict[str, _Seen] = {}

    @property
    def checkpoints(self) -> list[RunCheckpoint]:
        """What is known, in no order."""
        return [seen.shown for seen in self._seen.values()]

    def run(self) -> Run:
        """The run as it is known."""
        return run_of(self.checkpoints)

    @property
    def waiting(self) -> bool:
        """Some file is being written."""
        return any(seen.shown.state == FileState.BEING_WRITTEN for seen in self._seen.values())

    def scan(self, now: float) -> list[Change]:
        """`scanning` in one go."""
        steps = self.scanning(now)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                changes: list[Change] = end.value
                return changes

    def scanning(self, now: float) -> Generator[Progress, None, list[Change]]:
        """Look once, in short steps; what changed is the return value.

        Args:
            now: seconds since the epoch (`time.time()`).

        Raises:
            UnreadableFile: the folder cannot be listed.
        """
        listed = candidates(self._folder) if self._folder else []
        listed += [(path, os.path.basename(path)) for path in self._files]
        changes = [
            Change(self._seen.pop(path).shown, None)
            for path in self._seen.keys() - {path for path, _ in listed}
        ]
        for number, (path, name) in enumerate(dict(listed).items()):
            yield Progress("checkpoints", number, len(listed))
            seen = self._seen.get(path)
            steps = self._looking(path, name, now)
            with closing(steps):
                shown = yield from steps
            if shown is None:
                if seen is not None:
                    del self._seen[path]
                    changes.append(Change(seen.shown, None))
            elif seen is None or shown is not seen.shown:
                changes.append(Change(None if seen is None else seen.shown, shown))
                self._seen[path].shown = shown
        return changes

    def _looking(
        self, path: str, name: str, now: float
    ) -> Generator[Progress, None, RunCheckpoint | None]:
        """What is known of one file by now; None where it is gone."""
        stamp = _stamp(path)
        if stamp is None:
            return None
        seen = self._seen.get(path)
        if seen is None:
            # A time in the future is a clock's that differs from ours.
            at_rest = now - stamp[1] / 1e9
            since = now - at_rest if at_rest >= 0 else now
            seen = _Seen(stamp, since, None, _being_written(path, name, stamp))
            self._seen[path] = seen
            shown: RunCheckpoint | None = None
        else:
            shown = seen.shown
        if seen.stamp != stamp:
            seen.stamp, seen.since = stamp, now
            return _being_written(path, name, stamp)
        # The clock may have been set back meanwhile.
        seen.since = min(seen.since, now)
        rest = now - seen.since
        if rest < SETTLED_SECONDS:
            return seen.shown
        if seen.read != stamp or (
            seen.shown.state == FileState.BEING_WRITTEN and rest >= WRITING_SECONDS
        ):
            seen.read = stamp
            found = yield from reading_checkpoint(path, name, stamp)
            if _stamp(path) != stamp:
                return seen.shown if shown is not None else _being_written(path, name, stamp)
            if not found.complete and rest < WRITING_SECONDS:
                found = replace(found, state=FileState.BEING_WRITTEN, reason="")
            return found
        return seen.shown


def _being_written(path: str, name: str, stamp: tuple[int, int]) -> RunCheckpoint:
    place = place_of(os.path.basename(name), None, None)
    return RunCheckpoint(path, name, FileState.BEING_WRITTEN, *stamp, place)


def _stamp(path: str) -> tuple[int, int] | None:
    """Size and time of a checkpoint, of all of its files; None where it is gone."""
    if not os.path.exists(path):
        return None
    folder = os.path.dirname(path)
    whole = os.path.basename(path) in _MODEL_FILES and is_one_checkpoint(folder)
    return size_and_time(folder if whole else path)
