"""What the inert pickle machine makes instead of objects.

Lists, tuples, numbers and strings are Python's own. A dictionary is a list of pairs, so
that nothing is ever hashed; a class or function is its name; a call is what would have
been called, with its arguments. None of these has a ``__repr__`` or ``__hash__`` that
recurses.
"""

from __future__ import annotations

from typing import Any


class GlobalRef:
    """A class or function that the stream names. One object for each name.

    Attributes:
        module, name: as the stream has them.
        uses: what the stream does with it, of ``call``, ``newobj``, ``build``,
            ``persistent-id``; empty if it is only named.
        position: byte offset of the opcode that named it first.
    """

    __slots__ = ("module", "name", "position", "uses")

    def __init__(self, module: str, name: str, position: int) -> None:
        self.module = module
        self.name = name
        self.position = position
        self.uses: set[str] = set()

    @property
    def full_name(self) -> str:
        return f"{self.module}.{self.name}"


class PairList:
    """A dictionary: its pairs in the order they were set."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []


class ItemSet:
    """A set or frozenset: its items in the order they were added."""

    __slots__ = ("frozen", "items")

    def __init__(self, items: list[Any], frozen: bool = False) -> None:
        self.items = items
        self.frozen = frozen


class Call:
    """What would have been called or built, with its arguments.

    Attributes:
        kind: ``call`` (REDUCE, INST, OBJ), ``newobj`` (NEWOBJ, NEWOBJ_EX), or ``build``,
            ``append``, ``setitem`` where one of these opcodes meets something that is
            neither a container nor a call.
        function: what is called: mostly a `GlobalRef`.
        args: the arguments: a tuple, unless the stream gives something else.
        keywords: keyword arguments of NEWOBJ_EX, or None.
        state: what BUILD was given, in order.
        items: what APPEND and APPENDS added.
        pairs: what SETITEM and SETITEMS set.
        position: byte offset of the opcode.
    """

    __slots__ = ("args", "function", "items", "keywords", "kind", "pairs", "position", "state")

    def __init__(
        self, kind: str, function: Any, args: Any, position: int, keywords: Any = None
    ) -> None:
        self.kind = kind
        self.function = function
        self.args = args
        self.keywords = keywords
        self.position = position
        self.state: list[Any] | None = None
        self.items: list[Any] | None = None
        self.pairs: list[tuple[Any, Any]] | None = None


class PersistentId:
    """A reference to something outside the pickle, such as a storage."""

    __slots__ = ("pid", "position")

    def __init__(self, pid: Any, position: int) -> None:
        self.pid = pid
        self.position = position


class BytesPlace:
    """Text or bytes too long to be kept: where they lie in the file.

    Attributes:
        kind: ``str``, ``bytes`` or ``bytearray``.
        offset, nbytes: their place in the stream's source.
        place: the file and the offset there, or None if the stream was unpacked.
    """

    __slots__ = ("kind", "nbytes", "offset", "place")

    def __init__(
        self, kind: str, offset: int, nbytes: int, place: tuple[str, int] | None = None
    ) -> None:
        self.kind = kind
        self.offset = offset
        self.nbytes = nbytes
        self.place = place


class ByteArray:
    """A bytearray."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value = value


class Foreign:
    """Something that only the process which wrote the file could resolve.

    Attributes:
        what: ``extension`` (a number of the copyreg registry) or ``buffer`` (out of band).
        code: the number, or 0.
    """

    __slots__ = ("code", "what")

    def __init__(self, what: str, code: int) -> None:
        self.what = what
        self.code = code
