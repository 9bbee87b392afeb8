"""The folder that runs from anywhere: unpacked, started, installed for a user, and gone again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from double_clicks import Desk, tree

from inspector_app.desktop.file_types import APP_ID

SAMPLES = Path(__file__).resolve().parents[2] / "resources" / "samples"
MISSING = ", ".join(name for name in ("xz", "update-mime-database") if shutil.which(name) is None)
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="a package of Linux"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}"),
]


@pytest.fixture(scope="module")
def archive(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from linux import make_tarball

    return make_tarball.build(packed, tmp_path_factory.mktemp("tarball"), level=0)


@pytest.fixture(scope="module")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("some where")
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    (made,) = folder.iterdir()
    return made


def test_it_is_an_appdir(unpacked: Path) -> None:
    names = {path.name for path in unpacked.iterdir()}
    assert {"AppRun", ".DirIcon", f"{APP_ID}.desktop", f"{APP_ID}.svg", "usr", "LICENSE"} <= names
    assert (unpacked / ".DirIcon").exists()
    assert not list(unpacked.rglob("*.nbi"))
    assert (unpacked / "usr/share/applications" / f"{APP_ID}.desktop").read_bytes() == (
        unpacked / f"{APP_ID}.desktop"
    ).read_bytes()


def test_it_runs_through_a_link(unpacked: Path, tmp_path: Path) -> None:
    link = tmp_path / "inspector"
    link.symlink_to(unpacked / "AppRun")
    done = subprocess.run(
        [link, "show", "--quiet", SAMPLES / "digits_cnn_epoch_4.pth"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "47 tensors" in done.stdout


def test_install_and_uninstall_leave_nothing(unpacked: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    before = tree(desk.home)
    done = desk.run(unpacked / "install.sh")
    assert done.returncode == 0, done.stderr
    entries = list(desk.home.rglob(f"{APP_ID}.desktop"))
    assert len(entries) == 1
    assert desk.run("desktop-file-validate", entries[0]).stdout == ""
    done = desk.run(unpacked / "install.sh", "--uninstall")
    assert done.returncode == 0, done.stderr
    assert tree(desk.home) == before


def test_the_same_bytes_each_time(
    unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linux import make_tarball

    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "b").write_text("b")
    (folder / "a").symlink_to("b")
    for name in ("first", "second"):
        make_tarball.pack(folder, tmp_path / name, 1_700_000_000, 0)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
