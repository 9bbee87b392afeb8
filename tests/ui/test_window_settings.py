from __future__ import annotations

import pytest
from PySide6.QtCore import QSettings

from inspector_app.ui import settings
from inspector_app.ui.settings import Settings


def reread() -> Settings:
    return Settings()


def flush(remembered: Settings) -> None:
    remembered._store.sync()


def test_values_survive(remembered):
    remembered.write(settings.GEOMETRY, b"\x00\xff geometry")
    remembered.write(settings.FOLD_REPEATED, False)
    remembered.write(settings.LAST_FOLDER, "/somewhere/ünï")
    flush(remembered)
    again = reread()
    assert again.read(settings.GEOMETRY) == b"\x00\xff geometry"
    assert again.read(settings.FOLD_REPEATED) is False
    assert again.read(settings.LAST_FOLDER) == "/somewhere/ünï"


def test_defaults_without_a_file(remembered):
    assert remembered.read(settings.GEOMETRY) == b""
    assert remembered.read(settings.FOLD_REPEATED) is True
    assert remembered.recent_files() == []


@pytest.mark.parametrize(
    "damage",
    [
        b"\x00\xff\xfe no ini at all",
        b'[window]\ngeometry=non sense!\n[tree]\nfold_repeated="[[["\n',
        b'[window]\ngeometry="17"\n[tree]\nfold_repeated="null"\n[files]\nrecent="{}"\n',
        b"[tree]\nfold_repeated=" + b"[" * 100_000,
        b"[tree]\nfold_repeated=1, 2, 3\n",
    ],
)
def test_a_damaged_file_means_defaults(remembered, settings_file, damage):
    flush(remembered)
    settings_file.parent.mkdir(parents=True, exist_ok=True)
    settings_file.write_bytes(damage)
    again = reread()
    assert again.read(settings.GEOMETRY) == b""
    assert again.read(settings.FOLD_REPEATED) is True
    assert again.recent_files() == []
    again.write(settings.FOLD_REPEATED, False)
    flush(again)
    assert reread().read(settings.FOLD_REPEATED) is False


def test_recent_files_are_unique_and_few(remembered):
    for number in range(30):
        remembered.add_recent(f"/files/{number}.pth")
    remembered.add_recent("/files/25.pth")
    recent = remembered.recent_files()
    assert recent[:3] == ["/files/25.pth", "/files/29.pth", "/files/28.pth"]
    assert len(recent) == len(set(recent)) == settings.RECENT_LIMIT


def test_recent_files_that_are_no_text_are_left_out(remembered):
    remembered.write(settings.RECENT_FILES, ["/a.pth", 3, None, ["/b.pth"]])
    assert remembered.recent_files() == ["/a.pth"]


def test_nothing_is_kept_for_a_picture(settings_file):
    picture = Settings(remember=False)
    picture.write(settings.LAST_FOLDER, "/x")
    assert picture.read(settings.LAST_FOLDER) == "/x"
    QSettings().sync()
    assert not settings_file.exists()
