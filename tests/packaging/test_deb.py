"""The Debian package, installed into a clean root, used by double clicks, and gone again.

The root has a dpkg of its own. What dpkg's triggers do in a whole system (update-mime-database,
update-desktop-database) is done by hand here.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from double_clicks import Desk, missing_programs, tree, wait

from inspector_app.desktop.file_types import APP_ID, opened_by_default

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "resources" / "samples"
ENTRY = f"{APP_ID}.desktop"
TOOLS = ("dpkg", "dpkg-deb", "update-mime-database", "update-desktop-database")
MISSING = ", ".join(name for name in TOOLS if shutil.which(name) is None)
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="a package of Linux"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}"),
]


@pytest.fixture(scope="module")
def package(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from linux import make_deb

    return make_deb.build(packed, tmp_path_factory.mktemp("deb"), level=0)


# Of a system that has other types of files.
OTHER = """\
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="text/x-other"><comment>Other</comment><glob pattern="*.other"/></mime-type>
</mime-info>
"""


class Root:
    """A system's root with nothing but a list of packages, and a type of file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "tmp"):
            (folder / name).mkdir(parents=True)
        for name in ("status", "available"):
            (folder / "var/lib/dpkg" / name).touch()
        types = folder / "usr/share/mime/packages"
        types.mkdir(parents=True)
        (types / "other.xml").write_text(OTHER)

    def dpkg(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        force = "--force-depends,bad-path" + ("" if os.getuid() == 0 else ",not-root")
        return subprocess.run(
            ["dpkg", f"--root={self.folder}", force, "--log=/dev/null", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    def trigger(self) -> str:
        """What dpkg's triggers run; what they complain about."""
        said = ""
        for name, folder in (("mime", "mime"), ("desktop", "applications")):
            share = self.folder / "usr/share" / folder
            if share.exists():
                command = [f"update-{name}-database", share]
                environment = {**os.environ, "XDG_DATA_DIRS": str(share.parent)}
                done = subprocess.run(
                    command, capture_output=True, text=True, check=False, env=environment
                )
                assert done.returncode == 0, done.stderr
                said += done.stdout + done.stderr
        return said

    def files(self) -> set[str]:
        """All that is there, but dpkg's own books."""
        return {each for each in tree(self.folder) if not each.startswith("var/lib/dpkg")}


@pytest.fixture(scope="module")
def root(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    made = Root(tmp_path_factory.mktemp("root"))
    made.trigger()
    before = made.files()
    done = made.dpkg("-i", package)
    assert done.returncode == 0, done.stderr
    assert made.trigger() == ""
    yield made
    done = made.dpkg("-P", APP_ID)
    assert done.returncode == 0, done.stderr
    made.trigger()
    left = made.files() - before
    # The programs that keep the caches leave them, and a folder of theirs, when they are empty.
    assert left <= {
        "usr/share/applications",
        "usr/share/applications/mimeinfo.cache",
        "usr/share/mime/application",
    }
    for each in (made.folder / "usr/share").rglob("*"):
        assert each.is_dir() or b"inspector" not in each.read_bytes(), each


@pytest.fixture
def desk(root: Root, tmp_path: Path) -> Iterator[Desk]:
    if missing := missing_programs():
        pytest.skip(f"a desktop needs what is not installed here: {missing}")
    made = Desk(tmp_path)
    usr = root.folder / "usr"
    made.environment["PATH"] = f"{usr / 'bin'}:{os.environ['PATH']}"
    made.environment["XDG_DATA_DIRS"] = f"{usr / 'share'}:/usr/local/share:/usr/share"
    yield made
    made.close()


def test_the_package_describes_itself(package: Path) -> None:
    said = subprocess.run(
        ["dpkg-deb", "--field", package], capture_output=True, text=True, check=True
    ).stdout
    fields = dict(line.split(": ", 1) for line in said.splitlines() if not line.startswith(" "))
    assert fields["Package"] == APP_ID
    assert fields["Depends"].startswith("libc6")
    assert "shared-mime-info" in fields["Recommends"]
    inside = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True
    ).stdout
    assert abs(int(fields["Installed-Size"]) * 1024 - len(inside)) < 2_000_000


def test_everything_is_roots_and_nobody_else_may_write(package: Path) -> None:
    said = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True)
    for line in said.stdout.splitlines():
        mode, owner = line.split()[:2]
        assert owner == "root/root"
        assert mode[0] == "l" or mode[5] + mode[8] == "--", line
        assert not line.endswith((".nbi", ".nbc"))


def test_sums_and_manual_are_right(root: Root) -> None:
    sums = (root.folder / f"var/lib/dpkg/info/{APP_ID}.md5sums").read_bytes()
    done = subprocess.run(
        ["md5sum", "--check", "--quiet", "-"], input=sums, cwd=root.folder, check=False
    )
    assert done.returncode == 0
    with gzip.open(root.folder / f"usr/share/man/man1/{APP_ID}.1.gz", "rt") as file:
        page = file.read()
    for command in ("show", "diff", "export", "desktop"):
        assert f"\n.B {command}\n" in page


def test_the_entry_is_valid(root: Root) -> None:
    if shutil.which("desktop-file-validate") is None:
        pytest.skip("desktop-file-validate is not installed")
    entry = root.folder / "usr/share/applications" / ENTRY
    done = subprocess.run(
        ["desktop-file-validate", entry], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_double_clicks_open_tabs_of_one_window(desk: Desk) -> None:
    for kind in opened_by_default():
        for ending in kind.endings:
            path = desk.home / f"model{ending}"
            shutil.copy(SAMPLES / "digits_cnn_epoch_2.pth", path)
            assert desk.file_type(path) == kind.mime_type
        assert desk.default(kind.mime_type) == ENTRY
    plain = desk.home / "notes"
    shutil.copy(SAMPLES / "digits_cnn_epoch_2.pth", plain)
    assert desk.file_type(plain) == "application/x-pytorch-checkpoint"

    desk.show()
    desk.double_click(desk.home / "model.pth")
    window = desk.window("model.pth")
    process = desk.process_of(window)
    desk.double_click(desk.home / "model.ckpt")
    assert desk.window("model.ckpt") == window
    wait(lambda: desk.processes() == [process], "one process alone")


def test_the_command_is_on_the_path(desk: Desk) -> None:
    done = desk.run(APP_ID, "show", SAMPLES / "digits_cnn_epoch_4.pth", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "47 tensors" in done.stdout
