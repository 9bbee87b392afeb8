"""Putting a checkpoint's tensors into a model, and saying first what does not fit.

What fits is decided by ``load_state_dict`` itself, so that modules with a loading of their
own (renamed keys of older versions, lazy shapes) are heard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.protocol import LoadReport, Mismatch, Weights
from inspector_app.worker.user_errors import failure_of

_MISMATCH = re.compile(r"^\s*size mismatch for (.+?): copying a param", re.MULTILINE)
_NAMED = 3


def load(model: Any, tensors: dict[str, Any], weights: Weights) -> LoadReport:
    """Load `tensors` into `model`, in place, under the keys that `weights` asks for.

    Everything that fits is loaded, whether it is strict or not.

    Raises:
        Failure: the model refuses them for another reason than their keys and shapes.
    """
    own = list(model.state_dict())
    renamed, stripped, added = _renamed(tensors, own, weights)
    for key, other in _tied(model).items():
        # safetensors and transformers save one of several names of a parameter.
        if key not in renamed and other in renamed:
            renamed[key] = renamed[other]
    try:
        model.load_state_dict(renamed)
        return LoadReport(len(renamed), stripped=stripped, added=added)
    except RuntimeError as error:
        text = str(error)
        if "Error(s) in loading state_dict" not in text:
            raise failure_of("load", error) from error
    except Exception as error:
        raise failure_of("load", error) from error
    shapes = {key: tuple(value.shape) for key, value in _tensors(model.state_dict())}
    mismatched = tuple(
        Mismatch(key, shapes.get(key, ()), tuple(renamed[key].shape))
        for key in _MISMATCH.findall(text)
        if key in renamed
    )
    for each in mismatched:
        del renamed[each.key]
    try:
        missing, unexpected = model.load_state_dict(renamed, strict=False)
    except Exception as error:
        raise failure_of("load", error) from error
    wrong = {each.key for each in mismatched}
    return LoadReport(
        loaded=len(renamed) - len(unexpected),
        missing=tuple(key for key in missing if key not in wrong),
        unexpected=tuple(unexpected),
        mismatched=mismatched,
        stripped=stripped,
        added=added,
    )


def demand(report: LoadReport) -> None:
    """Raise `Failure` where anything does not fit."""
    if report.fits:
        return
    kinds = (
        [f"{key} is missing" for key in report.missing[:_NAMED]],
        [
            f"{each.key} is {list(each.checkpoint)} instead of {list(each.model)}"
            for each in report.mismatched[:_NAMED]
        ],
        [f"{key} is unexpected" for key in report.unexpected[:_NAMED]],
    )
    # One of each kind: a missing key beside an unexpected one tells what to rename.
    named = [each for row in zip_longest(*kinds) for each in row if each]
    raise Failure(
        "weights-do-not-fit",
        missing=len(report.missing),
        unexpected=len(report.unexpected),
        mismatched=len(report.mismatched),
        first="; ".join(named[:_NAMED]),
    )


def notes_of(report: LoadReport) -> list[str]:
    """What was done to the keys, and what a lenient load left out."""
    notes = []
    if report.stripped:
        notes.append(f"the checkpoint's keys lost the prefix {report.stripped}")
    if report.added:
        notes.append(f"the checkpoint's keys were given the prefix {report.added}")
    kept = [*report.missing, *(each.key for each in report.mismatched)]
    if kept:
        notes.append(f"keys of the model that keep their initial values: {_first_names(kept)}")
    if report.unexpected:
        named = _first_names(report.unexpected)
        notes.append(f"keys of the checkpoint that are not used: {named}")
    return notes


def _first_names(keys: Sequence[str]) -> str:
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _renamed(
    tensors: dict[str, Any], own: list[str], weights: Weights
) -> tuple[dict[str, Any], str, str]:
    """The tensors by the model's keys, and the prefixes that were dropped or put before."""
    keys = {key: weights.renames.get(key, key) for key in tensors}
    stripped = added = ""
    ruled = _rules(weights.rules)
    if not weights.renames:
        stripped, added = _prefixes(keys, own, weights.strip_prefixes, ruled)
        keys = {key: ruled(added + key.removeprefix(stripped)) for key in keys}
    if len(set(keys.values())) < len(keys):
        twice = _first_double(keys)
        raise Failure("weights-not-read", key=twice, reason="two keys of the file stand for it")
    renamed: Any = _Renamed()
    renamed.update((keys[key], value) for key, value in tensors.items())
    metadata = getattr(tensors, "_metadata", None)
    if metadata is not None:
        if stripped or added or weights.renames or weights.rules:
            prefix = stripped.rstrip(".")
            plainly = stripped and not added and not weights.rules
            metadata = _metadata_without(metadata, prefix) if plainly else None
        if metadata is not None:
            renamed._metadata = metadata
    return renamed, stripped, added


def _rules(rules: Iterable[tuple[str, str]]) -> Callable[[str], str]:
    """What makes a key of another by rules.

    Raises:
        Failure: a rule is no regular expression, or its replacement names no group of it.
    """
    compiled = []
    for pattern, replacement in rules:
        try:
            expression = re.compile(pattern)
            # An alternative that matches "" tells whether the replacement names its groups.
            re.compile(f"(?:{pattern})|").sub(replacement, "")
        except (re.error, IndexError, OverflowError, RecursionError) as error:
            rule = f"{pattern}=>{replacement}"
            raise Failure("bad-rule", rule=rule, reason=str(error)) from None
        compiled.append((expression, replacement))

    def ruled(key: str) -> str:
        for expression, replacement in compiled:
            key = expression.sub(replacement, key)
        return key

    return ruled


def _prefixes(
    keys: Iterable[str], own: list[str], known: tuple[str, ...], ruled: Callable[[str], str]
) -> tuple[str, str]:
    """What the checkpoint's keys lose, and get, so that most of them are the model's."""
    mine, theirs = set(own), set(keys)
    best = len(mine & set(map(ruled, theirs)))
    found = ("", "")
    for prefix in _combined(known):
        stripped = {ruled(key.removeprefix(prefix)) for key in theirs}
        if len(mine & stripped) > best and len(stripped) == len(theirs):
            best, found = len(mine & stripped), (prefix, "")
        matching = len(mine & {ruled(prefix + key) for key in theirs})
        if matching > best:
            best, found = matching, ("", prefix)
    return found


def _combined(known: tuple[str, ...]) -> list[str]:
    """Each prefix, and each two: a model may be wrapped twice."""
    return list(known) + [a + b for a in known for b in known if a != b]


def _metadata_without(metadata: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The versions of modules, by their names without a prefix."""
    inner = {
        name[len(prefix) + 1 :]: value
        for name, value in metadata.items()
        if name.startswith(f"{prefix}.")
    }
    if prefix in metadata:
        inner[""] = metadata[prefix]
    return inner


class _Renamed(dict[str, Any]):
    """Can carry ``_metadata``, as torch's OrderedDict does."""

    _metadata: Any


def _tied(model: Any) -> dict[str, str]:
    """Of each key whose parameter has several names another of these names."""
    names: dict[int, list[str]] = {}
    for key, value in model.state_dict(keep_vars=True).items():
        names.setdefault(id(value), []).append(key)
    tied = {}
    for group in names.values():
        for index, key in enumerate(group if len(group) > 1 else ()):
            tied[key] = group[index - 1]
    return tied


def _first_double(keys: Mapping[str, str]) -> str:
    seen = set()
    for key in keys.values():
        if key in seen:
            return key
        seen.add(key)
    return ""


def _tensors(state: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in state.items() if hasattr(value, "shape")]
