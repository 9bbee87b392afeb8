"""The export wizard's fourth page: the export and its proof as they go on."""

from __future__ import annotations

import os

from PySide6.QtWidgets import QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.wizard_run_page import RunPage
from inspector_app.ui.worker_task import TICK_SECONDS
from inspector_app.worker.export_run import ExportPlan, exporting
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Exported, Finished


class ExportRunPage(RunPage):
    """Runs an `ExportPlan`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            self.tr("Run"),
            self.tr("The model is exported, then proven."),
            self.tr("the export"),
            parent,
        )

    def start(self, plan: ExportPlan) -> None:
        """Begin `plan`."""
        self.begin(plan, exporting(plan, tick=TICK_SECONDS), self.tr("Export"))

    def part_ended(self, event: Finished | Failed) -> None:
        exported = isinstance(event, Finished) and isinstance(event.result, Exported)
        if exported and self.plan.proof is not None:
            self.begin_group(self.tr("Proof"))

    def left_text(self) -> str:
        text = self.tr("{name} was not written, and nothing is left of it.")
        return text.format(name=plain(os.path.basename(self.plan.target)))
