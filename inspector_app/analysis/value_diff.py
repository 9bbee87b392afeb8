"""What differs outside tensors: epochs, learning rates, hyper-parameters, versions.

Two trees are walked side by side without recursion. Scalars are compared, containers never:
what a file made is not asked whether it equals something. An entry that one file lacks is a
difference where both have what it belongs to; a whole part that only one file has is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from math import isnan
from typing import Any, NamedTuple

from inspector_app.analysis.comparison import ABSENT, ValueDifference, Words
from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.state_dict_keys import METADATA
from inspector_app.checkpoint.model import ArrayInfo, Kind, Node, PathElement, Progress
from inspector_app.checkpoint.pickle_nodes import BytesPlace

# Module.get_extra_state() may return anything; without it load_state_dict raises.
EXTRA_STATE = "_extra_state"
_SLICE = 2_000
_WIDE = 50_000
_SCALARS = (bool, int, float, str, bytes, complex, type(None))
_CONTAINERS = (Kind.MAPPING, Kind.SEQUENCE, Kind.OBJECT, Kind.MODULE)
_SETS = ("set", "frozenset")
# A longer list is a history or a table: one difference, not one for each place.
_SHORT = 16
_NAMED_ITEMS = 8
_LONGEST_TEXT = 2_000
_PRINTABLE_BITS = 2_000


class Walk(NamedTuple):
    """Two nodes that are compared.

    Attributes:
        a, b: the nodes, whatever their own keys are.
        parts: entries are parts of a checkpoint or keys of a state_dict: what one lacks is
            no difference here, but for `EXTRA_STATE`.
        key_of_b: what an entry of B is called in A.
    """

    a: Node
    b: Node
    parts: bool = False
    key_of_b: Callable[[PathElement], PathElement] | None = None


class Findings(NamedTuple):
    """What a walk found.

    Attributes:
        differences: in A's order.
        only_in: entries below a walk with `parts` that one file lacks: ``a`` or ``b``, node.
        unknown: of A, values that are too large to be kept, of which nobody knows.
    """

    differences: list[ValueDifference]
    only_in: list[tuple[str, Node]]
    unknown: list[Node]


def comparing_values(
    walks: Iterable[Walk], apart: set[Node]
) -> Generator[Progress, None, Findings]:
    """Compare what lies below each pair of nodes, but for tensors.

    Args:
        walks: where to begin.
        apart: nodes that have a walk of their own, or none: they are left out of others.
    """
    found = Findings([], [], [])
    todo = list(walks)[::-1]
    seen = 0
    while todo:
        walk = todo.pop()
        below = _compare(walk, found)
        if below is None:
            below = _entries(walk, (yield from _others(walk)), apart, found)
        todo.extend(reversed(below))
        seen += 1 + len(below)
        if seen >= _SLICE:
            seen = 0
            yield Progress("values", len(found.differences))
    return found


def _others(walk: Walk) -> Generator[Progress, None, tuple[list[Node], list[Node]]]:
    """The children of both that are no tensors: in a state_dict a few of a hundred thousand."""
    found: tuple[list[Node], list[Node]] = ([], [])
    for node, chosen in zip((walk.a, walk.b), found, strict=True):
        children = node.children
        for start in range(0, len(children), _WIDE):
            part = children[start : start + _WIDE]
            chosen += [child for child in part if child.kind != Kind.TENSOR]
            if len(part) == _WIDE:
                yield Progress("values", start)
    return found


def _compare(walk: Walk, found: Findings) -> list[Walk] | None:
    """Compare two nodes; None where the entries of both are to be compared."""
    a, b = walk.a, walk.b
    if a.kind not in _CONTAINERS or b.kind not in _CONTAINERS:
        _compare_leaves(a, b, found)
        return []
    if (a.kind == Kind.SEQUENCE) != (b.kind == Kind.SEQUENCE):
        found.differences.append(ValueDifference(a.path, shown(a), shown(b)))
        return []
    items, others = _plain_items(a), _plain_items(b)
    if items is not None and others is not None:
        _compare_items(a, b, items, others, found)
        return []
    if a.kind == b.kind == Kind.OBJECT and a.type_name != b.type_name:
        names = (Words(a.type_name), Words(b.type_name))
        found.differences.append(ValueDifference(a.path, *names))
    return None


def _entries(
    walk: Walk, children: tuple[list[Node], list[Node]], apart: set[Node], found: Findings
) -> list[Walk]:
    """Compare entries that are no tensors; those that both have are returned."""
    named: dict[PathElement, Node] = {}
    for child in children[1]:
        named.setdefault(child.key if walk.key_of_b is None else walk.key_of_b(child.key), child)
    below: list[Walk] = []
    # Where the other file has a tensor the pairs tell.
    of_a, of_b = (_keys_of_tensors(node) for node in (walk.a, walk.b))
    for child in children[0]:
        other = named.pop(child.key, None)
        if child in apart or other in apart:
            continue
        if other is None:
            if child.key not in of_b:
                _only_in("a", child, walk.parts, found)
        elif walk.parts and child.key == METADATA:
            below += _module_versions(child, other)
        else:
            below.append(Walk(child, other))
    for other in named.values():
        if other not in apart and other.key not in of_a:
            _only_in("b", other, walk.parts, found)
    return below


def _keys_of_tensors(node: Node) -> set[PathElement]:
    if len(node.children) > _WIDE:
        return set()  # a state_dict
    return {child.key for child in node.children if child.kind == Kind.TENSOR}


def _only_in(side: str, node: Node, parts: bool, found: Findings) -> None:
    if parts and not str(node.key).endswith(EXTRA_STATE):
        found.only_in.append((side, node))
    elif side == "a":
        found.differences.append(ValueDifference(node.path, shown(node), ABSENT))
    else:
        found.differences.append(ValueDifference(node.path, ABSENT, shown(node)))


def _module_versions(a: Node, b: Node) -> list[Walk]:
    """The modules' versions where both files have one: many ways to save lose them all."""
    named = {child.key: child for child in b.children}
    pairs = [(child, named[child.key]) for child in a.children if child.key in named]
    return [
        Walk(version, other)
        for child, twin in pairs
        for version in child.children
        for other in twin.children
        if version.key == other.key
    ]


def _compare_leaves(a: Node, b: Node, found: Findings) -> None:
    if a.kind == b.kind == Kind.SCALAR:
        one, two = a.value, b.value
        if type(one) in _SCALARS and type(two) in _SCALARS:
            if not same_scalar(one, two):
                found.differences.append(ValueDifference(a.path, _value(one), _value(two)))
            return
    if a.kind == b.kind == Kind.ARRAY and isinstance(a.value, ArrayInfo):
        _compare_arrays(a, b, found)
        return
    one_text, two_text = shown(a), shown(b)
    if a.kind != b.kind or one_text != two_text:
        found.differences.append(ValueDifference(a.path, one_text, two_text))
    elif isinstance(a.value, BytesPlace) or a.kind == Kind.STORAGE:
        found.unknown.append(a)


def _compare_arrays(a: Node, b: Node, found: Findings) -> None:
    one, two = a.value, b.value
    if (one.shape, one.dtype) != (two.shape, two.dtype):
        found.differences.append(ValueDifference(a.path, shown(a), shown(b)))
    elif one.data is None or two.data is None or one.fortran != two.fortran:
        found.unknown.append(a)
    elif one.data != two.data:
        texts = (Words(f"{shown(a)}, {side}'s values") for side in "AB")
        found.differences.append(ValueDifference(a.path, *texts))


def _plain_items(node: Node) -> Sequence[Any] | None:
    """The items of a sequence that has nothing but scalars, else None."""
    if node.kind != Kind.SEQUENCE:
        return None
    if isinstance(node.value, (list, tuple)):
        return node.value
    values = [child.value for child in node.children if child.kind == Kind.SCALAR]
    if len(values) < len(node.children) or any(type(value) not in _SCALARS for value in values):
        return None
    return values


def _compare_items(
    a: Node, b: Node, items: Sequence[Any], others: Sequence[Any], found: Findings
) -> None:
    if a.type_name in _SETS and b.type_name in _SETS:
        alike = _counted(items) == _counted(others)
        differing = []
    else:
        differing = [
            index
            for index, (one, two) in enumerate(zip(items, others, strict=False))
            if not same_scalar(one, two)
        ]
        alike = not differing and len(items) == len(others)
        if len(items) == len(others) <= _SHORT:
            for index in differing:
                path = (*a.path, index)
                pair = (_value(items[index]), _value(others[index]))
                found.differences.append(ValueDifference(path, *pair))
            return
    if not alike:
        texts = [_items_text(each, differing[:1]) for each in (items, others)]
        found.differences.append(ValueDifference(a.path, *texts))


def _counted(items: Sequence[Any]) -> Counter[tuple[str, Any]]:
    return Counter((type(item).__name__, item) for item in items)


def same_scalar(a: Any, b: Any) -> bool:
    """Whether two scalars are the same: 1 and 1.0 are, 1 and True are not, NaN and NaN are."""
    if type(a) is not type(b) and {type(a), type(b)} != {int, float}:
        return False
    return bool(a == b) or (type(a) is float and isnan(a) and isnan(b))


def shown(node: Node) -> Any:
    """What stands for a node in a difference: its value if that is a short scalar, else words."""
    if node.kind == Kind.SCALAR and type(node.value) in _SCALARS:
        return _value(node.value)
    if isinstance(node.value, BytesPlace):
        return Words(f"{node.value.kind} of {count_text(node.value.nbytes)} bytes")
    if node.kind == Kind.ARRAY and isinstance(node.value, ArrayInfo):
        sizes = ", ".join(map(count_text, node.value.shape[:_NAMED_ITEMS]))
        return Words(f"array [{sizes}] {node.value.dtype}")
    if node.kind == Kind.STORAGE:
        return Words(f"storage of {count_text(node.value.nbytes)} bytes, {node.type_name}")
    items = _plain_items(node)
    if items is not None:
        return _items_text(items)
    if node.kind in _CONTAINERS:
        return Words(f"{node.type_name} of {len(node.children):,}")
    if isinstance(node.value, str):
        return Words(_value(node.value))
    return Words(node.type_name or node.kind)


def _value(value: Any) -> Any:
    """A scalar as a difference has it: None, bool, int, float or text."""
    if type(value) is int and value.bit_length() > _PRINTABLE_BITS:
        return Words(count_text(value))
    if isinstance(value, (bytes, complex)):
        return Words(repr(value[:_LONGEST_TEXT] if isinstance(value, bytes) else value))
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]}… ({len(value):,} characters)"
    return value


def _items_text(items: Sequence[Any], first: Sequence[int] = ()) -> Words:
    """A list in words: its first items, or those from `first` on, and how many there are."""
    start = max(0, first[0] - 1) if first and first[0] >= _NAMED_ITEMS else 0
    named = [_short(item) for item in items[start : start + _NAMED_ITEMS]]
    if start:
        named.insert(0, "…")
    if start + _NAMED_ITEMS < len(items):
        named.append("…")
        return Words(f"[{', '.join(named)}] ({len(items):,})")
    return Words(f"[{', '.join(named)}]")


def _short(item: Any) -> str:
    value = _value(item)
    text = repr(value[:60]) if isinstance(value, str) else str(value)
    return text
