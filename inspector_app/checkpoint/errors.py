"""What can go wrong with a file, as codes with arguments.

::

    CheckpointError
    ├── UnreadableFile       the operating system does not give us the bytes
    ├── UnrecognisedFormat   no reader recognises the bytes
    │   └── RefusedFile      recognised as something that is no checkpoint
    ├── BrokenFile           recognised, but nothing in it can be shown
    ├── NoValues             a tensor whose values cannot be shown; the others can
    ├── LimitExceeded        reading on would cost more than `limits.Limits` allows
    └── CannotSave           what was asked for cannot be written

An error stops the reading of a file. A `Problem` does not: it is collected on the
`Checkpoint`, and the rest of the file stays usable. Both carry a code, a place and
arguments; `MESSAGES` has the English sentence for each code, which the command line
prints and the window translates.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from inspector_app.checkpoint.text import plain

MESSAGES: dict[str, str] = {
    # errors
    "not-found": "there is no such file",
    "web-address": "this is an address of the web, not a file on this computer",
    "permission": "the file may not be read: permission denied",
    "is-directory": "this is a folder without a shard index (*.index.json); open a file in it",
    "not-regular": "this is a {kind}, not a regular file",
    "os-error": "the file could not be read: {reason}",
    "empty": "the file is empty",
    "unrecognised": "not a checkpoint: {looks_like}",
    "python-path-file": (
        "this is a path configuration file of Python (site-packages), not a checkpoint"
    ),
    "git-lfs-pointer": (
        "this is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"
    ),
    "broken": "nothing can be read: {reason}",
    "limit": "reading stopped: {what} is over the limit of {limit}",
    # problems of a container
    "duplicate-entry": "the name occurs {count} times in the archive",
    "case-colliding-entry": "differs from {other} only by upper and lower case",
    "header-mismatch": "local and central header disagree on {what}",
    "outside-root": "the entry lies outside the archive's root {root}",
    "prepended-bytes": "{count} bytes stand before the archive",
    "trailing-bytes": "{count} bytes follow the end",
    "entry-bounds": "the entry reaches beyond the end of the file",
    "encrypted-entry": "the entry is marked as encrypted",
    "compressed-entry": "the entry is compressed (method {method}); torch compresses none",
    "unsupported-compression": "the entry uses compression method {method}, which cannot be read",
    "bad-directory": "the archive's directory is damaged: {reason}",
    "odd-name": "the entry's name {reason}",
    "odd-entry": "the entry {reason}",
    "other-case": "it stands for {name}: torch ignores upper and lower case, others do not",
    "hidden-bytes": "{count} bytes {place} belong to no entry",
    "no-root": "the entry lies in no folder; torch expects all entries in one",
    "falsely-encrypted": "its bytes are not encrypted, whatever its mark says; torch refuses it",
    "unused-entry": "nothing refers to this entry, and torch.save writes no such",
    "also-tar": "the file is a tar archive as well, which torch would try first",
    "overlapping-entry": "the entry overlaps {other}",
    "record-size": "the entry should have {expected} bytes and has {found}",
    "bad-checksum": "the bytes do not match their checksum",
    "unchecked": "the checksums of {count} entries were not compared: they overlap",
    "broken-record": "the record is damaged: {reason}",
    "more-of-a-kind": "{count} more entries have the problem {kind}",
    "missing-record": "the record {record} is missing",
    "truncated": "the file ends too early: {reason}",
    "hidden-pickle": "a pickle that torch would not load",
    "legacy-protocol": "the protocol version is {value}; torch reads 1001 only",
    "bad-byteorder": "the byteorder record says {value}",
    "bad-version": "the version record says {value}; torch reads 1 to 10",
    # problems of a pickle
    "broken-pickle": "the pickle breaks at byte {offset}: {reason}",
    "several-pickles": "{count} more bytes follow the pickle's end",
    "pickle-count": "it has more than {limit} pickles; the others are not looked into",
    "pickle-limit": "the pickle was read up to byte {offset}: {what} is over the limit of {limit}",
    "tree-limit": "the tree is cut: more than {limit} entries",
    "odd-opcode": "opcode {opcode} at byte {offset}, which torch never writes",
    # problems of tensors
    "bad-tensor": "{what}",
    "view-bounds": "the view needs {needed} bytes, its storage has {available}",
    "storage-size": "the storage should have {expected} bytes, its record has {found}",
    "unknown-dtype": "the dtype {dtype} is unknown",
    "duplicate-key": "the key occurs more than once; the last one counts, as in torch",
    # values of tensors
    "no-values": "the values cannot be shown: {reason}",
    "values-missing": "the values are not in the file",
    "values-cut": "the values are cut off: {missing} bytes are missing",
    "file-changed": "the file was changed after it was opened; open it again",
    # formats made of several parts
    "missing-shard": "the shard {shard} is missing",
    "broken-shard": "the shard {shard} cannot be read: {reason}",
    "shard-outside": "the index names {shard}, which lies outside its folder",
    "missing-key": "the index promises {key} in {shard}, which does not have it",
    "unlisted-key": "{shard} has {key}, which the index does not list",
    "bad-header": "{reason}",
    "external-data": "the external data {location} {reason}",
    "more-problems": "more than {limit} problems were found; the others are not listed",
    "bad-protobuf": "the protobuf message breaks at byte {offset}: {reason}",
    "bad-json": "the JSON is not readable: {reason}",
    # what cannot be written
    "clean-ending": "a clean copy is a torch file, whose name ends in {endings}",
    "clean-copy": "the copy is not clean: {what}",
    "save-ending": "its ending says no form that is written; it may be {endings}",
    "save-exists": "there is such a file already",
    "save-folder": "there is a folder of this name",
    "save-source": "it is one of several files that are read",
    "save-disk-full": "there is not enough room on the disk: {needed} are needed, {free} are free",
    "save-not-writable": "it cannot be written: {reason}",
    "save-no-section": "there is no part {section}; parts are {sections}",
    "save-no-model": "there are no weights in it",
    "save-several-models": "there are several models in it; choose among {sections}",
    "save-no-average": "there is no moving average beside the model",
    "save-average-keys": (
        "the moving average {section} does not match the model: of {total} tensors {matched} have "
        "its keys and shapes"
    ),
    "save-bad-cast": "{dtype} is no dtype to cast to; choose among {dtypes}",
    "save-key-collision": "two tensors would be called {key}",
    "save-nothing": "nothing would be left to write",
    "save-form": "{what} is only for {form}",
    "save-mean-one": "to average, name two files or more",
    "save-mean-weights": "{found} weights were given for {expected} files",
    "save-mean-decay": "the decay has to lie between 0 and 1",
    "save-mean-keys": "{other} has not the same weights: {what}",
    "save-mean-options": "a moving average and an average of files cannot be combined",
    "transfer-no-key": "the target has no key {key}",
    "transfer-no-source": "the source has nothing for {key}",
    "transfer-fit": "{key} cannot be fitted: {what}",
    # ways to save that are discouraged
    "pickled-model": (
        "this is a whole model of the class {model}, pickled, not a state_dict: loading it imports "
        "{modules} and runs code from there and from the file; when that code is moved or changed, "
        "or is not installed, the file no longer loads. Load it once where the code is at hand and "
        "save model.state_dict() instead"
    ),
}


class Problem(NamedTuple):
    """Something wrong in a file that does not keep the rest from being read.

    Args:
        code: a key of `MESSAGES`.
        where: the place in the file: an archive entry, a tensor's name, a byte offset.
        details: the arguments of the sentence; strings may come from the file.
    """

    code: str
    where: str = ""
    details: Mapping[str, object] = MappingProxyType({})

    @property
    def message(self) -> str:
        """The English sentence, without the place, safe to print."""
        return sentence(self.code, self.details)


def sentence(code: str, details: Mapping[str, object], template: str | None = None) -> str:
    """Fill the sentence of `code` (or its translation, `template`) with `details`.

    Text among the details comes from files and is made plain first.
    """
    shown = {
        name: plain(value) if isinstance(value, str) else value for name, value in details.items()
    }
    return (MESSAGES[code] if template is None else template).format(**shown)


class CheckpointError(Exception):
    """A file that cannot be shown.

    Attributes:
        code: a key of `MESSAGES`.
        path: the file, as it was asked for.
        where: the place in it, or "".
        details: the sentence's arguments.
    """

    def __init__(self, code: str, path: str = "", where: str = "", **details: object) -> None:
        super().__init__(code)
        self.code = code
        self.path = path
        self.where = where
        self.details = details

    @property
    def message(self) -> str:
        """The English sentence and the place, without the file's name."""
        text = sentence(self.code, self.details)
        return f"{text} ({plain(self.where)})" if self.where else text

    def __str__(self) -> str:
        return f"{plain(self.path)}: {self.message}" if self.path else self.message


class UnreadableFile(CheckpointError):
    """The operating system does not give us the bytes."""


class UnrecognisedFormat(CheckpointError):
    """No reader recognises the bytes."""


class RefusedFile(UnrecognisedFormat):
    """Recognised as something that is no checkpoint."""


class BrokenFile(CheckpointError):
    """Recognised, but nothing in it can be shown."""


class NoValues(CheckpointError):
    """A tensor whose values cannot be shown, by its nature or because they are not there."""


class LimitExceeded(CheckpointError):
    """Reading on would cost more than the limits allow."""


class CannotSave(CheckpointError):
    """What was asked for cannot be written."""
