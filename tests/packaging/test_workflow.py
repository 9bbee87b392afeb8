"""The workflow is YAML that its reader understands, and what it runs exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML reads the workflow")
ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs() -> dict[str, Any]:
    (path,) = WORKFLOWS
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    # YAML 1.1 takes the key `on` for true.
    assert {"name", True, "jobs", "permissions"} <= read.keys()
    return read["jobs"]  # type: ignore[no-any-return]


def commands() -> list[list[str]]:
    found = []
    for job in jobs().values():
        for step in job["steps"]:
            text = step.get("run", "").replace("\\\n", " ")
            found += [shlex.split(line) for line in text.splitlines() if line.strip()]
    return found


def test_each_job_has_a_machine_and_steps() -> None:
    for name, job in jobs().items():
        assert job["runs-on"], name
        assert job["timeout-minutes"] <= 60
        assert set(job.get("needs", "test").split()) <= jobs().keys()
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])


def test_all_three_systems_are_tested_and_built_on() -> None:
    tested = " ".join(jobs()["test"]["strategy"]["matrix"]["system"])
    for system in ("ubuntu", "windows", "macos"):
        assert system in tested
    assert {"linux", "windows", "macos"} <= jobs().keys()
    for name in ("linux", "windows", "macos"):
        assert jobs()[name]["steps"][-1]["with"]["if-no-files-found"] == "error"


def test_targets_scripts_and_extras_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    # tomllib is newer than our oldest Python.
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    _, _, optional = project.partition("[project.optional-dependencies]\n")
    extras = set(re.findall(r"^(\w+) = \[$", optional.partition("\n[")[0], re.MULTILINE))
    assert "dev" in extras
    made = [word for words in commands() if words[0] == "make" for word in words[1:]]
    assert {"bundle", "deb", "tarball", "dmg"} == set(made)
    assert set(made) <= targets
    for words in commands():
        for word in words:
            if re.fullmatch(r"(packaging|tests)/[\w/.]+", word):
                assert (ROOT / word).exists(), word
            if wanted := re.fullmatch(r"\.\[([\w,]+)\]", word):
                assert set(wanted[1].split(",")) <= extras


def test_the_table_of_what_is_built_names_what_exists() -> None:
    text = (ROOT / "packaging" / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make (\w+)`", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for script in re.findall(r"packaging[\\/]([\w\\/]+\.(?:py|spec))", text):
        assert (ROOT / "packaging" / script.replace("\\", "/")).exists(), script


@pytest.mark.parametrize("script", ["macos/make_dmg.sh", "environment.sh"])
def test_shell_scripts_are_shell(script: str) -> None:
    bash = shutil.which("bash")
    if bash is None or sys.platform == "win32":
        pytest.skip("there is no bash here, or one of another system")
    done = subprocess.run([bash, "-n", ROOT / "packaging" / script], check=False)
    assert done.returncode == 0
