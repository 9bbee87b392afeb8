"""The tabs of the window: files, and comparisons of two files."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtWidgets import QMenu, QTabBar, QTabWidget, QToolButton, QWidget
from shiboken6 import isValid

from inspector_app.checkpoint.errors import UnreadableFile
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.ui import icons, settings
from inspector_app.ui.checkpoint_tab import CheckpointTab
from inspector_app.ui.collector import taking_apart
from inspector_app.ui.tab_bar import DocumentTabBar
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import tooltip

if TYPE_CHECKING:
    from inspector_app.ui.compare_tab import CompareTab
    from inspector_app.ui.run_tab import RunTab

MOST_CLOSED = 20  # tabs that can be opened again
# What a comparison is made of, the innermost first: a step imports one.
_COMPARISON = (
    "inspector_app.analysis.comparison",
    "inspector_app.analysis.key_mapping",
    "inspector_app.analysis.diff",
    "inspector_app.ui.banner",
    "inspector_app.ui.diff_columns",
    "inspector_app.ui.diff_tree",
    "inspector_app.ui.compare_header",
    "inspector_app.ui.compare_run",
    "inspector_app.ui.compare_report",
    "inspector_app.ui.compare_tab",
    "inspector_app.ui.pair_pane",
    "inspector_app.ui.compare_side",
)


class WindowTabs(QTabWidget):
    """A tab for each open file and each comparison.

    Args:
        remembered: where the layout of closed tabs is kept.

    Signals:
        opened: a tab was made; it has not begun to read.
        emptied: the last tab was closed.
        compare_requested: this tab's file is to be compared with one that is yet to be chosen.
        paths_copied: these are to be copied.
        place_wanted: this file is to be shown where it lies.

    Attributes:
        closed: what was closed, the latest last: a tab's kind and its paths.
    """

    opened = Signal(object)
    emptied = Signal()
    compare_requested = Signal(object)
    paths_copied = Signal(list)
    place_wanted = Signal(str)

    def __init__(self, remembered: settings.Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = remembered
        self.closed: list[tuple[str, list[str]]] = []
        self._expecting: Steps | None = None
        # Checkpoints that a dialog reads, and those of them that no tab shows any more.
        self._in_use: list[Checkpoint] = []
        self._left: list[Checkpoint] = []
        bar = DocumentTabBar()
        bar.close_wanted.connect(self.close_tab)
        bar.pulled_out.connect(self._drag)
        bar.setAccessibleName(self.tr("What is open"))
        self.setTabBar(bar)
        # Of the bar, too: one that is set afterwards would draw a frame and another ground.
        self.setDocumentMode(True)
        self.setMovable(True)
        self.setUsesScrollButtons(True)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        bar.customContextMenuRequested.connect(self._show_menu)

    # Which there are

    def all(self) -> list[CheckpointTab | CompareTab]:
        """The tabs, from left to right."""
        return [self.widget(index) for index in range(self.count())]

    def current(self) -> CheckpointTab | CompareTab | None:
        """The tab in front, if any."""
        return self.currentWidget()

    def files(self) -> list[CheckpointTab]:
        """The tabs of one file each."""
        return [tab for tab in self.all() if isinstance(tab, CheckpointTab)]

    def comparisons(self) -> list[CompareTab]:
        """The tabs of two files each."""
        return [tab for tab in self.all() if tab.kind == "comparison"]

    # Opening and closing

    def open_files(self, paths: Sequence[str]) -> list[CheckpointTab]:
        """A tab for each file; one that is open already is raised instead. A folder that is
        no checkpoint in several files is opened as a run."""
        tabs = [
            self.open_run(path) if _is_run(path) else self._of(path) or self._new(path)
            for path in paths
        ]
        if tabs:
            self.setCurrentWidget(tabs[-1])
        return tabs

    def compare(self, path: str, path_b: str) -> CompareTab:
        """A tab that compares two files, the first of which is A; raised if it is there."""
        wanted = [os.path.realpath(path), os.path.realpath(path_b)]
        for tab in self.comparisons():
            if [os.path.realpath(tab.path), os.path.realpath(tab.path_b)] == wanted:
                self.setCurrentWidget(tab)
                return tab
        from inspector_app.ui.compare_tab import CompareTab

        made = CompareTab(path, path_b, self._settings)
        made.restore_layout(
            self._settings.read(settings.COMPARE_SPLITTER),
            self._settings.read(settings.COMPARE_COLUMNS),
        )
        self._add(made)
        made.sides_changed.connect(lambda: self._name(made))
        self.setCurrentWidget(made)
        return made

    def open_run(self, folder: str = "", files: Sequence[str] = ()) -> RunTab:
        """A tab of the checkpoints in a folder, or of some; raised if it is there."""
        wanted = [os.path.realpath(path) for path in (files or [folder])]
        for tab in self.all():
            if tab.kind == "run" and [os.path.realpath(each) for each in tab.paths()] == wanted:
                self.setCurrentWidget(tab)
                return tab
        from inspector_app.ui.run_tab import RunTab

        made = RunTab(folder, files)
        made.open_requested.connect(self.open_files)
        made.compare_requested.connect(self.compare)
        self._add(made)
        self.setCurrentWidget(made)
        return made

    def expect_comparison(self) -> None:
        """Somebody is about to compare: import what that takes, while the choice is made."""
        if self._expecting is None:
            self._expecting = Steps(_importing(), self)
            self._expecting.start()

    def close_tab(self, index: int) -> None:
        """Close a tab and free what it showed."""
        tab = self.widget(index)
        if tab is None:
            return
        self.remember(tab)
        self.closed = [*self.closed, (tab.kind, tab.paths())][-MOST_CLOSED:]
        shown = tab.stop()
        self.removeTab(index)
        tab.deleteLater()
        left = [shown] if isinstance(shown, Checkpoint) else shown or []
        if left:
            tab.destroyed.connect(lambda: [self.take_apart(each) for each in left])
        if not self.count():
            self.emptied.emit()

    def take_apart(self, checkpoint: Checkpoint) -> None:
        """Free a checkpoint that is shown no more, in slices."""
        if not isValid(self):
            return  # The program ends, and with it everything.
        if _among(checkpoint, self._in_use):
            self._left.append(checkpoint)
            return
        steps = Steps(taking_apart(checkpoint), self)
        steps.finished.connect(steps.deleteLater)
        steps.start()

    def keep(self, checkpoint: Checkpoint, user: QWidget) -> None:
        """Leave a checkpoint whole until `user` is gone, whether a tab shows it or not."""
        self._in_use.append(checkpoint)
        user.destroyed.connect(lambda: self._let_go(checkpoint))

    def _let_go(self, checkpoint: Checkpoint) -> None:
        place = next(n for n, each in enumerate(self._in_use) if each is checkpoint)
        del self._in_use[place]
        if _among(checkpoint, self._left) and not _among(checkpoint, self._in_use):
            self._left = [each for each in self._left if each is not checkpoint]
            self.take_apart(checkpoint)

    def remember(self, tab: CheckpointTab | CompareTab) -> None:
        """Keep the layout of a tab for the next one of its kind."""
        if tab.checkpoint is None:
            return
        if isinstance(tab, CheckpointTab):
            columns, side = tab.save_layout()
            self._settings.write(settings.SPLITTER, columns)
            self._settings.write(settings.SIDE_SPLITTER, side)
            self._settings.write(settings.COLUMNS, tab.tree.column_state())
        else:
            splitter, columns = tab.save_layout()
            self._settings.write(settings.COMPARE_SPLITTER, splitter)
            self._settings.write(settings.COMPARE_COLUMNS, columns)

    def _of(self, path: str) -> CheckpointTab | None:
        real = os.path.realpath(path)
        for tab in self.files():
            if os.path.realpath(tab.path) == real:
                return tab
        return None

    def _new(self, path: str) -> CheckpointTab:
        tab = CheckpointTab(path)
        tab.restore_layout(
            self._settings.read(settings.SPLITTER), self._settings.read(settings.SIDE_SPLITTER)
        )
        tab.tree.restore_column_state(self._settings.read(settings.COLUMNS))
        self._add(tab)
        return tab

    def _add(self, tab: CheckpointTab | CompareTab) -> None:
        tab.replaced.connect(self.take_apart)
        tab.close_requested.connect(lambda: self.close_tab(self.indexOf(tab)))
        index = self.addTab(tab, "")
        button = self._close_button(tab)
        self.tabBar().setTabButton(index, QTabBar.ButtonPosition.RightSide, button)
        self._name(tab)
        self.opened.emit(tab)
        tab.read()

    def _name(self, tab: CheckpointTab | CompareTab) -> None:
        index = self.indexOf(tab)
        # The text between two "&" would lose them, and underline what follows.
        self.setTabText(index, tab.name().replace("&", "&&"))
        self.setTabToolTip(index, tooltip("\n".join(tab.paths())))
        button = self.tabBar().tabButton(index, QTabBar.ButtonPosition.RightSide)
        if button is not None:
            button.setAccessibleName(self.tr("Close {name}").format(name=tab.name()))

    def _close_button(self, tab: CheckpointTab | CompareTab) -> QToolButton:
        # The styles' own is a loud red cross in some, and none at all in others.
        button = QToolButton()
        button.setIcon(icons.icon("close"))
        button.setIconSize(QSize(12, 12))
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setToolTip(self.tr("Close this tab"))
        button.clicked.connect(lambda: self.close_tab(self.indexOf(tab)))
        return button

    # The menu of a tab

    def menu_of(self, index: int) -> QMenu:
        """What can be done with a tab. It deletes itself once it was closed."""
        from inspector_app.ui.tab_menu import tab_menu

        self.expect_comparison()
        return tab_menu(self, self.widget(index))

    def _drag(self, index: int) -> None:
        from inspector_app.ui.drag_out import drag_files

        if (tab := self.widget(index)) is not None:
            drag_files(self, tab.paths())

    def _show_menu(self, point: QPoint) -> None:
        index = self.tabBar().tabAt(point)
        if index >= 0:
            self.menu_of(index).popup(self.tabBar().mapToGlobal(point))


def _is_run(path: str) -> bool:
    if not os.path.isdir(path):
        return False
    from inspector_app.checkpoint import shards

    try:
        return shards.find_index(path) is None
    except UnreadableFile:
        return True  # its tab says why


def _importing() -> Generator[None, None, None]:
    for name in _COMPARISON:
        import_module(name)
        yield


def _among(checkpoint: Checkpoint, others: list[Checkpoint]) -> bool:
    # By identity: comparing trees would take as long as they are large.
    return any(each is checkpoint for each in others)
