"""The fast path of the pickle machine: the recurring run of opcodes that is a tensor.

``torch.save`` writes each tensor of a state_dict with the same 30 opcodes in the same
order; only keys, numbers and memo indices differ. One regular expression recognises the
run, and every field is checked: what it refers to in the memo, that its memo indices are
fresh and consecutive, that no number is negative, that the view lies within its storage.
At any surprise the run is left to the opcode loop, which knows everything.

What the run would have put into the memo is not kept. `TensorRuns.find` tells which run
an index belongs to, so that the machine can execute that run again in the rare case that
the stream refers to it.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from struct import Struct
from typing import Any

from inspector_app.checkpoint.dtypes import DTYPES, STORAGE_CLASSES
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import StorageRef, TensorInfo
from inspector_app.checkpoint.pickle_nodes import GlobalRef
from inspector_app.checkpoint.storage_table import StorageTable
from inspector_app.checkpoint.tensor_template import Run, Template, View

_INT = rb"(?:K.|M..|J....)"
_PUT = rb"r(....)"
_GET = rb"(?:h.|j....)"
_SIZES = (
    rb"(\)|" + _INT + rb"\x85|" + _INT * 2 + rb"\x86|" + _INT * 3 + rb"\x87"
    rb"|\((?:" + _INT + rb"){1,16}t)(?:" + _PUT + rb")?"
)
_RUN = (
    # The key and its PUT, unless this is the first of a series, then the GETs that every
    # run has in common: _rebuild_tensor_v2; MARK, MARK, 'storage'.
    rb"(?:X(....)([\x20-\x7e]{1,250})" + _PUT + rb")?%b\(\(%b"
    rb"(" + _GET + rb")"  # storage class
    rb"(?:X(.)\0\0\0([0-9]{1,20})" + _PUT + rb"|(" + _GET + rb"))"  # storage key
    rb"(?:X(.)\0\0\0([a-z]{1,20}(?::[0-9]{1,4})?)" + _PUT + rb"|(" + _GET + rb"))"  # location
    # numel, no view (legacy files), TUPLE, BINPERSID, storage_offset, size, stride,
    # requires_grad
    rb"(" + _INT + rb")N?t" + _PUT + rb"Q(" + _INT + rb")" + _SIZES + _SIZES + rb"([\x88\x89])"
    # OrderedDict(), TUPLE, REDUCE
    rb"%b\)R" + _PUT + rb"t" + _PUT + rb"R" + _PUT
)
_COMMON = re.compile(  # a run whose GETs are not known yet
    rb"(" + _GET + rb")\(\((" + _GET + rb")" + _GET + rb".{40,300}?[\x88\x89](" + _GET + rb")\)Rr",
    re.DOTALL,
)
_FIRST_LONG = 256  # BINPUT writes smaller indices in another form: the loop's
_INDICES = [Struct(f"<{count}I") for count in range(12)]
_MOST_TEMPLATES = 1_000


def view_bytes(
    shape: tuple[int, ...], stride: tuple[int, ...], offset: int, itemsize_bits: int
) -> int:
    """Bytes that a storage needs for this view; 0 for an empty one."""
    last = offset
    for size, step in zip(shape, stride, strict=True):
        if size == 0:
            return 0
        last += (size - 1) * step
    return ((last + 1) * itemsize_bits + 7) // 8


class TensorRuns:
    """Recognises runs and remembers where they stood.

    Args:
        memo: the machine's memo, by index.
        storages: where the tensors' storages are looked up and entered.

    Attributes:
        tensors: those that were read.
        indices: how many memo indices they took.
    """

    def __init__(self, memo: dict[int, Any], storages: StorageTable, limits: Limits) -> None:
        self._memo = memo
        self._storages = storages.by_key
        self._limits = limits
        # Of each run: its first and last memo index, its place in the file.
        self._places = array("Q")
        self.tensors: list[TensorInfo] = []
        self._numbers: dict[int, int] = {}  # by identity, for `place_of`
        self.indices = 0
        self.forget()

    def forget(self) -> None:
        """The memo was overwritten: what was looked up in it no longer holds."""
        self._pattern: re.Pattern[bytes] | None = None
        self._types: dict[bytes, tuple[str, int] | None] = {}
        self._texts: dict[bytes, str] = {}
        self._views: dict[tuple[bytes, ...], View | None] = {}
        self._templates: dict[tuple[object, ...], Template] = {}
        self._last: Template | None = None

    def read(
        self, data: bytes, position: int, base: int, top: int, stack: list[Any], most: int
    ) -> tuple[int, int]:
        """Read runs from `position`, where the GET of the rebuild function stands.

        Args:
            data: bytes of the stream; its first stands at `base` of the file.
            top: the next memo index that a pickler would use.
            stack: tensors and the keys between them are appended.
            most: how many tensors at most.

        Returns:
            The position of the first opcode that was not taken, and the new `top`.
        """
        if top < _FIRST_LONG:
            return position, top
        if self._pattern is None:
            self._pattern = self._learn(data, position)
            if self._pattern is None:
                return position, top
        storages = self._storages
        most_storages = self._limits.tensors
        push, note, keep = stack.append, self._places.extend, self.tensors.append
        template = self._last
        first = top
        for _ in range(most):
            likely = template.following if template is not None else None
            run = likely.read(data, position, top) if likely is not None else None
            if run is None:
                likely, run = self._match(data, position, top)
                if run is None:
                    break
                if template is not None and likely is not None:
                    template.following = likely
            template = likely
            key, name, device, dtype, view, grad, end, after = run
            nbytes, offset, shape, stride = view
            storage = storages.get(name)
            if storage is None:
                if len(storages) >= most_storages:
                    break
                storage = storages[name] = StorageRef(name, nbytes, device)
            elif storage.nbytes != nbytes or storage.device != device:
                break
            if key is not None:
                push(key)
            tensor = TensorInfo("", dtype, shape, stride, storage, offset, storage.device, grad)
            push(tensor)
            keep(tensor)
            note((top, after - 1, base + position, base + end))
            position = end
            top = after
        self.indices += top - first
        self._last = template
        return position, top

    def place_of(self, tensor: TensorInfo) -> tuple[int, int, int]:
        """The last memo index of the run that made `tensor`, and its place in the file."""
        for number in range(len(self._numbers), len(self.tensors)):
            self._numbers[id(self.tensors[number])] = number
        at = 4 * self._numbers[id(tensor)]
        return self._places[at + 1], self._places[at + 2], self._places[at + 3]

    def _match(self, data: bytes, position: int, top: int) -> tuple[Template | None, Run | None]:
        """The run at `position` by the pattern, and the template for others of its form."""
        found = self._pattern.match(data, position) if self._pattern is not None else None
        if found is None:
            return None, None
        # fmt: off
        (key_size, key, key_put, kind, name_size, name, name_put, name_get,
         place_size, place, place_put, place_get, numel, pid_put, offset,
         size, size_put, stride, stride_put, grad,
         hooks_put, args_put, put) = found.groups(b"")
        # fmt: on
        puts = b"".join(
            (
                key_put,
                name_put,
                place_put,
                pid_put,
                size_put,
                stride_put,
                hooks_put,
                args_put,
                put,
            )
        )
        after = top + len(puts) // 4
        if _INDICES[len(puts) // 4].unpack(puts) != tuple(range(top, after)):
            return None, None
        dtype = self._types[kind] if kind in self._types else self._check_class(kind)
        if dtype is None:
            return None, None
        numbers = (numel, offset, size, stride, kind)
        view = (
            self._views[numbers] if numbers in self._views else self._check_view(dtype[1], numbers)
        )
        if view is None:
            return None, None
        if (
            int.from_bytes(key_size, "little") != len(key)
            or (name and name_size[0] != len(name))
            or (place and place_size[0] != len(place))
        ):
            return None, None
        storage = name.decode("ascii") if name else self._text(name_get)
        device = place.decode("ascii") if place else self._text(place_get)
        if not storage or not device:
            return None, None
        marked = grad == b"\x88"
        template = None
        if key and name:
            form = (numbers, place, place_get, name_size, grad, size_put == b"", stride_put == b"")
            template = self._templates.get(form)
            if template is None and len(self._templates) < _MOST_TEMPLATES:
                template = Template(found, device, dtype[0], view, marked)
                self._templates[form] = template
        text = key.decode("ascii") if key else None
        return template, (text, storage, device, dtype[0], view, marked, found.end(), after)

    def find(self, index: int) -> tuple[int, int, int, TensorInfo] | None:
        """The run that set memo `index`: its last index, its place in the file, its tensor."""
        places = self._places
        at = bisect_right(range(len(self.tensors)), index, key=lambda run: places[4 * run]) - 1
        if at < 0 or index > places[4 * at + 1]:
            return None
        return places[4 * at + 1], places[4 * at + 2], places[4 * at + 3], self.tensors[at]

    def _learn(self, data: bytes, position: int) -> re.Pattern[bytes] | None:
        """The pattern of this stream's runs, from the first of them."""
        common = _COMMON.match(data, position)
        if common is None:
            return None
        rebuild, tag, hooks = common.groups()
        hooks_class = self._lookup(hooks)
        if (
            self._text(tag) != "storage"
            or not isinstance(hooks_class, GlobalRef)
            or hooks_class.full_name != "collections.OrderedDict"
        ):
            return None
        hooks_class.uses.add("call")
        return re.compile(_RUN % (re.escape(rebuild), re.escape(tag), re.escape(hooks)), re.DOTALL)

    def _check_class(self, get: bytes) -> tuple[str, int] | None:
        """The dtype's name and bits, if the memo entry is a storage class of torch's."""
        found = self._lookup(get)
        known = None
        if (
            isinstance(found, GlobalRef)
            and found.module == "torch"
            and found.name in STORAGE_CLASSES
        ):
            dtype = DTYPES[STORAGE_CLASSES[found.name]]
            if dtype.kind != "quantized":
                found.uses.add("persistent-id")
                known = (dtype.name, dtype.bits)
        self._types[get] = known
        return known

    def _check_view(
        self, bits: int, numbers: tuple[bytes, bytes, bytes, bytes, bytes]
    ) -> View | None:
        """The numbers of a run, if they make a view that lies within its storage."""
        numel, start = _integers(numbers[0])[0], _integers(numbers[1])[0]
        shape, stride = _integers(numbers[2]), _integers(numbers[3])
        view = None
        if min((numel, start, *shape, *stride)) >= 0 and len(shape) == len(stride):
            nbytes = numel * bits // 8
            if view_bytes(shape, stride, start, bits) <= nbytes:
                view = View(nbytes, start, shape, stride)
        self._views[numbers] = view
        return view

    def _lookup(self, get: bytes) -> Any:
        return self._memo.get(int.from_bytes(get[1:], "little"))

    def _text(self, get: bytes) -> str:
        """The text that a GET finds; "" if it finds something else.

        A text that only a run has put into the memo is the loop's business too.
        """
        value = self._lookup(get)
        if not isinstance(value, str):
            return ""
        self._texts[get] = value
        return value


def _integers(raw: bytes) -> tuple[int, ...]:
    """The integers of a run of BININT1, BININT2 and BININT; other opcodes are skipped."""
    values = []
    position = 0
    while position < len(raw):
        width = {0x4B: 1, 0x4D: 2, 0x4A: 4}.get(raw[position], 0)
        if width:
            number = raw[position + 1 : position + 1 + width]
            values.append(int.from_bytes(number, "little", signed=width == 4))
        position += 1 + width
    return tuple(values)
