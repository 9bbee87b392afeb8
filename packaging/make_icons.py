"""Renders the icons of the program and of its documents: PNG, ICO and ICNS from our SVG.

    python packaging/make_icons.py

At 16 pixels there is a drawing of its own, on that grid (`resources/icons/small`). The PNG files
lie as the icon theme specification has them (`hicolor`), so that an installer copies them as they
are. Writes only what has changed.
"""

from __future__ import annotations

import io
import os
import struct
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PIL import Image
from PySide6.QtCore import QBuffer, QIODevice, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from inspector_app.desktop.file_types import APP_ID, FILE_TYPES  # noqa: E402

ICONS = ROOT / "resources" / "icons"
THEME = ICONS / "hicolor"
SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
ICO_SIZES = (16, 24, 32, 48, 64, 256)
# The kinds of elements that hold a PNG of that size, the second where it is half as large on a
# Retina screen: iconutil's table in "Apple Icon Image format". 1024 would be larger than all others
# together.
ICNS_KINDS = {
    16: (b"icp4",),
    32: (b"icp5", b"ic11"),
    64: (b"icp6", b"ic12"),
    128: (b"ic07",),
    256: (b"ic08", b"ic13"),
    512: (b"ic09",),
}
SMALL = 16


def names() -> dict[str, str]:
    """Each icon and the folder of the theme that it belongs into."""
    return {APP_ID: "apps"} | {kind.icon: "mimetypes" for kind in FILE_TYPES}


def drawing(name: str, size: int) -> Path:
    """The SVG that is rendered at that size."""
    return (ICONS / "small" if size <= SMALL else ICONS) / f"{name}.svg"


def rendered(svg: Path, size: int) -> Image.Image:
    """A drawing as pixels, with alpha.

    Raises:
        ValueError: it cannot be read.
    """
    renderer = QSvgRenderer(str(svg))
    if not renderer.isValid():
        raise ValueError(f"{svg} cannot be read")
    image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, QRectF(0, 0, size, size))
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return Image.open(io.BytesIO(buffer.data().data())).convert("RGBA")


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def icns(pngs: dict[int, bytes]) -> bytes:
    """The PNG files as one macOS icon: elements of a kind, a length with these 8 bytes, and data.

    Our own, because Pillow scales up what is not there and leaves 16 pixels out.
    """
    elements = b"".join(
        kind + struct.pack(">I", 8 + len(png)) + png
        for size, png in pngs.items()
        for kind in ICNS_KINDS[size]
    )
    return b"icns" + struct.pack(">I", 8 + len(elements)) + elements


def files(name: str, folder: str) -> dict[Path, bytes]:
    """The bytes of all files of one icon."""
    images = {size: rendered(drawing(name, size), size) for size in SIZES}
    pngs = {size: png(image) for size, image in images.items()}
    made = {
        THEME / f"{size}x{size}" / folder / f"{name}.png": content for size, content in pngs.items()
    }
    made[THEME / "scalable" / folder / f"{name}.svg"] = drawing(name, max(SIZES)).read_bytes()
    windows = io.BytesIO()
    images[max(ICO_SIZES)].save(
        windows,
        "ICO",
        append_images=[images[size] for size in ICO_SIZES],
        sizes=[(size, size) for size in ICO_SIZES],
    )
    made[ICONS / f"{name}.ico"] = windows.getvalue()
    # Documents are not shown as large as programs are.
    largest = 512 if folder == "apps" else 256
    made[ICONS / f"{name}.icns"] = icns(
        {size: pngs[size] for size in ICNS_KINDS if size <= largest}
    )
    return made


def main() -> int:
    application = QGuiApplication(sys.argv[:1])
    for name, folder in names().items():
        for path, content in files(name, folder).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)
                print(path.relative_to(ROOT))
    del application
    return 0


if __name__ == "__main__":
    sys.exit(main())
