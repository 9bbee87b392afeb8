"""Compares the structure of two checkpoints, as loading B into A, without reading a value.

What the headers and the archives' checksums cannot tell stays *uncompared*: whoever wants to
know reads the bytes (`content`).
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Generator

from inspector_app.analysis.comparison import Comparison, KeyPair, Status
from inspector_app.analysis.key_mapping import NO_MAPPING, KeyMapping
from inspector_app.analysis.pair_status import checksums_count, verdict_of
from inspector_app.analysis.rename_detection import own_key
from inspector_app.analysis.section_match import (
    MODELS,
    Matched,
    Part,
    PartKey,
    Parts,
    key_text,
    match_parts,
)
from inspector_app.analysis.state_dict_keys import METADATA
from inspector_app.analysis.value_diff import Walk, comparing_values
from inspector_app.checkpoint import count_as_old
from inspector_app.checkpoint.model import Checkpoint, Node, PathElement, Progress, TensorInfo
from inspector_app.checkpoint.pickle_tree import MODULES

_SLICE = 1_000
_SCRIPT = "torchscript"
# Formats whose top level is whatever somebody put into a dictionary.
_PICKLED = ("torch-zip", "torch-legacy", "torch-tar", "pickle")


def comparing(
    a: Checkpoint, b: Checkpoint, mapping: KeyMapping = NO_MAPPING
) -> Generator[Progress, None, Comparison]:
    """Compare B with A in steps of a few milliseconds; the comparison is the return value."""
    # The collector would walk the growing pairs again and again, and finds nothing.
    collecting = gc.isenabled()
    gc.disable()
    try:
        comparison = Comparison(a, b)
        mine, theirs = Parts(a), Parts(b)
        yield from mine.sort(a.tensors)
        yield from theirs.sort(b.tensors)
        matched = match_parts(mine, theirs)
        for pair in matched:
            if pair.main:
                comparison.sections = (pair.a.path, pair.b.path)
        yield from _Pairing(comparison, mine, theirs, matched, mapping).steps()
        yield from _values(comparison, mine, theirs, matched, mapping)
        return comparison
    finally:
        if collecting:
            count_as_old()
            gc.enable()


def model_keys(comparison: Comparison) -> tuple[list[str], list[str]]:
    """The keys of the two models, as each file has them."""
    mine: list[str] = []
    theirs: list[str] = []
    for pair in comparison.pairs:
        for tensor, section, keys in (
            (pair.a, comparison.sections[0], mine),
            (pair.b, comparison.sections[1], theirs),
        ):
            if tensor is not None:
                keys += own_key(tensor, section)
    return mine, theirs


class _Side:
    """A part of B: which of its tensors a key means, and which were taken."""

    def __init__(self, match: Matched) -> None:
        self.match = match
        self.index: dict[PartKey, int] = {}
        self.keys: list[PartKey] = match.b.keys
        self.taken = bytearray(len(match.b.keys))
        self.outside = match.a.section is None and match.b.section is None
        self.collided: set[int] = set()
        self.renamed: set[int] = set()


class _Pairing:
    def __init__(
        self,
        comparison: Comparison,
        mine: Parts,
        theirs: Parts,
        matched: list[Matched],
        mapping: KeyMapping,
    ) -> None:
        self._comparison = comparison
        self._mine, self._theirs = mine, theirs
        self._mapping = mapping
        self._renames = mapping.renamed()
        self._checksums = checksums_count(comparison.a) and checksums_count(comparison.b)
        self._sides = {match.a: _Side(match) for match in matched}
        self._sides_of_b = {
            match.b: side for match, side in zip(matched, self._sides.values(), strict=True)
        }
        self._left_out: Counter[tuple[str, tuple[PathElement, ...]]] = Counter()

    def steps(self) -> Generator[Progress, None, None]:
        for side in self._sides.values():
            yield from self._index(side)
        total = len(self._comparison.a.tensors) + len(self._comparison.b.tensors)
        done = 0
        for runs, pair in ((self._mine.runs, self._pair), (self._theirs.runs, self._unexpected)):
            for part, places in runs:
                for start in range(0, len(places), _SLICE):
                    some = places[start : start + _SLICE]
                    pair(part, some)
                    done += len(some)
                    # A part may be a single tensor, and there may be thousands of them.
                    if len(some) == _SLICE or done % 16 == 0:
                        yield Progress("pairs", done, total)
        self._comparison.left_out += [
            (side, path, count) for (side, path), count in self._left_out.items()
        ]

    def _maps(self, part: Part) -> bool:
        return bool(self._mapping) and (part.kind in MODELS or part.section is None)

    def _index(self, side: _Side) -> Generator[Progress, None, None]:
        """Enter each tensor of a part of B under the key that it is matched by."""
        index = side.index
        keys = side.match.b.keys
        if not self._maps(side.match.b):
            for start in range(0, len(keys), 4 * _SLICE):
                stop = min(start + 4 * _SLICE, len(keys))
                index.update(zip(keys[start:stop], range(start, stop), strict=True))
                yield Progress("keys", stop, len(keys))
            return
        mapped: list[PartKey] = []
        for number, own in enumerate(keys):
            key = self._mapped(own, side, number)
            mapped.append(key)
            # Of keys that become equal the last counts, as in {new(key): value for …}.
            earlier = index.get(key)
            if earlier is not None:
                side.collided.add(earlier)
            index[key] = number
            if number % _SLICE == 0:
                yield Progress("keys", number, len(keys))
        side.keys = mapped

    def _mapped(self, own: PartKey, side: _Side, number: int) -> PartKey:
        wanted = self._renames.get(key_text(own))
        if wanted is not None:
            side.renamed.add(number)
            return wanted
        if isinstance(own, str):
            return self._mapping.b_key(own)
        if isinstance(own, tuple) and own and isinstance(own[0], str):
            return (self._mapping.b_key(own[0]), *own[1:])
        return own

    def _pair(self, part: Part, places: range) -> None:
        """The pairs of some tensors of A."""
        side = self._sides.get(part)
        if side is None:
            self._leave_out_part("a", part, places)
            return
        main, maps = side.match.main, self._maps(part) and bool(self._mapping.strip_a)
        index, taken, others = side.index, side.taken, side.match.b.tensors
        add, checksums, kind = self._comparison.pairs.append, self._checksums, part.kind
        for place in places:
            key, tensor = part.keys[place], part.tensors[place]
            if side.outside and self._leave_out("a", tensor):
                continue
            text = (key if type(key) is str else key_text(key)) if main else tensor.name
            number = index.get(_of_a(key, self._mapping) if maps else key)
            if number is None or taken[number]:
                add(KeyPair(text, kind, tensor, None, Status.MISSING))
                continue
            taken[number] = 1
            other = others[number]
            status, reasons, notes, evidence = verdict_of(tensor, other, checksums)
            if number in side.renamed:
                notes = (*notes, "renamed")
            add(KeyPair(text, kind, tensor, other, status, reasons, notes, evidence))

    def _unexpected(self, part: Part, places: range) -> None:
        """The pairs of those of some tensors of B that A has no key for."""
        side = self._sides_of_b.get(part)
        if side is None:
            self._leave_out_part("b", part, places)
            return
        for place in places:
            if side.taken[place]:
                continue
            tensor = part.tensors[place]
            if side.outside and self._leave_out("b", tensor):
                continue
            collides = place in side.collided
            key = part.keys[place] if collides else side.keys[place]
            text = key_text(key) if side.match.main else tensor.name
            notes = ("collides",) if collides else ()
            pair = KeyPair(text, part.kind, None, tensor, Status.UNEXPECTED, notes=notes)
            self._comparison.pairs.append(pair)

    def _leave_out_part(self, side: str, part: Part, places: range) -> None:
        """Count tensors of a part that the other file lacks."""
        if part.section is not None:
            self._left_out[side, part.path] += len(places)
        else:
            self._left_out.update((side, part.tensors[place].path[:1]) for place in places)

    def _leave_out(self, side: str, tensor: TensorInfo) -> bool:
        """Whether a tensor outside any section belongs to a part that the other file lacks."""
        other = self._comparison.b.root if side == "a" else self._comparison.a.root
        path = tensor.path
        if len(path) < 2 or any(child.key == path[0] for child in other.children):
            return False
        self._left_out[side, path[:1]] += 1
        return True


def _of_a(key: PartKey, mapping: KeyMapping) -> PartKey:
    """What a key of A is matched by; of a deeper tensor its first element is the key."""
    if isinstance(key, str):
        return mapping.a_key(key)
    if isinstance(key, tuple) and key and isinstance(key[0], str):
        return (mapping.a_key(key[0]), *key[1:])
    return key


def _values(
    comparison: Comparison,
    mine: Parts,
    theirs: Parts,
    matched: list[Matched],
    mapping: KeyMapping,
) -> Generator[Progress, None, None]:
    """Compare what is outside tensors."""

    def key_of_b(key: PathElement) -> PathElement:
        return mapping.b_key(key) if isinstance(key, str) and key != METADATA else key

    a_root, b_root = comparison.a.root, comparison.b.root
    walks = [Walk(a_root, b_root, parts=True)]
    for match in matched:
        a, b = match.a.node, match.b.node
        model = match.a.kind in MODELS or match.main
        renaming = key_of_b if model and mapping.rules + mapping.strip_b else None
        if (a, b) == (a_root, b_root):
            walks[0] = Walk(a, b, True, walks[0].key_of_b or renaming)
        else:
            walks.append(Walk(a, b, model, renaming))
    sections = [part.node for part in (*mine.sections, *theirs.sections)]
    apart = {node for node in sections if node.parent is not None}
    if (comparison.a.format == _SCRIPT) != (comparison.b.format == _SCRIPT):
        # What a compiled module keeps of its configuration is no difference of the model.
        nodes = [node for match in matched for node in (match.a.node, match.b.node)]
        apart |= {child for node in nodes for child in node.children[-1:] if child.key == MODULES}
    found = yield from comparing_values(walks, apart)
    comparison.values += found.differences
    comparison.not_compared += [node.path for node in found.unknown]
    known = {(side, path) for side, path, _ in comparison.left_out}
    if comparison.a.format in _PICKLED and comparison.b.format in _PICKLED:
        comparison.left_out += [
            (side, node.path, 0)
            for side, node in found.only_in
            if node.parent in (a_root, b_root)
            and not _is_of_the_format(node)
            and (side, node.path) not in known
        ]


def _is_of_the_format(node: Node) -> bool:
    """It is how a model or its state_dict was saved, and no part that somebody made."""
    return node.key in (METADATA, MODULES)
