"""Comparing the structure of two checkpoints, and finding keys that were renamed."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from tests.benchmarks import files
from tests.benchmarks.measure import (
    Report,
    answer,
    interleaved,
    median_answer,
    megabytes,
    milliseconds,
    seconds,
)

THIS = "tests.benchmarks.diff_structure"
RENAMES = 200
PREFIX = "_orig_mod.module."


def other_tensors(count: int) -> Path:
    """`files.many_tensors` with another tensor in ten, and another name in a hundred."""
    return _made(f"tensors-{count}-others", "others", str(count))


def moved_tensors(count: int) -> Path:
    """`files.many_tensors`, all of them moved."""
    return _made(f"tensors-{count}-moved", "moved", str(count))


def many_keys(report: Report, repeats: int, count: int) -> None:
    """100,000 keys against as many: the time beyond opening both, the steps, the memory."""
    a = files.many_tensors(count)
    b = other_tensors(count)
    for path in (a, b):
        files.warm(path)
    runs = interleaved({"compare": ["-m", THIS, "compare", str(a), str(b)]}, repeats)["compare"]
    for done in runs:
        # Every tenth tensor is another, every hundredth has another name.
        assert answer(done)["changed"] == count // 10 - count // 100, answer(done)
        assert answer(done)["missing"] == answer(done)["unexpected"] == count // 100
    opening = median_answer(runs, "opening")
    what = f"{count:,} against {count:,} keys"
    report.at_most(
        f"{what}: opening both and comparing the structure (opening both takes "
        f"{seconds(opening)}, 1 s more is allowed)",
        median_answer(runs, "comparing") + opening,
        opening + 1,
        seconds,
    )
    report.at_most(
        f"{what}: the longest step (processor time; a frame is 16 ms)",
        median_answer(runs, "step"),
        0.016,
        milliseconds,
    )
    report.at_most(
        f"{what}: memory that the comparison takes beside the two files",
        median_answer(runs, "bytes"),
        60e6,
        megabytes,
    )


def renamed_keys(report: Report, repeats: int, count: int = 10_000) -> None:
    """10,000 keys, all below another stacked prefix and 200 renamed: all found, none wrong."""
    a = _made(f"keys-{count}", "keys", str(count))
    b = _made(f"keys-{count}-renamed", "renamed", str(count))
    runs = interleaved({"find": ["-m", THIS, "find", str(a), str(b)]}, repeats)["find"]
    for done in runs:
        found = answer(done)
        assert found["prefix"] == PREFIX, found
        assert (found["right"], found["wrong"]) == (RENAMES, 0), found
    report.at_most(
        f"{count:,} keys below a stacked prefix, {RENAMES} of them renamed: finding both "
        f"(all {RENAMES} found, none wrong)",
        median_answer(runs, "seconds"),
        2,
        seconds,
    )


def _made(name: str, kind: str, count: str) -> Path:
    path = files.folder() / f"{name}-v{files.VERSION}.pth"
    if not path.exists():
        print(f"making {path}", flush=True)
        partial = path.with_suffix(".partial")
        subprocess.run([sys.executable, "-m", THIS, kind, str(partial), count], check=True)
        os.replace(partial, path)
    return path


def new_name(key: str, number: int) -> str:
    """A key as somebody may have renamed it: a part of it, or all of it."""
    return key.replace("attn", "attention").replace("mlp", "ffn") if number % 2 else f"old.{number}"


def renames(keys: list[str]) -> dict[str, str]:
    """200 of the keys, with their new names."""
    chosen = random.Random(0).sample(keys, RENAMES)
    return {key: new_name(key, number) for number, key in enumerate(chosen)}


def _save(kind: str, path: str, count: int) -> None:
    import torch

    if kind == "moved":
        state = torch.load(files.many_tensors(count), weights_only=True)
        torch.save({key: value + 1 for key, value in state.items()}, path)
        return
    if kind == "others":
        state = torch.load(files.many_tensors(count), weights_only=True)
        others = {}
        for number, (key, value) in enumerate(state.items()):
            new = value + 1 if number % 10 == 0 else value
            others[f"{key}.renamed" if number % 100 == 0 else key] = new
        torch.save(others, path)
        return
    torch.manual_seed(0)
    parts = ("attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight", "mlp.fc2.weight")
    state = {
        f"blocks.{number // len(parts)}.{parts[number % len(parts)]}": torch.rand(4, 6)
        for number in range(count)
    }
    if kind == "renamed":
        new = renames(list(state))
        state = {PREFIX + new.get(key, key): value for key, value in state.items()}
    torch.save(state, path)


def _driven(steps: Generator[Any, None, Any]) -> tuple[Any, float]:
    """The result of a generator, and how long its longest step kept a processor busy."""
    longest = 0.0
    while True:
        begin = time.thread_time()
        try:
            next(steps)
        except StopIteration as end:
            return end.value, max(longest, time.thread_time() - begin)
        longest = max(longest, time.thread_time() - begin)


def compare_here(a: str, b: str) -> None:
    """Compare two files in this process and print what it took."""
    from inspector_app.analysis.diff import comparing
    from inspector_app.checkpoint import open_checkpoint

    begin = time.perf_counter()
    opened = [open_checkpoint(path) for path in (a, b)]
    opening = time.perf_counter() - begin
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    comparison, longest = _driven(comparing(*opened))
    took = time.perf_counter() - begin
    scale = 1 if sys.platform == "darwin" else 1024
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * scale
    figures = {"opening": opening, "comparing": took, "step": longest, "bytes": grown}
    print(json.dumps({**figures, **comparison.summary()}))


def find_here(a: str, b: str) -> None:
    """Find a prefix and renames in this process and print what it took and what was found."""
    from inspector_app.analysis.diff import comparing, model_keys
    from inspector_app.analysis.key_mapping import (
        NO_MAPPING,
        suggest_prefixes,
        suggesting_renames,
    )
    from inspector_app.checkpoint import open_checkpoint

    opened = [open_checkpoint(path) for path in (a, b)]
    plain, _ = _driven(comparing(*opened))
    keys = model_keys(plain)
    begin = time.perf_counter()
    best = suggest_prefixes(*keys)[0]
    mapping = best.applied_to(NO_MAPPING)
    comparison, _ = _driven(comparing(*opened, mapping))
    found, _ = _driven(suggesting_renames(comparison, mapping))
    took = time.perf_counter() - begin
    expected = {key: PREFIX + new for key, new in renames(keys[0]).items()}
    right = sum(expected.get(each.a_key) == each.b_key for each in found)
    told = {"prefix": best.b_prefix, "right": right, "wrong": len(found) - right}
    print(json.dumps({"seconds": took, **told}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("compare", "find", "others", "moved", "keys", "renamed"))
    parser.add_argument("words", nargs=2)
    chosen = parser.parse_args()
    if chosen.what == "compare":
        compare_here(*chosen.words)
    elif chosen.what == "find":
        find_here(*chosen.words)
    else:
        _save(chosen.what, chosen.words[0], int(chosen.words[1]))
    sys.stdout.flush()
