"""Which part of a checkpoint is for what: model, optimizer, scheduler, EMA …

A part is recognised by what it holds; its key only decides where contents look alike
(a model and its moving average) or say little (a mapping of numbers). Key names differ
between Lightning, timm, mmengine, fairseq, detectron2 and everybody's own script; what
``Optimizer.state_dict()`` and its kin return does not.

Only the first levels are looked at, and of many children a sample: a file of a million
tensors costs as much as one of a thousand.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from inspector_app.checkpoint.model import Kind, Node, PathElement, Section, SectionKind, TensorInfo
from inspector_app.checkpoint.random_states import is_random_state

DEPTH = 4
VISITED = 2_000
SAMPLE = 192

# A single tensor is a part only if it is the state of a generator.
_PARTS = (Kind.MAPPING, Kind.SEQUENCE, Kind.OBJECT, Kind.MODULE)
_MAPPINGS = (Kind.MAPPING, Kind.OBJECT)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of torch.optim.lr_scheduler, then of mmengine's schedulers.
_SCHEDULER_KEYS = _names(
    "last_epoch _step_count base_lrs _last_lr num_bad_epochs _schedulers "
    "last_step _global_step base_values _last_value"
)
_SCALER_KEYS = _names("scale growth_factor backoff_factor growth_interval _growth_tracker")
_APEX_SCALER_KEYS = frozenset({"loss_scale", "unskipped"})
_MODEL_WORDS = _names(
    "model module dict net network weights params parameters generator discriminator "
    "encoder decoder backbone student teacher actor critic policy"
)
# They have a model's keys and are none.
_OTHER_WORDS = _names("mask masks grad grads gradient gradients fisher importance stats")
_PLAIN_MODEL_WORDS = _names("model module state dict net network weights params parameters")
_HYPER_PARAMETER_WORDS = _names(
    "args arguments config configuration conf cfg hparams hparam hyper hyperparameters "
    "hyperparams opt opts options settings"
)
# Lightning keeps whole modules among them.
_UNMISTAKABLE = _names("hyper hparams hyperparameters hyperparams")
_HYPER_PARAMETER_KEYS = _names(
    "lr learning_rate batch_size epochs num_epochs max_epochs hidden_size hidden_dim num_layers "
    "n_layers dropout weight_decay momentum seed in_channels out_channels num_classes d_model "
    "n_heads num_heads vocab_size embed_dim input_size output_size arch"
)
_HYPER_PARAMETER_TYPES = re.compile(
    r"argparse\.Namespace$|types\.SimpleNamespace$|(omegaconf|ml_collections|yacs|easydict|addict)\."
    r"|.*(Config|CfgNode|TrainingArguments)$"
)
_AVERAGE = re.compile(r"ema|shadow|averaged?|avg|swa|polyak")
# The last word of a parameter's or a buffer's name in torch.nn and in timm.
_PARAMETER_NAME = re.compile(
    r"(.*[._])?(weight|bias|running_mean|running_var|num_batches_tracked|embed|token|scale"
    r"|(weight|bias)_[a-z]+(_l\d+)?(_reverse)?|gamma|beta|alpha)$"
)
# Not the name of a file or an expression, which are keys of other things.
_DOTTED_NAME = re.compile(r"[^\s/\\=]+\.[^\s/\\=]+$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_WRAPPED = re.compile(r"(module\.|_orig_mod\.)+")


def find_sections(root: Node) -> list[Section]:
    """The parts of the tree with a known purpose, outermost first, then in file order.

    A bare state_dict is the section ``()``. Each optimizer and each scheduler of a list
    is a section of its own. Within a section nothing more is listed, except for the
    parts that somebody put among the tensors of a bare state_dict.
    """
    sections: list[Section] = []
    first_model: Node | None = None
    # Each with its depth, and whether a key above it speaks of an average.
    queue = deque([(root, 0, False)])
    visited = 0
    while queue and visited < VISITED:
        node, depth, averaged = queue.popleft()
        visited += 1
        averaged = averaged or _says_average(node.key)
        kind = _kind_of(node, averaged)
        if kind == SectionKind.MODEL:
            if averaged or _is_average_of(node, first_model):
                kind = SectionKind.EMA
            elif sections and sections[0].path == ():
                kind = None
            elif first_model is None:
                first_model = node
        if kind is not None:
            sections.append(Section(node.path, kind))
        if depth < DEPTH and (kind is None or (node is root and kind == SectionKind.MODEL)):
            for child in sample(node.children):
                if child.kind in _PARTS or is_random_state(child):
                    queue.append((child, depth + 1, averaged))
    return sections


def model_section(root: Node) -> list[Section]:
    """The sections of a format that holds one model's tensors and nothing else: safetensors
    and ONNX, whatever the tensors are called."""
    if any(child.kind == Kind.TENSOR for child in sample(root.children)):
        return [Section((), SectionKind.MODEL)]
    return []


def sample(children: Sequence[Node]) -> Sequence[Node]:
    """All children, or of many the first, the last and some between, in order."""
    count = len(children)
    if count <= SAMPLE:
        return children
    third = SAMPLE // 3
    step = (count - 2 * third) // third
    middle = range(third, third + step * third, step)
    indices = [*range(third), *middle, *range(count - third, count)]
    return [children[index] for index in indices]


def _kind_of(node: Node, averaged: bool) -> str | None:
    """What `node` is for as a whole, or None. A model may yet turn out to be an average."""
    if is_random_state(node):
        return SectionKind.RNG
    if node.kind == Kind.MODULE:
        # Packed parameters of a quantized TorchScript module lie deeper.
        deep = 4 if node.parent is None else 1
        return SectionKind.MODEL if _holds_tensors(node, deep) else None
    if node.kind not in _MAPPINGS:
        return None
    children = sample(node.children)
    keys = {child.key for child in children if isinstance(child.key, str)}
    if {"state", "param_groups"} <= keys:
        return SectionKind.OPTIMIZER
    if len(keys & _SCALER_KEYS) >= 3 or keys >= _APEX_SCALER_KEYS:
        return SectionKind.SCALER
    if _is_scheduler(node, children, keys):
        return SectionKind.SCHEDULER
    if _is_model(node, children, averaged):
        return SectionKind.MODEL
    if averaged and "shadow_params" in keys:
        return SectionKind.EMA
    if _is_hyper_parameters(node, children, keys):
        return SectionKind.HYPER_PARAMETERS
    return None


def _is_scheduler(node: Node, children: Sequence[Node], keys: set[str]) -> bool:
    if len(keys & _SCHEDULER_KEYS) >= 2 or node.type_name.startswith("torch.optim.lr_scheduler."):
        return True
    # Other libraries' schedulers keep other numbers, so that the name has to tell.
    named = any(word.startswith("sched") for word in _words(node.key))
    return (
        named
        and bool(children)
        and all(child.kind != Kind.MAPPING and _is_plain(child, 1) for child in children)
    )


def _is_model(node: Node, children: Sequence[Node], averaged: bool) -> bool:
    tensors = parameters = dotted = scalars = 0
    for child in children:
        name = child.key if isinstance(child.key, str) else ""
        is_tensor = isinstance(child, TensorInfo) and not is_random_state(child)
        has_dot = _DOTTED_NAME.match(name) is not None
        tensors += is_tensor
        # Packed parameters of quantized layers are tuples under a dotted key.
        parameters += has_dot or (is_tensor and _PARAMETER_NAME.match(name) is not None)
        dotted += has_dot and is_tensor
        scalars += child.kind == Kind.SCALAR
    if not tensors or node.kind == Kind.OBJECT or not _OTHER_WORDS.isdisjoint(_words(node.key)):
        return False
    # Numbers that somebody put among the tensors do not make it less of a state_dict.
    if 2 * parameters >= len(children) or (dotted > 1 and 2 * dotted >= len(children) - scalars):
        return True
    if 2 * tensors <= len(children) or any(type(child.key) is not str for child in children):
        return False
    if node.parent is None:
        # What torch itself keeps beside the tensors is no part of anybody's.
        return not any(child.kind in _PARTS and child.key != "_metadata" for child in children)
    return averaged or not _MODEL_WORDS.isdisjoint(_words(node.key))


def _is_average_of(node: Node, model: Node | None) -> bool:
    """An average has a model's keys. So have the twins of a GAN, which have twin names; an
    average that is not called one stands beside a plain ``model`` or ``state_dict``."""
    keys = {child.key for child in sample(node.children)}
    if "n_averaged" in keys:
        return True
    if model is None or model.parent is None or len(node.children) != len(model.children):
        return False
    if not _words(model.key) <= _PLAIN_MODEL_WORDS or not _MODEL_WORDS.isdisjoint(_words(node.key)):
        return False
    return _bare_keys(node) == _bare_keys(model)


def _bare_keys(node: Node) -> list[str]:
    """Keys without what DataParallel and torch.compile put before them."""
    return [_WRAPPED.sub("", str(child.key), count=1) for child in sample(node.children)]


def _is_hyper_parameters(node: Node, children: Sequence[Node], keys: set[str]) -> bool:
    words = _words(node.key)
    if children and not _UNMISTAKABLE.isdisjoint(words):
        return True
    if not children or _holds_tensors(node, 2):
        return False
    if node.kind == Kind.OBJECT and _HYPER_PARAMETER_TYPES.match(node.type_name):
        return True
    if not _HYPER_PARAMETER_WORDS.isdisjoint(words):
        return True
    return len(keys & _HYPER_PARAMETER_KEYS) >= 2 and all(_is_plain(child, 2) for child in children)


def _holds_tensors(node: Node, depth: int) -> bool:
    """Whether a tensor lies at most `depth` levels below `node`, as far as sampled."""
    below: list[Node] = [node]
    for _ in range(depth):
        below = [child for each in below[:SAMPLE] for child in sample(each.children)]
        if any(child.kind in (Kind.TENSOR, Kind.MODULE) for child in below):
            return True
    return False


def _is_plain(node: Node, depth: int) -> bool:
    """A number or a text, or a short list or mapping of these."""
    if node.kind == Kind.SCALAR:
        return True
    if not depth or node.kind not in (Kind.SEQUENCE, Kind.MAPPING) or len(node.children) > SAMPLE:
        return False
    return all(_is_plain(child, depth - 1) for child in node.children)


def _says_average(key: PathElement) -> bool:
    return any(_AVERAGE.fullmatch(word) for word in _words(key))


def _words(key: PathElement) -> set[str]:
    """The words of a key, in lower case: ``netG_ema`` has ``net``, ``g`` and ``ema``."""
    if not isinstance(key, str):
        return set()
    return {word.lower() for word in _WORD.findall(key[:80])}
