"""What a folder of programs needs of a Linux system."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import linux_libraries as libraries
import pytest

SAID = """
Dynamic Section:
  NEEDED               libQt6Core.so.6
  NEEDED               libxcb.so.1
  RUNPATH              $ORIGIN/../../lib

Version References:
  required from libc.so.6:
    0x09691a75 0x00 14 GLIBC_2.2.5
    0x069691b4 0x00 11 GLIBC_2.34
    0x0963cf85 0x00 06 GLIBC_PRIVATE
  required from libstdc++.so.6:
    0x08922974 0x00 04 GLIBCXX_3.4
"""
elf = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("objdump") is None,
    reason="objdump (binutils) reads the libraries",
)


def test_what_objdump_says_is_understood() -> None:
    assert libraries.needed(SAID) == ["libQt6Core.so.6", "libxcb.so.1"]
    assert libraries.c_library(SAID) == (2, 34)
    assert libraries.c_library("") == (0, 0)


@pytest.mark.parametrize("name", ["libX11.so.6", "libfontconfig.so.1", "libstdc++.so.6"])
def test_what_reads_the_systems_configuration_is_the_systems(name: str) -> None:
    assert libraries.FROM_SYSTEM.fullmatch(name)
    assert name in libraries.PACKAGES


@pytest.mark.parametrize("name", ["libxcb-cursor.so.0", "libffi.so.8", "libQt6Gui.so.6"])
def test_what_systems_may_lack_is_not(name: str) -> None:
    assert libraries.FROM_SYSTEM.fullmatch(name) is None


def test_libraries_that_nothing_left_needs_go(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {
        "/plugin.so": ["liba.so.1", "libX11.so.6"],
        "/liba.so.1": ["libb.so.1"],
        "/libb.so.1": ["liba.so.1", "libgone.so.1"],
        "/libgtk.so.0": ["libb.so.1"],
        "/libX11.so.6": [],
        "/libpython3.11.so.1.0": [],
    }
    monkeypatch.setattr(libraries, "described", str)
    monkeypatch.setattr(libraries, "needed", links.__getitem__)
    binaries = [("Qt/plugins/plugin.so", "/plugin.so")]
    binaries += [(path[1:], path) for path in links if path != "/plugin.so"]
    assert libraries.wanted(binaries) == {
        "Qt/plugins/plugin.so",
        "liba.so.1",
        "libb.so.1",
        "libpython3.11.so.1.0",
    }


@elf
def test_packages_of_a_real_library(tmp_path: Path) -> None:
    import PySide6

    source = Path(PySide6.__file__).parent / "Qt" / "lib"
    for name in ("libQt6Core.so.6", "libicuuc.so.73"):
        if (source / name).exists():
            shutil.copy(source / name, tmp_path / name)
    for name in ("libicui18n.so.73", "libicudata.so.73"):
        (tmp_path / name).touch()
    assert [Path(path).name for path in libraries.elf_files(str(tmp_path))]
    depends = libraries.debian_depends(str(tmp_path))
    assert any(each.startswith("libc6 (>= 2.") for each in depends)
    assert "libglib2.0-0" in depends
    assert not any("icu" in each for each in depends)


@elf
def test_a_library_of_no_known_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(sys.executable, tmp_path / "program")
    monkeypatch.setattr(libraries, "PACKAGES", {})
    with pytest.raises(libraries.NotKnown, match=r"program needs lib.*is not known"):
        libraries.debian_depends(str(tmp_path))
