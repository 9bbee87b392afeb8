"""Paints the README's pictures: the real window on the bundled sample, light and dark.

python packaging/make_screenshots.py        (make screenshots)
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

# The window's own settings stay out of the pictures, and the pictures out of them.
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="inspector-screenshots-")
if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtTest import QTest

from inspector_app.resources_path import resource_path
from inspector_app.ui import settings, theme, windows
from inspector_app.ui.collector import Collector

SAMPLE = "digits_cnn_epoch_4.pth"
SELECTED = ("model_state_dict", "features.4.weight")
OUTPUT = Path(__file__).resolve().parent.parent / "resources" / "screenshots"
SIZE = (1280, 800)
PATIENCE_MS = 10_000


def main() -> int:
    # A neutral folder: its path is in the picture.
    folder = Path(tempfile.gettempdir()) / "checkpoints"
    folder.mkdir(exist_ok=True)
    shutil.copy2(resource_path("samples", SAMPLE), folder / SAMPLE)
    application = windows.application()
    collector = Collector(application)
    OUTPUT.mkdir(exist_ok=True)
    for appearance in (theme.LIGHT, theme.DARK):
        theme.apply(appearance)
        window = windows.MainWindow(settings.Settings(), collector)
        window.resize(*SIZE)
        (tab,) = window.open_paths([str(folder / SAMPLE)])
        window.show()
        for _ in range(PATIENCE_MS // 50):
            if tab.is_settled():
                break
            QTest.qWait(50)
        else:
            print(f"{SAMPLE} was not read within {PATIENCE_MS} ms", file=sys.stderr)
            return 1
        tab.tree.select_path(SELECTED)
        QTest.qWait(500)
        window.grab().save(str(OUTPUT / f"sample-{appearance}.png"))
        window.close()
    shutil.rmtree(folder)
    shutil.rmtree(os.environ["XDG_CONFIG_HOME"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
