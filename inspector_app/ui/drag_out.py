"""Dragging files out of the window, and tensors as .npy files.

A tensor's file is written when whatever it was dropped on asks for it, not before: a drag
that ends nowhere costs nothing. The files lie in a folder of their own until the program ends.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache

from PySide6.QtCore import QByteArray, QCoreApplication, QMetaType, QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDrag, QFontMetrics, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QApplication, QProgressDialog, QWidget

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.file_urls import URIS, text_of, url_of
from inspector_app.ui import icons
from inspector_app.ui.drop_targets import OWN_TENSORS

TEXT = "text/plain"
MOST_FILES = 200
LONGEST_NAME = 100
QUIET_SECONDS = 0.4  # before this a window that counts would only flicker
WHOLE = 1_000
ICON, GAP, LABEL_CHARACTERS = 18, 8, 48

Say = Callable[[str], object]


def drag_files(source: QWidget, paths: Sequence[str]) -> Qt.DropAction:
    """Let the user drag these files; returns when that has ended."""
    data = QMimeData()
    data.setUrls([QUrl(url_of(os.path.abspath(path))) for path in paths])
    data.setText(text_of("\n".join(paths)))
    label = os.path.basename(paths[0]) if len(paths) == 1 else _tr("{n} files")
    return _exec(source, data, label.format(n=len(paths)) if len(paths) > 1 else label)


def drag_tensors(
    source: QWidget, checkpoint: Checkpoint, tensors: Sequence[TensorInfo], names: str, say: Say
) -> Qt.DropAction:
    """Let the user drag these tensors.

    Args:
        names: what the rows are called, for what takes text alone.
        say: shows one sentence in the status bar.
    """
    if not tensors:
        data = QMimeData()
        data.setText(names)
        return _exec(source, data, names.partition("\n")[0])
    if len(tensors) > MOST_FILES:
        text = _tr("Only the first {n} of the tensors are dragged as files")
        say(text.format(n=MOST_FILES))
    chosen = list(tensors[:MOST_FILES])
    data = TensorFiles(checkpoint, chosen, names, say, source.window())
    label = _tr("{n} tensors").format(n=len(chosen)) if len(chosen) > 1 else chosen[0].name
    return _exec(source, data, label)


class TensorFiles(QMimeData):
    """Tensors that become .npy files when they are asked for as files.

    Args:
        parent: of the window that says how far a large one is.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        tensors: Sequence[TensorInfo],
        names: str,
        say: Say,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__()
        self._checkpoint = checkpoint
        self._tensors = tensors
        self._names = names
        self._say = say
        self._parent = parent
        self._written: list[str] | None = None

    def formats(self) -> list[str]:
        return [URIS, TEXT, OWN_TENSORS]

    def hasFormat(self, mimetype: str) -> bool:
        return mimetype in self.formats()

    def retrieveData(self, mimetype: str, type: QMetaType) -> object:
        if mimetype == TEXT:
            return self._names
        if mimetype != URIS:
            return QByteArray()
        urls = [url_of(path) for path in self.files()]
        if type.id() == QMetaType.Type.QVariantList.value:
            return [QUrl(url) for url in urls]
        return QByteArray("\r\n".join(urls).encode())

    def files(self) -> list[str]:
        """The files, written now if they were not; none if that fails or is cancelled."""
        if self._written is None:
            self._written = self._write()
        return self._written

    def _write(self) -> list[str]:
        folder = tempfile.mkdtemp(dir=_folder())
        paths = list(file_names([tensor.name for tensor in self._tensors]))
        wanted = [os.path.join(folder, f"{name}.npy") for name in paths]
        begun, progress = time.monotonic(), None
        try:
            for share in _writing(self._checkpoint, self._tensors, wanted):
                if progress is None and time.monotonic() - begun > QUIET_SECONDS:
                    progress = self._counting()
                if progress is not None:
                    progress.setValue(int(share * WHOLE))
                    if progress.wasCanceled():
                        self._say(_tr("Writing was cancelled"))
                        return _removed(wanted)
        except CheckpointError as error:
            self._say(error.message)
            return _removed(wanted)
        except OSError as error:
            reason = plain(error.strerror or str(error))
            self._say(_tr("The tensor was not written: {reason}").format(reason=reason))
            return _removed(wanted)
        finally:
            if progress is not None:
                progress.close()
                progress.deleteLater()
        return wanted

    def _counting(self) -> QProgressDialog:
        """A window that says how far it is; setting its value lets it answer a click."""
        text, cancel = _tr("Writing what was dropped…"), _tr("Cancel")
        made = QProgressDialog(text, cancel, 0, WHOLE, self._parent)
        made.setWindowTitle(_tr("Writing .npy Files"))
        made.setWindowModality(Qt.WindowModality.ApplicationModal)
        made.setMinimumDuration(0)
        return made


def file_names(names: Sequence[str]) -> Iterator[str]:
    """A file's name for each tensor's, without ending: nothing but letters, digits and ``._-``,
    no two alike on a system that takes upper and lower case for the same."""
    given: set[str] = set()
    for name in names:
        # A name that begins with a dot is hidden, or means a folder.
        base = re.sub(r"[^A-Za-z0-9._-]+", "_", name[-LONGEST_NAME:]).lstrip("._-") or "tensor"
        made, count = base, 1
        while made.lower() in given:
            count += 1
            made = f"{base}-{count}"
        given.add(made.lower())
        yield made


def _writing(
    checkpoint: Checkpoint, tensors: Sequence[TensorInfo], paths: Sequence[str]
) -> Iterator[float]:
    from inspector_app.analysis.npy_file import saving_npy
    from inspector_app.checkpoint.values import open_values

    with open_values(checkpoint) as reader:
        for place, (tensor, path) in enumerate(zip(tensors, paths, strict=True)):
            for share in saving_npy(reader, tensor, path):
                yield (place + share) / len(tensors)


def _removed(paths: Sequence[str]) -> list[str]:
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
    return []


@cache
def _holder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="checkpoint-inspector-", ignore_cleanup_errors=True)


def _folder() -> str:
    """Where dragged tensors are written; it goes with the program."""
    return _holder().name


def _exec(source: QWidget, data: QMimeData, label: str) -> Qt.DropAction:
    drag = QDrag(source)
    drag.setMimeData(data)
    picture = _picture(plain(label, LABEL_CHARACTERS), source.devicePixelRatioF())
    drag.setPixmap(picture)
    drag.setHotSpot(QPoint(-GAP, -GAP))
    # Never a move: a file manager would delete the checkpoint.
    return drag.exec(Qt.DropAction.CopyAction)


def _picture(label: str, ratio: float) -> QPixmap:
    """What follows the pointer: a file and its name."""
    palette, font = QPalette(), QApplication.font()
    metrics = QFontMetrics(font)
    width = ICON + 3 * GAP + metrics.horizontalAdvance(label)
    height = max(ICON, metrics.height()) + GAP
    picture = QPixmap(int(width * ratio), int(height * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(palette.color(QPalette.ColorRole.Mid))
    painter.setBrush(palette.color(QPalette.ColorRole.Base))
    painter.drawRoundedRect(0, 0, width - 1, height - 1, 6, 6)
    icons.icon("file").paint(painter, GAP, (height - ICON) // 2, ICON, ICON)
    painter.setPen(palette.color(QPalette.ColorRole.Text))
    painter.setFont(font)
    place = (height + metrics.ascent() - metrics.descent()) // 2
    painter.drawText(2 * GAP + ICON, place, label)
    painter.end()
    return picture


def _tr(text: str) -> str:
    return QCoreApplication.translate("DragOut", text)
