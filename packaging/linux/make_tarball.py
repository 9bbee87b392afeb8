"""`make tarball`: a folder that runs from anywhere, laid out as an AppDir, in a .tar.xz.

    python packaging/linux/make_tarball.py [--bundle FOLDER] [--out FOLDER] [--level N]

``./AppRun FILE`` starts it where it was unpacked; ``./install.sh`` makes double clicks open it for
this user, ``./install.sh --uninstall`` undoes that. `appimagetool FOLDER` makes an AppImage of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from linux import desktop_files, staging  # noqa: E402

from inspector_app import __version__  # noqa: E402
from inspector_app.desktop import desktop_entry  # noqa: E402
from inspector_app.desktop.file_types import APP_ID  # noqa: E402
from inspector_app.resources_path import resource_path  # noqa: E402

PROGRAM = f"usr/lib/{APP_ID}/{APP_ID}"
APP_RUN = f"""\
#!/bin/sh
# Starts the program from wherever this folder lies.
here=$(dirname -- "$(readlink -f -- "$0")")
exec "$here/{PROGRAM}" "$@"
"""
INSTALL = f"""\
#!/bin/sh
# Makes double clicks open checkpoints with the program in this folder, for this user. Leave the
# folder where it is afterwards.
#
#   ./install.sh [--default]      --default: also where another program opens them now
#   ./install.sh --uninstall
here=$(dirname -- "$(readlink -f -- "$0")")
if [ "$1" = --uninstall ]; then
    exec "$here/{PROGRAM}" desktop uninstall
fi
exec "$here/{PROGRAM}" desktop install "$@"
"""


def lay_out(bundle: Path, root: Path, seconds: int) -> None:
    """Put all files of the folder below `root`."""
    staging.copy_bundle(bundle, root / Path(PROGRAM).parent)
    for path, content in desktop_files.shared_files(staging.day(seconds)).items():
        staging.write(root / "usr/share" / path, content)
    staging.write(root / "AppRun", APP_RUN.encode(), executable=True)
    staging.write(root / "install.sh", INSTALL.encode(), executable=True)
    staging.write(root / "LICENSE", (staging.ROOT / "LICENSE").read_bytes())
    staging.write(root / desktop_entry.FILE_NAME, desktop_entry.desktop_entry().encode())
    with open(resource_path("icons", f"{APP_ID}.svg"), "rb") as file:
        staging.write(root / f"{APP_ID}.svg", file.read())
    (root / ".DirIcon").symlink_to(f"{APP_ID}.svg")


def pack(root: Path, archive: Path, seconds: int, level: int) -> None:
    """Pack `root` under its own name, the same bytes each time."""

    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = seconds
        return member

    with archive.open("wb") as file:
        packer = subprocess.Popen(
            ["xz", "-T0", f"-{level}", "-c"], stdin=subprocess.PIPE, stdout=file
        )
        assert packer.stdin is not None
        with tarfile.open(fileobj=packer.stdin, mode="w|", format=tarfile.PAX_FORMAT) as members:
            members.add(root, root.name, recursive=False, filter=anonymous)
            for path in sorted(root.rglob("*")):
                name = f"{root.name}/{path.relative_to(root)}"
                members.add(path, name, recursive=False, filter=anonymous)
        packer.stdin.close()
        if packer.wait():
            raise subprocess.CalledProcessError(packer.returncode, "xz")


def build(bundle: Path, out: Path, level: int) -> Path:
    """The archive's path.

    Raises:
        subprocess.CalledProcessError: xz failed, and has said why.
    """
    seconds = staging.release_time()
    out.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        root = Path(folder, f"{APP_ID}-{__version__}-linux-{staging.machine()}")
        root.mkdir()
        lay_out(bundle, root, seconds)
        archive = out / f"{root.name}.tar.xz"
        pack(root, archive, seconds, level)
    return archive


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", default="", help="the folder that `make bundle` made")
    parser.add_argument("--out", type=Path, default=staging.DIST)
    parser.add_argument("--level", type=int, default=6, help="of compression by xz, 0 to 9")
    chosen = parser.parse_args()
    try:
        archive = build(staging.bundle(chosen.bundle), chosen.out, chosen.level)
    except staging.NoBundle as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{archive}: {archive.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
