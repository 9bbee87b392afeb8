"""Whether an optimizer's state fits its model, and itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inspector_app.analysis.node_values import Number
from inspector_app.analysis.optimizer_kind import KINDS
from inspector_app.analysis.optimizer_state import Entry, OptimizerState
from inspector_app.analysis.parameter_names import How, Parameter, identity_of
from inspector_app.analysis.resume_check import Check, CheckStatus, Subject, named_places
from inspector_app.analysis.training_model import parameters_of
from inspector_app.analysis.training_state import TrainingState
from inspector_app.analysis.training_words import Words, number_text
from inspector_app.checkpoint.model import Progress

Counters = Sequence[tuple[str, Number]]
_SLICE = 500
# Evenly taken of more parameters, as their counters are tensors that must be read.
MOST_COUNTERS = 2_048


def checking_optimizers(
    state: TrainingState, counters: Sequence[Counters]
) -> Generator[Progress, None, list[Check]]:
    """The checks of all optimizers, in short steps.

    Args:
        counters: the steps of each one's parameters.
    """
    if not state.optimizers:
        return [Check(Subject.OPTIMIZER, CheckStatus.FAILED, Words("resume-no-optimizer"))]
    parameters: dict[str, Parameter] = {}
    for model in parameters_of(state.models):
        for start in range(0, len(model), _SLICE):
            yield Progress("checks", start, len(model))
            parameters.update((each.name, each) for each in model[start : start + _SLICE])
    found: list[Check] = []
    for optimizer, steps in zip(state.optimizers, counters, strict=True):
        facts = yield from _looking(optimizer, parameters)
        where = "/".join(map(str, optimizer.path)) if len(state.optimizers) > 1 else ""
        checks = _of_one(state, optimizer, facts, steps, parameters)
        found += [check._replace(where=where) for check in checks]
    return found


@dataclass(slots=True)
class _Facts:
    """What was found in going over the entries.

    Attributes:
        listed, kept: how many entries a group lists, and how many of these have a state.
        twice: numbers that are listed more than once.
        stray: those that no group lists.
        without: names of those that have no state.
        short: names of those that lack what every step needs, by what that is.
        wrong: those whose shape is not the parameter's.
        ambiguous: numbers without a name.
        shaped: some shape is known.
        given: all names are the file's own.
    """

    listed: int = 0
    kept: int = 0
    twice: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    short: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    shaped: bool = False
    given: bool = True


def _looking(
    optimizer: OptimizerState, parameters: Mapping[str, Parameter]
) -> Generator[Progress, None, _Facts]:
    facts = _Facts()
    needs = _needed(optimizer)
    seen: set[str | int] = set()
    for number, entry in enumerate(optimizer.entries):
        if number % _SLICE == _SLICE - 1:
            yield Progress("checks", number, len(optimizer.entries))
        if entry.group < 0:
            facts.stray.append(str(entry.id))
            continue
        facts.listed += 1
        if entry.id in seen:
            facts.twice.append(str(entry.id))
        seen.add(entry.id)
        if entry.node is None:
            facts.without.append(_name(entry))
        else:
            facts.kept += 1
            lacking = needs.difference(entry.slot_names) if needs else needs
            if lacking:
                facts.short.setdefault(", ".join(sorted(lacking)), []).append(_name(entry))
        if not entry.named.name:
            facts.ambiguous.append(str(entry.id))
        facts.given = facts.given and entry.named.how == How.GIVEN
        if entry.shape is not None:
            facts.shaped = True
            known = parameters.get(entry.named.name)
            if (known is not None and known.shape != entry.shape) or not entry.named.total:
                facts.wrong.append(f"{_name(entry)} {list(entry.shape)}")
    return facts


def _needed(optimizer: OptimizerState) -> frozenset[str]:
    """What it needs of each parameter that has any state."""
    needs = frozenset[str]()
    recognised = optimizer.recognised
    for kind in KINDS:
        if kind.name in recognised.names and kind.library == recognised.library:
            needs = kind.needs
    return needs | {"step"} if needs and "step" in optimizer.slots else needs


def _of_one(
    state: TrainingState,
    optimizer: OptimizerState,
    facts: _Facts,
    steps: Counters,
    parameters: Mapping[str, Parameter],
) -> Iterator[Check]:
    yield _entries(state, optimizer, facts)
    for lacking, names in facts.short.items():
        details = {"slots": lacking, "count": len(names), "names": named_places(names)}
        yield _check(CheckStatus.FAILED, "resume-slots-missing", details)
        break
    if state.models and facts.shaped:
        yield _fit(optimizer, facts, parameters)
    if state.models and facts.listed:
        yield _named(optimizer, facts)
    counted = _counted(state, optimizer, steps)
    if counted is not None:
        yield counted


def _entries(state: TrainingState, optimizer: OptimizerState, facts: _Facts) -> Check:
    """One entry for each parameter."""
    details: dict[str, object] = {
        "kind": optimizer.kind or "?",
        "count": facts.listed,
        "slots": ", ".join(optimizer.slots),
    }
    if not facts.listed:
        return _check(CheckStatus.FAILED, "resume-no-groups", details)
    if facts.twice:
        return _check(CheckStatus.FAILED, "resume-twice", {"names": named_places(facts.twice)})
    if facts.stray:
        stray = {"count": len(facts.stray), "names": named_places(facts.stray)}
        return _check(CheckStatus.WARNING, "resume-stray", stray)
    if not facts.kept:
        return _nothing_kept(state, optimizer, details)
    if not facts.without or optimizer.flat:
        return _check(CheckStatus.OK, "resume-optimizer", details)
    details |= {"without": len(facts.without), "names": named_places(facts.without)}
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


def _fit(optimizer: OptimizerState, facts: _Facts, parameters: Mapping[str, Parameter]) -> Check:
    """The shapes of what is kept are those of the parameters, and there are no more of them."""
    if facts.wrong:
        details = {"count": len(facts.wrong), "names": named_places(facts.wrong)}
        return Check(Subject.SHAPES, CheckStatus.FAILED, Words("resume-shapes", details))
    most = len({identity_of(parameter) for parameter in parameters.values()})
    if facts.listed > most:
        counts = {"count": facts.listed, "most": most}
        return Check(Subject.SHAPES, CheckStatus.FAILED, Words("resume-too-many", counts))
    if not optimizer.in_order:
        return Check(Subject.SHAPES, CheckStatus.WARNING, Words("resume-order"))
    return Check(Subject.SHAPES, CheckStatus.OK, Words("resume-shapes-fit"))


def _named(optimizer: OptimizerState, facts: _Facts) -> Check:
    """How many of its numbers have a name."""
    details: dict[str, object] = {"count": facts.listed, "ambiguous": len(facts.ambiguous)}
    if facts.ambiguous:
        details["names"] = named_places(facts.ambiguous)
        return Check(Subject.NAMES, CheckStatus.NOTE, Words("resume-ambiguous", details))
    if optimizer.left_out:
        left = {"count": len(optimizer.left_out), "names": named_places(optimizer.left_out)}
        return Check(Subject.NAMES, CheckStatus.NOTE, Words("resume-left-out", left))
    code = "resume-names-given" if facts.given else "resume-names-order"
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
    if len(steps) == MOST_COUNTERS < len(optimizer.entries):
        details |= {"count": len(steps), "of": len(optimizer.entries)}
        return Check(Subject.COUNTERS, CheckStatus.OK, Words("resume-steps-sampled", details))
    return Check(Subject.COUNTERS, CheckStatus.OK, Words("resume-steps", details))


def _name(entry: Entry) -> str:
    return entry.named.name or str(entry.id)


def _check(status: str, code: str, details: Mapping[str, object]) -> Check:
    return Check(Subject.OPTIMIZER, status, Words(code, details))
