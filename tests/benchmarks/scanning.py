"""Scanning a thousand small files, and what others' scanners see of files that run code.

The others are found on the PATH: ``picklescan``, ``modelscan``, ``fickling``. None is a
dependency; install them into an environment of their own and put its ``bin`` in front.
``python -m tests.benchmarks.scanning`` prints what each of them says of the tricks that the
tests are made of.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import files
from tests.benchmarks.measure import Report, interleaved, median_seconds

_COUNT = 1_000
_OURS = ["-m", "inspector_app", "scan", "--no-progress", "--quiet"]
# In place of a process: what the other starts with is its own.
_INSTEAD = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"


def small_files() -> Path:
    """A folder of `_COUNT` small checkpoints: half in torch's zip, half in the old form."""
    folder = files.folder() / f"scan-{_COUNT}-v{files.VERSION}"
    if not folder.is_dir():
        making = Path(tempfile.mkdtemp(dir=files.folder()))
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.scanning", "make", str(making)], check=True
        )
        making.rename(folder)
    return folder


def many_files(report: Report, repeats: int) -> None:
    """The whole process, against those of other scanners that are here."""
    folder = small_files()
    commands: dict[str, list[str]] = {"scan": [*_OURS, str(folder)]}
    for name, options in (("picklescan", ["-p"]), ("modelscan", ["-p"])):
        path = shutil.which(name)
        if path is None:
            print(f"{name} is not on the PATH: no comparison with it")
        else:
            commands[name] = ["-c", _INSTEAD, path, *options, str(folder)]
    runs = interleaved(commands, repeats)
    ours = median_seconds(runs.pop("scan"))
    for name, done in runs.items():
        report.faster(
            f"{_COUNT:,} small files: `scan`, against {name}", ours, median_seconds(done), None
        )
    per_second = _COUNT / ours
    report.at_most(
        f"{_COUNT:,} small files: `scan` ({per_second:,.0f} files a second)",
        ours,
        30,
        "{:.2f} s".format,
    )


def _make(folder: Path) -> None:
    import torch

    for number in range(_COUNT):
        state = {f"layer{index}.weight": torch.full((4, 4), float(number)) for index in range(10)}
        torch.save(
            {"model": state, "epoch": number},
            folder / f"{number:04}.pth",
            _use_new_zipfile_serialization=number % 2 == 0,
        )


def tricks() -> str:
    """What each scanner says of the files that would run or import something."""
    sys.path.append(str(Path(__file__).parent.parent / "analysis"))
    import bypass_pickles

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        names = {}
        for number, (title, (content, trick)) in enumerate(bypass_pickles.files().items()):
            # By ending, as the others choose how to read a file.
            ending = ".pkl" if title.startswith("raw") else ".pth"
            path = folder / f"{number:03}{ending}"
            if trick.named:
                path.write_bytes(content)
                names[path.name] = title
        seen = {
            "scan": _ours(folder),
            "picklescan": _picklescan(folder),
            "modelscan": _modelscan(folder),
            "fickling": _fickling(folder, names),
        }
    titles = sorted({title.partition(" ")[2] for title in names.values()})
    lines = [f"files that name something outside the allowlist: {len(names)}", ""]
    found = {name: each for name, each in seen.items() if each is not None}
    for name, each in found.items():
        lines.append(f"{name}: {len(each & names.keys())}")
    lines += ["", f"| trick | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    for title in titles:
        own = {name for name, full in names.items() if full.partition(" ")[2] == title}
        bare = {name for name in own if name.endswith(".pkl")}
        cells = [
            f"{len(each & some)}/{len(some)}"
            for scanner, each in found.items()
            for some in [bare if scanner == "fickling" else own]
        ]
        if any(cell.split("/")[0] != cell.split("/")[1] for cell in cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _output(command: list[str]) -> str | None:
    path = shutil.which(command[0])
    if path is None:
        return None
    done = subprocess.run([path, *command[1:]], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _ours(folder: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "inspector_app", "scan", "--json", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        Path(each["path"]).name
        for each in json.loads(done.stdout)["files"]
        if any(not found["allowed"] for found in each["globals"])
    }


def _picklescan(folder: Path) -> set[str] | None:
    output = _output(["picklescan", "-p", str(folder)])
    if output is None:
        return None
    return {
        found[1]
        for line in output.splitlines()
        if (found := re.search(r"/(\d{3}\.\w+):.*FOUND", line))
    }


def _modelscan(folder: Path) -> set[str] | None:
    result = folder.parent / f"{folder.name}.json"
    if _output(["modelscan", "-p", str(folder), "-r", "json", "-o", str(result)]) is None:
        return None
    issues = json.loads(result.read_text())["issues"]
    result.unlink()
    return {Path(issue["source"].split(":")[0]).name for issue in issues}


def _fickling(folder: Path, names: dict[str, str]) -> set[str] | None:
    """Of bare pickles alone: it reads no archives from the command line."""
    if shutil.which("fickling") is None:
        return None
    seen = set()
    for name in names:
        if name.endswith(".pkl"):
            result = folder.parent / f"{folder.name}-{name}.json"
            _output(["fickling", "-s", "--json-output", str(result), str(folder / name)])
            if result.exists():
                # It appends an object for each pickle of the stack.
                severities = re.findall(r'"severity": "(\w+)"', result.read_text())
                result.unlink()
                if set(severities) - {"LIKELY_SAFE"}:
                    seen.add(name)
    return seen


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        _make(Path(sys.argv[2]))
    else:
        print(tricks())
