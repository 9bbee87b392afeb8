"""Which missing key of A is an unexpected key of B under another name.

As git finds renamed files: first by equal content, where the checksums of the archives tell
it without reading a byte and the content occurs once in each file; then by a similar name,
where the shape is equal and no other key comes close. What is ambiguous is not guessed.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from inspector_app.analysis.comparison import Comparison, KeyPair, Status
from inspector_app.analysis.pair_status import Content, checksums_count, content_of
from inspector_app.checkpoint.model import Progress, TensorInfo, TreePath

if TYPE_CHECKING:
    from inspector_app.analysis.key_mapping import KeyMapping

_SIMILAR = 0.6
# Content says it already: the name has to choose among a few.
_CHOOSING = 0.3
# How far the best has to be ahead of the second best.
_AHEAD = 0.05
_MOST_PAIRS = 4_000  # of one bucket: more keys with one shape are ambiguous
# Of all: two files with as many other keys are two other models.
_MOST_COMPARED = 20_000
_LONGEST = 200
_SLICE = 100
_PAIRS_A_STEP = 1_000
# Less than this can be equal by chance, and so can what is nothing but zeros or ones.
_TELLING_BYTES = 64
_FILLED_BYTES = 1 << 20
_ONE = {
    "float64": b"\0\0\0\0\0\0\xf0\x3f",
    "float32": b"\0\0\x80\x3f",
    "float16": b"\0\x3c",
    "bfloat16": b"\x80\x3f",
    "int64": b"\1\0\0\0\0\0\0\0",
}
# Names that torch.nn gives to tensors: two of them never mean the same.
_LEAVES = frozenset(
    "weight bias running_mean running_var num_batches_tracked in_proj_weight in_proj_bias "
    "weight_g weight_v weight_ih_l0 weight_hh_l0 bias_ih_l0 bias_hh_l0 scale zero_point".split()
)
_NUMBER = re.compile(r"\d+")
_Steps: TypeAlias = Generator[Progress, None, None]


class RenameSuggestion(NamedTuple):
    """A key of A and the key of B that seems to be the same tensor.

    Attributes:
        a_key, b_key: as each file names it, within its model; `KeyMapping.renames` takes
            ``(b_key, a_key)``.
        evidence: ``content`` or ``name``.
        score: how similar the names are, from 0 to 1; 1 where equal content decides alone.
    """

    a_key: str
    b_key: str
    evidence: str
    score: float

    @property
    def rename(self) -> tuple[str, str]:
        """As `KeyMapping.with_renames` takes it."""
        return self.b_key, self.a_key


class _Key:
    """A key without a partner. Compared by identity, which is what is fast.

    Attributes:
        own: as its file has it.
        name: as it is matched, so that prefixes do not count as differences.
    """

    __slots__ = ("name", "own", "tensor")

    def __init__(self, own: str, tensor: TensorInfo, name: str) -> None:
        self.own = own
        self.tensor = tensor
        self.name = name


def suggesting_renames(
    comparison: Comparison, mapping: KeyMapping
) -> Generator[Progress, None, list[RenameSuggestion]]:
    """Find renames among the missing and unexpected keys of the two models, in A's order.

    Args:
        comparison: made with `mapping`.
    """
    missing, unexpected = yield from _without_partner(comparison, mapping)
    search = _Search(missing, unexpected)
    if missing and unexpected:
        if checksums_count(comparison.a) and checksums_count(comparison.b):
            yield from search.by_content(comparison.pairs)
        yield from search.by_name()
    order = {key.own: place for place, key in enumerate(missing)}
    return sorted(search.found, key=lambda each: order[each.a_key])


def _without_partner(
    comparison: Comparison, mapping: KeyMapping
) -> Generator[Progress, None, tuple[list[_Key], list[_Key]]]:
    """The missing and the unexpected keys of the two models."""
    a_section, b_section = comparison.sections
    missing: list[_Key] = []
    unexpected: list[_Key] = []
    for number, pair in enumerate(comparison.pairs):
        if number % _PAIRS_A_STEP == 0:
            yield Progress("renames", number, len(comparison.pairs))
        if pair.status == Status.MISSING and pair.a is not None:
            for own in own_key(pair.a, a_section):
                missing.append(_Key(own, pair.a, mapping.a_key(own)))
        elif pair.status == Status.UNEXPECTED and pair.b is not None:
            for own in own_key(pair.b, b_section):
                unexpected.append(_Key(own, pair.b, mapping.b_key(own)))
    return missing, unexpected


def own_key(tensor: TensorInfo, section: TreePath) -> Iterable[str]:
    """The key of a tensor within its section, as the file has it; nothing if it lies elsewhere."""
    path = tensor.path
    if path[: len(section)] == section:
        yield "/".join(map(str, path[len(section) :]))


class _Search:
    def __init__(self, missing: Sequence[_Key], unexpected: Sequence[_Key]) -> None:
        self.found: list[RenameSuggestion] = []
        self._missing = dict.fromkeys(missing)
        self._unexpected = dict.fromkeys(unexpected)
        self._compared = 0

    def _accept(self, a: _Key, b: _Key, evidence: str, score: float) -> None:
        self.found.append(RenameSuggestion(a.own, b.own, evidence, round(score, 3)))
        del self._missing[a], self._unexpected[b]

    def by_content(self, pairs: Sequence[KeyPair]) -> _Steps:
        """Take what has the same bytes, if they occur once, or if the names choose one."""
        mine = yield from _by(self._missing, lambda key: content_of(key.tensor))
        theirs = yield from _by(self._unexpected, lambda key: content_of(key.tensor))
        common = mine.keys() & theirs.keys()
        held = yield from _storages_with(common, pairs)
        for number, content in enumerate(mine):
            if number % _PAIRS_A_STEP == 0:
                yield Progress("renames", number, len(mine))
            if content not in common:
                continue
            ours, others = mine[content], theirs[content]
            alone = len(ours) == len(others) == 1 and max(held.get(content, (1, 1))) <= 1
            if alone and _tells(content):
                self._accept(ours[0], others[0], "content", 1.0)
            else:
                yield from self._choose(ours, others, "content", _CHOOSING)

    def by_name(self) -> _Steps:
        """Take what has a similar name and the same shape: first those with equal numbers in
        the name, which are layers' indices, then those whose other words differ."""
        yield from self._by_buckets(lambda key: (key.tensor.shape, _numbers(key.name)))
        yield from self._by_buckets(lambda key: key.tensor.shape, other_words=True)

    def _by_buckets(self, bucket: Callable[[_Key], Hashable], other_words: bool = False) -> _Steps:
        mine = yield from _by(self._missing, bucket)
        theirs = yield from _by(self._unexpected, bucket)
        for where, ours in mine.items():
            if where in theirs:
                yield from self._choose(ours, theirs[where], "name", _SIMILAR, other_words)

    def _choose(
        self,
        ours: Sequence[_Key],
        others: Sequence[_Key],
        evidence: str,
        least: float,
        other_words: bool = False,
    ) -> _Steps:
        """Take those of whom each is the other's best by name, clearly ahead of the next."""
        count = len(ours) * len(others)
        if count > _MOST_PAIRS or self._compared + count > _MOST_COMPARED:
            return
        best_of_a: dict[_Key, list[tuple[float, _Key]]] = defaultdict(list)
        best_of_b: dict[_Key, list[tuple[float, _Key]]] = defaultdict(list)
        for a in ours:
            for b in others:
                if other_words and _words(a.name) == _words(b.name):
                    score = 0.0  # another layer of the same kind
                else:
                    score = similarity(a.name, b.name)
                best_of_a[a].append((score, b))
                best_of_b[b].append((score, a))
                self._compared += 1
                if self._compared % _SLICE == 0:
                    yield Progress("renames", self._compared)
        for a in ours:
            score, best = _clear_best(best_of_a[a])
            if best is not None and score >= least and _clear_best(best_of_b[best])[1] is a:
                self._accept(a, best, evidence, score)


def _clear_best(scored: list[tuple[float, _Key]]) -> tuple[float, _Key | None]:
    ranked = sorted(scored, key=lambda each: -each[0])
    if len(ranked) > 1 and ranked[0][0] - ranked[1][0] < _AHEAD:
        return 0.0, None
    return ranked[0]


def _by(
    keys: Iterable[_Key], signature: Callable[[_Key], Hashable | None]
) -> Generator[Progress, None, dict[Hashable, list[_Key]]]:
    found: dict[Hashable, list[_Key]] = defaultdict(list)
    for number, key in enumerate(list(keys)):
        if number % _PAIRS_A_STEP == 0:
            yield Progress("renames", number)
        where = signature(key)
        if where is not None:
            found[where].append(key)
    return found


def _storages_with(
    contents: Iterable[Hashable], pairs: Sequence[KeyPair]
) -> Generator[Progress, None, dict[Hashable, tuple[int, int]]]:
    """How many storages of each file have each content: tied weights have one."""
    wanted = set(contents)
    storages: dict[Hashable, tuple[set[int], set[int]]] = {}
    for number, pair in enumerate(pairs):
        if number % _PAIRS_A_STEP == 0:
            yield Progress("renames", number, len(pairs))
        for side, tensor in enumerate((pair.a, pair.b)):
            content = None if tensor is None else content_of(tensor)
            if tensor is not None and content in wanted:
                storages.setdefault(content, (set(), set()))[side].add(id(tensor.storage))
    return {content: (len(a), len(b)) for content, (a, b) in storages.items()}


def _tells(content: Hashable) -> bool:
    """Whether equal bytes can hardly be an accident."""
    assert isinstance(content, Content)
    if content.nbytes < _TELLING_BYTES:
        return False
    if content.nbytes > _FILLED_BYTES:
        return True
    if content.crc32 == zlib.crc32(bytes(content.nbytes)):
        return False
    one = _ONE.get(content.dtype)
    return one is None or content.crc32 != zlib.crc32(one * (content.nbytes // len(one)))


def similarity(a: str, b: str) -> float:
    """How similar two keys are, from 0 to 1: the share of characters that they have in common
    in order (Ratcliff and Obershelp), less where the tensor itself is called otherwise."""
    a, b = a[-_LONGEST:], b[-_LONGEST:]
    leaf, other = a.rpartition(".")[2], b.rpartition(".")[2]
    factor = 1.0
    if leaf != other:
        if leaf in _LEAVES and other in _LEAVES:
            return 0.0
        if not (leaf.endswith(other) or other.endswith(leaf)):
            factor = 0.8
    return factor * SequenceMatcher(None, a, b, autojunk=False).ratio()


def _numbers(name: str) -> tuple[str, ...]:
    return tuple(_NUMBER.findall(name[-_LONGEST:]))


def _words(name: str) -> str:
    return _NUMBER.sub("#", name[-_LONGEST:])
