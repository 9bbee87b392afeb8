"""Which prefixes two sets of keys could lose so that they match.

Not a list of known wrappers: whatever stands before keys that are otherwise the same is
found, ``module.``, ``_orig_mod.module.`` and ``model.net.`` alike. A sample of the keys
names the candidates; whoever asks counts them over all keys.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence, Set

from inspector_app.checkpoint.model import Progress

_SAMPLE = 400
_SLICE = 1_000
_MOST = 8
_LONGEST = 2_000  # characters of a key that are looked at: a hostile one has a million
# Keys that end alike in more of the other file's keys than this say nothing.
_AMBIGUOUS = 4
# What wraps a model stands before all keys but a counter or two.
_NEARLY_ALL = 0.8
_BOUNDARY = re.compile(r"[./:]|_(?=[^_])")


def common_prefixes(
    a_keys: Sequence[str], b_keys: Sequence[str], a_set: Set[str], b_set: Set[str]
) -> Generator[Progress, None, list[tuple[str, str]]]:
    """Pairs of prefixes, of A's and of B's keys, one of them mostly ""; likely ones first.

    `a_set` and `b_set` have the same keys.
    """
    found: Counter[tuple[str, str]] = Counter()
    for key in _sample(b_keys):
        if key not in a_set:
            found.update(("", key[:at]) for at in _starts(key) if key[at:] in a_set)
    yield Progress("prefixes", 0)
    for key in _sample(a_keys):
        if key not in b_set:
            found.update((key[:at], "") for at in _starts(key) if key[at:] in b_set)
    best = [pair for pair, _ in found.most_common(_MOST)]
    # Both may be wrapped, each in its own way; that one file alone is tells less costly.
    if not found or found.most_common(1)[0][1] < _SAMPLE // 8:
        sampled = [key for key in _sample(b_keys) if key not in a_set]
        best += yield from _on_both_sides(a_keys, b_keys, sampled)
    return list(dict.fromkeys(best))


def _on_both_sides(
    a_keys: Sequence[str], b_keys: Sequence[str], sampled: Sequence[str]
) -> Generator[Progress, None, list[tuple[str, str]]]:
    """Prefixes where each file has its own before what is the same."""
    wanted: dict[str, list[str]] = {}
    endings = {key[at:] for key in sampled for at in _starts(key)}
    for number, key in enumerate(a_keys):
        if number % _SLICE == 0:
            yield Progress("prefixes", number, len(a_keys))
        for at in _starts(key):
            ending = key[at:]
            if ending in endings:
                before = wanted.setdefault(ending, [])
                if len(before) <= _AMBIGUOUS:
                    before.append(key[:at])
    found: Counter[tuple[str, str]] = Counter()
    for key in sampled:
        # The longest ending that A has too.
        for at in _starts(key):
            before = wanted.get(key[at:], [])
            if 0 < len(before) <= _AMBIGUOUS:
                found.update((each, key[:at]) for each in before)
                break
    return [
        (a_prefix, b_prefix)
        for (a_prefix, b_prefix), _ in found.most_common(_MOST)
        if _is_usual(a_prefix, a_keys) and _is_usual(b_prefix, b_keys)
    ]


def _is_usual(prefix: str, keys: Sequence[str]) -> bool:
    """Whether nearly all keys begin with `prefix`."""
    sampled = _sample(keys)
    return sum(key.startswith(prefix) for key in sampled) >= _NEARLY_ALL * len(sampled)


def _sample(keys: Sequence[str]) -> Sequence[str]:
    step = max(1, len(keys) // _SAMPLE)
    return keys[::step]


def _starts(key: str) -> Iterator[int]:
    """Where the rest of a key begins if it loses a prefix, the shortest prefix first."""
    return (found.end() for found in _BOUNDARY.finditer(key[:_LONGEST]))
