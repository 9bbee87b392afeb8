"""The menu of a tab: comparing it, finding its files, closing it and its neighbours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QMenu, QWidget

from inspector_app.checkpoint.text import plain

if TYPE_CHECKING:
    from inspector_app.ui.window_tabs import WindowTabs

LONGEST_NAME = 60
MOST_OTHERS = 12  # tabs that a file can be compared with from here


def tab_menu(tabs: WindowTabs, tab: QWidget) -> QMenu:
    """What can be done with a tab. It deletes itself once it was closed."""
    menu = QMenu(tabs)
    menu.aboutToHide.connect(menu.deleteLater)
    if tab.kind == "file":
        _add_comparing(menu, tabs, tab)
    elif tab.kind == "comparison":
        _add_sides(menu, tabs, tab)
    _add_files(menu, tabs, tab)
    menu.addSeparator()
    menu.addAction(_tr("&Reload")).triggered.connect(tab.read)
    menu.addSeparator()
    close = menu.addAction(_tr("&Close Tab"))
    close.triggered.connect(lambda: tabs.close_tab(tabs.indexOf(tab)))
    place = tabs.indexOf(tab)
    others = [each for each in tabs.all() if each is not tab]
    right = tabs.all()[place + 1 :]
    for text, which in ((_tr("Close &Others"), others), (_tr("Close to the R&ight"), right)):
        action = menu.addAction(text)
        action.setEnabled(bool(which))
        action.triggered.connect(lambda _checked=False, which=which: _close(tabs, which))
    return menu


def _add_comparing(menu: QMenu, tabs: WindowTabs, tab: QWidget) -> None:
    menu.addAction(_tr("Compare &With…")).triggered.connect(
        lambda: tabs.compare_requested.emit(tab)
    )
    others = [each for each in tabs.files() if each is not tab]
    for other in others[:MOST_OTHERS]:
        action = menu.addAction(_tr("Compare With {name}").format(name=_name(other.name())))
        action.triggered.connect(
            lambda _checked=False, other=other: tabs.compare(tab.path, other.path)
        )
    menu.addSeparator()


def _add_sides(menu: QMenu, tabs: WindowTabs, tab: QWidget) -> None:
    menu.addAction(_tr("&Swap Sides")).triggered.connect(tab.swap_sides)
    for path in tab.paths():
        action = menu.addAction(_tr("Open {name}").format(name=_name(os.path.basename(path))))
        action.triggered.connect(lambda _checked=False, path=path: tabs.open_files([path]))
    menu.addSeparator()


def _add_files(menu: QMenu, tabs: WindowTabs, tab: QWidget) -> None:
    paths = tab.paths()
    copy = menu.addAction(_tr("Copy &Path") if len(paths) == 1 else _tr("Copy &Paths"))
    copy.triggered.connect(lambda: tabs.paths_copied.emit(paths))
    # Of a run's many files the first shows where all of them lie.
    shown = paths if tab.kind == "comparison" else paths[:1]
    for path in shown:
        text = _tr("Show in File &Manager")
        if len(shown) > 1:
            text = _tr("Show {name} in the File Manager").format(name=_name(os.path.basename(path)))
        action = menu.addAction(text)
        action.triggered.connect(lambda _checked=False, path=path: tabs.place_wanted.emit(path))


def _close(tabs: WindowTabs, which: list[QWidget]) -> None:
    for tab in which:
        tabs.close_tab(tabs.indexOf(tab))


def _name(name: str) -> str:
    # The text between two "&" would lose them, and underline what follows.
    return plain(name, LONGEST_NAME).replace("&", "&&")


def _tr(text: str) -> str:
    return QCoreApplication.translate("TabMenu", text)
