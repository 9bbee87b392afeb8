"""`export`: from a checkpoint to a file that computes the same, through a worker process."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.terminal.progress_line import ProgressLine, drive
from inspector_app.worker.export_run import ENDINGS, ExportOutcome, ExportPlan, exporting
from inspector_app.worker.failures import Failed, Failure
from inspector_app.worker.input_text import parse_axis, parse_input
from inspector_app.worker.protocol import (
    FLOAT_DTYPES,
    WRAPPERS,
    ExportedProgramOptions,
    FormatOptions,
    Inputs,
    InputSpec,
    Log,
    ModelChoice,
    ModelSource,
    OnnxOptions,
    Progress,
    ProofSettings,
    SafetensorsOptions,
    SourceKind,
    StateDictOptions,
    TorchScriptOptions,
    Weights,
)
from inspector_app.worker.suggestions import suggested_source

Write = Callable[[Iterable[str]], None]
# What this command calls the next step.
_OPTION_FOR = {
    "consent-needed": "--trust allows it",
    "weights-do-not-fit": "--no-strict loads what fits",
    "class-not-found": "--model names it",
    "no-model-in-file": "--model FILE.py:NAME does",
    "worker-ended": "--verbose prints it",
    "worker-crashed": "--verbose prints what it said",
    "worker-fault": "--verbose prints them",
    "source-module-not-found": "--python chooses another Python",
    "torch-missing": "--python chooses another Python",
    "module-not-found": "--python chooses another Python",
}
_ARGUMENTS_FORM = "write an object such as '{\"width\": 64}'"
_WITHOUT_INPUTS = (SafetensorsOptions, StateDictOptions)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="SRC", help="the checkpoint")
    parser.add_argument(
        "out", metavar="OUT", help=f"the file to write; its ending says what: {' '.join(ENDINGS)}"
    )
    model = parser.add_argument_group("the model")
    model.add_argument(
        "--model",
        metavar="SPEC",
        help="its class or factory, FILE.py:NAME or package.module:NAME; FILE.py alone for the "
        "classes of a pickled model; not needed where SRC holds the model or a config.json of "
        "Hugging Face lies beside it",
    )
    model.add_argument(
        "--model-args", metavar="JSON", default="{}", help="keyword arguments, as an object"
    )
    model.add_argument("--section", metavar="S", help="where the weights are in SRC, as a/b")
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
        choices=FLOAT_DTYPES,
        default="",
        help="cast its floating point weights to this first",
    )
    model.add_argument(
        "--python", metavar="INTERPRETER", default="", help="the Python that runs the model"
    )
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
    options = parser.add_argument_group("the file")
    options.add_argument(
        "--torchscript", choices=("trace", "script"), default="trace", help="how .pt is made"
    )
    options.add_argument("--freeze", action="store_true", help="freeze a TorchScript graph")
    options.add_argument(
        "--optimize", action="store_true", help="optimize a TorchScript graph for inference"
    )
    options.add_argument(
        "--exporter", choices=("dynamo", "torchscript"), default="dynamo", help="of .onnx"
    )
    options.add_argument("--opset", type=int, help="of .onnx")
    proof = parser.add_argument_group("the proof")
    proof.add_argument(
        "--no-proof",
        action="store_true",
        help="write without comparing, neither the file nor a trace on other inputs",
    )
    proof.add_argument("--rtol", type=float, help="relative tolerance; that of the dtype if absent")
    proof.add_argument("--atol", type=float, help="absolute tolerance; that of the dtype if absent")
    proof.add_argument(
        "--report",
        metavar="FILE",
        action="append",
        default=[],
        help="also write what was found as .json or .html, whether it passed or not",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument("--quiet", action="store_true", help="print nothing but what is wrong")
    parser.add_argument(
        "--verbose", action="store_true", help="what the model's code prints, and its traceback"
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def export(arguments: argparse.Namespace, write: Write) -> bool:
    """Export and print; whether the result differs from the original.

    Raises:
        CheckpointError: SRC cannot be read.
        Trouble: it cannot be exported; the sentence has a next step.
    """
    visible = not (arguments.no_progress or arguments.quiet)
    try:
        options = _options(arguments)
        inputs = _inputs(arguments)
    except Failure as failure:
        raise Trouble(_sentence(failure.failed)) from None
    if not inputs.specs and not isinstance(options, _WITHOUT_INPUTS):
        raise Trouble("an --input is needed, such as --input x:1,3,224,224:float32")
    checkpoint = drive(arguments.file, visible)
    plan = ExportPlan(
        model=_model(arguments, checkpoint),
        inputs=inputs,
        options=options,
        target=arguments.out,
        interpreter=arguments.python,
        proof=None
        if arguments.no_proof
        else ProofSettings(rtol=arguments.rtol, atol=arguments.atol),
    )
    _check_reports(arguments)
    outcome = _driven(plan, ProgressLine(visible and not arguments.verbose), arguments.verbose)
    from inspector_app.terminal.export_report import json_parts, report_text, text_parts

    for path in arguments.report:
        _save(path, report_text(path, plan, outcome))
    if outcome.failed is not None:
        if arguments.verbose and outcome.failed.traceback:
            print(outcome.failed.traceback, file=sys.stderr)
        raise Trouble(f"{plain(arguments.file)}: {_sentence(outcome.failed)}")
    if arguments.json:
        write(json_parts(plan, outcome))
    elif not arguments.quiet or not outcome.files:
        write(text_parts(plan, outcome))
    return not outcome.files


def _check_reports(arguments: argparse.Namespace) -> None:
    """Raise `Trouble` before minutes of work where a report has no place to go."""
    taken = [os.path.realpath(arguments.file), os.path.realpath(arguments.out)]
    for path in arguments.report:
        if not path.lower().endswith((".json", ".html", ".htm")):
            raise Trouble(f"--report {plain(path)}: it ends neither in .json nor in .html")
        if os.path.realpath(path) in taken:
            raise Trouble(f"--report {plain(path)}: that is SRC, OUT or another report")
        taken.append(os.path.realpath(path))


def _save(path: str, text: str) -> None:
    from inspector_app.analysis.report_file import writing

    try:
        for _ in writing(path, [text]):
            pass
    except OSError as error:
        raise Trouble(f"{plain(path)}: {error.strerror}") from None


def _driven(plan: ExportPlan, line: ProgressLine, verbose: bool) -> ExportOutcome:
    with closing(exporting(plan)) as steps:
        try:
            while True:
                event = next(steps)
                if isinstance(event, Progress):
                    line.show(f"{plain(event.stage)} …")
                elif isinstance(event, Log) and verbose:
                    print(plain(event.text, 2_000), file=sys.stderr)
        except StopIteration as end:
            outcome: ExportOutcome = end.value
            return outcome
        finally:
            line.erase()


def _sentence(failed: Failed) -> str:
    option = _OPTION_FOR.get(failed.code)
    return f"{failed.cause}. {failed.next_step}" + (f" {option}." if option else "")


def _options(arguments: argparse.Namespace) -> FormatOptions:
    kind = ENDINGS.get(Path(arguments.out).suffix.lower())
    if kind == "onnx":
        return OnnxOptions(arguments.exporter, arguments.opset)
    if kind == "torchscript":
        how = TorchScriptOptions(arguments.torchscript, arguments.freeze, arguments.optimize)
        # Running a trace on other inputs is a proof too.
        return replace(how, check_inputs=0) if arguments.no_proof else how
    if kind == "torch-export":
        return ExportedProgramOptions()
    if kind == "safetensors":
        return SafetensorsOptions()
    if kind == "state-dict":
        return StateDictOptions()
    raise Failure("unknown-format", name=arguments.out)


def _inputs(arguments: argparse.Namespace) -> Inputs:
    specs = tuple(parse_input(text) for text in arguments.input)
    absolute = tuple(_with_absolute_file(spec) for spec in specs)
    return Inputs(absolute, tuple(map(parse_axis, arguments.dynamic)), arguments.seed)


def _with_absolute_file(spec: InputSpec) -> InputSpec:
    return replace(spec, file=os.path.abspath(spec.file)) if spec.file else spec


def _model(arguments: argparse.Namespace, checkpoint: Checkpoint) -> ModelChoice:
    section = _section(arguments.section, checkpoint)
    return ModelChoice(
        checkpoint=os.path.abspath(arguments.file),
        source=_source(arguments, checkpoint),
        weights=Weights(
            section=section,
            strip_prefixes=(*arguments.strip_prefix, *WRAPPERS),
            rules=_rules(arguments.map),
            strict=not arguments.no_strict,
        ),
        trust=arguments.trust,
        device=arguments.device,
        dtype=arguments.dtype,
    )


def _source(arguments: argparse.Namespace, checkpoint: Checkpoint) -> ModelSource:
    try:
        given = json.loads(arguments.model_args, parse_constant=_not_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Trouble(f"--model-args is no JSON: {error}; {_ARGUMENTS_FORM}") from None
    if not isinstance(given, dict):
        raise Trouble(f"--model-args is no JSON object; {_ARGUMENTS_FORM}")
    if arguments.model:
        if arguments.model.endswith(".py"):
            return ModelSource(SourceKind.FILE, arguments.model, given)
        return ModelSource(SourceKind.CODE, arguments.model, given)
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


def _rules(texts: list[str]) -> tuple[tuple[str, str], ...]:
    if not texts:
        return ()
    from inspector_app.analysis.key_mapping import BadRuleError, Rule

    try:
        rules = [Rule.parse(text) for text in texts]
    except BadRuleError as error:
        raise Trouble(f"--map {error}") from None
    return tuple((rule.pattern, rule.replacement) for rule in rules)
