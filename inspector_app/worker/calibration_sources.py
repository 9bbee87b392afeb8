"""Samples from a file, a folder of images, a data loader of somebody's, or drawn at random."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.worker.code_source import build
from inspector_app.worker.example_inputs import ExampleInputs
from inspector_app.worker.failures import Failure
from inspector_app.worker.interpreters import pip_line
from inspector_app.worker.model_choice import Inputs
from inspector_app.worker.quantize_protocol import CalibrationData
from inspector_app.worker.state_dict import read_state_dict
from inspector_app.worker.torch_import import import_package
from inspector_app.worker.user_errors import failure_of, one_line

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
SINGLE = ""  # the name of an array that has none
_NPY = (".npy", ".npz")
_MOST_BATCHES = 100_000


class Source(Protocol):
    """Samples by their number.

    Attributes:
        count: how many there are.
        labels: the class of each, int64, or None.
    """

    count: int
    labels: Any

    def take(self, numbers: Sequence[int]) -> dict[str, Any]:
        """These samples, stacked, by the inputs' names; `SINGLE` where there is no name."""


class Arrays:
    """Whole arrays in memory, by name."""

    def __init__(self, path: str, arrays: dict[str, Any], labels: str) -> None:
        found = arrays.pop(labels, None) if len(arrays) > 1 else None
        self._arrays = arrays
        sizes = {name: len(each) if each.ndim else -1 for name, each in arrays.items()}
        if found is not None:
            sizes[labels] = len(found) if found.ndim else -1
        if not arrays:
            raise _no_data(path, "it has no array")
        for name, size in sizes.items():
            if size < 0:
                raise _no_data(path, f"{name or 'it'} is a single number, not an array of samples")
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise _no_data(path, f"its arrays have different numbers of samples: {listed}")
        self.count = next(iter(sizes.values()))
        self.labels = None if found is None else _classes(path, found)

    def take(self, numbers: Sequence[int]) -> dict[str, Any]:
        import torch

        index = torch.tensor(list(numbers), dtype=torch.long)
        return {name: each[index] for name, each in self._arrays.items()}


class Images:
    """Files of images, read when they are taken. Folders in the folder are classes."""

    def __init__(self, data: CalibrationData) -> None:
        import torch

        self._data = data
        self._pillow = _pillow().open
        folder = Path(data.path)
        if not folder.is_dir():
            raise _no_data(data.path, "there is no such folder")
        classes = sorted(each.name for each in folder.iterdir() if _images(each))
        if classes and not _images(folder):
            pairs = [
                (file, place)
                for place, name in enumerate(classes)
                for file in _images(folder / name)
            ]
        else:
            classes, pairs = [], [(file, 0) for file in _images(folder)]
        if not pairs:
            raise _no_data(data.path, f"it has no image ({' '.join(IMAGES)})")
        self._files = [file for file, _ in pairs]
        self.count = len(pairs)
        self.labels = torch.tensor([place for _, place in pairs]) if classes else None

    def take(self, numbers: Sequence[int]) -> dict[str, Any]:
        import torch

        read = [self._image(self._files[number]) for number in numbers]
        for file, each in zip(numbers, read, strict=True):
            if each.shape != read[0].shape:
                first = " × ".join(map(str, read[0].shape[1:]))
                other = " × ".join(map(str, each.shape[1:]))
                name = self._files[file].name
                reason = f"{name} is {other}, others {first}; give a size to resize to"
                raise _no_data(self._data.path, reason)
        return {SINGLE: torch.stack(read)}

    def _image(self, file: Path) -> Any:
        import torch

        data = self._data
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of decompression bombs
                with self._pillow(file) as image:
                    image = image.convert("L" if data.grey else "RGB")
                    if data.resize:
                        height, width = data.resize
                        image = image.resize((width, height), resample=2)  # bilinear
                    size, raw = image.size, bytearray(image.tobytes())
        except Exception as error:
            reason = f"{file.name} cannot be read: {one_line(error)}"
            raise _no_data(data.path, reason) from None
        values = torch.frombuffer(raw, dtype=torch.uint8).view(size[1], size[0], -1)
        values = values.permute(2, 0, 1).to(torch.float32) / 255
        for shift, figures in ((True, data.mean), (False, data.std)):
            if figures:
                if len(figures) not in (1, len(values)):
                    what = "means" if shift else "deviations"
                    reason = f"{len(figures)} {what} for {len(values)} channels"
                    raise _no_data(data.path, reason)
                column = torch.tensor(figures).view(-1, 1, 1)
                values = values - column if shift else values / column
        return values


def _pillow() -> Any:
    """Its module of images."""
    try:
        return import_package("PIL.Image", "a folder of images")
    except Failure as failure:
        if failure.failed.code != "package-missing":
            raise
        # pip knows it by another name.
        pip = pip_line(sys.executable, ["pillow"])
        raise Failure(
            "package-missing",
            interpreter=sys.executable,
            package="pillow",
            purpose="a folder of images",
            pip=pip,
        ) from None


def opened(data: CalibrationData, inputs: Inputs) -> Source:
    """What `data` names.

    Raises:
        Failure: it cannot be read or is no set of samples.
    """
    kinds = {"file": _file, "images": Images, "loader": _loader}
    if data.source == "random":
        return _random(data, inputs)
    if data.source not in kinds:
        raise Failure("protocol", reason=f"no data of the kind {data.source!r}")
    return kinds[data.source](data)


def _file(data: CalibrationData) -> Source:
    path = data.path
    try:
        return Arrays(path, _arrays(path), data.labels)
    except Failure:
        raise
    except OSError as error:
        raise _no_data(path, str(error.strerror or error)) from None
    except Exception as error:
        raise failure_of(
            "calibration-data", error, path=path, reason=f"it cannot be read: {one_line(error)}"
        ) from error


def _arrays(path: str) -> dict[str, Any]:
    import torch

    suffix = Path(path).suffix.lower()
    if suffix in _NPY:
        numpy = import_package("numpy", f"calibration data from {suffix}")
        found = numpy.load(path, allow_pickle=False)
        if suffix == ".npy":
            return {SINGLE: torch.from_numpy(found)}
        with found as archive:
            return {name: torch.from_numpy(archive[name]) for name in archive}
    if suffix == ".safetensors":
        try:
            return dict(read_state_dict(open_checkpoint(path), ()))
        except CheckpointError as error:
            raise _no_data(path, error.message) from None
    if suffix not in (".pt", ".pth"):
        raise _no_data(path, "it ends neither in .npy, .npz, .pt nor in .safetensors")
    value = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(value, torch.Tensor):
        return {SINGLE: value}
    if isinstance(value, Mapping):
        tensors = {str(key): each for key, each in value.items() if torch.is_tensor(each)}
        if tensors:
            return tensors
    raise _no_data(path, f"it holds {type(value).__name__} and no tensors by name")


# --- a data loader


def _loader(data: CalibrationData) -> Source:
    """The batches that somebody's function gives, as far as they are needed."""
    batches = build(data.path, {})
    if not isinstance(batches, Iterable):
        found = type(batches).__name__
        raise _no_data(data.path, f"it gives {found}, over which nobody can iterate")
    parts: list[dict[str, Any]] = []
    labels: list[Any] = []
    count, wanted = 0, data.samples + data.held_out
    iterator = iter(batches)
    for _ in range(_MOST_BATCHES):
        if count >= wanted:
            break
        try:
            batch = next(iterator)
        except StopIteration:
            break
        except Exception as error:
            reason = f"it fails at batch {len(parts)}: {one_line(error)}"
            raise failure_of("calibration-data", error, path=data.path, reason=reason) from error
        part, classes = _batch(batch, data)
        parts.append(part)
        if classes is not None:
            labels.append(classes)
        count += len(next(iter(part.values())))
    return _joined(data, parts, labels)


def _joined(data: CalibrationData, parts: list[dict[str, Any]], labels: list[Any]) -> Source:
    import torch

    if not parts:
        raise _no_data(data.path, "it gives no batch")
    try:
        arrays = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        if len(labels) == len(parts):
            arrays[data.labels] = torch.cat(labels)
    except Exception as error:
        reason = f"its batches do not fit together: {one_line(error)}"
        raise _no_data(data.path, reason) from None
    return Arrays(data.path, arrays, data.labels)


def _batch(batch: Any, data: CalibrationData) -> tuple[dict[str, Any], Any]:
    """Inputs by name, and the classes: an entry of a mapping, or the second of two where it is
    one integer per sample."""
    import torch

    if isinstance(batch, Mapping):
        part = {str(name): torch.as_tensor(each) for name, each in batch.items()}
        classes = part.pop(data.labels, None)
    else:
        items = list(batch) if isinstance(batch, (tuple, list)) else [batch]
        tensors = [torch.as_tensor(each) for each in items]
        classes = tensors.pop() if len(tensors) == 2 and _are_classes(*tensors) else None
        part = {str(place): each for place, each in enumerate(tensors)}
        part = {SINGLE: tensors[0]} if len(tensors) == 1 else part
    if not part or any(not each.ndim for each in part.values()):
        raise _no_data(data.path, "a batch holds no array of samples")
    return part, classes


def _are_classes(inputs: Any, last: Any) -> bool:
    whole = not last.is_floating_point() and not last.is_complex()
    return whole and last.ndim == 1 and inputs.ndim > 0 and len(last) == len(inputs)


# --- random


def _random(data: CalibrationData, inputs: Inputs) -> Source:
    import torch

    example = ExampleInputs(inputs)
    drawn: list[dict[str, Any]] = []
    count = 0
    while count < data.samples + data.held_out:
        drawn.append(example.tensors(len(drawn) + 2))
        size = min((len(each) if each.ndim else 0) for each in drawn[-1].values())
        if not size:
            raise _no_data("random data", "an input has no axis of samples")
        count += size
    arrays = {name: torch.cat([each[name] for each in drawn]) for name in drawn[0]}
    return Arrays("random data", arrays, "")


# --- shared


def _classes(path: str, values: Any) -> Any:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.is_floating_point() or values.is_complex():
        raise _no_data(path, "its labels are not one integer for each sample")
    return values.long()


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if each.suffix.lower() in IMAGES)


def _no_data(path: str, reason: str) -> Failure:
    return Failure("calibration-data", path=os.fspath(path), reason=reason)
