"""Comparisons to write reports of, made without files, and their pages taken apart."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser

from inspector_app.analysis.comparison import Comparison, Evidence, KeyPair, Metrics, Status
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, TensorInfo

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "</style></script><svg onload=alert(1)>",
    "--><!-- ]]>&lt;",
    "\u202egnp.exe\u2066",
    "x\x00\x1b[31m\r\n\t",
    "`|*_[a](javascript:alert(1)) ``` https://example.org",
    "k" * 5_000,
    "",
)


def tensor(key: str, shape: tuple[int, ...] = (2, 3), dtype: str = "float32") -> TensorInfo:
    return TensorInfo(key, dtype, shape, None, None, None)


def metrics(rel_l2: float | None, max_abs: float | None = 0.5) -> Metrics:
    return Metrics(6, max_abs, 0.1, rel_l2, 0.99, 3, 3, 1, 0, 0, 0)


def pair(key: str, status: str, change: float | None = None, part: str = "model") -> KeyPair:
    a = None if status == Status.UNEXPECTED else tensor(key)
    b = None if status == Status.MISSING else tensor(key)
    reasons: tuple[str, ...] = ()
    if status == Status.MISMATCHED:
        b, reasons = tensor(key, (4, 3)), ("shape",)
    measured = None if change is None else metrics(change)
    evidence = Evidence.HEADER if status == Status.MISMATCHED else Evidence.BYTES
    return KeyPair(key, part, a, b, status, reasons, (), evidence, measured)


def checkpoint(path: str, tensors: Iterable[TensorInfo | None]) -> Checkpoint:
    root = Node("", Kind.MAPPING, "dict")
    own = [each for each in tensors if each is not None]
    root.children = own
    return Checkpoint(path, "torch-zip", 1_000, root, own)


def comparison(pairs: list[KeyPair], path: str = "a.pth") -> Comparison:
    a = checkpoint(path, (each.a for each in pairs))
    b = checkpoint("b.pth", (each.b for each in pairs))
    return Comparison(a, b, pairs=pairs)


class Page(HTMLParser):
    """A page's elements; that each is closed where it must be is checked on the way."""

    VOID = frozenset({"meta", "input", "br", "img", "link", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        assert len(dict(attributes)) == len(attributes), tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.texts.setdefault(tag, []).append("")
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, tag
        assert self._open[-1] == tag, (self._open, tag)
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)
