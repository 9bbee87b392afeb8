"""Paints the dialogs that save another form and transfer weights, light and dark.

python packaging/make_save_screenshots.py [FOLDER]
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
from PySide6.QtWidgets import QDialog

from inspector_app.ui import settings, theme, windows
from inspector_app.ui.save_dialog import SaveDialog
from inspector_app.ui.transfer_dialog import TransferDialog
from inspector_app.ui.transfer_flows import Fate

SIZE = (1024, 700)
TALL = (1060, 780)
SETTLE_MS = 400
TRAINING, TARGET = "imagenet_epoch_90.pth", "flowers_10_classes.pth"
WIDTHS = (64, 128, 256, 512)


def main() -> int:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    # A neutral folder: its path is in the picture.
    folder = Path(tempfile.gettempdir()) / "checkpoints"
    folder.mkdir(exist_ok=True)
    save_models(folder)
    windows.application()
    for appearance in (theme.LIGHT, theme.DARK):
        theme.apply(appearance)
        window = windows.MainWindow(settings.Settings(remember=False))
        window.show()
        opened(window, folder / TARGET)
        opened(window, folder / TRAINING)
        paint_saving(window, output, appearance)
        paint_transfer(window, folder, output, appearance)
        window.close()
        for made in (
            Path(TRAINING).with_suffix(".safetensors"),
            "flowers_10_classes.transferred.pth",
        ):
            (folder / made).unlink()
    shutil.rmtree(folder)
    return 0


def save_models(folder: Path) -> None:
    """A training checkpoint of 1,000 classes from DataParallel, with its optimizer and average;
    and a model of 10 classes."""
    import torch

    torch.manual_seed(0)

    def weights(classes: int) -> dict[str, torch.Tensor]:
        state = {"conv1.weight": torch.randn(64, 3, 7, 7)}

        def norm(name: str, width: int) -> None:
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"{name}.{part}"] = torch.randn(width)

        norm("bn1", 64)
        before = 64
        for stage, width in enumerate(WIDTHS, start=1):
            for block in range(2):
                for layer in (1, 2):
                    name = f"layer{stage}.{block}"
                    state[f"{name}.conv{layer}.weight"] = torch.randn(width, before, 3, 3)
                    norm(f"{name}.bn{layer}", width)
                    before = width
        state["fc.weight"] = torch.randn(classes, before)
        state["fc.bias"] = torch.randn(classes)
        return state

    model = {f"module.{key}": value for key, value in weights(1000).items()}
    moments = {
        number: {"exp_avg": value * 0.01, "exp_avg_sq": value**2}
        for number, value in enumerate(model.values())
    }
    groups = [{"lr": 1e-3, "params": list(moments)}]
    everything = {
        "state_dict": model,
        "state_dict_ema": {key: value * 0.99 for key, value in model.items()},
        "optimizer": {"state": moments, "param_groups": groups},
        "epoch": 90,
        "best_acc1": 76.13,
    }
    torch.save(everything, folder / TRAINING)
    torch.save(weights(10), folder / TARGET)


def shown(window: Any, kind: type[QDialog], action: str) -> Any:
    """The dialog that an action opens."""
    window.actions_by_id[action].trigger()
    return next(each for each in window.findChildren(kind) if each.isVisible())


def painter(output: Path, dialog: QDialog, appearance: str) -> Callable[[str], None]:
    def paint(name: str) -> None:
        QTest.qWait(SETTLE_MS)
        keep(dialog, output / f"{name}-{appearance}.png")

    return paint


def paint_saving(window: Any, output: Path, appearance: str) -> None:
    """What is chosen at first; keys and dtypes; what was written."""
    dialog = shown(window, SaveDialog, "save_as")
    dialog.resize(*SIZE)
    paint = painter(output, dialog, appearance)

    def settle() -> None:
        wait_for(lambda: dialog.plan is not None and dialog.is_settled(), "the plan")

    settle()
    paint("save-weights")
    dialog.save_button.click()
    wait_for(dialog.run.banner.isVisible, "writing")
    paint("save-result")
    form = dialog.form
    form.folds[0].set_open(True)
    form.folds[1].set_open(True)
    form.keys.strip.setEditText("module.")
    form.keys.drop.setText("*fc.*")
    form.keys.rules.setPlainText(r"^layer(\d)=>stages.\1")
    form.values.dtype.setCurrentText("bfloat16")
    form.values.patterns.add_row("*bn*", "float32")
    dialog.target.path_field.setText("backbone.safetensors")
    QTest.qWait(SETTLE_MS)
    settle()
    paint("save-options")
    dialog.close()


def paint_transfer(window: Any, folder: Path, output: Path, appearance: str) -> None:
    """1,000 classes become 10: the head is marked; its rows are chosen; what was written."""
    dialog = shown(window, TransferDialog, "transfer")
    dialog.resize(*TALL)
    paint = painter(output, dialog, appearance)
    paint("transfer-target")
    dialog.set_target(str(folder / TARGET))
    wait_for(lambda: bool(dialog.suggestions.prefixes), "the suggestion")
    paint("transfer-prefix")
    dialog.suggestions.apply_prefix(dialog.suggestions.prefixes[0])
    wait_for(lambda: dialog.picture.totals[Fate.SKIPPED] > 0 and dialog.is_settled(), "the plan")
    paint("transfer-head")
    dialog.parts.choice.buttons["fit"].click()
    wait_for(lambda: dialog.picture.totals[Fate.FITTED] > 0 and dialog.is_settled(), "the plan")
    dialog.parts.show_keys()
    dialog.parts.save_button.click()
    wait_for(dialog.parts.run.banner.isVisible, "writing")
    paint("transfer-result")
    dialog.close()


if __name__ == "__main__":
    sys.exit(main())
