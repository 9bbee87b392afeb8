"""Which parameter of a model each number in an optimizer's state stands for.

``Optimizer.state_dict()`` numbers its parameters in the order in which they were given and
keeps no names, unless ``named_parameters()`` was given (``param_names``, torch 2.6). What
the numbers mean follows from

- the names, where they are there;
- the shapes of what is kept for a parameter, where the model has one of that shape;
- the order: each param group has its parameters in the model's own order, as
  ``model.parameters()`` and every loop over ``named_parameters()`` give them.

Frozen parameters may be left out of any group, so that there may be several ways to place a
group in the model. Every way is considered: a number has a name only where all of them agree,
else it is ambiguous and has its candidates. Where no order fits the shapes alone decide.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Sequence
from typing import NamedTuple

Shape = tuple[int, ...]

# Of more candidates only how many there are is said.
NAMED_CANDIDATES = 16
_ROUNDS = 4
_SLICE = 1_000


class How:
    """What decides a name."""

    GIVEN = "given"  # the file has it
    SHAPE = "shape"  # no other parameter has the shape
    ORDER = "order"  # the model's order leaves nothing else
    OPEN = ""  # nothing does


class Parameter(NamedTuple):
    """A tensor of the model that may be one of the optimizer's.

    Attributes:
        name: its key.
        shape: its size.
        identity: equal for tensors that are the same parameter (tied); its own place if None.
    """

    name: str
    shape: Shape
    identity: object = None


class Wanted(NamedTuple):
    """A parameter as the optimizer knows it.

    Attributes:
        shape: of what is kept for it, or None where nothing of its shape is.
        name: what the file calls it, or "".
    """

    shape: Shape | None
    name: str = ""


class Named(NamedTuple):
    """What a parameter of the optimizer is called.

    Attributes:
        name: its key in the model, or "" where nothing decides.
        how: of `How`.
        candidates: the names that it may have, if there are several; the first of many.
        total: how many candidates there are: 0 where no parameter fits.
    """

    name: str
    how: str
    candidates: tuple[str, ...] = ()
    total: int = 0


class Names(NamedTuple):
    """The names of all parameters of an optimizer.

    Attributes:
        groups: of each param group, in its order.
        in_order: the groups fit into the order of a model; if not, shapes alone decided.
    """

    groups: list[list[Named]]
    in_order: bool


def name_parameters(
    groups: Sequence[Sequence[Wanted]], models: Sequence[Sequence[Parameter]]
) -> Names:
    """`naming` without the steps."""
    steps = naming(groups, models)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            names: Names = end.value
            return names


def naming(
    groups: Sequence[Sequence[Wanted]], models: Sequence[Sequence[Parameter]]
) -> Generator[None, None, Names]:
    """The names of the parameters of each param group, in short steps.

    Args:
        groups: the param groups, each in its order.
        models: the models of the file, each in its order, without what no optimizer has.
    """
    wanted = sum(map(len, groups))
    whole = []
    fitting = []
    for model in models:
        merged = yield from _merging(model)
        if len(merged) == wanted:
            found = yield from _Placing(groups, merged).candidates()
            if found is not None:
                whole.append(found)
                continue
        found = yield from _Placing(groups, model).candidates()
        if found is not None:
            fitting.append(found)
    # An optimizer that has exactly the parameters of one model is that model's.
    ways = whole or fitting
    everything = [parameter for model in models for parameter in model]
    if not ways and len(models) > 1:
        found = yield from _Placing(groups, everything).candidates()
        ways = [] if found is None else [found]
    shapes = _Shapes()
    for start in range(0, len(everything), _SLICE):
        shapes.add(everything[start : start + _SLICE])
        yield
    if not ways:
        return Names([shapes.alone(group, groups) for group in groups], False)
    names: list[list[Named]] = []
    for at, group in enumerate(groups):
        named: list[Named] = []
        for place, entry in enumerate(group):
            if place % _SLICE == _SLICE - 1:
                yield
            named.append(_named(entry, [way[at][place] for way in ways], shapes))
        names.append(named)
    return Names(names, True)


def _named(wanted: Wanted, ways: Sequence[_Candidates], shapes: _Shapes) -> Named:
    if wanted.name:
        return Named(wanted.name, How.GIVEN, (), 1)
    names: dict[object, str] = {}
    count = 0
    for way in ways:
        count += way.total
        for parameter in way.first:
            names.setdefault(identity_of(parameter), parameter.name)
    # Of two ways some candidates are the same ones, unless there are too many to be kept.
    if all(way.total == len(way.first) for way in ways):
        count = len(names)
    if count == 1:
        alone = wanted.shape is not None and shapes.classes(wanted.shape) == 1
        return Named(next(iter(names.values())), How.SHAPE if alone else How.ORDER, (), 1)
    return Named("", How.OPEN, tuple(names.values())[:NAMED_CANDIDATES], count)


def identity_of(parameter: Parameter) -> object:
    """What tells a parameter from others: tied ones are the same."""
    return parameter.identity if parameter.identity is not None else (parameter.name,)


def _merging(model: Sequence[Parameter]) -> Generator[None, None, list[Parameter]]:
    """Each parameter once, as ``parameters()`` gives it: a tied one where it comes first."""
    first: dict[object, Parameter] = {}
    for start in range(0, len(model), _SLICE):
        for parameter in model[start : start + _SLICE]:
            first.setdefault(identity_of(parameter), parameter)
        yield
    return list(first.values())


class _Candidates(NamedTuple):
    """The parameters that one number may stand for: the first of them, and how many."""

    first: tuple[Parameter, ...]
    total: int


class _Shapes:
    """The parameters of the models by shape."""

    def __init__(self) -> None:
        self._by_shape: dict[Shape, dict[object, Parameter]] = {}

    def add(self, parameters: Sequence[Parameter]) -> None:
        """Add some of them."""
        for parameter in parameters:
            same = self._by_shape.setdefault(parameter.shape, {})
            same.setdefault(identity_of(parameter), parameter)

    def classes(self, shape: Shape) -> int:
        """How many different parameters have the shape."""
        return len(self._by_shape.get(shape, ()))

    def alone(self, group: Sequence[Wanted], groups: Sequence[Sequence[Wanted]]) -> list[Named]:
        """The names where no order fits and only the shapes are left."""
        asked: dict[Shape | None, int] = {}
        for each in groups:
            for wanted in each:
                asked[wanted.shape] = asked.get(wanted.shape, 0) + 1
        found = []
        for wanted in group:
            same = self._by_shape.get(wanted.shape, {}) if wanted.shape is not None else {}
            if wanted.name:
                found.append(Named(wanted.name, How.GIVEN, (), 1))
            elif len(same) == 1 and asked[wanted.shape] == 1:
                found.append(Named(next(iter(same.values())).name, How.SHAPE, (), 1))
            else:
                names = (parameter.name for parameter in list(same.values())[:NAMED_CANDIDATES])
                found.append(Named("", How.OPEN, tuple(names), len(same)))
        return found


class _Placing:
    """The ways to place every group in the order of one model.

    For each number of a group the leftmost and the rightmost place that the group's others
    leave to it bound its candidates, and every place of its shape between them is one: the
    others then fit before and after. What has a single candidate is taken from other groups.
    """

    def __init__(self, groups: Sequence[Sequence[Wanted]], parameters: Sequence[Parameter]) -> None:
        self._groups = groups
        self._parameters = parameters
        self._identities: list[object] = []
        self._places: dict[Shape, list[int]] = {}
        # What is decided already: by whom.
        self._taken: dict[object, tuple[int, int]] = {}

    def _preparing(self) -> Generator[None, None, None]:
        """Look at the model's parameters."""
        given = {wanted.name for group in self._groups for wanted in group if wanted.name}
        by_name: dict[str, object] = {}
        for place, parameter in enumerate(self._parameters):
            if place % _SLICE == _SLICE - 1:
                yield
            identity = identity_of(parameter)
            self._identities.append(identity)
            self._places.setdefault(parameter.shape, []).append(place)
            if parameter.name in given:
                by_name[parameter.name] = identity
        for number, group in enumerate(self._groups) if given else ():
            for at, wanted in enumerate(group):
                if wanted.name in by_name:
                    self._taken[by_name[wanted.name]] = (number, at)

    def candidates(self) -> Generator[None, None, list[list[_Candidates]] | None]:
        """The candidates of each number of each group; None where some group fits nowhere."""
        yield from self._preparing()
        found: list[list[_Candidates]] = []
        for _ in range(_ROUNDS):
            found = []
            for number in range(len(self._groups)):
                placed = yield from self._group(number)
                if placed is None:
                    return None
                found.append(placed)
            if not self._take(found):
                break
        return found

    def _take(self, found: list[list[_Candidates]]) -> bool:
        """Note what is decided; whether that is anything new that others could feel."""
        if len(self._groups) == 1:
            return False
        before = len(self._taken)
        for at, group in enumerate(found):
            for place, candidates in enumerate(group):
                if candidates.total == 1:
                    self._taken[identity_of(candidates.first[0])] = (at, place)
        return len(self._taken) > before

    def _fits(self, number: int, at: int, place: int) -> bool:
        wanted, parameter = self._groups[number][at], self._parameters[place]
        if wanted.shape is not None and wanted.shape != parameter.shape:
            return False
        owner = self._taken.get(self._identities[place])
        return owner is None or owner == (number, at)

    def _group(self, number: int) -> Generator[None, None, list[_Candidates] | None]:
        group = self._groups[number]
        # Names that the file gives need no place.
        asked = [at for at, wanted in enumerate(group) if not wanted.name]
        ends = len(self._parameters)
        left: list[int] = []
        place = -1
        for turn, at in enumerate(asked):
            if turn % _SLICE == _SLICE - 1:
                yield
            place += 1
            while place < ends and not self._fits(number, at, place):
                place += 1
            if place == ends:
                return None
            left.append(place)
        right = [0] * len(asked)
        place = ends
        for turn in range(len(asked) - 1, -1, -1):
            if turn % _SLICE == _SLICE - 1:
                yield
            place -= 1
            while not self._fits(number, asked[turn], place):
                place -= 1
            right[turn] = place
        found = [_Candidates((), 0)] * len(group)
        for turn, at in enumerate(asked):
            if turn % _SLICE == _SLICE - 1:
                yield
            low = left[turn - 1] + 1 if turn else 0
            high = right[turn + 1] if turn + 1 < len(asked) else ends
            found[at] = self._between(number, at, low, high, left[turn] == right[turn])
        return found

    def _between(self, number: int, at: int, low: int, high: int, single: bool) -> _Candidates:
        shape = self._groups[number][at].shape
        if shape is None:
            places: Sequence[int] = range(low, high)
        else:
            same = self._places[shape]
            places = same[bisect_left(same, low) : bisect_left(same, high)]
        if single and len(places) == 1:
            return _Candidates((self._parameters[places[0]],), 1)
        if len(places) > 4 * NAMED_CANDIDATES:
            shown = [place for place in places[:NAMED_CANDIDATES] if self._fits(number, at, place)]
            return _Candidates(tuple(self._parameters[place] for place in shown), len(places))
        kinds: dict[object, Parameter] = {}
        for place in places:
            if self._fits(number, at, place):
                kinds.setdefault(self._identities[place], self._parameters[place])
        first = tuple(kinds.values())[:NAMED_CANDIDATES]
        return _Candidates(first, len(kinds))
