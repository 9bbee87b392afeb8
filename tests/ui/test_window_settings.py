from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings

from inspector_app.ui import settings
from inspector_app.ui.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


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


def test_a_file_that_is_no_ini_is_set_aside(remembered, settings_file):
    flush(remembered)
    settings_file.parent.mkdir(parents=True, exist_ok=True)
    settings_file.write_bytes(b"\x00\xff\xfe no ini at all\n[[[[\nno equals sign\n")
    again = reread()
    assert again.broken == f"{settings_file}.broken"
    assert b"no ini at all" in (settings_file.parent / f"{settings_file.name}.broken").read_bytes()
    again.write(settings.FOLD_REPEATED, False)
    flush(again)
    once_more = reread()
    assert once_more.read(settings.FOLD_REPEATED) is False
    assert once_more.broken == ""


def test_a_folder_that_cannot_be_written_costs_the_memory_alone(remembered, settings_file):
    settings_file.parent.parent.write_text("a file in the place of the folder")
    blocked = reread()
    blocked.write(settings.LAST_FOLDER, "/x")
    blocked.add_recent("/a.pth")
    blocked.add_recent("/b.pth")
    flush(blocked)
    assert blocked.read(settings.LAST_FOLDER) == "/x"
    assert blocked.recent_files() == ["/b.pth", "/a.pth"]
    assert blocked.broken == ""


def test_two_windows_remember_the_files_of_both(remembered, settings_file):
    # In a process of its own: within one Qt shares what it has read.
    code = (
        "import sys\nfrom PySide6.QtCore import QSettings\n"
        "QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, sys.argv[1])\n"
        "from inspector_app.ui import settings\nmine = settings.Settings()\n"
        "mine.add_recent('/b.pth')\nmine.write(settings.LAST_FOLDER, '/b')\nmine._store.sync()"
    )
    remembered.add_recent("/a.pth")
    flush(remembered)
    folder = str(settings_file.parent.parent)
    subprocess.run([sys.executable, "-c", code, folder], check=True, cwd=ROOT)
    remembered.add_recent("/c.pth")
    remembered.write(settings.FOLD_REPEATED, False)
    flush(remembered)
    assert remembered.recent_files() == ["/c.pth", "/b.pth", "/a.pth"]
    again = reread()
    assert again.recent_files() == ["/c.pth", "/b.pth", "/a.pth"]
    assert again.read(settings.LAST_FOLDER) == "/b"
    assert again.read(settings.FOLD_REPEATED) is False
