"""Finds what would make more keys match, and offers it. Nothing is done by itself."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from PySide6.QtCore import QObject, Signal

from inspector_app.analysis.comparison import Comparison, Status
from inspector_app.analysis.key_mapping import (
    NO_MAPPING,
    KeyMapping,
    PrefixSuggestion,
    RenameSuggestion,
    suggesting_prefixes,
    suggesting_renames,
)
from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.rename_detection import own_key
from inspector_app.checkpoint.text import plain
from inspector_app.ui.banner import Banner
from inspector_app.ui.tasks import Steps

LONGEST_KEY = 60
PAIRS_A_STEP = 500


class KeySuggestions(QObject):
    """What could be done about keys without a partner.

    Attributes:
        mapping: what is in force.
        prefixes: the best first.
        renames: those that were neither accepted nor refused.

    Signals:
        changed: there are other suggestions, or another mapping is in force.
        mapping_chosen: the `KeyMapping` to use from now on.
        review_requested: somebody wants to see the renames one by one.
    """

    changed = Signal()
    mapping_chosen = Signal(object)
    review_requested = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.comparison: Comparison | None = None
        self.mapping: KeyMapping = NO_MAPPING
        self.prefixes: list[PrefixSuggestion] = []
        self.renames: list[RenameSuggestion] = []
        self._refused: set[tuple[str, str]] = set()
        self._prefixes_ignored = False
        self._banner: Banner | None = None
        self._title = ""
        self._steps: Steps | None = None

    def look(self, comparison: Comparison, mapping: KeyMapping, banner: Banner) -> None:
        """Look for suggestions, and offer the best in `banner`."""
        self.comparison, self.mapping, self._banner = comparison, mapping, banner
        self.prefixes, self.renames = [], []
        self._drop_steps()
        steps = self._steps = Steps(self._looking(comparison, mapping), self)
        steps.finished.connect(self._looked)
        steps.start()
        self.changed.emit()

    def stop(self) -> None:
        """End looking."""
        self._drop_steps()
        self.comparison = None

    @property
    def is_looking(self) -> bool:
        """There may be more suggestions in a moment."""
        return self._steps is not None

    # What can be chosen

    def apply_prefix(self, suggestion: PrefixSuggestion) -> None:
        """Drop prefixes."""
        self.choose(suggestion.applied_to(self.mapping))

    def accept(self, renames: Iterable[RenameSuggestion]) -> None:
        """Match these keys."""
        self.choose(self.mapping.with_renames(each.rename for each in renames))

    def refuse(self, renames: Iterable[RenameSuggestion]) -> None:
        """Suggest these no more."""
        for each in renames:
            # Whichever of the files is A.
            self._refused |= {each.rename, each.rename[::-1]}
        self.renames = [each for each in self.renames if each.rename not in self._refused]
        self.changed.emit()
        if not self.renames:
            self._withdraw()

    def choose(self, mapping: KeyMapping) -> None:
        """Match by another mapping."""
        # What is being looked for goes by the old one, and would offer that anew.
        self._drop_steps()
        self._withdraw()
        self.mapping_chosen.emit(mapping)

    # What is offered

    def _looking(self, comparison: Comparison, mapping: KeyMapping) -> Generator[Any, None, None]:
        summary = comparison.summary()
        if not summary[Status.MISSING] or not summary[Status.UNEXPECTED]:
            return
        yield
        a_keys, b_keys = yield from matching_keys(comparison, mapping)
        self.prefixes = yield from suggesting_prefixes(a_keys, b_keys)
        if self.prefixes:
            self.changed.emit()
            self._offer()
        found = yield from suggesting_renames(comparison, mapping)
        self.renames = [each for each in found if each.rename not in self._refused]
        self._offer()

    def _looked(self) -> None:
        self._drop_steps()
        self.changed.emit()

    def _drop_steps(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _offer(self) -> None:
        banner = self._banner
        # A message about a file is more important.
        if banner is None or (banner.isVisible() and banner.title() != self._title):
            return
        if self.prefixes and not self._prefixes_ignored:
            best = self.prefixes[0]
            self._title = prefix_words(best)
            banner.show_message(
                "info",
                self._title,
                "",
                "",
                [
                    (self.tr("Match them"), lambda: self.apply_prefix(best)),
                    (self.tr("Ignore"), self._ignore_prefixes),
                ],
            )
        elif self.renames:
            first = self.renames[0]
            count = len(self.renames)
            words = self.tr("{n} keys seem to be renamed, such as {b} → {a}")
            if count == 1:
                words = self.tr("One key seems to be renamed: {b} → {a}")
            self._title = words.format(
                n=count_text(count),
                a=plain(first.a_key, LONGEST_KEY),
                b=plain(first.b_key, LONGEST_KEY),
            )
            banner.show_message(
                "info",
                self._title,
                "",
                "",
                [
                    (self.tr("Review"), self.review_requested.emit),
                    (self.tr("Accept all"), lambda: self.accept(self.renames)),
                    (self.tr("Ignore"), self._withdraw),
                ],
            )

    def _ignore_prefixes(self) -> None:
        self._prefixes_ignored = True
        self._withdraw()
        self._offer()

    def _withdraw(self) -> None:
        if self._banner is not None and self._banner.title() == self._title:
            self._banner.hide()


def prefix_words(suggestion: PrefixSuggestion) -> str:
    """``98 % of the keys match if B loses `_orig_mod.module.```."""
    tr = _tr
    share = int(suggestion.share * 100)
    # Rounding up would promise what is not so.
    percent = f"{share} %" if share or not suggestion.matched else "< 1 %"
    a, b = plain(suggestion.a_prefix, LONGEST_KEY), plain(suggestion.b_prefix, LONGEST_KEY)
    if suggestion.rules:
        rules = ", ".join(plain(str(rule), LONGEST_KEY) for rule in suggestion.rules)
        return tr("{share} of the keys match with the rule “{rules}”").format(
            share=percent, rules=rules
        )
    if a and b:
        return tr("{share} of the keys match if A loses “{a}” and B “{b}”").format(
            share=percent, a=a, b=b
        )
    if a:
        return tr("{share} of the keys match if A loses “{a}”").format(share=percent, a=a)
    return tr("{share} of the keys match if B loses “{b}”").format(share=percent, b=b)


def _tr(text: str) -> str:
    from PySide6.QtCore import QCoreApplication

    return QCoreApplication.translate("KeySuggestions", text)


def matching_keys(
    comparison: Comparison, mapping: KeyMapping
) -> Generator[None, None, tuple[list[str], list[str]]]:
    """What the keys of the two models are matched by, in steps."""
    a_section, b_section = comparison.sections
    a_keys, b_keys = [], []
    for number, pair in enumerate(comparison.pairs):
        if number % PAIRS_A_STEP == PAIRS_A_STEP - 1:
            yield
        if pair.a is not None:
            for own in own_key(pair.a, a_section):
                a_keys.append(mapping.a_key(own))
                if pair.b is not None:
                    b_keys.append(a_keys[-1])
        elif pair.b is not None and any(True for _ in own_key(pair.b, b_section)):
            b_keys.append(pair.key)
    return a_keys, b_keys
