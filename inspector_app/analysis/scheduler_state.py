"""A learning rate scheduler's state: which class, what it says, and whether it knows what follows.

``LRScheduler.state_dict()`` is the object's attributes but for the optimizer (and for functions
that are no objects), so that each class shows itself by its own attributes. What some of them
do next is not in their state: a function, or a metric that is yet to be measured.

Sources: ``torch/optim/lr_scheduler.py`` and ``torch/optim/swa_utils.py`` of 1.0 to 2.13; timm
``scheduler/scheduler.py``; mmengine ``optim/scheduler/param_scheduler.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from inspector_app.analysis.node_values import Number, entries, items, number_of, numbers
from inspector_app.analysis.training_words import Scalar, Words, number_text, numbers_text
from inspector_app.checkpoint.model import Kind, Node, TreePath

_DEEPEST = 6
_MOST_PARTS = 64
TORCH = "torch.optim.lr_scheduler"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


class _Class(NamedTuple):
    """One class, or several whose states look alike, and the attributes that no other has all."""

    names: tuple[str, ...]
    attributes: frozenset[str]
    library: str = TORCH


# In this order: the first whose attributes are all there.
_CLASSES = (
    _Class(("ReduceLROnPlateau",), _names("num_bad_epochs patience cooldown_counter")),
    _Class(("SequentialLR",), _names("_schedulers _milestones")),
    _Class(("ChainedScheduler",), _names("_schedulers")),
    _Class(("OneCycleLR",), _names("total_steps cycle_momentum")),
    _Class(("CyclicLR",), _names("total_size step_ratio")),
    _Class(("CosineAnnealingWarmRestarts",), _names("T_0 T_mult T_cur")),
    _Class(("CosineAnnealingLR",), _names("T_max eta_min")),
    _Class(("SWALR",), _names("anneal_epochs"), "torch.optim.swa_utils"),
    _Class(("LinearLR",), _names("start_factor end_factor total_iters")),
    _Class(("PolynomialLR",), _names("power total_iters")),
    _Class(("ConstantLR",), _names("factor total_iters")),
    _Class(("MultiStepLR",), _names("milestones gamma")),
    _Class(("StepLR",), _names("step_size gamma")),
    _Class(("LambdaLR", "MultiplicativeLR"), _names("lr_lambdas")),
    _Class(("CosineLRScheduler",), _names("base_values lr_min t_initial"), "timm.scheduler"),
    _Class(("MultiStepLRScheduler",), _names("base_values decay_rate decay_t"), "timm.scheduler"),
    _Class(("PlateauLRScheduler",), _names("best last_epoch"), "timm.scheduler"),
    _Class(("ExponentialLR",), _names("gamma base_lrs")),
)
# Attributes that every scheduler has, in some version.
_COMMON = _names(
    "base_lrs last_epoch _step_count _last_lr verbose _get_lr_called_within_step _is_initial "
    "_get_lr_called_within_lr_step"
)


@dataclass(frozen=True, slots=True, eq=False)
class SchedulerState:
    """One scheduler.

    Attributes:
        path: of its state_dict.
        names: the classes that could have written it; () if none is known.
        library: the module that they are of, or "".
        last_epoch: how often it was stepped, as it counts itself, or None.
        base_rates, rates: the rates that it began with and those that stand now, for each param
            group; () where they are not kept.
        settings: its own attributes that are numbers or texts, in the file's order.
        words: what it does, in sentences.
        future: whether what comes next follows from the state.
        why: if it does not, why, and what is known.
        parts: the schedulers that it is made of.
        file: the file that it lies in; "" for the checkpoint's own.
    """

    path: TreePath
    names: tuple[str, ...]
    library: str
    last_epoch: int | None
    base_rates: tuple[Number, ...]
    rates: tuple[Number, ...]
    settings: Mapping[str, Scalar]
    words: tuple[Words, ...]
    future: bool
    why: Words | None
    parts: tuple[SchedulerState, ...] = ()
    file: str = ""

    @property
    def kind(self) -> str:
        """The class in a word; "" if it is not known."""
        return " or ".join(self.names)


def scheduler_state(node: Node, file: str = "", depth: int = 0) -> SchedulerState:
    """What the state_dict `node` of a scheduler says."""
    found = entries(node)
    names, library = _recognised(node, found)
    parts: tuple[SchedulerState, ...] = ()
    inner = found.get("_schedulers")
    if inner is not None and depth < _DEEPEST:
        parts = tuple(
            scheduler_state(child, file, depth + 1) for child in inner.children[:_MOST_PARTS]
        )
    settings = {
        key: child.value
        for key, child in found.items()
        if key not in _COMMON
        and child.kind == Kind.SCALAR
        and (child.value is None or isinstance(child.value, (bool, int, float, str)))
    }
    state = _Reading(names, found, settings, parts)
    why = state.unknown_future()
    return SchedulerState(
        node.path,
        names,
        library,
        state.last,
        numbers(found.get("base_lrs")) or numbers(found.get("base_values")),
        state.rates,
        settings,
        state.words(),
        why is None,
        why,
        parts,
        file,
    )


def _recognised(node: Node, found: Mapping[str, Node]) -> tuple[tuple[str, ...], str]:
    if node.kind == Kind.OBJECT and node.type_name:
        module, _, name = node.type_name.rpartition(".")
        return (name,), module
    keys = frozenset(found)
    for each in _CLASSES:
        if each.attributes <= keys:
            # What a scheduler of another library adds to torch's attributes is its own.
            if each.names == ("ExponentialLR",) and keys - _COMMON != {"gamma"}:
                continue
            if each.names == ("PlateauLRScheduler",) and keys != each.attributes:
                continue
            return each.names, each.library
    if {"_global_step", "last_step"} <= keys:
        return (), "mmengine"
    return (), ""


class _Reading:
    """The attributes of one scheduler, and what they mean."""

    def __init__(
        self,
        names: tuple[str, ...],
        found: Mapping[str, Node],
        settings: Mapping[str, Scalar],
        parts: tuple[SchedulerState, ...],
    ) -> None:
        self._name = names[0] if names else ""
        self._names = names
        self._found = found
        self._settings = settings
        self._parts = parts
        self.last = self._integer("last_epoch")
        if self.last is None:
            self.last = self._integer("last_step")
        self.rates = numbers(found.get("_last_lr")) or numbers(found.get("_last_value"))
        if self.last is not None and self.last < 0:
            self.last = None  # it was never stepped, or counts elsewhere
        if self.last is None and parts:
            counts = [part.last_epoch for part in parts if part.last_epoch is not None]
            self.last = max(counts, default=None)

    def _integer(self, key: str) -> int | None:
        node = self._found.get(key)
        value = number_of(node.value) if node is not None and node.kind == Kind.SCALAR else None
        return value if type(value) is int else None

    def _number(self, key: str) -> Number | None:
        return number_of(self._settings.get(key))

    def _shown(self, key: str) -> str:
        return number_text(self._settings.get(key))

    # --- what it does

    def words(self) -> tuple[Words, ...]:
        """What it is and where it stands."""
        sentences = [*self._rule()]
        if self.last is not None:
            if self.rates:
                rates = numbers_text(self.rates)
                sentences.append(Words("scheduler-stands", {"count": self.last, "rates": rates}))
            else:
                sentences.append(Words("scheduler-count", {"count": self.last}))
        return tuple(sentences)

    def _rule(self) -> list[Words]:
        rule = getattr(self, f"_of_{self._name}", None) if self._name else None
        if rule is not None:
            found: list[Words] = rule()
            return found
        return [Words("scheduler-unknown")] if not self._name else []

    def _settled(self, code: str, *keys: str, **more: object) -> list[Words]:
        return [Words(code, {**{key: self._shown(key) for key in keys}, **more})]

    def _of_StepLR(self) -> list[Words]:  # noqa: N802 - named as the class is
        size = self._integer("step_size")
        if not size or size < 0 or self.last is None:
            return []
        following = (self.last // size + 1) * size
        return self._settled("step-lr", "gamma", "step_size", following=following)

    def _of_MultiStepLR(self) -> list[Words]:  # noqa: N802
        milestones = self._milestones("milestones")
        if not milestones or self.last is None:
            return []
        ahead = [each for each in milestones if each > self.last]
        code = "multi-step-lr" if ahead else "multi-step-lr-over"
        texts = {"milestones": numbers_text(milestones, 12)}
        if ahead:
            texts["following"] = number_text(ahead[0])
        return self._settled(code, "gamma", **texts)

    def _milestones(self, key: str) -> list[int]:
        node = self._found.get(key)
        if node is None:
            return []
        if node.kind == Kind.MAPPING:
            return sorted(child.key for child in node.children if type(child.key) is int)
        return sorted(value for value in items(node) if type(value) is int)

    def _of_ExponentialLR(self) -> list[Words]:  # noqa: N802
        return self._settled("exponential-lr", "gamma")

    def _of_ConstantLR(self) -> list[Words]:  # noqa: N802
        return self._settled(self._over("constant-lr"), "factor", "total_iters")

    def _of_LinearLR(self) -> list[Words]:  # noqa: N802
        return self._settled(self._over("linear-lr"), "start_factor", "end_factor", "total_iters")

    def _of_PolynomialLR(self) -> list[Words]:  # noqa: N802
        return self._settled(self._over("polynomial-lr"), "power", "total_iters")

    def _over(self, code: str) -> str:
        total = self._number("total_iters")
        over = total is not None and self.last is not None and self.last >= total
        return f"{code}-over" if over else code

    def _of_CosineAnnealingLR(self) -> list[Words]:  # noqa: N802
        total = self._number("T_max")
        over = total is not None and self.last is not None and self.last > total
        return self._settled("cosine-lr-over" if over else "cosine-lr", "T_max", "eta_min")

    def _of_CosineAnnealingWarmRestarts(self) -> list[Words]:  # noqa: N802
        return self._settled("cosine-restarts", "T_0", "T_mult", "T_i", "T_cur", "eta_min")

    def _of_OneCycleLR(self) -> list[Words]:  # noqa: N802
        total = self._number("total_steps")
        over = total is not None and self.last is not None and self.last >= total - 1
        return self._settled("one-cycle-over" if over else "one-cycle", "total_steps")

    def _of_CyclicLR(self) -> list[Words]:  # noqa: N802
        total, ratio = self._number("total_size"), self._number("step_ratio")
        if total is None or ratio is None:
            return []
        up = number_text(total * ratio if math.isfinite(total * ratio) else None)
        return self._settled("cyclic-lr", "mode", "total_size", up=up)

    def _of_ReduceLROnPlateau(self) -> list[Words]:  # noqa: N802
        return self._settled(
            "plateau", "factor", "patience", "mode", "best", "num_bad_epochs", "cooldown_counter"
        )

    def _of_LambdaLR(self) -> list[Words]:  # noqa: N802
        return [Words("lambda-lr")]

    def _of_SWALR(self) -> list[Words]:  # noqa: N802
        return self._settled("swa-lr", "anneal_epochs")

    def _of_SequentialLR(self) -> list[Words]:  # noqa: N802
        milestones = self._milestones("_milestones")
        kinds = " → ".join(part.kind or "?" for part in self._parts[:8])
        if self.last is None:
            return []
        now = sum(self.last >= each for each in milestones)
        current = self._parts[now].kind if now < len(self._parts) else ""
        texts = {"kinds": kinds, "milestones": numbers_text(milestones, 8)}
        return [Words("sequential-lr", {**texts, "current": current or "?"})]

    def _of_ChainedScheduler(self) -> list[Words]:  # noqa: N802
        kinds = " × ".join(part.kind or "?" for part in self._parts[:8])
        return [Words("chained-lr", {"kinds": kinds})]

    # --- what it does next

    def unknown_future(self) -> Words | None:
        """Why what comes next does not follow from the state; None if it does."""
        if not self._name:
            return Words("future-unknown-class")
        if self._name == "LambdaLR":
            return Words("future-lambda", {"kinds": " or ".join(self._names)})
        if self._name == "ReduceLROnPlateau":
            patience, bad = self._number("patience"), self._number("num_bad_epochs")
            left = patience - bad + 1 if patience is not None and bad is not None else None
            if left is None or not 0 < left < 1 << 31:
                return Words("future-plateau-plain")
            texts = {"left": number_text(left), "factor": self._shown("factor")}
            return Words("future-plateau", texts)
        custom = self._found.get("_scale_fn_custom", self._found.get("_scale_fn_ref"))
        if self._name == "CyclicLR" and custom is not None and not _is_none(custom):
            return Words("future-cyclic")
        if self._found.get("_schedulers") is not None:
            for part in self._parts:
                if part.why is not None:
                    kind = part.kind or "?"
                    return Words("future-part", {"kind": kind, "reason": part.why.message})
            return None if self._parts else Words("future-unknown-class")
        if self._name not in _KNOWN_FUTURE:
            return Words("future-other-library", {"kind": self._name})
        return None


def _is_none(node: Node) -> bool:
    return node.kind == Kind.SCALAR and node.value is None


_KNOWN_FUTURE = frozenset(
    "StepLR MultiStepLR ExponentialLR ConstantLR LinearLR PolynomialLR CosineAnnealingLR "
    "CosineAnnealingWarmRestarts OneCycleLR CyclicLR SWALR".split()
)
