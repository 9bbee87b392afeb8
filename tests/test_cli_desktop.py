"""`desktop install | uninstall | status`, as a person types it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inspector_app.__main__ import main

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="these tests look at a Linux desktop"),
    pytest.mark.skipif(
        not (shutil.which("update-mime-database") and shutil.which("update-desktop-database")),
        reason="shared-mime-info and desktop-file-utils are not installed",
    ),
]
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The home of somebody who has nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_DATA_DIRS", "XDG_CURRENT_DESKTOP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_DIRS", "/nowhere:/usr/share/none")
    return tmp_path


def said(capsys) -> dict[str, object]:
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def test_from_nothing_to_nothing(home, capsys):
    assert main(["desktop", "status"]) == 1
    assert capsys.readouterr().out == "Not installed.\n"
    assert main(["desktop", "install", "--default"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Installed for this user.\nA double click starts: ")
    assert out.count("  Checkpoint Inspector\n") == 4
    assert main(["desktop", "status"]) == 0
    assert capsys.readouterr().out == out
    assert main(["desktop", "uninstall"]) == 0
    assert capsys.readouterr().out.startswith("Removed ")
    assert main(["desktop", "uninstall"]) == 0
    assert capsys.readouterr().out == "There was nothing to remove.\n"
    assert list(home.iterdir()) == []


def test_the_same_in_json(home, capsys):
    assert main(["desktop", "status", "--json"]) == 1
    nothing = said(capsys)
    assert (nothing["schema"], nothing["action"], nothing["state"]) == (
        1,
        "status",
        "not installed",
    )
    assert nothing["command"] == []
    assert main(["desktop", "install", "--json"]) == 0
    installed = said(capsys)
    assert installed["state"] == "installed"
    assert os.path.isabs(installed["command"][0])
    assert all(Path(path).exists() for path in installed["written"])
    assert installed["defaults"]["application/x-onnx"] == {
        "application": "checkpoint-inspector.desktop",
        "ours": True,
    }
    next(home.rglob("*.xml")).unlink()
    next(home.rglob("*.svg")).write_text("another")
    assert main(["desktop", "status", "--json"]) == 1
    broken = said(capsys)
    assert broken["state"] == "partly installed"
    assert len(broken["missing"]) == 1
    assert len(broken["outdated"]) == 1
    assert main(["desktop", "uninstall", "--json"]) == 0
    assert said(capsys)["state"] == "not installed"
    assert list(home.iterdir()) == []


def test_others_that_open_the_files_are_named(home, capsys):
    folder = home / ".local/share/applications"
    folder.mkdir(parents=True)
    (folder / "netron.desktop").write_text("[Desktop Entry]\nType=Application\nName=N\nExec=n\n")
    (home / ".config").mkdir()
    (home / ".config/mimeapps.list").write_text(
        "[Default Applications]\napplication/x-onnx=netron.desktop\n"
    )
    assert main(["desktop", "install"]) == 0
    out = capsys.readouterr().out
    assert "  application/x-onnx                      netron.desktop\n" in out
    assert out.endswith("With --default a double click opens all of them here.\n")
    main(["desktop", "uninstall"])


def test_an_installation_for_all_users_counts(home, capsys, monkeypatch):
    system = home / "usr"
    (system / "applications").mkdir(parents=True)
    (system / "applications/checkpoint-inspector.desktop").write_text("[Desktop Entry]\n")
    monkeypatch.setenv("XDG_DATA_DIRS", str(system))
    assert main(["desktop", "status"]) == 0
    assert capsys.readouterr().out.startswith(f"Installed for all users ({system}/applications).\n")
    assert main(["desktop", "uninstall"]) == 0
    assert "An installation for all users stays" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["status", "--default"], "--default is for install"),
        (["uninstall", "--default"], "--default is for install"),
        (["repair"], "invalid choice: 'repair'"),
        ([], "required: action"),
    ],
)
def test_what_makes_no_sense_is_one_line(home, capsys, arguments, reason):
    assert main(["desktop", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("checkpoint-inspector: ")
    assert reason in captured.err
    assert captured.err.count("\n") == 1


def test_a_home_that_cannot_be_written_is_one_line(home, capsys):
    (home / ".local").touch()
    assert main(["desktop", "install"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"checkpoint-inspector: {home}/.local")
    assert captured.err.count("\n") == 1
    assert [path.name for path in home.iterdir()] == [".local"]


@pytest.mark.parametrize(
    "arguments", [["a", "b", "c"], ["--screenshot", "x.png"], ["a", "--screenshot", "x.png"]]
)
def test_comparing_takes_two_files_or_asks(capsys, arguments):
    assert main(["open", "--compare", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_it_needs_neither_qt_nor_numpy(home):
    program = (
        "import sys; from inspector_app.__main__ import main; main(['desktop', 'status']); "
        "sys.exit(str({'PySide6', 'numpy', 'torch'} & set(sys.modules) or '') or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
