"""The Exec line: what starts is what was meant, in every tool that reads it."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.desktop import file_manager_menus, launch
from inspector_app.desktop.desktop_entry import desktop_entry
from inspector_app.desktop.file_types import opened_by_default

LINUX = Path(__file__).parents[2] / "packaging" / "linux"
WORDS = st.text(
    st.characters(blacklist_characters="\0\n\r", blacklist_categories=["Cs"]), max_size=9
)


def parsed(text: str) -> configparser.ConfigParser:
    entry = configparser.ConfigParser(interpolation=None, strict=True)
    entry.optionxform = str  # type: ignore[assignment,method-assign]
    entry.read_string(text)
    return entry


def arguments(line: str) -> list[str]:
    """What an Exec line means, by the words of the specification."""
    value = line.replace("\\\\", "\0").replace("\\s", " ").replace("\0", "\\")
    found, at = [], 0
    while at < len(value):
        if value[at] == " ":
            at += 1
            continue
        word = ""
        if value[at] == '"':
            at += 1
            while value[at] != '"':
                at += value[at] == "\\"
                word += value[at]
                at += 1
            at += 1
        else:
            while at < len(value) and value[at] != " ":
                word += value[at]
                at += 1
        found.append(word.replace("%%", "%"))
    return found


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_an_exec_line_means_its_command(command):
    assert arguments(launch.exec_line(command)) == command


@pytest.mark.parametrize("bad", ["a\nb", "a\0b", "a\rb", "\udcff"])
def test_what_fits_in_no_line_is_refused(bad):
    with pytest.raises(ValueError, match=r"one line|surrogates"):
        launch.exec_line([bad])


@given(st.lists(WORDS.filter(lambda word: '"' not in word), min_size=1, max_size=4))
def test_a_windows_line_means_its_command(command):
    line = launch.windows_line(command, '"%1"')
    assert line.endswith(' "%1"')
    assert windows_arguments(line)[:-1] == command


def windows_arguments(line: str) -> list[str]:
    """As CommandLineToArgvW parses: 2n backslashes before a quote are n, 2n+1 escape it."""
    found, word, quoted, started, at = [], "", False, False, 0
    while at < len(line):
        slashes = 0
        while at < len(line) and line[at] == "\\":
            slashes += 1
            at += 1
        if at < len(line) and line[at] == '"':
            word += "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            else:
                quoted, started = not quoted, True
        else:
            word += "\\" * slashes
            if at < len(line) and line[at] == " " and not quoted:
                if word or started:
                    found.append(word)
                word, started = "", False
            elif at < len(line):
                word += line[at]
        at += 1
    return [*found, word] if word or started else found


def test_the_entry_offers_windows_and_comparing():
    entry = parsed(desktop_entry(["/opt/a b/run", "-x"], "/opt/a b/run"))
    main = entry["Desktop Entry"]
    assert arguments(main["Exec"]) == ["/opt/a b/run", "-x", "%F"]
    assert main["TryExec"] == "/opt/a b/run"
    types = main["MimeType"].rstrip(";").split(";")
    assert types == [kind.mime_type for kind in opened_by_default()]
    for action in main["Actions"].rstrip(";").split(";"):
        assert arguments(entry[f"Desktop Action {action}"]["Exec"])[:2] == ["/opt/a b/run", "-x"]
    assert not {"application/octet-stream", "application/zip"} & set(types)


AWKWARD = [
    "plain",
    "with space",
    'it\'s a "quoted" $HOME `id` 100% %f \\ back;slash',
    "Schrödingers Känguru 数据",
]


@pytest.mark.skipif(shutil.which("gio") is None, reason="GLib's gio is not installed")
@pytest.mark.parametrize("name", AWKWARD)
def test_glib_starts_what_was_meant(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    report = tmp_path / "report.json"
    program = folder / "program"
    program.write_text(
        "import json, os, sys\n"
        f"json.dump(sys.argv, open({str(report)!r} + '.partial', 'w'))\n"
        f"os.replace({str(report)!r} + '.partial', {str(report)!r})\n"
    )
    entry = tmp_path / "an.desktop"
    entry.write_text(desktop_entry([sys.executable, str(program), name], sys.executable))
    opened = [tmp_path / "a b.pth", tmp_path / "100%20.pth"]
    for path in opened:
        path.touch()
    subprocess.run(
        ["gio", "launch", entry, *opened],
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        timeout=30,
        capture_output=True,
    )
    end = time.monotonic() + 20
    while not report.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert json.loads(report.read_text()) == [str(program), name, *map(str, opened)]


def test_the_command_of_here_starts_this_program(tmp_path):
    """Also from a folder where somebody has put modules of such names."""
    for name in ("inspector_app", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('from the current folder')")
    command = launch.command_here()
    done = subprocess.run(
        [*command, "--version"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    from inspector_app import __version__

    assert done.stdout == f"checkpoint-inspector {__version__}\n", done.stderr
    assert os.path.isabs(command[0])


def test_a_bundle_is_started_as_it_is(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/checkpoint-inspector/checkpoint-inspector")
    assert launch.command_here() == ["/opt/checkpoint-inspector/checkpoint-inspector"]


def test_an_image_is_started_by_its_own_file(monkeypatch, tmp_path):
    image = tmp_path / "Checkpoint Inspector.AppImage"
    image.touch()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("APPIMAGE", str(image))
    assert launch.command_here() == [str(image)]


def test_of_two_programs_the_one_without_a_terminal_is_started(monkeypatch, tmp_path):
    for name in ("run.com", "run.exe"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "run.com"))
    assert launch.command_here() == [str(tmp_path / "run.exe")]


def test_the_script_that_pip_made_is_started(monkeypatch, tmp_path):
    for name in ("python", "checkpoint-inspector"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "checkpoint-inspector"), "desktop"])
    assert launch.command_here() == [str(tmp_path / "checkpoint-inspector")]


def test_packages_have_the_menus_of_file_managers():
    folder = LINUX / "file-managers"
    assert (folder / file_manager_menus.SCRIPT_NAME).read_text() == (
        file_manager_menus.compare_script()
    )
    assert (folder / file_manager_menus.SERVICE_MENU_NAME).read_text() == (
        file_manager_menus.service_menu()
    )
    menu = parsed(file_manager_menus.service_menu(["/a b/run"]))
    exec_line = menu["Desktop Action compare"]["Exec"]
    assert arguments(exec_line) == ["/a b/run", "diff", "--window", "%F"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sh")
def test_the_script_starts_any_command(tmp_path):
    program = tmp_path / "it's $HOME"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "script"
    script.write_text(file_manager_menus.compare_script([str(program), "a b"]))
    done = subprocess.run(
        ["sh", script],
        env={**os.environ, "NEMO_SCRIPT_SELECTED_FILE_PATHS": "/x y.pth\n/z*.pth\n"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "a b|diff|--window|/x y.pth|/z*.pth|"
    assert shlex.split(f"exec {shlex.join([str(program)])}")[1] == str(program)
