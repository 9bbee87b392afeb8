"""What Hugging Face's Trainer and Accelerate write beside a model: the rest of a checkpoint.

A checkpoint of the Trainer is a folder: ``model.safetensors`` (or ``pytorch_model.bin``, or
shards with an index), ``optimizer.pt``, ``scheduler.pt``, ``scaler.pt``, ``rng_state*.pth``,
``trainer_state.json`` and ``training_args.bin`` (transformers ``trainer.py``,
``trainer_callback.py``: ``TrainerState``). ``Accelerator.save_state`` writes ``optimizer.bin``,
``scheduler.bin``, ``sampler.bin``, ``scaler.pt`` and ``random_states_0.pkl`` instead
(accelerate ``checkpointing.py``). Whichever of them is opened, the others are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inspector_app.analysis.node_values import Number, number_of
from inspector_app.analysis.training_figures import (
    MOST_VALUES,
    Figure,
    Figures,
    History,
    is_metric,
)
from inspector_app.checkpoint import reading
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.json_document import parse
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.model import Checkpoint, Progress

TRAINER_STATE = "trainer_state.json"
OPTIMIZER_FILES = ("optimizer.pt", "optimizer.bin")
_MODELS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "adapter_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_OTHERS = re.compile(
    r"(optimizer|scheduler|scaler|sampler)(_\d+)?\.(pt|bin)$|rng_state(_\d+)?\.pth$"
    r"|training_args\.bin$|random_states_\d+\.pkl$"
)
# What Accelerate always writes.
_ACCELERATE = "random_states_0.pkl"
_MOST_FILES = 16
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Companions:
    """The files beside a checkpoint.

    Attributes:
        framework: who wrote them, or "".
        checkpoints: those that hold tensors or objects, by name.
        document: what ``trainer_state.json`` says.
        files: the names of all that were read.
    """

    framework: str = ""
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def add_to(self, figures: Figures) -> None:
        """Add what ``trainer_state.json`` says: it is the Trainer's own word on the run."""
        if not self.document:
            return
        path = (TRAINER_STATE,)
        for key, value in self.document.items():
            number = number_of(value)
            if key == "log_history":
                figures.histories += _histories(value)
            elif number is None and not isinstance(value, (str, bool)):
                continue
            else:
                figure = Figure(key, value, (*path, key), TRAINER_STATE)
                if key == "epoch" and number is not None:
                    figures.epoch = figure
                elif key == "global_step" and number is not None:
                    figures.step = figure
                elif key.startswith("best_") and number is not None:
                    figures.best.append(figure)
                else:
                    figures.config.append(figure)
        figures.metrics += [
            Figure(history.name, history.values[-1], history.path, TRAINER_STATE)
            for history in figures.histories
            if history.file == TRAINER_STATE and is_metric(history.name)
        ]


def _histories(log: Any) -> list[History]:
    """``log_history``: a list of objects, each with some of the numbers and their step."""
    values: dict[str, list[Number]] = {}
    steps: dict[str, list[Number]] = {}
    rows = log[-MOST_VALUES:] if isinstance(log, list) else []
    for row in rows:
        if not isinstance(row, dict):
            continue
        step = number_of(row.get("step"))
        for key, value in row.items():
            number = number_of(value)
            if number is None or key in ("step", "epoch", "total_flos"):
                continue
            if key.endswith(("_runtime", "_per_second")):
                continue
            values.setdefault(key, []).append(number)
            steps.setdefault(key, []).append(step if step is not None else len(values[key]))
    return [
        History(key, tuple(found), tuple(steps[key]), (TRAINER_STATE, "log_history"), TRAINER_STATE)
        for key, found in values.items()
    ]


def reading_companions(
    checkpoint: Checkpoint, documents_only: bool = False
) -> Generator[Progress, None, Companions]:
    """Read what lies beside `checkpoint`, if it is one of the Trainer's files.

    Args:
        documents_only: ``trainer_state.json`` and nothing else.
    """
    opened = os.path.abspath(checkpoint.path)
    folder = opened if os.path.isdir(opened) else os.path.dirname(opened)
    name = "" if folder == opened else os.path.basename(opened)
    if name and name not in _MODELS and not _OTHERS.match(name):
        return Companions()
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return Companions()
    document = _document(os.path.join(folder, TRAINER_STATE)) if TRAINER_STATE in names else None
    if document is None and _ACCELERATE not in names:
        return Companions()
    framework = "Hugging Face Accelerate" if document is None else "Hugging Face Trainer"
    read = () if document is None else (TRAINER_STATE,)
    if documents_only:
        return Companions(framework, {}, document or {}, read)
    wanted = [each for each in names if _OTHERS.match(each) and each != name]
    if name and name not in _MODELS:
        wanted = [each for each in _MODELS if each in names][:1] + wanted
    found: dict[str, Checkpoint] = {}
    for each in wanted[:_MOST_FILES]:
        try:
            found[each] = yield from reading(os.path.join(folder, each))
        except CheckpointError:
            continue  # whoever opens that file is told why
    return Companions(framework, found, document or {}, (*read, *found))


def is_one_checkpoint(folder: str) -> bool:
    """Whether the files in `folder` are those of one checkpoint of the Trainer or Accelerate."""
    return any(os.path.exists(os.path.join(folder, name)) for name in (TRAINER_STATE, _ACCELERATE))


def model_in(folder: str) -> str:
    """The model's file, or its index, in a folder that one of the two wrote; else ""."""
    if not is_one_checkpoint(folder):
        return ""
    paths = [os.path.join(folder, name) for name in _MODELS]
    return next((path for path in paths if os.path.exists(path)), "")


def _document(path: str) -> Mapping[str, Any] | None:
    """The object in a JSON file; None where there is none that can be read."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _MOST_BYTES:
            return None
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES)
        value, problem = parse(data, TRAINER_STATE, DEFAULT)
    except (OSError, CheckpointError):
        return None
    return value if problem is None and isinstance(value, dict) else None
