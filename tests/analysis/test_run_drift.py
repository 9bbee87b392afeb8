"""How far the weights of a run moved, against torch."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from inspector_app.analysis import run_drift
from inspector_app.analysis.run_drift import DriftRow, layer_names, measuring_drift


def measured(paths: list[Path]) -> tuple[tuple[str, ...], list[DriftRow]]:
    layers: tuple[str, ...] = ()
    rows = []
    last = 0
    for step in measuring_drift([str(path) for path in paths]):
        assert last <= step.done <= max(step.total, step.done)
        last, layers = step.done, step.layers
        rows += [step.row] if step.row is not None else []
    return layers, rows


def saved(folder: Path, states: list[dict[str, Any]]) -> list[Path]:
    paths = []
    for number, state in enumerate(states):
        paths.append(folder / f"{number}.pth")
        torch.save({"epoch": number, "model": state}, paths[-1])
    return paths


def relative(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    one = torch.cat([each.double().flatten() for each in a])
    two = torch.cat([each.double().flatten() for each in b])
    return float((two - one).norm() / one.norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_against_torch(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(30, 600), torch.nn.BatchNorm1d(600)).to(dtype)
    states = []
    for number in range(4):
        states.append({key: value.clone() for key, value in model.state_dict().items()})
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn_like(parameter) * 0.1
            model[1].running_mean += 100
            model[1].num_batches_tracked += number
    layers, rows = measured(saved(tmp_path, states))
    assert layers == ("0", "1")
    assert len(rows) == 3
    for number, row in enumerate(rows, 1):
        for place, layer in enumerate(layers):
            keys = [f"{layer}.weight", f"{layer}.bias"]
            now = [states[number][key] for key in keys]
            for found, before in ((row.from_first, 0), (row.from_previous, number - 1)):
                expected = relative([states[before][key] for key in keys], now)
                assert found[place] == pytest.approx(expected, rel=1e-9)
        keys = [f"{layer}.{name}" for layer in layers for name in ("weight", "bias")]
        whole = relative([states[0][key] for key in keys], [states[number][key] for key in keys])
        assert row.whole_from_first == pytest.approx(whole, rel=1e-9)
        assert row.left_out == 0


def test_what_changes_its_shape_is_left_out(tmp_path: Path) -> None:
    states = [
        {"a.weight": torch.ones(2, 2), "b.weight": torch.ones(3)},
        {"a.weight": torch.ones(2, 2) * 2, "b.weight": torch.ones(4), "c.weight": torch.ones(1)},
        {"a.weight": torch.full((2, 2), math.inf), "b.weight": torch.zeros(3)},
    ]
    layers, rows = measured(saved(tmp_path, states))
    assert layers == ("a", "b")
    assert rows[0].from_first[0] == 1
    assert math.isnan(rows[0].from_first[1])
    assert rows[0].left_out == 2
    assert rows[1].not_finite == 8
    assert rows[1].from_first[1] == 1
    assert math.isnan(rows[1].from_previous[1])


def test_from_zero_and_not_at_all(tmp_path: Path) -> None:
    states = [
        {"a.weight": torch.zeros(4), "b.weight": torch.zeros(4)},
        {"a.weight": torch.ones(4), "b.weight": torch.zeros(4)},
    ]
    _, (row,) = measured(saved(tmp_path, states))
    assert math.isinf(row.from_first[0])
    assert row.from_first[1] == 0


def test_squares_out_of_range(tmp_path: Path) -> None:
    huge = torch.full((3,), 1e200, dtype=torch.float64)
    states = [{"a.weight": huge}, {"a.weight": huge * 1.5}]
    _, (row,) = measured(saved(tmp_path, states))
    assert row.from_first[0] == pytest.approx(0.5)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    paths = saved(tmp_path, [{"a.weight": torch.ones(2)} for _ in range(3)])
    paths[1].write_bytes(b"")
    paths.append(tmp_path / "gone.pth")
    _, rows = measured(paths)
    assert [bool(row.reason) for row in rows] == [True, False, True]
    assert rows[1].from_previous[0] == 0
    assert rows[0].path == str(paths[1])


def test_it_can_be_cancelled_and_keeps_few_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_open: set[int] = set()
    most = 0
    real = run_drift.open_values

    def spy(checkpoint: Any) -> Any:
        nonlocal most
        reader = real(checkpoint)
        now_open.add(id(reader))
        most = max(most, len(now_open))
        close = reader.close
        monkeypatch.setattr(
            reader, "close", lambda: (now_open.discard(id(reader)), close()), raising=True
        )
        return reader

    monkeypatch.setattr(run_drift, "open_values", spy)
    states = [{"a.weight": torch.randn(600, 600)} for _ in range(8)]
    paths = saved(tmp_path, states)
    measured(paths)
    assert most == 3
    assert not now_open
    steps = measuring_drift([str(path) for path in paths])
    assert len(list(itertools.islice(steps, 5))) == 5
    steps.close()
    assert not now_open


def test_layers() -> None:
    assert layer_names(["a.b.weight", "a.b.bias", "a.c.weight", "scale"]) == (
        ("a.b", "a.c", "scale"),
        [0, 0, 1, 2],
    )
    many = [f"blocks.{block}.{part}.weight" for block in range(300) for part in range(10)]
    names, places = layer_names(many)
    assert len(names) == 300
    assert names[places[-1]] == "blocks.299"
    flat = [f"w{number}" for number in range(3_000)]
    assert layer_names(flat) == (("",), [0] * 3_000)
