"""Which tensors of several checkpoints are averaged with each other."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from inspector_app.analysis.out_building import Replacement
from inspector_app.analysis.out_storages import view_identity
from inspector_app.analysis.output_tree import AveragedValues
from inspector_app.analysis.save_notes import Changed
from inspector_app.analysis.save_options import Averaging
from inspector_app.analysis.save_sections import the_model
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.errors import CannotSave
from inspector_app.checkpoint.model import Checkpoint, Node, Progress, TensorInfo
from inspector_app.checkpoint.text import plain

_SLICE = 1_000


def averaged(
    checkpoints: Sequence[Checkpoint], model: Node, averaging: Averaging
) -> Generator[Progress, None, tuple[dict[TensorInfo, Replacement], list[Changed]]]:
    """For each tensor of `model`, which is in the first checkpoint, what is written instead.

    Raises:
        CannotSave: the models have not the same keys and shapes, or the weights do not fit.
    """
    _check(checkpoints, averaging)
    nodes = [model]
    for checkpoint in checkpoints[1:]:
        found = checkpoint.find(model.path)
        is_model = found is not None and any(isinstance(c, TensorInfo) for c in found.children)
        nodes.append(found if found is not None and is_model else the_model(checkpoint))
    tables = [
        {child.key: child for child in node.children if isinstance(child, TensorInfo)}
        for node in nodes
    ]
    for checkpoint, table in zip(checkpoints[1:], tables[1:], strict=True):
        _compare(tables[0], checkpoint, table)
    made: dict[TensorInfo, Replacement] = {}
    changed: list[Changed] = []
    for number, (key, tensor) in enumerate(tables[0].items()):
        if number % _SLICE == 0:
            yield Progress("average", number, len(tables[0]))
        sources = [table[key] for table in tables]
        if all(map(_is_number, sources)):
            pairs = tuple(zip(checkpoints, sources, strict=True))
            made[tensor] = Replacement(
                checkpoints[0],
                tensor,
                "average",
                tensor.dtype,
                AveragedValues(pairs, averaging, tensor.dtype),
                tuple(map(view_identity, sources)) if tensor.numel else None,
            )
        else:
            made[tensor] = Replacement(checkpoints[-1], sources[-1], "")
            kind = DTYPES[tensor.dtype].kind if tensor.dtype in DTYPES else ""
            if kind not in ("int", "uint", "bool"):
                details: dict[str, object] = {"type": f"{tensor.layout} {tensor.dtype}"}
                changed.append(Changed(tensor.name, "not-averaged", details))
    return made, changed


def _check(checkpoints: Sequence[Checkpoint], averaging: Averaging) -> None:
    path = checkpoints[0].path
    if len(checkpoints) < 2:
        raise CannotSave("save-mean-one", path)
    if averaging.kind == "weighted":
        weights = averaging.weights
        if len(weights) != len(checkpoints) or not sum(weights):
            raise CannotSave(
                "save-mean-weights", path, found=len(weights), expected=len(checkpoints)
            )
    if averaging.kind == "ema" and not 0 <= averaging.decay <= 1:
        raise CannotSave("save-mean-decay", path)


def _compare(
    wanted: dict[str | int, TensorInfo],
    checkpoint: Checkpoint,
    found: dict[str | int, TensorInfo],
) -> None:
    what = ""
    for key, tensor in wanted.items():
        if key not in found:
            what = f"{plain(str(key))} is missing"
        elif found[key].shape != tensor.shape:
            what = f"{plain(str(key))} has another shape"
        if what:
            break
    else:
        extra = next((key for key in found if key not in wanted), None)
        what = f"{plain(str(extra))} is in it alone" if extra is not None else ""
    if what:
        raise CannotSave("save-mean-keys", checkpoint.path, other=checkpoint.path, what=what)


def _is_number(tensor: TensorInfo) -> bool:
    dtype = DTYPES.get(tensor.dtype)
    return (
        dtype is not None
        and dtype.kind in ("float", "complex")
        and bool(dtype.numpy)
        and tensor.layout == "strided"
        and tensor.storage is not None
        and tensor.details.quantizer is None
    )
