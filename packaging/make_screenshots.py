"""Paints the README's pictures: the real window on the bundled sample, and on a large model
with something wrong in it, light and dark.

python packaging/make_screenshots.py [FOLDER]        (make screenshots)
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The window's own settings stay out of the pictures, and the pictures out of them.
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="inspector-screenshots-")
if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QPoint
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QWidget

from inspector_app.resources_path import resource_path
from inspector_app.ui import settings, tensor_pane, theme, windows
from inspector_app.ui.collector import Collector
from inspector_app.ui.pair_pane import HISTOGRAMS
from inspector_app.ui.side_pages import OVERVIEW

SAMPLE = "digits_cnn_epoch_4.pth"
EARLIER = "digits_cnn_epoch_2.pth"
LARGE = "transformer_step_9000.pth"
SELECTED = ("model_state_dict", "features.4.weight")
OUTPUT = Path(__file__).resolve().parent.parent / "resources" / "screenshots"
SIZE = (1280, 800)
PANE_WIDTH = 560
WIDE, TALL = 1560, 840  # for all columns, and all charts
PATIENCE_MS = 120_000
# Which page of the tensor pane is painted, of which tensor of the sample.
PANES = {
    "values": (tensor_pane.VALUES, "classifier.1.weight"),
    "picture": (tensor_pane.PICTURE, "classifier.1.weight"),
    "line": (tensor_pane.PICTURE, "classifier.1.bias"),
    "kernels": (tensor_pane.KERNELS, "features.4.weight"),
    "histogram": (tensor_pane.HISTOGRAM, "classifier.1.weight"),
    "channels": (tensor_pane.CHANNELS, "features.4.weight"),
}


def main() -> int:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    # A neutral folder: its path is in the picture.
    folder = Path(tempfile.gettempdir()) / "checkpoints"
    folder.mkdir(exist_ok=True)
    for name in (SAMPLE, EARLIER):
        shutil.copy2(resource_path("samples", name), folder / name)
    save_large(folder / LARGE)
    application = windows.application()
    collector = Collector(application)
    for appearance in (theme.LIGHT, theme.DARK):
        theme.apply(appearance)
        window = windows.MainWindow(settings.Settings(), collector)
        window.resize(*SIZE)
        window.show()
        tab = opened(window, folder / SAMPLE)
        tab.tree.select_path(SELECTED)
        QTest.qWait(500)
        keep(window, output / f"sample-{appearance}.png")
        paint_manners(window, output, appearance)
        paint_panes(tab, output, appearance)
        tab = opened(window, folder / LARGE)
        paint_statistics(window, tab, output, appearance)
        paint_comparison(window, folder, output, appearance)
        window.close()
    shutil.rmtree(folder)
    shutil.rmtree(os.environ["XDG_CONFIG_HOME"])
    return 0


def paint_comparison(
    window: windows.MainWindow, folder: Path, output: Path, appearance: str
) -> None:
    """Two epochs of one training, with the histograms of a layer."""
    window.resize(*SIZE)
    tab = window.compare(str(folder / EARLIER), str(folder / SAMPLE))
    wait_for(lambda: tab.is_settled() and tab.body.side is not None, "the comparison")
    tab.tree.select_path(SELECTED)
    pane = tab.body.side.pair
    settled: list[bool] = []
    pane.settled.connect(lambda: settled.append(True))
    pane.tabs.setCurrentIndex(HISTOGRAMS)
    wait_for(lambda: bool(settled), "the histograms")
    tab.body.side.changes.look()
    QTest.qWait(500)
    keep(window, output / f"comparison-{appearance}.png")


def paint_manners(window: windows.MainWindow, output: Path, appearance: str) -> None:
    """The shortcuts, and the menu of a tab. About names this machine, and is left out."""
    window.actions_by_id["shortcuts"].trigger()
    (dialog,) = [each for each in window.findChildren(QDialog) if each.isVisible()]
    QTest.qWait(200)
    keep(dialog, output / f"shortcuts-{appearance}.png")
    dialog.close()
    menu = window.tabs.menu_of(0)
    menu.popup(window.tabs.mapToGlobal(QPoint(12, 12)))
    QTest.qWait(200)
    keep(menu, output / f"tab-menu-{appearance}.png")
    menu.close()


def save_large(path: Path) -> None:
    """A language model of 32 layers in bfloat16, small in its dimensions, with NaNs in one
    layer, and another that training never reached.
    """
    import torch

    torch.manual_seed(0)
    width, inner, words = 128, 352, 4000

    def matrix(rows: int, columns: int, gain: float) -> torch.Tensor:
        return (torch.randn(rows, columns) * gain / columns**0.5).bfloat16()

    state = {"model.embed_tokens.weight": matrix(words, width, 0.6)}
    for layer in range(32):
        prefix = f"model.layers.{layer}"
        gain = 0.55 + 0.012 * layer + 0.25 * (layer < 2)
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            state[f"{prefix}.self_attn.{name}.weight"] = matrix(width, width, gain)
        for name in ("gate_proj", "up_proj"):
            state[f"{prefix}.mlp.{name}.weight"] = matrix(inner, width, gain)
        state[f"{prefix}.mlp.down_proj.weight"] = matrix(width, inner, gain)
        for name in ("input_layernorm", "post_attention_layernorm"):
            scale = 0.4 + 0.02 * layer + 0.03 * torch.randn(width)
            state[f"{prefix}.{name}.weight"] = scale.bfloat16()
    state["model.norm.weight"] = torch.ones(width).bfloat16()
    state["lm_head.weight"] = matrix(words, width, 0.7)
    state["model.layers.17.mlp.down_proj.weight"][40:43, 7] = torch.nan
    state["model.layers.30.self_attn.o_proj.weight"].zero_()
    torch.save({"model": state, "step": 9000}, path)


def wait_for(done: Callable[[], bool], what: str) -> None:
    for _ in range(PATIENCE_MS // 20):
        if done():
            return
        QTest.qWait(20)
    raise TimeoutError(f"{what} took more than {PATIENCE_MS} ms")


def opened(window: Any, path: Path) -> Any:
    (tab,) = window.open_paths([str(path)])
    wait_for(tab.is_settled, f"reading {path.name}")
    return tab


def paint_panes(tab: Any, output: Path, appearance: str) -> None:
    """Each page about one tensor."""
    whole = sum(tab.splitter.sizes())
    tab.splitter.setSizes([whole - PANE_WIDTH, PANE_WIDTH])
    tab.side.setSizes([0, 10_000])
    pane = tab.side.tensor
    for name, (page, key) in PANES.items():
        settled: list[bool] = []
        pane.settled.connect(lambda settled=settled: settled.append(True))
        tab.tree.select_path(("model_state_dict", key))
        pane.tabs.setCurrentIndex(page)
        wait_for(lambda settled=settled: bool(settled), name)
        QTest.qWait(700)  # blocks of values, and the layout of axes, come after it
        if page == tensor_pane.KERNELS:
            pane.page(page).point_at(2, 2)
        if page == tensor_pane.PICTURE:
            pane.page(page).point_at(20, 40)
        keep(pane, output / f"panes-{name}-{appearance}.png")
    pane.tabs.setCurrentIndex(tensor_pane.DETAILS)


def paint_statistics(window: QWidget, tab: Any, output: Path, appearance: str) -> None:
    """The tree's columns about values, and the overview of the file."""
    tab.compute_statistics()
    wait_for(lambda: tab.statistics.is_complete and not tab.statistics.is_running, "counting")
    tab.tree.select_path(("model", "model.layers.17.mlp.down_proj.weight"))
    tab.splitter.setSizes([1, 0])
    window.resize(WIDE, SIZE[1])
    QTest.qWait(400)
    keep(tab.tree, output / f"panes-statistics-{appearance}.png")
    window.resize(*SIZE)
    window.resize(SIZE[0], TALL)
    tab.splitter.setSizes([SIZE[0] - PANE_WIDTH, PANE_WIDTH])
    tab.side.setSizes([10_000, 0])
    tab.side.pages.bar.setCurrentIndex(OVERVIEW)
    page = tab.side.pages.overview
    wait_for(page.is_settled, "the overview")
    QTest.qWait(600)
    keep(tab.side.pages, output / f"panes-overview-{appearance}.png")


def keep(widget: QWidget, path: Path) -> None:
    """Write a picture of `widget`, without transparency and as small as PNG makes it."""
    picture = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    if not picture.save(str(path), "PNG", 0):
        raise OSError(f"{path} could not be written")


if __name__ == "__main__":
    sys.exit(main())
