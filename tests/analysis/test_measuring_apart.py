"""Figures from another process are those that are found here."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch

from inspector_app.analysis import measuring_apart
from inspector_app.analysis.figures import figures_of
from inspector_app.analysis.measuring_apart import (
    detached,
    finding_figures,
    stamp_of,
)
from inspector_app.analysis.other_process import OtherProcess
from inspector_app.analysis.stats import measuring
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.values import open_values


@pytest.fixture
def process():
    made = OtherProcess()
    yield made
    made.end()


@pytest.fixture(autouse=True)
def _nothing_stays_open():
    yield
    for reader in measuring_apart._readers.values():
        reader.close()
    measuring_apart._readers.clear()


@pytest.fixture
def checkpoint(tmp_path):
    """Tensors of many layouts."""
    torch.manual_seed(0)
    values = torch.randn(40, 50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of prototypes, and of what is to go
        per_channel = torch.quantize_per_channel(
            values, torch.linspace(0.01, 0.02, 40), torch.zeros(40), 0, torch.qint8
        )
        per_tensor = torch.quantize_per_tensor(values, 0.1, 3, torch.quint8)
        nested = torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)])
        rows = (values * (values > 1)).to_sparse_csr()
    state = {
        "float": values,
        "bfloat16": values.bfloat16(),
        "view": values.t()[3:, ::2],
        "negative": torch.tensor([1 - 2j, 3 + 4j]).conj().imag,
        "sparse": (values * (values > 1)).to_sparse(),
        "csr": rows,
        "per tensor": per_tensor,
        "per channel": per_channel,
        "nested": nested,
        "meta": torch.empty(3, device="meta"),
        "empty": torch.empty(0),
        "expanded": torch.ones(1, 3).expand(7, 3),
    }
    state["tied"] = state["float"]
    torch.save(state, tmp_path / "x.pth")
    return open_checkpoint(tmp_path / "x.pth")


def test_every_layout_has_the_same_figures_there(process, checkpoint):
    with open_values(checkpoint) as reader:
        steps = measuring(reader, checkpoint.tensors)
        here = {s.number: figures_of(s) for progress in steps for s in progress.finished}
    tensors = [detached(tensor) for tensor in checkpoint.tensors]
    number = process.ask(finding_figures, stamp_of(checkpoint), tensors, 2, 0.03)
    answers = list(process.answers(number))
    there = dict(found for answer in answers for found in answer.found)
    assert len(there) == len(checkpoint.tensors)
    assert {number: repr(figures) for number, figures in there.items()} == {
        number: repr(figures) for number, figures in here.items()
    }
    assert answers[-1].done == answers[-1].total > 0
    assert sum(bool(figures.error) for figures in there.values()) == 1


def test_all_that_is_known_of_one_tensor_arrives(process, checkpoint):
    tensor = checkpoint.find(("per channel",))
    with open_values(checkpoint) as reader:
        (here,) = [s for p in measuring(reader, [tensor], exact=True) for s in p.finished]
    steps = measuring_apart.measuring_apart(process, checkpoint, tensor)
    (there,) = [s for p in steps for s in p.finished]
    for mine, its in ((here.values, there.values), (here.raw, there.raw)):
        assert mine.quantiles == its.quantiles
        assert np.array_equal(mine.edges, its.edges)
        assert np.array_equal(mine.counts, its.counts)


def test_the_tree_stays_here(checkpoint):
    tensor = checkpoint.find(("sparse",))
    assert len(pickle.dumps(detached(tensor))) < 2_000
    assert detached(tensor).parent is None
    assert [part.key for part in detached(tensor).children] == ["indices", "values"]


def test_the_tied_are_read_once(checkpoint, monkeypatch):
    from inspector_app.checkpoint.values import ValueReader

    asked = []
    original = ValueReader.elements

    def elements(self, tensor, raw=False):
        asked.append(tensor)
        return original(self, tensor, raw)

    monkeypatch.setattr(ValueReader, "elements", elements)
    tied = [checkpoint.find((key,)) for key in ("float", "tied")]
    tensors = pickle.loads(pickle.dumps([detached(tensor) for tensor in tied]))
    found = [
        pair
        for step in finding_figures(stamp_of(checkpoint), tensors, 1, 0.0)
        for pair in step.found
    ]
    assert [place for place, _ in sorted(found)] == [0, 1]
    assert len(asked) == 1


def test_one_file_at_a_time_is_open(checkpoint, tmp_path):
    torch.save({"w": torch.ones(3)}, tmp_path / "y.pth")
    other = open_checkpoint(tmp_path / "y.pth")
    for each in (checkpoint, other, checkpoint):
        list(finding_figures(stamp_of(each), each.tensors[:1], 1, 0.0))
        assert list(measuring_apart._readers) == [stamp_of(each)]
