"""Choosing files to open and to compare. No dialog holds up the window."""

from __future__ import annotations

import os
from collections.abc import Callable

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QFileDialog, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.checkpoint_tab import CheckpointTab

ENDINGS = "*.pth *.pt *.ckpt *.bin *.tar *.th *.pkl *.safetensors *.pt2 *.ptl *.onnx *.index.json"


def ask(
    parent: QWidget,
    title: str,
    folder: str,
    chosen: Callable[[list[str]], object],
    several: bool = True,
) -> QFileDialog:
    """Ask for checkpoints; `chosen` gets their paths."""
    dialog = QFileDialog(parent, title)
    mode = QFileDialog.FileMode
    dialog.setFileMode(mode.ExistingFiles if several else mode.ExistingFile)
    dialog.setNameFilters([_tr("Checkpoints") + f" ({ENDINGS})", _tr("All files") + " (*)"])
    dialog.setDirectory(folder or os.path.expanduser("~"))
    dialog.filesSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


def ask_folder(
    parent: QWidget, title: str, folder: str, chosen: Callable[[str], object]
) -> QFileDialog:
    """Ask for a folder; `chosen` gets its path."""
    dialog = QFileDialog(parent, title)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    dialog.setDirectory(folder or os.path.expanduser("~"))
    dialog.fileSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


def ask_other(
    parent: QWidget,
    tab: CheckpointTab | None,
    folder: str,
    compare: Callable[[str, str], object],
) -> QFileDialog:
    """Ask for what to compare a tab's file with; without one for both files."""
    if tab is not None:
        title = _tr("Compare {name} With").format(name=plain(tab.name(), 60))
        return ask(parent, title, folder, lambda paths: compare(tab.path, paths[0]), several=False)

    def chosen(paths: list[str]) -> None:
        if len(paths) >= 2:
            compare(paths[0], paths[1])
        elif paths:
            title = _tr("Compare {name} With").format(name=plain(os.path.basename(paths[0]), 60))
            ask(parent, title, folder, lambda others: compare(paths[0], others[0]), several=False)

    return ask(parent, _tr("Choose Two Checkpoints to Compare"), folder, chosen)


def _tr(text: str) -> str:
    return QCoreApplication.translate("FileDialogs", text)
