"""What every test shares: a headless Qt, settings of its own, and the corpus."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports Qt: tests paint without a display, and never touch the settings of
# the person who runs them.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
_SETTINGS = tempfile.TemporaryDirectory(prefix="inspector-settings-")
for _name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
    os.environ[_name] = str(Path(_SETTINGS.name) / _name.lower())

# No deadlines: a busy machine is no bug. The same examples on each run, so that a failure
# belongs to the change that caused it; `--hypothesis-profile=search` looks for new ones.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("search", parent=settings.get_profile("repeatable"), derandomize=False)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "../shared/corpus"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real checkpoints that other people made; skips where it is absent."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus of real checkpoints is not here")
    return CORPUS.resolve()


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the bundled sample checkpoints."""
    return ROOT / "resources" / "samples"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if sys.platform != "linux" or not shutil.which("mount"):
        pytest.skip("needs Linux")
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """A test that leaves a thread running fails: it would outlive the window, too."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - before if not thread.daemon]
    for thread in left:
        thread.join(timeout=2)
    assert not [thread.name for thread in left if thread.is_alive()]


@pytest.fixture(autouse=True)
def _own_modules_are_forgotten() -> Iterator[None]:
    """What a test imports of files that it wrote itself is no module of another test."""
    before = set(sys.modules)
    yield
    written = tempfile.gettempdir()
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        # What is installed stays: classes of torch and sympy cannot be there twice.
        if file.startswith(written) and "site-packages" not in file:
            del sys.modules[name]
