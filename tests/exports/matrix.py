"""Which models are exported to what, and from which kinds of checkpoints.

Each export goes through the worker as the window's and the command's do, and is proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspector_app.worker.export_run import ExportOutcome, ExportPlan, exporting
from inspector_app.worker.input_text import parse_axis, parse_input
from inspector_app.worker.protocol import (
    ExportedProgramOptions,
    FormatOptions,
    Inputs,
    ModelChoice,
    ModelSource,
    OnnxOptions,
    SafetensorsOptions,
    SourceKind,
    StateDictOptions,
    TorchScriptOptions,
)

MODELS_FILE = Path(__file__).resolve().parent.parent / "worker" / "models.py"

# What a model is exported to: a name, the ending of the file, the options.
WAYS: dict[str, tuple[str, FormatOptions]] = {
    "ONNX": (".onnx", OnnxOptions()),
    "ONNX (TorchScript)": (".onnx", OnnxOptions(exporter="torchscript")),
    "trace": (".pt", TorchScriptOptions("trace")),
    "script": (".pt", TorchScriptOptions("script")),
    ".pt2": (".pt2", ExportedProgramOptions()),
    "safetensors": (".safetensors", SafetensorsOptions()),
    "state_dict": (".pth", StateDictOptions()),
}
GRAPHS = tuple(WAYS)[:5]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model of the matrix.

    Attributes:
        name: a class of ``tests/worker/models.py``, or one of transformers.
        inputs, dynamic: as the command line has them.
        refused: ways that cannot do it, and the code of the failure that says so, or
            `PROOF_FAILS`.
        config: of transformers: its class and arguments.
        also: the axes that are dynamic beside the batch.
    """

    name: str
    inputs: tuple[str, ...]
    dynamic: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    config: tuple[str, Mapping[str, Any]] | None = None
    also: str = ""

    @property
    def title(self) -> str:
        return f"{self.name}, dynamic {self.also}" if self.also else self.name


# Not drawn at random: where all positions of a row are masked, what comes out is nothing that
# a model was trained for, and runtimes differ.
_MASK = "mask=@MASK.npy"
PROOF_FAILS = "proof fails"
_TINY = {"vocab_size": 99, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32}
SUBJECTS = (
    Subject("Mlp", ("x:1,8",), ("x:0=batch",)),
    Subject("Cnn", ("image:1,3,16,16",), ("image:0=batch",)),
    Subject("ResNet", ("x:1,3,64,64",), ("x:0=batch",)),
    Subject("Lstm", ("ids:1,7:int64:0..50",), ("ids:0=batch",)),
    Subject(
        "Lstm",
        ("ids:1,7:int64:0..50",),
        ("ids:0=batch", "ids:1=sequence"),
        refused={".pt2": "axis-not-dynamic"},
        also="sequence",
    ),
    Subject("Encoder", ("x:1,7,16", _MASK), ("x:0=batch", "mask:0=batch")),
    Subject(
        "Encoder",
        ("x:1,7,16", _MASK),
        ("x:0=batch", "mask:0=batch", "x:1=sequence", "mask:1=sequence"),
        # The trace keeps the length that it saw in a Reshape: caught by the proof.
        refused={"ONNX (TorchScript)": PROOF_FAILS},
        also="sequence",
    ),
    Subject("TwoInputs", ("image:1,6", "extra:1,3"), ("image:0=batch", "extra:0=batch")),
    Subject("UNet", ("x:1,1,16,16",), ("x:0=batch", "x:2=height", "x:3=width")),
    Subject(
        "BertForSequenceClassification",
        ("input_ids:1,9:int64:0..99", "attention_mask=@MASK.npy"),
        (
            "input_ids:0=batch",
            "attention_mask:0=batch",
            "input_ids:1=sequence:1..64",
            "attention_mask:1=sequence:1..64",
        ),
        refused={"script": "script-fails"},
        config=(
            "BertConfig",
            {**_TINY, "intermediate_size": 37, "max_position_embeddings": 64},
        ),
    ),
    Subject(
        "GPT2LMHeadModel",
        ("input_ids:1,9:int64:0..99", "attention_mask=@MASK.npy"),
        (
            "input_ids:0=batch",
            "attention_mask:0=batch",
            "input_ids:1=sequence:1..64",
            "attention_mask:1=sequence:1..64",
        ),
        refused={"script": "script-fails"},
        config=(
            "GPT2Config",
            {
                "vocab_size": 99,
                "n_positions": 64,
                "n_embd": 32,
                "n_layer": 2,
                "n_head": 4,
                "bos_token_id": 0,
                "eos_token_id": 0,
            },
        ),
    ),
)
BY_NAME = {each.title: each for each in SUBJECTS}


# --- checkpoints


def _bare(module: Any) -> Any:
    return module.state_dict()


def _data_parallel(module: Any) -> Any:
    import torch

    return torch.nn.DataParallel(module).state_dict()


def _compiled(module: Any) -> Any:
    import torch

    return torch.compile(module).state_dict()


def _training(module: Any) -> Any:
    """What a training loop saves, with an optimizer that has stepped."""
    import torch

    optimizer = torch.optim.AdamW(module.parameters())
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {
        "epoch": 3,
        "model_state_dict": module.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "best_loss": 0.25,
    }


SOURCES: dict[str, Callable[[Any], Any]] = {
    "state_dict": _bare,
    "DataParallel": _data_parallel,
    "torch.compile": _compiled,
    "training": _training,
}


def model_of(subject: Subject) -> Any:
    """The model, with weights that no other process would draw by itself."""
    import torch

    torch.manual_seed(20_231)
    if subject.config is not None:
        import transformers

        name, arguments = subject.config
        module = getattr(transformers, subject.name)(getattr(transformers, name)(**arguments))
    else:
        from tests.worker import models

        module = getattr(models, subject.name)()
    for each in module.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            # As after training: the defaults, 0 and 1, would change nothing.
            each.running_mean.uniform_(-1, 1)
            each.running_var.uniform_(0.5, 2)
    return module


def checkpoint_of(subject: Subject, folder: Path, source: str = "state_dict") -> Path:
    """Write a checkpoint of the model into a folder of its own; its path."""
    import numpy
    import torch

    folder = folder / f"{subject.title}-{source}"
    folder.mkdir()
    module = model_of(subject)
    if subject.config is not None:
        # The config.json is where the inspector learns of the model.
        module.config.architectures = [subject.name]
        module.config.save_pretrained(folder)
    mask = numpy.array([[1] * 5 + [0, 0]] if subject.name == "Encoder" else [[1] * 7 + [0] * 2])
    # nn.TransformerEncoder masks where it is true, transformers where it is 0.
    numpy.save(folder / "MASK.npy", mask == 0 if subject.name == "Encoder" else mask)
    path = folder / "checkpoint.pth"
    torch.save(SOURCES[source](module), path)
    return path


def plan_of(subject: Subject, checkpoint: Path, way: str) -> ExportPlan:
    """The export of `subject` by `way`, to a file beside the checkpoint."""
    ending, options = WAYS[way]
    kind = SourceKind.CODE if subject.config is None else SourceKind.TRANSFORMERS
    spec = f"{MODELS_FILE}:{subject.name}" if subject.config is None else ""
    return ExportPlan(
        model=ModelChoice(str(checkpoint), ModelSource(kind, spec)),
        inputs=Inputs(
            tuple(
                parse_input(each.replace("@", f"@{checkpoint.parent}/")) for each in subject.inputs
            ),
            tuple(parse_axis(each) for each in subject.dynamic),
        ),
        options=options,
        target=str(checkpoint.with_name(f"{checkpoint.stem}-{way.strip('.')}{ending}")),
    )


def outcome_of(plan: ExportPlan) -> ExportOutcome:
    """Run a plan to its end."""
    steps = exporting(plan)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome: ExportOutcome = end.value
            return outcome


def cells() -> Iterator[tuple[str, Subject, str]]:
    """Source, model and way of the whole matrix: every model by every way from a bare
    state_dict, and one of them by every way from each other kind of checkpoint."""
    for subject in SUBJECTS:
        for way in GRAPHS:
            yield "state_dict", subject, way
    for way in tuple(WAYS)[5:]:
        yield "state_dict", BY_NAME["Cnn"], way
    for source in tuple(SOURCES)[1:]:
        for way in GRAPHS:
            yield source, BY_NAME["Cnn"], way
