"""What the tests of the export wizard share: files to export, and a user's hands."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn
from wizard_hands import WizardHands

from inspector_app.ui import inputs_page, model_page, model_source_code
from inspector_app.ui.export_wizard import FORMAT, INPUTS, MODEL, RESULT, ExportWizard
from inspector_app.worker.process_tree import MARK

PATIENCE_MS = 90_000
SOURCE = '''
import os
import time

import torch
from torch import nn

open(__file__ + ".imported", "w").close()


class Net(nn.Module):
    """Two layers."""

    def __init__(self, width: int = 8, classes: int = 3):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.last = nn.Linear(width, classes)

    def forward(self, x):
        while os.path.exists(__file__ + ".wait"):
            time.sleep(0.05)
        return self.last(torch.relu(self.first(x)))
'''


class Net(nn.Module):
    """The same, to make weights of."""

    def __init__(self, width: int = 8, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.last = nn.Linear(width, classes)


def save_net(folder: Path, width: int = 8, prefix: str = "") -> Path:
    """A bare state_dict, and the source of its model beside it."""
    torch.manual_seed(0)
    (folder / "net.py").write_text(SOURCE, encoding="utf-8")
    state = {prefix + key: value for key, value in Net(width).state_dict().items()}
    torch.save(state, folder / "net_weights.pth")
    return folder / "net_weights.pth"


def hurry(monkeypatch) -> None:
    """Nobody types on here."""
    monkeypatch.setattr(model_page, "QUIET_MS", 20)
    monkeypatch.setattr(inputs_page, "QUIET_MS", 20)
    monkeypatch.setattr(model_source_code, "TYPING_MS", 20)


class Hands(WizardHands):
    """Presses keys and buttons of a wizard, and waits as people do."""

    def __init__(self, qtbot, wizard: ExportWizard) -> None:
        super().__init__(qtbot, PATIENCE_MS)
        self.wizard = wizard

    def choose_code(self, source: str, name: str = "") -> None:
        """Type the source, and choose the class."""
        code = self.wizard.model_page.source.code
        self.type(code.source.lineEdit(), source)
        self.wait(lambda: not code._typing.isActive())
        if name:
            self.type(code.name.lineEdit(), name)

    def wait_for_model(self) -> None:
        page = self.wizard.model_page
        self.wait(lambda: page.described is not None or page.failure.isVisible())

    def wait_for_trial(self) -> None:
        page = self.wizard.inputs_page
        self.wait(lambda: page.tried is not None or page.failure.isVisible())

    def to_inputs(self) -> None:
        self.wait_for_model()
        assert self.wizard.page_number() == MODEL
        assert not self.wizard.model_page.problem()
        self.press(self.wizard.next)
        assert self.wizard.page_number() == INPUTS

    def to_format(self) -> None:
        self.wait_for_trial()
        assert not self.wizard.inputs_page.problem()
        self.press(self.wizard.next)
        assert self.wizard.page_number() == FORMAT

    def export(self) -> None:
        """Press Export, and wait for the result."""
        assert not self.wizard.format_page.problem()
        self.press(self.wizard.next)
        self.wait(lambda: self.wizard.page_number() == RESULT)


def workers() -> set[int]:
    """Processes that a worker's client of this one has started (Linux)."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                status = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                environment = Path("/proc", name, "environ").read_bytes()
            except OSError:
                continue
            if int(status[1]) == os.getpid() and f"{MARK}=".encode() in environment:
                found.add(int(name))
    return found
