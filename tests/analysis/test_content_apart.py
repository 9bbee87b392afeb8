"""Comparing in another process comes to the same as comparing in this one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from inspector_app.analysis.comparison import Comparison, KeyPair, Status
from inspector_app.analysis.content import measuring
from inspector_app.analysis.content_apart import Compared, measuring_content_apart
from inspector_app.analysis.other_process import OtherProcess
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, StorageRef, TensorInfo
from tests.checkpoint import torch_files


@pytest.fixture
def process() -> Iterator[OtherProcess]:
    started = OtherProcess()
    yield started
    started.end()


def pairs_of(comparison: Comparison) -> list[KeyPair]:
    others = {tensor.name: tensor for tensor in comparison.b.tensors}
    return [
        KeyPair(tensor.name, "", tensor, others[tensor.name], Status.UNCOMPARED)
        for tensor in comparison.a.tensors
    ]


def compared(process: OtherProcess, comparison: Comparison, pairs: list[KeyPair]) -> list[Compared]:
    """The steps, once the pairs have what was found."""
    steps = list(measuring_content_apart(process, comparison, pairs))
    for step in steps:
        for pair, outcome in step.found:
            outcome.write_into(pair)
    return steps


def test_the_same_outcomes(
    tmp_path: Path, process: OtherProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector_app.analysis.content_apart._BATCH", 5)
    with torch_files.prototypes():
        a = torch_files.views() | torch_files.sparse() | torch_files.nested()
        a |= torch_files.quantized() | torch_files.metas() | torch_files.wrappers()
        b = dict(a)
        b["contiguous"] = a["contiguous"] + 1
        b["tail"] = a["tail"] * 2
        b["coo"] = a["coo"] * 3
        b["meta"] = a["meta"]
    paths = [
        torch_files.write(made, tmp_path / f"{name}.pth") for name, made in (("a", a), ("b", b))
    ]
    comparison = Comparison(*map(open_checkpoint, paths))
    here, there = pairs_of(comparison), pairs_of(comparison)
    list(measuring(comparison, here))
    steps = compared(process, comparison, there)
    assert sorted(id(pair) for step in steps for pair, _ in step.found) == sorted(map(id, there))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total
    for one, two in zip(here, there, strict=True):
        assert (one.status, one.evidence, one.metrics) == (two.status, two.evidence, two.metrics)
        assert one.error == two.error, one.key
    summary = {pair.status for pair in there}
    assert summary == {Status.IDENTICAL, Status.CHANGED, Status.UNCOMPARED}


def test_closing_stops_and_the_process_answers_again(tmp_path: Path, process: OtherProcess) -> None:
    made = {str(place): torch.full((1 << 20,), float(place)) for place in range(40)}
    paths = [
        torch_files.write(each, tmp_path / f"{name}.pth")
        for name, each in (("a", made), ("b", {key: value + 1 for key, value in made.items()}))
    ]
    comparison = Comparison(*map(open_checkpoint, paths))
    pairs = pairs_of(comparison)
    steps = measuring_content_apart(process, comparison, pairs)
    next(steps)
    next(steps)
    steps.close()
    again = pairs_of(comparison)[:2]
    compared(process, comparison, again)
    assert {pair.status for pair in again} == {Status.CHANGED}


def test_a_file_that_was_replaced_is_told(tmp_path: Path, process: OtherProcess) -> None:
    path = torch_files.write({"x": torch.rand(9)}, tmp_path / "a.pth")
    other = torch_files.write({"x": torch.rand(9)}, tmp_path / "b.pth")
    comparison = Comparison(open_checkpoint(path), open_checkpoint(other))
    torch_files.write({"x": torch.rand(900)}, path)
    pairs = pairs_of(comparison)
    compared(process, comparison, pairs)
    assert "changed after it was opened" in pairs[0].error


def test_inner_tensors_as_deep_as_readers_allow(process: OtherProcess) -> None:
    def nested() -> TensorInfo:
        inner = TensorInfo("t", "float32", (0,), (1,), StorageRef("0", 0), 0)
        for _ in range(16):
            outer = TensorInfo("t", "float32", (0,), None, None, None)
            outer.children = [inner]
            inner = outer
        return inner

    empty = Checkpoint("", "", 0, Node("", Kind.MAPPING))
    pair = KeyPair("x", "", nested(), nested(), Status.UNCOMPARED)
    compared(process, Comparison(empty, empty), [pair])
    assert (pair.status, pair.error) == (Status.IDENTICAL, "")


def test_tied_views_are_compared_once_whatever_batch_they_are_in(
    tmp_path: Path, process: OtherProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector_app.analysis.content_apart._BATCH", 2)
    files = []
    for name, moved in (("a", 0.0), ("b", 1.0)):
        tied, long = torch.full((50,), 2.0 + moved), torch.arange(40.0)
        made = {f"own{place}": torch.full((3,), moved) for place in range(3)}
        made |= {f"tied{place}": tied for place in range(5)} | {"flat": tied.view(5, 10)}
        made |= {"head": long[2:5], "tail": long[3:6], "again": long[2:5]}
        files.append(torch_files.write(made, tmp_path / f"{name}.pth"))
    comparison = Comparison(*map(open_checkpoint, files))
    pairs = sorted(pairs_of(comparison), key=lambda pair: pair.key[-1])
    sent: list[int] = []
    ask = process.ask

    def counting(function: object, *arguments: object) -> int:
        sent.append(len(arguments[2]))  # type: ignore[arg-type]
        return ask(function, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(process, "ask", counting)
    steps = compared(process, comparison, pairs)
    assert len(pairs) == 12
    assert sum(sent) == 3 + 1 + 1 + 2
    assert steps[-1].total == 2 * (3 * 12 + 200 + 200 + 2 * 12)
    found = {pair.key: pair for pair in pairs}
    assert {found[f"tied{place}"].status for place in range(5)} == {Status.CHANGED}
    assert {found[f"tied{place}"].metrics for place in range(5)} == {found["tied0"].metrics}
    assert found["tied0"].metrics is not None
    assert found["tied0"].metrics.max_abs == 1
    assert found["head"].status == found["again"].status == Status.IDENTICAL


def test_closing_takes_back_what_was_asked_ahead(tmp_path: Path, process: OtherProcess) -> None:
    made = {str(place): torch.full((4,), float(place)) for place in range(1200)}
    path = torch_files.write(made, tmp_path / "a.pth")
    comparison = Comparison(open_checkpoint(path), open_checkpoint(path))
    steps = measuring_content_apart(process, comparison, pairs_of(comparison))
    for step in steps:
        if step.found:
            break
    steps.close()
    assert not process._kept
