"""`make deb`: a Debian package from the bundle.

    python packaging/linux/make_deb.py [--bundle FOLDER] [--out FOLDER] [--level N]

No maintainer scripts: the caches of menu entries, MIME types and icons have dpkg triggers on
the folders that we put files into (desktop-file-utils, shared-mime-info, GTK), and they run when
we leave, too.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from linux import desktop_files, manual_page, staging  # noqa: E402
from linux_libraries import NotKnown, debian_depends  # noqa: E402

from inspector_app import __version__  # noqa: E402
from inspector_app.desktop.file_types import APP_COMMENT, APP_ID  # noqa: E402

MAINTAINER = "Checkpoint Inspector contributors <contributors@checkpoint-inspector.invalid>"
PROGRAM_FOLDER = f"usr/lib/{APP_ID}"
# Tell the desktop about us; a server without them runs the commands just as well.
RECOMMENDED = (
    "desktop-file-utils",
    "fonts-dejavu-core | fonts-freefont-ttf",
    "hicolor-icon-theme",
    "shared-mime-info",
    "xdg-utils",
)
# Without it a plugin is left out, and printing is to a file.
OPTIONAL = ("libcups2",)
_DESCRIPTION = """\
 Opens .pth, .pt, .ckpt, .pt2, .safetensors and .onnx files as a tree, with the
 values, histograms and statistics of each tensor, however large the file is.
 Compares two of them as loading one into the other would, converts and
 transfers weights, and exports or quantizes a model through your own Python
 environment with PyTorch.
 .
 It never runs what is in a file just to look at it.
"""
# What a folder that brings its own Python and Qt is bound to have.
_OVERRIDES = (
    "embedded-library",
    "hardening-no-fortify-functions",
    "hardening-no-bindnow",
    "shared-library-lacks-prerequisites",
    "unstripped-binary-or-object",
    "custom-library-search-path",
    "hardening-no-pie",
    "package-installs-python-pycache-dir",
    "library-not-linked-against-libc",
    "executable-in-usr-lib",
    "package-contains-documentation-outside-usr-share-doc",
    "extra-license-file",
)


def control(architecture: str, depends: list[str], kibibytes: int) -> str:
    """The package's control file; `kibibytes` is what it takes when installed."""
    recommended = [*RECOMMENDED, *(each for each in OPTIONAL if each in depends)]
    depends = [each for each in depends if each not in OPTIONAL]
    return (
        f"Package: {APP_ID}\n"
        f"Version: {__version__}\n"
        f"Architecture: {architecture}\n"
        f"Maintainer: {MAINTAINER}\n"
        f"Installed-Size: {kibibytes}\n"
        f"Depends: {', '.join(depends) or 'libc6'}\n"
        f"Recommends: {', '.join(recommended)}\n"
        "Section: science\n"
        "Priority: optional\n"
        f"Description: {APP_COMMENT[0].lower()}{APP_COMMENT[1:]}\n"
        f"{_DESCRIPTION}"
    )


def changelog(seconds: int) -> bytes:
    """Debian's changelog, compressed without a time of its own."""
    said = subprocess.run(
        ["date", "-u", "-R", "-d", f"@{seconds}"], capture_output=True, text=True, check=True
    )
    text = (
        f"{APP_ID} ({__version__}) stable; urgency=medium\n\n"
        "  * See the project's CHANGELOG.md.\n\n"
        f" -- {MAINTAINER}  {said.stdout}"
    )
    return gzip.compress(text.encode(), 9, mtime=0)


def lay_out(bundle: Path, root: Path, seconds: int) -> None:
    """Put all files of the package below `root`."""
    staging.copy_bundle(bundle, root / PROGRAM_FOLDER)
    documents = root / "usr/share/doc" / APP_ID
    day = staging.day(seconds)
    for path, content in desktop_files.shared_files(day).items():
        staging.write(root / "usr/share" / path, content)
    page = gzip.compress(manual_page.manual_page(day).encode(), 9, mtime=0)
    staging.write(root / f"usr/share/man/man1/{APP_ID}.1.gz", page)
    staging.write(documents / "changelog.gz", changelog(seconds))
    staging.write(documents / "copyright", _copyright(day))
    overrides = "".join(f"{APP_ID}: {each} *\n" for each in _OVERRIDES)
    staging.write(root / "usr/share/lintian/overrides" / APP_ID, overrides.encode())
    (root / "usr/bin").mkdir()
    (root / "usr/bin" / APP_ID).symlink_to(f"../lib/{APP_ID}/{APP_ID}")


def _copyright(day: str) -> bytes:
    terms = (staging.ROOT / "LICENSE").read_text(encoding="utf-8").partition("\n\n")[2]
    rights, _, permission = terms.partition("\n\n")
    holder = rights.removeprefix("Copyright (c) ")
    body = "".join(f" {line or '.'}\n" for line in permission.splitlines())
    return (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: {APP_ID}\n"
        f"Comment: what comes with it, Python, Qt, NumPy, Numba and LLVM among others, has its\n"
        f" own licences, in /{PROGRAM_FOLDER}/_internal (*.dist-info, licenses).\n\n"
        f"Files: *\nCopyright: {day[:4]} {holder}\nLicense: Expat\n{body}"
    ).encode()


def sizes_and_sums(root: Path) -> tuple[int, str]:
    """Installed size in KiB as Debian's policy counts (5.6.20), and the md5sums file."""
    kibibytes, sums = 0, []
    for folder, folders, names in os.walk(root):
        folders.sort()
        kibibytes += len(folders)
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink():
                kibibytes += 1
                continue
            content = path.read_bytes()
            kibibytes += -(-len(content) // 1024)
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            sums.append(f"{digest}  {path.relative_to(root)}\n")
    return kibibytes, "".join(sums)


def build(bundle: Path, out: Path, level: int) -> Path:
    """The package's path.

    Raises:
        subprocess.CalledProcessError: dpkg-deb failed, and has said why.
    """
    seconds = staging.release_time()
    said = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    )
    architecture = said.stdout.strip()
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"{APP_ID}_{__version__}_{architecture}.deb"
    with tempfile.TemporaryDirectory(dir=out) as folder:
        root = Path(folder, "root")
        root.mkdir(mode=0o755)
        os.umask(0o022)
        lay_out(bundle, root, seconds)
        kibibytes, sums = sizes_and_sums(root)
        depends = debian_depends(str(root / PROGRAM_FOLDER))
        staging.write(root / "DEBIAN/md5sums", sums.encode())
        staging.write(root / "DEBIAN/control", control(architecture, depends, kibibytes).encode())
        compressed = ["-Zxz", f"-z{level}"] if level else ["-Znone"]
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", *compressed, "--build", root, package],
            check=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(seconds)},
            stdout=subprocess.DEVNULL,
        )
    return package


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", default="", help="the folder that `make bundle` made")
    parser.add_argument("--out", type=Path, default=staging.DIST)
    parser.add_argument(
        "--level", type=int, default=6, help="of compression by xz, 1 to 9; 0 for none"
    )
    chosen = parser.parse_args()
    try:
        package = build(staging.bundle(chosen.bundle), chosen.out, chosen.level)
    except (staging.NoBundle, NotKnown) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{package}: {package.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
