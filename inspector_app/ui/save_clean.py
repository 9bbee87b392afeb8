"""What becomes of objects in a clean copy, and the proof that the copy is one."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.analysis.clean_copy import proving
from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.save_notes import Why
from inspector_app.analysis.save_plan import SavePlan
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.ui.latest_steps import LatestSteps
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.wizard_widgets import BAD, GOOD, Hint

_translate = QCoreApplication.translate


def clean_words(plan: SavePlan) -> str:
    """How many objects become plain data, and how many are left out."""
    changed = len({each.name for each in plan.changed})
    left = sum(each.why == Why.NOT_PLAIN for each in plan.left)
    if not changed and not left:
        return _translate("SaveClean", "All of the file is tensors and plain data already.")
    parts = []
    if changed:
        text = _translate("SaveClean", "{n} entries become plain data")
        if changed == 1:
            text = _translate("SaveClean", "1 entry becomes plain data")
        parts.append(text.format(n=count_text(changed)))
    if left:
        text = _translate("SaveClean", "{n} cannot and are left out")
        if left == 1:
            text = _translate("SaveClean", "1 cannot and is left out")
        parts.append(text.format(n=count_text(left)))
    return _translate("SaveClean", "{parts}; the list says which.").format(parts=", ".join(parts))


class CleanProof(QWidget):
    """Reads what was written again. Nothing is shown until there is something to say.

    Signals:
        settled: how it turned out is shown.
    """

    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps = LatestSteps(self)
        self._steps.failed.connect(self._failed)
        self.said = Hint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.said)
        self.hide()

    @property
    def running(self) -> bool:
        """The file is being read."""
        return self._steps.running

    def prove(self, path: str) -> None:
        """Read the file at `path` again."""
        self.said.say(self.tr("Reading the copy again…"))
        self.show()
        self._steps.run(proving(path), self._proved)

    def forget(self) -> None:
        """Say nothing of a copy any more."""
        self._steps.cancel()
        self.hide()

    def _proved(self, _result: None) -> None:
        text = self.tr("✓ The copy names nothing outside the allowlist of weights_only=True")
        self.said.say(text, GOOD)
        self.settled.emit()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, CheckpointError):
            raise error
        self.said.say(error_cause(error), BAD)
        self.settled.emit()
