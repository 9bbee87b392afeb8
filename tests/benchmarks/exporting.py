"""A whole `export` without its proof, against the script that comes with it ("Copy as Python").

Both are whole processes that load the same 354 MB of weights and write the same kind of file;
ours starts a worker, runs the model once and looks at what it wrote. The memory is the
worker's peak against the script's. Torch has one thread in both: two that wait for each other
on a busy machine measure the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks import files
from tests.benchmarks.measure import (
    Figure,
    Report,
    Run,
    answer,
    interleaved,
    median_seconds,
    megabytes,
    seconds,
)
from tests.benchmarks.process import largest_child, memory

THIS = "tests.benchmarks.exporting"
SOURCE = Path(__file__).with_name("large_model.py")
# What is exported, the ending that says so, and options.
FORMATS = {
    "TorchScript by trace": (".pt", []),
    ".pt2": (".pt2", []),
    "ONNX": (".onnx", []),
    "ONNX by the older exporter": (".onnx", ["--exporter", "torchscript"]),
}
MOST_TIME = 1.1
MOST_MEMORY = 300e6


def worker(report: Report, repeats: int) -> None:
    """Each format in turns with its script."""
    checkpoint = _checkpoint()
    files.warm(checkpoint)
    for name, (ending, options) in FORMATS.items():
        target = files.folder() / f"exported{ending}"
        arguments = [str(checkpoint), str(target), *options, "--model", f"{SOURCE}:Transformer"]
        arguments += ["--input", "ids:2,32:int64:0..4000", "--dynamic", "ids:0=batch"]
        script = _script(arguments)
        sides = {"ours": ["-m", THIS, *arguments], "script": [str(script)]}
        runs = interleaved(sides, repeats, {"OMP_NUM_THREADS": "1"})
        _report(report, name, runs["ours"], runs["script"])
        for each in (script, *target.parent.glob(f"{target.name}*")):
            each.unlink()


def _report(report: Report, name: str, ours: list[Run], script: list[Run]) -> None:
    what = f"{name}, 88 million parameters: `export --no-proof` against the copied script"
    # Turn by turn, since what else the machine does slows down both in one turn.
    pairs = zip(ours, script, strict=True)
    ratio = statistics.median(mine.seconds / its.seconds for mine, its in pairs)
    report.add(
        Figure(
            f"{what}, whole processes (processor time)",
            _seconds(ours),
            _seconds(script),
            f"{ratio - 1:+.1%} time",
            f"≤ {MOST_TIME - 1:+.0%}",
            ratio <= MOST_TIME,
        )
    )
    own = statistics.median(answer(done)["own"] for done in ours)
    mine = statistics.median(answer(done)["worker"] for done in ours)
    its = statistics.median(done.peak_bytes for done in script)
    report.add(
        Figure(
            f"{name}: peak memory of the worker (the command's own process adds {megabytes(own)})",
            megabytes(mine),
            megabytes(its),
            f"{(mine - its) / 1e6:+.0f} MB",
            f"≤ {MOST_MEMORY / 1e6:+.0f} MB",
            mine - its <= MOST_MEMORY,
        )
    )


def _seconds(runs: list[Run]) -> str:
    processor = statistics.median(done.processor_seconds for done in runs)
    return f"{seconds(median_seconds(runs))} ({seconds(processor)})"


def _checkpoint() -> Path:
    path = files.folder() / f"transformer-88m-v{files.VERSION}.pth"
    if not path.exists():
        print(f"making {path}", flush=True)
        partial = path.with_suffix(".partial")
        # In a process of its own: this one stays small, and never imports torch.
        code = "import sys; from tests.benchmarks.large_model import save; save(sys.argv[1])"
        subprocess.run([sys.executable, "-c", code, str(partial)], check=True)
        os.replace(partial, path)
    return path


def _script(arguments: list[str]) -> Path:
    """The program that the export gives with its result."""
    command = [sys.executable, "-m", "inspector_app", "export", *arguments, "--no-proof", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    path = files.folder() / "exporting.py"
    path.write_text(json.loads(done.stdout)["script"], encoding="utf-8")
    return path


def command(arguments: list[str]) -> None:
    """The command within this process, which then tells what it and its worker held."""
    from inspector_app.__main__ import main

    with contextlib.redirect_stdout(io.StringIO()):
        status = main(["export", *arguments, "--no-proof", "--no-progress"])
    if status:
        raise SystemExit(status)
    print(json.dumps({"own": memory()["peak"], "worker": largest_child()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    command(parser.parse_args().arguments)
