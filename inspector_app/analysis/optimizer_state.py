"""An optimizer's state: whose it is, its param groups, and what it keeps for which parameter.

The form is that of ``torch.optim.Optimizer.state_dict()``: ``state`` maps a parameter's number
to what is kept for it, ``param_groups`` has options and the numbers (``params``) of each group,
and ``param_names`` where ``named_parameters()`` was given. Where the keys of ``state`` are
names, as FSDP's ``optim_state_dict`` writes them, they are taken as names.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from inspector_app.analysis.node_values import entries, items
from inspector_app.analysis.optimizer_kind import Recognised, recognise, variant
from inspector_app.analysis.parameter_names import Named, Names, Parameter, Shape, Wanted, naming
from inspector_app.analysis.training_model import Model, identity_of_view, parameters_of
from inspector_app.analysis.training_words import Scalar
from inspector_app.checkpoint.model import (
    Kind,
    Node,
    PathElement,
    Progress,
    TensorInfo,
    TreePath,
)

_SLICE = 1_000
# Of DataParallel and torch.compile.
_WRAPPERS = re.compile(r"(?<![^.])(module|_orig_mod)\.")
# Kept once for a parameter, whatever its shape, or of a shape of their own.
_OTHER_SHAPES = frozenset(
    "step eta mu mu_product row_var col_var exp_avg_sq_row exp_avg_sq_col RMS qmap1 qmap2 "
    "absmax1 absmax2 max1 max2 new_max1 new_max2 gnorm_vec unorm_vec".split()
)
# An optimizer over one flat vector of all parameters keeps everything with the first.
_FLAT = frozenset("prev_flat_grad old_dirs old_stps".split())
_COUNTERS = ("step", "n_iter")


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One thing that is kept for a parameter.

    Attributes:
        name: such as ``exp_avg``.
        node: where it lies; a tensor mostly.
    """

    name: str
    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A parameter as the optimizer knows it.

    Attributes:
        id: its number in ``params`` (a name with FSDP; an address in files before torch 1.5).
        group: which param group it belongs to; -1 where none lists it.
        named: what it is called in the model.
        shape: its shape as far as what is kept tells, or None.
        node: the entry in the state, or None where nothing is kept for it.
    """

    id: PathElement
    group: int
    named: Named
    shape: Shape | None
    node: Node | None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """What is kept for it; () where nothing is."""
        if self.node is None:
            return ()
        return tuple(Slot(str(child.key), child) for child in self.node.children)

    @property
    def slot_names(self) -> list[str]:
        """The names of what is kept for it."""
        return [] if self.node is None else [str(child.key) for child in self.node.children]

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return sum(slot.node.nbytes for slot in self.slots if isinstance(slot.node, TensorInfo))

    def slot(self, name: str) -> Node | None:
        """What is kept under `name`, or None."""
        return next((slot.node for slot in self.slots if slot.name == name), None)

    @property
    def counter(self) -> Node | None:
        """What counts the steps, or None."""
        return next((slot.node for slot in self.slots if slot.name in _COUNTERS), None)


@dataclass(frozen=True, slots=True, eq=False)
class ParamGroup:
    """One param group.

    Attributes:
        number: its place.
        options: its options but for the parameters, in the file's order; tuples of numbers as
            tuples; a value that is neither is its type's name.
        parameters: how many it has.
        path: where it lies.
    """

    number: int
    options: Mapping[str, Scalar | tuple[Scalar, ...]]
    parameters: int
    path: TreePath


@dataclass(frozen=True, slots=True, eq=False)
class OptimizerState:
    """One optimizer.

    Attributes:
        path: of its state_dict.
        recognised: the classes that could have written it.
        variant: options that are switched on, such as ``momentum`` and ``nesterov``.
        groups: its param groups.
        entries: its parameters: those that groups list, in their order, then those that only
            the state has.
        slots: the names of what it keeps, in the order in which they occur.
        nbytes: of all its tensors.
        left_out: parameters of the model that it does not have, as far as that is certain:
            frozen ones, mostly.
        in_order: its parameters can lie in the order of a model of the file.
        file: the file that it lies in; "" for the checkpoint's own.
    """

    path: TreePath
    recognised: Recognised
    variant: tuple[str, ...]
    groups: tuple[ParamGroup, ...]
    entries: tuple[Entry, ...]
    slots: tuple[str, ...]
    nbytes: int
    left_out: tuple[str, ...] = ()
    in_order: bool = True
    file: str = ""

    @property
    def kind(self) -> str:
        """The class in a word: ``AdamW``, ``Adam or AdamW``; "" if it is not known."""
        return " or ".join(self.recognised.names)

    @property
    def flat(self) -> bool:
        """It keeps one vector of all parameters, as LBFGS does."""
        return not _FLAT.isdisjoint(self.slots)


def reading_optimizer(
    node: Node, models: Sequence[Model], hints: Sequence[str] = (), file: str = ""
) -> Generator[Progress, None, OptimizerState]:
    """What the state_dict `node` of an optimizer has, in short steps.

    Args:
        models: those that it may belong to.
        hints: words of the file that may name its class: of several classes that could have
            written it the one that is named counts.
    """
    parts = entries(node)
    kept: dict[PathElement, _Kept] = {}
    slots: dict[str, None] = {}
    nbytes = 0
    state = parts.get("state")
    for number, child in enumerate(state.children if state is not None else ()):
        if number % _SLICE == _SLICE - 1:
            yield Progress("optimizer", number, len(state.children) if state else 0)
        for each in child.children:
            slots[str(each.key)] = None
            if isinstance(each, TensorInfo):
                nbytes += each.nbytes
        # A pickled optimizer has the parameters themselves as keys, which all read alike.
        alike = isinstance(child.key, str) and child.key in kept
        key = number if alike else child.key
        kept[key] = _Kept(child if child.children else None, shape_of(child.children))
    groups: list[ParamGroup] = []
    rows: list[_Row] = []
    group_nodes = parts["param_groups"].children if "param_groups" in parts else ()
    for number, child in enumerate(group_nodes):
        yield Progress("optimizer", 0, 0)
        group, given = yield from _group(number, child, len(rows))
        groups.append(group)
        rows += given
    if rows and all(row.tensor is not None for row in rows) and len(rows) == len(kept):
        # Each was given its state in the order of the groups.
        kept = {row.key: state for row, state in zip(rows, kept.values(), strict=True)}
    yield Progress("optimizer", 0, len(rows))
    listed = {row.key for row in rows}
    yield Progress("optimizer", 0, len(rows))
    rows += [_Row(key, -1, "") for key in kept if key not in listed]
    yield Progress("optimizer", 0, len(rows))
    named = yield from _naming(rows, kept, groups, models)
    found = []
    for number, (row, name) in enumerate(zip(rows, named.names, strict=True)):
        if number % _SLICE == _SLICE - 1:
            yield Progress("optimizer", number, len(rows))
        entry_node, shape = kept.get(row.key, _NOTHING)
        found.append(Entry(row.key, row.group, name, shape, entry_node))
    return OptimizerState(
        node.path,
        _recognised(node, groups, found, tuple(slots), hints),
        variant(groups[0].options if groups else {}, slots),
        tuple(groups),
        tuple(found),
        tuple(slots),
        nbytes,
        named.left_out,
        named.in_order,
        file,
    )


class _Kept(NamedTuple):
    """What is kept for a parameter, and the shape that it tells."""

    node: Node | None
    shape: Shape | None


_NOTHING = _Kept(None, None)


class _Row(NamedTuple):
    """A parameter as a param group lists it: its number, the group, its name or "", and the
    parameter itself where the optimizer was pickled."""

    key: PathElement
    group: int
    name: str
    tensor: TensorInfo | None = None


def _group(
    number: int, node: Node, before: int
) -> Generator[Progress, None, tuple[ParamGroup, list[_Row]]]:
    """A param group, and its parameters; `before` are in the groups before it."""
    options: dict[str, Scalar | tuple[Scalar, ...]] = {}
    keys: Sequence[object] = ()
    names: Sequence[object] = ()
    for key, child in entries(node).items():
        if key == "params":
            keys = items(child)
        elif key == "param_names":
            names = items(child)
        else:
            options[key] = _option(child)
    given = []
    for place, value in enumerate(keys):
        if place % _SLICE == _SLICE - 1:
            yield Progress("optimizer", place, len(keys))
        name = names[place] if len(names) == len(keys) else ""
        known = value if isinstance(value, str) or type(value) is int else before + place
        tensor = value if isinstance(value, TensorInfo) else None
        given.append(_Row(known, number, name if isinstance(name, str) else "", tensor))
    return ParamGroup(number, options, len(given), node.path), given


def _option(node: Node) -> Scalar | tuple[Scalar, ...]:
    if node.kind == Kind.SCALAR:
        return _scalar(node.value)
    found = items(node)
    if node.kind == Kind.SEQUENCE and len(found) <= 16:
        return tuple(_scalar(value) for value in found)
    return node.type_name or node.kind


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.type_name if isinstance(value, Node) else type(value).__name__


def shape_of(slots: Sequence[Node]) -> Shape | None:
    """The shape of the parameter that `slots` are kept for, or None where they do not tell."""
    shape: Shape | None = None
    others: dict[PathElement, Shape] = {}
    for slot in slots:
        if slot.key in _FLAT:
            return None
        if not isinstance(slot, TensorInfo):
            continue
        if slot.key in _OTHER_SHAPES:
            others[slot.key] = slot.shape
        elif shape is None:
            shape = slot.shape
        elif shape != slot.shape:
            return None
    if shape is not None:
        return shape
    if "row_var" in others and "col_var" in others:
        return (*others["row_var"][:-1], *others["col_var"][-1:])
    if "exp_avg_sq_row" in others and "exp_avg_sq_col" in others:
        return (*others["exp_avg_sq_row"], *others["exp_avg_sq_col"][-1:])
    return None


class _Found(NamedTuple):
    """The names of all rows, whether the order fits, and what of the model is not among them."""

    names: list[Named]
    in_order: bool
    left_out: tuple[str, ...]


class _Given:
    """What the file itself says of the parameters' names."""

    def __init__(self, models: Sequence[Sequence[Parameter]], rows: Sequence[_Row]) -> None:
        self._bare: dict[str, str] = {}
        self._by_view: dict[object, str] = {}
        parameters = [parameter for model in models for parameter in model]
        if any(row.name or isinstance(row.key, str) for row in rows):
            for parameter in parameters:
                # What wraps the model may wrap what is saved, or not.
                bare = _WRAPPERS.sub("", parameter.name)
                self._bare[bare] = "" if bare in self._bare else parameter.name
            self._bare.update((parameter.name, parameter.name) for parameter in parameters)
        if any(row.tensor is not None for row in rows):
            for parameter in parameters:
                self._by_view.setdefault(parameter.identity, parameter.name)

    def name(self, row: _Row) -> str:
        """The name of a parameter as the model has it, as far as it has it; or ""."""
        if row.tensor is not None:
            return self._by_view.get(identity_of_view(row.tensor), "")
        given = row.name or (row.key if isinstance(row.key, str) else "")
        return self._bare.get(given) or self._bare.get(_WRAPPERS.sub("", given)) or given


def _naming(
    rows: Sequence[_Row],
    kept: Mapping[PathElement, _Kept],
    groups: Sequence[ParamGroup],
    models: Sequence[Model],
) -> Generator[Progress, None, _Found]:
    """What the parameters are called."""
    wanted: list[list[Wanted]] = [[] for _ in groups]
    places = parameters_of(models)
    named = _Given(places, rows)
    for number, row in enumerate(rows):
        if number % _SLICE == _SLICE - 1:
            yield Progress("optimizer", number, len(rows))
        if row.group >= 0:
            shape = kept.get(row.key, _NOTHING).shape
            if shape is None and row.tensor is not None:
                shape = row.tensor.shape
            wanted[row.group].append(Wanted(shape, named.name(row)))
    steps = naming(wanted, places)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            names: Names = end.value
            break
        yield Progress("optimizer", 0, len(rows))
    found = [named for group in names.groups for named in group]
    yield Progress("optimizer", len(rows), len(rows))
    left_out = _left_out(found, models)
    found += [Named(row.key if isinstance(row.key, str) else "", "") for row in rows[len(found) :]]
    return _Found(found, names.in_order, left_out)


def _recognised(
    node: Node,
    groups: Sequence[ParamGroup],
    found: Sequence[Entry],
    slots: Sequence[str],
    hints: Sequence[str],
) -> Recognised:
    if node.kind == Kind.OBJECT and node.type_name:
        module, _, name = node.type_name.rpartition(".")
        library = "torch.optim" if module.startswith("torch.optim") else module
        return Recognised((name,), library)
    options = {key for group in groups[:1] for key in group.options}
    subclasses = {
        slot.node.details.python_type
        for entry in found[:64]
        for slot in entry.slots
        if isinstance(slot.node, TensorInfo) and slot.node.details.python_type
    }
    # A file in which some parameters keep more than others (momentum that began late) is one
    # optimizer's all the same.
    first: Mapping[str, object] = groups[0].options if groups else {}
    recognised = recognise(options, first, slots, sorted(subclasses))
    said = {hint.rpartition(".")[2].lower() for hint in hints}
    chosen = tuple(name for name in recognised.names if name.lower() in said)
    return recognised._replace(names=chosen) if len(chosen) == 1 else recognised


def _left_out(found: Sequence[Named], models: Sequence[Model]) -> tuple[str, ...]:
    """Parameters that no entry is or may be."""
    if len(models) != 1 or any(not named.name for named in found):
        return ()
    names = {named.name for named in found}
    parameters = models[0].parameters
    had = {parameter.identity for parameter in parameters if parameter.name in names}
    if not had or len(had) == len(parameters):
        return ()
    return tuple(parameter.name for parameter in parameters if parameter.identity not in had)
