"""Measuring 1.2 GB of values, against what people write in a notebook, and the floor.

The floor is reading the same bytes by ``preadv`` into blocks of 1 MiB on two threads. Every
side has the file in the page cache; what is timed is the work, without the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

from tests.benchmarks import files
from tests.benchmarks.measure import Figure, Report, interleaved, median_answer, megabytes

THREADS = 2
THIS = "tests.benchmarks.values"
SMALL = Path(__file__).parents[2] / "resources/samples/digits_cnn_epoch_4.pth"
FASTER = {"bf16": 20.0, "f32": 8.0}
LEAST_OF_FLOOR = 0.25
MOST_MEMORY = 64e6
MOST_SECONDS_TO_CANCEL = 0.1


def statistics(report: Report, repeats: int) -> None:
    """Both dtypes: speed, memory, and how soon a cancel is answered."""
    for name, path in (("bf16", files.large_file()), ("f32", files.large_float32_file())):
        files.warm(path)
        runs = interleaved(
            {
                "ours": ["-m", THIS, "ours", str(path)],
                "exact": ["-m", THIS, "exact", str(path)],
                "floor": ["-m", THIS, "floor", str(path)],
                "cancel": ["-m", THIS, "cancel", str(path)],
                "idle": ["-m", THIS, "idle", str(SMALL)],
                "notebook": ["-m", THIS, "notebook", str(path)],
            },
            repeats,
        )
        rate = {
            side: median_answer(runs[side], "bytes") / median_answer(runs[side], "seconds")
            for side in ("ours", "exact", "floor", "notebook")
        }
        versus(report, f"{name}, 1.2 GB: statistics, against the notebook's way", rate, name)
        share = rate["ours"] / rate["floor"]
        report.add(
            Figure(
                f"{name}, 1.2 GB: statistics, against reading the bytes alone",
                gigabytes(rate["ours"]),
                gigabytes(rate["floor"]),
                f"{share:.0%} of it",
                f"≥ {LEAST_OF_FLOOR:.0%}",
                share >= LEAST_OF_FLOOR,
            )
        )
        if name == "f32":
            what = "f32, 1.2 GB: the same with exact quantiles, against the notebook's way"
            ratio = f"{rate['exact'] / rate['notebook']:.1f}× faster"
            report.add(Figure(what, gigabytes(rate["exact"]), gigabytes(rate["notebook"]), ratio))
        idle = median_answer(runs["idle"], "peak")
        report.at_most(
            f"{name}, 1.2 GB: memory above that of the same code on a tensor of 200 values"
            f" ({megabytes(idle)}, nearly all of it numba's and numpy's)",
            median_answer(runs["ours"], "peak") - idle,
            MOST_MEMORY,
            megabytes,
        )
        report.at_most(
            f"{name}, 1.2 GB: from a cancel to the end of all threads, the longest of 40",
            median_answer(runs["cancel"], "longest"),
            MOST_SECONDS_TO_CANCEL,
            lambda value: f"{value * 1000:.1f} ms",
        )


def versus(report: Report, what: str, rate: dict[str, float], name: str) -> None:
    ratio = rate["ours"] / rate["notebook"]
    promised = FASTER[name]
    report.add(
        Figure(
            what,
            gigabytes(rate["ours"]),
            gigabytes(rate["notebook"]),
            f"{ratio:.1f}× faster",
            f"≥ {promised:g}× faster",
            ratio >= promised,
        )
    )


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
    return {"seconds": took, "bytes": _bytes(checkpoint), "peak": peak()}


def idle(path: str) -> dict[str, float]:
    """The same code on one small tensor: what the program takes without a large file."""
    from inspector_app.analysis import passes
    from inspector_app.analysis.stats import measuring
    from inspector_app.checkpoint import open_checkpoint
    from inspector_app.checkpoint.values import open_values

    # Few values are sorted, which needs no compiled loops; a large file does need them.
    passes.SORTED_AT_MOST = -1
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        list(measuring(reader, checkpoint.tensors[:1], threads=THREADS))
    return {"peak": peak()}


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
    parser.add_argument("what", choices=("ours", "exact", "idle", "cancel", "floor", "notebook"))
    parser.add_argument("path")
    chosen = parser.parse_args()
    side = {
        "ours": lambda path: ours(path, False),
        "exact": lambda path: ours(path, True),
        "idle": idle,
        "cancel": cancel,
        "floor": floor,
        "notebook": notebook,
    }
    print(json.dumps(side[chosen.what](chosen.path)))
