"""What a file would import and call, and what is odd about it, as data.

Made by `safety.examine`; shown by the window, printed by ``scan``. Texts come from files:
what is shown of them goes through `checkpoint.text.plain`, except `Use.arguments` and the
sentences, which are plain already.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.model import Record, TreePath


class Group:
    """What a global is for. In the order in which people are shown them."""

    OTHER = "other"
    MODEL = "model code"  # of a package that would have to be installed
    PLAIN = "plain data"
    TENSORS = "tensors"  # torch's allowlist


GROUPS = (Group.OTHER, Group.MODEL, Group.PLAIN, Group.TENSORS)
# How a global is used, the most telling first.
HOWS = ("call", "newobj", "build", "persistent-id", "named")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a global.

    Attributes:
        how: of `HOWS`.
        pickle: the index of the stream among `SafetyReport.pickles`.
        offset: of the opcode, in the file, or in the stream's unpacked bytes.
        path: the nearest place in the tree, or None if the stream is no part of it.
        arguments: what it is given, as one line of text; "" where it is only named.
    """

    how: str
    pickle: int
    offset: int
    path: TreePath | None
    arguments: str


@dataclass(frozen=True, slots=True)
class FoundGlobal:
    """A class or function that the file would import if it were loaded the unsafe way.

    Attributes:
        name: ``module.qualified_name``.
        group: of `Group`.
        allowed: ``torch.load(weights_only=True)`` of torch 2.13 accepts it by default.
        uses: the first of them, in the order of the streams.
        count: how many there are.
        counts: how many of each way, in the order of `HOWS`. A global that is used is not
            also counted as named.
    """

    name: str
    group: str
    allowed: bool
    uses: tuple[Use, ...]
    count: int
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``torch.load(weights_only=True)`` of torch 2.13 says of the file.

    Attributes:
        loads: nothing stands against it; None if it is no file for ``torch.load``, or if a
            pickle is too large to be followed to its end.
        sentence: the same for people.
        message: torch's own message where it refuses, or "".
        lines: Python that would make torch accept it; empty if none is needed, or if there
            is no such code.
        pickle, offset: where it refuses, or None.
    """

    loads: bool | None
    sentence: str
    message: str = ""
    lines: tuple[str, ...] = ()
    pickle: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class CodeFound:
    """Source text in the file. It is shown and never run.

    Attributes:
        name: the archive entry, or the class it belongs to.
        where: ``TorchScript``, ``class source`` or ``compiled model``.
        text: if it stands in a pickle.
        record: where its bytes lie, if it is an entry of the archive.
    """

    name: str
    where: str
    text: str | None = None
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class PickleStream:
    """One pickle of the file.

    Attributes:
        name: the archive's entry, a legacy part, or where in another stream its bytes are.
        file: the file that has it.
        start, end: its bytes, of the file or of `data`; the end is behind STOP.
        data: its bytes, if they are no run of the file's (unpacked or computed).
        path: the place of its value in the tree, or None if it is no part of it.
        role: ``loaded`` (torch reads it), ``extra`` (another entry or what follows a
            stream), ``nested`` (bytes in another stream).
        protocol: the highest that it declares.
        finished: STOP was reached.
        script: its classes are TorchScript's own.
        expected: how many tensors the file has: a bound for `safety.tracing`.
    """

    name: str
    file: str
    start: int
    end: int
    data: bytes | None
    path: TreePath | None
    role: str
    protocol: int
    finished: bool
    script: bool = False
    expected: int = 0


@dataclass(frozen=True, slots=True)
class SafetyReport:
    """What `safety.examine` found.

    Attributes:
        path, format: of the checkpoint.
        globals: by group in the order of `GROUPS`, then by name.
        anomalies: of container and streams, in the order they were found.
        code: source texts in the file.
        pickles: the streams, those that torch reads first.
        weights_only: what torch says.
    """

    path: str
    format: str
    globals: tuple[FoundGlobal, ...]
    anomalies: tuple[Problem, ...]
    code: tuple[CodeFound, ...]
    pickles: tuple[PickleStream, ...]
    weights_only: Verdict

    @property
    def outside(self) -> tuple[FoundGlobal, ...]:
        """The globals that are not on the allowlist."""
        return tuple(found for found in self.globals if not found.allowed)

    @property
    def clean(self) -> bool:
        """Nothing is outside the allowlist, and nothing is anomalous."""
        return not self.anomalies and all(found.allowed for found in self.globals)
