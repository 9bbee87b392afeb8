"""What a report of a comparison says, whatever form it is written in.

A report is bounded: identical keys are counted and not listed, and of the others at most a
number that a reader can look at. What is left out is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from inspector_app.analysis.comparison import (
    ALL_STATUSES,
    Comparison,
    Evidence,
    KeyPair,
    Status,
)
from inspector_app.analysis.key_mapping import (
    NO_MAPPING,
    KeyMapping,
    PrefixSuggestion,
    RenameSuggestion,
)
from inspector_app.analysis.layer_changes import LayerChange, layers_of, relative_change
from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.report_words import counted, figure, key_text
from inspector_app.analysis.strict_load import StrictLoad, strict_load
from inspector_app.checkpoint.text import plain

DIFFERENT = tuple(status for status in ALL_STATUSES if status != Status.IDENTICAL)
MOST_KEYS = 4_000
MOST_VALUES = 1_000
MOST_PARTS = 100
# Of what torch would print: keys in each list, which it does not limit.
MOST_IN_MESSAGE = 500
_MOST_RENAMES = 20
_CALL = "A.load_state_dict(B), of the two models,"
_PAIRS_A_STEP = 2_000


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """How a comparison was made, which it does not say itself.

    Attributes:
        mapping: what was done to keys before they were matched.
        select: globs that the keys were limited to.
        rtol, atol: differences up to atol + rtol·|a| counted as identical.
        most_keys: of the differing ones, as many are listed.
        prefixes, renames: what would make more keys match, the best first; none was applied.
    """

    mapping: KeyMapping = NO_MAPPING
    select: tuple[str, ...] = ()
    rtol: float = 0.0
    atol: float = 0.0
    most_keys: int = MOST_KEYS
    prefixes: Sequence[PrefixSuggestion] = ()
    renames: Sequence[RenameSuggestion] = ()


class Run(NamedTuple):
    """Some words of a sentence; `quoted` are those that come from a file."""

    text: str
    quoted: bool = False


class Listing(NamedTuple):
    """The differing keys that are listed.

    Attributes:
        pairs: by status, those of one in the comparison's order.
        found: how many of each status there are; the identical ones too.
        left_out: how many of each status are not listed.
    """

    pairs: list[KeyPair]
    found: Counter[str]
    left_out: Counter[str]


class Report(NamedTuple):
    """What every form of the report is written from.

    Attributes:
        evidence: a sentence for each kind of evidence that statuses rest on.
        load: what torch would say, of plain text, with at most `MOST_IN_MESSAGE` keys a list.
        load_counts: how many keys are missing, unexpected and do not fit, all of them.
        hints: a line for each thing that would make more keys match. It may end in a prefix,
            so there is no full stop.
        method: what was asked for, in pairs of a word and what it was.
    """

    comparison: Comparison
    listing: Listing
    layers: list[LayerChange]
    evidence: list[str]
    load: StrictLoad
    load_counts: tuple[int, int, int]
    hints: list[list[Run]]
    method: list[tuple[str, str]]


def reporting(comparison: Comparison, options: ReportOptions) -> Generator[None, None, Report]:
    """Gather what a report says; in steps, but for what torch would say."""
    listing = yield from _listing(comparison, options.most_keys)
    layers = yield from layers_of(comparison)
    evidence = yield from _evidence(comparison)
    load = strict_load(comparison, options.mapping)
    yield
    return Report(
        comparison,
        listing,
        layers,
        evidence,
        _shortened(load),
        (len(load.missing), len(load.unexpected), len(load.mismatched)),
        _hints(options),
        _method(options),
    )


def _listing(comparison: Comparison, most: int) -> Generator[None, None, Listing]:
    differing: dict[str, list[int]] = {status: [] for status in DIFFERENT}
    ranks: dict[int, float] = {}
    for number, pair in enumerate(comparison.pairs):
        if number % _PAIRS_A_STEP == _PAIRS_A_STEP - 1:
            yield
        if pair.status != Status.IDENTICAL:
            differing[pair.status].append(number)
            if pair.status == Status.CHANGED:
                ranks[number] = _rank(pair)
    found = Counter({status: len(numbers) for status, numbers in differing.items()})
    found[Status.IDENTICAL] = len(comparison.pairs) - found.total()
    shown = _shares(found, most)
    chosen: list[int] = []
    for status, numbers in differing.items():
        if status == Status.CHANGED and shown[status] < len(numbers):
            numbers.sort(key=ranks.__getitem__)
        chosen += sorted(numbers[: shown[status]])
    yield
    return Listing([comparison.pairs[number] for number in chosen], found, found - shown)


def _shares(found: Counter[str], most: int) -> Counter[str]:
    """How many of each status are listed: a status with few keys is never crowded out."""
    shown: Counter[str] = Counter({Status.IDENTICAL: found[Status.IDENTICAL]})
    waiting = sorted((found[status], status) for status in DIFFERENT)
    for place, (count, status) in enumerate(waiting):
        shown[status] = min(count, most // (len(waiting) - place))
        most -= shown[status]
    return shown


def _rank(pair: KeyPair) -> float:
    """What is listed first: what moved most, then what nobody has measured."""
    change = relative_change(pair.metrics) if pair.metrics is not None else None
    return 0.0 if change is None else -change


def _evidence(comparison: Comparison) -> Generator[None, None, list[str]]:
    found: Counter[tuple[str, str]] = Counter()
    unmeasured = 0
    for number, pair in enumerate(comparison.pairs):
        if number % _PAIRS_A_STEP == _PAIRS_A_STEP - 1:
            yield
        found[pair.status, pair.evidence] += 1
        unmeasured += pair.status == Status.CHANGED and pair.metrics is None
    sentences = []
    by = Counter(
        {kind: found[Status.IDENTICAL, kind] for kind in (Evidence.CHECKSUM, Evidence.BYTES)}
    )
    changed = {kind: found[Status.CHANGED, kind] for kind in (Evidence.CHECKSUM, Evidence.BYTES)}
    if by[Evidence.CHECKSUM] or changed[Evidence.CHECKSUM]:
        sentences.append(
            f"{_both(by[Evidence.CHECKSUM], changed[Evidence.CHECKSUM])} by checksum: the CRC-32 "
            "of whole storages in both archives; their bytes were not read."
        )
    if by[Evidence.BYTES] or changed[Evidence.BYTES]:
        sentences.append(
            f"{_both(by[Evidence.BYTES], changed[Evidence.BYTES])} by bytes: every element of "
            "both files was read."
        )
    if unmeasured:
        sentences.append(f"How far {counted(unmeasured, 'changed key')} moved was not measured.")
    return sentences


def _both(identical: int, changed: int) -> str:
    counts = ((identical, "identical"), (changed, "changed"))
    return " and ".join(f"{count_text(count)} {word}" for count, word in counts if count)


def _shortened(load: StrictLoad) -> StrictLoad:
    """It is made of keys, and of as many as a file likes."""
    return StrictLoad(
        plain(load.model),
        tuple(map(key_text, load.missing[:MOST_IN_MESSAGE])),
        tuple(map(key_text, load.unexpected[:MOST_IN_MESSAGE])),
        tuple(plain(text, 1_000) for text in load.mismatched[:MOST_IN_MESSAGE]),
    )


def load_verdict(report: Report) -> str:
    """One sentence: whether B would load into A."""
    missing, unexpected, mismatched = report.load_counts
    if not (missing or unexpected or mismatched):
        return f"{_CALL} raises nothing."
    counts = (
        (missing, counted(missing, "missing key")),
        (unexpected, counted(unexpected, "unexpected key")),
        (mismatched, f"{counted(mismatched, 'tensor')} that {_do(mismatched)} not fit"),
    )
    words = ", ".join(text for count, text in counts if count)
    return f"{_CALL} raises a RuntimeError: {words}."


def _do(count: int) -> str:
    return "does" if count == 1 else "do"


def load_message(report: Report) -> str:
    """What torch prints, word for word but for what is cut or unsafe to show."""
    return report.load.message or "<All keys matched successfully>"


def left_out_of_message(report: Report) -> int:
    """How many keys `load_message` leaves out."""
    return sum(max(count - MOST_IN_MESSAGE, 0) for count in report.load_counts)


def _hints(options: ReportOptions) -> list[list[Run]]:
    sentences = []
    for best in options.prefixes[:1]:
        runs = [Run(f"{int(100 * best.share)} % of A's keys match if ")]
        for side, prefix in (("A", best.a_prefix), ("B", best.b_prefix)):
            if prefix:
                runs += [Run(f"{side}'s keys lose "), Run(plain(prefix), True), Run(" and ")]
        for rule in best.rules:
            runs += [Run("B's keys are mapped "), Run(plain(str(rule)), True), Run(" and ")]
        sentences.append(runs[:-1])
    for each in options.renames[:_MOST_RENAMES]:
        why = "the same content" if each.evidence == "content" else "a similar name and its shape"
        own, other = Run(key_text(each.a_key), True), Run(key_text(each.b_key), True)
        sentences.append([own, Run(" may be "), other, Run(f" in B, which has {why}")])
    left = len(options.renames) - _MOST_RENAMES
    if left > 0:
        sentences.append([Run(f"{counted(left, 'more key')} may be renamed")])
    return sentences


def _method(options: ReportOptions) -> list[tuple[str, str]]:
    mapping = options.mapping
    rows = [("A's keys lose", plain(prefix)) for prefix in mapping.strip_a]
    rows += [("B's keys lose", plain(prefix)) for prefix in mapping.strip_b]
    rows += [("B's keys are mapped", plain(str(rule), 400)) for rule in mapping.rules]
    rows += [
        ("B's key stands for A's", f"{key_text(own)} → {key_text(wanted)}")
        for own, wanted in mapping.renames[:_MOST_RENAMES]
    ]
    if len(mapping.renames) > _MOST_RENAMES:
        more = len(mapping.renames) - _MOST_RENAMES
        rows.append(("B's key stands for A's", f"and {counted(more, 'more rename')}"))
    rows += [("Only keys like", plain(glob)) for glob in options.select]
    if options.rtol or options.atol:
        bound = f"{figure(options.atol)} + {figure(options.rtol)} · |a|"
        rows.append(("Identical up to", bound))
    return rows
