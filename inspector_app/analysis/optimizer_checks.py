"""Whether an optimizer's state fits its model, and itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from inspector_app.analysis.node_values import Number
from inspector_app.analysis.optimizer_kind import KINDS
from inspector_app.analysis.optimizer_state import Entry, OptimizerState, model_name, parameters_of
from inspector_app.analysis.parameter_names import How, Shape, identity_of
from inspector_app.analysis.resume_check import Check, CheckStatus, Subject, named_places
from inspector_app.analysis.training_state import TrainingState
from inspector_app.analysis.training_words import Words, number_text

Counters = Sequence[tuple[str, Number]]


def optimizer_checks(state: TrainingState, counters: Sequence[Counters]) -> Iterator[Check]:
    """The checks of all optimizers; `counters` has the steps of each one's parameters."""
    if not state.optimizers:
        yield Check(Subject.OPTIMIZER, CheckStatus.FAILED, Words("resume-no-optimizer"))
        return
    shapes = _shapes(state)
    for optimizer, steps in zip(state.optimizers, counters, strict=True):
        where = "/".join(map(str, optimizer.path)) if len(state.optimizers) > 1 else ""
        for check in _of_one(state, optimizer, steps, shapes):
            yield check._replace(where=where)


def _shapes(state: TrainingState) -> Mapping[str, Shape]:
    """The shape of each parameter, by the names that optimizers give them."""
    several = len(state.models) > 1
    return {
        parameter.name: parameter.shape
        for model in state.models
        for parameter in parameters_of(model, f"{model_name(model)}/" if several else "")
    }


def _of_one(
    state: TrainingState, optimizer: OptimizerState, steps: Counters, shapes: Mapping[str, Shape]
) -> Iterator[Check]:
    yield _entries(state, optimizer)
    missing = _missing_slots(optimizer)
    if missing is not None:
        yield missing
    if state.models and any(entry.shape is not None for entry in optimizer.entries):
        yield _fit(state, optimizer, shapes)
    if state.models:
        yield _named(optimizer)
    counted = _counted(state, optimizer, steps)
    if counted is not None:
        yield counted


def _entries(state: TrainingState, optimizer: OptimizerState) -> Check:
    """One entry for each parameter."""
    listed = [entry for entry in optimizer.entries if entry.group >= 0]
    stray = [entry for entry in optimizer.entries if entry.group < 0]
    kept = [entry for entry in listed if entry.slots]
    details: dict[str, object] = {
        "kind": optimizer.kind or "?",
        "count": len(listed),
        "kept": len(kept),
        "slots": ", ".join(optimizer.slots),
    }
    twice = [str(key) for key, count in Counter(str(e.id) for e in listed).items() if count > 1]
    if not listed:
        return _check(CheckStatus.FAILED, "resume-no-groups", details)
    if twice:
        return _check(CheckStatus.FAILED, "resume-twice", {"names": named_places(twice)})
    if stray:
        names = named_places([str(entry.id) for entry in stray])
        return _check(CheckStatus.WARNING, "resume-stray", {"count": len(stray), "names": names})
    if not kept:
        return _nothing_kept(state, optimizer, details)
    if len(kept) == len(listed) or optimizer.flat:
        return _check(CheckStatus.OK, "resume-optimizer", details)
    without = [_name(entry) for entry in listed if not entry.slots]
    details |= {"without": len(without), "names": named_places(without)}
    return _check(CheckStatus.WARNING, "resume-entries-missing", details)


def _nothing_kept(
    state: TrainingState, optimizer: OptimizerState, details: Mapping[str, object]
) -> Check:
    momentum = any(group.options.get("momentum") for group in optimizer.groups)
    if optimizer.recognised.names == ("SGD",) and not momentum:
        return _check(CheckStatus.OK, "resume-sgd-plain", details)
    reached = [
        figure.value
        for figure in (state.step, state.epoch)
        if figure is not None and isinstance(figure.value, (int, float))
    ]
    if any(value > 0 for value in reached):
        return _check(CheckStatus.FAILED, "resume-state-empty", details)
    return _check(CheckStatus.WARNING, "resume-state-not-begun", details)


def _missing_slots(optimizer: OptimizerState) -> Check | None:
    """Entries that lack what the optimizer needs at each step."""
    needs = frozenset[str]()
    for kind in KINDS:
        if kind.name in optimizer.recognised.names and kind.library == optimizer.recognised.library:
            needs = kind.needs
    if "step" in optimizer.slots:
        needs |= {"step"}
    short: dict[str, list[str]] = {}
    for entry in optimizer.entries:
        lacking = needs - {slot.name for slot in entry.slots}
        if entry.slots and lacking and entry.group >= 0:
            short.setdefault(", ".join(sorted(lacking)), []).append(_name(entry))
    for lacking_names, entries in short.items():
        details = {"slots": lacking_names, "count": len(entries), "names": named_places(entries)}
        return _check(CheckStatus.FAILED, "resume-slots-missing", details)
    return None


def _fit(state: TrainingState, optimizer: OptimizerState, shapes: Mapping[str, Shape]) -> Check:
    """The shapes of what is kept are those of the parameters."""
    wrong = []
    for entry in optimizer.entries:
        if entry.shape is None or entry.group < 0:
            continue
        known = shapes.get(entry.named.name) if entry.named.name else None
        if (known is not None and known != entry.shape) or not entry.named.total:
            wrong.append(f"{_name(entry)} {list(entry.shape)}")
    if wrong:
        details = {"count": len(wrong), "names": named_places(wrong)}
        return Check(Subject.SHAPES, CheckStatus.FAILED, Words("resume-shapes", details))
    most = len({identity_of(each) for model in state.models for each in parameters_of(model)})
    count = sum(group.parameters for group in optimizer.groups)
    if count > most:
        details = {"count": count, "most": most}
        return Check(Subject.SHAPES, CheckStatus.FAILED, Words("resume-too-many", details))
    if not optimizer.in_order:
        return Check(Subject.SHAPES, CheckStatus.WARNING, Words("resume-order"))
    return Check(Subject.SHAPES, CheckStatus.OK, Words("resume-shapes-fit"))


def _named(optimizer: OptimizerState) -> Check:
    """How many of its numbers have a name."""
    entries = [entry for entry in optimizer.entries if entry.group >= 0]
    ambiguous = [entry for entry in entries if not entry.named.name]
    details: dict[str, object] = {"count": len(entries), "ambiguous": len(ambiguous)}
    if ambiguous:
        details["names"] = named_places([str(entry.id) for entry in ambiguous])
        return Check(Subject.NAMES, CheckStatus.NOTE, Words("resume-ambiguous", details))
    if optimizer.left_out:
        left = {"count": len(optimizer.left_out), "names": named_places(optimizer.left_out)}
        return Check(Subject.NAMES, CheckStatus.NOTE, Words("resume-left-out", left))
    how = {entry.named.how for entry in entries}
    code = "resume-names-given" if how == {How.GIVEN} else "resume-names-order"
    return Check(Subject.NAMES, CheckStatus.OK, Words(code, details))


def _counted(state: TrainingState, optimizer: OptimizerState, steps: Counters) -> Check | None:
    """All parameters have made as many steps, and the file says the same number."""
    if not steps:
        return None
    counts = Counter(value for _, value in steps)
    common, _ = counts.most_common(1)[0]
    other = [f"{name} {number_text(value)}" for name, value in steps if value != common]
    details: dict[str, object] = {"step": number_text(common)}
    if other:
        details |= {"count": len(other), "names": named_places(other)}
        return Check(Subject.COUNTERS, CheckStatus.WARNING, Words("resume-steps-differ", details))
    told = state.step.value if state.step is not None else None
    if isinstance(told, (int, float)) and told != common and len(state.optimizers) == 1:
        details["told"] = number_text(told)
        whole = common and told % common == 0
        status = CheckStatus.NOTE if whole or told == common - 1 else CheckStatus.WARNING
        code = "resume-steps-multiple" if whole else "resume-steps-other"
        return Check(Subject.COUNTERS, status, Words(code, details))
    return Check(Subject.COUNTERS, CheckStatus.OK, Words("resume-steps", details))


def _name(entry: Entry) -> str:
    return entry.named.name or str(entry.id)


def _check(status: str, code: str, details: Mapping[str, object]) -> Check:
    return Check(Subject.OPTIMIZER, status, Words(code, details))
