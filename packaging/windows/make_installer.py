"""Compiles the Windows installer from the bundle. Needs Inno Setup, so it runs on Windows.

    python packaging/windows/make_installer.py [--bundle FOLDER] [--section-only FILE]

`--section-only` writes what comes from the list of file types, on any system, and ends.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

from registry_section import registry_section  # noqa: E402

from inspector_app import __version__  # noqa: E402
from inspector_app.desktop.file_types import APP_ID  # noqa: E402


def compiler() -> str | None:
    """Inno Setup's compiler: on the PATH, or where its own installer puts it."""
    usual = (
        os.path.join(os.environ.get(name, ""), "Inno Setup 6", "ISCC.exe")
        for name in ("ProgramFiles(x86)", "ProgramFiles")
    )
    return shutil.which("ISCC") or next((each for each in usual if os.path.exists(each)), None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", type=Path, default=ROOT / "dist" / APP_ID)
    parser.add_argument("--section-only", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    if chosen.section_only:
        chosen.section_only.write_text(registry_section(), encoding="utf-8-sig")
        return 0
    bundle = chosen.bundle.resolve()
    if not (bundle / f"{APP_ID}.exe").exists():
        print(f"there is no bundle in {bundle}; packaging/README.md says how", file=sys.stderr)
        return 2
    inno = compiler()
    if inno is None:
        print("Inno Setup 6 is not installed: https://jrsoftware.org/isdl.php", file=sys.stderr)
        return 2
    section = bundle.parent / "registry.iss"
    section.write_text(registry_section(), encoding="utf-8-sig")
    defined = {"AppVersion": __version__, "Bundle": bundle, "Registry": section}
    options = [f"/D{name}={value}" for name, value in defined.items()]
    return subprocess.run([inno, *options, str(HERE / "installer.iss")], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
