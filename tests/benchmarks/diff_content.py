"""Comparing two files of 1.2 GB, against what people write with torch, and the floor.

By checksum nothing but the archives' directories and pickles is read. By bytes everything is:
the floor is reading the bytes of both files by ``preadv`` into blocks of 1 MiB on two threads.
Every side has the files in the page cache. GB/s count the bytes of both files.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import files, pair_files
from tests.benchmarks.measure import (
    ROOT,
    Figure,
    Report,
    interleaved,
    median_answer,
    median_seconds,
    megabytes,
)
from tests.benchmarks.values import gigabytes, peak

THREADS = 2
# A small model, and the same a little later: the code is the same, numba's included.
SAMPLES = [ROOT / f"resources/samples/digits_cnn_epoch_{epoch}.pth" for epoch in (2, 4)]
THIS = "tests.benchmarks.diff_content"
# The command, which ends with 1 where files differ.
COMMAND = (
    "import sys\nfrom inspector_app.__main__ import main\n"
    "sys.exit(0 if main(['diff', '--json', *sys.argv[1:]]) == 1 else 2)"
)
WHOLE_FASTER, WITHIN_FASTER, METRICS_FASTER = 8.0, 50.0, 8.0
LEAST_OF_FLOOR = 0.5
MOST_MEMORY = 64e6
MOST_SECONDS_TO_CANCEL = 0.1
MOST_BYTES_READ = 1e6


def content(report: Report, repeats: int) -> None:
    """By checksum, by bytes, and with every figure."""
    first, one, moved = files.large_file(), pair_files.one_element(), pair_files.every_element()
    for path in (first, one, moved):
        files.warm(path)
    pair, apart = [str(first), str(one)], [str(first), str(moved)]
    runs = interleaved(
        {
            "command": ["-c", COMMAND, *pair],
            "script": ["-m", THIS, "equal", *pair],
            "structure": ["-m", THIS, "structure", *pair],
            "bytes": ["-m", THIS, "bytes", *pair],
            "floor": ["-m", THIS, "floor", *pair],
            "metrics": ["-m", THIS, "bytes", *apart],
            "notebook": ["-m", THIS, "notebook", *apart],
            "cancel": ["-m", THIS, "cancel", *apart],
            "idle": ["-m", THIS, "bytes", *map(str, SAMPLES)],
        },
        repeats,
    )
    what = "two files of 1.2 GB, bf16, that differ in one element"
    report.faster(
        f"{what}: `diff` by checksum, against torch.load(mmap) and torch.equal, whole processes",
        median_seconds(runs["command"]),
        median_seconds(runs["script"]),
        WHOLE_FASTER,
    )
    report.faster(
        f"{what}: the same within processes that have imported everything",
        median_answer(runs["structure"], "seconds"),
        median_answer(runs["script"], "seconds"),
        WITHIN_FASTER,
    )
    report.at_most(
        f"{what}: bytes read to compare by checksum, of 2496 MB",
        median_answer(runs["structure"], "read"),
        MOST_BYTES_READ,
        megabytes,
    )
    rate = {
        side: median_answer(runs[side], "bytes") / median_answer(runs[side], "seconds")
        for side in ("bytes", "floor", "metrics", "notebook")
    }
    share = rate["bytes"] / rate["floor"]
    report.add(
        Figure(
            f"{what}: by bytes, against reading the bytes of both alone",
            gigabytes(rate["bytes"]),
            gigabytes(rate["floor"]),
            f"{share:.0%} of it",
            f"≥ {LEAST_OF_FLOOR:.0%}",
            share >= LEAST_OF_FLOOR,
        )
    )
    ratio = rate["metrics"] / rate["notebook"]
    report.add(
        Figure(
            "two files of 1.2 GB, bf16, all different: every metric, against torch's max abs, "
            "relative L2 and cosine",
            gigabytes(rate["metrics"]),
            gigabytes(rate["notebook"]),
            f"{ratio:.1f}× faster",
            f"≥ {METRICS_FASTER:g}× faster",
            ratio >= METRICS_FASTER,
        )
    )
    idle = median_answer(runs["idle"], "peak")
    report.at_most(
        "every metric: memory above that of the same code on a small file"
        f" ({megabytes(idle)}, nearly all of it numba's and numpy's)",
        median_answer(runs["metrics"], "peak") - idle,
        MOST_MEMORY,
        megabytes,
    )
    report.at_most(
        "every metric: from a cancel to the end of all threads, the longest of 40",
        median_answer(runs["cancel"], "longest"),
        MOST_SECONDS_TO_CANCEL,
        lambda value: f"{value * 1000:.1f} ms",
    )


def equal(a: str, b: str) -> dict[str, float]:
    """What people write to see which tensors differ."""
    import torch

    torch.set_num_threads(THREADS)
    begin = time.perf_counter()
    one = torch.load(a, mmap=True, weights_only=True)
    two = torch.load(b, mmap=True, weights_only=True)
    changed = [key for key, tensor in one.items() if not torch.equal(tensor, two[key])]
    took = time.perf_counter() - begin
    assert len(changed) == 1
    return {"seconds": took}


def structure(a: str, b: str) -> dict[str, float]:
    """Open both and compare them by checksum, once for the imports and once for the clock."""
    _compared(a, b)
    read, begin = _bytes_read(), time.perf_counter()
    comparison = _compared(a, b)
    took, read = time.perf_counter() - begin, _bytes_read() - read
    summary = comparison.summary()
    assert (summary["changed"], summary["uncompared"]) == (1, 0), summary
    return {"seconds": took, "read": read}


def in_bytes(a: str, b: str) -> dict[str, float]:
    """Compare every byte and find every metric."""
    from inspector_app.analysis.content import measuring

    comparison = _compared(a, b)
    pairs = comparison.pairs
    # Imports the kernels' compiled form.
    largest = max(pairs, key=lambda pair: pair.a.numel)
    list(measuring(comparison, [largest], threads=THREADS))
    begin = time.perf_counter()
    list(measuring(comparison, pairs, threads=THREADS))
    took = time.perf_counter() - begin
    assert all(pair.evidence == "bytes" and not pair.error for pair in pairs)
    return {"seconds": took, "bytes": 2 * sum(pair.a.nbytes for pair in pairs), "peak": peak()}


def cancel(a: str, b: str) -> dict[str, float]:
    """Close the work at many points of it, and wait for its threads."""
    from inspector_app.analysis.content import measuring

    comparison = _compared(a, b)
    list(measuring(comparison, comparison.pairs[:2], threads=THREADS))
    waited = []
    for attempt in range(40):
        steps = measuring(comparison, comparison.pairs, threads=THREADS, wait=0.001)
        next(steps)
        time.sleep(attempt * 0.005)
        begin = time.perf_counter()
        steps.close()
        waited.append(time.perf_counter() - begin)
        assert threading.active_count() == 1
    return {"longest": max(waited)}


def floor(a: str, b: str) -> dict[str, float]:
    """Read the bytes of both and do nothing with them."""
    size = min(os.path.getsize(a), os.path.getsize(b))
    descriptors = [os.open(path, os.O_RDONLY) for path in (a, b)]

    def read(first: int) -> None:
        blocks = [memoryview(bytearray(1 << 20)) for _ in descriptors]
        for offset in range(first << 20, size, THREADS << 20):
            for descriptor, block in zip(descriptors, blocks, strict=True):
                os.preadv(descriptor, [block], offset)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(THREADS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    for descriptor in descriptors:
        os.close(descriptor)
    return {"seconds": took, "bytes": 2 * size}


def notebook(a: str, b: str) -> dict[str, float]:
    """What people write to see how far tensors have moved, on as many threads."""
    import torch

    torch.set_num_threads(THREADS)
    one = torch.load(a, mmap=True, weights_only=True)
    two = torch.load(b, mmap=True, weights_only=True)
    begin = time.perf_counter()
    total = 0
    for key, tensor in one.items():
        x, y = tensor.float(), two[key].float()
        apart = y - x
        figures = [apart.abs().max(), apart.norm() / x.norm()]
        figures += [torch.nn.functional.cosine_similarity(x.flatten(), y.flatten(), dim=0)]
        total += 2 * tensor.nbytes
        [figure.item() for figure in figures]
    return {"seconds": time.perf_counter() - begin, "bytes": total}


def _compared(a: str, b: str) -> object:
    from inspector_app.analysis.diff import comparing
    from inspector_app.checkpoint import open_checkpoint

    steps = comparing(open_checkpoint(a), open_checkpoint(b))
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def _bytes_read() -> int:
    """Bytes that this process has asked the system for, from the page cache or not."""
    text = Path("/proc/self/io").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("rchar"))


SIDES: dict[str, Callable[[str, str], dict[str, float]]] = {
    "equal": equal,
    "structure": structure,
    "bytes": in_bytes,
    "cancel": cancel,
    "floor": floor,
    "notebook": notebook,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=SIDES)
    parser.add_argument("a")
    parser.add_argument("b")
    chosen = parser.parse_args()
    print(json.dumps(SIDES[chosen.what](chosen.a, chosen.b)))
    sys.stdout.flush()
