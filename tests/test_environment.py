"""What the program says of what it runs on."""

from __future__ import annotations

import os
import subprocess
import sys

from inspector_app import __version__
from inspector_app.environment import PACKAGES, environment_lines, homeless, report_text


def test_what_is_installed_is_named_without_importing_it():
    code = (
        "import sys; from inspector_app.environment import environment_lines; "
        "print(dict(environment_lines())['numpy']); "
        "print(sorted(set(sys.modules) & {'torch', 'numpy', 'onnx', 'PySide6', 'numba'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    import numpy

    assert done.stdout.split("\n")[:2] == [numpy.__version__, "[]"]


def test_each_fact_is_a_line(monkeypatch):
    monkeypatch.setenv("LANG", "C\nX: forged")
    lines = environment_lines()
    text = report_text(lines)
    assert text.count("\n") == len(lines)
    assert text.startswith(f"Checkpoint Inspector: {__version__}, ")
    assert {name for name, _ in lines} >= set(PACKAGES)
    assert "\nX: forged" not in text


def test_what_is_absent_is_said(monkeypatch):
    monkeypatch.setattr("inspector_app.environment.PACKAGES", ("no-such-package-of-ours",))
    assert ("no-such-package-of-ours", "not installed") in environment_lines()


def test_the_home_folder_is_not_named(monkeypatch):
    monkeypatch.setenv("HOME", os.path.join(os.sep, "home", "somebody"))
    monkeypatch.setenv("USERPROFILE", os.path.join(os.sep, "home", "somebody"))
    inside = os.path.join(os.sep, "home", "somebody", "x")
    assert homeless(inside) == os.path.join("~", "x")
    beside = os.path.join(os.sep, "home", "somebody-else")
    assert homeless(beside) == beside


def test_the_command_prints_it(capsys):
    from inspector_app.cli import run

    assert run(["--environment"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Checkpoint Inspector: {__version__}")
    assert "torch: " in out
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"checkpoint-inspector {__version__}\n"
