"""Runs of one form: what differs between them stands at the same places.

A model repeats its layers, so after a run of one form a run of a certain other form is
likely. A `Template` unpacks such a run in one call and compares all that must be equal in
another, which is twice as fast as matching the pattern of `tensor_runs`.
"""

from __future__ import annotations

import re
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

# Of the pattern's groups: the PUTs' indices and the storage key, in order.
_VARIABLE = (3, 6, 7, 11, 14, 17, 19, 21, 22, 23)
_STORAGE_KEY = 6
_KEY_TEXT = 2
_KEY_LIMIT = 4096
_KEY = Struct("<cI")


class View(NamedTuple):
    """What the numbers of a run mean, once they are checked."""

    nbytes: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


# Key, storage key, device, dtype, view, requires_grad, position and memo index after it.
Run = tuple[str | None, str, str, str, View, bool, int, int]


class Template:
    """The form of a run that was matched: `found`, with a key and a storage key.

    Attributes:
        following: the form that came after it the last time.
    """

    __slots__ = (
        "_constants",
        "_count",
        "_layout",
        "_meaning",
        "following",
    )

    def __init__(
        self, found: re.Match[bytes], device: str, dtype: str, view: View, requires_grad: bool
    ) -> None:
        self._meaning = (device, dtype, view, requires_grad)
        layout = ["<"]
        constants = []
        position = found.end(_KEY_TEXT)
        self._count = 0
        for group in _VARIABLE:
            start, end = found.span(group)
            if start < 0:
                continue
            constants.append(found.string[position:start])
            layout.append(f"{start - position}s")
            layout.append(f"{end - start}s" if group == _STORAGE_KEY else "I")
            self._count += group != _STORAGE_KEY
            position = end
        self._layout = Struct("".join(layout))
        self._constants = tuple(constants)
        self.following: Template | None = None

    def read(self, data: bytes, position: int, top: int) -> Run | None:
        """The run at `position` if it is of this form and its memo indices begin at `top`."""
        key_start = position + 5
        try:
            mark, size = _KEY.unpack_from(data, position)
            key_end = key_start + size
            values = self._layout.unpack_from(data, key_end)
        except StructError:
            return None
        after = top + self._count
        changing = values[1::2]
        if (
            values[::2] != self._constants
            or changing[0] != top
            or changing[2:] != tuple(range(top + 1, after))
            or mark != b"X"
            or size > _KEY_LIMIT
        ):
            return None
        name = changing[1]
        try:
            key = data[key_start:key_end].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return None
        if not name.isdigit():
            return None
        device, dtype, view, requires_grad = self._meaning
        return (
            key,
            name.decode("ascii"),
            device,
            dtype,
            view,
            requires_grad,
            key_end + self._layout.size,
            after,
        )
