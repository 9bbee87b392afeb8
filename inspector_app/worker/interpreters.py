"""Which Pythons there are, and what each of them has.

`found` lists this one and the virtual and conda environments that lie around, without
starting any. `probing` runs within one, as the work of a `Probe`.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from inspector_app.worker.protocol import Probe, Probed, Progress

PACKAGES = (
    "torch",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "safetensors",
    "torchao",
    "transformers",
)
OLDEST_TORCH = (2, 6)
# What each kind of target needs beyond torch.
NEEDED = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "torchscript": (),
    "torch-export": (),
    "safetensors": (),
    "state-dict": (),
}
_OTHER_NAMES = {"onnxruntime": ("onnxruntime-gpu", "onnxruntime-directml")}
_USUAL_FOLDERS = (".venv", "venv", "env", ".env")
_MOST_ABOVE = 6
_MOST = 60


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that may run models.

    Attributes:
        path: of its executable.
        origin: ``this``, ``venv`` or ``conda``, or ``path`` where it is only on the PATH.
        name: of its environment, as people call it.
    """

    path: str
    origin: str
    name: str


def found(near: Iterable[str] = ()) -> list[Interpreter]:
    """This Python and the environments on the machine and beside the files `near`.

    Each once, likely ones first: this one (unless we are a bundle, which is none), the active
    environment, those beside the files and in the folders above them, those that conda and
    virtualenvwrapper keep, and what is on the PATH.
    """
    listed: dict[str, Interpreter] = {}
    for each in _candidates(near):
        if len(listed) >= _MOST:
            break
        # Not resolved: the link within an environment is what tells Python where it is. What
        # is on the PATH alone is in none.
        path = os.path.realpath if each.origin == "path" else os.path.abspath
        if os.path.abspath(each.path) not in listed:
            listed.setdefault(path(each.path), each)
    return list(listed.values())


def pip_line(interpreter: str, packages: Iterable[str]) -> str:
    """The command that installs `packages` there, to be copied."""
    words = [interpreter, "-m", "pip", "install", *packages]
    if sys.platform == "win32":
        return " ".join(f'"{word}"' if " " in word or ">" in word else word for word in words)
    return shlex.join(words)


def missing(probed: Probed, kind: str) -> list[str]:
    """What has to be installed there for a target of that `FormatOptions` kind."""
    torch = probed.packages.get("torch")
    lacking = [] if torch and release(torch) >= OLDEST_TORCH else ["torch>=2.6"]
    return lacking + [each for each in NEEDED[kind] if probed.packages.get(each) is None]


def release(text: str) -> tuple[int, ...]:
    """The first two numbers of a version, such as (2, 13) of ``2.13.0+cpu``."""
    numbers = []
    for part in text.split(".")[:2]:
        digits = "".join(character for character in part if character.isdecimal())
        numbers.append(int(digits) if digits else 0)
    return tuple(numbers)


def probing(_request: Probe) -> Generator[Progress, None, Probed]:
    """What this Python has, from what pip has noted: nothing is imported."""
    packages: dict[str, str | None] = {}
    for name in PACKAGES:
        yield Progress(name, len(packages), len(PACKAGES))
        packages[name] = _version(name)
    return Probed(sys.executable, sys.version.split()[0], packages)


def _version(name: str) -> str | None:
    for each in (name, *_OTHER_NAMES.get(name, ())):
        try:
            return version(each)
        except PackageNotFoundError:
            continue
    return None


def _candidates(near: Iterable[str]) -> Iterator[Interpreter]:
    if not getattr(sys, "frozen", False):
        yield Interpreter(sys.executable, "this", _environment_name(sys.prefix))
    for variable, origin in (("VIRTUAL_ENV", "venv"), ("CONDA_PREFIX", "conda")):
        active = os.environ.get(variable)
        if active:
            yield from _python_of(Path(active), origin)
    for file in near:
        folder = Path(file).absolute().parent
        for each in (folder, *list(folder.parents)[:_MOST_ABOVE]):
            yield from _beside(each)
    yield from _beside(Path.cwd())
    for folder in _collections():
        for each in _folders(folder):
            yield from _environment(each)
    for folder in _conda_roots():
        yield from _python_of(folder, "conda")
        for each in _folders(folder / "envs"):
            yield from _python_of(each, "conda")
    for name in os.environ.get("PATH", "").split(os.pathsep):
        for program in ("python.exe",) if sys.platform == "win32" else ("python3", "python"):
            path = Path(name, program)
            if name and os.access(path, os.X_OK) and path.is_file():
                yield Interpreter(str(path), "path", str(path))
                break


def _beside(folder: Path) -> Iterator[Interpreter]:
    for name in _USUAL_FOLDERS:
        yield from _environment(folder / name)


def _environment(folder: Path) -> Iterator[Interpreter]:
    """The environment at `folder`, if there is one."""
    if (folder / "pyvenv.cfg").is_file():
        yield from _python_of(folder, "venv")
    elif (folder / "conda-meta").is_dir():
        yield from _python_of(folder, "conda")


def _python_of(folder: Path, origin: str) -> Iterator[Interpreter]:
    if sys.platform == "win32":
        places = (folder / "Scripts" / "python.exe", folder / "python.exe")
    else:
        places = (folder / "bin" / "python", folder / "bin" / "python3")
    for path in places:
        if os.access(path, os.X_OK) and path.is_file():
            yield Interpreter(str(path), origin, _environment_name(str(folder)))
            return


def _environment_name(folder: str) -> str:
    """A folder's name; where that says nothing, as ``.venv``, with the one above."""
    path = Path(folder)
    return f"{path.parent.name}/{path.name}" if path.name in _USUAL_FOLDERS else path.name


def _collections() -> Iterator[Path]:
    """Folders in which tools keep virtual environments."""
    home = Path.home()
    if os.environ.get("WORKON_HOME"):
        yield Path(os.environ["WORKON_HOME"])
    yield home / ".virtualenvs"
    yield home / ".venvs"
    yield home / ".local" / "share" / "virtualenvs"
    yield home / ".cache" / "pypoetry" / "virtualenvs"
    yield home / ".pyenv" / "versions"


def _conda_roots() -> Iterator[Path]:
    home = Path.home()
    executable = os.environ.get("CONDA_EXE")
    if executable:
        yield Path(executable).absolute().parent.parent
    for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba"):
        yield home / name
        yield Path("/opt", name)
    yield Path("/opt/conda")
    # Where conda itself notes every environment it has made.
    try:
        lines = (home / ".conda" / "environments.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    yield from (Path(line.strip()) for line in lines[:_MOST] if line.strip())


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir())[:_MOST]
    except OSError:
        return []
