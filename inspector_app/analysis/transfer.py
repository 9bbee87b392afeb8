"""Partial loading: what flows from one checkpoint into another, and what does not, and why.

What is done by default is the dictionary filter that everybody writes::

    fits = {k: v for k, v in source.items() if k in target and v.shape == target[k].shape}
    target.update(fits)

The rest of the target, and everything around its state_dict, stays as it is.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace

from inspector_app.analysis.save_options import Form, SaveOptions
from inspector_app.analysis.save_plan import SavePlan, form_of, planning
from inspector_app.analysis.save_sections import chosen_nodes, the_model
from inspector_app.analysis.transfer_plan import (
    Act,
    Choice,
    Flow,
    Initial,
    Reason,
    TransferOptions,
    TransferPlan,
    Unused,
    Where,
)
from inspector_app.analysis.transfer_values import has_values as _has_values
from inspector_app.analysis.transfer_values import replacement_of, unfit
from inspector_app.checkpoint.errors import CannotSave
from inspector_app.checkpoint.model import Checkpoint, Node, Progress, TensorInfo, TreePath

__all__ = [
    "Act",
    "Choice",
    "Flow",
    "Initial",
    "Reason",
    "TransferOptions",
    "TransferPlan",
    "Unused",
    "Where",
    "planning_result",
    "planning_transfer",
]

_SLICE = 1_000


def planning_transfer(
    source: Checkpoint, target: Checkpoint, options: TransferOptions
) -> Generator[Progress, None, TransferPlan]:
    """Match the keys and decide what flows; nothing is read but structure.

    Raises:
        CannotSave: one of the two has no state_dict, or a choice cannot be carried out.
    """
    givers = _section(source, options.source_section)
    takers = _section(target, options.target_section)
    matched: dict[str, tuple[str, TensorInfo]] = {}
    unused: list[Unused] = []
    renamed = options.mapping.renamed()
    given = [child for child in givers.children if isinstance(child, TensorInfo)]
    wanted = [child for child in takers.children if isinstance(child, TensorInfo)]
    known = set()
    for number, tensor in enumerate(wanted):
        known.add(options.mapping.a_key(str(tensor.key)))
        if number % _SLICE == 0:
            yield Progress("keys", number, len(wanted))
    for number, tensor in enumerate(given):
        if number % _SLICE == 0:
            yield Progress("keys", number, len(given))
        key = str(tensor.key)
        wanted_key = renamed.get(key)
        if wanted_key is None:
            wanted_key = options.mapping.b_key(key)
        if wanted_key not in known:
            unused.append(Unused(key, wanted_key, tensor))
            continue
        earlier = matched.get(wanted_key)
        if earlier is not None:
            # As in a dictionary, of two with one key the last counts.
            unused.append(Unused(earlier[0], wanted_key, earlier[1]))
        matched[wanted_key] = (key, tensor)
    flows = []
    for number, tensor in enumerate(wanted):
        if number % _SLICE == 0:
            yield Progress("flows", number, len(wanted))
        key = str(tensor.key)
        flows.append(_flow(key, tensor, matched.get(options.mapping.a_key(key)), options))
    unknown = options.choices.keys() - {flow.key for flow in flows}
    if unknown:
        raise CannotSave("transfer-no-key", target.path, key=min(unknown))
    return TransferPlan(
        source, target, givers.path, takers.path, options, tuple(flows), tuple(unused)
    )


def planning_result(
    plan: TransferPlan, out: str | os.PathLike[str]
) -> Generator[Progress, None, SavePlan]:
    """What `saving.save.saving` writes for `plan`: the target with what flows into it.

    Raises:
        CannotSave: `out` has an ending that is not written.
    """
    replacements = {}
    for number, flow in enumerate(plan.flows):
        if number % _SLICE == 0:
            yield Progress("flows", number, len(plan.flows))
        replacement = replacement_of(plan, flow)
        if replacement is not None:
            replacements[flow.target] = replacement
    # Other forms than torch's hold one state_dict: the one that was chosen.
    sections = None if form_of(out) == Form.TORCH else (plan.target_section,)
    made = yield from planning([plan.target], out, SaveOptions(sections=sections), replacements)
    return replace(made, checkpoints=(plan.target, plan.source))


def _section(checkpoint: Checkpoint, path: TreePath | None) -> Node:
    return the_model(checkpoint) if path is None else chosen_nodes(checkpoint, [path])[0]


def _flow(
    key: str,
    target: TensorInfo,
    found: tuple[str, TensorInfo] | None,
    options: TransferOptions,
) -> Flow:
    chosen = options.choices.get(key)
    if found is None:
        choice = chosen or options.missing
        if choice.act in (Act.TAKE, Act.FIT):
            raise CannotSave("transfer-no-source", where=target.name, key=key)
        _check_new(key, target, choice)
        return Flow(key, target, None, None, choice, (Reason.ABSENT,))
    source_key, source = found
    reasons = (Reason.DTYPE,) if source.dtype != target.dtype else ()
    if source.shape == target.shape:
        choice = chosen or Choice(Act.TAKE)
        if choice.act in (Act.KEEP, Act.INITIALISE):
            reasons = (*reasons, Reason.CHOSEN)
    else:
        reasons = (Reason.SHAPE, *reasons)
        choice = chosen or options.mismatched
        if choice.act == Act.TAKE:
            raise CannotSave("transfer-fit", where=target.name, key=key, what="its shape differs")
    if choice.act == Act.FIT:
        what = unfit(source, target)
        if what and chosen is not None:
            raise CannotSave("transfer-fit", where=target.name, key=key, what=what)
        if what:
            choice, reasons = Choice(Act.KEEP), (*reasons, Reason.NOT_STRIDED)
    _check_new(key, target, choice)
    return Flow(key, target, source_key, source, choice, reasons)


def _check_new(key: str, target: TensorInfo, choice: Choice) -> None:
    if choice.act == Act.INITIALISE and not _has_values(target):
        what = f"it is {target.layout} {target.dtype}"
        raise CannotSave("transfer-fit", where=target.name, key=key, what=what)
