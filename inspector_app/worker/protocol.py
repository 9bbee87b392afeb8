"""What a worker is asked and what it answers: frozen dataclasses, each a line of JSON.

A client writes one request to the worker's stdin. The worker writes events to its stdout,
the last of which is `Finished`, with the result of that kind of request, or `Failed`::

    Probe     -> Probed       what an interpreter has
    Describe  -> Described    the model, built: its keys, how the weights fit, its inputs
    Trial     -> Tried        one forward: shapes of the outputs, time
    Export    -> Exported     files written to a folder of the client's
    Prove     -> Proved       the original and the result, compared

and those of `quantize_protocol` and `rehearsal_protocol`.

Standard library only: both sides import it, and they may run under different Pythons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from inspector_app.worker.failures import FAILURES, Failed, sentence
from inspector_app.worker.json_form import BadMessage, from_json, to_json
from inspector_app.worker.model_choice import (
    FLOAT_DTYPES,
    WRAPPERS,
    DynamicAxis,
    Inputs,
    InputSpec,
    ModelChoice,
    ModelSource,
    SourceKind,
    Weights,
)
from inspector_app.worker.quantize_protocol import (
    Measure,
    Measured,
    MethodsProbed,
    ProbeMethods,
    Quantize,
    Quantized,
    Weigh,
    Weighed,
)
from inspector_app.worker.rehearsal_protocol import RateCurves, Rates, Rehearse, Rehearsed

__all__ = [
    "FAILURES",
    "FLOAT_DTYPES",
    "VERSION",
    "WRAPPERS",
    "BadMessage",
    "Describe",
    "Described",
    "DynamicAxis",
    "Event",
    "Export",
    "Exported",
    "ExportedProgramOptions",
    "Failed",
    "Finished",
    "FormatOptions",
    "ForwardParameter",
    "InputSpec",
    "Inputs",
    "KeyShape",
    "LoadReport",
    "Log",
    "Measure",
    "Measured",
    "MethodsProbed",
    "Mismatch",
    "ModelChoice",
    "ModelSource",
    "OnnxOptions",
    "OutputError",
    "OutputInfo",
    "Probe",
    "ProbeMethods",
    "Probed",
    "Progress",
    "ProofCase",
    "ProofSettings",
    "Prove",
    "Proved",
    "Quantize",
    "Quantized",
    "Request",
    "Result",
    "SafetensorsOptions",
    "SourceKind",
    "StateDictOptions",
    "TorchScriptOptions",
    "Trial",
    "Tried",
    "Weigh",
    "Weighed",
    "Weights",
    "read_event",
    "read_request",
    "sentence",
    "write_event",
    "write_request",
]

VERSION = 1

# --- what becomes of it


@dataclass(frozen=True, slots=True)
class OnnxOptions:
    """
    Attributes:
        exporter: ``dynamo`` (based on torch.export) or ``torchscript``.
        opset: None for the exporter's own.
        optimize: let the exporter simplify the graph.
        external_data: ``auto`` (beside the model where it would exceed 2 GiB), ``beside``
            or ``inside``.
        input_names, output_names: in their order; () keeps the inputs' own names.
        metadata: key and value texts that are stored in the model.
    """

    kind: ClassVar[str] = "onnx"
    exporter: str = "dynamo"
    opset: int | None = None
    optimize: bool = True
    external_data: str = "auto"
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TorchScriptOptions:
    """
    Attributes:
        way: ``trace`` or ``script``.
        freeze: put parameters and attributes into the graph.
        optimize: `torch.jit.optimize_for_inference`, which freezes too.
        check_inputs: other random inputs on which a trace must compute the same.
    """

    kind: ClassVar[str] = "torchscript"
    way: str = "trace"
    freeze: bool = False
    optimize: bool = False
    check_inputs: int = 2


@dataclass(frozen=True, slots=True)
class ExportedProgramOptions:
    """A ``.pt2``. `strict` traces with TorchDynamo, which refuses more and is sound."""

    kind: ClassVar[str] = "torch-export"
    strict: bool = False


@dataclass(frozen=True, slots=True)
class SafetensorsOptions:
    """The model's state_dict; tensors that share bytes are written once, as load_model reads."""

    kind: ClassVar[str] = "safetensors"
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StateDictOptions:
    """A clean state_dict: tensors on the CPU under the model's keys, and nothing else."""

    kind: ClassVar[str] = "state-dict"


FormatOptions: TypeAlias = (
    OnnxOptions
    | TorchScriptOptions
    | ExportedProgramOptions
    | SafetensorsOptions
    | StateDictOptions
)


@dataclass(frozen=True, slots=True)
class ProofSettings:
    """How the original and the result are compared.

    Attributes:
        cases: inputs per set of sizes.
        rtol, atol: bounds as of `torch.testing.assert_close`; None for those of the dtype.
        repeats: forwards whose median is the latency; 0 measures none.
    """

    cases: int = 2
    rtol: float | None = None
    atol: float | None = None
    repeats: int = 10


# --- requests


@dataclass(frozen=True, slots=True)
class Probe:
    """What does this interpreter have?"""

    kind: ClassVar[str] = "probe"


@dataclass(frozen=True, slots=True)
class Describe:
    """Build the model and say how the weights fit; that they do not is no failure."""

    kind: ClassVar[str] = "describe"
    model: ModelChoice


@dataclass(frozen=True, slots=True)
class Trial:
    """Run one forward."""

    kind: ClassVar[str] = "trial"
    model: ModelChoice
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Export:
    """Write the model in another form.

    Attributes:
        staging: an empty folder beside the target; the worker writes there only, and the
            client moves what is in it or removes it.
        name: of the file to write in it, the target's own; files that belong to it (external
            data) begin with that name.
    """

    kind: ClassVar[str] = "export"
    model: ModelChoice
    inputs: Inputs
    staging: str
    name: str
    options: FormatOptions


@dataclass(frozen=True, slots=True)
class Prove:
    """Load the original afresh, run it and the file `exported` on the same inputs, compare."""

    kind: ClassVar[str] = "prove"
    model: ModelChoice
    inputs: Inputs
    exported: str
    options: FormatOptions
    settings: ProofSettings = ProofSettings()


Request: TypeAlias = (
    Probe
    | Describe
    | Trial
    | Export
    | Prove
    | ProbeMethods
    | Quantize
    | Measure
    | Weigh
    | Rehearse
    | Rates
)


# --- results


@dataclass(frozen=True, slots=True)
class Probed:
    """
    Attributes:
        executable: the interpreter, as it calls itself.
        python: its version.
        packages: the version of each of `interpreters.PACKAGES`, None where it is missing.
    """

    kind: ClassVar[str] = "probed"
    executable: str
    python: str
    packages: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class KeyShape:
    """An entry of the model's state_dict."""

    key: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A key whose shapes differ."""

    key: str
    model: tuple[int, ...]
    checkpoint: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What loading the weights does, in the words of load_state_dict.

    Attributes:
        loaded: number of keys that fit.
        missing: keys of the model that the checkpoint lacks.
        unexpected: keys of the checkpoint, mapped, that the model lacks.
        mismatched: keys of both with another shape.
        stripped: the prefix that the checkpoint's keys lost, or "".
        added: the prefix that the checkpoint's keys were given, or "".
    """

    loaded: int = 0
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    stripped: str = ""
    added: str = ""

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)


@dataclass(frozen=True, slots=True)
class ForwardParameter:
    """A parameter of `forward`: its annotation and default as source text, or ""."""

    name: str
    annotation: str = ""
    default: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class Described:
    """
    Attributes:
        model_class: qualified name.
        parameters: number of elements of its parameters.
        keys: its state_dict, in order; () where the model came with the file.
        report: how the weights fit.
        forward: parameters of `forward`.
        guesses: inputs that should run.
        notes: sentences about the model worth knowing.
    """

    kind: ClassVar[str] = "described"
    model_class: str
    parameters: int
    keys: tuple[KeyShape, ...]
    report: LoadReport
    forward: tuple[ForwardParameter, ...]
    guesses: tuple[InputSpec, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputInfo:
    """A tensor among the outputs; `name` is its path, such as ``0`` or ``logits``."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What one forward gave, and how long the second one took."""

    kind: ClassVar[str] = "tried"
    inputs: tuple[OutputInfo, ...]
    outputs: tuple[OutputInfo, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Exported:
    """
    Attributes:
        files: names in the staging folder, the one that was asked for first.
        nbytes: all of them together.
        seconds: from the built model to the written file.
        outputs: of the model.
        operators: of an ONNX graph, each with how often it occurs.
        notes: sentences worth knowing.
        script: the same export as a Python program with public APIs, or "".
    """

    kind: ClassVar[str] = "exported"
    files: tuple[str, ...]
    nbytes: int
    seconds: float
    outputs: tuple[OutputInfo, ...] = ()
    operators: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    script: str = ""


@dataclass(frozen=True, slots=True)
class OutputError:
    """How far one output departs: NaN where only one side is NaN."""

    name: str
    max_abs: float
    max_rel: float
    within: bool


@dataclass(frozen=True, slots=True)
class ProofCase:
    """One comparison: the sizes of the dynamic axes, and each output."""

    sizes: Mapping[str, int]
    outputs: tuple[OutputError, ...]
    error: str = ""

    @property
    def within(self) -> bool:
        return not self.error and all(each.within for each in self.outputs)


@dataclass(frozen=True, slots=True)
class Proved:
    """
    Attributes:
        passed: every output of every case is within tolerance.
        cases: what was compared.
        rtol, atol: the bounds that held.
        original_seconds, result_seconds: median time of a forward, 0 if not measured.
        runtime: what ran the result, with its version.
        departs: of a failed ONNX proof the first layer whose output departs, or "".
        notes: sentences worth knowing.
    """

    kind: ClassVar[str] = "proved"
    passed: bool
    cases: tuple[ProofCase, ...]
    rtol: float
    atol: float
    original_seconds: float = 0.0
    result_seconds: float = 0.0
    runtime: str = ""
    departs: str = ""
    notes: tuple[str, ...] = ()


Result: TypeAlias = (
    Probed
    | Described
    | Tried
    | Exported
    | Proved
    | MethodsProbed
    | Quantized
    | Measured
    | Weighed
    | Rehearsed
    | RateCurves
)


# --- events


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being done. `total` is None while it is not known."""

    kind: ClassVar[str] = "progress"
    stage: str
    done: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """A line that the model's code or a library printed or warned."""

    kind: ClassVar[str] = "log"
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a request that was done."""

    kind: ClassVar[str] = "finished"
    result: Result


Event: TypeAlias = Progress | Log | Finished | Failed


# --- lines


@dataclass(frozen=True, slots=True)
class _RequestLine:
    protocol: int
    request: Request


@dataclass(frozen=True, slots=True)
class _EventLine:
    event: Event


def write_request(request: Request) -> str:
    """The line for a worker's stdin, with its newline."""
    return json.dumps(to_json(_RequestLine(VERSION, request))) + "\n"


def read_request(line: str) -> Request:
    """The request of a line.

    Raises:
        BadMessage: it is none, or one of another version of the protocol.
    """
    value = _parsed(line)
    if isinstance(value, dict) and value.get("protocol") != VERSION:
        raise BadMessage(f"protocol {value.get('protocol')!r}, this worker speaks {VERSION}")
    return from_json(_RequestLine, value).request


def write_event(event: Event) -> str:
    """The line for a worker's stdout, with its newline."""
    return json.dumps(to_json(_EventLine(event))) + "\n"


def read_event(line: str) -> Event:
    """The event of a line.

    Raises:
        BadMessage: it is none.
    """
    return from_json(_EventLine, _parsed(line)).event


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"no JSON: {error}") from None
