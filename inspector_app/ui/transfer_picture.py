"""From a plan to its picture: trees of the keys, and what becomes of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.transfer_plan import Act, Flow, Reason, TransferPlan, Unused
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.ui import transfer_fates
from inspector_app.ui.transfer_flows import Fate, Flows
from inspector_app.ui.transfer_keys import KeyTree, nesting
from inspector_app.ui.tree_columns import shape_text

_KEYS_A_STEP = 1_000
_translate = QCoreApplication.translate


@dataclass(slots=True)
class TransferPicture:
    """
    Attributes:
        plan: what is shown.
        flows: what is painted; its trees have the keys of `plan.flows`, and of the source in
            the order of what they are meant for.
        users: of each key of the source the place of the `Flow` that it is meant for, or of
            the `Unused`.
        totals: of the target's keys by fate, and of unused ones of the source.
    """

    plan: TransferPlan
    flows: Flows
    users: list[Flow | Unused]
    totals: Counter[int]

    def source_facts(self, place: int) -> str:
        """Shape and dtype of a key of the source."""
        user = self.users[place]
        tensor = user.source if isinstance(user, Flow) else user.tensor
        return facts(tensor)

    def target_facts(self, place: int) -> str:
        """Shape and dtype of a key of the target."""
        return facts(self.plan.flows[place].target)

    def source_reason(self, place: int) -> str:
        """What becomes of a key of the source, in words."""
        user = self.users[place]
        if isinstance(user, Flow):
            return reason_text(user)
        if user.matched_as != user.key:
            text = _translate("transfer", "unused: the target has no {key}")
            return text.format(key=plain(user.matched_as, 200))
        return _translate("transfer", "unused: the target has no such key")

    def target_reason(self, place: int) -> str:
        """What becomes of a key of the target, in words."""
        return reason_text(self.plan.flows[place])


def picturing(
    plan: TransferPlan, before: TransferPicture | None
) -> Generator[None, None, TransferPicture]:
    """Make the picture of a plan, in steps; trees of the same keys are kept as they are."""
    places: dict[str, int] = {}
    users: list[Flow | Unused] = []
    sources: list[int] = []
    fates: list[int] = []
    source_fates: list[int] = []
    for number, flow in enumerate(plan.flows):
        if number % _KEYS_A_STEP == _KEYS_A_STEP - 1:
            yield
        fate = fate_of(flow)
        fates.append(fate)
        if flow.source_key is None:
            sources.append(-1)
            continue
        place = places.setdefault(flow.source_key, len(users))
        if place == len(users):
            users.append(flow)
            source_fates.append(fate)
        sources.append(place)
    for number, unused in enumerate(plan.unused):
        if number % _KEYS_A_STEP == _KEYS_A_STEP - 1:
            yield
        if places.setdefault(unused.key, len(users)) == len(users):
            users.append(unused)
            source_fates.append(Fate.UNUSED)
    totals = Counter(fates)
    totals[Fate.UNUSED] = len(plan.unused)
    target_keys = [flow.key for flow in plan.flows]
    yield
    known = before.flows if before is not None else None
    target = known.target if known is not None and known.target.keys == target_keys else None
    if target is None:
        target = yield from nesting(target_keys)
    source_tree: KeyTree | None = None
    if known is not None and known.source.keys == list(places):
        source_tree = known.source
    elif known is not None and set(known.source.keys) == places.keys():
        # The same keys in another order: the tree on show stays, unfolded as it is.
        source_tree = known.source
        order = [places[key] for key in source_tree.keys]
        new_place = {old: new for new, old in enumerate(order)}
        sources = [new_place[place] if place >= 0 else -1 for place in sources]
        users = [users[old] for old in order]
        source_fates = [source_fates[old] for old in order]
    if source_tree is None:
        source_tree = yield from nesting(list(places))
    yield
    flows = Flows(source_tree, target, sources, fates, source_fates)
    return TransferPicture(plan, flows, users, totals)


def fate_of(flow: Flow) -> int:
    """What becomes of a key of the target."""
    act = flow.choice.act
    if act == Act.TAKE:
        return Fate.CAST if Reason.DTYPE in flow.reasons else Fate.TAKEN
    if act == Act.FIT:
        return Fate.FITTED
    if act == Act.INITIALISE:
        return Fate.NEW
    if flow.source is None:
        return Fate.ABSENT
    return Fate.KEPT if Reason.CHOSEN in flow.reasons else Fate.SKIPPED


def reason_text(flow: Flow) -> str:
    """What becomes of a key of the target, and why, in words."""
    fate = fate_of(flow)
    if fate == Fate.SKIPPED and flow.source is not None:
        if Reason.SHAPE in flow.reasons:
            text = _translate("transfer", "skipped: the shapes differ, {source} and {target}")
            return text.format(
                source=shape_text(flow.source.shape), target=shape_text(flow.target.shape)
            )
        return _translate("transfer", "skipped: it is no plain tensor")
    if fate == Fate.CAST and flow.source is not None:
        text = _translate("transfer", "taken: {source} becomes {target} on loading")
        return text.format(source=plain(flow.source.dtype, 40), target=plain(flow.target.dtype, 40))
    explained = transfer_fates.explanation(fate)
    return f"{transfer_fates.word(fate)}: {explained[:1].lower()}{explained[1:]}"


def facts(tensor: TensorInfo | None) -> str:
    """``10 × 512 · float32``."""
    if tensor is None:
        return ""
    return f"{shape_text(tensor.shape)} · {plain(tensor.dtype, 40)}"
