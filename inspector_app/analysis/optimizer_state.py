"""An optimizer's state: whose it is, its param groups, and what it keeps for which parameter.

The form is that of ``torch.optim.Optimizer.state_dict()``: ``state`` maps a parameter's number
to what is kept for it, ``param_groups`` has options and the numbers (``params``) of each group,
and ``param_names`` where ``named_parameters()`` was given. Where the keys of ``state`` are
names, as FSDP's ``optim_state_dict`` writes them, they are taken as names.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from inspector_app.analysis.node_values import entries, items
from inspector_app.analysis.optimizer_kind import Recognised, recognise, variant
from inspector_app.analysis.parameter_names import Named, Parameter, Shape, Wanted, name_parameters
from inspector_app.analysis.training_words import Scalar
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import (
    Checkpoint,
    Kind,
    Node,
    PathElement,
    Progress,
    TensorInfo,
    TreePath,
)

_SLICE = 1_000
# Kept once for a parameter, whatever its shape, or of a shape of their own.
_OTHER_SHAPES = frozenset(
    "step eta mu mu_product row_var col_var exp_avg_sq_row exp_avg_sq_col RMS qmap1 qmap2 "
    "absmax1 absmax2 max1 max2 new_max1 new_max2 gnorm_vec unorm_vec".split()
)
# An optimizer over one flat vector of all parameters keeps everything with the first.
_FLAT = frozenset("prev_flat_grad old_dirs old_stps".split())
_COUNTERS = ("step", "n_iter")
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
_TRAINABLE = ("float", "complex")


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
        slots: what is kept for it; () where nothing is.
    """

    id: PathElement
    group: int
    named: Named
    shape: Shape | None
    slots: tuple[Slot, ...]

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


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model of the file, for the optimizers to find their parameters in.

    Attributes:
        path: of its state_dict.
        tensors: by key, in the file's order.
        file: the file that it lies in; "" for the checkpoint's own.
    """

    path: TreePath
    tensors: Mapping[str, TensorInfo]
    file: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors, tied ones once."""
        return sum(
            tensor.nbytes
            for tensor in {_identity(tensor): tensor for tensor in self.tensors.values()}.values()
        )


def model_at(checkpoint: Checkpoint, path: TreePath, file: str = "") -> Model:
    """The model whose state_dict lies at `path`."""
    node = checkpoint.find(path)
    found: dict[str, TensorInfo] = {}
    if node is not None:
        for child in node.children:
            if isinstance(child, TensorInfo):
                found[str(child.key)] = child
    return Model(path, found, file)


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
    kept: dict[PathElement, tuple[Slot, ...]] = {}
    state = parts.get("state")
    for number, child in enumerate(state.children if state is not None else ()):
        if number % _SLICE == _SLICE - 1:
            yield Progress("optimizer", number, len(state.children) if state else 0)
        kept[child.key] = _slots(child)
    groups, members = [], []
    group_nodes = parts["param_groups"].children if "param_groups" in parts else ()
    for number, child in enumerate(group_nodes):
        group, given = _group(number, child)
        groups.append(group)
        members.append(given)
    rows = [(key, number, name) for number, given in enumerate(members) for key, name in given]
    listed = {key for key, _, _ in rows}
    rows += [(key, -1, "") for key in kept if key not in listed]
    named, in_order = _names(rows, kept, groups, models)
    yield Progress("optimizer", len(rows), len(rows))
    found = [
        Entry(key, group, name, shape_of(kept.get(key, ())), kept.get(key, ()))
        for (key, group, _), name in zip(rows, named, strict=True)
    ]
    slots = dict.fromkeys(slot.name for entry in found for slot in entry.slots)
    return OptimizerState(
        node.path,
        _recognised(node, groups, found, tuple(slots), hints),
        variant(groups[0].options if groups else {}, slots),
        tuple(groups),
        tuple(found),
        tuple(slots),
        sum(entry.nbytes for entry in found),
        _left_out(found, models),
        in_order,
        file,
    )


def _slots(node: Node) -> tuple[Slot, ...]:
    return tuple(Slot(str(child.key), child) for child in node.children)


def _group(number: int, node: Node) -> tuple[ParamGroup, list[tuple[PathElement, str]]]:
    """A param group, and each of its parameters' number and name."""
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
    given: list[tuple[PathElement, str]] = []
    for place, value in enumerate(keys):
        name = names[place] if len(names) == len(keys) else ""
        # A pickled optimizer has the parameters themselves.
        known = value if isinstance(value, str) or type(value) is int else place
        given.append((known, name if isinstance(name, str) else ""))
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


def shape_of(slots: Sequence[Slot]) -> Shape | None:
    """The shape of the parameter that `slots` are kept for, or None where they do not tell."""
    tensors = {slot.name: slot.node for slot in slots if isinstance(slot.node, TensorInfo)}
    if not _FLAT.isdisjoint(slot.name for slot in slots):
        return None
    shapes = {tensor.shape for name, tensor in tensors.items() if name not in _OTHER_SHAPES}
    if len(shapes) == 1:
        return next(iter(shapes))
    if shapes:
        return None
    if "row_var" in tensors and "col_var" in tensors:
        return (*tensors["row_var"].shape[:-1], *tensors["col_var"].shape[-1:])
    if "exp_avg_sq_row" in tensors and "exp_avg_sq_col" in tensors:
        return (*tensors["exp_avg_sq_row"].shape, *tensors["exp_avg_sq_col"].shape[-1:])
    return None


def _identity(tensor: TensorInfo) -> object:
    """Equal for tensors that are the same view of the same bytes."""
    if tensor.storage is None:
        return id(tensor)
    return (id(tensor.storage), tensor.storage_offset, tensor.shape, tensor.stride)


def parameters_of(model: Model, prefix: str = "") -> list[Parameter]:
    """The tensors of a model that an optimizer may have, in order: buffers are left out as far
    as that is certain."""
    saved = any(tensor.details.parameter for tensor in model.tensors.values())
    found = []
    for key, tensor in model.tensors.items():
        dtype = DTYPES.get(tensor.dtype)
        if dtype is None or dtype.kind not in _TRAINABLE or key.endswith(_BUFFERS):
            continue
        # A pickled model says which of its tensors are parameters.
        if saved and not tensor.details.parameter:
            continue
        found.append(Parameter(prefix + key, tensor.shape, _identity(tensor)))
    return found


def _names(
    rows: Sequence[tuple[PathElement, int, str]],
    kept: Mapping[PathElement, tuple[Slot, ...]],
    groups: Sequence[ParamGroup],
    models: Sequence[Model],
) -> tuple[list[Named], bool]:
    """What the parameters are called, in the order of `rows`, and whether the order fits."""
    wanted: list[list[Wanted]] = [[] for _ in groups]
    for key, group, name in rows:
        if group >= 0:
            known = name or (key if isinstance(key, str) else "")
            wanted[group].append(Wanted(shape_of(kept.get(key, ())), known))
    several = len(models) > 1
    places = [parameters_of(model, f"{model_name(model)}/" if several else "") for model in models]
    names = name_parameters(wanted, places)
    found = [named for group in names.groups for named in group]
    stray = [Named(key if isinstance(key, str) else "", "") for key, group, _ in rows if group < 0]
    return found + stray, names.in_order


def model_name(model: Model) -> str:
    """The path of a model as text."""
    return "/".join(map(str, model.path)) or model.file


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


def _left_out(found: Sequence[Entry], models: Sequence[Model]) -> tuple[str, ...]:
    """Parameters that no entry is or may be."""
    if len(models) != 1 or any(not entry.named.name for entry in found):
        return ()
    names = {entry.named.name for entry in found}
    parameters = parameters_of(models[0])
    had = {parameter.identity for parameter in parameters if parameter.name in names}
    if not had:
        return ()
    return tuple(parameter.name for parameter in parameters if parameter.identity not in had)
