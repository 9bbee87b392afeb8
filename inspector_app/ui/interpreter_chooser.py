"""Choosing the Python that runs the model: what each has, and what it lacks."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.text_widgets import tooltip
from inspector_app.ui.wizard_widgets import BAD, QUIET, CopyLine, Hint, row_of
from inspector_app.ui.worker_task import WorkerTask
from inspector_app.ui.worker_words import cause_text, next_step_text
from inspector_app.worker.failures import Failed
from inspector_app.worker.interpreters import Interpreter, found, missing, pip_line
from inspector_app.worker.protocol import Probe, Probed

_SHOWN = ("torch", "onnx", "onnxruntime", "safetensors", "transformers")
_TEXT_CHARACTERS = 70
_NAME = Qt.ItemDataRole.UserRole + 1


class _Combo(QComboBox):
    """Tells when its list is about to be shown."""

    about_to_show = Signal()

    def showPopup(self) -> None:
        self.about_to_show.emit()
        super().showPopup()


class InterpreterChooser(QWidget):
    """A list of interpreters with what the chosen one has.

    Args:
        near: files beside and above which environments are looked for.
        chosen: the interpreter that was used before, or "".

    Signals:
        changed: another one is chosen, or what it has has become known.
    """

    changed = Signal()

    def __init__(self, near: list[str], chosen: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._known: dict[str, Probed | Failed] = {}
        self._probing = ""
        # Until somebody chooses, the first that has what it takes.
        self._free = not chosen
        self._everything = False
        self._probe = WorkerTask(self)
        self._probe.finished.connect(self._learned)
        self._probe.failed.connect(self._learned)
        self._search = LatestWork(self)
        self.combo = _Combo()
        self.combo.setAccessibleName(self.tr("Python interpreter"))
        self.combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.combo.about_to_show.connect(self._learn_everything)
        self.combo.currentIndexChanged.connect(self._chosen)
        self.combo.activated.connect(self._chosen_by_hand)
        self.other = QPushButton(self.tr("Other…"))
        self.other.setToolTip(self.tr("Choose a Python interpreter on this machine"))
        self.other.clicked.connect(self._ask)
        self._has = Hint()
        self._lacks = Hint()
        self.pip = CopyLine()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(row_of(self.combo, self.other))
        for widget in (self._has, self._lacks, self.pip):
            layout.addWidget(widget)
        if chosen:
            self._add(Interpreter(chosen, "path", chosen))
        elif not getattr(sys, "frozen", False):
            self._add(Interpreter(sys.executable, "this", os.path.basename(sys.prefix)))
        self._search.run(_finding(near), self._found, self._searched, self._searched)

    def interpreter(self) -> str:
        """The path of the one that is chosen, or ""."""
        return self.combo.currentData() or ""

    def probed(self) -> Probed | None:
        """What the chosen one has, once that is known."""
        known = self._known.get(self.interpreter())
        return known if isinstance(known, Probed) else None

    def problem(self) -> str:
        """Why no model can be run with it, or that it is not known yet; "" if it can."""
        path = self.interpreter()
        if not path:
            return self.tr("Choose a Python interpreter that has torch.")
        known = self._known.get(path)
        if known is None:
            return self.tr("Looking what this interpreter has…")
        if isinstance(known, Failed):
            return cause_text(known)
        if missing(known, "torchscript"):
            return self.tr("This interpreter has no torch 2.6 or newer.")
        return ""

    def lacking(self, kind: str) -> tuple[list[str], str]:
        """What a format needs and the chosen one lacks, and the line that installs it."""
        probed = self.probed()
        packages = missing(probed, kind) if probed is not None else []
        return packages, pip_line(self.interpreter(), packages) if packages else ""

    def choose(self, path: str) -> None:
        """Choose an interpreter, which is listed if it is not yet."""
        self._free = False
        index = self.combo.findData(path)
        if index < 0:
            self._add(Interpreter(path, "path", path))
            index = self.combo.count() - 1
        self.combo.setCurrentIndex(index)

    def stop(self) -> None:
        """End what is going on."""
        self._search.stop()
        self._probe.stop()

    # --- the list

    def _found(self, interpreters: list[Interpreter]) -> None:
        for each in interpreters:
            if self.combo.findData(each.path) < 0:
                self._add(each)

    def _searched(self, _end: object) -> None:
        self._learn_next()
        self._show()

    def _add(self, interpreter: Interpreter) -> None:
        origin = {
            "this": self.tr("this program's Python"),
            "venv": self.tr("virtual environment"),
            "conda": self.tr("conda environment"),
        }.get(interpreter.origin, "")
        name = plain(interpreter.name, _TEXT_CHARACTERS)
        text = f"{name} — {origin}" if origin else name
        self.combo.addItem(text, interpreter.path)
        index = self.combo.count() - 1
        self.combo.setItemData(index, tooltip(interpreter.path), Qt.ItemDataRole.ToolTipRole)
        self.combo.setItemData(index, text, _NAME)

    def _chosen(self) -> None:
        self._learn_next()
        self._show()
        self.changed.emit()

    def _chosen_by_hand(self) -> None:
        self._free = False

    def _ask(self) -> None:
        dialog = QFileDialog(self, self.tr("Choose a Python Interpreter"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setDirectory(os.path.dirname(self.interpreter()) or os.path.expanduser("~"))
        dialog.fileSelected.connect(self.choose)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # --- what they have

    def _learn_everything(self) -> None:
        self._everything = True
        self._learn_next()

    def _learn_next(self) -> None:
        path = self.interpreter()
        if path in self._known and self._everything:
            paths = [self.combo.itemData(index) for index in range(self.combo.count())]
            path = next((each for each in paths if each not in self._known), "")
        if not path or path in self._known or path == self._probing:
            return
        if self._probe.running and self._probing != self.interpreter():
            self._probe.cancel()
        if not self._probe.running:
            self._probing = path
            self._probe.ask(Probe(), path)

    def _learned(self, known: Probed | Failed) -> None:
        path, self._probing = self._probing, ""
        self._known[path] = known
        index = self.combo.findData(path)
        if index >= 0:
            name = self.combo.itemData(index, _NAME)
            self.combo.setItemText(index, f"{name}   ({self._in_short(known)})")
        if path == self.interpreter() and self._free and self.problem():
            self._try_next(index)
        self._learn_next()
        self._show()
        self.changed.emit()

    def _try_next(self, index: int) -> None:
        for other in range(index + 1, self.combo.count()):
            if self.combo.itemData(other) not in self._known:
                self.combo.setCurrentIndex(other)
                return
        self._free = False
        self.combo.setCurrentIndex(0)

    def _in_short(self, known: Probed | Failed) -> str:
        if isinstance(known, Failed):
            return self.tr("cannot be used")
        torch = known.packages.get("torch")
        return f"torch {plain(torch, 40)}" if torch else self.tr("no torch")

    def _show(self) -> None:
        self.combo.setToolTip(tooltip(self.interpreter()))
        known = self._known.get(self.interpreter())
        self._lacks.say("")
        self.pip.set_line("")
        if not isinstance(known, Probed):
            failed = isinstance(known, Failed)
            text = self.problem() + (f" {next_step_text(known)}" if failed else "")
            self._has.say(text, BAD if failed else QUIET)
            return
        has = [(name, known.packages.get(name)) for name in _SHOWN]
        listed = [f"{name} {plain(version, 40)}" for name, version in has if version]
        self._has.say("  ·  ".join([f"Python {plain(known.python, 40)}", *listed]))
        packages, line = self.lacking("torchscript")
        if packages:
            self._lacks.say(
                self.tr("No torch 2.6 or newer. Choose another, or install it there:"), BAD
            )
        else:
            packages, line = self.lacking("onnx")
            if packages:
                self._lacks.say(
                    self.tr("For ONNX it lacks {packages}:").format(packages=", ".join(packages))
                )
        self.pip.set_line(line)


def _finding(near: list[str]) -> Generator[list[Interpreter], None, None]:
    yield found(near)
