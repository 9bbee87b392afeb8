"""Storages whose bytes do not stand in the file as they are: numbers, or text, that stand for them.

None of them has a `Record`, which would promise plain bytes.
"""

from __future__ import annotations

from inspector_app.checkpoint.model import StorageRef


class FieldStorage(StorageRef):
    """Elements in a typed field of a TensorProto, such as ``int32_data``.

    Attributes:
        start, end: of the TensorProto in the file.
        number: of the field.
        width: the low bytes of each number that are an element's, or of packed elements a
            byte of several.
    """

    __slots__ = ("end", "number", "start", "width")

    def __init__(
        self, key: str, nbytes: int, start: int, end: int, number: int, width: int
    ) -> None:
        super().__init__(key, nbytes)
        self.start = start
        self.end = end
        self.number = number
        self.width = width


class TextStorage(StorageRef):
    """Bytes as pickles below protocol 3 write them: a UTF-8 text, a character for each byte.

    Attributes:
        offset, length: of the text in `file`.
    """

    __slots__ = ("length", "offset")

    def __init__(self, nbytes: int, file: str, offset: int, length: int) -> None:
        super().__init__("", nbytes, file=file)
        self.offset = offset
        self.length = length


class HeldStorage(StorageRef):
    """Bytes that are in memory already."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        super().__init__("", len(data))
        self.data = data
