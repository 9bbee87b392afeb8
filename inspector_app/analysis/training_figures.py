"""What a checkpoint notes beside its weights: epoch, step, metrics, configuration, versions.

Nothing prescribes where a script keeps these, so that their names have to tell. Looked at is
what lies outside the states of models, optimizers, schedulers and random numbers; a value is

- the epoch or the step, by its key;
- a metric if its key, or that of a mapping around it, speaks of one (``val_loss``, ``top1``,
  ``metrics/f1``), a *best* one if it speaks of the best so far;
- a history if it is a list of such numbers;
- the version of a library, or a time;
- else configuration, as all of what is a hyper-parameter.

Sources for names: the ImageNet and nanoGPT scripts, Lightning's ``dump_checkpoint``, mmengine's
``CheckpointHook`` (``meta``), Ignite, fairseq (``extra_state``), detectron2, torchtune.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from inspector_app.analysis.node_values import (
    Number,
    SingleValues,
    is_single,
    items,
    number_of,
    numbers,
)
from inspector_app.analysis.training_words import Scalar
from inspector_app.checkpoint.model import (
    ArrayInfo,
    Checkpoint,
    Kind,
    Node,
    Progress,
    SectionKind,
    TensorInfo,
    TreePath,
)

MOST_ROWS = 5_000
MOST_VALUES = 20_000
_DEEPEST = 8
_VISITED = 20_000
_SLICE = 500
_LONGEST_LIST = 16
_LONGEST_TEXT = 2_000

_EPOCHS = (
    "epoch current_epoch cur_epoch epoch_num epoch_idx epochs_run epochs_completed "
    "epochs_trained n_epoch num_epoch last_epoch start_epoch"
).split()
_STEPS = (
    "global_step step iteration iter iter_num num_updates global_iter current_step current_iter "
    "cur_iter steps iterations n_iter total_it train_step training_step optimizer_step"
).split()
_METRICS = frozenset(
    "loss losses acc accuracy top prec precision recall error err f1 auc auroc map miou iou bleu "
    "rouge wer cer psnr ssim fid perplexity ppl mse rmse mae r2 score scores reward dice kappa mcc "
    "pearson spearman ap ar metric nll bpb bpc elbo snr lpips return".split()
)
_METRIC_MAPPINGS = frozenset(
    "metric metrics score scores result results performance eval evaluation logs stats".split()
)
_BEST = frozenset("best".split())
# Beside a number they say that it is none of a metric.
_SETTINGS = frozenset(
    "weight weights scale lambda coef coeff factor type name fn func function mode freq frequency "
    "interval every patience threshold path dir file model monitor epoch step iter index idx "
    "min_delta size rate smoothing".split()
)
_VERSION = re.compile(r"(.*[_-])?(version|git_sha|commit|git_hash|revision)$|__version__$", re.I)
_TIME = re.compile(
    r"(.*_)?(time|timestamp|date|datetime|saved_at|created|created_at|elapsed|seconds|hours)$", re.I
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")
_CONTAINERS = (Kind.MAPPING, Kind.OBJECT, Kind.SEQUENCE)
_STATES = (
    SectionKind.MODEL,
    SectionKind.EMA,
    SectionKind.OPTIMIZER,
    SectionKind.SCHEDULER,
    SectionKind.SCALER,
    SectionKind.RNG,
)
# Keys of parts that count for themselves; what is in them says nothing of the run as a whole.
OWN_COUNTERS = frozenset({"loops", "best_k_models", "_metadata"})


class Figure(NamedTuple):
    """A number, a text or a flag that the checkpoint notes.

    Attributes:
        name: the keys that lead to it, joined with ``/``; from the file, not yet made plain.
        value: what it is.
        path: where it lies.
        file: the file that it lies in; "" for the checkpoint's own.
    """

    name: str
    value: Scalar
    path: TreePath
    file: str = ""


class History(NamedTuple):
    """Numbers that were noted one after the other.

    Attributes:
        name: as of a `Figure`.
        values: the numbers, in order; the last `MOST_VALUES` of more.
        steps: at which step or epoch each was noted; () if that is not said.
        path, file: where they lie.
    """

    name: str
    values: tuple[Number, ...]
    steps: tuple[Number, ...]
    path: TreePath
    file: str = ""


@dataclass(slots=True)
class Figures:
    """All that was found.

    Attributes:
        epoch, step: the counters of the run, or None.
        metrics: as they stand.
        best: the best so far.
        histories: lists of numbers.
        config: hyper-parameters and whatever else is noted, in the file's order.
        facts: versions of libraries and times.
        cut: there is more than `MOST_ROWS`.
    """

    epoch: Figure | None = None
    step: Figure | None = None
    metrics: list[Figure] = field(default_factory=list)
    best: list[Figure] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    config: list[Figure] = field(default_factory=list)
    facts: list[Figure] = field(default_factory=list)
    cut: bool = False


def words_of(name: object) -> list[str]:
    """The words of a key in lower case: ``valLoss_top5`` has ``val``, ``loss`` and ``top5``."""
    if not isinstance(name, str):
        return []
    return [word.lower() for word in _WORD.findall(name[:120])]


def is_metric(name: str) -> bool:
    """Whether the name of a number speaks of a metric."""
    key = name.rpartition("/")[2]
    # As the words of camel case, and as they stand: ``mIoU`` and ``R2`` are one word each.
    words = [*words_of(key), *re.split(r"[^a-z0-9]+", key[:120].lower())]
    bare = {word.rstrip("0123456789") or word for word in words} | set(words)
    return not bare.isdisjoint(_METRICS) and _SETTINGS.isdisjoint(words)


def reading_figures(
    checkpoint: Checkpoint, values: SingleValues, apart: Sequence[Node] = (), file: str = ""
) -> Generator[Progress, None, Figures]:
    """Find them in short steps.

    Args:
        values: reads what is kept as a tensor of one element.
        apart: nodes that are looked at elsewhere.
    """
    found = Figures()
    sections: dict[int, str] = {id(node): "" for node in apart}
    for section in checkpoint.sections:
        node = checkpoint.find(section.path)
        if node is not None:
            sections[id(node)] = section.kind
    looking = _Looking(found, values, file)
    whole = sections.get(id(checkpoint.root))
    if whole == SectionKind.RNG:
        # Accelerate notes the step beside the states.
        for child in checkpoint.root.children[:_LONGEST_LIST]:
            if child.kind == Kind.SCALAR:
                looking.leaf(child, 0, False, False)
    if whole in _STATES:
        return found
    # Each with its depth and whether it is a hyper-parameter, or lies in a mapping of metrics.
    todo = [(checkpoint.root, 0, False, False)]
    visited = 0
    while todo and visited < _VISITED:
        node, depth, setting, metric = todo.pop()
        inside: list[tuple[Node, int, bool, bool]] = []
        kind = sections.get(id(node))
        setting = setting or kind == SectionKind.HYPER_PARAMETERS
        for child in node.children:
            visited += 1
            if visited % _SLICE == 0:
                yield Progress("figures", visited)
            if visited >= _VISITED:
                found.cut = True
                break
            inner = sections.get(id(child))
            if inner in _STATES or inner == "" or child.key in OWN_COUNTERS:
                continue
            if looking.leaf(child, depth, setting, metric):
                continue
            if child.kind in _CONTAINERS and depth < _DEEPEST:
                within = metric or not _METRIC_MAPPINGS.isdisjoint(words_of(child.key))
                inside.append((child, depth + 1, setting, within))
        todo += reversed(inside)
    return found


class _Looking:
    """Sorts single entries."""

    def __init__(self, found: Figures, values: SingleValues, file: str) -> None:
        self._found = found
        self._values = values
        self._file = file
        # By how deep they lie and how telling their keys are.
        self._epoch = self._step = (1 << 20, 0)

    def leaf(self, node: Node, depth: int, setting: bool, metric: bool) -> bool:
        """Take an entry that is one value or a list of numbers; False if there is more in it."""
        if isinstance(node, TensorInfo):
            if is_single(node) and not setting:
                self._number(node, depth, metric)
            return True
        if node.kind == Kind.SCALAR:
            if setting or not self._number(node, depth, metric):
                self._other(node, node.value, setting)
            return True
        if node.kind == Kind.ARRAY:
            if not setting and isinstance(node.value, ArrayInfo):
                self._number(node, depth, metric)
            return True
        if node.kind == Kind.GLOBAL:
            self._row(node, node.type_name if node.value is None else str(node.value))
            return True
        if node.kind == Kind.SEQUENCE:
            return self._sequence(node, setting, metric)
        text = wrapped_text(node)
        if text is not None:
            self._other(node, text, setting)
            return True
        return node.kind not in _CONTAINERS

    def _sequence(self, node: Node, setting: bool, metric: bool) -> bool:
        found = items(node)
        if not setting and len(found) > 1 and (metric or self._speaks(node)):
            if all(isinstance(each, Node) for each in found):
                singles = [
                    self._values.number(each)
                    for each in found[-MOST_VALUES:]
                    if isinstance(each, TensorInfo) and is_single(each)
                ]
                values = tuple(each for each in singles if each is not None)
                whole = len(values) == min(len(found), MOST_VALUES)
            else:
                values = numbers(node)[-MOST_VALUES:]
                whole = bool(values)
            if whole:
                history = History(_name(node), values, (), node.path, self._file)
                self._found.histories.append(history)
                return True
        if all(not isinstance(each, Node) for each in found):
            shown = ", ".join(_text(each) for each in found[:_LONGEST_LIST])
            more = f", … ({len(found):,})" if len(found) > _LONGEST_LIST else ""
            self._row(node, f"[{shown}{more}]")
            return True
        return False

    def _speaks(self, node: Node) -> bool:
        words = {word.rstrip("0123456789") for word in words_of(node.key)}
        above = words_of(node.parent.key) if node.parent is not None else []
        return is_metric(str(node.key)) or not {"history", "curve"}.isdisjoint([*words, *above])

    def _number(self, node: Node, depth: int, metric: bool) -> bool:
        """Take a number that is a counter or a metric; False if it is neither."""
        key = node.key
        if not isinstance(key, str):
            return False
        value = self._values.number(node)
        if value is None:
            return False
        if key in _EPOCHS or key in _STEPS:
            self._counter(node, key, value, depth)
            return True
        words = words_of(key)
        best = not _BEST.isdisjoint(words)
        if not best and not metric and not is_metric(key):
            # A loss scale, a learning rate and the like are settings.
            return False
        figure = Figure(_name(node), value, node.path, self._file)
        (self._found.best if best else self._found.metrics).append(figure)
        return True

    def _counter(self, node: Node, key: str, value: Number, depth: int) -> None:
        figure = Figure(_name(node), value, node.path, self._file)
        if key in _EPOCHS:
            rank = (depth, _EPOCHS.index(key))
            if rank < self._epoch:
                self._epoch, self._found.epoch = rank, figure
                return
        else:
            rank = (depth, _STEPS.index(key))
            if rank < self._step:
                self._step, self._found.step = rank, figure
                return
        self._append(self._found.config, figure)

    def _other(self, node: Node, value: object, setting: bool) -> None:
        key = node.key
        known = isinstance(key, str) and value is not None
        if known and (_VERSION.match(str(key)) or (_TIME.match(str(key)) and not setting)):
            figure = Figure(_name(node), _scalar(value), node.path, self._file)
            self._append(self._found.facts, figure)
            return
        # Of what is noted anywhere else only what has a value says something.
        if setting or value is not None:
            self._row(node, _scalar(value))

    def _row(self, node: Node, value: Scalar) -> None:
        self._append(self._found.config, Figure(_name(node), value, node.path, self._file))

    def _append(self, rows: list[Figure], figure: Figure) -> None:
        if len(rows) < MOST_ROWS:
            rows.append(figure)
        else:
            self._found.cut = True


def _name(node: Node) -> str:
    """The path as text, without the settings that Lightning writes after a callback's name."""
    keys = (str(key) for key in node.path)
    return "/".join(key.partition("{")[0] if key.endswith("}") else key for key in keys)


def wrapped_text(node: Node) -> str | None:
    """The text that an object is made of and nothing else, as ``TorchVersion`` and members of
    textual enumerations are; else None."""
    if node.kind != Kind.OBJECT or len(node.children) != 1:
        return None
    arguments = items(node.children[0])
    if len(arguments) == 1 and isinstance(arguments[0], str):
        return arguments[0]
    return None


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if number_of(value) is not None else f"an integer of {value.bit_length()} bits"
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and number_of(value) is None:
        return f"an integer of {value.bit_length()} bits"
    text = value if isinstance(value, str) else repr(value)[:_LONGEST_TEXT]
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
