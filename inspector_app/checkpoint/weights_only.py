"""What ``torch.load(weights_only=True)`` of torch 2.13 refuses in a pickle, and how it says so.

Source: ``Unpickler.load`` in ``torch/_weights_only_unpickler.py``: the opcodes that it
knows, the order of its checks, and its messages, word for word. `PickleTrace` asks before
each opcode; the first refusal is the one that torch would raise. What an allowed function
says to arguments that it cannot use is not known here: nothing is called.
"""

from __future__ import annotations

from typing import Any

from inspector_app.checkpoint.allowed_globals import ALLOWED, STORAGES, python3_name
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.pickle_nodes import (
    ByteArray,
    BytesPlace,
    Call,
    GlobalRef,
    ItemSet,
    PairList,
    PersistentId,
)

_KNOWN = frozenset(b"c\x81Rbaesu(t\x85\x86\x87N\x89\x88)]}\x8fJKMGXUQhjqr\x8a\x80.")
# Known to torch and never refused: those it restricts are in `_CHECKS`.
UNRESTRICTED = _KNOWN - frozenset(b"R\x81basQ")
_BLOCKED_MODULES = ("sys", "os", "posix", "nt")
# Names that torch knows once a module of its own is imported.
_NESTED = frozenset(
    {
        "torch.nested._internal.nested_tensor.NestedTensor",
        "torch.nested._internal.nested_tensor._rebuild_njt",
        "torch._dynamo.decorators._DimRange",
    }
)
_DISTRIBUTED = frozenset(
    {
        "torch.distributed.device_mesh.DeviceMesh",
        "torch.distributed.tensor._dtensor_spec.DTensorSpec",
        "torch.distributed.tensor._dtensor_spec.TensorMeta",
        "torch.distributed.tensor.DTensor",
        "torch.distributed.tensor.placement_types.Partial",
        "torch.distributed.tensor.placement_types.Replicate",
        "torch.distributed.tensor.placement_types.Shard",
    }
)
_ORDERED = "collections.OrderedDict"
_COUNTER = "collections.Counter"
_TENSOR = "torch.Tensor"
_PARAMETER = "torch.nn.parameter.Parameter"
# What the allowed functions return, where it is not a tensor; classes return themselves.
_MADE = {
    "torch._utils._rebuild_parameter": _PARAMETER,
    "torch._utils._rebuild_parameter_with_state": _PARAMETER,
    "torch.serialization._get_layout": "torch.layout",
    "_codecs.encode": "bytes",
    "builtins.bytearray": "bytearray",
    "builtins.set": "set",
    "builtins.complex": "complex",
}
_CLASSES = frozenset(
    {
        _ORDERED,
        _COUNTER,
        _PARAMETER,
        _TENSOR,
        "torch.Size",
        "torch.device",
        "torch.storage.TypedStorage",
        "torch.storage.UntypedStorage",
        "builtins.bytearray",
        "builtins.set",
        "builtins.complex",
    }
)
_FILLABLE = ("dict", _ORDERED, _COUNTER)
_UNKNOWN = ""  # the type of what a call gives whose class cannot be told


class Refusal(Exception):
    """Torch's answer: its message, and where in the stream."""

    def __init__(self, message: str, offset: int, kind: str = "UnpicklingError") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.kind = kind


class WeightsOnlyRules:
    """Follows one stream until torch would refuse it.

    Args:
        allowed: names that were allowed on top, by ``add_safe_globals``.
        storage_parts: how many parts a storage's persistent id has: 5 in a zip, 6 in a
            legacy stream, 0 where none may stand.

    Attributes:
        refusal: the first, or None.
    """

    def __init__(self, allowed: frozenset[str] = frozenset(), storage_parts: int = 5) -> None:
        self._allowed = allowed
        self._parts = storage_parts
        self.refusal: Refusal | None = None
        self._at = 0

    def before(self, op: int, stack: list[Any], offset: int) -> None:
        """Torch meets `op` at `offset` with `stack`, whose last item is the topmost."""
        if self.refusal is not None:
            return
        self._at = offset
        if op not in _KNOWN:
            self._refuse(f"Unsupported operand {op}")
            return
        check = _CHECKS.get(op)
        if check is not None:
            check(self, stack)

    def named(self, reference: GlobalRef) -> None:
        """GLOBAL has named `reference`."""
        if self.refusal is not None:
            return
        module, name = python3_name(reference.module, reference.name)
        full = f"{module}.{name}"
        if module in _BLOCKED_MODULES:
            self._refuse(
                f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked."
            )
        elif full in ALLOWED or reference.full_name in self._allowed or full in self._allowed:
            return
        elif full in _NESTED:
            self._refuse(
                "``torch.nested`` and ``torch._dynamo`` must be imported to load nested jagged"
                " tensors (NJTs)"
            )
        elif full in _DISTRIBUTED:
            self._refuse("``torch.distributed.tensor`` must be imported to load DTensors")
        else:
            full = full.removeprefix("builtins.") if full.startswith("builtins") else full
            self._refuse(
                f"Unsupported global: GLOBAL {full} was not an allowed global by default. Please"
                f" use `torch.serialization.add_safe_globals([{full}])` or the"
                f" `torch.serialization.safe_globals([{full}])` context manager to allowlist this"
                " global if you trust this class/function."
            )

    def python2_text(self, op: int, payload: Any) -> None:
        """A Python 2 string has been read; torch decodes it as UTF-8 unless told otherwise."""
        if op == 0x55 and isinstance(payload, bytes) and self.refusal is None:
            try:
                payload.decode("utf-8")
            except UnicodeDecodeError as error:
                self._refuse(str(error), "UnicodeDecodeError")

    def _refuse(self, message: str, kind: str = "UnpicklingError") -> None:
        self.refusal = Refusal(message, self._at, kind)

    # --- the opcodes that torch restricts

    def _reduce(self, stack: list[Any]) -> None:
        function = stack[-2] if len(stack) > 1 else None
        if type(function) is GlobalRef:
            # GLOBAL has refused it already, unless it is allowed.
            if _named_type(function) not in ("type", "torch.tensortype", "function", _UNKNOWN):
                self._refuse(f"'{_named_type(function)}' object is not callable", "TypeError")
        elif type(function) is not Call or self._type_of(function) != _UNKNOWN:
            self._refuse(f"Trying to call reduce for unrecognized function {_shown(function)}")

    def _newobj(self, stack: list[Any]) -> None:
        kind = stack[-2] if len(stack) > 1 else None
        if type(kind) is not GlobalRef:
            self._refuse(
                "Can only create new object for nn.Parameter or classes allowlisted via"
                f" `add_safe_globals` but got {_shown(kind)}"
            )

    def _build(self, stack: list[Any]) -> None:
        target = self._type_of(stack[-2]) if len(stack) > 1 else "NoneType"
        if target in (_UNKNOWN, _TENSOR, _PARAMETER, *_CLASSES) or target in self._allowed:
            return
        self._refuse(
            "Can only build Tensor, Parameter, OrderedDict or types allowlisted via"
            f" `add_safe_globals`, but got <class '{target}'>"
        )

    def _append(self, stack: list[Any]) -> None:
        self._append_to(stack[-2] if len(stack) > 1 else None, "append to")

    def appends(self, target: Any) -> None:
        """APPENDS finds `target` below the mark."""
        if self.refusal is None:
            self._append_to(target, "extend")

    def _append_to(self, target: Any, what: str) -> None:
        kind = self._type_of(target)
        if kind not in ("list", _UNKNOWN):
            self._refuse(f"Can only {what} lists, but got <class '{kind}'>")

    def _setitem(self, stack: list[Any]) -> None:
        if len(stack) > 2:
            self._set(stack[-3], [stack[-2]], "SETITEM")

    def setitems(self, target: Any, keys: list[Any]) -> None:
        """SETITEMS finds `target` below the mark and sets `keys`."""
        if self.refusal is None:
            self._set(target, keys, "SETITEMS")

    def _set(self, target: Any, keys: list[Any], opcode: str) -> None:
        kind = self._type_of(target)
        if kind not in (*_FILLABLE, _UNKNOWN):
            self._refuse(
                f"Can only {opcode} for dict, collections.OrderedDict, collections.Counter,"
                f" but got <class '{kind}'>"
            )
            return
        for key in keys:
            if type(key) in (list, PairList, ByteArray) or (type(key) is ItemSet):
                self._refuse(f"unhashable type: '{self._type_of(key)}'", "TypeError")
                return

    def _binpersid(self, stack: list[Any]) -> None:
        pid = stack[-1] if stack else None
        kind = self._type_of(pid)
        if kind not in ("tuple", "int"):
            self._refuse(f"persistent_load id must be tuple or int, but got <class '{kind}'>")
        elif isinstance(pid, tuple) and pid and pid[0] not in ("storage", b"storage"):
            self._refuse(
                "Only persistent_load of storage is allowed, but got"
                f" <class '{self._type_of(pid[0])}'>"
            )
        elif not self._parts:
            self._refuse("unsupported persistent id encountered")
        elif not isinstance(pid, tuple) or len(pid) != self._parts:
            self._refuse("a persistent id is not that of a storage", "ValueError")

    def _type_of(self, value: Any) -> str:
        """The class that torch would have there, or "" if that cannot be told."""
        kind = type(value)
        if kind is Call:
            return self._made_by(value)
        if kind is GlobalRef:
            return _named_type(value)
        return _INERT.get(kind) or kind.__name__

    def _made_by(self, call: Call) -> str:
        function = call.function
        if type(function) is not GlobalRef:
            return _UNKNOWN
        full = ".".join(python3_name(function.module, function.name))
        if full in _MADE:
            return _MADE[full]
        if full in _CLASSES:
            return full
        for name in (full, function.full_name):
            if name in self._allowed:
                # Its own class, or what a function of numpy makes.
                return name
        if full in ALLOWED and full.startswith(("torch._utils.", "torch.")):
            return _UNKNOWN if full == "torch._tensor._rebuild_from_type_v2" else _TENSOR
        return _UNKNOWN


_INERT: dict[type, str] = {
    PairList: "dict",
    ItemSet: "set",
    ByteArray: "bytearray",
    BytesPlace: "str",
    PersistentId: "torch.storage.TypedStorage",
    TensorInfo: _TENSOR,
}


def _named_type(reference: GlobalRef) -> str:
    """The class of an allowed global itself, or "" if the name does not tell."""
    full = ".".join(python3_name(reference.module, reference.name))
    if full in STORAGES:
        return "torch.serialization.StorageType"
    if full in _CLASSES or full.endswith("Tensor"):
        return "type" if full in _CLASSES else "torch.tensortype"
    if full not in ALLOWED:
        return _UNKNOWN
    last = full.rpartition(".")[2]
    if last.startswith(("per_tensor", "per_channel")):
        return "torch.qscheme"
    if last.startswith(("_rebuild", "_get_layout", "encode")):
        return "function"
    return "torch.dtype"


def _shown(value: Any) -> str:
    if isinstance(value, (float, bool, type(None))):
        return str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() < 1000 else "<int>"
    if type(value) in (tuple, list) and not value:
        return str(value)
    if isinstance(value, str):
        return value[:200]
    return f"<{type(value).__name__}>"


_CHECKS = {
    0x52: WeightsOnlyRules._reduce,
    0x81: WeightsOnlyRules._newobj,
    0x62: WeightsOnlyRules._build,
    0x61: WeightsOnlyRules._append,
    0x73: WeightsOnlyRules._setitem,
    0x51: WeightsOnlyRules._binpersid,
}
