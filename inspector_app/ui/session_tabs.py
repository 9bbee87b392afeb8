"""The tabs of a window as a session keeps them, and back again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QTabBar

from inspector_app.ui.session import COMPARISON, FILE, RUN, Details, TabState
from inspector_app.ui.session_restored import Restored

if TYPE_CHECKING:
    from inspector_app.analysis.key_mapping import KeyMapping
    from inspector_app.ui.checkpoint_tab import CheckpointTab
    from inspector_app.ui.compare_tab import CompareTab
    from inspector_app.ui.main_window import MainWindow
    from inspector_app.ui.run_tab import RunTab

_LONGEST_TEXT = 10_000
_DEEPEST = 200
_MOST_RULES = 20_000


def tab_states(window: MainWindow) -> tuple[TabState, ...]:
    """What the tabs of a window show, or will once they can be read."""
    restored = Restored.of(window)

    def state(tab: CheckpointTab | CompareTab | RunTab) -> TabState:
        for waiting in restored.waiting(tab):
            if isinstance(waiting, TabState):
                return waiting
        return tab_state(tab)

    return tuple(map(state, window.all_tabs()))


def tab_state(tab: CheckpointTab | CompareTab | RunTab) -> TabState:
    """What a tab shows."""
    paths = tuple(tab.paths())
    if tab.kind == FILE:
        return TabState(FILE, paths, _file_details(tab))
    if tab.kind == COMPARISON:
        return TabState(COMPARISON, (tab.path, tab.path_b), _comparison_details(tab))
    return TabState(RUN, paths, {"search": tab.search.text()})


def open_tab(window: MainWindow, state: TabState) -> CheckpointTab | CompareTab | RunTab:
    """A tab as it was; what it shows comes when it has been read."""
    details = state.details
    if state.kind == FILE:
        tab = window.tabs.open_files(state.paths)[0]
        if tab.kind == FILE:
            Restored.of(window).fill_in(
                state,
                tab,
                lambda: tab.checkpoint is not None and tab.is_settled(),
                lambda: _show_in_file(tab, details),
            )
        return tab
    if state.kind == COMPARISON:
        compared = window.compare(*state.paths)
        if compared.comparison is None:
            compared.mapping = read_mapping(details.get("mapping"))
        text = _text(details, "search")
        if text:
            Restored.of(window).fill_in(
                state,
                compared,
                lambda: compared.comparison is not None and compared.is_settled(),
                lambda: compared.tree.search_for(text),
            )
        return compared
    folder = state.paths[0] if os.path.isdir(state.paths[0]) else ""
    run = window.tabs.open_run(folder, () if folder else state.paths)
    run.search.setText(_text(details, "search"))
    return run


def said_of(mapping: KeyMapping) -> dict[str, object]:
    """A mapping as plain JSON."""
    return {
        "strip_a": list(mapping.strip_a),
        "strip_b": list(mapping.strip_b),
        "rules": [str(rule) for rule in mapping.rules],
        "renames": [list(pair) for pair in mapping.renames[:_MOST_RULES]],
    }


def read_mapping(said: object) -> KeyMapping:
    """The mapping that `said_of` wrote; what is none of it is left out."""
    from inspector_app.analysis.key_mapping import NO_MAPPING, BadRuleError, KeyMapping, Rule

    if not isinstance(said, dict):
        return NO_MAPPING
    try:
        rules = tuple(Rule.parse(text) for text in _texts(said.get("rules")))
    except BadRuleError:
        rules = ()
    renames = said.get("renames")
    pairs = renames[:_MOST_RULES] if isinstance(renames, list) else []
    return KeyMapping(
        tuple(_texts(said.get("strip_a"))),
        tuple(_texts(said.get("strip_b"))),
        rules,
        tuple((pair[0], pair[1]) for pair in pairs if len(_texts(pair)) == 2),
    )


def _file_details(tab: CheckpointTab) -> Details:
    details: dict[str, object] = {}
    if text := tab.tree.search_field.text():
        details["search"] = text[:_LONGEST_TEXT]
    if tab.node is not None and (path := _plain_path(tab.node.path)):
        details["selected"] = path
    if tab.side is not None:
        for name, bar in _bars(tab).items():
            if bar.currentIndex() > 0:
                details[name] = bar.currentIndex()
    return details


def _show_in_file(tab: CheckpointTab, details: Details) -> None:
    if (text := _text(details, "search")) and not tab.tree.search_field.text():
        tab.tree.search_for(text)
    path = details.get("selected")
    if tab.node is None and isinstance(path, list) and _plain_path(path):
        tab.tree.select_path(path)
    for name, bar in _bars(tab).items():
        page = details.get(name)
        if type(page) is int and 0 < page < bar.count() and bar.isTabVisible(page):
            bar.setCurrentIndex(page)


def _bars(tab: CheckpointTab) -> Mapping[str, QTabBar]:
    if tab.side is None:
        return {}
    return {"page": tab.side.pages.bar, "pane": tab.side.tensor.tabs}


def _comparison_details(tab: CompareTab) -> Details:
    details: dict[str, object] = {}
    if text := tab.tree.search_field.text():
        details["search"] = text[:_LONGEST_TEXT]
    if tab.mapping:
        details["mapping"] = said_of(tab.mapping)
    return details


def _plain_path(path: Sequence[object]) -> list[str | int]:
    """A path whose elements JSON keeps as they are, or nothing."""
    plain = [each for each in path if type(each) in (str, int)]
    whole = len(plain) == len(path) <= _DEEPEST
    return plain if whole and sum(len(str(each)) for each in plain) <= _LONGEST_TEXT else []


def _text(details: Mapping[str, Any], name: str) -> str:
    text = details.get(name)
    return text[:_LONGEST_TEXT] if isinstance(text, str) else ""


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
