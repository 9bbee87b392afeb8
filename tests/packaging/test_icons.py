"""Icons: all sizes, all systems, and what can be seen of them at 16 pixels."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QGuiApplication, QImage
from PySide6.QtSvg import QSvgRenderer

from inspector_app.desktop.file_types import APP_ID, FILE_TYPES
from inspector_app.ui.icons import application_icon

ROOT = Path(__file__).resolve().parents[2]
ICONS = ROOT / "resources" / "icons"
SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
NAMES = {APP_ID: "apps"} | {kind.icon: "mimetypes" for kind in FILE_TYPES}
RGBA = QImage.Format.Format_RGBA8888
LIGHT, DARK = QColor("#ffffff"), QColor("#1e1e1e")


def png(name: str, size: int) -> QImage:
    image = QImage(str(ICONS / "hicolor" / f"{size}x{size}" / NAMES[name] / f"{name}.png"))
    assert (image.width(), image.height()) == (size, size), name
    return image


def luminance(colour: QColor) -> float:
    """WCAG 2.2, relative luminance."""

    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(part) for part in colour.getRgbF()[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: QColor, other: QColor) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("name", NAMES)
def test_every_size_is_there(name: str) -> None:
    for size in SIZES:
        png(name, size)
    for svg in (
        ICONS / f"{name}.svg",
        ICONS / "small" / f"{name}.svg",
        ICONS / "hicolor" / "scalable" / NAMES[name] / f"{name}.svg",
    ):
        assert QSvgRenderer(str(svg)).isValid(), svg


@pytest.mark.parametrize("name", NAMES)
def test_at_16_pixels_sign_and_ground_stand_apart(name: str) -> None:
    image = png(name, 16)
    pixels = [image.pixelColor(x, y) for x in range(16) for y in range(16)]
    solid = [QColor(each.rgb()) for each in pixels if each.alpha() == 255]
    assert len(solid) >= 120
    ground = max(set(map(QColor.rgb, solid)), key=[each.rgb() for each in solid].count)
    white = [each for each in solid if contrast(each, QColor(ground)) >= 4]
    # Whole pixels, not a blur.
    assert len(white) >= 14, name
    # It is seen on either desktop: the page itself, or what is drawn on it.
    for desktop in (LIGHT, DARK):
        assert max(contrast(QColor(ground), desktop), contrast(white[0], desktop)) >= 3


def test_documents_differ_from_one_another() -> None:
    grounds = set()
    for name in NAMES:
        image = png(name, 16)
        colours = [image.pixel(x, y) for x in range(16) for y in range(16)]
        grounds.add(max(set(colours), key=colours.count))
    assert len(grounds) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_windows_icon_holds_six_pictures(name: str) -> None:
    content = (ICONS / f"{name}.ico").read_bytes()
    reserved, kind, count = struct.unpack_from("<HHH", content)
    assert (reserved, kind) == (0, 1)
    widths = []
    for index in range(count):
        width, height, _, _, _, bits, length, offset = struct.unpack_from(
            "<BBBBHHII", content, 6 + 16 * index
        )
        picture = QImage.fromData(content[offset : offset + length])
        # 256 is written as 0.
        assert (picture.width(), picture.height()) == (width or 256, height or 256)
        assert bits == 32
        widths.append(picture.width())
    assert widths == [16, 24, 32, 48, 64, 256]


@pytest.mark.parametrize("name", NAMES)
def test_a_macos_icon_holds_what_its_elements_say(name: str) -> None:
    content = (ICONS / f"{name}.icns").read_bytes()
    assert content[:4] == b"icns"
    assert struct.unpack_from(">I", content, 4) == (len(content),)
    sizes = {b"icp4": 16, b"icp5": 32, b"ic11": 32, b"icp6": 64, b"ic12": 64}
    sizes |= {b"ic07": 128, b"ic08": 256, b"ic13": 256, b"ic09": 512}
    offset, found = 8, set()
    while offset < len(content):
        kind, length = struct.unpack_from(">4sI", content, offset)
        picture = QImage.fromData(content[offset + 8 : offset + length])
        assert picture.width() == sizes[kind], kind
        found.add(kind)
        offset += length
    assert set(sizes) - found <= ({b"ic09"} if NAMES[name] == "mimetypes" else set())


def test_the_pictures_are_those_of_the_drawings() -> None:
    pytest.importorskip("PIL", reason="Pillow renders the icons")
    import make_icons

    for name, folder in NAMES.items():
        for size in (16, 32, 128):
            made = make_icons.png(make_icons.rendered(make_icons.drawing(name, size), size))
            there = png(name, size)
            assert folder == make_icons.names()[name]
            other = QImage.fromData(made).convertToFormat(RGBA)
            mine = there.convertToFormat(RGBA)
            pairs = zip(bytes(mine.constBits()), bytes(other.constBits()), strict=True)
            # Another version of Qt rounds otherwise at the edges.
            assert sum(abs(a - b) for a, b in pairs) / mine.sizeInBytes() < 2, (name, size)


def test_icons_stay_small() -> None:
    folders = [ICONS / "hicolor", ICONS / "small"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += [*ICONS.glob("*.ico"), *ICONS.glob("*.icns")]
    assert sum(path.stat().st_size for path in files) < 400_000


def test_the_window_shows_the_small_drawing(qapp: QGuiApplication) -> None:
    shown = application_icon().pixmap(16).toImage()
    assert shown.convertToFormat(RGBA) == png(APP_ID, 16).convertToFormat(RGBA)
    assert application_icon().pixmap(200).width() == 200
