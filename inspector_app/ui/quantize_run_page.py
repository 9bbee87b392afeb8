"""The quantize dialog's page on which the quantization and its measuring go on."""

from __future__ import annotations

import os

from PySide6.QtWidgets import QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.wizard_run_page import RunPage
from inspector_app.ui.worker_task import TICK_SECONDS
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Finished
from inspector_app.worker.quantize_protocol import Measured, Quantized, Weighed
from inspector_app.worker.quantize_run import QuantizePlan, quantizing


class QuantizeRunPage(RunPage):
    """Runs a `QuantizePlan`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            self.tr("Run"),
            self.tr("The model is quantized; then float and quantized run side by side."),
            self.tr("the quantization"),
            parent,
        )
        self._weighed = 0

    def start(self, plan: QuantizePlan) -> None:
        """Begin `plan`."""
        self._weighed = 0
        self.begin(plan, quantizing(plan, tick=TICK_SECONDS), self.tr("Quantize"))

    def part_ended(self, event: Finished | Failed) -> None:
        if not isinstance(event, Finished) or self.plan.settings is None or self.plan.data is None:
            return
        if isinstance(event.result, Quantized):
            self.begin_group(self.tr("Measure both, side by side"))
        elif isinstance(event.result, Measured) and self.plan.settings.memory:
            self.begin_group(self.tr("Memory of the original"))
        elif isinstance(event.result, Weighed) and not self._weighed:
            self._weighed += 1
            self.begin_group(self.tr("Memory of the quantized"))

    def left_text(self) -> str:
        text = self.tr("{name} was not written, and nothing is left of it.")
        return text.format(name=plain(os.path.basename(self.plan.target)))
