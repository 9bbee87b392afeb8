"""The safetensors format: a length, a JSON header, the tensors' bytes.

Source: https://github.com/huggingface/safetensors, README ("Format") and
``safetensors/src/tensor.rs`` (the dtype codes, and what its `validate` refuses). A file is

- 8 bytes, N, an unsigned little-endian 64-bit integer;
- N bytes of JSON, ``{"name": {"dtype": …, "shape": […], "data_offsets": [begin, end]}}``
  with offsets from the end of the header, and a special key ``__metadata__`` that maps
  strings to strings;
- the bytes of all tensors, without holes.

The tree is flat, a tensor a key, in the order of the JSON (the library's `keys()` sorts
them). ``__metadata__``, which no tensor can be called, comes last. What the library
would refuse is a `Problem`; the rest stays usable.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Generator, Iterator, Mapping

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, LimitExceeded, Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import (
    PLAIN,
    Checkpoint,
    Kind,
    Node,
    Progress,
    Record,
    StorageRef,
    TensorInfo,
)
from inspector_app.checkpoint.safetensors_header import (
    METADATA,
    Entry,
    HeaderScanner,
    Metadata,
    OddEntry,
)
from inspector_app.checkpoint.safetensors_views import View, describe
from inspector_app.checkpoint.sections import model_section

_LENGTH_BYTES = 8
_READ_BYTES = 1 << 16
# MAX_HEADER_SIZE of the library.
_LIBRARY_HEADER_BYTES = 100_000_000
# A claim above this is some other file that happens to have a brace at its ninth byte.
_SANE_HEADER_BYTES = 1 << 32
_SPACE = b" \t\n\r"
_STEP = 2_000
_SHOWN = 200
_MOST_VIEWS = 10_000
_MOST_PROBLEMS = 1_000
_MOST_ODD = 100_000


def recognise(source: ByteSource) -> bool:
    """Whether `source` starts as a safetensors file does, be it truncated."""
    head = source.read(0, _LENGTH_BYTES + 256)
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if not 2 <= length < _SANE_HEADER_BYTES:
        return False
    text = head[_LENGTH_BYTES:][:length].lstrip(_SPACE)
    return text[:1] == b"{" and text[1:].lstrip(_SPACE)[:1] in (b'"', b"}", b"")


def read(source: ByteSource, limits: Limits) -> Generator[Progress, None, Checkpoint]:
    """The structure of the safetensors file `source`.

    Raises:
        BrokenFile: not one entry of the header can be read.
        LimitExceeded: the header is longer than `limits.json_bytes`.
        UnreadableFile: the operating system reports an error.
    """
    header_bytes = int.from_bytes(source.read(0, _LENGTH_BYTES), "little")
    if header_bytes > limits.json_bytes:
        raise LimitExceeded(
            "limit", source.path, what="the header's length", limit=limits.json_bytes
        )
    reader = _Reader(source, _LENGTH_BYTES + header_bytes, limits)
    reader.check_length(header_bytes)
    yield from reader.read_entries(header_bytes)
    yield from reader.check_layout()
    return reader.checkpoint()


class _Reader:
    """One reading. `nodes` is in the header's order, of equal names only the last."""

    def __init__(self, source: ByteSource, data_start: int, limits: Limits) -> None:
        self.source = source
        self.data_start = data_start
        self.data_bytes = source.size - data_start
        self.limits = limits
        self.problems: list[Problem] = []
        self.nodes: dict[str, Node] = {}
        self.metadata: dict[str, str] = {}
        self.root = Node("", Kind.MAPPING, "dict")
        self.storages: dict[tuple[str, str], StorageRef] = {}
        # By dtype and shape as the header writes them; `views` has those without a fault.
        self.views: dict[str, View] = {}
        self.unusual_views: dict[str, View | str] = {}
        # The end of the latest tensor, and whether each began where the one before ended.
        self.covered = 0
        self.in_order = True
        self.odd = 0
        self.beyond: list[str] = []

    def check_length(self, header_bytes: int) -> None:
        if header_bytes > _LIBRARY_HEADER_BYTES:
            reason = f"the safetensors library refuses headers over {_LIBRARY_HEADER_BYTES} bytes"
            self.report("bad-header", reason=reason)
        if self.data_bytes < 0:
            self.report("truncated", reason=f"{-self.data_bytes} bytes of the header are missing")

    def header_pieces(self) -> Iterator[str]:
        source = self.source
        end = min(self.data_start, source.size)
        decoder = getincrementaldecoder("utf-8")()
        for offset in range(_LENGTH_BYTES, end, _READ_BYTES):
            data = source.read(offset, min(_READ_BYTES, end - offset))
            state = decoder.getstate()
            try:
                text = decoder.decode(data, offset + _READ_BYTES >= end)
            except UnicodeDecodeError as error:
                place = offset - len(state[0]) + error.start
                self.report("bad-header", reason=f"the header is no UTF-8 at byte {place}")
                decoder = getincrementaldecoder("utf-8")("replace")
                decoder.setstate(state)
                text = decoder.decode(data, offset + _READ_BYTES >= end)
            yield text

    def read_entries(self, header_bytes: int) -> Generator[Progress, None, None]:
        scanner = HeaderScanner(self.header_pieces())
        yield Progress("tensors", 0, header_bytes)
        for member in scanner.members():
            if isinstance(member, list):
                self.add_tensors(member)
            elif isinstance(member, OddEntry):
                self.add_odd(member.key, member.reason, member.text)
            elif isinstance(member, Metadata):
                self.metadata = dict(member.pairs)
            else:
                self.report("bad-header", member.key, reason=member.reason)
            yield Progress("tensors", scanner.position, header_bytes)
            if len(self.nodes) > self.limits.tensors or self.odd > _MOST_ODD:
                limit = _MOST_ODD if self.odd > _MOST_ODD else self.limits.tensors
                self.problems.append(Problem("tree-limit", "", {"limit": limit}))
                return
        if scanner.fault:
            if not self.nodes and not self.metadata:
                reason = f"the header's JSON: {scanner.fault}"
                raise BrokenFile("broken", self.source.path, reason=reason)
            if self.data_bytes >= 0:
                self.report("bad-json", reason=scanner.fault)

    def add_tensors(self, run: list[Entry]) -> None:
        # The one loop that a million tensors go through: what is right in every way is
        # made here, anything else by the methods below.
        nodes = self.nodes
        storages = self.storages
        views = self.views
        root = self.root
        data_start = self.data_start
        data_bytes = self.data_bytes
        covered = self.covered
        for entry in run:
            key, description, begin_text, end_text, _ = entry
            view = views.get(description)
            end = int(end_text)
            if (
                view is None
                or end > data_bytes
                or int(begin_text) != covered
                or covered + view.nbytes != end
                or key in nodes
            ):
                self.covered = covered
                self.add_unusual(entry)
                covered = self.covered
                continue
            record = Record("", data_start + covered, view.nbytes)
            storage = storages["", key] = StorageRef(key, view.nbytes, "cpu", "", record)
            nodes[key] = TensorInfo(
                key, view.dtype, view.shape, view.stride, storage, 0, "cpu", False, root
            )
            covered = end
        self.covered = covered

    def add_unusual(self, entry: Entry) -> None:
        key, description, begin_text, end_text, _ = entry
        view = self.view(description)
        if isinstance(view, str):
            self.add_odd(key, view, description)
            return
        begin = int(begin_text)
        end = int(end_text)
        nbytes = end - begin
        record: Record | None = None
        if nbytes < 0:
            nbytes = 0
            self.in_order = False
            self.report("bad-tensor", key, what="its data_offsets end before they begin")
        elif end > self.data_bytes:
            self.beyond.append(key)
        else:
            record = Record("", self.data_start + begin, nbytes)
        if begin != self.covered:
            self.in_order = False
        self.covered = end
        if view.fault:
            fault, details = view.fault
            self.report(fault, key, **details)
        elif nbytes != view.nbytes:
            self.report("storage-size", key, expected=view.nbytes, found=nbytes)
        storage = StorageRef(key, nbytes, "cpu", "", record)
        tensor = TensorInfo(
            key, view.dtype, view.shape, view.stride, storage, 0, "cpu", False, self.root
        )
        tensor.details = view.details
        self.add(key, tensor)
        self.storages["", key] = storage

    def view(self, description: str) -> View | str:
        view = self.unusual_views.get(description)
        if view is None:
            if len(self.unusual_views) >= _MOST_VIEWS:
                self.unusual_views.clear()
                self.views.clear()
            view = self.unusual_views[description] = describe(description)
            if not isinstance(view, str) and view.fault is None and view.details is PLAIN:
                self.views[description] = view
        return view

    def add_odd(self, key: str, reason: str, text: str) -> None:
        self.odd += 1
        self.add(key, Node(key, Kind.SCALAR, "str", text[:_SHOWN], self.root))
        self.storages.pop(("", key), None)
        self.report("bad-tensor", key, what=reason)

    def add(self, key: str, node: Node) -> None:
        if key in self.nodes:
            # The last one counts, at its place.
            del self.nodes[key]
            self.in_order = False
            self.report("duplicate-key", key)
        self.nodes[key] = node

    def check_layout(self) -> Generator[Progress, None, None]:
        """Report what leaves bytes of the file unowned, owned twice or missing."""
        if self.beyond:
            self.report(
                "truncated",
                self.beyond[0],
                reason=f"{len(self.beyond)} of {len(self.nodes)} tensors lie beyond its end",
            )
        if not self.in_order:
            yield from self.check_order()
        if 0 <= self.covered < self.data_bytes:
            self.report("trailing-bytes", count=self.data_bytes - self.covered)

    def check_order(self) -> Generator[Progress, None, None]:
        """The same as the library: sorted by offset, each begins where the last one ended."""
        starts: list[tuple[int, int, str]] = []
        for tensor in self.tensors():
            if tensor.storage is not None and tensor.storage.record is not None:
                record = tensor.storage.record
                starts.append((record.offset, record.offset + record.nbytes, str(tensor.key)))
                if len(starts) % (_STEP) == 0:
                    yield Progress("layout", len(starts), len(self.nodes))
        starts.sort()
        covered = self.data_start
        before = ""
        for number, (begin, end, key) in enumerate(starts):
            if begin > covered:
                reason = f"{begin - covered} bytes before this tensor belong to none"
                self.report("bad-header", key, reason=reason)
            elif begin < covered:
                self.report("bad-tensor", key, what=f"its bytes overlap those of {before}")
            if end >= covered:
                covered = end
                before = key
            if number % (_STEP) == 0:
                yield Progress("layout", number, len(starts))
        self.covered = covered - self.data_start

    def report(self, code: str, where: str = "", **details: object) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(Problem(code, where, details))
        elif len(self.problems) == _MOST_PROBLEMS:
            self.problems.append(Problem("more-problems", "", {"limit": _MOST_PROBLEMS}))

    def tensors(self) -> list[TensorInfo]:
        return [node for node in self.nodes.values() if isinstance(node, TensorInfo)]

    def checkpoint(self) -> Checkpoint:
        children = list(self.nodes.values())
        if self.metadata:
            children.append(metadata_node(self.metadata, self.root))
        self.root.children = children
        tensors = self.tensors()
        return Checkpoint(
            path=self.source.path,
            format="safetensors",
            file_bytes=self.source.size,
            root=self.root,
            tensors=tensors,
            sections=model_section(self.root),
            problems=self.problems,
            metadata=self.metadata,
            storages=self.storages,
            files=[self.source.path],
            modified_ns=self.source.modified_ns,
        )


def metadata_node(metadata: Mapping[str, str], parent: Node) -> Node:
    """The ``__metadata__`` of the tree."""
    node = Node(METADATA, Kind.MAPPING, "dict", None, parent)
    node.children = [Node(key, Kind.SCALAR, "str", text, node) for key, text in metadata.items()]
    return node
