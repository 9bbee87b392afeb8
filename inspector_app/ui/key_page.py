"""How keys are matched: prefixes, renames, and rules of one's own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    QTimer,
)
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListView,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.key_mapping import BadRuleError, KeyMapping, RenameSuggestion, Rule
from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.rename_detection import own_key
from inspector_app.checkpoint.text import plain
from inspector_app.ui import settings, theme
from inspector_app.ui.key_suggestions import matching_keys, prefix_words
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_blocks import fixed_font
from inspector_app.ui.text_widgets import Heading, MutedLabel, tooltip

if TYPE_CHECKING:
    from inspector_app.ui.key_suggestions import KeySuggestions

LONGEST_KEY = 200
PREVIEW_MS = 150
KEYS_A_STEP = 200
PREVIEWED = 3
MOST_PREFIXES = 3
MOST_LINES = 8


class _Renames(QAbstractListModel):
    """Suggested renames, then those in force."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.offered: list[RenameSuggestion] = []
        self.accepted: list[tuple[str, str]] = []

    def show(self, offered: list[RenameSuggestion], accepted: list[tuple[str, str]]) -> None:
        self.beginResetModel()
        self.offered, self.accepted = list(offered), list(accepted)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.offered) + len(self.accepted)

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        row = index.row()
        if not 0 <= row < self.rowCount():
            return None
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return self._text(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(self._text(row))
        return None

    def _text(self, row: int) -> str:
        if row >= len(self.offered):
            own, wanted = self.accepted[row - len(self.offered)]
            return f"✓  {plain(own, LONGEST_KEY)} → {plain(wanted, LONGEST_KEY)}"
        found = self.offered[row]
        keys = f"{plain(found.b_key, LONGEST_KEY)} → {plain(found.a_key, LONGEST_KEY)}"
        if found.evidence == "content":
            return self.tr("{keys}   (equal content)").format(keys=keys)
        return self.tr("{keys}   (names {share} % alike)").format(
            keys=keys, share=int(found.score * 100)
        )


class KeyPage(QScrollArea):
    """Prefixes, renames and rules, each with what would come of them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Keys"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self._suggestions: KeySuggestions | None = None
        self._remembered: settings.Settings | None = None
        self._steps: Steps | None = None
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(16, 10, 16, 12)
        layout.setSpacing(6)
        layout.addWidget(Heading(self.tr("Prefixes")))
        self._prefixes = QVBoxLayout()
        self._prefixes.setSpacing(4)
        layout.addLayout(self._prefixes)
        layout.addSpacing(8)
        layout.addWidget(Heading(self.tr("Renamed keys")))
        self._no_renames = MutedLabel()
        layout.addWidget(self._no_renames)
        self._renames = _Renames(self)
        self.rename_list = QListView()
        self.rename_list.setModel(self._renames)
        self.rename_list.setUniformItemSizes(True)
        self.rename_list.setSpacing(1)
        self.rename_list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.rename_list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.rename_list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.rename_list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.rename_list.setAccessibleName(self.tr("Keys that seem to be renamed, B → A"))
        self.rename_list.setTabKeyNavigation(False)
        self.rename_list.selectionModel().selectionChanged.connect(self._enable)
        layout.addWidget(self.rename_list)
        self.accept_button = self._button(self.tr("Accept"), self._accept)
        self.refuse_button = self._button(self.tr("Refuse"), self._refuse)
        self.accept_all_button = self._button(self.tr("Accept all"), self._accept_all)
        self.refuse_all_button = self._button(self.tr("Refuse all"), self._refuse_all)
        row = QHBoxLayout()
        for button in (
            self.accept_button,
            self.refuse_button,
            self.accept_all_button,
            self.refuse_all_button,
        ):
            row.addWidget(button)
        row.addStretch()
        layout.addLayout(row)
        layout.addSpacing(8)
        layout.addWidget(Heading(self.tr("Rules for the keys of B")))
        self.rules = QPlainTextEdit()
        self.rules.setFont(fixed_font())
        self.rules.setTabChangesFocus(True)
        self.rules.setAccessibleName(self.tr("Rules for the keys of B"))
        self.rules.setPlaceholderText(
            self.tr("One to a line:  REGEX=>REPLACEMENT\n^encoder\\.(\\d+)=>blocks.\\1")
        )
        self.rules.setFixedHeight(4 * self.rules.fontMetrics().lineSpacing() + 14)
        self.rules.textChanged.connect(self._rules_typed)
        layout.addWidget(self.rules)
        self._preview = QLabel()
        self._preview.setTextFormat(Qt.TextFormat.PlainText)
        self._preview.setWordWrap(True)
        self.apply_button = self._button(self.tr("Apply rules"), self._apply)
        row = QHBoxLayout()
        row.addWidget(self._preview, 1)
        row.addWidget(self.apply_button, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(row)
        layout.addStretch()
        self.setWidget(content)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(PREVIEW_MS)
        self._later.timeout.connect(self._show_preview)

    def _button(self, text: str, slot: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.clicked.connect(slot)
        return button

    def serve(self, suggestions: KeySuggestions, remembered: settings.Settings) -> None:
        """Show, and choose from, these suggestions."""
        if self._suggestions is suggestions:
            return
        self._suggestions, self._remembered = suggestions, remembered
        suggestions.changed.connect(self._show)
        kept = [text for text in remembered.read(settings.KEY_RULES) if isinstance(text, str)]
        self.rules.setPlainText("\n".join(kept))
        self._show()

    def forget(self) -> None:
        """Another comparison is about to come."""
        self._later.stop()
        self._drop_steps()

    def preview(self) -> str:
        """What the rules would do, in words."""
        return self._preview.text()

    def rename_texts(self) -> list[str]:
        """The renames on show."""
        return [self._renames.data(self._renames.index(r)) for r in range(self._renames.rowCount())]

    # What is shown

    def _show(self) -> None:
        suggestions = self._suggestions
        if suggestions is None:
            return
        self._show_prefixes(suggestions)
        mapping = suggestions.mapping
        self._renames.show(suggestions.renames, list(mapping.renames))
        count = self._renames.rowCount()
        self.rename_list.setVisible(count > 0)
        line = self.rename_list.sizeHintForRow(0) + 2 * self.rename_list.spacing()
        self.rename_list.setFixedHeight(min(max(count, 2), MOST_LINES) * line + 8)
        self._no_renames.setVisible(not count)
        self._no_renames.setText(
            self.tr("Looking…") if suggestions.is_looking else self.tr("None found")
        )
        for button in (self.accept_button, self.refuse_button):
            button.setVisible(count > 0)
        for button in (self.accept_all_button, self.refuse_all_button):
            button.setVisible(len(suggestions.renames) > 1)
        self._enable()
        self._later.start()

    def _show_prefixes(self, suggestions: KeySuggestions) -> None:
        while (item := self._prefixes.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        mapping = suggestions.mapping
        for side, prefixes in (("A", mapping.strip_a), ("B", mapping.strip_b)):
            for place, prefix in enumerate(prefixes):
                words = self.tr("✓ {side} loses “{prefix}”").format(
                    side=side, prefix=plain(prefix, LONGEST_KEY)
                )
                fewer = prefixes[:place] + prefixes[place + 1 :]
                changed = (
                    replace(mapping, strip_a=fewer)
                    if side == "A"
                    else replace(mapping, strip_b=fewer)
                )
                self._add_prefix(words, self.tr("Undo"), changed)
        for found in suggestions.prefixes[:MOST_PREFIXES]:
            self._add_prefix(prefix_words(found), self.tr("Match them"), found.applied_to(mapping))
        if not self._prefixes.count():
            self._prefixes.addWidget(MutedLabel(self.tr("None to drop")))

    def _add_prefix(self, words: str, action: str, mapping: KeyMapping) -> None:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        label = QLabel(words)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        row.addWidget(label, 1)
        suggestions = self._suggestions
        assert suggestions is not None
        row.addWidget(self._button(action, lambda: suggestions.choose(mapping)))
        self._prefixes.addWidget(holder)

    def _enable(self) -> None:
        offered, accepted = self._selected()
        self.accept_button.setEnabled(bool(offered))
        self.refuse_button.setEnabled(bool(offered or accepted))
        self.refuse_button.setText(
            self.tr("Undo") if accepted and not offered else self.tr("Refuse")
        )

    # Renames

    def _selected(self) -> tuple[list[RenameSuggestion], list[tuple[str, str]]]:
        model = self._renames
        rows = sorted(index.row() for index in self.rename_list.selectedIndexes())
        count = len(model.offered)
        offered = [model.offered[row] for row in rows if row < count]
        return offered, [model.accepted[row - count] for row in rows if row >= count]

    def _accept(self) -> None:
        if self._suggestions is not None:
            self._suggestions.accept(self._selected()[0])

    def _refuse(self) -> None:
        suggestions = self._suggestions
        if suggestions is None:
            return
        offered, accepted = self._selected()
        suggestions.refuse(offered)
        if accepted:
            mapping = suggestions.mapping
            for own, _ in accepted:
                mapping = mapping.without_rename(own)
            suggestions.choose(mapping)

    def _accept_all(self) -> None:
        if self._suggestions is not None:
            self._suggestions.accept(self._suggestions.renames)

    def _refuse_all(self) -> None:
        if self._suggestions is not None:
            self._suggestions.refuse(self._suggestions.renames)

    # Rules

    def _typed(self) -> list[Rule]:
        lines = [line.strip() for line in self.rules.toPlainText().splitlines()]
        return [Rule.parse(line) for line in lines if line]

    def _rules_typed(self) -> None:
        self._drop_steps()
        self._later.start()

    def _show_preview(self) -> None:
        self._drop_steps()
        suggestions = self._suggestions
        if suggestions is None or suggestions.comparison is None:
            return
        try:
            rules = self._typed()
        except BadRuleError as error:
            self._say(plain(str(error), 300), wrong=True)
            self.apply_button.setEnabled(False)
            return
        in_force = list(suggestions.mapping.rules)
        self.apply_button.setEnabled(rules != in_force)
        if not rules:
            self._say(self.tr("No rules"))
            return
        steps = self._steps = Steps(_previewing(suggestions, rules), self)
        steps.finished.connect(self._previewed)
        steps.failed.connect(lambda error: self._say(plain(str(error), 300), wrong=True))
        steps.start()

    def _previewed(self, found: tuple[int, int, int, list[tuple[str, str]]]) -> None:
        self._drop_steps()
        changed, matched, before, examples = found
        words = [
            self.tr("{n} keys of B change; {m} of all keys match, {before} do now.").format(
                n=count_text(changed), m=count_text(matched), before=count_text(before)
            )
        ]
        words += [f"{plain(one, 80)} → {plain(other, 80)}" for one, other in examples]
        self._say("\n".join(words))

    def _say(self, text: str, wrong: bool = False) -> None:
        palette = QPalette()
        tones = theme.tones(palette)
        palette.setColor(QPalette.ColorRole.WindowText, tones.error if wrong else tones.muted)
        self._preview.setPalette(palette)
        self._preview.setText(text)

    def _apply(self) -> None:
        suggestions = self._suggestions
        if suggestions is None or self._remembered is None:
            return
        try:
            rules = self._typed()
        except BadRuleError:
            return
        self._remembered.write(settings.KEY_RULES, [str(rule) for rule in rules])
        suggestions.choose(replace(suggestions.mapping, rules=tuple(rules)))

    def _drop_steps(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None


def _previewing(
    suggestions: KeySuggestions, rules: list[Rule]
) -> Generator[None, None, tuple[int, int, int, list[tuple[str, str]]]]:
    """How many keys of B the rules change, how many match then and now, and some examples."""
    comparison, mapping = suggestions.comparison, suggestions.mapping
    assert comparison is not None
    with_rules = replace(mapping, rules=tuple(rules))
    a_keys, b_now = yield from matching_keys(comparison, mapping)
    wanted = set(a_keys)
    yield
    changed, matched = 0, 0
    examples: list[tuple[str, str]] = []
    renamed = mapping.renamed()
    section = comparison.sections[1]
    owned = (own for pair in comparison.pairs if pair.b for own in own_key(pair.b, section))
    for number, own in enumerate(owned):
        if number % KEYS_A_STEP == KEYS_A_STEP - 1:
            yield
        before = renamed.get(own) or mapping.b_key(own)
        after = renamed.get(own) or with_rules.b_key(own)
        matched += after in wanted
        if after != before:
            changed += 1
            if len(examples) < PREVIEWED:
                examples.append((own, after))
    return changed, matched, len(wanted.intersection(b_now)), examples
