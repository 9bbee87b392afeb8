"""Reading a structure, against torch.load(mmap=True, weights_only=True)."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tests.benchmarks import files
from tests.benchmarks.measure import (
    Report,
    answer,
    interleaved,
    median_answer,
    median_seconds,
    megabytes,
)

TORCH_PROCESS = "import sys, torch; torch.load(sys.argv[1], mmap=True, weights_only=True)"
THIS = "tests.benchmarks.structure"


def many_tensors(report: Report, repeats: int, count: int) -> None:
    """100,000 tensors: the call alone, and the whole process."""
    path = files.many_tensors(count)
    files.warm(path)
    runs = interleaved(
        {
            "read": ["-m", THIS, "read", str(path)],
            "torch call": ["-m", THIS, "torch", str(path)],
            "show": ["-m", "inspector_app", "show", "--no-progress", str(path)],
            "show --json": ["-m", "inspector_app", "show", "--json", "--no-progress", str(path)],
            "torch": ["-c", TORCH_PROCESS, str(path)],
        },
        repeats,
    )
    for done in runs["read"]:
        assert answer(done)["tensors"] == count, "not every tensor was read"
    report.faster(
        f"{count:,} tensors: reading the structure, against torch's call alone",
        median_answer(runs["read"], "seconds"),
        median_answer(runs["torch call"], "seconds"),
        10,
    )
    torch_process = median_seconds(runs["torch"])
    for name, promised in (("show", 10), ("show --json", 10)):
        what = f"{count:,} tensors: whole `{name}` process, against one that imports and loads"
        report.faster(what, median_seconds(runs[name]), torch_process, promised)
    report_peak(report, f"{count:,} tensors", runs["show"], runs["torch"])


def large_file(report: Report, repeats: int) -> None:
    """1.2 GB: the whole process, and how much of the file it reads."""
    path = files.large_file()
    files.warm(path)
    runs = interleaved(
        {
            "show": ["-m", "inspector_app", "show", "--no-progress", str(path)],
            "torch": ["-c", TORCH_PROCESS, str(path)],
        },
        repeats,
    )
    report.faster(
        "1.2 GB: whole `show` process, against one that imports and loads",
        median_seconds(runs["show"]),
        median_seconds(runs["torch"]),
        8,
    )
    report_peak(report, "1.2 GB", runs["show"], runs["torch"])
    if not Path("/proc/self/io").exists():
        print("no /proc/self/io here: bytes read are not measured")
        return
    runs = interleaved({"read": ["-m", THIS, "read", str(path)]}, 1)
    directory, pickle = directory_and_pickle_bytes(path)
    report.at_most(
        "1.2 GB: bytes read from it (directory and pickle are "
        f"{(directory + pickle) / 1e6:.3f} MB, 256 KiB more are allowed)",
        median_answer(runs["read"], "rchar"),
        directory + pickle + (256 << 10),
        lambda value: f"{value / 1e6:.3f} MB",
    )


def report_peak(report: Report, what: str, ours: list, other: list) -> None:
    from tests.benchmarks.measure import Figure

    mine = max(done.peak_bytes for done in ours)
    theirs = max(done.peak_bytes for done in other)
    ratio = f"{theirs / mine:.1f}× less"
    what = f"{what}: peak memory of `show`, against a process that imports and loads"
    report.add(Figure(what, megabytes(mine), megabytes(theirs), ratio))


def directory_and_pickle_bytes(path: Path) -> tuple[int, int]:
    """The length of a zip's central directory, end records included, and of its data.pkl."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        pickles = [e.file_size for e in archive.infolist() if e.filename.endswith("/data.pkl")]
        directory = path.stat().st_size - archive.start_dir
    assert len(pickles) == 1
    return directory, pickles[0]


def rchar() -> int:
    """Bytes that this process has asked the kernel to read, or -1 where it does not say."""
    try:
        with open("/proc/self/io", "rb", buffering=0) as file:
            return int(file.read(4096).split()[1])
    except FileNotFoundError:
        return -1


def read_here(path: str) -> None:
    """Open `path` in this process and print what it took."""
    from inspector_app.checkpoint import open_checkpoint

    sample = Path(__file__).parents[2] / "resources/samples/digits_cnn_epoch_4.pth"
    # The modules of the reader are read once more than the file is; so they come first.
    open_checkpoint(sample)
    overhead = -rchar() + rchar()
    before = rchar()
    begin = time.perf_counter()
    checkpoint = open_checkpoint(path)
    took = time.perf_counter() - begin
    counted = rchar() - before - overhead
    print(json.dumps({"seconds": took, "rchar": counted, "tensors": len(checkpoint.tensors)}))


def load_here(path: str) -> None:
    """Load `path` by torch in this process and print how long the call took."""
    import torch

    begin = time.perf_counter()
    torch.load(path, mmap=True, weights_only=True)
    print(json.dumps({"seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("read", "torch"))
    parser.add_argument("path")
    chosen = parser.parse_args()
    (read_here if chosen.what == "read" else load_here)(chosen.path)
    sys.stdout.flush()
