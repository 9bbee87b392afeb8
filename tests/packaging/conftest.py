"""The bundle that was built, or a folder that stands where one would."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What packages are made with lies beside the packages, not among them.
for _folder in ("packaging", "packaging/windows", "tests/desktop"):
    if str(ROOT / _folder) not in sys.path:
        sys.path.append(str(ROOT / _folder))

BUILT = Path(os.environ.get("CHECKPOINT_INSPECTOR_BUNDLE", ROOT / "dist" / "checkpoint-inspector"))
PROGRAM = "checkpoint-inspector" + (".com" if sys.platform == "win32" else "")


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder that `make bundle` made; skips where there is none."""
    if not (BUILT / PROGRAM).exists():
        pytest.skip("no bundle has been built (make bundle)")
    return BUILT.resolve()


@pytest.fixture(scope="session", params=["sources", "bundle"])
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to pack: the bundle, and one whose program runs the sources."""
    if request.param == "bundle":
        return request.getfixturevalue("built")  # type: ignore[no-any-return]
    folder = tmp_path_factory.mktemp("sources")
    program = folder / "checkpoint-inspector"
    program.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(str(ROOT))}\n"
        f'exec {shlex.quote(sys.executable)} -m inspector_app "$@"\n'
    )
    program.chmod(0o755)
    (folder / "_internal").mkdir()
    (folder / "_internal" / "module.nbi").write_text("what running it has left there")
    return folder
