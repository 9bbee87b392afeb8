"""The Windows installer: what it writes into the registry is what the list of file types says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from registry_section import APP, ICONS, registry_section

from inspector_app.desktop.file_types import FILE_TYPES
from inspector_app.desktop.windows_registry import (
    PROGRAM,
    default_entries,
    own_keys,
    registry_entries,
)

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "packaging" / "windows" / "installer.iss"
_PART = re.compile(r'(\w+): (?:"((?:[^"]|"")*)"|([^;"]*))(?:; |$)')


def read() -> list[dict[str, str]]:
    """The lines of [Registry], as Inno Setup reads them."""
    text, code = registry_section().split("\n[Code]\n")
    first, *lines = text.strip().splitlines()
    assert first == "[Registry]"
    assert "procedure CurUninstallStepChanged" in code
    rows = []
    for line in lines:
        parts = _PART.findall(line)
        # Nothing is left over.
        assert sum(len(found[0]) for found in parts) > 0
        assert _PART.sub("", line) == "", line
        rows.append({name: quoted.replace('""', '"') or plain for name, quoted, plain in parts})
    return rows


def test_every_entry_of_the_list_is_written() -> None:
    written = {
        (row["Subkey"], row["ValueName"], row["ValueData"]) for row in read() if "ValueName" in row
    }
    wanted = registry_entries([rf"{APP}\{PROGRAM}"], ICONS) + default_entries()
    assert written == {(each.key, each.name, each.text) for each in wanted}
    assert all(row["Root"] == "HKCU" for row in read())


def test_what_is_ours_goes_and_what_is_shared_stays() -> None:
    rows = read()
    whole = {row["Subkey"] for row in rows if row.get("Flags") == "uninsdeletekey"}
    assert whole == set(own_keys())
    for row in rows:
        key = row["Subkey"]
        if any(key == each or key.startswith(each + "\\") for each in whole):
            continue
        flags = row["Flags"].split()
        if row.get("Tasks") == "opens":
            # Whoever opens it keeps it; ours is taken away by the code.
            assert flags == ["createvalueifdoesntexist"]
            assert f"LeaveDefault('{key}', '{row['ValueData']}');" in registry_section()
        else:
            assert flags == ["uninsdeletevalue", "uninsdeletekeyifempty"]


def test_a_double_click_starts_the_program_without_a_console() -> None:
    (line,) = {row["ValueData"] for row in read() if row["Subkey"].endswith(r"\open\command")}
    assert line == rf'"{APP}\checkpoint-inspector.exe" "%1"'


def test_icons_lie_where_the_bundle_has_them() -> None:
    named = {row["ValueData"] for row in read() if row["Subkey"].endswith("DefaultIcon")}
    names = {path.rpartition("\\")[2] for path in named}
    assert {f"{kind.icon}.ico" for kind in FILE_TYPES} <= names
    for name in names:
        assert (ROOT / "resources" / "icons" / name).exists()
    spec = (ROOT / "packaging" / "bundle.spec").read_text(encoding="utf-8")
    assert 'os.path.join("resources", "icons")' in spec


def test_the_script_names_what_exists() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    sections = re.findall(r"^\[(\w+)\]$", text, re.MULTILINE)
    assert sections == [
        "Setup",
        "Languages",
        "Tasks",
        "InstallDelete",
        "Files",
        "Icons",
        "Run",
    ]
    assert "{#AppId}-{#AppVersion}" in text
    for path in re.findall(r"^\w+=(\.\.\\.*)$", text, re.MULTILINE):
        path = path.replace("{#AppId}", "checkpoint-inspector").replace("\\", "/")
        assert (SCRIPT.parent / path).exists(), path
    tasks = set(re.findall(r'^Name: "(\w+)"; Description', text, re.MULTILINE))
    used = {row["Tasks"] for row in read() if "Tasks" in row}
    assert used <= tasks
    assert "PrivilegesRequired=lowest" in text


def test_braces_begin_a_constant() -> None:
    from registry_section import _text

    assert _text(r"{app}\a") == r"{app}\a"
    assert _text('{0} "a"') == '{{0} ""a""'


@pytest.mark.skipif(sys.platform == "win32", reason="there it may well be installed")
def test_without_a_bundle_it_says_so(tmp_path: Path) -> None:
    script = SCRIPT.with_name("make_installer.py")
    done = subprocess.run(
        [sys.executable, script, "--bundle", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(tmp_path) in done.stderr
    section = tmp_path / "registry.iss"
    done = subprocess.run([sys.executable, script, "--section-only", section], check=False)
    assert done.returncode == 0
    assert section.read_text(encoding="utf-8-sig") == registry_section()
