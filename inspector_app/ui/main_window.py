"""The window: a start page, or a tab for each open file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QSize, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QMainWindow, QStackedWidget

from inspector_app.checkpoint.errors import UnreadableFile
from inspector_app.checkpoint.model import TensorInfo, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.resources_path import resource_path
from inspector_app.ui import action_spec, settings, theme
from inspector_app.ui import actions as table
from inspector_app.ui.activity_bar import ActivityBar
from inspector_app.ui.checkpoint_tab import CheckpointTab
from inspector_app.ui.checkpoint_tree import CheckpointTree
from inspector_app.ui.collector import Collector
from inspector_app.ui.drop_targets import DropTargets
from inspector_app.ui.window_menus import ColumnsMenu, RecentMenu
from inspector_app.ui.window_tabs import WindowTabs

if TYPE_CHECKING:
    from inspector_app.ui.compare_tab import CompareTab
    from inspector_app.ui.start_page import StartPage
    from inspector_app.ui.window_dialogs import WindowDialogs
    from inspector_app.ui.window_files import WindowFiles
    from inspector_app.ui.window_printing import WindowPrinting

SAMPLE = ("samples", "digits_cnn_epoch_4.pth")
MESSAGE_MS = 6_000
START_SIZE = (1200, 780)
LEAST_SIZE = (760, 480)
# In the menu of a row of the tree.
OFFERED = ("export", "quantize", "save_as", "transfer", "show_opcodes")


class MainWindow(QMainWindow):
    """One window of the program.

    Args:
        remembered: where geometry, columns and recent files are kept.
        collector: told when a file has been loaded, so that it is never walked again.

    Signals:
        settled: the tab shows its file whole, or why it cannot.
    """

    settled = Signal(object)

    def __init__(self, remembered: settings.Settings, collector: Collector | None = None) -> None:
        super().__init__()
        self.settings = remembered
        self._collector = collector
        self.setWindowTitle("Checkpoint Inspector")
        self.setAcceptDrops(True)
        self.setMinimumSize(*LEAST_SIZE)
        self._start_page: StartPage | None = None
        self.tabs = WindowTabs(remembered)
        self.tabs.currentChanged.connect(self._tab_changed)
        self.tabs.opened.connect(self._tab_opened)
        self.tabs.emptied.connect(self._show_start_page)
        self.tabs.compare_requested.connect(self._choose_other)
        self.tabs.paths_copied.connect(self._copy_paths)
        self.tabs.place_wanted.connect(self._show_place)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.tabs)
        self.setCentralWidget(self._pages)
        self.drops = DropTargets(self.tab, self)
        self.drops.open_requested.connect(self.open_paths)
        self.drops.compare_requested.connect(self.compare)
        self.drops.comparison_offered.connect(self.tabs.expect_comparison)
        self.drops.hovered.connect(self._hover_drop_zone)
        self.activity_bar = ActivityBar()
        self.activity_bar.cancel_requested.connect(self._cancel)
        self.statusBar().addPermanentWidget(self.activity_bar)
        self.actions_by_id, self.menus = table.fill_menus(self)
        self._recent_menu = RecentMenu(remembered.recent_files, self)
        self._recent_menu.file_requested.connect(lambda path: self.open_paths([path]))
        self._recent_menu.clear_requested.connect(self._clear_recent)
        self.menus[table.FILE].insertMenu(self.actions_by_id["open_sample"], self._recent_menu)
        self._columns_menu = ColumnsMenu(self._tree, self)
        self.menus[table.VIEW].insertMenu(self.actions_by_id["fold_repeated"], self._columns_menu)
        self.actions_by_id["fold_repeated"].setChecked(remembered.read(settings.FOLD_REPEATED))
        appearance = f"appearance_{remembered.read(settings.APPEARANCE)}"
        self.actions_by_id.get(appearance, self.actions_by_id["appearance_system"]).setChecked(True)
        self.resize(QSize(*START_SIZE).boundedTo(self.screen().availableSize() * 0.9))
        self.restoreGeometry(QByteArray(remembered.read(settings.GEOMETRY)))
        self._recent_changed()
        self._update_actions()

    # Parts that are made when they are needed first: an action of the table names its part.

    @cached_property
    def dialogs(self) -> WindowDialogs:
        """What opens a dialog or a wizard."""
        from inspector_app.ui.window_dialogs import WindowDialogs

        return WindowDialogs(self)

    @cached_property
    def files(self) -> WindowFiles:
        """What has to do with where files lie."""
        from inspector_app.ui.window_files import WindowFiles

        return WindowFiles(self)

    @cached_property
    def printing(self) -> WindowPrinting:
        """What prints."""
        from inspector_app.ui.window_printing import WindowPrinting

        return WindowPrinting(self)

    @property
    def start_page(self) -> StartPage:
        """What is shown without a file; made when it is needed for the first time."""
        if self._start_page is None:
            from inspector_app.ui.start_page import StartPage

            page = self._start_page = StartPage()
            page.open_requested.connect(self.dialogs.open_dialog)
            page.sample_requested.connect(self.open_sample)
            page.file_requested.connect(lambda path: self.open_paths([path]))
            page.clear_requested.connect(self._clear_recent)
            page.path_wanted.connect(lambda path: self._copy_paths([path]))
            page.place_wanted.connect(self._show_place)
            page.forget_requested.connect(self._forget_recent)
            page.set_recent(self.settings.recent_files())
            self._pages.addWidget(page)
        return self._start_page

    def showEvent(self, event: QShowEvent) -> None:
        if not self.tabs.count():
            self._show_start_page()
        super().showEvent(event)

    def _show_start_page(self) -> None:
        self._pages.setCurrentWidget(self.start_page)

    # Files

    def open_paths(self, paths: Sequence[str]) -> list[CheckpointTab]:
        """A tab for each file; one that is open already is raised instead."""
        return self.tabs.open_files(paths)

    def compare(self, path: str, path_b: str) -> CompareTab:
        """A tab that compares two files, the first of which is A."""
        return self.tabs.compare(path, path_b)

    def all_tabs(self) -> list[CheckpointTab | CompareTab]:
        """The tabs, from left to right."""
        return self.tabs.all()

    def tab(self) -> CheckpointTab | CompareTab | None:
        """The tab in front, if any."""
        return self.tabs.current()

    def file_tab(self) -> CheckpointTab | None:
        """The tab in front, if it shows one file."""
        tab = self.tab()
        return tab if isinstance(tab, CheckpointTab) else None

    def comparison_tab(self) -> CompareTab | None:
        """The tab in front, if it compares two files."""
        tab = self.tab()
        return tab if tab is not None and tab.kind == "comparison" else None

    def _tab_opened(self, tab: CheckpointTab | CompareTab) -> None:
        if tab.kind != "run":
            tab.tree.set_fold_repeated(self.actions_by_id["fold_repeated"].isChecked())
        tab.activity_changed.connect(self._show_activity)
        tab.state_changed.connect(self._tab_changed)
        tab.message.connect(self.say)
        tab.loaded.connect(self._tab_loaded)
        tab.settled.connect(lambda: self._tab_settled(tab))
        if isinstance(tab, CheckpointTab):
            tab.export_requested.connect(self._export)
            tab.quantize_requested.connect(self.actions_by_id["quantize"].trigger)
            tab.save_requested.connect(self.actions_by_id["save_as"].trigger)
            tab.transfer_requested.connect(self.actions_by_id["transfer"].trigger)
            tab.clean_copy_requested.connect(self.actions_by_id["save_clean"].trigger)
            tab.tree.offer([self.actions_by_id[name] for name in OFFERED])
        self._pages.setCurrentWidget(self.tabs)
        self.settings.write(settings.LAST_FOLDER, os.path.dirname(tab.path))

    def _export(self, part: TreePath | None) -> None:
        self.dialogs.export(part)

    def _choose_other(self, tab: CheckpointTab) -> None:
        self.dialogs.choose_other(tab)

    def _copy_paths(self, paths: list[str]) -> None:
        self.files.copy_paths(paths)

    def _show_place(self, path: str) -> None:
        self.files.show_path(path)

    def _tab_settled(self, tab: CheckpointTab | CompareTab) -> None:
        if isinstance(tab, CheckpointTab):
            if tab.error is None:
                self.settings.add_recent(tab.path)
            elif isinstance(tab.error, UnreadableFile) and tab.error.code == "not-found":
                self.settings.remove_recent(tab.path)
            self._recent_changed()
        focus = self.focusWidget()
        if tab is self.tab() and (focus is None or not tab.isAncestorOf(focus)):
            tab.first_focus().setFocus()
        self.settled.emit(tab)

    def _tab_loaded(self) -> None:
        if self._collector is not None:
            self._collector.settle()

    # Actions of the table, by name

    def open_sample(self) -> None:
        self.open_paths([resource_path(*SAMPLE)])

    def reload(self) -> None:
        if (tab := self.tab()) is not None:
            tab.read()

    def close_tab(self) -> None:
        self.tabs.close_tab(self.tabs.currentIndex())

    def quit(self) -> None:
        self.close()

    def copy_loading(self) -> None:
        if (tab := self.file_tab()) is not None:
            tab.copy_code("loading")

    def copy_resume(self) -> None:
        if (tab := self.file_tab()) is not None:
            tab.copy_code("resume")

    def compute_statistics(self) -> None:
        if (tab := self.file_tab()) is not None:
            tab.compute_statistics()

    def show_safety(self) -> None:
        if (tab := self.file_tab()) is not None:
            tab.show_safety()

    def show_opcodes(self) -> None:
        if (tab := self.file_tab()) is not None:
            tab.show_opcodes()

    def fold_repeated(self) -> None:
        folded = self.actions_by_id["fold_repeated"].isChecked()
        self.settings.write(settings.FOLD_REPEATED, folded)
        for tab in self.all_tabs():
            if tab.kind != "run":
                tab.tree.set_fold_repeated(folded)

    def on_comparison(self, method: str) -> None:
        """Call a method of the comparison in front, if there is one."""
        if (tab := self.comparison_tab()) is not None:
            getattr(tab, method)()

    def appearance_system(self) -> None:
        self._set_appearance(theme.SYSTEM)

    def appearance_light(self) -> None:
        self._set_appearance(theme.LIGHT)

    def appearance_dark(self) -> None:
        self._set_appearance(theme.DARK)

    def next_tab(self) -> None:
        self.tabs.setCurrentIndex((self.tabs.currentIndex() + 1) % max(self.tabs.count(), 1))

    def previous_tab(self) -> None:
        self.tabs.setCurrentIndex((self.tabs.currentIndex() - 1) % max(self.tabs.count(), 1))

    # What the window shows

    def say(self, text: str) -> None:
        """One sentence in the status bar, for a while."""
        self.statusBar().showMessage(plain(text, 400), MESSAGE_MS)

    def _tree(self) -> CheckpointTree | None:
        tab = self.tab()
        return tab.tree if tab is not None and tab.checkpoint is not None else None

    def on_tree(self, method: str) -> None:
        """Call a method of the tree in front, if there is one."""
        if (tree := self._tree()) is not None:
            getattr(tree, method)()

    def _set_appearance(self, choice: str) -> None:
        self.settings.write(settings.APPEARANCE, choice)
        theme.apply(choice)

    def _tab_changed(self) -> None:
        tab = self.tab()
        # "[*]" in a title stands for a mark of unsaved changes.
        name = tab.name().replace("[*]", "[*][*]") if tab is not None else ""
        self.setWindowTitle(f"{name} — Checkpoint Inspector" if name else "Checkpoint Inspector")
        self._show_activity()
        self._update_actions()

    def _show_activity(self) -> None:
        tab = self.tab()
        self.activity_bar.show_activity(tab.activity if tab is not None else None)

    def _cancel(self) -> None:
        if (tab := self.tab()) is not None:
            tab.cancel()

    def _update_actions(self) -> None:
        tab = self.tab()
        read = tab is not None and tab.checkpoint is not None
        file = isinstance(tab, CheckpointTab)
        have = {
            action_spec.NOTHING: True,
            action_spec.TAB: tab is not None,
            action_spec.CHECKPOINT: read,
            action_spec.FILE_READ: read and file,
            action_spec.COMPARISON: read and tab.kind == "comparison",
            action_spec.SELECTION: read and tab.tree.view.current_row() >= 0,
            action_spec.TENSOR: read and isinstance(tab.node, TensorInfo),
            action_spec.TRAINING: read and tab.can_resume(),
        }
        for spec in table.ACTIONS:
            self.actions_by_id[spec.id].setEnabled(have[spec.needs])
        self._columns_menu.setEnabled(read)

    def _recent_changed(self) -> None:
        if self._start_page is not None:
            self._start_page.set_recent(self.settings.recent_files())

    def _forget_recent(self, path: str) -> None:
        self.settings.remove_recent(path)
        self._recent_changed()

    def _clear_recent(self) -> None:
        self.settings.clear_recent()
        self._recent_changed()

    # Events

    def _hover_drop_zone(self, hovered: bool) -> None:
        if self._start_page is not None:
            self._start_page.drop_zone.set_hovered(hovered)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self.drops.enter(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        self.drops.move_over(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.drops.leave()

    def dropEvent(self, event: QDropEvent) -> None:
        self.drops.drop(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        if (tab := self.tab()) is not None:
            self.tabs.remember(tab)
        self.settings.write(settings.GEOMETRY, bytes(self.saveGeometry().data()))
        for tab in self.all_tabs():
            tab.stop()
        super().closeEvent(event)
