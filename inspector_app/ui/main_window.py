"""The window: a start page, or a tab for each open file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QMimeData, QSize, Qt, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QMainWindow,
    QStackedWidget,
    QTabBar,
    QTabWidget,
    QToolButton,
)

from inspector_app.checkpoint.errors import UnreadableFile
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.resources_path import resource_path
from inspector_app.ui import actions as table
from inspector_app.ui import icons, settings, theme
from inspector_app.ui.activity_bar import ActivityBar
from inspector_app.ui.checkpoint_tab import CheckpointTab
from inspector_app.ui.checkpoint_tree import CheckpointTree
from inspector_app.ui.collector import Collector, taking_apart
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import tooltip
from inspector_app.ui.window_menus import ColumnsMenu, RecentMenu

if TYPE_CHECKING:
    from inspector_app.ui.start_page import StartPage

SAMPLE = ("samples", "digits_cnn_epoch_4.pth")
MESSAGE_MS = 6_000
START_SIZE = (1200, 780)
LEAST_SIZE = (760, 480)


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
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setMovable(True)
        self.tabs.setUsesScrollButtons(True)
        self.tabs.currentChanged.connect(self._tab_changed)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.tabs)
        self.setCentralWidget(self._pages)
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

    @property
    def start_page(self) -> StartPage:
        """What is shown without a file; made when it is needed for the first time."""
        if self._start_page is None:
            from inspector_app.ui.start_page import StartPage

            page = self._start_page = StartPage()
            page.open_requested.connect(self.open_dialog)
            page.sample_requested.connect(self.open_sample)
            page.file_requested.connect(lambda path: self.open_paths([path]))
            page.clear_requested.connect(self._clear_recent)
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
        tabs = [self._tab_of(path) or self._new_tab(path) for path in paths]
        if tabs:
            self.tabs.setCurrentWidget(tabs[-1])
        return tabs

    def all_tabs(self) -> list[CheckpointTab]:
        """The tabs, from left to right."""
        found = [self.tabs.widget(index) for index in range(self.tabs.count())]
        return [tab for tab in found if isinstance(tab, CheckpointTab)]

    def tab(self) -> CheckpointTab | None:
        """The tab in front, if any."""
        current = self.tabs.currentWidget()
        return current if isinstance(current, CheckpointTab) else None

    def _tab_of(self, path: str) -> CheckpointTab | None:
        real = os.path.realpath(path)
        for tab in self.all_tabs():
            if os.path.realpath(tab.path) == real:
                return tab
        return None

    def _new_tab(self, path: str) -> CheckpointTab:
        tab = CheckpointTab(path)
        tab.restore_layout(
            self.settings.read(settings.SPLITTER), self.settings.read(settings.SIDE_SPLITTER)
        )
        tab.tree.restore_column_state(self.settings.read(settings.COLUMNS))
        tab.tree.set_fold_repeated(self.actions_by_id["fold_repeated"].isChecked())
        tab.activity_changed.connect(self._show_activity)
        tab.state_changed.connect(self._update_actions)
        tab.message.connect(self.say)
        tab.loaded.connect(self._tab_loaded)
        tab.replaced.connect(self._take_apart)
        tab.settled.connect(lambda: self._tab_settled(tab))
        tab.close_requested.connect(lambda: self._close_index(self.tabs.indexOf(tab)))
        index = self.tabs.addTab(tab, tab.name().replace("&", "&&"))
        self.tabs.tabBar().setTabButton(
            index, QTabBar.ButtonPosition.RightSide, self._close_button(tab)
        )
        self.tabs.setTabToolTip(index, tooltip(tab.path))
        self._pages.setCurrentWidget(self.tabs)
        folder = os.path.dirname(tab.path)
        self.settings.write(settings.LAST_FOLDER, folder)
        tab.read()
        return tab

    def _close_button(self, tab: CheckpointTab) -> QToolButton:
        # The styles' own is a loud red cross in some, and none at all in others.
        button = QToolButton()
        button.setIcon(icons.icon("close"))
        button.setIconSize(QSize(12, 12))
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setToolTip(self.tr("Close this tab"))
        button.setAccessibleName(self.tr("Close {name}").format(name=tab.name()))
        button.clicked.connect(lambda: self._close_index(self.tabs.indexOf(tab)))
        return button

    def _tab_settled(self, tab: CheckpointTab) -> None:
        if tab.error is None:
            self.settings.add_recent(tab.path)
        elif isinstance(tab.error, UnreadableFile) and tab.error.code == "not-found":
            self.settings.remove_recent(tab.path)
        self._recent_changed()
        focus = self.focusWidget()
        if tab is self.tab() and (focus is None or not tab.isAncestorOf(focus)):
            (tab.tree if tab.checkpoint is not None else tab.card).setFocus()
        self.settled.emit(tab)

    def _close_index(self, index: int) -> None:
        tab = self.tabs.widget(index)
        if not isinstance(tab, CheckpointTab):
            return
        self._remember(tab)
        checkpoint = tab.stop()
        self.tabs.removeTab(index)
        tab.deleteLater()
        if checkpoint is not None:
            tab.destroyed.connect(lambda: self._take_apart(checkpoint))
        if not self.tabs.count():
            self._show_start_page()

    def _take_apart(self, checkpoint: Checkpoint) -> None:
        steps = Steps(taking_apart(checkpoint), self)
        steps.finished.connect(steps.deleteLater)
        steps.start()

    def _tab_loaded(self) -> None:
        if self._collector is not None:
            self._collector.settle()

    # Actions of the table, by name

    def open_dialog(self) -> None:
        from PySide6.QtWidgets import QFileDialog

        dialog = QFileDialog(self, self.tr("Open Checkpoints"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilters(
            [
                self.tr("Checkpoints")
                + " (*.pth *.pt *.ckpt *.bin *.tar *.th *.pkl *.safetensors *.pt2 *.ptl *.onnx"
                " *.index.json)",
                self.tr("All files") + " (*)",
            ]
        )
        dialog.setDirectory(self.settings.read(settings.LAST_FOLDER) or os.path.expanduser("~"))
        dialog.filesSelected.connect(self.open_paths)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def open_sample(self) -> None:
        self.open_paths([resource_path(*SAMPLE)])

    def reload(self) -> None:
        if (tab := self.tab()) is not None:
            tab.read()

    def close_tab(self) -> None:
        self._close_index(self.tabs.currentIndex())

    def quit(self) -> None:
        self.close()

    def copy_loading(self) -> None:
        if (tab := self.tab()) is not None:
            tab.copy_code("loading")

    def copy_resume(self) -> None:
        if (tab := self.tab()) is not None:
            tab.copy_code("resume")

    def compute_statistics(self) -> None:
        if (tab := self.tab()) is not None:
            tab.compute_statistics()

    def fold_repeated(self) -> None:
        folded = self.actions_by_id["fold_repeated"].isChecked()
        self.settings.write(settings.FOLD_REPEATED, folded)
        for tab in self.all_tabs():
            tab.tree.set_fold_repeated(folded)

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

    def shortcuts(self) -> None:
        from inspector_app.ui.dialogs import ShortcutsDialog

        ShortcutsDialog(self).show()

    def about(self) -> None:
        from inspector_app.ui.dialogs import AboutDialog

        AboutDialog(self).show()

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
        have = {
            table.NOTHING: True,
            table.TAB: tab is not None,
            table.CHECKPOINT: read,
            table.SELECTION: read and tab.tree.view.current_row() >= 0,
            table.TENSOR: read and isinstance(tab.node, TensorInfo),
            table.TRAINING: read and tab.can_resume(),
        }
        for spec in table.ACTIONS:
            self.actions_by_id[spec.id].setEnabled(have[spec.needs])
        self._columns_menu.setEnabled(read)

    def _recent_changed(self) -> None:
        if self._start_page is not None:
            self._start_page.set_recent(self.settings.recent_files())

    def _clear_recent(self) -> None:
        self.settings.clear_recent()
        self._recent_changed()

    def _remember(self, tab: CheckpointTab) -> None:
        if tab.checkpoint is not None:
            columns, side = tab.save_layout()
            self.settings.write(settings.SPLITTER, columns)
            self.settings.write(settings.SIDE_SPLITTER, side)
            self.settings.write(settings.COLUMNS, tab.tree.column_state())

    # Events

    def _hover_drop_zone(self, hovered: bool) -> None:
        if self._start_page is not None:
            self._start_page.drop_zone.set_hovered(hovered)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()
            self._hover_drop_zone(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._hover_drop_zone(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self._hover_drop_zone(False)
        paths = dropped_paths(event.mimeData())
        if paths:
            event.acceptProposedAction()
            self.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        if (tab := self.tab()) is not None:
            self._remember(tab)
        self.settings.write(settings.GEOMETRY, bytes(self.saveGeometry().data()))
        for tab in self.all_tabs():
            tab.stop()
        super().closeEvent(event)


def dropped_paths(data: QMimeData) -> list[str]:
    """The local files among what is dragged."""
    return [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
