"""How large the parts of a model are, and which layers it has, told from the keys.

The parts of a model are the modules that its keys name before a dot: of
``model.layers.0.mlp.weight`` those are ``model``, ``model.layers`` and so on. A part that
has more than `DOMINANT` of the parameters says little, so it is taken apart, unless its
parts are numbered layers. What lies beside the model (an optimizer, an average) counts as
one part for each section. A tensor that is the same bytes as one before it counts once.

A layer is a module up to the first number in its key (``layers.0``), else the module that
has the parameter (``lm_head``); layers stand in the file's order, which is that of depth.
"""

from __future__ import annotations

from collections.abc import Container, Generator
from dataclasses import dataclass, field

from inspector_app.analysis.tensor_roles import ACTIVATION_STATISTICS
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import Checkpoint, Node, SectionKind, TensorInfo

DOMINANT = 0.6
_MOST_PARTS = 40
_DEEPEST = 6
_LONGEST_KEY = 1_000
_TENSORS_PER_STEP = 200


@dataclass(slots=True)
class Part:
    """Some of the tensors, one after another in the file.

    Attributes:
        name: text from the file, not yet made plain.
        first, last: of its tensors.
        tensors, elements, nbytes: what they add up to, the same bytes once.
        inside: of numbered layers the parts that each of them has, added up over the layers
            and named with ``*`` for the number; the most parameters first.
    """

    name: str
    first: TensorInfo
    last: TensorInfo
    tensors: int = 0
    elements: int = 0
    nbytes: int = 0
    inside: list[Part] = field(default_factory=list)

    def add(self, tensor: TensorInfo) -> None:
        """Count one more tensor."""
        self.last = tensor
        self.tensors += 1
        self.elements += tensor.numel
        self.nbytes += tensor.nbytes


@dataclass(slots=True)
class Layer:
    """The floating point parameters of one layer.

    Attributes:
        name: text from the file, not yet made plain.
        tensors: statistics of activations are left out.
    """

    name: str
    tensors: list[TensorInfo] = field(default_factory=list)


@dataclass(slots=True)
class ModuleSizes:
    """What a file's tensors belong to.

    Attributes:
        parts: the most parameters first.
        layers: by depth.
    """

    parts: list[Part] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)


def sizing(
    checkpoint: Checkpoint, shared: Container[int] = ()
) -> Generator[int, None, ModuleSizes]:
    """Find the parts in short steps; yields how many tensors have been looked at.

    Args:
        shared: `id` of the storages that several tensors view.
    """
    sizes = ModuleSizes()
    sections: dict[int, str] = {}
    nodes: dict[int, Node] = {}
    for section in checkpoint.sections:
        node = checkpoint.find(section.path)
        if node is not None:
            sections.setdefault(id(node), section.kind)
            nodes[id(node)] = node
    models = [known for known, kind in sections.items() if kind == SectionKind.MODEL]
    # Several models side by side are told apart before their modules are.
    top = nodes[models[0]] if len(models) == 1 else checkpoint.root
    modules: dict[tuple[str, ...], Part] = {}
    others: dict[int, Part] = {}
    layers: dict[str, Layer] = {}
    counted: set[tuple[int, int | None, tuple[int, ...]]] = set()
    for number, tensor in enumerate(checkpoint.tensors):
        if number % _TENSORS_PER_STEP == 0:
            yield number
        if isinstance(tensor.parent, TensorInfo):
            continue  # part of a tensor that is counted
        keys: list[str] = []
        node, kind = tensor, ""
        owner: Node = tensor
        while node is not top and node.parent is not None:
            keys.append(str(node.key)[:_LONGEST_KEY])
            owner, node = node, node.parent
            kind = kind or sections.get(id(node), "")
        if id(tensor.storage) in shared:
            view = id(tensor.storage), tensor.storage_offset, tensor.shape
            if view in counted:
                continue
            counted.add(view)
        if node is not top or (len(models) != 1 and kind not in {"", SectionKind.MODEL}):
            beside = others.get(id(owner))
            if beside is None:
                beside = others[id(owner)] = Part(str(owner.key), tensor, tensor)
            beside.add(tensor)
            continue
        path = ".".join(reversed(keys)).split(".")
        parameter = path.pop()
        module = tuple(path[:_DEEPEST]) or (parameter,)
        part = modules.get(module)
        if part is None:
            part = modules[module] = Part(".".join(module), tensor, tensor)
        part.add(tensor)
        if _is_float(tensor) and parameter not in ACTIVATION_STATISTICS:
            name = _layer_name(path) or parameter
            layer = layers.get(name)
            if layer is None:
                layer = layers[name] = Layer(name)
            layer.tensors.append(tensor)
    sizes.parts = sorted(
        [*_upper(modules), *others.values()], key=lambda part: (-part.elements, part.name)
    )
    sizes.layers = list(layers.values())
    return sizes


def _upper(modules: dict[tuple[str, ...], Part]) -> list[Part]:
    """The parts at the top, those that dominate taken apart."""
    groups = _by_next({(): list(modules)})
    whole = sum(part.elements for part in modules.values())
    for _ in range(_DEEPEST):
        largest = max(
            groups, key=lambda key: sum(modules[m].elements for m in groups[key]), default=None
        )
        if largest is None:
            break
        members = groups[largest]
        alone = len(groups) == 1
        if sum(modules[m].elements for m in members) <= DOMINANT * whole and not alone:
            break
        finer = _by_next({largest: members})
        numbered = sum(key[-1].isdecimal() for key in finer)
        if finer.keys() == groups.keys() or (largest in finer and len(finer) == 1):
            break
        if (numbered > 1 and not alone) or len(finer) + len(groups) > _MOST_PARTS:
            break
        groups = {**{key: found for key, found in groups.items() if key != largest}, **finer}
    return [_with_inside(key, members, modules) for key, members in groups.items()]


def _with_inside(
    key: tuple[str, ...], members: list[tuple[str, ...]], modules: dict[tuple[str, ...], Part]
) -> Part:
    part = _joined(key, [modules[m] for m in members])
    at = len(key)
    numbers = {m[at] for m in members if len(m) > at and m[at].isdecimal()}
    if len(numbers) < 2:
        return part
    inside: dict[tuple[str, ...], list[Part]] = {}
    for member in members:
        if len(member) > at + 1 and member[at].isdecimal():
            inside.setdefault((*key, "*", member[at + 1]), []).append(modules[member])
    if len(inside) > 1:
        joined = [_joined(name, parts) for name, parts in inside.items()]
        part.inside = sorted(joined, key=lambda each: (-each.elements, each.name))
    return part


def _by_next(
    groups: dict[tuple[str, ...], list[tuple[str, ...]]],
) -> dict[tuple[str, ...], list[tuple[str, ...]]]:
    """The modules of each group by one more part of their names."""
    found: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for key, members in groups.items():
        for module in members:
            found.setdefault(module[: len(key) + 1], []).append(module)
    return found


def _joined(key: tuple[str, ...], parts: list[Part]) -> Part:
    joined = Part(".".join(key), parts[0].first, parts[-1].last)
    joined.tensors = sum(part.tensors for part in parts)
    joined.elements = sum(part.elements for part in parts)
    joined.nbytes = sum(part.nbytes for part in parts)
    return joined


def _layer_name(path: list[str]) -> str:
    for place, part in enumerate(path):
        if part.isdecimal():
            return ".".join(path[: place + 1])
    return ".".join(path)


def _is_float(tensor: TensorInfo) -> bool:
    dtype = DTYPES.get(tensor.dtype)
    return dtype is not None and dtype.kind in {"float", "complex"}
