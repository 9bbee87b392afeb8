"""Paints a run's tab, light and dark.

python packaging/make_run_screenshots.py [FOLDER]
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Sets up a place for settings of its own before anything of Qt is imported.
from make_screenshots import OUTPUT, keep, wait_for
from PySide6.QtTest import QTest

from inspector_app.ui import settings, theme, windows

SIZE = (1200, 780)
SETTLE_MS = 400
EPOCHS = 24
STEPS_PER_EPOCH = 94
EPOCH_SECONDS = 421


def main() -> int:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.gettempdir()) / "digits-run"
    folder.mkdir(exist_ok=True)
    train(folder)
    windows.application()
    for appearance in (theme.LIGHT, theme.DARK):
        theme.apply(appearance)
        window = windows.MainWindow(settings.Settings(remember=False))
        window.resize(*SIZE)
        window.show()
        tab = window.tabs.open_run(str(folder))
        wait_for(tab.is_settled, "reading the run")
        tab.drift.button.click()
        wait_for(tab.drift.is_settled, "the drift")
        checkpoints = tab.run.checkpoints
        tab.table.select([checkpoints[4].path, checkpoints[11].path])
        QTest.qWait(SETTLE_MS)
        keep(window, output / f"run-{appearance}.png")
        window.close()
    shutil.rmtree(folder)
    return 0


def train(folder: Path) -> None:
    """A model that is trained a little between its checkpoints, the last of which is torn."""
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Linear(32, 32) for _ in range(5)]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(32, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    begun = 1_790_000_000
    for epoch in range(1, EPOCHS + 1):
        for _ in range(8):
            optimizer.zero_grad()
            model(torch.randn(16, 32)).square().mean().backward()
            optimizer.step()
        loss = 0.3 + 1 / epoch + 0.004 * max(0, epoch - 14) ** 1.5 + 0.01 * math.sin(3 * epoch)
        path = folder / f"epoch_{epoch:02}.pth"
        torch.save(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": epoch,
                "global_step": epoch * STEPS_PER_EPOCH,
                "train_loss": 1 / (epoch + 1),
                "val_loss": loss,
                "val_acc": 1 - loss / 2,
            },
            path,
        )
        moment = begun + epoch * EPOCH_SECONDS
        os.utime(path, (moment, moment))
    whole = path.read_bytes()
    torn = folder / f"epoch_{EPOCHS + 1:02}.pth"
    torn.write_bytes(whole[: len(whole) // 2])
    moment += EPOCH_SECONDS
    os.utime(torn, (moment, moment))


if __name__ == "__main__":
    sys.exit(main())
