"""What an installation for one user of Linux leaves behind when it goes: nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from double_clicks import tree

from inspector_app.desktop import linux_files
from inspector_app.desktop.linux import LinuxDesktop
from inspector_app.desktop.report import DesktopTrouble, State

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="this desktop is of Linux"),
    pytest.mark.skipif(
        shutil.which("update-mime-database") is None or not shutil.which("update-desktop-database"),
        reason="shared-mime-info and desktop-file-utils are not installed",
    ),
]
COMMAND = ["/usr/bin/env", "true"]
OTHER_TYPES = """<?xml version="1.0"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="application/x-other"><comment>x</comment><glob pattern="*.other"/></mime-type>
</mime-info>
"""
OTHER_ENTRY = "[Desktop Entry]\nType=Application\nName=O\nExec=true\nMimeType=application/x-onnx;\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def desktop(home: Path, **environment: str) -> LinuxDesktop:
    return LinuxDesktop(environment, str(home))


def test_a_new_home_is_as_new_again(home):
    here = desktop(home)
    done = here.install(COMMAND, default=True)
    assert done.notes == ()
    assert here.status().state is State.INSTALLED
    assert here.status().ours == set(here.status().defaults)
    installed = tree(home)
    assert ".local/share/mime/mime.cache" in installed
    here.install(COMMAND, default=True)
    assert tree(home) == installed, "a second time changes nothing"
    assert here.uninstall().removed
    assert tree(home) == {}
    assert here.status().state is State.ABSENT
    assert here.uninstall().removed == ()


def test_a_home_that_is_lived_in_is_as_before(home):
    data = home / ".local/share"
    for folder in ("mime/packages", "applications", "icons/hicolor/16x16/apps"):
        (data / folder).mkdir(parents=True)
    (data / "mime/packages/other.xml").write_text(OTHER_TYPES)
    (data / "applications/other.desktop").write_text(OTHER_ENTRY)
    (data / "icons/hicolor/16x16/apps/other.png").write_bytes(b"x")
    (home / ".config").mkdir()
    (home / ".config/mimeapps.list").write_text(
        "# mine\n[Default Applications]\napplication/x-onnx=other.desktop\n"
    )
    subprocess.run(["update-mime-database", data / "mime"], check=True, capture_output=True)
    before = tree(home)
    here = desktop(home)
    here.install(COMMAND, default=True)
    assert here.status().defaults["application/x-onnx"] == "checkpoint-inspector.desktop"
    here.uninstall()
    assert tree(home) == before
    assert here.status().defaults["application/x-onnx"] == "other.desktop"


def test_who_came_after_us_keeps_what_it_needs(home):
    here = desktop(home)
    here.install(COMMAND, default=False)
    data = home / ".local/share"
    (data / "applications/other.desktop").write_text(OTHER_ENTRY)
    (data / "mime/packages/other.xml").write_text(OTHER_TYPES)
    for program, folder in (("mime", "mime"), ("desktop", "applications")):
        subprocess.run(
            [f"update-{program}-database", data / folder], check=True, capture_output=True
        )
    here.uninstall()
    left = tree(home)
    assert b"x-other" in left[".local/share/mime/globs"]
    assert b"pytorch" not in left[".local/share/mime/globs"]
    assert b"other.desktop" in left[".local/share/applications/mimeinfo.cache"]
    assert not any("checkpoint" in name or "pytorch" in name for name in left)


def test_an_icon_cache_is_kept_up_to_date_and_never_begun(home):
    if shutil.which("gtk-update-icon-cache") is None:
        pytest.skip("gtk-update-icon-cache is not installed")
    icons = home / ".local/share/icons/hicolor"
    here = desktop(home)
    here.install(COMMAND, default=False)
    assert not (icons / "icon-theme.cache").exists()
    command = ["gtk-update-icon-cache", "-q", "-f", "-t", icons]
    subprocess.run(command, check=True, capture_output=True)
    (icons / "16x16/apps/other.png").write_bytes(
        (icons / "16x16/apps/checkpoint-inspector.png").read_bytes()
    )
    here.uninstall()
    cache = (icons / "icon-theme.cache").read_bytes()
    assert b"checkpoint-inspector" not in cache
    assert b"other" in cache


def test_only_a_request_makes_us_the_default(home):
    data = home / ".local/share/applications"
    data.mkdir(parents=True)
    (data / "mimeinfo.cache").write_text("[MIME Cache]\napplication/x-onnx=other.desktop;\n")
    (data / "other.desktop").write_text(OTHER_ENTRY)
    here = desktop(home)
    here.install(COMMAND, default=False)
    assert not (home / ".config").exists()
    assert here.status().state is State.INSTALLED


def test_installing_for_another_program_replaces_the_first(home):
    here = desktop(home)
    here.install(["/usr/bin/env", "with space"], default=False)
    launcher = home / ".local/share/checkpoint-inspector/launch"
    assert "'with space'" in launcher.read_text()
    here.install(COMMAND, default=False)
    assert not launcher.exists()
    assert here.status().command == tuple(COMMAND)
    here.uninstall()
    assert tree(home) == {}


def test_the_state_says_what_is_wrong(home, tmp_path):
    program = tmp_path / "program"
    program.touch(0o755)
    here = desktop(home)
    here.install([str(program)], default=False)
    assert here.status().state is State.INSTALLED

    icon = next((home / ".local/share/icons").rglob("*.png"))
    content = icon.read_bytes()
    icon.unlink()
    assert here.status().state is State.PARTLY
    assert here.status().missing == (str(icon),)
    icon.write_bytes(b"another")
    assert here.status().state is State.STALE
    assert here.status().outdated == (str(icon),)
    icon.write_bytes(content)
    old = icon.with_name("checkpoint-inspector-of-old.png")
    old.write_bytes(content)
    assert here.status().outdated == (str(old),)
    here.install([str(program)], default=False)
    assert not old.exists()

    program.unlink()
    assert here.status().state is State.STALE
    assert not here.status().command_is_there
    here.uninstall()
    assert tree(home) == {}


@pytest.mark.parametrize(
    "receipt",
    [b"", b"\xff\0", b"[" * 100_000, b"[]", b'{"command": 3, "folders": [1, null, "/"]}'],
)
def test_a_damaged_receipt_costs_little(home, receipt):
    here = desktop(home)
    here.install(COMMAND, default=True)
    (home / ".local/share/checkpoint-inspector/desktop.json").write_bytes(receipt)
    assert here.status().state is State.PARTLY
    here.uninstall()
    left = [name for name, content in tree(home).items() if content is not None]
    assert not [name for name in left if "checkpoint-inspector" in name]
    assert (home / ".config/mimeapps.list").read_bytes() == b""


def test_a_receipt_empties_no_folder_elsewhere(home, tmp_path):
    here = desktop(home)
    here.install(COMMAND, default=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = home / ".local/share/checkpoint-inspector/desktop.json"
    said = json.loads(path.read_text())
    cache = home / ".local/share/precious"
    cache.touch()
    said["folders"].append(str(elsewhere))
    said["caches"].append(str(cache))
    path.write_text(json.dumps(said))
    here.uninstall()
    assert elsewhere.is_dir()
    assert cache.exists()


def test_a_link_to_the_list_stays_one(home, tmp_path):
    target = tmp_path / "dotfiles.list"
    target.write_text("[Default Applications]\nimage/png=a.desktop\n")
    (home / ".config").mkdir()
    (home / ".config/mimeapps.list").symlink_to(target)
    here = desktop(home)
    here.install(COMMAND, default=True)
    assert "x-onnx" in target.read_text()
    here.uninstall()
    assert (home / ".config/mimeapps.list").is_symlink()
    assert target.read_text() == "[Default Applications]\nimage/png=a.desktop\n"


def test_what_cannot_be_written_is_a_sentence_and_leaves_nothing(home):
    (home / ".local/share").mkdir(parents=True)
    (home / ".local/share/icons").touch()  # a file where a folder has to be
    before = tree(home)
    with pytest.raises(DesktopTrouble, match="icons"):
        desktop(home).install(COMMAND, default=True)
    assert tree(home) == before


def test_a_list_that_cannot_be_written_keeps_nothing_else_there(home):
    here = desktop(home)
    (home / ".config/mimeapps.list").mkdir(parents=True)
    before = tree(home)
    with pytest.raises(DesktopTrouble, match=r"mimeapps\.list"):
        here.install(COMMAND, default=True)
    assert tree(home) == before
    here.install(COMMAND, default=False)
    with pytest.raises(DesktopTrouble, match=r"mimeapps\.list"):
        here.uninstall()
    assert tree(home) == before


def test_a_full_disk_leaves_nothing(small_disk):
    home = small_disk / "home"
    home.mkdir()
    (home / "ballast").write_bytes(b"\0" * 60_000)
    before = tree(home)
    with pytest.raises(DesktopTrouble, match="space"):
        desktop(home).install(COMMAND, default=True)
    assert tree(home) == before


def test_missing_tools_are_told_of(home, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = desktop(home).install(COMMAND, default=False)
    assert [note.partition(" ")[0] for note in done.notes] == [
        "update-mime-database",
        "update-desktop-database",
    ]
    desktop(home).uninstall()
    assert tree(home) == {}


def test_file_managers_that_exist_get_their_menu(home, monkeypatch, tmp_path):
    for name in ("nautilus", "nemo", "caja", "dolphin"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    here = desktop(home)
    here.install(COMMAND, default=False)
    scripts = list(home.rglob("*ompare*checkpoints*"))
    assert sorted(str(path.parent.relative_to(home)) for path in scripts) == [
        ".config/caja/scripts",
        ".local/share/kio/servicemenus",
        ".local/share/nautilus/scripts",
        ".local/share/nemo/scripts",
    ]
    assert all(os.access(path, os.X_OK) for path in scripts)
    assert all("/usr/bin/env true diff --window" in path.read_text() for path in scripts)
    here.uninstall()
    assert tree(home) == {}


def test_bytes_that_are_no_text_fit_a_launcher(home):
    command = [os.fsdecode(b"/opt/caf\xe9/python"), "-c", "x"]
    here = desktop(home)
    here.install(command, default=False)
    launcher = home / ".local/share/checkpoint-inspector/launch"
    assert b"caf\xe9" in launcher.read_bytes()
    assert here.status().command == tuple(command)
    odd = home / os.fsdecode(b"\xff")
    with pytest.raises(DesktopTrouble, match="UTF-8"):
        desktop(home, XDG_DATA_HOME=str(odd)).install(command, default=False)
    assert not odd.exists()


def test_relative_folders_are_ignored(home):
    folders = linux_files.Folders.of({"XDG_DATA_HOME": "here", "XDG_CONFIG_HOME": ""}, str(home))
    assert folders == (str(home / ".local/share"), str(home / ".config"))
