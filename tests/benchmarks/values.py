"""Measuring 1.2 GB of values, against what people write in a notebook, and the floor.

The floor is reading the same bytes by ``preadv`` into blocks of 1 MiB on two threads. Every
side has the file in the page cache; what is timed is the work, without the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import files
from tests.benchmarks.measure import (
    Figure,
    Report,
    Run,
    answer,
    interleaved,
    median_answer,
    megabytes,
)

THREADS = 2
COMMAND = ("-m", "inspector_app", "stats", "--json", "--no-progress")
THIS = "tests.benchmarks.values"
SMALL = Path(__file__).parents[2] / "resources/samples/digits_cnn_epoch_4.pth"
FASTER = {"bf16": 20.0, "f32": 8.0}
LEAST_OF_FLOOR = 0.25
MOST_MEMORY = 64e6
MOST_SECONDS_TO_CANCEL = 0.1


def measured(report: Report, repeats: int) -> None:
    """Both dtypes: speed, memory, and how soon a cancel is answered."""
    few = files.few_values()
    for name, path in (("bf16", files.large_file()), ("f32", files.large_float32_file())):
        files.warm(path)
        runs = interleaved(
            {
                "ours": ["-m", THIS, "ours", str(path)],
                "exact": ["-m", THIS, "exact", str(path)],
                "floor": ["-m", THIS, "floor", str(path)],
                "cancel": ["-m", THIS, "cancel", str(path)],
                "command": [*COMMAND, str(path)],
                "command few": [*COMMAND, str(few)],
                "notebook": ["-m", THIS, "notebook", str(path)],
            },
            repeats,
        )
        versus(report, f"{name}, 1.2 GB: statistics, against the notebook's way", runs, name)
        share = ratio_of(runs, "ours", "floor")
        report.add(
            Figure(
                f"{name}, 1.2 GB: statistics, against reading the bytes alone",
                gigabytes(median_rate(runs["ours"])),
                gigabytes(median_rate(runs["floor"])),
                f"{share:.0%} of it",
                f"≥ {LEAST_OF_FLOOR:.0%}",
                share >= LEAST_OF_FLOOR,
            )
        )
        if name == "f32":
            what = "f32, 1.2 GB: the same with exact quantiles, against the notebook's way"
            ratio = f"{ratio_of(runs, 'exact', 'notebook'):.1f}× faster"
            exact, notebook = (gigabytes(median_rate(runs[side])) for side in ("exact", "notebook"))
            report.add(Figure(what, exact, notebook, ratio))
        few_peak, peak = (
            statistics.median(done.peak_bytes for done in runs[side])
            for side in ("command few", "command")
        )
        report.add(
            Figure(
                f"{name}, 1.2 GB: peak memory of `stats FILE --json`, against the same with two"
                " tensors of 20,000 values",
                megabytes(peak),
                megabytes(few_peak),
                f"{(peak - few_peak) / 1e6:.1f} MB more",
                f"≤ {megabytes(MOST_MEMORY)} more",
                peak - few_peak <= MOST_MEMORY,
            )
        )
        report.at_most(
            f"{name}, 1.2 GB: from a cancel to the end of all threads, the longest of 40",
            median_answer(runs["cancel"], "longest"),
            MOST_SECONDS_TO_CANCEL,
            lambda value: f"{value * 1000:.1f} ms",
        )


def versus(report: Report, what: str, runs: dict[str, list[Run]], name: str) -> None:
    ratio = ratio_of(runs, "ours", "notebook")
    promised = FASTER[name]
    report.add(
        Figure(
            what,
            gigabytes(median_rate(runs["ours"])),
            gigabytes(median_rate(runs["notebook"])),
            f"{ratio:.1f}× faster",
            f"≥ {promised:g}× faster",
            ratio >= promised,
        )
    )


def rates(runs: Sequence[Run]) -> list[float]:
    """Bytes a second, of each run."""
    return [said["bytes"] / said["seconds"] for said in map(answer, runs)]


def median_rate(runs: Sequence[Run]) -> float:
    return statistics.median(rates(runs))


def ratio_of(runs: dict[str, list[Run]], side: str, other: str) -> float:
    """How many times faster `side` is, the median of the turns.

    Turn by turn, since what else the machine does slows down all that runs in one turn.
    """
    pairs = zip(rates(runs[side]), rates(runs[other]), strict=True)
    return statistics.median(mine / its for mine, its in pairs)


def gigabytes(rate: float) -> str:
    return f"{rate / 1e9:.2f} GB/s"


def ours(path: str, exact: bool) -> dict[str, float]:
    """Measure every tensor, once for the imports and once for the clock."""
    from inspector_app.analysis.stats import measuring
    from inspector_app.checkpoint import open_checkpoint
    from inspector_app.checkpoint.values import open_values

    checkpoint = open_checkpoint(path)
    # Imports the kernels' compiled form.
    largest = max(checkpoint.tensors, key=lambda tensor: tensor.numel)
    with open_values(checkpoint) as reader:
        list(measuring(reader, [largest], threads=THREADS, exact=exact))
        begin = time.perf_counter()
        values = 0
        for progress in measuring(reader, checkpoint.tensors, threads=THREADS, exact=exact):
            for result in progress.finished:
                assert result.values is not None
                values += result.values.count
        took = time.perf_counter() - begin
    assert values == sum(tensor.numel for tensor in checkpoint.tensors)
    return {"seconds": took, "bytes": _bytes(checkpoint)}


def cancel(path: str) -> dict[str, float]:
    """Close the work at many points of it, and wait for its threads."""
    from inspector_app.analysis.stats import measuring
    from inspector_app.checkpoint import open_checkpoint
    from inspector_app.checkpoint.values import open_values

    checkpoint = open_checkpoint(path)
    waited = []
    with open_values(checkpoint) as reader:
        list(measuring(reader, checkpoint.tensors[:2], threads=THREADS))
        for attempt in range(40):
            steps = measuring(reader, checkpoint.tensors, threads=THREADS, wait=0.001)
            next(steps)
            time.sleep(attempt * 0.003)
            begin = time.perf_counter()
            steps.close()
            waited.append(time.perf_counter() - begin)
            assert threading.active_count() == 1
    return {"longest": max(waited)}


def floor(path: str) -> dict[str, float]:
    """Read the bytes and do nothing with them."""
    size = os.path.getsize(path)
    descriptor = os.open(path, os.O_RDONLY)

    def read(first: int) -> None:
        block = memoryview(bytearray(1 << 20))
        for offset in range(first << 20, size, THREADS << 20):
            os.preadv(descriptor, [block], offset)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(THREADS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    os.close(descriptor)
    return {"seconds": took, "bytes": size}


def notebook(path: str) -> dict[str, float]:
    """What people write, on as many threads."""
    import torch

    torch.set_num_threads(THREADS)
    state = torch.load(path, mmap=True, weights_only=True)
    begin = time.perf_counter()
    total = 0
    for tensor in state.values():
        values = tensor.float()
        figures = [values.min(), values.max(), values.mean(), values.std()]
        figures += [(values == 0).sum(), values.isnan().sum()]
        figures += [torch.histc(values, bins=64)]
        total += tensor.nbytes
    return {"seconds": time.perf_counter() - begin, "bytes": total}


def _bytes(checkpoint: object) -> int:
    return sum(tensor.nbytes for tensor in checkpoint.tensors)


def peak() -> int:
    """The most memory that this process had, without that of the one which began it."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if "VmHWM" in line)
    except FileNotFoundError:
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("ours", "exact", "cancel", "floor", "notebook"))
    parser.add_argument("path")
    chosen = parser.parse_args()
    side = {
        "ours": lambda path: ours(path, False),
        "exact": lambda path: ours(path, True),
        "cancel": cancel,
        "floor": floor,
        "notebook": notebook,
    }
    print(json.dumps(side[chosen.what](chosen.path)))
