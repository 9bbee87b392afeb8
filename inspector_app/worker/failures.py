"""What can go wrong in a worker: codes, each with a sentence and a next step.

A failure carries its code and arguments. The command line prints `sentence` and
`next_step`; the window fills its translations of the two templates with the same arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from inspector_app.checkpoint.text import plain

_LONGEST = 1_000  # characters of an argument that are shown

# code: (what is wrong, what to do)
FAILURES: dict[str, tuple[str, str]] = {
    # the worker itself
    "no-interpreter": (
        "Models run under a Python of yours that has torch, and none is chosen",
        "Choose a Python interpreter.",
    ),
    "interpreter-not-found": (
        "{interpreter} cannot be started: {reason}",
        "Choose another Python interpreter.",
    ),
    "interpreter-too-old": (
        "{interpreter} is Python {version}; models run under Python 3.10 or newer",
        "Choose an environment with a newer Python.",
    ),
    "torch-missing": (
        "{interpreter} has no torch",
        "Choose an environment that has it, or install it there: {pip}",
    ),
    "torch-too-old": (
        "{interpreter} has torch {version}; 2.6 or newer is needed",
        "Choose another environment, or update it there: {pip}",
    ),
    "torch-broken": (
        "torch cannot be imported by {interpreter}: {reason}",
        "Repair that environment or choose another one.",
    ),
    "package-missing": (
        "{interpreter} has no {package}, which {purpose} needs",
        "Install it there: {pip}",
    ),
    "package-broken": (
        "{package} cannot be imported: {error}",
        "Repair that environment or choose another one.",
    ),
    "worker-killed": (
        "The process that ran the model was killed from outside",
        "Start it again; if memory was short, use smaller inputs or close other programs.",
    ),
    "worker-out-of-memory": (
        "Memory ran out, and the system killed the process that ran the model",
        "Close other programs, or use a smaller batch or smaller inputs.",
    ),
    "worker-crashed": (
        "The process that ran the model crashed ({signal}): {last}",
        "The model's code or a library of its environment is at fault; try another environment.",
    ),
    "worker-ended": (
        "The process that ran the model ended by itself with status {status}: {last}",
        "The model's code may call sys.exit; look at its log.",
    ),
    "protocol": (
        "The worker's answer was not understood: {reason}",
        "Both must be of one installation: start the program anew.",
    ),
    "out-of-memory": (
        "Memory ran out: {reason}",
        "Close other programs, or use a smaller batch or smaller inputs.",
    ),
    "worker-fault": (
        "This is a fault of the program: {error}",
        "Please report it with the details below.",
    ),
    # where the model comes from
    "consent-needed": (
        "Loading {file} would run code from it: {globals}",
        "Allow it only if you trust where the file comes from.",
    ),
    "no-model-in-file": (
        "{file} holds {found}, not a model",
        "Name the class or factory that builds the model.",
    ),
    "section-no-model": (
        "What {file} has at {section} is no model; models are at {models}",
        "Choose one of those, or name the class or factory that builds the model.",
    ),
    "spec": (
        "{spec} names no class or factory: {reason}",
        "Write path/to/model.py:NAME or package.module:NAME.",
    ),
    "source-not-found": (
        "There is no file {file}",
        "Check the path of the model's source.",
    ),
    "source-module-not-found": (
        "There is no module {module}, neither in {folder} nor among the packages of {interpreter}",
        "Write path/to/model.py:NAME, or choose the environment that has it.",
    ),
    "source-fails": (
        "{source} cannot be imported: {error}",
        "Choose the environment in which it can be, or correct the source.",
    ),
    "module-not-found": (
        "{source} needs the module {module}, which this environment does not have",
        "Choose the environment in which the model was written, or install it there.",
    ),
    "class-not-found": (
        "{source} has no {name}",
        "It has: {known}.",
    ),
    "pickled-class-not-found": (
        "The file needs {name}, which cannot be imported: {reason}",
        "Choose the environment that has it, or name the model's source instead.",
    ),
    "constructor": (
        "{name} cannot be built with these arguments: {error}",
        "Give it what its signature asks for: {signature}.",
    ),
    "no-module": (
        "{name} gave {found}, not a torch.nn.Module",
        "Choose a class derived from nn.Module or a function that returns one.",
    ),
    "config": (
        "{file} does not describe a model: {reason}",
        "Name the class or factory that builds the model.",
    ),
    "file-not-loaded": (
        "{file} cannot be loaded: {error}",
        "Look at its problems in the inspector.",
    ),
    "device": (
        "The model cannot be moved to {device}: {error}",
        "Choose the device cpu.",
    ),
    "dtype": (
        "The model cannot be cast to {dtype}: {error}",
        "Leave its dtype as it is, or choose another one.",
    ),
    # weights
    "no-weights": (
        "{file} has no state_dict at {section}",
        "Choose the section that holds the model's weights.",
    ),
    "weights-do-not-fit": (
        "The weights do not fit the model: {missing} missing, {unexpected} unexpected, "
        "{mismatched} mismatched; first {first}",
        "Check the arguments, the section and the prefixes, or load what fits without strict.",
    ),
    "load": (
        "The model refuses the weights: {error}",
        "Choose the section that belongs to this model.",
    ),
    "no-state": (
        "{file} has nothing at {path}",
        "The file was replaced since it was read: reload it.",
    ),
    "weights-not-read": (
        "{key} cannot be read: {reason}",
        "Look at its problems in the inspector.",
    ),
    "bad-rule": (
        "The rule {rule} cannot be applied to keys: {reason}",
        "Write it as REGEX=>REPLACEMENT, such as ^encoder\\.=>backbone., with \\1 for a group.",
    ),
    # inputs
    "bad-input": (
        "The input {name} is wrong: {reason}",
        "Inputs are written name:1,3,224,224:float32, name:1,128:int64:0..30521 or name=@file.npy.",
    ),
    "inputs-do-not-match": (
        "forward({signature}) does not take these inputs: {reason}",
        "Name the inputs as forward does.",
    ),
    "bad-names": (
        "{given} are no names for the {what}s of the model, which are {own}",
        "Give each of the {count} a name of its own, or none.",
    ),
    "bad-axis": (
        "The dynamic axis {axis} is wrong: {reason}",
        "Dynamic axes are written name:0=batch or name:1=sequence:1..512.",
    ),
    "forward": (
        "The model's forward fails: {error}",
        "Check the inputs' shapes and dtypes: {inputs}",
    ),
    "ids-out-of-range": (
        "The input {name}, {origin}, has values from {low} to {high}; {layer} takes 0 to {last}",
        "Give it that range: {better}",
    ),
    "row-out-of-range": (
        "{layer} has {rows} rows, and forward asks for some from {low} to {high}",
        "Where rows stand for positions, a shorter input has them: 0 to {last} are there.",
    ),
    "no-output": (
        "The model's forward gave no tensor but {found}",
        "An exported model needs at least one tensor among its outputs.",
    ),
    # exports
    "trace-departs": (
        "The trace computes something else on other inputs: {reason}",
        "The model's control flow depends on its input; use script or torch.export instead.",
    ),
    "script-fails": (
        "The model cannot be scripted: {error}",
        "TorchScript knows a part of Python only; use trace or torch.export instead.",
    ),
    "torchscript-pass": (
        "torch.jit.{what} fails on the model: {error}",
        "Export without that option.",
    ),
    "not-plain": (
        "{key} is {found}, for which this format has no place",
        "Choose another format.",
    ),
    "trace-fails": (
        "The model cannot be traced: {error}",
        "Use script or torch.export instead.",
    ),
    "export-fails": (
        "torch.export cannot follow the model: {error}",
        "TorchScript by script keeps control flow that depends on values, or write it with "
        "torch.where or torch.cond.",
    ),
    "axis-not-dynamic": (
        "The model fixes a dynamic axis: {reason}",
        "Make that axis static, or give its bounds as the message suggests.",
    ),
    "operator-without-onnx": (
        "ONNX has no form for the operator {operator}",
        "Try another opset or the other exporter, or export TorchScript or .pt2.",
    ),
    "onnx-fails": (
        "The ONNX exporter fails: {error}",
        "Try the other exporter, or export TorchScript or .pt2.",
    ),
    "onnx-invalid": (
        "The exported ONNX model is not valid: {error}",
        "Try another opset or the other exporter.",
    ),
    "unknown-format": (
        "{name} has no ending that says a format",
        "Use .onnx, .pt, .pt2, .safetensors or .pth.",
    ),
    # quantization
    "quantized-form": (
        "{method} cannot be written as {name}",
        "Give it a name that ends in {endings}.",
    ),
    "calibration-needed": (
        "{method} needs calibration data, and there are none",
        "Give a file of samples, a folder of images or a data loader; random data only to try.",
    ),
    "model-needed": (
        "There are data, and no model to run on them: a cast needs none, measuring it does",
        "Name the class or factory that builds the model, or leave the data away.",
    ),
    "calibration-data": (
        "{path} is no calibration data: {reason}",
        "Give one array per input by its name, with samples along the first axis.",
    ),
    "calibration-shape": (
        "The model does not take the samples of {path}: {error}",
        "Give samples of the shape and dtype that the model takes: they are {inputs}",
    ),
    "calibration-nan": (
        "{path} has {count} values of {name} that are not finite, the first in sample {sample}",
        "Remove those samples, or set the values.",
    ),
    "too-few-samples": (
        "{path} has {count} samples: at least 2 are needed, as others are held out",
        "Give more samples.",
    ),
    "nothing-to-quantize": (
        "{method} finds no layer to quantize: it takes {takes}; {found}",
        "Choose another method, or leave fewer layers in float.",
    ),
    "no-such-layer": (
        "No layer is called {name}, so it cannot be left in float",
        "It has: {known}.",
    ),
    "no-stubs": (
        "The model has no QuantStub and DeQuantStub, between which eager mode quantizes",
        "Choose FX graph mode, or put them into the model's code.",
    ),
    "backend-missing": (
        "torch on this machine has no backend {backend}; it has {known}",
        "Choose one of those.",
    ),
    "method-missing": (
        "{method} does not work in {interpreter}: {reason}",
        "Choose another method or another environment.",
    ),
    "not-quantizable": (
        "{method} cannot quantize the model: {error}",
        "{advice}",
    ),
    "quantized-fails": (
        "The quantized model fails where the original runs: {error}",
        "{advice}",
    ),
    "quantized-not-loaded": (
        "The file that was written cannot be loaded by its own code: {error}",
        "Choose another method or another form of file.",
    ),
    "overflow": (
        "{count} values of {name} exceed what {dtype} holds, at most {most}",
        "Choose bfloat16, leave that tensor in float, or allow it.",
    ),
    # writing
    "disk-full": (
        "There is no room left for {file}",
        "Free space on that disk or choose another folder.",
    ),
    "not-writable": (
        "{file} cannot be written: {reason}",
        "Choose another name or folder.",
    ),
    "not-deterministic": (
        "The model gives another {output} each time for the same input, so nothing can be proven",
        "Let it draw nothing at random in eval mode, or pass training=False to its dropout.",
    ),
}


@dataclass(frozen=True, slots=True)
class Failed:
    """The last event of a request that could not be done.

    Attributes:
        code: a key of `FAILURES`.
        details: the arguments of its two sentences.
        traceback: of the user's own code, or "".
    """

    kind: ClassVar[str] = "failed"
    code: str
    details: Mapping[str, str] = field(default_factory=dict)
    traceback: str = ""

    @property
    def cause(self) -> str:
        """What is wrong, in English, safe to print."""
        return sentence(FAILURES[self.code][0], self.details)

    @property
    def next_step(self) -> str:
        """What to do, in English, safe to print."""
        return sentence(FAILURES[self.code][1], self.details)


class Failure(Exception):
    """What ends a request, within the worker."""

    def __init__(self, code: str, *, traceback: str = "", **details: object) -> None:
        super().__init__(code)
        self.failed = Failed(code, {k: str(v) for k, v in details.items()}, traceback)

    def __str__(self) -> str:
        return self.failed.cause


def sentence(template: str, details: Mapping[str, str]) -> str:
    """Fill a template of `FAILURES`, or its translation. The text among the details comes
    from files and from other people's code, and is made plain first."""
    shown = {name: plain(value, _LONGEST) for name, value in details.items()}
    return template.format(**shown)
