"""What torch says if B is loaded into A: the message of ``load_state_dict(strict=True)``.

It lists what torch raises and no more: a dtype is cast without a word, and so is a tensor of
one element where the model has a scalar. A `num_batches_tracked` that is absent is missing
only where B says that its module is of version 2 or later (``_metadata``); older ones and
files that say nothing lack it rightly.

Source: ``torch/nn/modules/module.py`` (``load_state_dict``, ``_load_from_state_dict``) and
``batchnorm.py`` of torch 2.13. The order is theirs: module by module, as A has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from inspector_app.analysis.comparison import Comparison
from inspector_app.analysis.key_mapping import NO_MAPPING, KeyMapping
from inspector_app.analysis.state_dict_keys import HEADER, METADATA
from inspector_app.analysis.value_diff import EXTRA_STATE
from inspector_app.checkpoint.model import Kind, Node, TensorInfo
from inspector_app.checkpoint.pickle_tree import MODULES
from inspector_app.checkpoint.text import plain

_COUNTER = "num_batches_tracked"
_COUNTED_SINCE = 2  # version of torch.nn.modules.batchnorm._NormBase
_STATISTICS = ("running_mean", "running_var")
_ANY_MODULE = "Module"
_ONNX_MODEL = "__model__"


@dataclass(frozen=True, slots=True)
class StrictLoad:
    """What ``A.load_state_dict(B, strict=True)`` finds.

    Attributes:
        model: the class of A, as far as A's file tells.
        missing, unexpected: keys, in the order in which torch lists them.
        mismatched: a sentence for each tensor that does not fit.
    """

    model: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def loads(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)

    @property
    def message(self) -> str:
        """The message of the RuntimeError, or "" if B loads."""
        if self.loads:
            return ""
        lines = list(self.mismatched)
        if self.unexpected:
            lines.insert(0, f"Unexpected key(s) in state_dict: {_listed(self.unexpected)}. ")
        if self.missing:
            lines.insert(0, f"Missing key(s) in state_dict: {_listed(self.missing)}. ")
        return f"Error(s) in loading state_dict for {self.model}:\n\t" + "\n\t".join(lines)


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


def strict_load(comparison: Comparison, mapping: KeyMapping = NO_MAPPING) -> StrictLoad:
    """What torch would say of the two models that are compared, once keys are mapped.

    B's keys are those that the mapping makes of them. A's keep their prefixes unless the
    mapping strips them; nothing else of the mapping changes A.
    """
    a = comparison.a.find(comparison.sections[0]) or comparison.a.root
    b = comparison.b.find(comparison.sections[1]) or comparison.b.root
    model = _Model(a, mapping)
    given = _given(b, mapping)
    versions = _versions(b, mapping)
    missing = [key for key in model.state if key not in given and not model.excused(key, versions)]
    mismatched = [
        text
        for key, own in model.state.items()
        if key in given
        for text in _mismatch(key, own, given[key])
    ]
    unexpected = sorted(
        (model.place(key), number, key)
        for number, key in enumerate(given)
        if key not in model.state
    )
    return StrictLoad(
        a.type_name.rpartition(".")[2] if a.kind == Kind.MODULE else _ANY_MODULE,
        tuple(missing),
        tuple(key for _, _, key in unexpected),
        tuple(mismatched),
    )


class _Model:
    """The modules of A, as the keys of its state_dict and their ``_metadata`` tell.

    Attributes:
        state: the keys that it wants, in torch's order.
    """

    def __init__(self, node: Node, mapping: KeyMapping) -> None:
        self.state: dict[str, Node] = {}
        self._order: dict[str, int] = {"": 0}
        self._modules: dict[str, list[str]] = {}
        for child in node.children:
            if child.key == METADATA and child.kind == Kind.MAPPING:
                for module in child.children:
                    self._enter(_module_key(str(module.key), mapping.strip_a))
        for child in _entries(node):
            key = mapping.a_key(str(child.key))
            if _is_state(child):
                self.state.setdefault(key, child)
                self._enter(key.rpartition(".")[0])
        self._number()

    def _enter(self, module: str) -> None:
        """Note a module and those that it lies in."""
        while module not in self._order:
            self._order[module] = -1
            parent = module.rpartition(".")[0]
            self._modules.setdefault(parent, []).append(module)
            module = parent

    def _number(self) -> None:
        """Number the modules as torch visits them: each before what lies in it."""
        todo, number = [""], 0
        while todo:
            module = todo.pop()
            self._order[module] = number
            number += 1
            todo.extend(reversed(self._modules.get(module, [])))

    def place(self, key: str) -> tuple[int, bool]:
        """Where torch comes upon an unexpected key: at which module, and after its extra state."""
        module = ""
        while True:
            start = len(module) + 1 if module else 0
            end = key.find(".", start)
            if end < 0 or key[:end] not in self._order:
                return self._order[module], key[start:] != EXTRA_STATE
            module = key[:end]

    def excused(self, key: str, versions: dict[str, int]) -> bool:
        """It may be absent: a counter that norm layers did not always have."""
        module, _, name = key.rpartition(".")
        if name != _COUNTER or versions.get(module, 0) >= _COUNTED_SINCE:
            return False
        prefix = f"{module}." if module else ""
        return all(f"{prefix}{statistic}" in self.state for statistic in _STATISTICS)


def _entries(node: Node) -> Iterator[Node]:
    """What a state_dict has: no attributes, and nothing that the file's format adds."""
    for child in node.children:
        added = child.key in (METADATA, MODULES, HEADER, _ONNX_MODEL)
        if not added or isinstance(child, TensorInfo):
            yield child


def _is_state(child: Node) -> bool:
    """Whether an entry of A's file is something that its model wants to be given."""
    if isinstance(child, TensorInfo) or str(child.key).endswith(EXTRA_STATE):
        return True
    # Packed parameters of quantized layers; an epoch among the tensors is none.
    return child.kind != Kind.SCALAR and "." in str(child.key)


def _given(node: Node, mapping: KeyMapping) -> dict[str, Node]:
    """B's entries by what the mapping makes of their keys; of equal ones the last counts."""
    renamed = mapping.renamed()
    given: dict[str, Node] = {}
    for child in _entries(node):
        own = str(child.key)
        given[renamed.get(own) or mapping.b_key(own)] = child
    return given


def _versions(node: Node, mapping: KeyMapping) -> dict[str, int]:
    """The version of each module of B, where B tells."""
    found: dict[str, int] = {}
    if node.kind == Kind.MODULE:
        # Its state_dict is made by the torch that has it: the classes' own versions.
        for child in node.children:
            owner = str(child.key).rpartition(".")[0]
            found[_module_key(owner, mapping.strip_b)] = _COUNTED_SINCE
    for child in node.children:
        if child.key == METADATA and child.kind == Kind.MAPPING:
            for module in child.children:
                key = _module_key(str(module.key), mapping.strip_b)
                for entry in module.children:
                    if entry.key == "version" and type(entry.value) is int:
                        found[key] = entry.value
    return found


def _module_key(module: str, prefixes: Iterable[str]) -> str:
    """The name of a module whose keys lose `prefixes`, as torch's
    ``consume_prefix_in_state_dict_if_present`` changes it."""
    dotted = f"{module}."
    for prefix in prefixes:
        dotted = dotted.removeprefix(prefix)
    return dotted[:-1]


def _mismatch(key: str, own: Node, given: Node) -> Iterator[str]:
    if not isinstance(own, TensorInfo):
        return  # an extra state takes anything
    if not isinstance(given, TensorInfo):
        yield (
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like '
            f"object from checkpoint but received <class '{plain(_class_of(given))}'>"
        )
    elif own.shape != given.shape and not (own.shape == () and given.shape == (1,)):
        yield (
            f"size mismatch for {key}: copying a param with shape {_size(given)} from checkpoint, "
            f"the shape in current model is {_size(own)}."
        )


def _class_of(node: Node) -> str:
    if node.kind == Kind.ARRAY:
        return "numpy.ndarray"
    return node.type_name


def _size(tensor: TensorInfo) -> str:
    return f"torch.Size([{', '.join(map(str, tensor.shape))}])"
