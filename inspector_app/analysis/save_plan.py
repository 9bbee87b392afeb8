"""What will be written when a checkpoint is saved in another form, and what will not, and why.

`planning` decides everything from the structure alone: no value is read. `saving.save.saving`
carries the plan out.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from inspector_app.analysis.checkpoint_mean import averaged
from inspector_app.analysis.flat_tensors import collecting, take_aliases
from inspector_app.analysis.key_renames import changes_keys, rename_modules, renames_of
from inspector_app.analysis.out_building import OutBuilder, Replacement
from inspector_app.analysis.out_storages import assigning
from inspector_app.analysis.output_tree import Out, OutMapping
from inspector_app.analysis.save_notes import Changed, Left, PlannedTensor, Why
from inspector_app.analysis.save_options import CASTS, ENDINGS, Form, SaveOptions, Ties
from inspector_app.analysis.save_sections import (
    average_of,
    chosen_nodes,
    model_nodes,
    siblings_left,
    the_model,
)
from inspector_app.checkpoint.errors import CannotSave
from inspector_app.checkpoint.model import (
    Checkpoint,
    Kind,
    Node,
    Progress,
    SectionKind,
    TensorInfo,
)

__all__ = ["Changed", "Left", "PlannedTensor", "SavePlan", "Why", "form_of", "plan", "planning"]

_SLICE = 1_000
# Of these one model is all that there is to save.
_ONE_MODEL = ("torchscript", "torch-export", "onnx")
# What a storage takes beside its bytes, and a tensor in the pickle or header, about.
_PER_STORAGE, _PER_TENSOR = 180, 120


@dataclass(frozen=True, slots=True, eq=False)
class SavePlan:
    """Everything that is needed to write, and to show beforehand.

    Attributes:
        target: the file to write; for shards the name they and their index are made from.
        form: of `analysis.save_options.Form`.
        checkpoints: what is read.
        root: of a torch file, what is pickled; else None.
        tensors: all that is written, in order.
        left, changed: what is not written, or in another form.
        aliases: of tied tensors that are written once: the name that is not, and the name
            that is.
        metadata: of safetensors.
        max_shard_bytes: of a shard, or None.
        source_bytes: length of the sources' files.
        written_bytes: length of the result, to about a thousandth.
    """

    target: str
    form: str
    checkpoints: tuple[Checkpoint, ...]
    root: Out
    tensors: tuple[PlannedTensor, ...]
    left: tuple[Left, ...] = ()
    changed: tuple[Changed, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    max_shard_bytes: int | None = None
    source_bytes: int = 0
    written_bytes: int = 0

    @property
    def saved_bytes(self) -> int:
        """How much smaller the result is; negative where it is larger."""
        return self.source_bytes - self.written_bytes

    @property
    def lost_tensors(self) -> list[Left]:
        """Tensors that the user did not leave out and that cannot be written all the same."""
        return [each for each in self.left if each.tensors and not each.chosen]


def planning(
    checkpoints: Sequence[Checkpoint],
    target: str | os.PathLike[str],
    options: SaveOptions,
    replacements: Mapping[TensorInfo, Replacement] = MappingProxyType({}),
) -> Generator[Progress, None, SavePlan]:
    """Plan to save the first of `checkpoints`, or the average of all, as `target`.

    Args:
        replacements: for tensors of the first, whatever the options say.

    Raises:
        CannotSave: the options do not fit the file; the sentence says how.
    """
    form = form_of(target)
    _check(form, checkpoints, options, os.fspath(target))
    first = checkpoints[0]
    tops = _tops(first, form, options)
    inside = [node for node in model_nodes(first) if any(_is_within(node, top) for top in tops)]
    models = inside or tops
    swapped = dict(replacements)
    left_nodes: dict[Node, str] = {}
    changed: list[Changed] = []
    if options.averaging is not None:
        models = tops
        found, changed = yield from averaged(checkpoints, tops[0], options.averaging)
        swapped |= found
    elif options.use_ema:
        model = the_model(first)
        average, found = yield from average_of(first, model)
        swapped |= found
        left_nodes[average] = Why.REPLACED
    # Averages beside a model change with it.
    models = [*models, *_averages(first, tops)]
    renames = {}
    if changes_keys(options):
        renames = {node: renames_of(node, options) for node in models}
    builder = OutBuilder(first, options, renames, swapped, left_nodes, models)
    builder.changed += changed
    constants = first.find(("constants",)) if first.format == "torchscript" else None
    if constants is not None and constants.kind != Kind.TENSOR:
        # What compiled code refers to is no part of the module's state_dict.
        left_nodes[constants] = Why.NOT_CHOSEN
    for node in siblings_left(tops):
        builder.leave(node, left_nodes.get(node, Why.NOT_CHOSEN))
    root: Out = None
    if form == Form.TORCH:
        root = yield from _torch_root(builder, first, tops)
        for mapping, _, node in builder.metadata:
            if node in renames:
                rename_modules(mapping.metadata, renames[node], options)
    else:
        yield from collecting(builder, tops, form)
    separate = options.contiguous or form != Form.TORCH
    untied = yield from assigning(builder.requests, separate, options.ties == Ties.CLONE)
    builder.changed += [Changed(tensor.name, "untied", {}) for tensor in untied]
    aliases: list[tuple[str, str]] = []
    if form != Form.TORCH:
        aliases = take_aliases(builder.tensors)
    if not builder.tensors:
        raise CannotSave("save-nothing", first.path)
    left = yield from _measured(builder)
    return SavePlan(
        target=os.fspath(target),
        form=form,
        checkpoints=tuple(checkpoints),
        root=root,
        tensors=tuple(builder.tensors),
        left=tuple(left),
        changed=tuple(builder.changed),
        aliases=tuple(aliases),
        metadata=_metadata(first, form, aliases),
        max_shard_bytes=options.max_shard_bytes,
        source_bytes=sum(checkpoint.file_bytes for checkpoint in checkpoints),
        written_bytes=_written_bytes(builder.tensors),
    )


def form_of(target: str | os.PathLike[str]) -> str:
    """The form that the ending of `target` says.

    Raises:
        CannotSave: it says none.
    """
    ending = os.path.splitext(os.fspath(target))[1].lower()
    if ending not in ENDINGS:
        raise CannotSave("save-ending", os.fspath(target), endings=" ".join(ENDINGS))
    return ENDINGS[ending]


def _check(form: str, checkpoints: Sequence[Checkpoint], options: SaveOptions, target: str) -> None:
    for rule in options.dtypes:
        if rule.dtype not in CASTS:
            raise CannotSave("save-bad-cast", target, dtype=rule.dtype, dtypes=" ".join(CASTS))
    if options.averaging is not None and options.use_ema:
        raise CannotSave("save-mean-options", target)
    if options.max_shard_bytes is not None and form != Form.SAFETENSORS:
        raise CannotSave("save-form", target, what="a shard size", form=".safetensors")


def _tops(first: Checkpoint, form: str, options: SaveOptions) -> list[Node]:
    """The nodes that are written; one alone becomes the whole file."""
    if options.sections is not None:
        found = chosen_nodes(first, options.sections)
        if options.averaging is not None and len(found) > 1:
            raise CannotSave("save-form", first.path, what="an average", form="one model")
        return found
    whole = form == Form.TORCH and first.format not in _ONE_MODEL and options.averaging is None
    return [first.root] if whole else [the_model(first)]


def _averages(first: Checkpoint, tops: Sequence[Node]) -> list[Node]:
    paths = [each.path for each in first.sections if each.kind == SectionKind.EMA]
    nodes = [node for path in paths if (node := first.find(path)) is not None]
    return [node for node in nodes if any(_is_within(node, top) for top in tops)]


def _is_within(node: Node | None, top: Node) -> bool:
    while node is not None and node is not top:
        node = node.parent
    return node is top


def _torch_root(
    builder: OutBuilder, first: Checkpoint, tops: Sequence[Node]
) -> Generator[Progress, None, Out]:
    if len(tops) == 1:
        return (yield from builder.building(tops[0], ""))
    root = OutMapping("dict", [])
    for top in tops:
        made = yield from builder.building(top, f"{top.name}/")
        into = root
        for key in top.path[:-1]:
            inner = next((item for name, item in into.pairs if name == key), None)
            if not isinstance(inner, OutMapping):
                inner = OutMapping("dict", [])
                into.pairs.append((key, inner))
            into = inner
        into.pairs.append((top.path[-1], made))
    return root


def _measured(builder: OutBuilder) -> Generator[Progress, None, list[Left]]:
    """What is left, with how much it holds; each storage counts once."""
    counted = {id(request.tensor.storage) for request in builder.requests}
    measured = []
    done = 0
    for node, left in builder.left:
        tensors = nbytes = 0
        for inner in node.walk():
            done += 1
            if done % _SLICE == 0:
                yield Progress("left", done)
            if not isinstance(inner, TensorInfo):
                continue
            tensors += not isinstance(inner.parent, TensorInfo)
            storage = inner.storage
            if storage is not None and id(storage) not in counted:
                counted.add(id(storage))
                nbytes += storage.nbytes
        measured.append(left._replace(tensors=tensors, nbytes=nbytes))
    return measured


def _metadata(
    first: Checkpoint, form: str, aliases: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    if form != Form.SAFETENSORS:
        return ()
    own = dict(first.metadata) if first.format == "safetensors" else {}
    # "pt" is what transformers looks for; save_model of safetensors writes aliases so.
    return tuple(({"format": "pt"} | own | dict(aliases)).items())


def _written_bytes(tensors: Sequence[PlannedTensor]) -> int:
    storages: dict[int, int] = {}
    for each in tensors:
        for tensor in (each.tensor, *each.tensor.parts.values()):
            if tensor.storage is not None:
                storages[id(tensor.storage)] = tensor.storage.nbytes
    return sum(storages.values()) + _PER_STORAGE * len(storages) + _PER_TENSOR * len(tensors)


def plan(
    checkpoints: Sequence[Checkpoint], target: str | os.PathLike[str], options: SaveOptions
) -> SavePlan:
    """What `planning` returns, in one call."""
    steps = planning(checkpoints, target, options)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: SavePlan = end.value
            return made
