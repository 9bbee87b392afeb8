"""What a training checkpoint holds of the training: how far it is, and what it goes on with.

`reading_training` is a plain generator that yields progress and returns a `TrainingState`. Of
tensors it reads those of one element alone (a loss, a step), a few at most. Where Hugging
Face's Trainer wrote a folder, what lies beside the opened file belongs to the same state.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from inspector_app.analysis.companions import Companions, reading_companions
from inspector_app.analysis.node_values import SingleValues
from inspector_app.analysis.optimizer_state import OptimizerState, reading_optimizer
from inspector_app.analysis.scheduler_state import SchedulerState, scheduler_state
from inspector_app.analysis.training_figures import Figure, Figures, History, reading_figures
from inspector_app.analysis.training_model import Model, reading_model
from inspector_app.analysis.training_parts import PartState, parts_of
from inspector_app.checkpoint import count_as_old
from inspector_app.checkpoint.model import Checkpoint, Progress, SectionKind

_MOST_HINTS = 64


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """The state of a training.

    Attributes:
        path: the checkpoint.
        framework: what wrote it, as far as that shows: ``PyTorch Lightning 2.2.2``; "" if not.
        epoch, step: how far it is, as the file counts; None where it does not say.
        metrics: the metrics as they stood.
        best: the best so far.
        histories: metrics over time, where the file keeps them.
        config: hyper-parameters and whatever else is noted.
        facts: versions of libraries and times.
        models: the models; averages of weights where there is nothing else.
        averages: averaged weights (EMA, SWA) beside a model.
        optimizers, schedulers: their states.
        parts: what else is recognised: grad scaler, random numbers, data loader, callbacks.
        sources: the checkpoints that were read, by the `file` of what lies in them.
        files: the files beside the checkpoint that were read as well.
        cut: the configuration has more rows than are kept.
    """

    path: str
    framework: str
    epoch: Figure | None
    step: Figure | None
    metrics: tuple[Figure, ...]
    best: tuple[Figure, ...]
    histories: tuple[History, ...]
    config: tuple[Figure, ...]
    facts: tuple[Figure, ...]
    models: tuple[Model, ...]
    averages: tuple[Model, ...]
    optimizers: tuple[OptimizerState, ...]
    schedulers: tuple[SchedulerState, ...]
    parts: tuple[PartState, ...]
    sources: Mapping[str, Checkpoint]
    files: tuple[str, ...] = ()
    cut: bool = False

    @property
    def optimizer_nbytes(self) -> int:
        """Bytes of the tensors of all optimizers."""
        return sum(optimizer.nbytes for optimizer in self.optimizers)

    @property
    def model_nbytes(self) -> int:
        """Bytes of the models' tensors, tied ones once."""
        return sum(model.nbytes for model in self.models)

    @property
    def is_training(self) -> bool:
        """There is anything in it besides the weights of a model."""
        return bool(
            self.optimizers
            or self.schedulers
            or self.parts
            or self.epoch
            or self.step
            or self.metrics
            or self.best
            or self.histories
            or self.config
        )


def training_state(checkpoint: Checkpoint) -> TrainingState:
    """`reading_training` without the steps."""
    steps = reading_training(checkpoint)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            state: TrainingState = end.value
            return state


def reading_training(
    checkpoint: Checkpoint, beside: bool = True
) -> Generator[Progress, None, TrainingState]:
    """Read the state of the training in short steps; it is the return value.

    Args:
        beside: look also at what Hugging Face's Trainer or Accelerate wrote beside the file.
    """
    # The collector would walk the file's tree again and again, and finds nothing.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return (yield from _reading(checkpoint, beside))
    finally:
        if collecting:
            count_as_old()
            gc.enable()


def _reading(checkpoint: Checkpoint, beside: bool) -> Generator[Progress, None, TrainingState]:
    companions = Companions()
    if beside:
        companions = yield from reading_companions(checkpoint)
    sources = [("", checkpoint), *companions.checkpoints.items()]
    kinds = {section.kind for _, source in sources for section in source.sections}
    figures = Figures()
    models: list[Model] = []
    averages: list[Model] = []
    parts: list[PartState] = []
    for file, source in sources:
        with closing(SingleValues(source)) as values:
            found = yield from reading_figures(source, values, (), file)
            _add(figures, found)
            parts += parts_of(source, values, file)
        for section in source.sections:
            node = source.find(section.path)
            if node is not None and section.kind in (SectionKind.MODEL, SectionKind.EMA):
                model = yield from reading_model(node, file, SectionKind.OPTIMIZER in kinds)
                if model.tensors:
                    (models if section.kind == SectionKind.MODEL else averages).append(model)
    if not models:
        models, averages = averages, []
    companions.add_to(figures)
    hints = _hints(figures.config)
    optimizers: list[OptimizerState] = []
    schedulers: list[SchedulerState] = []
    for file, source in sources:
        for section in source.sections:
            node = source.find(section.path)
            if node is None:
                continue
            if section.kind == SectionKind.OPTIMIZER:
                optimizers.append((yield from reading_optimizer(node, models, hints, file)))
            elif section.kind == SectionKind.SCHEDULER:
                schedulers.append(scheduler_state(node, file))
    return TrainingState(
        checkpoint.path,
        _framework(checkpoint, companions, figures),
        figures.epoch,
        figures.step,
        tuple(figures.metrics),
        tuple(figures.best),
        tuple(figures.histories),
        tuple(figures.config),
        tuple(figures.facts),
        tuple(models),
        tuple(averages),
        tuple(optimizers),
        tuple(schedulers),
        tuple(parts),
        dict(sources),
        companions.files,
        figures.cut,
    )


def _add(all_figures: Figures, found: Figures) -> None:
    all_figures.epoch = all_figures.epoch or found.epoch
    all_figures.step = all_figures.step or found.step
    all_figures.metrics += found.metrics
    all_figures.best += found.best
    all_figures.histories += found.histories
    all_figures.config += found.config
    all_figures.facts += found.facts
    all_figures.cut = all_figures.cut or found.cut


def _hints(config: Sequence[Figure]) -> list[str]:
    """Texts that may name the class of an optimizer: ``optim: adamw_torch``."""
    found = []
    for figure in config:
        name = figure.name.rpartition("/")[2].lower()
        if isinstance(figure.value, str) and name.startswith("optim"):
            found.append(figure.value.split("_")[0])
    return found[:_MOST_HINTS]


def _framework(checkpoint: Checkpoint, companions: Companions, figures: Figures) -> str:
    versions: Mapping[str, object] = {figure.name: figure.value for figure in figures.facts}
    lightning = versions.get("pytorch-lightning_version")
    if lightning is not None:
        return f"PyTorch Lightning {lightning}"
    if companions.framework:
        return companions.framework
    meta = versions.get("meta/mmengine_version")
    if meta is not None:
        return f"MMEngine {meta}"
    keys = {child.key for child in checkpoint.root.children[:64]}
    if {"extra_state", "optimizer_history"} <= keys:
        return "fairseq"
    if {"train_args", "best_fitness", "updates"} <= keys:
        return f"Ultralytics {versions.get('version', '')}".rstrip()
    if {"epochs_run", "total_epochs"} <= keys:
        return "torchtune"
    return ""
