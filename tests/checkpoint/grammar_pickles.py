"""A grammar of pickle streams: every opcode of protocols 0 to 5, with arguments good and bad.

A value is a run of opcodes that leaves one object on the stack. Whatever is put together of
values is in step; `broken` gives runs that are not. Opcodes: ``pickletools.py`` of CPython.
"""

from __future__ import annotations

import pickle
import pickletools
import struct

from hypothesis import strategies as st

from tests.fuzz.pickle_forms import GLOBALS, TEXTS, named, number, text

Stream = st.SearchStrategy[bytes]

MEMO = 6  # memo entries that streams use


def _little(width: int) -> st.SearchStrategy[bytes]:
    return st.integers(0, (1 << 8 * width) - 1).map(lambda value: value.to_bytes(width, "little"))


def _with_length(code: bytes, width: int, raw: st.SearchStrategy[bytes]) -> Stream:
    return raw.map(lambda data: code + len(data).to_bytes(width, "little") + data)


def _lines(code: bytes, raw: st.SearchStrategy[bytes]) -> Stream:
    return raw.map(lambda data: code + data.replace(b"\n", b"") + b"\n")


def _joined(*parts: bytes | Stream) -> Stream:
    strategies = [st.just(part) if isinstance(part, bytes) else part for part in parts]
    return st.tuples(*strategies).map(b"".join)


integers = st.one_of(st.integers(-(2**70), 2**70), st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64]))
texts = st.sampled_from(TEXTS) | st.text(max_size=6)
raws = st.binary(max_size=12)
_encoded = texts.map(lambda value: value.encode("utf-8", "surrogatepass"))
_longs = integers.map(pickle.encode_long)

numbers: Stream = st.one_of(
    integers.map(lambda value: b"I%d\n" % value),
    integers.map(lambda value: b"L%dL\n" % value),
    st.integers(0, 255).map(lambda value: b"K" + bytes([value])),
    _joined(b"M", _little(2)),
    st.integers(-(2**31), 2**31 - 1).map(lambda value: b"J" + struct.pack("<i", value)),
    _with_length(b"\x8a", 1, _longs),
    _with_length(b"\x8b", 4, _longs),
    st.floats().map(lambda value: b"G" + struct.pack(">d", value)),
    st.floats().map(lambda value: f"F{value!r}\n".encode()),
    st.sampled_from([b"I00\n", b"I01\n", b"\x88", b"\x89", b"N"]),
)
strings: Stream = st.one_of(
    _with_length(b"X", 4, _encoded),
    _with_length(b"\x8c", 1, _encoded.filter(lambda data: len(data) < 256)),
    _with_length(b"\x8d", 8, _encoded),
    _lines(b"V", texts.map(lambda value: value.encode("raw_unicode_escape", "replace"))),
    _lines(b"S", raws.map(lambda data: repr(data)[1:].encode())),
    _with_length(b"T", 4, raws),
    _with_length(b"U", 1, raws),
    _with_length(b"B", 4, raws),
    _with_length(b"C", 1, raws),
    _with_length(b"\x8e", 8, raws),
    _with_length(b"\x96", 8, raws),
    st.sampled_from([b"\x97", b"\x97\x98"]),
)
globals_: Stream = st.one_of(
    st.sampled_from(GLOBALS).map(lambda pair: named(*pair)),
    st.sampled_from(GLOBALS).map(lambda pair: text(pair[0]) + text(pair[1]) + b"\x93"),
    st.tuples(strings, strings).map(lambda pair: b"".join(pair) + b"\x93"),
    _lines(b"c", _encoded).flatmap(lambda module: _lines(b"", _encoded).map(module.__add__)),
    _joined(b"\x82", _little(1)),
    _joined(b"\x83", _little(2)),
    _joined(b"\x84", _little(4)),
)
atoms: Stream = st.one_of(
    numbers,
    strings,
    globals_,
    st.sampled_from([b"]", b")", b"}", b"\x8f"]),
    # What the memo may or may not have.
    st.integers(0, MEMO).map(lambda index: b"g%d\n" % index),
    st.integers(0, MEMO).map(lambda index: b"h" + bytes([index])),
    st.integers(0, MEMO).map(lambda index: b"j" + struct.pack("<I", index)),
    _lines(b"P", _encoded),
)

memos: Stream = st.one_of(
    st.integers(0, MEMO).map(lambda index: b"q" + bytes([index])),
    st.integers(0, MEMO).map(lambda index: b"p%d\n" % index),
    st.integers(0, MEMO).map(lambda index: b"r" + struct.pack("<I", index)),
    st.just(b"\x94"),
)


def composed(inner: Stream) -> Stream:
    """Every way to make a value of others."""
    some = st.lists(inner, max_size=4).map(b"".join)
    pairs = st.lists(st.tuples(inner, inner).map(b"".join), max_size=3).map(b"".join)
    arguments = st.one_of(_joined(b"(", some, b"t"), st.just(b")"), inner)
    class_line = st.sampled_from(GLOBALS).map(lambda pair: f"i{pair[0]}\n{pair[1]}\n".encode())
    return st.one_of(
        _joined(b"(", some, b"l"),
        _joined(b"](", some, b"e"),
        _joined(b"]", inner, b"a"),
        _joined(inner, b"\x85"),
        _joined(inner, inner, b"\x86"),
        _joined(inner, inner, inner, b"\x87"),
        _joined(b"(", some, b"t"),
        _joined(b"(", pairs, b"d"),
        _joined(b"}(", pairs, b"u"),
        _joined(b"}", inner, inner, b"s"),
        _joined(b"\x8f(", some, b"\x90"),
        _joined(b"(", some, b"\x91"),
        _joined(globals_, arguments, b"R"),
        _joined(inner, arguments, b"R"),
        _joined(globals_, arguments, b"\x81"),
        _joined(globals_, arguments, b"}(", pairs, b"u\x92"),
        _joined(b"(", some, class_line),
        _joined(b"(", globals_, some, b"o"),
        _joined(inner, inner, b"b"),
        _joined(globals_, b")R", inner, b"b"),
        _joined(inner, memos),
        _joined(inner, b"0", inner),
        _joined(b"(", some, b"1", inner),
        _joined(inner, b"2\x86"),
        _joined(inner, b"Q"),
        storages,
        tensors(inner),
    )


sizes: Stream = st.one_of(
    st.lists(st.integers(0, 4), max_size=3).map(
        lambda values: b"(" + b"".join(map(number, values)) + b"t"
    ),
    st.lists(integers.map(number), max_size=3).map(lambda values: b"(" + b"".join(values) + b"t"),
)
_classes: Stream = st.sampled_from(
    [("torch", f"{kind}Storage") for kind in ("Float", "Long", "Half", "Byte", "QInt8", "Odd")]
    + [("torch.storage", "UntypedStorage"), ("os", "system")]
).map(lambda pair: named(*pair))
storages: Stream = _joined(
    b"(",
    st.sampled_from(["storage", "module", "x"]).map(text),
    _classes,
    st.sampled_from(["0", "1", "../x", ""]).map(text),
    st.sampled_from(["cpu", "cuda:0", "meta"]).map(text),
    st.one_of(st.just(number(4)), integers.map(number)),
    st.sampled_from([b"tQ", b"NtQ"]),
)


def tensors(inner: Stream) -> Stream:
    """Calls of the functions that rebuild tensors, right but for what `inner` may put there."""
    rebuilders = [pair for pair in GLOBALS if "_rebuild" in pair[1]]
    plain = _joined(
        named("torch._utils", "_rebuild_tensor_v2"), b"(", storages, number(0), sizes, sizes,
        b"\x89N", b"tR",
    )  # fmt: skip
    odd = _joined(
        st.sampled_from(rebuilders).map(lambda pair: named(*pair)),
        b"(",
        st.lists(st.one_of(storages, sizes, numbers, plain, inner), max_size=7).map(b"".join),
        b"tR",
    )
    return st.one_of(plain, odd)


values: Stream = st.recursive(atoms, composed, max_leaves=12)
# A mapping, as checkpoints are, of keys and values.
mappings: Stream = st.lists(
    st.tuples(texts.map(text), values).map(b"".join), min_size=1, max_size=4
).map(lambda pairs: b"}(" + b"".join(pairs) + b"u")


@st.composite
def framed(draw: st.DrawFn, body: Stream = values | mappings) -> bytes:
    """A whole stream: PROTO, perhaps FRAMEs that tell the truth or do not, and STOP."""
    content = draw(body)
    protocol = draw(st.sampled_from([2, 2, 3, 4, 5, 0, 1, 200]))
    start = b"\x80" + bytes([protocol]) if protocol else b""
    if draw(st.booleans()) and protocol >= 4:
        length = draw(st.sampled_from([len(content) + 1, 0, 3, 2**40, 2**64 - 1]))
        start += b"\x95" + struct.pack("<Q", length)
    end = draw(st.sampled_from([b".", b".", b".", b"", b"..", b".\x80\x02N."]))
    return start + content + end


_codes = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
# Out of step: opcodes without what they need, values cut off, and bytes that are no opcode.
broken: Stream = framed(
    st.lists(
        st.one_of(
            st.sampled_from(_codes),
            values,
            raws,
            values.flatmap(lambda run: st.integers(0, len(run)).map(lambda end: run[:end])),
            st.tuples(st.sampled_from(_codes), raws).map(b"".join),
        ),
        max_size=12,
    ).map(b"".join)
)
