"""Pickle streams as lists of opcodes: changed by the opcode, by its argument, or by runs.

A stream made so stays in step: each opcode has the argument that its form asks for, however
odd its value is. What an argument is comes from `pickletools`.
"""

from __future__ import annotations

import functools
import pickle
import pickletools
import random
import struct

_LONG = 3_000
_UNSIGNED = (0, 1, 2, 3, 7, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_LONG_SIZES = (0, 1, 8, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_SIGNED = (0, 1, -1, 2, 127, -128, 255, 65536, 2**31 - 1, -(2**31))
_FLOATS = (0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 5e-324, 1e308)
_LINES = (
    b"", b"0", b"1", b"-1", b"00", b"01", b"x", b"nan", b"1e999", b"9" * _LONG, b"-" * 9, b"0x10",
    b"1_0", b" 1", b"12L", b"'a'", b"'", b"\"a'", b"'\\x'", b"\\ud800", b"\\u", b"\xff", b"\x00",
)  # fmt: skip
TEXTS = (
    "", "a", "weight", "storage", "module", "cpu", "cuda:0", "meta", "FloatStorage", "\x00",
    "\x1b[2J", "\u202e", "\ud800", "é", "../../x", "O", "<f4", "<U8", ">i8", "V8", "M8[D]", "utf-8",
    "torch.strided", "torch.sparse_coo", "_parameters", "_buffers", "_modules", "state", "0", "-1",
    "latin1", "MT19937", "x" * 300,
)  # fmt: skip
GLOBALS = (
    ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor_v3"),
    ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_qtensor"),
    ("torch._utils", "_rebuild_sparse_tensor"), ("torch._utils", "_rebuild_nested_tensor"),
    ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_parameter_with_state"),
    ("torch._utils", "_rebuild_wrapper_subclass"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"),
    ("torch._tensor", "_rebuild_from_type_v2"), ("torch._tensor", "_rebuild_from_type"),
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"),
    ("torch.serialization", "_get_layout"), ("torch", "FloatStorage"), ("torch", "HalfStorage"),
    ("torch", "QInt8Storage"), ("torch.storage", "UntypedStorage"), ("torch", "Size"),
    ("torch", "device"), ("torch", "float32"), ("torch", "per_tensor_affine"), ("torch", "Tensor"),
    ("torch", "FloatTensor"), ("torch.nn.parameter", "Parameter"),
    ("torch.storage", "_load_from_bytes"), ("torch.nn.modules.linear", "Linear"),
    ("torch.jit._pickle", "build_tensorlist"), ("torch.jit._pickle", "restore_type_tag"),
    ("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "deque"),
    ("collections", "Counter"), ("argparse", "Namespace"), ("datetime", "datetime"),
    ("datetime", "date"), ("datetime", "timedelta"), ("decimal", "Decimal"), ("uuid", "UUID"),
    ("pathlib", "PosixPath"), ("fractions", "Fraction"), ("_codecs", "encode"),
    ("builtins", "complex"), ("builtins", "bytearray"), ("builtins", "set"), ("builtins", "slice"),
    ("builtins", "range"), ("builtins", "getattr"), ("__builtin__", "bytes"),
    ("copy_reg", "_reconstructor"), ("copyreg", "__newobj__"), ("__builtin__", "object"),
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"), ("numpy", "dtype"), ("numpy", "ndarray"),
    ("numpy.random._pickle", "__randomstate_ctor"), ("os", "system"), ("", ""), ("a.b", "c.d"),
)  # fmt: skip

# The lengths before what an opcode holds, by the name of pickletools' argument.
_WIDTHS = {
    "string1": 1, "bytes1": 1, "unicodestring1": 1, "long1": 1, "string4": 4, "bytes4": 4,
    "unicodestring4": 4, "long4": 4, "bytes8": 8, "unicodestring8": 8, "bytearray8": 8,
}  # fmt: skip
_FIXED = {
    "uint1": ("<B", _UNSIGNED), "uint2": ("<H", _UNSIGNED), "uint4": ("<I", _UNSIGNED),
    "int4": ("<i", _SIGNED), "uint8": ("<Q", _LONG_SIZES), "float8": (">d", _FLOATS),
}  # fmt: skip


@functools.lru_cache(maxsize=512)
def opcodes(stream: bytes) -> tuple[bytes, ...]:
    """Each opcode of a valid stream, with its argument; STOP is the last."""
    starts = [position for _, _, position in pickletools.genops(stream) if position is not None]
    ends = [*starts[1:], starts[-1] + 1]
    return tuple(stream[start:end] for start, end in zip(starts, ends, strict=True))


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    """The opcode that protocol 2 has for an integer of this size."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = pickle.encode_long(value)
    return b"\x8a" + bytes([len(raw)]) + raw


def named(module: str, name: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{name}\n".encode()


def argument(opcode: pickletools.OpcodeInfo, random: random.Random) -> bytes:
    """Some argument of the form that `opcode` has."""
    if opcode.arg is None:
        return b""
    name = opcode.arg.name
    if name in _WIDTHS:
        return _sized(_WIDTHS[name], name, random)
    if name in _FIXED:
        code, values = _FIXED[name]
        value = random.choice(values)
        if code == ">d":
            return struct.pack(code, value)
        width = struct.calcsize(code)
        return (int(value) % (1 << 8 * width)).to_bytes(width, "little")
    if name == "stringnl_noescape_pair":
        module, attribute = random.choice(GLOBALS)
        return f"{module}\n{attribute}\n".encode()
    return random.choice(_LINES) + b"\n"


def _sized(width: int, name: str, random: random.Random) -> bytes:
    if name.startswith("long"):
        raw = pickle.encode_long(random.choice((*_SIGNED, *_LONG_SIZES, -(2**70), 2**900)))
    elif "unicode" in name:
        raw = random.choice(TEXTS).encode("utf-8", "surrogatepass")
    else:
        raw = random.choice((b"", b"\x00" * 8, b"\xff" * 17, b"abc", bytes(range(64))))
    length = len(raw)
    if random.random() < 0.15:
        length = random.choice(_LONG_SIZES if width == 8 else _UNSIGNED)
    return (length % (1 << 8 * width)).to_bytes(width, "little") + raw


def any_opcode(random: random.Random) -> bytes:
    """One opcode with an argument."""
    opcode = random.choice(pickletools.opcodes)
    return opcode.code.encode("latin-1") + argument(opcode, random)


def short_run(random: random.Random) -> bytes:
    """A few opcodes that make something, such as a call or a reference to a storage."""
    kind = random.randrange(6)
    module, name = random.choice(GLOBALS)
    if kind == 0:
        return named(module, name) + b")R"
    if kind == 1:
        return b"(" + text("storage") + named(module, name) + text("0") + text("cpu") + (
            number(random.choice(_SIGNED)) + b"tQ"
        )  # fmt: skip
    if kind == 2:
        items = b"".join(number(random.choice((*_SIGNED, 2**40, 2**63))) for _ in range(3))
        return b"(" + items + b"t"
    if kind == 3:
        return named(module, name) + b"("
    if kind == 4:
        return named(module, name) + b")\x81}" + text(random.choice(TEXTS)) + b"Nsb"
    return random.choice((b"N", b"]", b"}", b")", b"(", b"\x8f", text(random.choice(TEXTS))))


def changed(stream: bytes, random: random.Random, others: list[bytes]) -> bytes:
    """A valid stream with one to six of its opcodes changed; `others` are further streams."""
    codes = list(opcodes(stream))
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        if len(codes) < 2:
            break
        at = random.randrange(len(codes))
        kind = random.randrange(12)
        if kind == 0:
            del codes[at]
        elif kind == 1:
            codes.insert(at, codes[at])
        elif kind == 2:
            codes.insert(at, any_opcode(random))
        elif kind == 3:
            codes[at] = any_opcode(random)
        elif kind == 4:
            other = random.randrange(len(codes))
            codes[at], codes[other] = codes[other], codes[at]
        elif kind == 5:
            end = at + random.randrange(1, 40)
            del codes[at:end]
        elif kind == 6:
            start = random.randrange(len(codes))
            codes[at:at] = codes[start : start + random.randrange(1, 40)]
        elif kind == 7:
            other_codes = opcodes(random.choice(others))
            start = random.randrange(len(other_codes))
            codes[at:at] = other_codes[start : start + random.randrange(1, 60)]
        elif kind == 8:
            codes[at:at] = [short_run(random)]
        elif kind == 9 and random.random() < 0.2:
            # Deep, or long.
            codes[at:at] = [random.choice((b"]", b"(", b"\x85", b"}", b"2", b"h\x00"))] * _LONG
        else:
            _other_argument(codes, at, random)
    return b"".join(codes)


def _other_argument(codes: list[bytes], at: int, random: random.Random) -> None:
    """Give the next opcode that has an argument another one."""
    for index in (*range(at, len(codes)), *range(at)):
        opcode = pickletools.code2op.get(codes[index][:1].decode("latin-1"))
        if opcode is not None and opcode.arg is not None:
            codes[index] = codes[index][:1] + argument(opcode, random)
            return


def streams(content: bytes) -> list[tuple[int, int]]:
    """Where the pickles lie that follow each other at the start of `content`."""
    found = []
    start = 0
    while content[start : start + 1] == b"\x80":
        try:
            *_, last = pickletools.genops(content[start:])
        except ValueError:
            break
        end = start + int(last[2] or 0) + 1
        found.append((start, end))
        start = end
    return found
