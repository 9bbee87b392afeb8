"""The import rule.

The contracts of ``pyproject.toml`` are run as they are, and once more over a tree that
breaks each of them. What a contract cannot say is read from the syntax trees here: the
standard library only, imports on use, one module alone.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "inspector_app"
LINT = Path(sys.executable).with_name("lint-imports")

# Packages that one module alone may import, and only inside a function.
ON_USE = {
    "checkpoint/values.py": {"numpy", "ml_dtypes"},
    "checkpoint/onnx.py": {"onnx"},
}
# What `ui` imports when the first view needs it: the tree is painted without.
AFTER_PAINTING = {"numpy", "pyqtgraph"}
QT = {"PySide6", "shiboken6"}


def modules(folder: Path, *parts: str) -> list[Path]:
    found = sorted(folder.joinpath(*parts).rglob("*.py"))
    return [path for path in found if "__pycache__" not in path.parts]


def imports(path: Path, *, at_import_time: bool = False) -> Iterator[str]:
    """The dotted names that a module imports, `from a import b` as both ``a`` and ``a.b``.

    With `at_import_time`, without those inside functions and ``if TYPE_CHECKING``.
    """
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        deferred = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if at_import_time and deferred:
            continue
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if at_import_time and typing:
            todo.extend(node.orelse)
            continue
        todo.extend(ast.iter_child_nodes(node))


def top(names: Iterator[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def third_party(names: Iterator[str]) -> set[str]:
    return top(names) - sys.stdlib_module_names - {"inspector_app"}


def broken_rules(package: Path) -> list[str]:
    """What in `package` breaks the rule, a sentence each."""
    found = []

    def report(path: Path, names: set[str], what: str) -> None:
        if names:
            found.append(f"{path.relative_to(package).as_posix()}: {what}: {sorted(names)}")

    for path in modules(package, "checkpoint"):
        name = path.relative_to(package).as_posix()
        report(
            path, third_party(imports(path)) - ON_USE.get(name, set()), "not the standard library"
        )
        report(path, third_party(imports(path, at_import_time=True)), "imported before it is used")
    for path in modules(package, "analysis"):
        allowed = {"numpy", "numba"} if path.name == "kernels.py" else {"numpy"}
        report(path, third_party(imports(path)) - allowed, "neither checkpoint nor numpy")
    for path in modules(package, "saving"):
        report(path, third_party(imports(path)) - {"numpy", "ml_dtypes"}, "not for writing")
        early = third_party(imports(path, at_import_time=True))
        report(path, early, "imported before it is used")
    for path in modules(package, "desktop"):
        report(path, third_party(imports(path)), "not the standard library")
    for path in modules(package, "worker"):
        ours = {name for name in imports(path) if name.startswith("inspector_app.")}
        mine = ("inspector_app.worker", "inspector_app.checkpoint")
        report(path, {name for name in ours if not name.startswith(mine)}, "not the worker's own")
        report(path, top(imports(path)) & (QT | {"pyqtgraph"}), "Qt in a worker")
    for path in modules(package, "ui"):
        early = top(imports(path, at_import_time=True))
        report(path, early & AFTER_PAINTING, "imported before the tree is painted")
        allowed = QT | AFTER_PAINTING
        report(path, third_party(imports(path)) - allowed, "not for a window")
    for path in [*package.glob("*.py"), *modules(package, "terminal")]:
        report(path, third_party(imports(path, at_import_time=True)), "imported before it is used")
        early = {name for name in imports(path, at_import_time=True) if ".ui" in name}
        report(path, early, "a command that needs no window imports it")
        report(path, third_party(imports(path)) & QT, "Qt outside ui")
    return found


def run_contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_contracts_hold() -> None:
    done = run_contracts(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_rules_beyond_the_contracts_hold() -> None:
    assert broken_rules(PACKAGE) == []


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    """A tree with the same packages, which keeps the rule."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "inspector_app"
    for folder in ("", "checkpoint", "analysis", "saving", "desktop", "worker", "terminal", "ui"):
        (package / folder).mkdir()
        (package / folder / "__init__.py").touch()
    for module in ("__main__", "cli", "ui/window"):
        (package / f"{module}.py").touch()
    for path in modules(PACKAGE, "worker"):  # a contract names some of them
        (package / "worker" / path.name).touch()
    (package / "checkpoint/onnx.py").write_text("def read():\n    import onnx\n")
    (package / "analysis/kernels.py").write_text("import numba\n")
    (package / "ui/tree.py").write_text(
        "from PySide6 import QtCore\nfrom inspector_app.worker import client\n"
        "def plot():\n    import numpy\n"
    )
    return tmp_path


def test_small_tree_keeps_the_rule(small_tree: Path) -> None:
    done = run_contracts(small_tree)
    assert done.returncode == 0, done.stdout + done.stderr
    assert broken_rules(small_tree / "inspector_app") == []


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("checkpoint/zip.py", "import numpy", "checkpoint:"),
        ("checkpoint/zip.py", "from inspector_app.ui import window", "checkpoint:"),
        ("analysis/diff.py", "import torch", "analysis:"),
        ("analysis/diff.py", "import numba", "analysis:"),
        ("saving/save.py", "from PySide6 import QtCore", "saving:"),
        ("saving/save.py", "def save():\n    import torch", "saving:"),
        ("analysis/save_plan.py", "from inspector_app.saving import save", "__main__ over"),
        ("desktop/linux.py", "from inspector_app.checkpoint import model", "desktop:"),
        ("desktop/linux.py", "def told():\n    from PySide6 import QtCore", "desktop:"),
        ("worker/export.py", "from PySide6 import QtCore", "worker:"),
        ("worker/export.py", "from inspector_app.analysis import kernels", "worker:"),
        ("worker/client.py", "def start():\n    import torch", "worker's side"),
        ("ui/tree.py", "from inspector_app.worker import export", "ui:"),
        ("ui/tree.py", "def view():\n    import torch", "ui:"),
        ("ui/tree.py", "from inspector_app.worker import main", "ui:"),
        ("ui/tree.py", "from inspector_app import cli", "ui:"),
        ("analysis/diff.py", "from inspector_app import cli", "__main__ over"),
        ("terminal/show.py", "from inspector_app.ui import window", "__main__ over"),
    ],
)
def test_a_broken_contract_is_seen(
    small_tree: Path, module: str, statement: str, contract: str
) -> None:
    (small_tree / "inspector_app" / module).write_text(statement + "\n")
    done = run_contracts(small_tree)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = done.stdout.partition("Broken contracts")[2]
    assert any(line.startswith(contract) for line in broken.splitlines()), done.stdout


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("checkpoint/zip.py", "import yaml"),
        ("checkpoint/values.py", "import numpy"),
        ("checkpoint/onnx.py", "import onnx"),
        ("analysis/diff.py", "import pandas"),
        ("saving/save.py", "import numpy"),
        ("saving/save.py", "def save():\n    import pandas"),
        ("desktop/linux.py", "import dbus"),
        ("worker/save.py", "def save():\n    from inspector_app.analysis import kernels"),
        ("ui/plot.py", "import numpy"),
        ("ui/plot.py", "if True:\n    from pyqtgraph import PlotWidget"),
        ("ui/plot.py", "def plot():\n    import matplotlib"),
        ("cli.py", "from inspector_app.ui import window"),
        ("cli.py", "import torch"),
        ("cli.py", "def show():\n    from PySide6 import QtCore"),
        ("terminal/show.py", "def show():\n    from PySide6 import QtCore"),
    ],
)
def test_a_broken_rule_beyond_the_contracts_is_seen(
    small_tree: Path, module: str, statement: str
) -> None:
    package = small_tree / "inspector_app"
    (package / module).write_text(statement + "\n")
    found = broken_rules(package)
    assert len(found) >= 1
    assert all(line.startswith(module) for line in found)


@pytest.mark.parametrize("path", modules(PACKAGE, "ui"), ids=lambda path: path.name)
def test_no_module_of_ui_grows_beyond_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
