"""Python lines that bring a training run back to where its checkpoint was saved."""

from __future__ import annotations

from inspector_app.analysis.access import access
from inspector_app.analysis.load_call import import_lines, shards, torch_load
from inspector_app.analysis.model_lines import LoadedPart, is_lightning, model_parts, parts_of_kind
from inspector_app.analysis.python_text import comment, literal
from inspector_app.analysis.random_state_lines import random_state_lines
from inspector_app.analysis.state_dict_keys import change_lines, key_changes
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, SectionKind
from inspector_app.checkpoint.text import plain

_TORCH_FORMATS = ("torch-zip", "torch-legacy", "torch-tar")
_EPOCH_KEYS = ("epoch", "current_epoch", "last_epoch", "epochs")
_STEP_KEYS = ("global_step", "step", "iteration", "iter", "num_updates", "steps")
_CHILDREN = 64
# What each optimizer of torch.optim keeps in its param groups and no other does.
_OPTIMIZERS = (
    ("nesterov", "SGD"),
    ("etas", "Rprop"),
    ("centered", "RMSprop"),
    ("lr_decay", "Adagrad"),
    ("rho", "Adadelta"),
    ("lambd", "ASGD"),
    ("history_size", "LBFGS"),
    ("momentum_decay", "NAdam"),
    ("betas", "AdamW"),
)


def resume_code(checkpoint: Checkpoint) -> str | None:
    """Lines that restore model, optimizer, scheduler, scaler, epoch and random states.

    None where the file has no optimizer to go on with. `model`, `optimizer`,
    `scheduler` and `scaler` must exist; with several of a kind they are named after
    their keys, or are lists where the file has a list.
    """
    optimizers = _parts(checkpoint, SectionKind.OPTIMIZER, "optimizer")
    if checkpoint.format not in _TORCH_FORMATS or shards(checkpoint) or not optimizers:
        return None
    body: list[str] = []
    for part in model_parts(checkpoint):
        body += _model_lines(part)
    body += _averages(checkpoint)
    for part in optimizers:
        body += _optimizer_lines(part)
    for part in _parts(checkpoint, SectionKind.SCHEDULER, "scheduler"):
        body += ["", f"# {part.name} = YourScheduler(...)", _load(part)]
    for part in _parts(checkpoint, SectionKind.SCALER, "scaler"):
        body += ["", f"# {part.name} = torch.amp.GradScaler(device.type)", _load(part)]
    body += _progress(checkpoint)
    imports, states = random_state_lines(checkpoint)
    load = torch_load(checkpoint)
    lines = [*import_lines([*load.imports, *imports]), ""]
    lines.append('device = torch.device("cuda" if torch.cuda.is_available() else "cpu")')
    # On the CPU first: load_state_dict copies, and random states must be there.
    lines += [*load.assigned_to("checkpoint"), *body, *states]
    if is_lightning(checkpoint):
        states = [*states, "", "# With Lightning all of this is one call:"]
        states.append(f"# trainer.fit(model, ckpt_path={literal(checkpoint.path)})")
    trained = [f"{part.name}.train()" for part in model_parts(checkpoint)]
    return "\n".join([*lines, *(["", *trained] if trained else [])]) + "\n"


def _parts(checkpoint: Checkpoint, kind: str, name: str) -> list[LoadedPart]:
    """Parts of a kind; those that lie in one list are elements of a list, too."""
    taken = [part.name for part in model_parts(checkpoint)]
    parts = parts_of_kind(checkpoint, kind, name, taken)
    parents = {id(part.node.parent) for part in parts}
    parent = parts[0].node.parent if parts else None
    if len(parts) > 1 and len(parents) == 1 and parent and parent.kind == Kind.SEQUENCE:
        return [
            LoadedPart(f"{name}s[{part.node.key}]", part.expression, part.node) for part in parts
        ]
    return parts


def _model_lines(part: LoadedPart) -> list[str]:
    if part.whole:
        return ["", f"{part.name} = {part.expression}", f"{part.name}.to(device)"]
    lines = ["", f"state_dict = {part.expression}"]
    lines += [*change_lines(key_changes(part.node)), f"# {part.name} = YourModel(...)"]
    # Before the optimizer: it moves its state to where the parameters are.
    return [*lines, f"{part.name}.load_state_dict(state_dict)", f"{part.name}.to(device)"]


def _averages(checkpoint: Checkpoint) -> list[str]:
    lines: list[str] = []
    models = {part.expression for part in model_parts(checkpoint)}
    for part in parts_of_kind(checkpoint, SectionKind.EMA, "ema_model"):
        if part.expression not in models:
            lines += comment(f"The averaged weights (EMA) go on from {plain(part.expression)}")
    return ["", *lines] if lines else []


def _optimizer_lines(part: LoadedPart) -> list[str]:
    lines = [""]
    kind = _optimizer_kind(part.node)
    lines.append(f"# {part.name} = torch.optim.{kind}(model.parameters(), ...)")
    return [*lines, _load(part)]


def _optimizer_kind(optimizer: Node) -> str:
    groups = [child for child in optimizer.children if child.key == "param_groups"]
    if groups and groups[0].children:
        keys = {child.key for child in groups[0].children[0].children[:_CHILDREN]}
        for key, name in _OPTIMIZERS:
            if key in keys:
                return name
    return "YourOptimizer"


def _load(part: LoadedPart) -> str:
    state = f"{part.expression}.state_dict()" if part.whole else part.expression
    return f"{part.name}.load_state_dict({state})"


def _progress(checkpoint: Checkpoint) -> list[str]:
    """The epoch to go on with, and the step count."""
    lines: list[str] = []
    epoch = _number(checkpoint.root, _EPOCH_KEYS)
    if epoch is not None:
        expression = access("checkpoint", epoch)
        lines += comment(
            f"Epoch {epoch.value} is taken as done. Without the + 1 where epochs are counted after"
            " they end, as the ImageNet example does."
        )
        lines.append(f"start_epoch = {expression} + 1")
    step = _number(checkpoint.root, _STEP_KEYS)
    if step is not None:
        lines.append(f"step = {access('checkpoint', step)}")
    return ["", *lines] if lines else []


def _number(root: Node, keys: tuple[str, ...]) -> Node | None:
    """The first integer with one of these keys, in the root or a mapping right below it."""
    below = [child for child in root.children[:_CHILDREN] if child.kind == Kind.MAPPING]
    for mapping in (root, *below):
        if mapping.kind != Kind.MAPPING or _is_state(mapping):
            continue
        entries = {child.key: child for child in mapping.children[-_CHILDREN:]}
        entries |= {child.key: child for child in mapping.children[:_CHILDREN]}
        for key in keys:
            node = entries.get(key)
            if node is not None and type(node.value) is int:
                return node
    return None


def _is_state(mapping: Node) -> bool:
    """A scheduler or an optimizer, whose own counters are none of the run's."""
    keys = {child.key for child in mapping.children[:_CHILDREN]}
    return "param_groups" in keys or "base_lrs" in keys or "_step_count" in keys
