"""A transfer in words and as JSON: what flowed, what did not, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.transfer_plan import Act, Flow, Reason, TransferPlan, Unused
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.text import plain

_ACTS = {
    Act.TAKE: "taken",
    Act.FIT: "fitted",
    Act.INITIALISE: "made anew",
    Act.KEEP: "kept",
}


def report_text(plan: TransferPlan, out: str) -> str:
    """The whole report, with every skipped key."""
    return "".join(text_parts(plan, out, shown=None))


def text_parts(
    plan: TransferPlan, out: str, shown: int | None = 40, into: str = ""
) -> Iterator[str]:
    """The report, with at most `shown` keys of a kind; None lists them all.

    Args:
        into: what the target is called, if not by its file.
    """
    acts = [flow.choice.act for flow in plan.flows]
    counts = {act: acts.count(act) for act in _ACTS}
    yield f"{plain(plan.source.path)} into {plain(into or plan.target.path)} gives {plain(out)}\n"
    said = ", ".join(f"{count_text(count)} {_ACTS[act]}" for act, count in counts.items() if count)
    yield f"  of {count_text(len(plan.flows))} tensors: {said or 'none'}\n"
    cast = [flow for flow in plan.flows if flow.flows and Reason.DTYPE in flow.reasons]
    how = "cast" if plan.options.cast else "taken as they are, and cast when they are loaded"
    yield from _listed(f"of another dtype, {how}:", map(_dtypes, cast), shown)
    yield from _listed("skipped:", map(skipped_line, skipped(plan)), shown)
    kept = [
        f"{plain(flow.key)}: {_ACTS[flow.choice.act]}" for flow in plan.flows if flow.source is None
    ]
    yield from _listed("not in the source:", kept, shown)


def skipped(plan: TransferPlan) -> list[Flow | Unused]:
    """What of the source does not flow: keys that the target has first."""
    return [*(flow for flow in plan.flows if flow.skipped), *plan.unused]


def skipped_line(each: Flow | Unused) -> str:
    """The key, and why it does not flow."""
    if isinstance(each, Unused):
        renamed = f" (as {plain(each.matched_as)})" if each.matched_as != each.key else ""
        return f"{plain(each.key)}{renamed}: the target has no such key"
    return f"{plain(each.source_key or each.key)}: {reason_text(each)}"


def reason_text(flow: Flow) -> str:
    """Why a tensor of the source does not flow into this key of the target."""
    assert flow.source is not None
    if Reason.SHAPE in flow.reasons:
        how = f"its shape is {_shape(flow.source)}, the target has {_shape(flow.target)}"
        return f"{how}, and it cannot be fitted" if Reason.NOT_STRIDED in flow.reasons else how
    if flow.choice.act == Act.INITIALISE:
        return "made anew, as chosen"
    return "the target's own is kept, as chosen"


def _dtypes(flow: Flow) -> str:
    assert flow.source is not None
    return f"{plain(flow.key)}: {flow.source.dtype}, the target has {flow.target.dtype}"


def _shape(tensor: TensorInfo) -> str:
    return f"[{', '.join(map(str, tensor.shape))}]"


def _listed(title: str, lines: Iterable[str], shown: int | None) -> Iterator[str]:
    every = list(lines)
    if not every:
        return
    yield f"  {title}\n"
    for line in every[:shown]:
        yield f"    {line}\n"
    if shown is not None and len(every) > shown:
        yield f"    and {count_text(len(every) - shown)} more\n"


def json_text(plan: TransferPlan, out: str, files: Iterable[str], into: str = "") -> str:
    """One object, with a newline at its end."""
    flows = [
        {
            "key": flow.key,
            "source_key": flow.source_key,
            "act": flow.choice.act,
            "reasons": list(flow.reasons),
            "skipped": flow.skipped,
            "shape": list(flow.target.shape),
            "dtype": flow.target.dtype,
            "source_shape": None if flow.source is None else list(flow.source.shape),
            "source_dtype": None if flow.source is None else flow.source.dtype,
        }
        for flow in plan.flows
    ]
    unused = [
        {"key": each.key, "matched_as": each.matched_as, "reasons": [Reason.ABSENT]}
        for each in plan.unused
    ]
    content = {
        "schema": 1,
        "source": plan.source.path,
        "target": into or plan.target.path,
        "out": out,
        "files": list(files),
        "source_section": list(plan.source_section),
        "target_section": list(plan.target_section),
        "skipped": plan.skipped,
        "flows": flows,
        "unused": unused,
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n"
