"""Paints the page of a training, light and dark: a short one that goes on after a rehearsal, and
one that does not.

python packaging/make_training_screenshots.py [FOLDER]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Sets up a place for settings of its own before anything of Qt is imported.
from make_screenshots import OUTPUT, keep, opened, wait_for
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from inspector_app.ui import settings, theme, windows
from inspector_app.ui.side_pages import TRAINING

SIZE = (1280, 900)
PANE_WIDTH = 560
SETTLE_MS = 500
GOOD, BAD = "digits_epoch_12.pth", "digits_widened.pth"
EPOCHS, BATCHES, WARM_UP = 12, 20, 4


def main() -> int:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    # A neutral folder: its path is in the picture.
    folder = Path(tempfile.gettempdir()) / "checkpoints"
    folder.mkdir(exist_ok=True)
    train(folder / GOOD)
    train(folder / BAD, spoil)
    windows.application()
    for appearance in (theme.LIGHT, theme.DARK):
        theme.apply(appearance)
        window = windows.MainWindow(settings.Settings(remember=False))
        window.resize(*SIZE)
        window.show()
        paint(window, folder / GOOD, output / f"training-{appearance}.png", whole=False)
        paint(window, folder / BAD, output / f"training-fails-{appearance}.png", whole=True)
        window.close()
    shutil.rmtree(folder)
    return 0


def paint(window: Any, path: Path, target: Path, whole: bool) -> None:
    """The window with the page about `path`, rehearsed; or the `whole` page alone."""
    page = rehearsed(window, path)
    bar = page.verticalScrollBar()
    bar.setValue(0 if whole else bar.minimum())
    if not whole:
        page.ensureWidgetVisible(page.rehearsal.rates, 0, SETTLE_MS)
    QTest.qWait(SETTLE_MS)
    shown: QWidget = page.widget() if whole else window
    keep(shown, target)


def rehearsed(window: Any, path: Path) -> Any:
    """The page about the training in `path`."""
    tab = opened(window, path)
    room = sum(tab.splitter.sizes())
    tab.splitter.setSizes([room - PANE_WIDTH, PANE_WIDTH])
    tab.side.setSizes([10_000, 0])
    pages = tab.side.pages
    wait_for(lambda: pages.bar.isTabVisible(TRAINING), "looking for a training")
    pages.bar.setCurrentIndex(TRAINING)
    page = pages.training
    wait_for(page.is_settled, "the training")
    wait_for(page.rehearsal.is_settled, "the learning rate")
    page.rehearsal.button.click()
    wait_for(page.rehearsal.is_settled, "the rehearsal")
    return page


def train(path: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Save a short training, after a `change` to its parts."""
    import torch
    from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3),
        torch.nn.BatchNorm2d(16),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(32 * 6 * 6, 10),
    )
    decayed = {name: p for name, p in model.named_parameters() if p.ndim > 1}
    others = {name: p for name, p in model.named_parameters() if p.ndim == 1}
    optimizer = torch.optim.SGD(
        [
            {"params": list(decayed.items()), "weight_decay": 5e-4},
            {"params": list(others.items()), "lr": 0.1, "weight_decay": 0.0},
        ],
        lr=0.05,
        momentum=0.9,
        nesterov=True,
    )
    warm_up = LinearLR(optimizer, 0.1, total_iters=WARM_UP)
    falling = CosineAnnealingLR(optimizer, 26, eta_min=1e-4)
    scheduler = SequentialLR(optimizer, [warm_up, falling], milestones=[WARM_UP])
    history: dict[str, list[float]] = {"train_loss": [], "val_accuracy": []}
    kinds = torch.randn(10, 1, 16, 16)
    for _ in range(EPOCHS):
        for _ in range(BATCHES):
            labels = torch.randint(10, (32,))
            images = kinds[labels] + 3 * torch.randn(32, 1, 16, 16)
            out = model(images)
            loss = torch.nn.functional.cross_entropy(out, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        history["train_loss"].append(loss.item())
        history["val_accuracy"].append((out.argmax(1) == labels).float().mean().item())
        scheduler.step()
    parts = {
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": scheduler.state_dict(),
        "epoch": EPOCHS,
        "step": EPOCHS * BATCHES,
        "loss": history["train_loss"][-1],
        "history": history,
        "rng_state": torch.get_rng_state(),
        "args": {"lr": 0.05, "batch_size": 32, "momentum": 0.9, "seed": 0},
    }
    if change is not None:
        change(parts)
    torch.save(parts, path)


def spoil(parts: dict[str, Any]) -> None:
    """A layer that was widened, a lost momentum, and a scheduler of another epoch."""
    import torch

    parts["model_state_dict"]["6.weight"] = torch.randn(12, 32 * 6 * 6)
    state = parts["optimizer_state_dict"]["state"]
    del state[max(state)]
    parts["epoch"] = 9


if __name__ == "__main__":
    sys.exit(main())
