"""Samples from each kind of source: which calibrate, which are held out, what they are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from PIL import Image
from real_workers import write_source

from inspector_app.worker.calibration import samples_of
from inspector_app.worker.failures import Failure
from inspector_app.worker.input_text import parse_input
from inspector_app.worker.protocol import Inputs
from inspector_app.worker.quantize_protocol import CalibrationData, DataKind

VALUES = torch.arange(120, dtype=torch.float32).reshape(30, 4)
CLASSES = torch.arange(30) % 3
NONE = Inputs(())


def written(folder: Path, ending: str) -> CalibrationData:
    import numpy
    from safetensors.torch import save_file

    path = folder / f"data{ending}"
    arrays = {"x": VALUES, "labels": CLASSES}
    if ending == ".npz":
        numpy.savez(path, **{name: each.numpy() for name, each in arrays.items()})
    elif ending == ".npy":
        numpy.save(path, VALUES.numpy())
    elif ending == ".safetensors":
        save_file(arrays, path)
    else:
        torch.save(arrays, path)
    return CalibrationData(path=str(path), samples=10, held_out=4, batch=3)


@pytest.mark.parametrize("ending", [".npz", ".npy", ".pt", ".safetensors"])
def test_files(tmp_path: Path, ending: str) -> None:
    samples = samples_of(written(tmp_path, ending), NONE, ["x"])
    assert samples.source.count == 30
    assert len(samples.held_out) == 4
    assert len(samples.calibrate) == 10
    assert not set(samples.held_out) & set(samples.calibrate)
    taken = samples.take([3, 0])
    assert torch.equal(taken["x"], VALUES[[3, 0]])
    if ending == ".npy":
        assert samples.labels([0]) is None
    else:
        assert samples.labels([4, 5]).tolist() == [1, 2]
    batches = [(numbers, len(each["x"])) for numbers, each in samples.batches(samples.held_out)]
    assert [size for _, size in batches] == [3, 1]
    assert "4 of 30 samples: " in samples.words


def test_held_out_samples_are_spread(tmp_path: Path) -> None:
    """A file sorted by class would else measure on one class alone."""
    samples = samples_of(written(tmp_path, ".npz"), NONE)
    held, calibrate = samples.held_out, samples.calibrate
    assert held == [3, 11, 18, 26]
    assert max(b - a for a, b in pairwise(calibrate)) <= 5


def test_dtypes_and_names_of_the_request(tmp_path: Path) -> None:
    data = written(tmp_path, ".npy")
    inputs = Inputs((parse_input("image:1,4:float64"),))
    samples = samples_of(data, inputs)
    assert samples.names == ("image",)
    assert samples.take([0])["image"].dtype == torch.float64


def test_images(tmp_path: Path) -> None:
    for place, (folder, colour) in enumerate((("cat", (255, 0, 51)), ("dog", (0, 102, 0)))):
        (tmp_path / folder).mkdir()
        for number in range(3):
            Image.new("RGB", (8 + number, 6), colour).save(tmp_path / folder / f"{number}.png")
        assert place < 2
    data = CalibrationData(
        DataKind.IMAGES, str(tmp_path), 4, 2, resize=(4, 5), mean=(0.5, 0.5, 0.5), std=(0.5,)
    )
    samples = samples_of(data, NONE, ["image"])
    assert samples.source.count == 6
    taken = samples.take([0, 5])["image"]
    assert taken.shape == (2, 3, 4, 5)
    wanted = (torch.tensor([[255, 0, 51], [0, 102, 0]]) / 255 - 0.5) / 0.5
    assert torch.allclose(taken[:, :, 0, 0], wanted)
    assert samples.labels([0, 5]).tolist() == [0, 1]
    grey = CalibrationData(DataKind.IMAGES, str(tmp_path / "dog"), 1, 1, resize=(2, 2), grey=True)
    assert samples_of(grey, NONE, ["image"]).take([0])["image"].shape == (1, 1, 2, 2)
    uneven = CalibrationData(DataKind.IMAGES, str(tmp_path))
    with pytest.raises(Failure, match="give a size to resize to"):
        samples_of(uneven, NONE, ["image"]).take([0, 1])
    (tmp_path / "dog" / "0.png").write_bytes(b"no image")
    with pytest.raises(Failure, match=r"0\.png cannot be read"):
        samples_of(data, NONE, ["image"]).take([3])


@pytest.mark.usefixtures("own_imports")
def test_loaders(tmp_path: Path) -> None:
    source = write_source(
        tmp_path,
        """
        import torch

        def pairs():
            for start in range(0, 1_000_000, 4):
                x = torch.arange(start, start + 4.0)[:, None]
                yield x, (x[:, 0] % 3).long()

        def mappings():
            return [{"ids": [[1, 2], [3, 4]], "mask": [[1, 1], [1, 0]]}] * 9

        def two():
            return [(torch.zeros(2, 3), torch.ones(2, 5))] * 9
        """,
        "loaders.py",
    )

    def loaded(name: str, *names: str) -> object:
        data = CalibrationData(DataKind.LOADER, f"{source}:{name}", 8, 6)
        return samples_of(data, NONE, names)

    # As far as they are needed: this one would go on.
    pairs = loaded("pairs", "x")
    assert pairs.source.count == 16
    assert pairs.calibrate == list(range(8))
    assert pairs.held_out == list(range(8, 14))
    assert pairs.labels([4]).tolist() == [1]
    mappings = loaded("mappings", "a", "b")
    assert mappings.names == ("ids", "mask")
    assert mappings.take([1])["mask"].tolist() == [[1, 0]]
    two = loaded("two", "left", "right")
    assert two.names == ("left", "right")
    assert two.take([0])["right"].shape == (1, 5)
    with pytest.raises(Failure, match="2 inputs, and the model takes 1"):
        loaded("two", "left")


def test_random(tmp_path: Path) -> None:
    data = CalibrationData(DataKind.RANDOM, samples=6, held_out=2)
    inputs = Inputs((parse_input("ids:2,5:int64:0..9"), parse_input("scale:2,1")))
    samples = samples_of(data, inputs)
    assert samples.source.count == 8
    taken = samples.take([0, 7])
    assert taken["ids"].shape == (2, 5)
    assert taken["ids"].max() < 9
    assert not torch.equal(taken["scale"][0], taken["scale"][1])
    assert samples.notes
