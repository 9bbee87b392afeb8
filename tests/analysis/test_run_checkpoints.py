"""A run's checkpoints: found, sorted, judged; watched while they are being written."""

from __future__ import annotations

import builtins
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from inspector_app.analysis.run_checkpoints import FileState, Run, RunCheckpoint, judged_by, run_of
from inspector_app.analysis.run_order import (
    By,
    Place,
    in_order,
    lower_is_better,
    place_of,
    telling_metric,
)
from inspector_app.analysis.run_watch import Change, RunWatch, candidates
from inspector_app.checkpoint.errors import UnreadableFile

NOW = 1_800_000_000.0


def written(path: Path, value: Any, age: float = 60.0) -> Path:
    """Save `value` as if it had been done some seconds before `NOW`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)
    return aged(path, age)


def aged(path: Path, age: float, now: float = NOW) -> Path:
    os.utime(path, (now - age, now - age))
    return path


def weights(value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"fc.weight": torch.full((3, 4), value), "fc.bias": torch.zeros(3)}


def listed(folder: Path, now: float = NOW) -> Run:
    watch = RunWatch(str(folder))
    watch.scan(now)
    return watch.run()


def shown(run: Run) -> list[str]:
    return [each.name for each in run.checkpoints]


# --- order and best


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("model_12.pth", (None, None, 12)),
        ("epoch=3-step=400.ckpt", (3, 400, 400)),
        ("epoch_0007.pt", (7, None, 7)),
        ("checkpoint-500", (None, 500, 500)),
        ("iter_20000.pth", (None, 20000, 20000)),
        ("resnet50-ep9.pth.tar", (9, None, 9)),
        ("best.pth", (None, None, None)),
        ("ckpt_10.safetensors", (None, 10, 10)),
        ("model_v2_e15.pth", (15, None, 15)),
        ("model-" + "9" * 40 + ".pth", (None, None, 999999999999)),
    ],
)
def test_places_by_name(name: str, place: tuple[Any, ...]) -> None:
    assert place_of(name, None, None) == place


def test_what_a_file_says_counts_before_its_name() -> None:
    assert place_of("epoch_3.pth", 7, None) == (7, None, 3)
    assert place_of("epoch_3.pth", "seven", 1.5) == (3, 1.5, 3)


def checkpoint(name: str, place: Place, modified: int = 0, **metrics: float) -> RunCheckpoint:
    return RunCheckpoint(name, name, FileState.COMPLETE, 1, modified, place, metrics)


def test_what_has_no_number_goes_where_its_time_puts_it() -> None:
    rows = [
        checkpoint("a", Place(3, None, None), 30),
        checkpoint("best", Place(None, None, None), 25),
        checkpoint("b", Place(2, None, None), 20),
        checkpoint("c", Place(1, None, None), 10),
        checkpoint("first", Place(None, None, None), 1),
        checkpoint("odd", Place(math.nan, None, None), 26),
    ]
    ordered = [each.name for each in in_order(rows, By.EPOCH)]
    assert ordered == ["first", "c", "b", "best", "odd", "a"]
    assert [each.name for each in in_order(rows, By.TIME)] == [
        "first",
        "c",
        "b",
        "best",
        "odd",
        "a",
    ]


def test_steps_before_epochs_before_names() -> None:
    assert run_of([checkpoint("a", Place(1, 10, 3)), checkpoint("b", Place(1, 5, 4))]).by == By.STEP
    assert run_of([checkpoint("a", Place(1, 9, 3)), checkpoint("b", Place(2, None, 4))]).by == (
        By.EPOCH
    )
    assert run_of([checkpoint("a", Place(None, None, 3))]).by == By.NUMBER
    assert run_of([checkpoint("a", Place(None, None, None))]).by == By.TIME


@pytest.mark.parametrize(
    ("metric", "lower"),
    [("val_loss", True), ("acc1", False), ("eval/WER", True), ("best_mae", True), ("mIoU", False)],
)
def test_directions(metric: str, lower: bool) -> None:
    assert lower_is_better(metric) == lower


def test_the_telling_metric() -> None:
    assert telling_metric(["loss", "val_acc", "best_acc"]) == "val_acc"
    assert telling_metric(["train_loss", "loss"]) == "loss"
    assert telling_metric(["best_acc1"]) == "best_acc1"
    assert telling_metric([]) == ""


def test_the_best_and_the_latest() -> None:
    rows = [
        checkpoint(f"e{epoch}", Place(epoch, None, None), epoch, val_loss=loss, acc=acc)
        for epoch, loss, acc in ((0, 0.9, 10), (1, 0.5, 30), (2, 0.5, 40), (3, math.nan, 20))
    ]
    run = run_of(reversed(rows))
    assert run.metric == "val_loss"
    assert run.best is rows[1]  # of equal ones the first
    assert run.latest is rows[3]
    by_accuracy = judged_by(run, "acc")
    assert by_accuracy.best is rows[2]
    curves = {curve.name: curve for curve in run.curves}
    assert curves["acc"].points == ((0, 10), (1, 30), (2, 40), (3, 20))
    assert not curves["acc"].lower_is_better
    assert run_of([]).latest is None


# --- what is in a folder


def test_reading_a_run(tmp_path: Path) -> None:
    model = nn.Linear(4, 3)
    for epoch in (10, 9, 0):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1 / (epoch + 1))
        written(
            tmp_path / f"model_{epoch}.pth",
            {
                "epoch": epoch,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "val_loss": torch.tensor(abs(epoch - 9) / 8),
            },
        )
    written(tmp_path / "last.pth", weights(), age=1.5)
    (tmp_path / "notes.txt").write_text("not a checkpoint")
    (tmp_path / "sub").mkdir()
    run = listed(tmp_path)
    assert run.by == By.EPOCH
    assert shown(run) == ["model_0.pth", "model_9.pth", "model_10.pth", "last.pth"]
    first = run.checkpoints[0]
    assert first.metrics == {"val_loss": 1.125, "lr": 0.1}
    assert first.trains
    assert first.tensors == 3
    assert run.best is not None
    assert run.best.name == "model_9.pth"
    assert run.latest is not None
    assert run.latest.name == "last.pth"
    assert run.nbytes == sum(path.stat().st_size for path in tmp_path.glob("*.pth"))


def test_a_trainers_folders(tmp_path: Path) -> None:
    for step in (20, 100):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        save_file(weights(), folder / "model.safetensors")
        torch.save({}, folder / "optimizer.pt")
        document = {
            "epoch": step / 100,
            "global_step": step,
            "log_history": [{"step": step, "eval_loss": 1 / step, "learning_rate": 0.5}],
        }
        (folder / "trainer_state.json").write_text(json.dumps(document))
        for path in folder.iterdir():
            aged(path, 60)
    save_file(weights(), tmp_path / "model.safetensors")
    aged(tmp_path / "model.safetensors", 30)
    run = listed(tmp_path)
    assert shown(run) == ["checkpoint-20", "checkpoint-100", "model.safetensors"]
    assert [each.place.step for each in run.checkpoints] == [20, 100, None]
    assert run.checkpoints[0].metrics == {"eval_loss": 0.05, "lr": 0.5}
    assert run.checkpoints[0].trains
    assert run.checkpoints[0].nbytes == sum(
        path.stat().st_size for path in (tmp_path / "checkpoint-20").iterdir()
    )
    alone = listed(tmp_path / "checkpoint-20")
    assert shown(alone) == ["checkpoint-20"]


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    for name in (
        "optimizer.pt",
        "rng_state_0.pth",
        "training_args.bin",
        "model-00001-of-00002.safetensors",
        "events.out.tfevents",
        "vocab.bin",
        "vocab.pkl",
        "config.json",
    ):
        (tmp_path / name).write_bytes(b"x")
    assert candidates(str(tmp_path)) == []
    written(tmp_path / "checkpoints" / "a.ckpt", weights())
    assert [name for _, name in candidates(str(tmp_path))] == ["checkpoints/a.ckpt"]
    with pytest.raises(UnreadableFile):
        candidates(str(tmp_path / "none"))


def test_files_besides_a_folder(tmp_path: Path) -> None:
    one = written(tmp_path / "a" / "x_1.pth", weights())
    two = written(tmp_path / "b" / "x_0.pth", weights())
    watch = RunWatch(files=[str(one), str(two), str(tmp_path / "gone.pth")])
    watch.scan(NOW)
    assert shown(watch.run()) == ["x_0.pth", "x_1.pth"]


def test_unreadable_files_say_why(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pth").write_bytes(b"")
    for path in tmp_path.iterdir():
        aged(path, 60)
    rows = {each.name: each for each in listed(tmp_path).checkpoints}
    assert rows["text.pth"].state == FileState.UNREADABLE
    assert "not a checkpoint" in rows["text.pth"].reason
    assert rows["empty.pth"].state == FileState.INCOMPLETE


# --- while it is being written


def states(changes: list[Change]) -> list[tuple[str, str]]:
    return [
        (change.after.name, change.after.state) if change.after is not None else ("", "gone")
        for change in changes
    ]


def test_torn_then_complete(tmp_path: Path) -> None:
    """A file that grows: being written, and there within two seconds of its last byte."""
    buffer = io.BytesIO()
    torch.save({"epoch": 5, "model": weights()}, buffer)
    data = buffer.getvalue()
    written(tmp_path / "model_4.pth", {"epoch": 4, "model": weights()})
    watch = RunWatch(str(tmp_path))
    assert states(watch.scan(NOW)) == [("model_4.pth", FileState.COMPLETE)]
    assert watch.scan(NOW + 0.5) == []
    growing = tmp_path / "model_5.pth"
    growing.write_bytes(data[:1000])
    aged(growing, 0, NOW + 1)
    assert states(watch.scan(NOW + 1.1)) == [("model_5.pth", FileState.BEING_WRITTEN)]
    # At rest for a moment it is read, and is torn: it stays as it is, without being read again.
    assert watch.scan(NOW + 1.6) == []
    assert states(watch.scan(NOW + 3)) in ([], [("model_5.pth", FileState.BEING_WRITTEN)])
    assert watch.waiting
    growing.write_bytes(data)
    aged(growing, 0, NOW + 4)
    assert states(watch.scan(NOW + 4.2)) == [("model_5.pth", FileState.BEING_WRITTEN)]
    assert watch.scan(NOW + 4.7) == []
    assert states(watch.scan(NOW + 5.2)) == [("model_5.pth", FileState.COMPLETE)]
    assert watch.run().latest is not None
    assert watch.run().latest.place.epoch == 5  # type: ignore[union-attr]
    assert not watch.waiting


def test_torn_for_good(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"epoch": 5, "model": weights()}, buffer)
    torn = tmp_path / "model_5.pth"
    torn.write_bytes(buffer.getvalue()[:1000])
    aged(torn, 0)
    watch = RunWatch(str(tmp_path))
    seen = []
    for tenths in range(0, 150, 5):
        changes = watch.scan(NOW + tenths / 10)
        seen += [(tenths / 10, state) for _, state in states(changes)]
    assert seen[0] == (0.0, FileState.BEING_WRITTEN)
    assert {state for time, state in seen if time < 10} == {FileState.BEING_WRITTEN}
    assert seen[-1] == (10.0, FileState.INCOMPLETE)
    (found,) = watch.checkpoints
    assert found.reason
    assert found.place.number == 5
    # It goes on after all.
    torn.write_bytes(buffer.getvalue())
    aged(torn, 0, NOW + 20)
    assert states(watch.scan(NOW + 20)) == [("model_5.pth", FileState.BEING_WRITTEN)]
    assert states(watch.scan(NOW + 21)) == [("model_5.pth", FileState.COMPLETE)]


def test_a_clock_that_is_set_back_keeps_nothing_waiting(tmp_path: Path) -> None:
    watch = RunWatch(str(tmp_path))
    written(tmp_path / "model_5.pth", {"epoch": 5})
    aged(tmp_path / "model_5.pth", 0)
    watch.scan(NOW + 0.5)
    watch.scan(NOW - 7_200)
    assert states(watch.scan(NOW - 7_200 + 1.5)) == [("model_5.pth", FileState.COMPLETE)]


def test_what_is_being_written_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    for module, name in ((builtins, "open"), (os, "open"), (io, "open")):
        real = getattr(module, name)

        def spy(path: Any, *rest: Any, real: Any = real, **more: Any) -> Any:
            opened.append(str(path))
            return real(path, *rest, **more)

        monkeypatch.setattr(module, name, spy)
    path = tmp_path / "growing.pth"
    watch = RunWatch(str(tmp_path))
    for tick in range(8):
        path.write_bytes(b"PK\3\4" + b"x" * 100 * tick)
        aged(path, 0, NOW + tick)
        opened.clear()
        watch.scan(NOW + tick + 0.3)
        watch.scan(NOW + tick + 0.8)
        assert str(path) not in opened
    watch.scan(NOW + 9)
    assert str(path) in opened
    for tick in range(1, 8):
        opened.clear()
        watch.scan(NOW + 9 + tick / 10)
        assert str(path) not in opened


def test_files_that_go(tmp_path: Path) -> None:
    """A training that keeps the last ones only."""
    for epoch in range(3):
        written(tmp_path / f"model_{epoch}.pth", {"epoch": epoch, "model": weights()})
    watch = RunWatch(str(tmp_path))
    assert len(watch.scan(NOW)) == 3
    (tmp_path / "model_0.pth").unlink()
    (change,) = watch.scan(NOW + 1)
    assert change.after is None
    assert change.before is not None
    assert change.before.name == "model_0.pth"
    assert shown(watch.run()) == ["model_1.pth", "model_2.pth"]
    written(tmp_path / "model_2.pth", {"epoch": 7, "model": weights()}, age=-5)
    assert states(watch.scan(NOW + 5)) == [("model_2.pth", FileState.BEING_WRITTEN)]
    assert states(watch.scan(NOW + 6)) == [("model_2.pth", FileState.COMPLETE)]
    assert watch.run().checkpoints[-1].place.epoch == 7


def test_a_clock_that_differs(tmp_path: Path) -> None:
    """A file of the future is read once nobody has changed it for a moment."""
    written(tmp_path / "model_1.pth", weights(), age=-3600)
    watch = RunWatch(str(tmp_path))
    assert states(watch.scan(NOW)) == [("model_1.pth", FileState.BEING_WRITTEN)]
    assert states(watch.scan(NOW + 1)) == [("model_1.pth", FileState.COMPLETE)]


def test_two_hundred_at_once_and_one_being_written(tmp_path: Path) -> None:
    """Steps are short: nothing but the structure of each file is read."""
    for epoch in range(200):
        written(tmp_path / f"m_{epoch}.pth", {"epoch": epoch, "loss": 1 / (epoch + 1)})
    (tmp_path / "m_200.pth").write_bytes(b"PK\3\4")
    aged(tmp_path / "m_200.pth", 0)
    watch = RunWatch(str(tmp_path))
    progress = []
    steps = watch.scanning(NOW)
    while True:
        try:
            progress.append(next(steps))
        except StopIteration:
            break
    assert len(progress) >= 201
    run = watch.run()
    assert len(run.checkpoints) == 201
    assert [each.place.epoch for each in run.checkpoints[:200]] == list(range(200))
    assert run.latest is not None
    assert run.latest.place.epoch == 199
    (curve,) = run.curves
    assert len(curve.points) == 200
