"""What torch would take without a word, and what its first step would trip over.

`load_state_dict` of an optimizer goes by place alone: states that belong to other parameters,
or are missing, are found here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from inspector_app.worker.rehearsal_protocol import Finding, OptimizerChoice, ParameterSpec

_NAMED = 3
# Entries of a state whose shape is not the parameter's, by the classes that keep them.
_OTHER_SHAPES = {
    "Adafactor": ("row_var", "col_var"),
    "LBFGS": None,  # one flat state for all parameters together
}


def group_findings(
    groups: Sequence[Sequence[ParameterSpec]], state: Mapping[str, Any]
) -> list[Finding]:
    saved = state["param_groups"]
    if len(saved) != len(groups):
        return [Finding("groups-differ", {"saved": len(saved), "given": len(groups)})]
    return [
        Finding("group-size", {"group": index, "saved": len(group["params"]), "given": len(specs)})
        for index, (group, specs) in enumerate(zip(saved, groups, strict=True))
        if len(group["params"]) != len(specs)
    ]


def state_findings(
    choice: OptimizerChoice, groups: Sequence[Sequence[ParameterSpec]], state: Mapping[str, Any]
) -> list[Finding]:
    """What torch would take without a word, and what its first step would trip over."""
    found: list[Finding] = []
    entries = state.get("state", {})
    places: list[tuple[int, int, ParameterSpec, Any]] = []
    for number, (group, specs) in enumerate(zip(state["param_groups"], groups, strict=True)):
        for place, (identity, spec) in enumerate(zip(group["params"], specs, strict=True)):
            places.append((number, place, spec, identity))
    found += _order_findings(state, places)
    moved = any(each.code == "order-changed" for each in found)
    if choice.class_name not in _OTHER_SHAPES or _OTHER_SHAPES[choice.class_name]:
        wrong = _shape_findings(choice, places, entries)
        if wrong and not moved:
            order = _permuted(places, entries)
            found += [order] if order is not None else wrong
    without = [spec.name for _, _, spec, identity in places if not entries.get(identity)]
    if entries and without and choice.class_name != "LBFGS":
        details = {"count": len(without), "total": len(places), "first": first_names(without)}
        found.append(Finding("state-missing", details))
    elif not entries and places and _keeps_state(choice.class_name, state):
        details = {"count": len(places), "total": len(places), "first": first_names(without)}
        found.append(Finding("state-missing", details))
    listed = {identity for *_, identity in places}
    extra = [each for each in entries if each not in listed]
    if extra:
        found.append(Finding("state-extra", {"count": len(extra)}, error=False))
    return found


def _keeps_state(class_name: str, state: Mapping[str, Any]) -> bool:
    """SGD without momentum has nothing to keep."""
    if class_name != "SGD":
        return True
    return any(group.get("momentum") for group in state["param_groups"])


def _order_findings(
    state: Mapping[str, Any], places: Sequence[tuple[int, int, ParameterSpec, Any]]
) -> list[Finding]:
    """Saved names (torch 2.6 and newer keep them) that stand at other places than the model's."""
    for number, group in enumerate(state["param_groups"]):
        saved = group.get("param_names")
        given = [spec.name for index, _, spec, _ in places if index == number]
        if not saved or list(saved) == given or Counter(saved) != Counter(given):
            continue
        for place, (was, now) in enumerate(zip(saved, given, strict=True)):
            if was != now:
                return [Finding("order-changed", _moved(number, place, was, now))]
    return []


def _moved(group: int, place: int, belongs: object, name: object) -> dict[str, object]:
    return {"group": group, "place": place, "belongs": str(belongs), "name": str(name)}


def _shape_findings(
    choice: OptimizerChoice,
    places: Sequence[tuple[int, int, ParameterSpec, Any]],
    entries: Mapping[Any, Any],
) -> list[Finding]:
    other = _OTHER_SHAPES.get(choice.class_name) or ()
    found = []
    for _, _, spec, identity in places:
        state = entries.get(identity)
        for key, value in state.items() if isinstance(state, Mapping) else ():
            shape = tuple(getattr(value, "shape", ()))
            if shape and key not in other and shape != spec.shape:
                details = {"entry": str(key), "name": spec.name}
                details |= {"state": str(list(shape)), "shape": str(list(spec.shape))}
                found.append(Finding("state-shape", details))
                break
    return found


def _permuted(
    places: Sequence[tuple[int, int, ParameterSpec, Any]], entries: Mapping[Any, Any]
) -> Finding | None:
    """Whether the states of a group have the shapes of its parameters, in another order."""
    for number in {each[0] for each in places}:
        inside = [each for each in places if each[0] == number]
        shapes = [_state_shape(entries.get(identity)) for *_, identity in inside]
        given = [spec.shape for _, _, spec, _ in inside]
        if None in shapes or shapes == given or Counter(shapes) != Counter(given):
            continue
        for (_, place, spec, _), shape in zip(inside, shapes, strict=True):
            fitting = [each.name for _, _, each, _ in inside if each.shape == shape]
            if spec.name not in fitting:
                belongs = fitting[0] if len(fitting) == 1 else f"one of {first_names(fitting)}"
                return Finding("order-changed", _moved(number, place, belongs, spec.name))
    return None


def _state_shape(entries: object) -> tuple[int, ...] | None:
    shapes = {tuple(each.shape) for each in tensors_of(entries) if each.ndim}
    return shapes.pop() if len(shapes) == 1 else None


def tensors_of(entries: object) -> list[Any]:
    values = entries.values() if isinstance(entries, Mapping) else ()
    return [each for each in values if hasattr(each, "ndim") and hasattr(each, "numel")]


def first_names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


# --- the scheduler


def scheduler_findings(
    state: Mapping[str, Any], rates: Sequence[float], epoch: int | None, step: int | None
) -> list[Finding]:
    """Where the scheduler's state does not agree with the optimizer's rates and the counters."""
    found: list[Finding] = []
    base = state.get("base_lrs")
    if isinstance(base, (list, tuple)) and rates and len(base) != len(rates):
        details: dict[str, object] = {"scheduler": len(base), "groups": len(rates)}
        found.append(Finding("scheduler-groups", details))
    last = state.get("_last_lr")
    if isinstance(last, (list, tuple)) and len(last) == len(rates):
        for group, (mine, its) in enumerate(zip(last, rates, strict=True)):
            if not math.isclose(float(mine), its, rel_tol=1e-6, abs_tol=1e-12):
                details = {"scheduler": f"{float(mine):g}", "optimizer": f"{its:g}"}
                found.append(Finding("scheduler-rate", details | {"group": group}))
                break
    counted = state.get("last_epoch")
    if isinstance(counted, int):
        found += _count_findings(counted, epoch, step)
    return found


def _count_findings(counted: int, epoch: int | None, step: int | None) -> list[Finding]:
    """A scheduler counts epochs or steps; the counters are saved before or after it counts."""
    near = [each for each in (epoch, step) if each is not None]
    if not near or any(counted - each in (-1, 0, 1) for each in near):
        return []
    if epoch is not None and counted > 2 * (epoch + 1):
        per_epoch = counted % (epoch + 1) == 0 or (epoch > 0 and counted % epoch == 0)
        if per_epoch:
            return []  # it counts the steps of each epoch
    name, value = ("epoch", epoch) if epoch is not None else ("step", step)
    details = {"counted": counted, "name": name, "value": value}
    return [Finding("scheduler-epoch", details)]
