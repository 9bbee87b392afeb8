"""What is said of ``torch.load(weights_only=True)`` is what torch itself says."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import itertools
import pathlib
import pickle
import re
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bypass_pickles as bypass
import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis.safety import examine, examine_broken
from inspector_app.analysis.safety_report import SafetyReport
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.text import plain

sys.path.append(str(Path(__file__).resolve().parents[1] / "checkpoint"))
import hostile_archives as hostile

_CORE = re.compile(
    r"(?:WeightsUnpickler error: \s*|Weights only load failed\. (?=``))(?P<core>.*?)"
    r"(?:\n\nCheck the documentation|\n In PyTorch 2\.6|\n\n|$)",
    re.DOTALL,
)


@pytest.fixture(autouse=True, scope="module")
def _as_torch_starts() -> Iterator[None]:
    """Other tests find allowed what they had allowed."""
    before = torch.serialization.get_safe_globals()
    yield
    torch.serialization.add_safe_globals(before)


def examined(path: Path) -> SafetyReport:
    try:
        steps = examine(open_checkpoint(path))
    except CheckpointError as error:
        steps = examine_broken(str(path), error)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            report: SafetyReport = end.value
            return report


def of_torch(path: Path, anew: bool = True) -> tuple[bool, type[BaseException] | None, str]:
    """Whether torch loads the file, what it raises, and the core of its message.

    `anew` forgets what was allowed: modules of torch do that, too, when they are imported.
    """
    if anew:
        torch.serialization.clear_safe_globals()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            return False, type(error), core(str(error))
    return True, None, ""


def core(message: str) -> str:
    """What torch's machine said, without what ``torch.load`` wraps around it."""
    found = _CORE.search(message)
    if found and found["core"].strip():
        return found["core"].strip()
    blocked = re.search(r"Trying to load unsupported GLOBAL .* is blocked\.", message)
    return blocked[0] if blocked else message.strip()


def assert_agrees(path: Path, exactly: bool = True) -> None:
    verdict = examined(path).weights_only
    loads, kind, message = of_torch(path)
    assert verdict.loads is loads, (verdict, kind, message)
    if kind is pickle.UnpicklingError and exactly:
        assert words(verdict.message) == words(message)
    elif kind is RuntimeError and exactly and verdict.message:
        assert message.startswith(verdict.message)


def words(message: str) -> str:
    """`message` whose lines are broken nowhere."""
    return " ".join(message.split())


class Own:
    def __init__(self) -> None:
        self.x = torch.ones(2)


VALUES: dict[str, Callable[[], Any]] = {
    "a state_dict": lambda: torch.nn.Linear(2, 3).state_dict(),
    "a module": lambda: torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()),
    "a parameter": lambda: torch.nn.Parameter(torch.ones(2)),
    "an optimizer": lambda: torch.optim.SGD(torch.nn.Linear(2, 3).parameters(), 0.1).state_dict(),
    "a namespace": lambda: {"args": argparse.Namespace(lr=0.1, sizes=[1, 2])},
    "a path": lambda: {"path": pathlib.PurePosixPath("/tmp/x")},
    "a date": lambda: {"when": datetime.datetime(2026, 1, 1)},
    "a default dictionary": lambda: {"d": collections.defaultdict(int, a=1)},
    "a counter": lambda: {"d": collections.Counter("hello")},
    "an ordered dictionary": lambda: collections.OrderedDict(a=1, b=[2]),
    "a deque": lambda: {"d": collections.deque([1, 2])},
    "a number of numpy": lambda: {"loss": numpy.float64(0.5)},
    "an array": lambda: {"a": numpy.arange(3, dtype=numpy.int32)},
    "a dtype": lambda: {"d": torch.float16, "s": torch.Size([1, 2]), "dev": torch.device("cpu")},
    "a set": lambda: {"s": {1, 2}, "b": b"bytes", "c": 1j, "ba": bytearray(b"x")},
    "a sparse tensor": lambda: torch.eye(3).to_sparse(),
    "a sparse CSR tensor": lambda: torch.eye(3).to_sparse_csr(),
    "a quantized tensor": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "a function": lambda: {"f": torch.nn.functional.relu},
    "a class": lambda: {"f": torch.optim.SGD},
    "a builtin": lambda: {"f": len},
    "an object of one's own": lambda: {"o": Own()},
    "a range": lambda: {"r": range(3)},
    "a meta tensor": lambda: torch.empty(3, device="meta"),
    "a frozenset": lambda: {"f": frozenset({1})},
    "a generator": lambda: {"g": torch.Generator().get_state()},
}


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("title", VALUES)
def test_what_torch_saves(title: str, zipped: bool, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(
            VALUES[title](),
            path,
            pickle_protocol=protocol,
            _use_new_zipfile_serialization=zipped,
        )
    assert_agrees(path)


def test_the_corpus(corpus: Path) -> None:
    checked = 0
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and path.suffix in (".pt", ".pth", ".tar", ".ckpt", ".model", ".jit"):
            assert_agrees(path)
            checked += 1
    assert checked > 15


@pytest.mark.parametrize("title", bypass.files())
def test_tricks(title: str, tmp_path: Path) -> None:
    """Torch refuses each, or accepts what names nothing; its own machine runs none of them."""
    content, trick = bypass.files()[title]
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    verdict = examined(path).weights_only
    loads, kind, message = of_torch(path)
    if loads:
        assert not trick.named or "zip" in title or "legacy bytes" in title
    assert verdict.loads is loads, (verdict, kind, message)
    if kind is pickle.UnpicklingError and "<" not in message and "operand" not in message:
        assert words(verdict.message).startswith(words(plain(message, 1_000))[:60])


# --- a grammar of streams, of opcodes that torch knows and of those that it does not


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


LEAVES = st.sampled_from(
    [b"N", b"\x88", b"K\x05", _number(-3), b"]", b"}", b")", b"\x8f", b"G" + bytes(8)]
    + [bypass.text(word) for word in ("a", "storage", "cpu", "")]
    + [b"U\x01a", b"\x8a\x01\x05"]
)
ALLOWED = st.sampled_from(
    [
        bypass.name("collections", "OrderedDict"),
        bypass.name("collections", "Counter"),
        bypass.name("torch", "Size"),
        bypass.name("torch", "FloatStorage"),
        bypass.name("torch", "float16"),
        bypass.name("__builtin__", "set"),
    ]
)
REFUSED = st.sampled_from(
    [
        bypass.name("os", "system"),
        bypass.name("posix", "system"),
        bypass.name("builtins", "eval"),
        bypass.name("__builtin__", "eval"),
        bypass.name("argparse", "Namespace"),
        bypass.name("a.b", "c.d"),
        bypass.name("builtinsx", "y"),
        bypass.name("torch.distributed.tensor", "DTensor"),
        bypass.name("torch.nested._internal.nested_tensor", "NestedTensor"),
    ]
)
UNKNOWN = st.sampled_from([b"\x8c\x01a", b"I1\n", b"F1.5\n", b"C\x01a", b"\x94", b"(I1\nl", b"0N"])
STOP = b"."


def _extended(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    several = st.lists(values, max_size=3).map(b"".join)
    return st.one_of(
        st.tuples(several).map(lambda parts: b"(" + parts[0] + b"t"),
        st.tuples(values).map(lambda parts: parts[0] + b"\x85"),
        st.tuples(values, values).map(lambda parts: parts[0] + parts[1] + b"\x86"),
        st.tuples(values).map(lambda parts: b"]" + parts[0] + b"a"),
        st.tuples(several).map(lambda parts: b"](" + parts[0] + b"e"),
        st.tuples(values).map(lambda parts: b"}" + bypass.text("k") + parts[0] + b"s"),
        st.tuples(values, values).map(lambda parts: b"}" + b"".join(parts) + b"s"),
        st.tuples(values).map(lambda parts: bypass.name("collections", "OrderedDict") + b")R"
                              + bypass.text("k") + parts[0] + b"s"),
        st.tuples(values, values).map(lambda parts: b"".join(parts) + b"a"),
        st.tuples(values, values).map(lambda parts: b"".join(parts) + b"b"),
        st.tuples(values).map(lambda parts: parts[0] + b")R"),
        st.tuples(values).map(lambda parts: parts[0] + b")\x81"),
        st.tuples(values).map(lambda parts: parts[0] + b"Q"),
        st.tuples(values).map(lambda parts: parts[0] + b"q\x01h\x01\x86"),
        st.tuples(values).map(lambda parts: parts[0] + bypass.text("k") + b"Ns"),
    )  # fmt: skip


def streams() -> st.SearchStrategy[bytes]:
    leaves = st.one_of(LEAVES, LEAVES, ALLOWED, REFUSED, UNKNOWN)
    return st.recursive(leaves, _extended, max_leaves=8).map(lambda body: b"\x80\x02" + body + STOP)


@given(streams())
def test_streams_of_a_grammar(stream: bytes) -> None:
    """Refusals have torch's own words; what torch's functions raise is not foreseen."""
    agree(stream)


def agree(stream: bytes) -> str:
    """Compare, and say how it went: ``loads``, ``refused`` or ``raised``."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pth"
        path.write_bytes(bypass.in_zip(stream))
        verdict = examined(path).weights_only
        loads, kind, message = of_torch(path)
    if loads:
        assert verdict.loads is True, (stream, verdict)
        return "loads"
    if kind is pickle.UnpicklingError:
        assert verdict.loads is False, (stream, message)
        said, ours = words(message), words(verdict.message)
        if "unrecognized function" in said or "Can only create new object" in said:
            # Behind it stands the repr of an object that there is only in torch.
            assert ours[:40] == said[:40], stream
        else:
            assert ours == said, stream
        return "refused"
    return "raised"


def test_lines_that_help(tmp_path: Path) -> None:
    """The lines of the verdict are run; the file loads then, and only then."""
    helped = 0
    for title, make in VALUES.items():
        if title == "an object of one's own":
            continue
        path = tmp_path / "x.pth"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save(make(), path)
        verdict = examined(path).weights_only
        if not verdict.lines:
            continue
        helped += 1
        try:
            exec("\n".join(verdict.lines), {})
            loads, _, message = of_torch(path, anew=False)
            assert loads, (title, message)
        finally:
            torch.serialization.clear_safe_globals()
        assert not of_torch(path)[0]
    assert helped >= 6


def test_a_python2_text(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(bypass.in_zip(b"\x80\x02U\x02\xff\xfe."))
    assert_agrees(path)
    assert examined(path).weights_only.message.startswith("'utf-8' codec can't decode")


def test_headers_of_legacy_files(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    for content in (
        bypass.legacy(b"\x80\x02}.").replace(pickle.dumps(1001, 2), pickle.dumps(1002, 2)),
        b"\x80\x02K\x05." + bypass.legacy(b"\x80\x02}."),
        pickle.dumps({"a": 1}, 2),
        pickle.dumps({"a": 1}, 4),
    ):
        path.write_bytes(content)
        assert_agrees(path)


def test_a_missing_storage(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(3)}, buffer)
    with zipfile.ZipFile(buffer) as whole, zipfile.ZipFile(path, "w") as cut:
        for entry in whole.infolist():
            if not entry.filename.endswith("data/0"):
                cut.writestr(entry.filename, whole.read(entry))
    assert_agrees(path)


_MARKED = [
    ".data/serialization_id",
    "version",
    ".format_version",
    "byteorder",
    ".storage_alignment",
    "data.pkl",
]


@pytest.mark.parametrize("marked", [*zip(_MARKED), *itertools.pairwise(_MARKED)])
@pytest.mark.parametrize("named", ["os.system", "nothing"])
def test_records_that_are_marked_as_encrypted(
    tmp_path: Path, marked: tuple[str, ...], named: str
) -> None:
    """torch gives up at the mark, before it sees what the pickle names."""
    path = tmp_path / "x.pth"
    records = {
        "data.pkl": bypass.INNER if named == "os.system" else bypass.whole(bypass.WEIGHTS),
        ".format_version": b"1",
        ".storage_alignment": b"64",
        "byteorder": b"little",
        "version": b"3\n",
        ".data/serialization_id": b"0" * 40,
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in records.items():
            archive.writestr(f"x/{name}", data)
    content = bytearray(path.read_bytes())
    for name in marked:
        entry = content.rindex(f"x/{name}".encode()) - 46
        assert content[entry : entry + 4] == b"PK\x01\x02"
        content[entry + 8] |= 1
    path.write_bytes(content)
    verdict = examined(path).weights_only
    loads, kind, message = of_torch(path)
    assert verdict.loads is loads is False
    assert kind is RuntimeError
    assert "unsupported encryption" in verdict.message
    assert message.startswith(verdict.message)


def test_bytes_that_are_encrypted(tmp_path: Path) -> None:
    """Nothing of such a file can be shown."""
    path = tmp_path / "x.pth"
    path.write_bytes(dict(hostile.ways())["encrypted"].content)
    verdict = examined(path).weights_only
    assert verdict.message
    assert of_torch(path)[2].startswith(verdict.message)
