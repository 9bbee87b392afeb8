"""Paints every page of the export wizard, light and dark: a real export of the bundled sample.

python packaging/make_export_screenshots.py [FOLDER]
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
from inspector_app.ui.export_wizard import RESULT, ExportWizard

SIZE = (1024, 700)
SETTLE_MS = 400
ENOUGH_STAGES = 5
WHOLE = "digits_whole_model.pth"


def main() -> int:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.gettempdir()) / "checkpoints"
    folder.mkdir(exist_ok=True)
    shutil.copy2(resource_path("samples", SAMPLE), folder / SAMPLE)
    # The script that trained it has its class.
    shutil.copy2(Path(__file__).with_name("make_samples.py"), folder / "train.py")
    save_whole(folder / WHOLE)
    windows.application()
    for appearance in (theme.LIGHT, theme.DARK):
        theme.apply(appearance)
        window = windows.MainWindow(settings.Settings(remember=False))
        window.show()
        opened(window, folder / SAMPLE)
        paint_wizard(window, output, appearance)
        opened(window, folder / WHOLE)
        paint_consent(window, output, appearance)
        window.close()
        (folder / SAMPLE).with_suffix(".onnx").unlink()
    shutil.rmtree(folder)
    return 0


def save_whole(path: Path) -> None:
    """A whole pickled model, which nobody should save."""
    import torch
    from make_samples import CONFIG, DigitsCNN

    names = ("channels", "classes", "image_size", "dropout")
    torch.save(DigitsCNN(**{name: CONFIG[name] for name in names}), path)


def paint_consent(window: Any, output: Path, appearance: str) -> None:
    """What is asked before a pickled model is loaded."""
    window.actions_by_id["export"].trigger()
    wizard = next(each for each in window.findChildren(ExportWizard) if each.isVisible())
    wizard.resize(*SIZE)
    page = wizard.model_page
    wait_for(lambda: page.interpreters.probed() is not None, "looking at the interpreter")
    QTest.qWait(SETTLE_MS)
    keep(wizard, output / f"export-consent-{appearance}.png")
    wizard.close()


def paint_wizard(window: Any, output: Path, appearance: str) -> None:
    """Each page, on the way to an ONNX file with a dynamic batch."""
    window.actions_by_id["export"].trigger()
    wizard = next(each for each in window.findChildren(ExportWizard) if each.isVisible())
    wizard.resize(*SIZE)

    def paint(name: str) -> None:
        QTest.qWait(SETTLE_MS)
        keep(wizard, output / f"export-{name}-{appearance}.png")

    model, inputs = wizard.model_page, wizard.inputs_page
    model.source.code.source.setCurrentText("train.py")
    wait_for(lambda: model.described is not None or model.failure.isVisible(), "building")
    paint("model")
    wizard.go_on()
    wait_for(lambda: inputs.tried is not None or inputs.failure.isVisible(), "the guess")
    shape = inputs.cards[0].shape
    good = shape.text()
    shape.setText("1, 3, 16, 16")
    wait_for(inputs.failure.isVisible, "a forward that fails")
    paint("failure")
    shape.setText(good)
    inputs.cards[0].axes.rows[0].dynamic.click()
    wait_for(lambda: inputs.tried is not None, "one forward")
    paint("inputs")
    wizard.go_on()
    paint("format")
    wizard.go_on()
    wait_for(lambda: len(wizard.run_page.stages.texts()) >= ENOUGH_STAGES, "running")
    paint("run")
    wait_for(lambda: wizard.page_number() == RESULT, "the export")
    paint("result")
    wizard.close()


if __name__ == "__main__":
    sys.exit(main())
