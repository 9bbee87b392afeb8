"""Previewing the quantization of 1.2 GB of weights, against what people write in a notebook.

Every side has the file in the page cache and two threads; what is timed is the work, without
the imports.
"""

from __future__ import annotations

import argparse
import json
import time

from tests.benchmarks import files
from tests.benchmarks.measure import Figure, Report, interleaved, median_answer, megabytes
from tests.benchmarks.values import gigabytes, median_rate, ours, ratio_of

THREADS = 2
THIS = "tests.benchmarks.quantizing"
ONE = "int8-per-channel"
FASTER = 10.0
MOST_MEMORY = 64e6
MOST_SECONDS_TO_CANCEL = 0.1
COMMAND = ("-m", "inspector_app", "quantize", "--preview", "--json", "--no-progress")


def previewed(report: Report, repeats: int) -> None:
    """int8 by channel and all schemes: speed, memory, and how soon a cancel is answered."""
    few = files.few_values()
    for name, path in (("bf16", files.large_file()), ("f32", files.large_float32_file())):
        files.warm(path)
        runs = interleaved(
            {
                "one": ["-m", THIS, "one", str(path)],
                "all": ["-m", THIS, "all", str(path)],
                "statistics": ["-m", THIS, "statistics", str(path)],
                "notebook": ["-m", THIS, "notebook", str(path)],
                "cancel": ["-m", THIS, "cancel", str(path)],
                "command": [*COMMAND, str(path)],
                "command few": [*COMMAND, str(few)],
            },
            repeats,
        )
        ratio = ratio_of(runs, "one", "notebook")
        promised = name == "bf16"
        report.add(
            Figure(
                f"{name}, 1.2 GB: preview of {ONE}, against the notebook's way",
                gigabytes(median_rate(runs["one"])),
                gigabytes(median_rate(runs["notebook"])),
                f"{ratio:.1f}× faster",
                f"≥ {FASTER:g}× faster" if promised else "",
                not promised or ratio >= FASTER,
            )
        )
        report.add(
            Figure(
                f"{name}, 1.2 GB: preview of all 14 schemes, against the statistics",
                gigabytes(median_rate(runs["all"])),
                gigabytes(median_rate(runs["statistics"])),
                f"{ratio_of(runs, 'all', 'statistics'):.2f}× as fast",
            )
        )
        few_peak, peak = (
            sorted(done.peak_bytes for done in runs[side])[repeats // 2]
            for side in ("command few", "command")
        )
        report.add(
            Figure(
                f"{name}, 1.2 GB: peak memory of `quantize --preview`, against two small tensors",
                megabytes(peak),
                megabytes(few_peak),
                f"{(peak - few_peak) / 1e6:.1f} MB more",
                f"≤ {megabytes(MOST_MEMORY)} more",
                peak - few_peak <= MOST_MEMORY,
            )
        )
        report.at_most(
            f"{name}, 1.2 GB: from a cancel to the end of all threads, the longest of 20",
            median_answer(runs["cancel"], "longest"),
            MOST_SECONDS_TO_CANCEL,
            lambda value: f"{value * 1000:.1f} ms",
        )


def preview(path: str, names: tuple[str, ...]) -> dict[str, float]:
    """Preview every tensor, once for the imports and once for the clock."""
    from inspector_app.analysis.quantization_error import previewing
    from inspector_app.analysis.quantization_schemes import SCHEMES, scheme_named
    from inspector_app.checkpoint import open_checkpoint
    from inspector_app.checkpoint.values import open_values

    schemes = tuple(map(scheme_named, names)) or SCHEMES
    checkpoint = open_checkpoint(path)
    some = [tensor for tensor in checkpoint.tensors if len(tensor.shape) > 1][1:3]
    with open_values(checkpoint) as reader:
        list(previewing(reader, some, schemes=schemes, threads=THREADS))
        begin = time.perf_counter()
        values = 0
        for progress in previewing(reader, checkpoint.tensors, schemes=schemes, threads=THREADS):
            for found in progress.finished:
                if ONE in found.schemes:
                    values += found.schemes[ONE].sums.count
        took = time.perf_counter() - begin
    assert values == sum(t.numel for t in checkpoint.tensors if len(t.shape) > 1)
    return {"seconds": took, "bytes": sum(tensor.nbytes for tensor in checkpoint.tensors)}


def notebook(path: str) -> dict[str, float]:
    """What people write, on as many threads."""
    import torch

    torch.set_num_threads(THREADS)
    state = torch.load(path, mmap=True, weights_only=True)
    begin = time.perf_counter()
    total = 0
    rows = []
    for key, tensor in state.items():
        total += tensor.nbytes
        if tensor.dim() < 2:
            continue
        weight = tensor.float()
        scale = weight.abs().amax(dim=1, keepdim=True) / 127
        quantized = (weight / scale).round().clamp(-128, 127)
        back = quantized * scale
        error = weight - back
        sqnr = 10 * torch.log10(weight.square().sum() / error.square().sum())
        cosine = torch.nn.functional.cosine_similarity(weight.flatten(), back.flatten(), dim=0)
        rows.append((key, float(sqnr), float(cosine), float(error.abs().max())))
    rows.sort(key=lambda row: row[1])
    return {"seconds": time.perf_counter() - begin, "bytes": total}


def cancel(path: str) -> dict[str, float]:
    """Close the work at many points of it, and wait for its threads."""
    from inspector_app.analysis.quantization_error import previewing
    from inspector_app.checkpoint import open_checkpoint
    from inspector_app.checkpoint.values import open_values

    checkpoint = open_checkpoint(path)
    waited = []
    with open_values(checkpoint) as reader:
        list(previewing(reader, checkpoint.tensors[1:3], threads=THREADS))
        for attempt in range(20):
            steps = previewing(reader, checkpoint.tensors, threads=THREADS, wait=0.001)
            next(steps)
            time.sleep(attempt * 0.006)
            begin = time.perf_counter()
            steps.close()
            waited.append(time.perf_counter() - begin)
    return {"longest": max(waited)}


if __name__ == "__main__":
    sides = {
        "one": lambda path: preview(path, (ONE,)),
        "all": lambda path: preview(path, ()),
        "statistics": lambda path: ours(path, False),
        "notebook": notebook,
        "cancel": cancel,
    }
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=sides)
    parser.add_argument("path")
    chosen = parser.parse_args()
    print(json.dumps(sides[chosen.what](chosen.path)))
