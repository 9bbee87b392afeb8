"""Python that saves what a plan says with torch and safetensors alone."""

from __future__ import annotations

from collections.abc import Sequence

from inspector_app.analysis.load_call import import_lines
from inspector_app.analysis.python_text import bracketed, comment, literal
from inspector_app.analysis.save_options import Averaging, Form, SaveOptions, Ties
from inspector_app.analysis.save_plan import SavePlan
from inspector_app.analysis.state_code import state_lines, whole_lines
from inspector_app.checkpoint.model import Checkpoint, SectionKind, TreePath

_MODELS = (SectionKind.MODEL, SectionKind.EMA)
_MOST_ALIASES = 40
_INDENT = "    "


def python_code(plan: SavePlan, options: SaveOptions, target: str) -> str | None:
    """A program, or None where the source is of a format that no few lines load."""
    first = plan.checkpoints[0]
    whole = plan.form == Form.TORCH and _is_whole(first, options)
    if whole or (options.sections is not None and len(options.sections) > 1):
        return _of_parts(plan, options, target) if plan.form == Form.TORCH else None
    section = options.sections[0] if options.sections else _model(first)
    imports: list[str] = []
    lines: list[str] = []
    names = [f"state_{number}" for number in range(len(plan.checkpoints))]
    for checkpoint, name in zip(plan.checkpoints, names, strict=True):
        each = section if checkpoint is first else _model(checkpoint)
        loaded = state_lines(checkpoint, each, "state" if len(names) == 1 else name)
        if loaded is None:
            return None
        imports += loaded.imports
        lines += loaded.lines
    if options.use_ema:
        average = state_lines(first, _section(first, SectionKind.EMA), "average")
        if average is None:
            return None
        lines += average.lines
        lines.append("state.update({key: average[key] for key in state if key in average})")
    if options.averaging is not None:
        imports.append("torch")
        lines += _averaging(options.averaging, names)
    changing = _changing(options, imports)
    if changing:
        lines = [*changing, "", "", *lines, "state = changed(state)"]
    lines += ["", *_saving(plan, options, target, imports)]
    return "\n".join([*import_lines(imports), "", *lines]) + "\n"


def _of_parts(plan: SavePlan, options: SaveOptions, target: str) -> str | None:
    """Several parts of a file, or all of it: what is around the models stays."""
    first = plan.checkpoints[0]
    loaded = whole_lines(first, "checkpoint")
    if loaded is None or options.use_ema or options.averaging is not None:
        return None
    imports, lines = [*loaded.imports, "torch"], list(loaded.lines)
    tops = [path[0] for path in options.sections or () if len(path) == 1]
    if options.sections is not None:
        if len(tops) != len(options.sections):
            return None
        keys = [literal(key) for key in tops]
        lines += bracketed("checkpoint = {key: checkpoint[key] for key in ", keys, "}")
    models = [each.path for each in first.sections if each.kind in _MODELS]
    models = [path for path in models if options.sections is None or path in options.sections]
    parts = {literal(path[0]) for path in _kept_out(first, options)}
    lines += [f"del checkpoint[{name}]" for name in sorted(parts)]
    changing = _changing(options, imports)
    if changing:
        lines = [*changing, "", "", *lines]
        for path in models:
            place = "checkpoint" + "".join(f"[{literal(key)}]" for key in path)
            lines.append(f"{place} = changed({place})")
    lines += ["", f"torch.save(checkpoint, {literal(target)})"]
    return "\n".join([*import_lines(imports), "", *lines]) + "\n"


def _is_whole(first: Checkpoint, options: SaveOptions) -> bool:
    bare = any(section.path == () for section in first.sections)
    return options.sections is None and options.averaging is None and not bare


def _kept_out(first: Checkpoint, options: SaveOptions) -> list[TreePath]:
    """Whole parts that a pattern drops by their name."""
    from glob import escape

    dropped = set(options.drop)
    return [
        section.path
        for section in first.sections
        if len(section.path) == 1 and escape(str(section.path[0])) in dropped
    ]


def _model(checkpoint: Checkpoint) -> TreePath:
    path = _section(checkpoint, SectionKind.MODEL)
    return path or _section(checkpoint, SectionKind.EMA)


def _section(checkpoint: Checkpoint, kind: str) -> TreePath:
    return next((each.path for each in checkpoint.sections if each.kind == kind), ())


def _changing(options: SaveOptions, imports: list[str]) -> list[str]:
    """A function that does to a state_dict what the options say; [] if that is nothing."""
    body: list[str] = []
    if options.keep or options.drop:
        imports.append("from fnmatch import fnmatchcase")
    for patterns, word in ((options.keep, "not "), (options.drop, "")):
        if patterns:
            listed = ", ".join(map(literal, patterns)) + ","
            body.append(f"if {word}any(fnmatchcase(key, each) for each in ({listed})):")
            body.append(f"{_INDENT}continue")
    if options.dtypes:
        imports.append("torch")
        body.append("dtype = value.dtype if torch.is_tensor(value) else None")
        for rule in options.dtypes:
            floating = "dtype is not None and value.is_floating_point()"
            if rule.pattern:
                imports.append("from fnmatch import fnmatchcase")
                floating += f" and fnmatchcase(key, {literal(rule.pattern)})"
            body += [f"if {floating}:", f"{_INDENT}dtype = torch.{rule.dtype}"]
        body += ["if dtype is not None:", f"{_INDENT}value = value.to(dtype)"]
    for test, action in (
        (options.device, f".to({literal(options.device)})"),
        (options.contiguous, ".contiguous()"),
        (options.ties == Ties.CLONE, ".clone()"),
    ):
        if test:
            imports.append("torch")
            body += ["if torch.is_tensor(value):", f"{_INDENT}value = value{action}"]
    body += [f"key = key.removeprefix({literal(each)})" for each in options.strip_prefix]
    for renaming in options.rules:
        imports.append("re")
        pattern, replacement = literal(renaming.pattern), literal(renaming.replacement)
        body.append(f"key = re.sub({pattern}, {replacement}, key)")
    if options.add_prefix:
        body.append(f"key = {literal(options.add_prefix)} + key")
    if not body:
        return []
    return [
        "def changed(state):",
        f"{_INDENT}result = {{}}",
        f"{_INDENT}for key, value in state.items():",
        *(f"{_INDENT * 2}{line}" for line in body),
        f"{_INDENT * 2}result[key] = value",
        f"{_INDENT}return result",
    ]


def _averaging(averaging: Averaging, names: Sequence[str]) -> list[str]:
    lines = [f"states = [{', '.join(names)}]"]
    if averaging.kind == "ema":
        step = f"{averaging.decay!r} * value + {1 - averaging.decay!r} * each[key].to(wide)"
        merge = ["value = states[0][key].to(wide)", "for each in states[1:]:", f"{_INDENT}{step}"]
        merge[2] = f"{_INDENT}value = {step}"
    else:
        weights = averaging.weights or (1.0,) * len(names)
        lines.append(f"weights = [{', '.join(map(repr, weights))}]")
        pairs = "zip(weights, states, strict=True)"
        merge = [
            f"value = sum(w * each[key].to(wide) for w, each in {pairs})",
            "value = value / sum(weights)",
        ]
    return [
        *lines,
        "state = dict(states[-1])",
        "for key, first in states[0].items():",
        f"{_INDENT}tensor = torch.is_tensor(first)",
        f"{_INDENT}if tensor and (first.is_floating_point() or first.is_complex()):",
        f"{_INDENT * 2}wide = torch.complex128 if first.is_complex() else torch.float64",
        *(f"{_INDENT * 2}{line}" for line in merge),
        f"{_INDENT * 2}state[key] = value.to(first.dtype)",
    ]


def _saving(plan: SavePlan, options: SaveOptions, target: str, imports: list[str]) -> list[str]:
    place = literal(target)
    if plan.form == Form.TORCH:
        imports.append("torch")
        return [f"torch.save(state, {place})"]
    if plan.form == Form.NPZ:
        imports.append("numpy")
        note = comment("numpy has no bfloat16 and no float8: cast these before.")
        return [*note, f"numpy.savez({place}, **{{key: v.numpy() for key, v in state.items()}})"]
    lines: list[str] = []
    if plan.aliases:
        lines += comment("Tied tensors are written once; the metadata names the others.")
        if len(plan.aliases) > _MOST_ALIASES:
            lines += comment(f"The first {_MOST_ALIASES} of {len(plan.aliases)} are listed here.")
        named = plan.aliases[:_MOST_ALIASES]
        lines.append("aliases = {")
        lines += [f"{_INDENT}{literal(one)}: {literal(other)}," for one, other in named]
        lines += ["}", "for key in aliases:", f"{_INDENT}del state[key]"]
        metadata = '{"format": "pt", **aliases}'
    else:
        metadata = '{"format": "pt"}'
    lines.append("state = {key: value.contiguous() for key, value in state.items()}")
    if options.max_shard_bytes is not None:
        imports += ["os", "from huggingface_hub import save_torch_state_dict"]
        return [
            *lines,
            f"folder, name = os.path.split({place})",
            'pattern = name.removesuffix(".safetensors") + "{suffix}.safetensors"',
            f"save_torch_state_dict(state, folder, max_shard_size={options.max_shard_bytes}, "
            "filename_pattern=pattern)",
        ]
    imports.append("from safetensors.torch import save_file")
    return [*lines, f"save_file(state, {place}, metadata={metadata})"]
