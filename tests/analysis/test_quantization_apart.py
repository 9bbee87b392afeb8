"""The preview in another process, and the histograms of one weight, against torch."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inspector_app.analysis import quantization_apart
from inspector_app.analysis.other_process import OtherProcess
from inspector_app.analysis.quantization_apart import histograms_apart, previewing_apart
from inspector_app.analysis.quantization_error import previewing
from inspector_app.analysis.quantization_schemes import SCHEMES, Scheme
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.values import open_values
from tests.analysis.quantization_oracle import round_trip


@pytest.fixture(scope="module")
def process() -> Iterator[OtherProcess]:
    process = OtherProcess()
    yield process
    process.end()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("apart") / "x.pth"
    state = {f"layer{n}.weight": torch.randn(30, 50) * 10.0**-n for n in range(5)}
    state["tied"] = state["layer0.weight"]
    state["bias"] = torch.randn(30)
    state["half"] = torch.randn(20, 64).half()
    state["bad"] = torch.tensor([[1.0, float("nan")], [float("inf"), 2.0]])
    torch.save({"model": state, "optimizer": {"state": {0: torch.randn(3, 3)}}}, path)
    return open_checkpoint(path)


def returned(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_the_same_as_in_this_process(
    process: OtherProcess, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several questions: tensors that are the same view are in different ones.
    monkeypatch.setattr(quantization_apart, "_BATCH", 3)
    with open_values(checkpoint) as reader:
        *_, here = steps = list(previewing(reader, checkpoint.tensors))
    mine = {each.number: each for step in steps for each in step.finished}
    *_, there = steps = list(previewing_apart(process, checkpoint, checkpoint.tensors))
    found = {each.number: each for step in steps for each in step.finished}
    # Not by ==: a NaN that came from there is another.
    assert {n: repr(each) for n, each in found.items()} == {
        n: repr(each) for n, each in mine.items()
    }
    assert all(found[n].tensor is tensor for n, tensor in enumerate(checkpoint.tensors))
    assert [each.nbytes for each in there.totals] == [each.nbytes for each in here.totals]
    for one, two in zip(there.totals, here.totals, strict=True):
        assert one.sqnr_db == pytest.approx(two.sqnr_db, rel=1e-9, nan_ok=True)
        assert (one.tensors, one.kept, one.overflows) == (two.tensors, two.kept, two.overflows)
    assert there.done == there.total
    assert sorted(step.done for step in steps) == [step.done for step in steps]


def test_closing_lets_others_ask(process: OtherProcess, checkpoint: Checkpoint) -> None:
    steps = previewing_apart(process, checkpoint, checkpoint.tensors, ["fp16"])
    next(steps)
    steps.close()
    *_, last = previewing_apart(process, checkpoint, checkpoint.tensors[:1], ["bf16"])
    assert [each.scheme for each in last.totals] == ["bf16"]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_histograms(process: OtherProcess, checkpoint: Checkpoint, scheme: Scheme) -> None:
    for name in ("layer1.weight", "half", "bad"):
        tensor = next(each for each in checkpoint.tensors if each.key == name)
        with open_values(checkpoint) as reader:
            weight = torch.from_numpy(np.array(reader.read(tensor)))
        found = returned(histograms_apart(process, checkpoint, tensor, scheme.name, 20))
        finite = weight.isfinite()
        made, _ = round_trip(torch.where(finite, weight, 0), scheme)
        values, made = weight.double()[finite].numpy(), made[finite].numpy()
        for histogram, wanted in (
            (found.original, values),
            (found.quantized, made),
            (found.error, values - made),
        ):
            edges = np.array(histogram.edges)
            # An edge may lie where torch's last digit is another.
            reach = (edges[-1] - edges[0]) * 1e-6
            assert sum(histogram.counts) == len(wanted)
            assert len(histogram.counts) == 20
            for count, low, high in zip(histogram.counts, edges, edges[1:], strict=False):
                surely = ((wanted > low + reach) & (wanted < high - reach)).sum()
                perhaps = ((wanted >= low - reach) & (wanted <= high + reach)).sum()
                assert surely <= count <= perhaps
        if scheme.name.startswith("int8-per-tensor"):
            assert found.levels == len(np.unique(np.round(made, 12)))
        else:
            assert found.levels is None


def test_a_tensor_without_values(process: OtherProcess, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": torch.randn(30, 30)}, path)
    checkpoint = open_checkpoint(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CheckpointError):
        returned(histograms_apart(process, checkpoint, checkpoint.tensors[0], "fp16"))
