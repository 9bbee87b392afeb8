"""How a state_dict's flat keys become a tree: groups at the dots, repeated layers folded.

The dots belong to the key, and a file may put them anywhere: a dot with nothing before or
after it separates nothing, a key may be both a tensor and the beginning of others, and
below `MAX_NESTING` levels the rest of the key stays one label.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from operator import gt

from inspector_app.checkpoint.model import Kind, Node, Progress, TensorInfo

MAX_NESTING = 48
# Fewer equal layers are quicker to read than a row that stands for them.
FEWEST_FOLDED = 3
NODES_A_STEP = 1_000
# Comparing the layers of a model is linear; a file that is made to be slow stops here.
MOST_COMPARED = 20_000


class Branch:
    """A row to be that no file has.

    Attributes:
        label: the part of the keys that it stands for.
        start: where the labels of its entries begin in their keys.
        level: how many dots deep it is.
        entries: of a group: the nodes whose keys begin with it, in the file's order.
        members: of a fold: the layers, each a group or a node; None for a group.
    """

    __slots__ = ("entries", "label", "level", "members", "start")

    def __init__(self, label: str, start: int, level: int) -> None:
        self.label = label
        self.start = start
        self.level = level
        self.entries: list[Node] = []
        self.members: list[Node | Branch] | None = None


Items = Sequence[Node | Branch]
Splitting = Generator[Progress, None, Items]


def branches_of_node(node: Node) -> Splitting:
    """What is right below a node: its children, nested where it is a state_dict."""
    children = node.children
    if not children:
        return children
    if (yield from _is_state_dict(node)):
        return (yield from _split(children, 0, 0))
    if len(children) < FEWEST_FOLDED or _number(children[0], 0) is None:
        return children
    return (yield from _fold(list(children), 0, 0))


def branches_of_group(group: Branch) -> Splitting:
    """What is right below a group.

    A group whose entries agree in the next part of their keys too takes that part into its
    own label, as editors write ``a.b.c`` for folders that hold one folder each.
    """
    while True:
        if group.level >= MAX_NESTING:
            return group.entries
        items = yield from _split(group.entries, group.start, group.level)
        only = items[0]
        if len(items) > 1 or not isinstance(only, Branch) or only.members is not None:
            return items
        group.label = f"{group.label}.{only.label}"
        group.start = only.start
        group.level = only.level


def _is_state_dict(node: Node) -> Generator[Progress, None, bool]:
    """Whether the dots of its keys mean something: it, or what it holds, has tensors."""
    if node.kind not in {Kind.MAPPING, Kind.MODULE, Kind.OBJECT}:
        return False
    for count, child in enumerate(node.children):
        if count % NODES_A_STEP == NODES_A_STEP - 1:
            yield Progress("tree", count)
        if (
            type(child.key) is str
            and "." in child.key
            and (
                isinstance(child, TensorInfo)
                # The state of an optimizer by parameter name: tensors one level deeper.
                or any(isinstance(part, TensorInfo) for part in child.children[:16])
            )
        ):
            return True
    return False


def _split(entries: Sequence[Node], start: int, level: int) -> Splitting:
    """Group `entries` by the part of their keys from `start` up to the next dot.

    What nothing else shares its part with stays a node, whose label is the rest of its key.
    """
    items: list[Node | Branch] = []
    places: dict[str, int] = {}
    # Most keys belong to the same group as the one before.
    prefix = ""
    add_to_last = items.append
    for count, node in enumerate(entries):
        if count % NODES_A_STEP == NODES_A_STEP - 1:
            yield Progress("tree", count)
        key = node.key
        if type(key) is str:
            if prefix and key.startswith(prefix, start) and len(key) > start + len(prefix):
                add_to_last(node)
                continue
            end = key.find(".", start + 1)
            if 0 < end < len(key) - 1:
                label = key[start:end]
                place = places.setdefault(label, len(items))
                if place < len(items):
                    group = items[place]
                    if not isinstance(group, Branch):
                        first = group
                        group = items[place] = Branch(label, end + 1, level + 1)
                        group.entries.append(first)
                    group.entries.append(node)
                    prefix = f"{label}."
                    add_to_last = group.entries.append
                    continue
        items.append(node)
    if len(items) < FEWEST_FOLDED or not places:
        return items
    numbered = yield from _order_layers(items, start)
    return (yield from _fold(items, start, level)) if numbered else items


def _order_layers(items: list[Node | Branch], start: int) -> Generator[Progress, None, bool]:
    """Put numbered layers into the order of their numbers: safetensors has 0, 1, 10, 11, 2.

    Returns whether there are enough of them to fold.
    """
    numbers: list[int] = []
    places: list[int] = []
    for place, item in enumerate(items):
        if place % NODES_A_STEP == NODES_A_STEP - 1:
            yield Progress("tree", place)
        number = _number(item, start)
        if number is not None:
            numbers.append(number)
            places.append(place)
    # Of many, sorting in one go would take too long; a file that has them in order needs none.
    if len(places) <= MOST_COMPARED and any(map(gt, numbers, numbers[1:])):
        layers = [items[place] for place in places]
        order = sorted(range(len(places)), key=numbers.__getitem__)
        for place, which in zip(places, order, strict=True):
            items[place] = layers[which]
    return len(places) >= FEWEST_FOLDED


def _decimal(text: str) -> int | None:
    if len(text) > 9 or not (text.isascii() and text.isdecimal()):
        return None
    return int(text) if text == "0" or text[0] != "0" else None


def _number(item: Node | Branch, start: int) -> int | None:
    if isinstance(item, Branch):
        return _decimal(item.label)
    key = item.key
    if type(key) is int:
        return key
    label = key[start : start + 11]
    if not "0" <= label[:1] <= "9":
        return None
    return _decimal(label[: label.find(".", 1)] if "." in label else label)


def _fold(items: list[Node | Branch], start: int, level: int) -> Splitting:
    """Replace runs of equal numbered layers by folds."""
    folded: list[Node | Branch] = []
    run: list[Node | Branch] = []
    last = 0
    for count, item in enumerate(items):
        if count % 32 == 31:
            yield Progress("tree", count)
        number = _number(item, start)
        if run and number == last + 1 and _equal_layers(run[-1], item, start):
            run.append(item)
        else:
            folded += _close(run, start, level)
            run = [] if number is None else [item]
            if number is None:
                folded.append(item)
        last = number if number is not None else 0
    return folded + _close(run, start, level)


def _close(run: list[Node | Branch], start: int, level: int) -> list[Node | Branch]:
    if len(run) < FEWEST_FOLDED:
        return run
    fold = Branch(f"{_number(run[0], start)} … {_number(run[-1], start)}", start, level)
    fold.members = run
    return [fold]


def _equal_layers(one: Node | Branch, other: Node | Branch, start: int) -> bool:
    """Both hold tensors, of the same names, shapes and dtypes."""
    if isinstance(one, Branch) and isinstance(other, Branch):
        ones, others = one.entries, other.entries
        one_start, other_start = one.start, other.start
        if not 0 < len(ones) == len(others) <= MOST_COMPARED:
            return False
    elif isinstance(one, Branch) or isinstance(other, Branch):
        return False
    else:
        ones, others = [one], [other]
        one_start, other_start = _after_number(one, start), _after_number(other, start)
    pairs = []
    tensors = 0
    for left, right in zip(ones, others, strict=True):
        one_key, other_key = left.key, right.key
        if type(one_key) is str and type(other_key) is str:
            if one_key[one_start:] != other_key[other_start:]:
                return False
        elif type(one_key) is not type(other_key):
            return False
        if left.children or not isinstance(left, TensorInfo) or not isinstance(right, TensorInfo):
            pairs.append((left, right))
        elif left.shape != right.shape or left.dtype != right.dtype or right.children:
            return False
        else:
            tensors += 1
    return _equal_nodes(pairs, tensors)


def _after_number(node: Node, start: int) -> int:
    return start + len(str(_number(node, start)))


def _equal_nodes(pairs: list[tuple[Node, Node]], tensors: int) -> bool:
    """The pairs are equal, and there are tensors among them or were `tensors` before."""
    compared = 0
    while pairs:
        one, other = pairs.pop()
        compared += 1
        if (
            compared > MOST_COMPARED
            or one.kind != other.kind
            or len(one.children) != len(other.children)
        ):
            return False
        if isinstance(one, TensorInfo) and isinstance(other, TensorInfo):
            if one.shape != other.shape or one.dtype != other.dtype:
                return False
            tensors += 1
        for left, right in zip(one.children, other.children, strict=True):
            if type(left.key) is not type(right.key) or left.key != right.key:
                return False
            pairs.append((left, right))
    return tensors > 0
