"""Values of inputs from ``.npy``, ``.npz`` and ``.pt`` files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.protocol import InputSpec
from inspector_app.worker.torch_import import import_package
from inspector_app.worker.user_errors import failure_of


def read_input(spec: InputSpec) -> Any:
    """The tensor that `spec.file` holds, on the CPU.

    Raises:
        Failure: it holds none, or cannot be read.
    """
    try:
        return _read_file(spec)
    except Failure:
        raise
    except OSError as error:
        reason = f"{spec.file}: {error.strerror or error}"
        raise Failure("bad-input", name=spec.name, reason=reason) from None
    except Exception as error:
        reason = f"{spec.file} cannot be read: {error}"
        raise failure_of("bad-input", error, name=spec.name, reason=reason) from error


def _read_file(spec: InputSpec) -> Any:
    import torch

    suffix = Path(spec.file).suffix.lower()
    if suffix in (".npy", ".npz"):
        numpy = import_package("numpy", f"an input from {suffix}")
        found = numpy.load(spec.file, allow_pickle=False)
        if suffix == ".npz":
            with found as archive:
                found = archive[_entry(spec, list(archive))]
        return torch.from_numpy(found)
    found = torch.load(spec.file, map_location="cpu", weights_only=True)
    if isinstance(found, Mapping):
        found = found[_entry(spec, list(found))]
    if not isinstance(found, torch.Tensor):
        reason = f"{spec.file} holds no tensor but {type(found).__name__}"
        raise Failure("bad-input", name=spec.name, reason=reason)
    return found.detach()


def _entry(spec: InputSpec, names: Sequence[str]) -> str:
    """Which of a file's arrays is meant: the one asked for, of the input's name, or the only."""
    entry = spec.entry or (spec.name if spec.name in names else "")
    if not entry and len(names) == 1:
        return names[0]
    if entry not in names:
        reason = f"{spec.file} has {', '.join(map(str, names)) or 'nothing'}"
        raise Failure("bad-input", name=spec.name, reason=reason)
    return entry
