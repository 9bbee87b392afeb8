"""What macOS is told: the plist of a bundle, and the small bundle of a user."""

from __future__ import annotations

import os
import plistlib
import subprocess
import sys
from pathlib import Path

import pytest
from double_clicks import tree

from inspector_app.desktop import mac_bundle, macos
from inspector_app.desktop.file_types import FILE_TYPES
from inspector_app.desktop.macos import MacDesktop
from inspector_app.desktop.report import DesktopTrouble, State
from inspector_app.resources_path import resource

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the bundle's launcher is for sh")


@pytest.fixture
def desktop(tmp_path: Path) -> MacDesktop:
    """A Mac whose Launch Services note what they are told."""
    register = tmp_path / "lsregister"
    register.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/told"\n')
    register.chmod(0o755)
    (tmp_path / "home").mkdir()
    return MacDesktop(str(tmp_path / "home"), str(resource("icons")), str(register))


def test_the_plist_is_whole_and_consistent():
    said = plistlib.loads(plistlib.dumps(mac_bundle.info_plist("1.2")))
    exported = {each["UTTypeIdentifier"]: each for each in said["UTExportedTypeDeclarations"]}
    for each in exported.values():
        for parent in each["UTTypeConformsTo"]:
            assert parent == "public.data" or parent in exported
        assert all(
            "." not in e for e in each["UTTypeTagSpecification"]["public.filename-extension"]
        )
    owned = [
        uti
        for each in said["CFBundleDocumentTypes"]
        if each["LSHandlerRank"] == "Default"
        for uti in each["LSItemContentTypes"]
    ]
    assert sorted(owned) == sorted(exported)
    others = {
        ending
        for each in said["CFBundleDocumentTypes"]
        if each["LSHandlerRank"] == "Alternate"
        for ending in each["CFBundleTypeExtensions"]
    }
    assert others == {"bin", "pkl", "tar"}
    icons = [said["CFBundleIconFile"]]
    icons += [each["CFBundleTypeIconFile"] for each in said["CFBundleDocumentTypes"]]
    for icon in icons:
        assert resource("icons", icon).read_bytes()[:4] == b"icns"
    assert said["CFBundleShortVersionString"] == "1.2"
    characters = set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert all(set(kind.uti.lower()) <= characters for kind in FILE_TYPES)


def test_the_bundle_comes_and_goes(desktop, tmp_path):
    home = tmp_path / "home"
    assert desktop.status().state is State.ABSENT
    done = desktop.install([sys.executable, "-c", "x"], default=True)
    assert "Get Info" in done.notes[0]
    assert desktop.status().state is State.INSTALLED
    first = tree(home)
    desktop.install([sys.executable, "-c", "x"], default=False)
    assert tree(home) == first
    assert desktop.uninstall().removed == (desktop.bundle,)
    assert tree(home) == {}
    told = (tmp_path / "told").read_text().splitlines()
    assert told == [f"-f {desktop.bundle}"] * 2 + [f"-u {desktop.bundle}"]
    assert desktop.uninstall().removed == ()


def test_a_folder_that_was_there_stays(desktop, tmp_path):
    (tmp_path / "home/Applications").mkdir()
    desktop.install(["/bin/sh"], default=False)
    desktop.uninstall()
    assert tree(tmp_path / "home") == {"Applications": None}


def test_the_launcher_starts_any_command(desktop, tmp_path):
    program = tmp_path / "it's $HOME"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    desktop.install([str(program), "a b"], default=False)
    launcher = Path(desktop.bundle, "Contents/MacOS", mac_bundle.EXECUTABLE)
    done = subprocess.run([launcher, "/x y.pth"], capture_output=True, text=True, check=True)
    assert done.stdout == "a b|/x y.pth|"
    assert desktop.status().command == (str(program), "a b")
    program.unlink()
    assert desktop.status().state is State.STALE


def test_the_state_says_what_is_wrong(desktop):
    desktop.install(["/bin/sh"], default=False)
    plist = Path(desktop.bundle, "Contents/Info.plist")
    plist.write_bytes(plist.read_bytes().replace(b"Safetensors", b"Of old"))
    assert desktop.status().state is State.STALE
    plist.unlink()
    assert desktop.status().state is State.PARTLY
    assert desktop.status().missing == (str(plist),)
    with pytest.raises(DesktopTrouble, match="not made by this command"):
        desktop.install(["/bin/sh"], default=False)


def test_what_is_missing_is_put_there_again(desktop):
    desktop.install(["/bin/sh"], default=False)
    Path(desktop.bundle, "Contents/MacOS", mac_bundle.EXECUTABLE).unlink()
    assert desktop.status().state is State.PARTLY
    desktop.install(["/bin/sh"], default=False)
    assert desktop.status().state is State.INSTALLED


@pytest.mark.parametrize("kind", ["of the disk image", "odd plist", "file", "link"])
def test_another_application_of_this_name_stays(desktop, tmp_path, kind):
    bundle = Path(desktop.bundle)
    bundle.parent.mkdir()
    if kind == "file":
        bundle.write_bytes(b"x")
    elif kind == "link":
        desktop.install(["/bin/sh"], default=False)
        bundle.rename(tmp_path / "elsewhere")
        bundle.symlink_to(tmp_path / "elsewhere")
        (tmp_path / "told").unlink()
    else:
        (bundle / "Contents/MacOS").mkdir(parents=True)
        said = mac_bundle.info_plist("1.2") if kind == "of the disk image" else ["odd"]
        (bundle / "Contents/Info.plist").write_bytes(plistlib.dumps(said))
        (bundle / "Contents/MacOS" / mac_bundle.EXECUTABLE).write_bytes(b"\xcf\xfa\xed\xfe\n\n")
    before = tree(tmp_path)
    with pytest.raises(DesktopTrouble, match=r"Inspector\.app was not made by this command"):
        desktop.install(["/bin/sh"], default=False)
    with pytest.raises(DesktopTrouble, match=r"Inspector\.app was not made by this command"):
        desktop.uninstall()
    assert tree(tmp_path) == before
    if kind == "of the disk image":
        assert desktop.status().state is State.ABSENT


def test_the_old_bundle_comes_back_if_the_new_one_cannot(desktop, tmp_path, monkeypatch):
    desktop.install(["/bin/sh"], default=False)
    before = tree(tmp_path / "home")
    rename = os.rename

    def full(source: str, target: str) -> None:
        if os.path.basename(source) == "new":
            raise OSError(28, "No space left on device", target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(DesktopTrouble, match="No space left"):
        desktop.install(["/bin/sh", "again"], default=False)
    assert tree(tmp_path / "home") == before


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\nexec sleep 60\n", "did not answer"),
        ("#!/bin/sh\nexit 1\n", "failed"),
        ("#!/not/there\n", "cannot be started"),
    ],
)
def test_a_register_that_does_not_work_is_a_note(desktop, tmp_path, monkeypatch, script, said):
    if "sleep" in script:
        monkeypatch.setattr(macos, "_PATIENCE", 0.1)
    (tmp_path / "lsregister").write_text(script)
    done = desktop.install(["/bin/sh"], default=False)
    assert [note for note in done.notes if said in note]
    assert desktop.status().state is State.INSTALLED
    assert [note for note in desktop.uninstall().notes if said in note]
    assert desktop.status().state is State.ABSENT


def test_what_cannot_be_written_is_a_sentence(desktop, tmp_path):
    (tmp_path / "home/Applications").touch()
    with pytest.raises(DesktopTrouble, match="Applications"):
        desktop.install(["/bin/sh"], default=False)
    assert os.listdir(tmp_path / "home") == ["Applications"]
