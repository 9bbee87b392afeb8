"""The options of a command that name a model and its inputs, and what they mean for a file."""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.worker.failures import Failed, Failure
from inspector_app.worker.input_text import parse_axis, parse_input
from inspector_app.worker.protocol import (
    FLOAT_DTYPES,
    WRAPPERS,
    Inputs,
    InputSpec,
    ModelChoice,
    ModelSource,
    SourceKind,
    Weights,
)
from inspector_app.worker.source_listing import config_of, listing
from inspector_app.worker.suggestions import suggested_source

# What a command calls the next step.
_OPTION_FOR = {
    "consent-needed": "--trust allows it",
    "weights-do-not-fit": "--map renames keys, --no-strict loads what fits",
    "class-not-found": "--model names it",
    "no-model-in-file": "--model FILE.py:NAME does",
    "section-no-model": "--section and --model do",
    "no-weights": "--section names it",
    "bad-rule": "--map has it",
    "device": "--device cpu does",
    "worker-ended": "--verbose prints it",
    "worker-crashed": "--verbose prints what it said",
    "worker-fault": "--verbose prints them",
    "source-module-not-found": "--python chooses another Python",
    "torch-missing": "--python chooses another Python",
    "torch-too-old": "--python chooses another Python",
    "torch-broken": "--python chooses another Python",
    "no-interpreter": "--python names it",
    "interpreter-not-found": "--python names it",
    "interpreter-too-old": "--python names it",
    "module-not-found": "--python chooses another Python",
    "pickled-class-not-found": "--python and --model do",
}
_ARGUMENTS_FORM = "write an object such as '{\"width\": 64}'"


def declare_model(
    parser: argparse.ArgumentParser,
    dtypes: Sequence[str] = FLOAT_DTYPES,
    dtype_help: str = "cast its floating point weights to this first",
) -> None:
    """Add the options that say which model it is.

    Args:
        dtypes: that --dtype may name.
        dtype_help: what that does.
    """
    model = parser.add_argument_group("the model")
    model.add_argument(
        "--model",
        metavar="SPEC",
        help="its class or factory, FILE.py:NAME or package.module:NAME; FILE.py alone for the "
        "classes of a pickled model; not needed where SRC holds the model or a config.json of "
        "Hugging Face lies beside it",
    )
    model.add_argument(
        "--model-args",
        metavar="JSON",
        default="{}",
        help="keyword arguments, as an object; those that SRC's own configuration has are taken "
        "from there",
    )
    model.add_argument(
        "--section",
        metavar="S",
        help="where the weights, or one of several pickled models, are in SRC, as a/b",
    )
    model.add_argument(
        "--strip-prefix",
        metavar="P",
        action="append",
        default=[],
        help="keys lose this prefix where more of them match then; may be repeated; what "
        "DataParallel and torch.compile add is dropped anyway",
    )
    model.add_argument(
        "--map",
        metavar="REGEX=>REPL",
        action="append",
        default=[],
        help="replace in SRC's keys, without their prefix, what matches; may be repeated",
    )
    model.add_argument(
        "--no-strict", action="store_true", help="load what fits, and say what does not"
    )
    model.add_argument(
        "--trust", action="store_true", help="run the code of a pickled model: it may do anything"
    )
    model.add_argument(
        "--device", metavar="D", default="cpu", help="where it runs: cpu, cuda, cuda:1, mps"
    )
    model.add_argument(
        "--dtype",
        choices=dtypes,
        default="",
        help=dtype_help,
    )
    model.add_argument(
        "--python", metavar="INTERPRETER", default="", help="the Python that runs the model"
    )


def declare_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what it is run on."""
    inputs = parser.add_argument_group("its inputs")
    inputs.add_argument(
        "--input",
        metavar="X",
        action="append",
        default=[],
        help="x:1,3,224,224:float32, ids:1,128:int64:0..30521 or x=@x.npy; may be repeated",
    )
    inputs.add_argument(
        "--dynamic",
        metavar="AXIS",
        action="append",
        default=[],
        help="x:0=batch or x:1=sequence:1..512; may be repeated",
    )
    inputs.add_argument("--seed", type=int, default=0, help="of random inputs")


def inputs_of(arguments: argparse.Namespace) -> Inputs:
    """The inputs that are asked for, of --dtype where they name none.

    Raises:
        Failure: one of them is none.
    """
    dtype = arguments.dtype or "float32"
    specs = tuple(_with_absolute_file(parse_input(text, dtype)) for text in arguments.input)
    return Inputs(specs, tuple(map(parse_axis, arguments.dynamic)), arguments.seed)


def _with_absolute_file(spec: InputSpec) -> InputSpec:
    return replace(spec, file=os.path.abspath(spec.file)) if spec.file else spec


def choice_of(
    arguments: argparse.Namespace, checkpoint: Checkpoint, prefilled: Mapping[str, object]
) -> ModelChoice:
    """The model that is asked for.

    Args:
        prefilled: of `prefilled_arguments`.

    Raises:
        Trouble: nothing says which one.
    """
    return ModelChoice(
        checkpoint=os.path.abspath(arguments.file),
        source=_source(arguments, checkpoint, prefilled),
        weights=Weights(
            section=_section(arguments.section, checkpoint),
            strip_prefixes=(*arguments.strip_prefix, *WRAPPERS),
            rules=_rules(arguments.map),
            strict=not arguments.no_strict,
        ),
        trust=arguments.trust,
        device=arguments.device,
        dtype=arguments.dtype,
    )


def prefilled_arguments(arguments: argparse.Namespace, checkpoint: Checkpoint) -> dict[str, object]:
    """Arguments of the model's class that the checkpoint's own configuration has and
    --model-args does not name, as the window's form has them."""
    source, colon, name = (arguments.model or "").rpartition(":")
    if not colon or not source.endswith(".py"):
        return {}
    given = _given(arguments)
    try:
        offers = listing(source, config_of(checkpoint)).offers
    except Failure:
        return {}  # the worker, which imports it, says what is wrong
    return {
        each.name: each.suggested
        for offer in offers
        if offer.name == name
        for each in offer.arguments
        if each.has_suggestion and each.name not in given and _is_json(each.suggested)
    }


def prefilled_text(prefilled: Mapping[str, object]) -> str:
    """``width=64, depth=2``, or ""."""
    return ", ".join(
        f"{plain(name)}={plain(json.dumps(value), 60)}" for name, value in prefilled.items()
    )


def failure_text(failed: Failed, prefilled: Mapping[str, object] | None = None) -> str:
    """What is wrong and what to do, with this command's options for it."""
    parts = [f"{failed.cause}.", failed.next_step]
    option = _OPTION_FOR.get(failed.code)
    if failed.code == "constructor":
        names = [each for each in failed.details.get("lacking", "").split(", ") if each]
        form = ", ".join(f'"{plain(each)}": …' for each in names or ["width"])
        option = f"--model-args '{{{form}}}' gives them"
    if option:
        parts.append(f"{option}.")
    if prefilled and failed.code in ("constructor", "weights-do-not-fit"):
        parts.append(f"The checkpoint's own configuration gave {prefilled_text(prefilled)}.")
    return " ".join(parts)


def _is_json(value: object) -> bool:
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return all(not isinstance(each, float) or math.isfinite(each) for each in values)


def _given(arguments: argparse.Namespace) -> dict[str, object]:
    try:
        given = json.loads(arguments.model_args, parse_constant=_not_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Trouble(f"--model-args is no JSON: {error}; {_ARGUMENTS_FORM}") from None
    if not isinstance(given, dict):
        raise Trouble(f"--model-args is no JSON object; {_ARGUMENTS_FORM}")
    return given


def _source(
    arguments: argparse.Namespace, checkpoint: Checkpoint, prefilled: Mapping[str, object]
) -> ModelSource:
    given = _given(arguments)
    if arguments.model:
        if arguments.model.endswith(".py"):
            return ModelSource(SourceKind.FILE, arguments.model, given)
        return ModelSource(SourceKind.CODE, arguments.model, {**prefilled, **given})
    suggested = suggested_source(checkpoint)
    if suggested is not None:
        return replace(suggested, arguments=given)
    raise Trouble(
        f"{plain(arguments.file)}: it holds tensors without a graph; name the class or factory "
        "that builds the model with --model path/to/model.py:NAME or package.module:NAME"
    )


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _not_finite(text)


def _not_finite(text: str) -> float:
    """Python's own reader takes what is no JSON, and no report can show."""
    raise ValueError(f"{text} is no finite number")


def _section(text: str | None, checkpoint: Checkpoint) -> tuple[str | int, ...] | None:
    """The path of the node that is called `text`: keys may have slashes of their own."""
    if text is None:
        return None
    for node in checkpoint.root.walk():
        if node.name == text:
            return node.path
    found = ", ".join("/".join(map(str, each.path)) for each in checkpoint.sections if each.path)
    raise Trouble(
        f"--section: there is no {plain(text)}; sections are {plain(found) or 'the root'}"
    )


def _rules(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    if not texts:
        return ()
    from inspector_app.analysis.key_mapping import BadRuleError, Rule

    try:
        rules = [Rule.parse(text) for text in texts]
    except BadRuleError as error:
        raise Trouble(f"--map {error}") from None
    return tuple((rule.pattern, rule.replacement) for rule in rules)
