"""Pickles that would run code, eat memory or hang what reads them; as raw bytes.

None is made by a pickler: each opcode is written out, so that the streams may be as wrong
as a file can be. `executing` would run `marker`'s command if it were ever unpickled.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator
from itertools import chain

PROTOCOL_2 = b"\x80\x02"
PROTOCOL_4 = b"\x80\x04"
STOP = b"."
NONE = b"N"
MARK = b"("
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_SYSTEM = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
MILLION = 1_000_000
# Not imported by anything else: that it is in `sys.modules` would give an import away.
NEVER_IMPORTED = "antigravity"


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def long_number(value: int) -> bytes:
    raw = pickle.encode_long(value)
    return b"\x8b" + struct.pack("<i", len(raw)) + raw


def sequence(*items: bytes) -> bytes:
    return MARK + b"".join(items) + b"t"


def called(function: bytes, *arguments: bytes) -> bytes:
    return function + sequence(*arguments) + b"R"


def executing(marker: str) -> dict[str, bytes]:
    """Each would run a command that creates the file `marker`, or import a module."""
    command = text(f"touch {marker}")
    system = named("os", "system")
    arguments = command + b"\x85"
    evil = system + arguments + b"R"
    shell = named("subprocess", "Popen")
    foreign = named(NEVER_IMPORTED, "fly")
    inner = PROTOCOL_2 + evil + STOP
    raw_inner = b"B" + struct.pack("<I", len(inner)) + inner
    ordered = named("collections", "OrderedDict")
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    return {
        "REDUCE": evil,
        "REDUCE of a foreign module": foreign + b")R",
        "REDUCE of eval": called(named("builtins", "eval"), text("__import__('os')")),
        "REDUCE in a mapping": b"}" + text("weight") + evil + b"s",
        "REDUCE as a key": b"}" + evil + NONE + b"s",
        "REDUCE of a dotted name": named("os", "path.os.system") + arguments + b"R",
        "REDUCE of getattr": called(
            called(named("builtins", "getattr"), named("os", "path"), text("join")), command
        ),
        "REDUCE of what a call returned": called(evil, command),
        "REDUCE of import": called(named("importlib", "import_module"), text(NEVER_IMPORTED)),
        "REDUCE of an allowed function": called(ordered, sequence(evil)),
        "NEWOBJ": shell + command + b"\x85\x81",
        "NEWOBJ_EX": shell + b")}" + text("args") + command + b"s\x92",
        "NEWOBJ of no class": command + b")\x81",
        "BUILD": named("argparse", "Namespace") + b")\x81}" + text("x") + evil + b"sb",
        "BUILD of a global": named("os", "environ") + b"}" + text("PATH") + text("") + b"sb",
        "BUILD with slots": named("argparse", "Namespace") + b")R" + NONE + b"}\x86b",
        "BUILD of __setstate__": named("functools", "partial")
        + system
        + b"\x85R"
        + sequence(system, sequence(command), b"}", NONE)
        + b"b",
        "BUILD of __class__": named("argparse", "Namespace")
        + b")R}"
        + text("__class__")
        + shell
        + b"sb",
        "BUILD of a list": b"]}" + text("append") + system + b"sb",
        "BUILD of a number": b"K\x01}b",
        "APPEND to an object": named("collections", "deque") + b")R" + evil + b"a",
        "APPENDS to an object": shell + b")R(" + evil + evil + b"e",
        "SETITEM on an object": ordered + b")R" + evil + evil + b"s",
        "SETITEMS on a global": named("os", "environ") + b"(" + command + command + b"u",
        "ADDITEMS to an object": shell + b")R(" + evil + b"\x90",
        "STACK_GLOBAL": text("os") + text("system") + b"\x93" + arguments + b"R",
        "STACK_GLOBAL of numbers": b"K\x01K\x02\x93" + arguments + b"R",
        "STACK_GLOBAL of a call": evil + text("system") + b"\x93",
        "INST": MARK + command + b"ios\nsystem\n",
        "INST without arguments": MARK + b"i" + NEVER_IMPORTED.encode() + b"\nfly\n",
        "OBJ": MARK + system + command + b"o",
        "OBJ of nothing": MARK + b"o",
        "EXT1": b"\x82\x01" + arguments + b"R",
        "EXT2": b"\x83\x01\x02" + arguments + b"R",
        "EXT4": b"\x84\x01\x02\x03\x04" + arguments + b"R",
        "EXT1 of code 0": b"\x82\x00",
        "EXT4 below 0": b"\x84\xff\xff\xff\xff",
        "PERSID": b"Pos.system\n",
        "BINPERSID of a call": evil + b"Q",
        "BINPERSID of a global": system + b"Q",
        "a module's source": sequence(
            text("module"), named("os", "system"), text("x.py"), text("import os\n")
        )
        + b"Q",
        "storage of a foreign class": sequence(
            text("storage"), foreign, text("0"), text("cpu"), number(4)
        )
        + b"Q",
        "bytes that are a pickle": called(named("torch.storage", "_load_from_bytes"), raw_inner),
        "numpy's object arrays": called(
            named("numpy.core.multiarray", "_reconstruct"),
            named("numpy", "ndarray"),
            number(0) + b"\x85",
            b"C\x01b",
        )
        + sequence(
            b"K\x01",
            sequence(b"K\x01"),
            called(named("numpy", "dtype"), text("O8"), b"\x89", b"\x88"),
            b"\x89",
            b"]" + evil + b"a",
        )
        + b"b",
        "rebuilt from a type": called(
            named("torch._tensor", "_rebuild_from_type_v2"), system, shell, sequence(command), b"}"
        ),
        "a parameter of a call": called(
            named("torch._utils", "_rebuild_parameter"), evil, b"\x88", called(ordered)
        ),
        "a tensor of a call": called(
            rebuild, evil, b"K\x00", b"K\x01\x85", b"K\x01\x85", b"\x89", evil
        ),
        "a module with a hook": named("torch.nn.modules.linear", "Linear")
        + b")\x81}("
        + text("_parameters")
        + b"}"
        + text("_buffers")
        + b"}"
        + text("_modules")
        + b"}"
        + text("_forward_hooks")
        + b"}"
        + b"K\x01"
        + evil
        + b"s"
        + b"ub",
    }


def wrong_tensors() -> dict[str, bytes]:
    """Calls of torch's functions whose arguments no tensor has."""
    storage_class = named("torch", "FloatStorage")

    def storage(key: bytes = text("0"), count: bytes = number(4), where: bytes = text("cpu")):
        return sequence(text("storage"), storage_class, key, where, count) + b"Q"

    def tensor(
        held: bytes,
        offset: bytes,
        shape: bytes,
        stride: bytes,
        function: str = "_rebuild_tensor_v2",
    ) -> bytes:
        name = named("torch._utils", function)
        hooks = called(named("collections", "OrderedDict"))
        return called(name, held, offset, shape, stride, b"\x89", hooks)

    one = b"K\x01\x85"
    huge = long_number(2**62)
    good = tensor(storage(), b"K\x00", b"K\x04\x85", one)
    parameter = named("torch._utils", "_rebuild_parameter")
    hooks = called(named("collections", "OrderedDict"))
    wrapped = good
    for _ in range(2_000):
        wrapped = parameter + MARK + wrapped + b"\x88" + hooks + b"tR"
    return {
        "a good one": good,
        "huge shape": tensor(storage(), b"K\x00", sequence(*[huge] * 40), sequence(*[huge] * 40)),
        "shape of a million": tensor(storage(), b"K\x00", sequence(b"K\x01" * MILLION), one),
        "enormous numbers": tensor(
            storage(), long_number(10**2400), long_number(10**2400) + b"\x85", one
        ),
        "negative shape": tensor(storage(), b"K\x00", number(-4) + b"\x85", one),
        "negative stride": tensor(storage(), b"K\x03", b"K\x04\x85", number(-1) + b"\x85"),
        "negative offset": tensor(storage(), number(-9), one, one),
        "huge offset": tensor(storage(), huge, one, one),
        "lengths differ": tensor(storage(), b"K\x00", b"K\x02K\x02\x86", one),
        "shape of text": tensor(storage(), b"K\x00", text("shape"), one),
        "shape of None": tensor(storage(), b"K\x00", NONE, NONE),
        "shape of lists": tensor(storage(), b"K\x00", b"]\x85", one),
        "shape of truths": tensor(storage(), b"\x88", b"\x88\x85", b"\x88\x85"),
        "shape of itself": tensor(storage(), b"K\x00", b"]q\x09h\x09a", one),
        "storage of a number": tensor(b"K\x07", b"K\x00", one, one),
        "storage of itself": b"(" + storage()[1:-2] + b"tq\x07" + b"h\x07\x85Q",
        "key of a tuple": tensor(storage(key=b"K\x01\x85"), b"K\x00", one, one),
        "key that climbs": tensor(storage(key=text("../../../etc/passwd")), b"K\x00", one, one),
        "key of control characters": tensor(
            storage(key=text("\x1b[2J\n\u202e")), b"K\x00", one, one
        ),
        "negative count": tensor(storage(count=number(-1)), b"K\x00", one, one),
        "count of text": tensor(storage(count=text("4")), b"K\x00", one, one),
        "huge count": tensor(storage(count=huge), b"K\x00", huge + b"\x85", one),
        "location of a number": tensor(storage(where=b"K\x01"), b"K\x00", one, one),
        "no arguments": named("torch._utils", "_rebuild_tensor_v2") + b")R",
        "arguments that are no tuple": named("torch._utils", "_rebuild_tensor_v2") + b"]R",
        "BUILD of a tensor": good + b"}" + text("data") + text("x") + b"sb",
        "APPEND to a tensor": good + good + b"a",
        "SETITEM on a tensor": good + NONE + NONE + b"s",
        "call of a tensor": good + b")R",
        "a tensor as a key": b"}" + good + good + b"s",
        "wrapped 2,000 times": wrapped,
        "sparse of sparse": called(
            named("torch._utils", "_rebuild_sparse_tensor"),
            called(named("torch.serialization", "_get_layout"), text("torch.sparse_coo")),
            sequence(good, good, sequence(huge, huge)),
        ),
        "sparse without parts": called(
            named("torch._utils", "_rebuild_sparse_tensor"), text("torch.sparse_csr"), b")"
        ),
        "quantized without a scale": called(
            named("torch._utils", "_rebuild_qtensor"),
            storage(),
            b"K\x00",
            one,
            one,
            named("torch", "per_channel_affine") + b"\x85",
            b"\x89",
            hooks,
        ),
        "nested of numbers": called(
            named("torch._utils", "_rebuild_nested_tensor"), b"K\x01", b"K\x02", b"K\x03", b"K\x04"
        ),
    }


def malformed() -> dict[str, bytes]:
    """Streams that no pickler writes. Most break; what was understood before stays."""
    one = b"K\x01"
    beyond = struct.pack("<Q", 1 << 62)
    return {
        "nothing": b"",
        "STOP on an empty stack": STOP,
        "STOP inside a MARK": MARK + one + STOP,
        "two values at STOP": one + one + STOP,
        "two pickles": one + STOP + PROTOCOL_2 + one + STOP,
        "POP_MARK without MARK": b"1",
        "POP on an empty stack": b"0",
        "POP of a MARK": MARK + b"0" + NONE,
        "DUP on an empty stack": b"2",
        "TUPLE without MARK": one + b"t",
        "TUPLE3 of two": one + one + b"\x87",
        "LIST without MARK": b"l",
        "DICT of three": MARK + one + one + one + b"d",
        "DICT without MARK": b"d",
        "SETITEM on nothing": b"}s",
        "SETITEM on a list": b"]" + one + one + b"s",
        "SETITEMS of three": b"}(" + one + one + one + b"u",
        "SETITEMS without MARK": b"}" + one + one + b"u",
        "APPEND to a number": one + one + b"a",
        "APPENDS to a mapping": b"}(" + one + b"e",
        "ADDITEMS to a list": b"](" + one + b"\x90",
        "a set of lists": b"\x8f(]]}\x90",
        "FROZENSET without MARK": b"\x91",
        "REDUCE on nothing": b"R",
        "REDUCE of numbers": one + one + b"R",
        "NEWOBJ of numbers": one + one + b"\x81",
        "BUILD on nothing": one + b"b",
        "PUT on an empty stack": b"q\x00",
        "MEMOIZE on an empty stack": b"\x94",
        "GET of nothing": b"h\x07",
        "LONG_BINGET of nothing": b"j\xff\xff\xff\xff",
        "GET of text": b"gx\n",
        "GET below 0": b"g-1\n",
        "PUT of text": NONE + b"px\n",
        "PUT below 0": NONE + b"p-5\n",
        "PUT of a huge number": NONE + b"p" + b"9" * 5000 + b"\n",
        "huge LONG_BINPUT": NONE + b"r\xff\xff\xff\xff",
        "many huge LONG_BINPUTs": NONE
        + b"".join(b"r" + struct.pack("<I", 0xFFFFFFFF - i * 40_009) for i in range(100_000)),
        "unknown opcode": one + b"\xff",
        "PROTO 255": b"\x80\xff" + NONE,
        "PROTO in the middle": b"]" + PROTOCOL_4 + NONE + b"a",
        "FRAME beyond the file": PROTOCOL_4 + b"\x95" + beyond + one,
        "FRAME of nothing": PROTOCOL_4 + b"\x95" + bytes(8) + one,
        "FRAME that ends inside an opcode": PROTOCOL_4 + b"\x95\x02" + bytes(7) + text("abc"),
        "FRAME in a FRAME": PROTOCOL_4 + (b"\x95\x10" + bytes(7)) * 3 + one,
        "FRAME that hides opcodes": PROTOCOL_4 + b"\x95\x01" + bytes(7) + NONE + b"0" + one,
        "BINBYTES8 beyond the file": PROTOCOL_4 + b"\x8e" + beyond + b"abc",
        "BINBYTES8 of 2^64": PROTOCOL_4 + b"\x8e" + b"\xff" * 8,
        "BINUNICODE8 beyond the file": PROTOCOL_4 + b"\x8d" + beyond + b"abc",
        "BYTEARRAY8 beyond the file": b"\x80\x05\x96" + beyond + b"abc",
        "BINUNICODE beyond the file": b"X\xff\xff\xff\xffabc",
        "BINBYTES beyond the file": b"B\xff\xff\xff\xffabc",
        "BINSTRING below 0": b"T\xff\xff\xff\xffabc",
        "LONG4 beyond the file": b"\x8b\xff\xff\xff\x7fabc",
        "LONG4 below 0": b"\x8b\xff\xff\xff\xffabc",
        "LONG1 of 255 bytes": b"\x8a\xff" + b"\x7f" * 255,
        "LONG1 of nothing": b"\x8a\x00",
        "SHORT_BINBYTES beyond the file": b"C\xff",
        "BINFLOAT cut": b"G\x00",
        "BINFLOAT that is no number": b"G\x7f\xf8" + bytes(6),
        "INT cut": b"I12",
        "INT of words": b"Ione\n",
        "INT with a truth": b"I01\n0I00\n",
        "INT with underscores": b"I1_000\n",
        "INT of 60,000 digits": b"I" + b"9" * 60_000 + b"\n",
        "LONG of 60,000 digits": b"L" + b"9" * 60_000 + b"L\n",
        "LONG4 of a megabyte": b"\x8b" + struct.pack("<i", MILLION) + b"\x7f" * MILLION,
        "FLOAT of words": b"Fone\n",
        "FLOAT too large": b"F1e999999999\n",
        "STRING without quotes": b"Sabc\n",
        "STRING with one quote": b"S'\n",
        "STRING with a bad escape": b"S'\\xz'\n",
        "UNICODE with a bad escape": b"V\\u12\n",
        "UNICODE beyond Unicode": b"V\\U99999999\n",
        "UNICODE of a surrogate": b"V\\ud800\n",
        "no newline": b"V" + b"a" * 100_000,
        "GLOBAL without newline": b"cos",
        "GLOBAL cut after the module": b"cos\nsystem",
        "GLOBAL of control characters": b"cos\x1b[2J\r\nsy\xe2\x80\xaestem\n",
        "GLOBAL of bad UTF-8": b"c\xff\xfe\n\xff\n",
        "GLOBAL of a long name": b"c" + b"a." * 40_000 + b"\n" + b"b" * 60_000 + b"\n",
        "GLOBAL of nothing": b"c\n\n",
        "bad UTF-8": b"X\x02\x00\x00\x00\xff\xfe",
        "a surrogate": text("\ud800"),
        "a key of control characters": b"}" + text("\x1b[31m\n\u202e\x00") + one + b"s",
        "Python 2 bytes": b"U\x03\xff\xfe\xfd",
        "NEXT_BUFFER": b"\x80\x05\x97",
        "READONLY_BUFFER on nothing": b"\x80\x05\x98",
        "READONLY_BUFFER": b"\x80\x05" + one + b"\x98",
        "a list in itself": b"]q\x00h\x00a",
        "a mapping in itself": b"}q\x00" + one + b"h\x00s",
        "a mapping as its own key": b"}q\x00h\x00h\x00s",
        "a tuple in itself": b"]q\x00h\x00\x85q\x01a0h\x01",
        "a set in itself": b"\x8fq\x00(h\x00\x90",
        "an object in its own state": named("x", "Y") + b")\x81q\x00}" + text("me") + b"h\x00sb",
        "an object as its own state": named("x", "Y") + b")\x81q\x00h\x00b",
        "an object in its arguments": b"]q\x00" + named("x", "Y") + b"h\x00\x85Rq\x01a",
        "a call of itself": named("x", "Y") + b")Rq\x00h\x00)R",
        "a module in itself": named("torch.nn.modules.container", "Sequential")
        + b")\x81q\x00}("
        + text("_parameters")
        + b"}"
        + text("_buffers")
        + b"}"
        + text("_modules")
        + b"}"
        + text("0")
        + b"h\x00s"
        + b"ub",
        "two lists in each other": b"]q\x00]q\x01h\x00a0h\x01ah\x00",
        "a truth as a number": b"\x88\x89\x86",
        "equal keys": b"}(" + (text("a") + one) * 3 + b"u",
        "keys that are not a number": b"}(" + (b"G\x7f\xf8" + bytes(6) + one) * 3 + b"u",
    }


def laughs(opening: bytes, closing: bytes, levels: int = 40) -> bytes:
    """Ten references to what has ten references to what has …"""
    parts = [b"]q\x00"]
    for level in range(levels):
        parts.append(opening + bytes([0x68, level]) * 10 + closing + bytes([0x71, level + 1]))
    return b"".join(parts)


def deep() -> dict[str, bytes]:
    """A million levels, which recursion would not survive; and references that multiply."""
    ordered = named("collections", "OrderedDict")
    return {
        "tuple as a key": b"})" + b"\x85" * MILLION + b"K\x01s",
        "tuples": b")" + b"\x85" * MILLION,
        "lists": b"]" * MILLION + b"a" * (MILLION - 1),
        "mappings": (b"}K\x01" * 300_000) + b"}" + b"s" * 300_000,
        "calls": ordered + b"q\x00" + b"h\x00" * 300_000 + b")" + b"R\x85" * 300_000 + b"R",
        "calls of calls": ordered + b")R" * 300_000,
        "states": (ordered + b")R") * 100_000 + b"}" + b"b" * 100_000,
        "persistent ids": b")" + b"Q" * 300_000,
        "frozensets": b"(" * 300_000 + b"\x91" * 300_000,
        "MARKs": MARK * MILLION,
        "laughing lists": laughs(b"](", b"e"),
        "laughing tuples": laughs(b"(", b"t"),
        "laughing mappings": laughs(b"}(", b"u"),
        "laughing keys": laughs(b"(", b"t") + b"}h\x28h\x28s",
        "laughing shapes": named("torch._utils", "_rebuild_tensor_v2")
        + sequence(NONE, b"K\x00", laughs(b"(", b"t"), b"h\x28", b"\x89", NONE)
        + b"R",
        "laughing states": named("x", "Y") + b")R" + laughs(b"(", b"t") + b"b",
    }


def heavy() -> Iterator[tuple[str, bytes]]:
    """Fifty megabytes of one opcode: a list of ten bytes each would take gigabytes."""
    size = 50 << 20
    for name, start, unit in (
        ("EMPTY_LIST", b"", b"]"),
        ("MARK", b"", b"("),
        ("NONE", b"", b"N"),
        ("DUP", b"N", b"2"),
        ("TUPLE1", b"N", b"\x85"),
        ("MEMOIZE", b"N", b"\x94"),
        ("LONG1", b"", b"\x8a\x08" + b"\x7f" * 8),
        ("EXT1", b"", b"\x82\x01"),
        ("REDUCE", b"ca\nb\n", b")R"),
        ("APPEND of itself", b"]q\x00", b"h\x00a"),
        ("SETITEM", b"}", b"NNs"),
        ("STOP", b"N.", b"N."),
        ("PROTO", b"", b"\x80\x02"),
    ):
        yield name, PROTOCOL_2 + start + unit * (size // len(unit)) + STOP
    yield "text without end", PROTOCOL_2 + b"V" + b"a" * size
    yield (
        "different LONG_BINPUTs",
        PROTOCOL_2
        + b"N"
        + b"".join(
            b"r" + struct.pack("<I", (index * 2_654_435_761) & 0xFFFFFFFF)
            for index in range(size // 5)
        ),
    )
    yield "one long text", PROTOCOL_2 + b"X" + struct.pack("<I", size) + b"a" * size + STOP
    yield "one long list", PROTOCOL_2 + b"](" + b"K\x01" * (size // 2) + b"e" + STOP


def in_zip(stream: bytes, *, compressed: bool = False) -> bytes:
    """The archive that torch writes, with `stream` for its pickle and one storage."""
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("archive/data.pkl", stream)
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/data/0", bytes(16))
        archive.writestr("archive/version", b"3\n")
    return file.getvalue()


def legacy_parts(stream: bytes) -> list[bytes]:
    """The five pickles of the legacy form, `stream` being the object's."""
    plain = [pickle.dumps(value, 2) for value in (LEGACY_MAGIC, 1001, LEGACY_SYSTEM)]
    return [*plain, stream, pickle.dumps([], 2)]


def in_legacy(stream: bytes) -> bytes:
    return b"".join(legacy_parts(stream))


def dangerous(marker: str) -> dict[str, bytes]:
    """Those that would execute something; each a complete stream."""
    streams = {}
    for name, body in executing(marker).items():
        streams[f"executing {name}"] = PROTOCOL_2 + body + STOP
        mapping = b"}" + text("epoch") + b"K\x05s" + text("x") + body + b"s"
        streams[f"executing in a mapping {name}"] = PROTOCOL_2 + mapping + STOP
    return streams


def wrong() -> dict[str, bytes]:
    """Tensors that cannot be, and streams that no pickler writes; each a complete stream."""
    streams = {f"tensor {name}": body for name, body in wrong_tensors().items()}
    streams |= {f"malformed {name}": body for name, body in malformed().items()}
    for name, body in streams.items():
        start = b"" if body.startswith(b"\x80") or not body else PROTOCOL_2
        streams[name] = start + body + (STOP if body else b"")
    return streams


def files(marker: str) -> Iterator[tuple[str, bytes]]:
    """Every stream by itself, in a zip, and in each place of a legacy file."""
    for name, stream in chain(dangerous(marker).items(), wrong().items()):
        yield f"raw {name}", stream
        yield f"zip {name}", in_zip(stream)
        yield f"legacy {name}", in_legacy(stream)
    for name, body in executing(marker).items():
        for index in (0, 1, 2, 4):
            parts = legacy_parts(PROTOCOL_2 + b"}" + STOP)
            parts[index] = PROTOCOL_2 + body + STOP
            yield f"legacy pickle {index} {name}", b"".join(parts)
    for index, (name, body) in enumerate(deep().items()):
        stream = PROTOCOL_2 + body + STOP
        form, whole = (
            ("raw", stream), ("zip", in_zip(stream)), ("legacy", in_legacy(stream))
        )[index % 3]  # fmt: skip
        yield f"{form} deep {name}", whole
    bomb = PROTOCOL_2 + b"N" * (300 << 20) + STOP
    yield "zip of a compressed bomb", in_zip(bomb, compressed=True)
