"""The models of a training: their tensors, and those of them that an optimizer may have."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from inspector_app.analysis.parameter_names import Parameter
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import Kind, Node, Progress, TensorInfo, TreePath

_SLICE = 500
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
_TRAINABLE = ("float", "complex")


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model of the file.

    Attributes:
        path: of its state_dict.
        tensors: by key, in the file's order.
        parameters: those of them that an optimizer may have, in order: buffers are left out as
            far as that is certain. () if there is no optimizer to ask for them.
        nbytes: of its tensors, tied ones once.
        file: the file that it lies in; "" for the checkpoint's own.
    """

    path: TreePath
    tensors: Mapping[str, TensorInfo]
    parameters: tuple[Parameter, ...]
    nbytes: int
    file: str = ""

    @property
    def name(self) -> str:
        """Its path as text."""
        return "/".join(map(str, self.path)) or self.file


def reading_model(
    node: Node, file: str = "", trained: bool = True
) -> Generator[Progress, None, Model]:
    """The model whose state_dict is `node`, in short steps.

    Args:
        trained: there is an optimizer, which has its parameters.
    """
    tensors: dict[str, TensorInfo] = {}
    parameters: list[Parameter] = []
    first: dict[int, TensorInfo] = {}
    shared: set[object] = set()
    nbytes = 0
    children = node.children
    # A pickled model says which of its tensors are parameters.
    whole = node.kind == Kind.MODULE
    for start in range(0, len(children), _SLICE):
        for child in children[start : start + _SLICE]:
            if not isinstance(child, TensorInfo):
                continue
            key = str(child.key)
            tensors[key] = child
            before = first.setdefault(id(child.storage), child)
            if before is child or child.storage is None:
                nbytes += child.nbytes
            else:
                shared.add(identity_of_view(before))
                if identity_of_view(child) not in shared:
                    shared.add(identity_of_view(child))
                    nbytes += child.nbytes
            if trained and _is_trainable(key, child) and (not whole or child.details.parameter):
                parameters.append(Parameter(key, child.shape, identity_of_view(child)))
        yield Progress("models", start, len(children))
    return Model(node.path, tensors, tuple(parameters), nbytes, file)


def identity_of_view(tensor: TensorInfo) -> object:
    """Equal for tensors that are the same view of the same bytes."""
    if tensor.storage is None:
        return id(tensor)
    return (id(tensor.storage), tensor.storage_offset, tensor.shape, tensor.stride)


def _is_trainable(key: str, tensor: TensorInfo) -> bool:
    dtype = DTYPES.get(tensor.dtype)
    return dtype is not None and dtype.kind in _TRAINABLE and not key.endswith(_BUFFERS)


def parameters_of(models: Sequence[Model]) -> list[Sequence[Parameter]]:
    """The parameters of each model; where there are several their names begin with its own."""
    if len(models) == 1:
        return [models[0].parameters]
    return [
        [each._replace(name=f"{model.name}/{each.name}") for each in model.parameters]
        for model in models
    ]
