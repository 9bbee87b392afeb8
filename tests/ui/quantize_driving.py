"""What the tests of the quantize dialog share: a small network with its samples, and hands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from wizard_hands import WizardHands

from inspector_app.ui import inputs_page, model_page, model_source_code, quantize_histogram
from inspector_app.ui.quantize_dialog import QuantizeDialog
from inspector_app.ui.quantize_method_page import MethodPage

PATIENCE_MS = 120_000
SAMPLES = 96
SOURCE = '''
import torch
from torch import nn


class Net(nn.Module):
    """Two convolutions and a layer of classes."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 64, 3, stride=2)
        self.last = nn.Linear(64, 4)

    def forward(self, images):
        hidden = torch.relu(self.norm(self.first(images)))
        hidden = torch.relu(self.second(hidden))
        return self.last(hidden.mean((2, 3)))
'''


def save_net(folder: Path) -> Path:
    """A bare state_dict with its source and its samples, labelled by itself, beside it."""
    (folder / "net.py").write_text(SOURCE, encoding="utf-8")
    names: dict[str, type[nn.Module]] = {}
    exec(compile(SOURCE, "net.py", "exec"), names)
    torch.manual_seed(3)
    net = names["Net"]().eval()
    torch.save(net.state_dict(), folder / "net_weights.pth")
    images = torch.randn(SAMPLES, 1, 8, 8) + torch.randn(SAMPLES, 1, 1, 1)
    with torch.no_grad():
        labels = net(images).argmax(1)
    np.savez(folder / "samples.npz", images=images.numpy(), labels=labels.numpy())
    return folder / "net_weights.pth"


def hurry(monkeypatch) -> None:
    """Nobody types on here."""
    monkeypatch.setattr(model_page, "QUIET_MS", 20)
    monkeypatch.setattr(inputs_page, "QUIET_MS", 20)
    monkeypatch.setattr(model_source_code, "TYPING_MS", 20)
    monkeypatch.setattr(quantize_histogram, "SETTLE_MS", 10)
    # Ahead of the page that shows it, it would take seconds of tests that never see it.
    monkeypatch.setattr(MethodPage, "prepare", lambda _page: None)


class Hands(WizardHands):
    """Presses keys and buttons of the dialog, and waits as people do."""

    def __init__(self, qtbot, dialog: QuantizeDialog) -> None:
        super().__init__(qtbot, PATIENCE_MS)
        self.dialog = dialog

    def go_on_to(self, number: int) -> None:
        """Press Next, or what stands in its place."""
        problem = self.dialog.pages[self.dialog.page_number()].problem()
        assert not problem
        self.press(self.dialog.next)
        assert self.dialog.page_number() == number

    def wait_for_preview(self) -> None:
        page = self.dialog.preview_page
        self.wait(lambda: page.run.is_complete(page.scheme()) or bool(page.run.error))
        assert not page.run.error

    def choose_method(self, method: str, engine: str = "") -> None:
        """Press the method, once it is known that it works."""
        page = self.dialog.method_page
        self.wait(lambda: page.interpreter() in page._known)
        self.press(page.methods.row_of(method, engine).button)
