"""The bundle, where nothing else of Python is: what it does by itself, and with an interpreter.

Skipped where none has been built.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "resources" / "samples"
EPOCH_2 = SAMPLES / "digits_cnn_epoch_2.pth"
EPOCH_4 = SAMPLES / "digits_cnn_epoch_4.pth"
MODEL = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(x)
"""
LARGEST = 450_000_000


class Bare:
    """An environment with nothing on the PATH."""

    def __init__(self, bundle: Path, home: Path) -> None:
        self.home = home
        self.program = bundle / (
            "checkpoint-inspector.com" if sys.platform == "win32" else "checkpoint-inspector"
        )
        kept = ("SYSTEMROOT", "LANG") if sys.platform == "win32" else ("LANG",)
        self.environment = {name: os.environ[name] for name in kept if name in os.environ} | {
            "HOME": str(home),
            "LOCALAPPDATA": str(home),
            "PATH": str(home / "nothing"),
            "TMPDIR": str(home),
            "LC_ALL": "C.UTF-8",
            "QT_QPA_PLATFORM": "offscreen",
        }

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )


@pytest.fixture
def bare(built: Path, tmp_path: Path) -> Bare:
    return Bare(built, tmp_path)


def test_it_is_small_and_has_no_torch(built: Path) -> None:
    files = [path for path in built.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    names = {path.name for path in (built / "_internal").iterdir()}
    assert names.isdisjoint({"torch", "onnx", "onnxruntime", "scipy", "sympy", "PIL"})
    assert (built / "_internal" / "inspector_app" / "worker" / "main.py").exists()
    assert (built / "_internal" / "licenses").is_dir()
    sources = built / "_internal" / "inspector_app"
    assert len(list(sources.rglob("*.py"))) == len(list(sources.rglob("*.pyc"))) > 100


def test_it_leaves_the_system_what_is_the_systems(built: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("of Linux")
    import linux_libraries

    if shutil.which("objdump") is None:
        pytest.skip("objdump (binutils) reads the libraries")
    assert "libx11-6" in linux_libraries.debian_depends(str(built))
    assert not [
        path for path in built.rglob("*.so*") if linux_libraries.FROM_SYSTEM.fullmatch(path.name)
    ]


def test_every_module_of_the_window_can_be_imported(built: Path, bare: Bare) -> None:
    """By the process that computes beside the window: it calls what it is asked to."""
    inside = built / "_internal"
    names = [
        ".".join(path.relative_to(inside).with_suffix("").parts)
        for path in sorted((inside / "inspector_app").rglob("*.py"))
        if path.stem not in ("__init__", "__main__") and path.parent.name != "worker"
    ]
    names += ["inspector_app.worker.client", "pyqtgraph", "numba", "ml_dtypes"]
    assert len(names) > 100
    questions = b"".join(
        pickle.dumps((number, import_module, (name,))) for number, name in enumerate(names)
    )
    process = subprocess.Popen(
        [bare.program, "--other-process"],
        env=bare.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(questions)
    process.stdin.flush()
    failed = {}
    for name in names:
        _, _, answer = pickle.load(process.stdout)
        # It is a module, and no generator that could answer.
        if str(answer) != f"module {name!r} has no attribute 'close'":
            failed[name] = answer
    process.communicate(timeout=60)
    assert not failed


def test_it_shows_a_file(bare: Bare) -> None:
    done = bare.run("show", EPOCH_4, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["tensors"]) == 47


def test_it_measures_and_keeps_what_it_compiled_at_home(bare: Bare) -> None:
    done = bare.run("stats", EPOCH_4, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    tensors = json.loads(done.stdout)["tensors"]
    assert all(each["exact"] for each in tensors)
    source = subprocess.run(
        [sys.executable, "-m", "inspector_app", "stats", EPOCH_4, "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert tensors == json.loads(source.stdout)["tensors"]


def test_it_compares_values(bare: Bare) -> None:
    done = bare.run("diff", EPOCH_2, EPOCH_4, "--values", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["summary"]["changed"] == 47


def test_it_previews_quantization(bare: Bare) -> None:
    done = bare.run("quantize", EPOCH_4, "--preview", "--json")
    assert done.returncode == 0, done.stderr
    assert "int8-per-channel" in done.stdout


def test_it_saves(bare: Bare) -> None:
    for name in ("weights.safetensors", "weights.pth"):
        done = bare.run("convert", EPOCH_4, bare.home / name, "--section", "model_state_dict")
        assert done.returncode == 0, done.stderr
        shown = bare.run("show", bare.home / name, "--json")
        assert len(json.loads(shown.stdout)["tensors"]) == 16
    import torch

    loaded = torch.load(bare.home / "weights.pth", weights_only=True)
    assert len(loaded) == 16


@pytest.mark.parametrize("files", [[EPOCH_4], [EPOCH_2, EPOCH_4]])
def test_it_paints_its_window(bare: Bare, files: list[Path]) -> None:
    from PySide6.QtGui import QImage

    picture = bare.home / "window.png"
    done = bare.run("open", *files, "--screenshot", picture)
    assert done.returncode == 0, done.stderr
    image = QImage(str(picture))
    assert image.width() == 1280
    colours = {image.pixel(x, y) for x in range(0, 1280, 3) for y in range(0, 800, 3)}
    assert len(colours) > 50


def test_it_asks_for_an_interpreter_and_exports_with_one(bare: Bare) -> None:
    import torch

    (bare.home / "model.py").write_text(MODEL)
    torch.save({"fc.weight": torch.ones(2, 4), "fc.bias": torch.zeros(2)}, bare.home / "net.pth")
    target = bare.home / "net.pt2"
    asked = ["export", "net.pth", target, "--model", "model.py:Net", "--input", "x:1,4"]
    done = bare.run(*asked)
    assert done.returncode == 2
    assert "Models run under a Python of yours that has torch" in done.stderr
    assert "--python" in done.stderr
    assert not target.exists()
    done = bare.run(*asked, "--python", sys.executable)
    assert done.returncode == 0, done.stderr
    exported = torch.export.load(target).module()
    assert torch.equal(exported(torch.ones(1, 4)), torch.full((1, 2), 4.0))


def test_what_it_starts_gets_the_systems_libraries(built: Path, tmp_path: Path) -> None:
    """A file manager that the window starts must not load ours."""
    if not sys.platform.startswith("linux"):
        pytest.skip("of Linux")
    bare = Bare(built, tmp_path)
    (tmp_path / "model.py").write_text(
        "import os, torch\n"
        "print('ENV', {k: v for k, v in os.environ.items() if 'internal' in v and k != 'PWD'})\n"
        + MODEL
    )
    import torch

    torch.save({"fc.weight": torch.ones(2, 4), "fc.bias": torch.zeros(2)}, tmp_path / "net.pth")
    done = bare.run(
        "export", "net.pth", "out.pt2", "--model", "model.py:Net", "--input", "x:1,4",
        "--python", sys.executable, "--verbose",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ENV {}" in done.stdout + done.stderr
