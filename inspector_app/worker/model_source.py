"""Where the model comes from: the file itself, its source code, or transformers.

`building` gives it in eval mode with its weights in it. Nothing here runs code of the
checkpoint unless the request says that the user has consented.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Kind, TreePath
from inspector_app.worker.code_source import build, load_source
from inspector_app.worker.consent import globals_that_run, listed
from inspector_app.worker.failures import Failure
from inspector_app.worker.loading import demand, load, notes_of
from inspector_app.worker.protocol import LoadReport, ModelChoice, Progress, SourceKind
from inspector_app.worker.state_dict import read_state_dict
from inspector_app.worker.suggestions import config_beside, pickled_models
from inspector_app.worker.torch_import import import_package, import_torch
from inspector_app.worker.user_errors import failure_of, one_line

_NAMED = 6


@dataclass(slots=True)
class Model:
    """A model that can run.

    Attributes:
        module: it, in eval mode, on its device.
        report: how the weights went in.
        form: ``module``, ``torchscript`` or ``torch-export``.
        checkpoint: the file, as the inspector reads it.
        notes: sentences worth knowing.
    """

    module: Any
    report: LoadReport = field(default_factory=LoadReport)
    form: str = "module"
    checkpoint: Checkpoint | None = None
    notes: list[str] = field(default_factory=list)


def building(choice: ModelChoice, *, demanding: bool = True) -> Generator[Progress, None, Model]:
    """Build the model that `choice` names and load its weights.

    Args:
        choice: which.
        demanding: where the weights are to fit strictly, that they do not is a failure.

    Raises:
        Failure: it cannot be built, or its weights do not fit.
    """
    yield Progress("import torch")
    torch = import_torch()
    yield Progress("read the checkpoint")
    checkpoint = _opened(choice.checkpoint)
    yield Progress("build the model")
    kind = choice.source.source
    torch.manual_seed(0)  # what a checkpoint lacks is the same in every worker
    if kind == SourceKind.FILE:
        model = _from_file(checkpoint, choice)
    elif kind == SourceKind.CODE:
        model = Model(build(choice.source.spec, choice.source.arguments))
    elif kind == SourceKind.TRANSFORMERS:
        model = _from_transformers(checkpoint, choice)
    else:
        raise Failure("protocol", reason=f"no source {kind!r}")
    model.checkpoint = checkpoint
    if model.form != "torch-export":
        if not isinstance(model.module, torch.nn.Module):
            found = type(model.module).__name__
            raise Failure("no-module", name=choice.source.spec or checkpoint.path, found=found)
        if kind != SourceKind.FILE and choice.weights.load:
            yield Progress("load the weights")
            tensors = read_state_dict(checkpoint, choice.weights.section)
            model.report = load(model.module, tensors, choice.weights)
            if demanding and choice.weights.strict:
                demand(model.report)
            model.notes += notes_of(model.report)
        model.module.eval()
        _move(model, choice, torch)
    return model


def _move(model: Model, choice: ModelChoice, torch: Any) -> None:
    try:
        if torch.device(choice.device).type == "meta":
            raise ValueError("tensors have no values there")
        model.module.to(device=choice.device)
    except Exception as error:
        raise failure_of("device", error, device=choice.device) from error
    if not choice.dtype:
        return
    try:
        dtype = getattr(torch, choice.dtype, None)
        if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise ValueError("it is no floating point dtype of torch")
        model.module.to(dtype=dtype)
    except Exception as error:
        raise failure_of("dtype", error, dtype=choice.dtype) from error


def _demand_unmoved(choice: ModelChoice) -> None:
    """Raise `Failure` where an exported program should become another: it keeps what it has."""
    fixed = "an exported program keeps what it was exported with"
    if choice.device != "cpu":
        raise Failure("device", device=choice.device, error=fixed)
    if choice.dtype:
        raise Failure("dtype", dtype=choice.dtype, error=fixed)


def _opened(path: str) -> Checkpoint:
    try:
        return open_checkpoint(path)
    except CheckpointError as error:
        raise Failure("file-not-loaded", file=path, error=error.message) from None


# --- the file holds it


def _from_file(checkpoint: Checkpoint, choice: ModelChoice) -> Model:
    import torch

    path = checkpoint.path
    if checkpoint.format == "torchscript":
        with _loading(path):
            return Model(torch.jit.load(path, map_location="cpu"), form="torchscript")
    if checkpoint.format == "torch-export":
        _demand_consent(checkpoint, choice)
        _demand_unmoved(choice)
        with _loading(path):
            program = torch.export.load(path)
        return Model(program.module(), form="torch-export")
    models = pickled_models(checkpoint)
    section = choice.weights.section
    where = next(iter(models), None) if section is None else tuple(section)
    node = None if where is None else checkpoint.find(where)
    if where is None or node is None or node.kind != Kind.MODULE:
        if models:
            asked = "/".join(map(str, where or ())) or "the root"
            raise Failure("section-no-model", file=path, section=asked, models=_places(models))
        raise Failure("no-model-in-file", file=path, found=_what(checkpoint))
    _demand_consent(checkpoint, choice)
    notes = []
    if section is None and len(models) > 1:
        notes.append(f"the file holds {len(models)} models, {_places(models)}; this is {node.name}")
    return Model(_unpickled(checkpoint, choice, where), notes=notes)


def _unpickled(checkpoint: Checkpoint, choice: ModelChoice, where: TreePath) -> Any:
    import torch

    if choice.source.spec:
        _fill_main(choice.source.spec)
    folder = str(Path(checkpoint.path).absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # where people keep the code of what they saved
    try:
        value = torch.load(checkpoint.path, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        name = getattr(error, "name", None) or "a class of its model"
        raise failure_of(
            "pickled-class-not-found", error, name=name, reason=one_line(error)
        ) from error
    except Exception as error:
        raise failure_of("file-not-loaded", error, file=checkpoint.path) from error
    try:
        for key in where:
            inside = isinstance(value, (Mapping, Sequence))
            value = value[key] if inside else getattr(value, str(key))
    except (LookupError, TypeError, AttributeError) as error:
        reason = f"nothing is at {'/'.join(map(str, where))} once it is loaded"
        raise failure_of("file-not-loaded", error, file=checkpoint.path, error=reason) from error
    return value


def _fill_main(spec: str) -> None:
    """Models that were saved by a script name their classes ``__main__.Net``."""
    source = spec.rpartition(":")[0] if not spec.endswith(".py") else spec
    main = sys.modules["__main__"]
    for name, value in vars(load_source(source)).items():
        if not name.startswith("__"):
            setattr(main, name, value)


def _demand_consent(checkpoint: Checkpoint, choice: ModelChoice) -> None:
    needed = globals_that_run(checkpoint)
    if needed and not choice.trust:
        raise Failure("consent-needed", file=checkpoint.path, globals=listed(needed))


@contextmanager
def _loading(path: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    except Exception as error:
        raise failure_of("file-not-loaded", error, file=path) from error


def _what(checkpoint: Checkpoint) -> str:
    if checkpoint.tensors:
        return f"{len(checkpoint.tensors):,} tensors without a graph"
    return "no tensors"


def _places(models: Sequence[TreePath]) -> str:
    named = [f"{'/'.join(map(str, path)) or 'its root'}" for path in models[:_NAMED]]
    more = len(models) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")


# --- transformers


def _from_transformers(checkpoint: Checkpoint, choice: ModelChoice) -> Model:
    file = choice.source.spec or config_beside(checkpoint.path)
    try:
        config = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure("config", file=file, reason=str(error.strerror)) from None
    except (ValueError, RecursionError) as error:
        raise Failure("config", file=file, reason=f"it is no JSON: {error}") from None
    if not isinstance(config, dict) or "model_type" not in config:
        raise Failure("config", file=file, reason="it names no model_type of transformers")
    if "auto_map" in config and not choice.trust:
        raise Failure("consent-needed", file=file, globals=_auto_map(config["auto_map"]))
    transformers = import_package("transformers", "a config.json of Hugging Face")
    folder = os.path.dirname(os.path.abspath(file))
    try:
        parsed = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=choice.trust)
        # Keys and values for the next step are no output of a model that is exported.
        parsed.use_cache = False
        model = _architecture(transformers, parsed, choice)
    except Failure:
        raise
    except Exception as error:
        raise failure_of("config", error, file=file, reason=one_line(error)) from error
    return Model(model, notes=["built by transformers with use_cache=False"])


def _architecture(transformers: Any, config: Any, choice: ModelChoice) -> Any:
    asked = choice.source.arguments.get("class")
    names = [asked] if asked else list(getattr(config, "architectures", None) or [])
    if not names:
        return transformers.AutoModel.from_config(config, trust_remote_code=choice.trust)
    name = str(names[0])
    found = getattr(transformers, name, None)
    if isinstance(found, type):
        return found(config)
    if getattr(config, "auto_map", None):
        return transformers.AutoModel.from_config(config, trust_remote_code=choice.trust)
    raise Failure(
        "class-not-found",
        source=f"transformers {transformers.__version__}",
        name=name,
        known="other architectures; a newer transformers may have this one",
    )


def _auto_map(value: object) -> str:
    named = value.values() if isinstance(value, dict) else [value]
    return ", ".join(sorted(str(each) for each in named))
