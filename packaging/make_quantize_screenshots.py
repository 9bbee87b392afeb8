"""Paints every page of the quantize dialog, light and dark: the bundled sample, quantized to
static int8 with calibration.

python packaging/make_quantize_screenshots.py [FOLDER]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

# Sets up a place for settings of its own before anything of Qt is imported.
from make_screenshots import OUTPUT, SAMPLE, keep, opened, wait_for
from PySide6.QtTest import QTest

from inspector_app.resources_path import resource_path
from inspector_app.ui import settings, theme, windows
from inspector_app.ui.quantize_dialog import DATA, INPUTS, RESULT, RUN, QuantizeDialog

SIZE = (1024, 700)
TALL = 1_060  # the whole result
SETTLE_MS = 400
ENOUGH_STAGES = 7
SAMPLES = 512
PIXELS = 16


def main() -> int:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.gettempdir()) / "checkpoints"
    folder.mkdir(exist_ok=True)
    shutil.copy2(resource_path("samples", SAMPLE), folder / SAMPLE)
    # The script that trained it has its class, and draws such digits.
    shutil.copy2(Path(__file__).with_name("make_samples.py"), folder / "train.py")
    save_digits(folder / "digits.npz")
    windows.application()
    for appearance in (theme.LIGHT, theme.DARK):
        theme.apply(appearance)
        window = windows.MainWindow(settings.Settings(remember=False))
        window.show()
        opened(window, folder / SAMPLE)
        paint_dialog(window, output, appearance)
        window.close()
        (folder / SAMPLE).with_suffix(".int8.pth").unlink()
    shutil.rmtree(folder)
    return 0


def save_digits(path: Path) -> None:
    """Samples that the network has never seen, with their labels."""
    import numpy
    from make_samples import generate_digits

    images, labels = generate_digits(SAMPLES, PIXELS, seed=99)
    numpy.savez(path, images=images.numpy(), labels=labels.numpy())


def paint_dialog(window: Any, output: Path, appearance: str) -> None:
    """Each page, on the way to static int8."""
    window.actions_by_id["quantize"].trigger()
    dialog = next(each for each in window.findChildren(QuantizeDialog) if each.isVisible())
    dialog.resize(*SIZE)

    def paint(name: str) -> None:
        QTest.qWait(SETTLE_MS)
        keep(dialog, output / f"quantize-{name}-{appearance}.png")

    preview, method = dialog.preview_page, dialog.method_page
    preview.choose("int4-group-32")
    wait_for(lambda: preview.run.is_complete(preview.scheme()), "the preview")
    wait_for(lambda: preview.values.shown is not None, "the histograms")
    paint("preview")
    dialog.go_on()
    wait_for(lambda: method.interpreter() in method._known, "trying the methods")
    method.methods.row_of("static", "fx").button.click()
    paint("method")
    dialog.go_on()
    wait_for(lambda: bool(dialog.layers_page.layers.layers), "the layers")
    paint("layers")
    dialog.go_on()
    dialog.model_page.source.code.source.setCurrentText("train.py")
    wait_for(lambda: dialog.model_page.described is not None, "building")
    dialog.go_on()
    wait_for(lambda: dialog.inputs_page.tried is not None, "one forward")
    paint("inputs")
    assert dialog.page_number() == INPUTS
    dialog.go_on()
    dialog.data_page.random.click()
    paint("random")
    dialog.data_page.random.click()
    dialog.data_page.paths["file"].setText("digits.npz")
    paint("data")
    assert dialog.page_number() == DATA
    dialog.go_on()
    wait_for(lambda: len(dialog.run_page.stages.texts()) >= ENOUGH_STAGES, "running")
    if dialog.page_number() == RUN:
        paint("run")
    wait_for(lambda: dialog.page_number() == RESULT, "the quantization")
    dialog.resize(SIZE[0], TALL)
    paint("result")
    dialog.close()


if __name__ == "__main__":
    sys.exit(main())
