"""The Python that does the same as a transfer, with torch alone: to copy, and to check it by."""

from __future__ import annotations

from inspector_app.analysis.access import access, node_at
from inspector_app.analysis.load_call import LoadCall, import_lines, shards, torch_load
from inspector_app.analysis.python_text import bracketed, comment, literal
from inspector_app.analysis.transfer_plan import Act, Flow, TransferPlan
from inspector_app.analysis.transfer_values import overlap
from inspector_app.checkpoint.model import Checkpoint, Kind

_INITIAL = {
    "zeros": "torch.nn.init.zeros_({0})",
    "ones": "torch.nn.init.ones_({0})",
    "normal": "torch.nn.init.normal_({0}, std={1})",
    "uniform": "torch.nn.init.uniform_({0}, -{1}, {1})",
    "kaiming_normal": "torch.nn.init.kaiming_normal_({0})",
    "kaiming_uniform": "torch.nn.init.kaiming_uniform_({0})",
    "xavier_normal": "torch.nn.init.xavier_normal_({0})",
    "xavier_uniform": "torch.nn.init.xavier_uniform_({0})",
}
_DRAWN = frozenset(_INITIAL) - {"zeros", "ones"}


def transfer_code(plan: TransferPlan, out: str) -> str:
    """Lines that load both files, update the one with the other, and save it as `out`."""
    imports = ["torch"]
    lines: list[str] = []
    # The first file's variable is the whole checkpoint: it is what is saved.
    lines += _loaded("target", plan.target, imports)
    lines += _loaded("source", plan.source, imports)
    lines += [
        f"state = {_section('target', plan.target, plan.target_section)}",
        f"given = {_section('source', plan.source, plan.source_section)}",
    ]
    if plan.options.mapping:
        imports += ["re"] if plan.options.mapping.rules else []
        lines += _mapping(plan)
    kept = [flow.key for flow in plan.flows if _keeps(flow)]
    condition = "key in state and value.shape == state[key].shape"
    if kept:
        lines += ["", *bracketed("keep = set(", [literal(key) for key in kept], ")")]
        condition += " and key not in keep"
    lines += [
        "",
        "fits = {",
        "    key: value",
        "    for key, value in given.items()",
        "    if isinstance(value, torch.Tensor)",
        f"    and {condition}",
        "}",
    ]
    if plan.options.cast:
        lines.append("fits = {key: value.to(state[key].dtype) for key, value in fits.items()}")
    for flow in plan.flows:
        lines += _chosen(flow, plan)
    lines += ["state.update(fits)", ""]
    lines += _saved(plan, out, imports)
    return "\n".join([*import_lines(imports), "", *lines]) + "\n"


def _loaded(name: str, checkpoint: Checkpoint, imports: list[str]) -> list[str]:
    if checkpoint.format == "safetensors":
        imports.append("from safetensors.torch import load_file")
        files = shards(checkpoint) or [checkpoint.path]
        lines = [f"{name} = load_file({literal(files[0])})"]
        return lines + [f"{name}.update(load_file({literal(file)}))" for file in files[1:]]
    call: LoadCall = torch_load(checkpoint, brief=True)
    imports += [each for each in call.imports if each not in imports]
    return call.assigned_to(name)


def _section(name: str, checkpoint: Checkpoint, path: tuple[str | int, ...]) -> str:
    node = node_at(checkpoint, path)
    text = access(name, node) or name
    return f"{text}.state_dict()" if node.kind == Kind.MODULE else text


def _mapping(plan: TransferPlan) -> list[str]:
    """A function for the source's keys, and one for the target's where they lose a prefix."""
    mapping = plan.options.mapping
    lines = [""]
    theirs = ["key"]
    for prefix in mapping.strip_b:
        theirs[0] += f".removeprefix({literal(prefix)})"
    if mapping.renames:
        lines += ["renames = {"]
        lines += [f"    {literal(own)}: {literal(key)}," for own, key in mapping.renamed().items()]
        lines += ["}", ""]
    lines += ["", "def matched(key):"]
    if mapping.renames:
        lines += ["    if key in renames:", "        return renames[key]"]
    lines += [f"    key = {theirs[0]}"] if mapping.strip_b else []
    for rule in mapping.rules:
        lines.append(f"    key = re.sub({literal(rule.pattern)}, {literal(rule.replacement)}, key)")
    lines += ["    return key", "", ""]
    lines.append("given = {matched(key): value for key, value in given.items()}")
    if mapping.strip_a:
        mine = "key"
        for prefix in mapping.strip_a:
            mine += f".removeprefix({literal(prefix)})"
        lines += comment("The target's keys lose a prefix to be matched, and keep it.")
        lines += [f"given = {{key: given[{mine}] for key in state if {mine} in given}}"]
    return lines


def _keeps(flow: Flow) -> bool:
    """Whether the filter alone would take it."""
    same = flow.source is not None and flow.source.shape == flow.target.shape
    return same and flow.choice.act in (Act.KEEP, Act.INITIALISE, Act.FIT)


def _chosen(flow: Flow, plan: TransferPlan) -> list[str]:
    choice, key = flow.choice, literal(flow.key)
    if choice.act not in (Act.FIT, Act.INITIALISE):
        return []
    lines = [f"fits[{key}] = state[{key}].clone()"]
    if choice.initial is not None or choice.act == Act.INITIALISE:
        kind = choice.initial.kind if choice.initial is not None else "zeros"
        amount = choice.initial.amount if choice.initial is not None else 0.0
        if kind in _DRAWN:
            lines += comment("The numbers that torch draws are others.")
            seed = choice.initial.seed if choice.initial is not None else 0
            lines.append(f"torch.manual_seed({seed})")
        lines.append(_INITIAL[kind].format(f"fits[{key}]", amount))
    if choice.act == Act.FIT and flow.source is not None:
        into, out_of = overlap(flow.source.shape, flow.target.shape, choice.where)
        mine, theirs = (
            ", ".join(f"{part.start}:{part.stop}" for part in slices) for slices in (into, out_of)
        )
        named = literal(flow.key if plan.options.mapping else flow.source_key or flow.key)
        if plan.options.mapping and not plan.options.mapping.strip_a:
            named = literal(plan.options.mapping.a_key(flow.key))
        lines.append(f"fits[{key}][{mine}] = given[{named}][{theirs}]")
    return lines


def _saved(plan: TransferPlan, out: str, imports: list[str]) -> list[str]:
    if out.lower().endswith(".safetensors"):
        imports.append("from safetensors.torch import save_file")
        return [f"save_file(state, {literal(out)})"]
    if plan.target_section:
        return [f"torch.save(target, {literal(out)})"]
    return [f"torch.save(state, {literal(out)})"]
