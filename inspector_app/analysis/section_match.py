"""Which parts of two checkpoints belong together, and which tensors lie in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from typing import NamedTuple, TypeAlias

from inspector_app.checkpoint.model import (
    Checkpoint,
    Node,
    PathElement,
    Progress,
    Section,
    SectionKind,
    TensorInfo,
    TreePath,
)

# A tensor right in its section by its key, a deeper one by its path from there. The two are
# never equal, and neither are 1 and "1".
PartKey: TypeAlias = PathElement | TreePath
MODELS = (SectionKind.MODEL, SectionKind.EMA)
_SLICE = 4_000
_SAMPLE = 300
_CONSTANTS = ("constants",)
_MOST_MODELS = 8


class Part:
    """A section with its tensors, or (`section` is None) what lies in none.

    Attributes:
        node: the section's, or the root.
        keys: of the tensors, in the file's order.
    """

    def __init__(self, section: Section | None, node: Node) -> None:
        self.section = section
        self.node = node
        self.keys: list[PartKey] = []
        self.tensors: list[TensorInfo] = []

    @property
    def path(self) -> TreePath:
        return self.section.path if self.section else ()

    @property
    def kind(self) -> str:
        return self.section.kind if self.section else ""


class Parts:
    """The parts of one checkpoint.

    Attributes:
        outside: what lies in no section.
        sections: the others, in the order of `Checkpoint.sections`.
        runs: the tensors in the file's order: part, and first and last index there.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.outside = Part(None, checkpoint.root)
        self.sections: list[Part] = []
        self.runs: list[tuple[Part, range]] = []
        self._of_node: dict[Node, Part] = {}
        sections = list(checkpoint.sections)
        if checkpoint.format == "torchscript":
            # What compiled code refers to is no part of the module's state_dict.
            sections.append(Section(_CONSTANTS, ""))
        for section in sections:
            node = checkpoint.find(section.path)
            if node is not None and node not in self._of_node:
                part = self._of_node[node] = Part(section, node)
                self.sections.append(part)

    def sort(self, tensors: list[TensorInfo]) -> Generator[Progress, None, None]:
        """Put each tensor into the innermost section that it lies in."""
        above: dict[Node | None, tuple[Part, TreePath]] = {}
        # A generator's state is a section that is a single tensor.
        alone = {node for node in self._of_node if isinstance(node, TensorInfo)}
        part, first = self.outside, 0
        prefix: TreePath = ()
        last: object = self  # no tensor's parent
        for start in range(0, len(tensors), _SLICE):
            for tensor in tensors[start : start + _SLICE]:
                parent = tensor.parent
                if alone and tensor in alone:
                    self._end_run(part, first)
                    part, prefix = self._of_node[tensor], ()
                    first, last = 0, self
                    part.keys.append(())
                    part.tensors.append(tensor)
                    continue
                if parent is not last:
                    last = parent
                    found = above.get(parent)
                    if found is None:
                        found = above[parent] = self._above(parent)
                    if found[0] is not part:
                        self._end_run(part, first)
                        first = len(found[0].keys)
                    part, prefix = found
                part.keys.append((*prefix, tensor.key) if prefix else tensor.key)
                part.tensors.append(tensor)
            yield Progress("sections", start, len(tensors))
        self._end_run(part, first)

    def _end_run(self, part: Part, first: int) -> None:
        if len(part.keys) > first:
            self.runs.append((part, range(first, len(part.keys))))

    def _above(self, node: Node | None) -> tuple[Part, TreePath]:
        keys: list[PathElement] = []
        while node is not None and node not in self._of_node:
            if node.parent is not None:
                keys.append(node.key)
            node = node.parent
        part = self.outside if node is None else self._of_node[node]
        return part, tuple(reversed(keys))


class Matched(NamedTuple):
    """Two parts that belong together; `main` are the two models that are compared."""

    a: Part
    b: Part
    main: bool


def key_text(key: PartKey) -> str:
    """A key as it is shown and mapped."""
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)


def match_parts(a: Parts, b: Parts) -> list[Matched]:
    """The parts of A with those of B, the two models first.

    Sections belong together that have one path and one kind; what is left, by kind, where
    both files have equally many of it. What lies outside any section comes last, where both
    files have room for it.
    """
    main = _models(a, b)
    pairs = [Matched(*main, main=True)] if main else []
    mine = [part for part in a.sections if not main or part is not main[0]]
    theirs = [part for part in b.sections if not main or part is not main[1]]
    by_path = {(part.path, part.kind): part for part in theirs}
    left: list[Part] = []
    for part in mine:
        other = by_path.pop((part.path, part.kind), None)
        if other is None:
            left.append(part)
        else:
            pairs.append(Matched(part, other, False))
    rest: dict[str, tuple[list[Part], list[Part]]] = defaultdict(lambda: ([], []))
    for part in left:
        rest[part.kind][0].append(part)
    for part in by_path.values():
        rest[part.kind][1].append(part)
    for ours, others in rest.values():
        if len(ours) == len(others):
            pairs += [Matched(one, two, False) for one, two in zip(ours, others, strict=True)]
    # A bare state_dict has no place for what somebody put beside a model.
    if not main or (main[0].path and main[1].path):
        pairs.append(Matched(a.outside, b.outside, not main))
    return pairs


def _models(a: Parts, b: Parts) -> tuple[Part, Part] | None:
    """The two parts that are compared as the models, or None where neither file has one."""
    mine, theirs = _candidates(a), _candidates(b)
    if not mine and not theirs:
        return None
    mine, theirs = mine or [a.outside], theirs or [b.outside]
    if len(mine) == len(theirs) == 1:
        return mine[0], theirs[0]
    # Of several models the two whose keys agree best; then one path, then the file's order.
    best, most = (mine[0], theirs[0]), (-1, False)
    for one in mine:
        keys = {_bare(key) for key in one.keys}
        for two in theirs:
            step = max(1, len(two.keys) // _SAMPLE)
            sampled = two.keys[::step]
            common = sum(_bare(key) in keys for key in sampled)
            score = (20 * common // max(len(sampled), 1), one.path == two.path)
            if score > most:
                best, most = (one, two), score
    return best


def _candidates(parts: Parts) -> list[Part]:
    """Sections that may be the model: averages only where there is nothing else."""
    for kind in MODELS:
        found = [part for part in parts.sections if part.kind == kind and part.tensors]
        if found:
            return found[:_MOST_MODELS]
    return []


def _bare(key: PartKey) -> str:
    """The end of a key, which prefixes leave alone."""
    return ".".join(key_text(key)[-400:].rsplit(".", 3)[-3:])
