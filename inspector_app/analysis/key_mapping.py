"""How keys of one file become keys of the other: prefixes, rules, renames.

A mapping is what the user chose; what could be chosen is found by `suggest_prefixes` and
`suggesting_renames`, and is never applied by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from inspector_app.analysis.prefix_detection import common_prefixes
from inspector_app.analysis.rename_detection import RenameSuggestion, suggesting_renames
from inspector_app.checkpoint.model import Progress

__all__ = [
    "NO_MAPPING",
    "BadRuleError",
    "KeyMapping",
    "PrefixSuggestion",
    "RenameSuggestion",
    "Rule",
    "stripping",
    "suggest_prefixes",
    "suggesting_prefixes",
    "suggesting_renames",
]

_ARROW = "=>"
_SLICE = 4_000
# Parts of a model that were wrapped put these within its keys, not before them.
_INNER_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "module.")


class BadRuleError(ValueError):
    """A rule is no ``REGEX=>REPLACEMENT``; the message says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    r"""Each match of a regular expression in a key is replaced; ``\1`` stands for a group."""

    pattern: str
    replacement: str

    @classmethod
    def parse(cls, text: str) -> Rule:
        """A rule from ``REGEX=>REPLACEMENT``; the last arrow counts.

        Raises:
            BadRuleError: there is no arrow, or the expression or the replacement is wrong.
        """
        pattern, arrow, replacement = text.rpartition(_ARROW)
        if not arrow:
            raise BadRuleError(f"{text}: a rule is written REGEX{_ARROW}REPLACEMENT")
        rule = cls(pattern, replacement)
        rule.check()
        return rule

    def check(self) -> None:
        """Raise `BadRuleError` where the rule cannot be applied."""
        if not self.pattern:
            raise BadRuleError(f"{self}: there is nothing to replace")
        try:
            # An alternative that matches "" tells whether the replacement names its groups.
            re.compile(f"(?:{self.pattern})|").sub(self.replacement, "")
        except (re.error, IndexError, OverflowError, RecursionError) as error:
            raise BadRuleError(f"{self}: {error}") from None

    def apply(self, key: str) -> str:
        return re.sub(self.pattern, self.replacement, key)

    def __str__(self) -> str:
        return f"{self.pattern}{_ARROW}{self.replacement}"


@dataclass(frozen=True, slots=True)
class KeyMapping:
    """What is done to keys before they are matched.

    Attributes:
        strip_a, strip_b: prefixes that the keys of A or B lose, one after the other; a key
            that does not begin with one keeps it.
        rules: for the keys of B, after its prefixes, one after the other.
        renames: B's own key and the key of A that it stands for; they win over the others.
    """

    strip_a: tuple[str, ...] = ()
    strip_b: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.strip_a or self.strip_b or self.rules or self.renames)

    def a_key(self, key: str) -> str:
        """What a key of A is matched by."""
        return _stripped(key, self.strip_a)

    def b_key(self, key: str) -> str:
        """What a key of B is matched by, but for renames."""
        key = _stripped(key, self.strip_b)
        for rule in self.rules:
            key = rule.apply(key)
        return key

    def renamed(self) -> dict[str, str]:
        """Of each renamed key of B what it is matched by."""
        return {own: self.a_key(wanted) for own, wanted in self.renames}

    def with_renames(self, renames: Iterable[tuple[str, str]]) -> KeyMapping:
        """This mapping with more renames accepted; a later one of a key wins."""
        return replace(self, renames=tuple({**dict(self.renames), **dict(renames)}.items()))

    def without_rename(self, own: str) -> KeyMapping:
        """This mapping without the rename of the key `own` of B."""
        return replace(self, renames=tuple(pair for pair in self.renames if pair[0] != own))


NO_MAPPING = KeyMapping()


def _stripped(key: str, prefixes: Sequence[str]) -> str:
    for prefix in prefixes:
        key = key.removeprefix(prefix)
    return key


def stripping(
    prefixes: Sequence[str], a_keys: Iterable[str], b_keys: Iterable[str], mapping: KeyMapping
) -> KeyMapping:
    """`mapping` with prefixes that keys lose before its rules, one after the other.

    Each is dropped where most keys match then: from B's keys, from A's or from both.
    """
    mine, theirs = list(a_keys), list(b_keys)
    for prefix in prefixes:
        best, most = mapping, -1
        for in_b, in_a in ((True, False), (False, True), (True, True)):
            tried = replace(
                mapping,
                strip_a=mapping.strip_a + (prefix,) * in_a,
                strip_b=mapping.strip_b + (prefix,) * in_b,
            )
            matched = len(set(map(tried.a_key, mine)) & set(map(tried.b_key, theirs)))
            if matched > most:
                best, most = tried, matched
        mapping = best
    return mapping


class PrefixSuggestion(NamedTuple):
    """Keys that would match if prefixes were dropped.

    Attributes:
        a_prefix, b_prefix: what A's and B's keys would lose, or "".
        rules: for keys that are wrapped within, such as ``encoder._orig_mod.weight``.
        matched: keys of A that B would then have.
        total: keys of A.
    """

    a_prefix: str
    b_prefix: str
    rules: tuple[Rule, ...]
    matched: int
    total: int

    @property
    def share(self) -> float:
        return self.matched / self.total if self.total else 0.0

    def applied_to(self, mapping: KeyMapping) -> KeyMapping:
        """`mapping` with this suggestion accepted, after what it has."""
        return replace(
            mapping,
            strip_a=mapping.strip_a + ((self.a_prefix,) if self.a_prefix else ()),
            strip_b=mapping.strip_b + ((self.b_prefix,) if self.b_prefix else ()),
            rules=mapping.rules + self.rules,
        )


def suggest_prefixes(a_keys: Sequence[str], b_keys: Sequence[str]) -> list[PrefixSuggestion]:
    """What `suggesting_prefixes` finds, in one call."""
    steps = suggesting_prefixes(a_keys, b_keys)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: list[PrefixSuggestion] = end.value
            return found


def suggesting_prefixes(
    a_keys: Sequence[str], b_keys: Sequence[str]
) -> Generator[Progress, None, list[PrefixSuggestion]]:
    """Find what to drop so that more keys match, the best first.

    The keys are those that are matched now: with what the mapping in force makes of them.
    Nothing is suggested that does not make at least a tenth of the smaller file match anew.
    """
    a_set = set(a_keys)
    yield Progress("prefixes", 0)
    b_set = set(b_keys)
    yield Progress("prefixes", 0)
    now = len(a_set & b_set)
    least = now + max(1, min(len(a_set), len(b_set)) // 10)
    candidates: list[tuple[tuple[str, str], tuple[Rule, ...]]] = [
        (pair, ()) for pair in (yield from common_prefixes(a_keys, b_keys, a_set, b_set))
    ]
    for wrapper in _INNER_WRAPPERS:
        yield Progress("prefixes", 0)
        if any(wrapper in key for key in b_set):
            rule = Rule(rf"(^|\.){re.escape(wrapper)}", r"\1")
            candidates.append((("", ""), (rule,)))
    found = []
    for (a_prefix, b_prefix), rules in candidates:
        mapping = KeyMapping((a_prefix,), (b_prefix,), rules)
        mine: set[str] = a_set
        if a_prefix:
            mine = yield from _mapped(a_keys, mapping.a_key)
        theirs = yield from _mapped(b_keys, mapping.b_key)
        matched = len(mine & theirs)
        if matched >= least:
            found.append(PrefixSuggestion(a_prefix, b_prefix, rules, matched, len(a_set)))
    # Of suggestions that match the same, the one that changes least comes first; a rule that
    # does no more than a prefix does is none.
    best = max((each.matched for each in found if not each.rules), default=0)
    found = [each for each in found if not each.rules or each.matched > best]
    found.sort(
        key=lambda each: (-each.matched, len(each.rules), len(each.a_prefix + each.b_prefix))
    )
    return found


def _mapped(
    keys: Sequence[str], mapped: Callable[[str], str]
) -> Generator[Progress, None, set[str]]:
    made: set[str] = set()
    for start in range(0, len(keys), _SLICE):
        made.update(map(mapped, keys[start : start + _SLICE]))
        yield Progress("prefixes", start, len(keys))
    return made
