"""Both sides of a comparison, loaded: the original afresh from its source, the quantized file by
the program that people get for it, and by nothing else."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspector_app.worker.example_inputs import Call
from inspector_app.worker.failures import Failure
from inspector_app.worker.onnx_session import OnnxSession
from inspector_app.worker.outputs import flat
from inspector_app.worker.quantize_code import FILE
from inspector_app.worker.quantize_protocol import Quantized
from inspector_app.worker.user_errors import failure_of

_FILE_LINE = f"{FILE} = "


@dataclass(slots=True)
class Side:
    """A model that can run.

    Attributes:
        module: of torch, or None for an ONNX graph.
        call: how inputs are passed to it.
        runtime: what runs it, with its version.
        session: of an ONNX graph.
        names: what the graph calls the inputs, by the model's names.
    """

    module: Any
    call: Call | None
    runtime: str
    session: Any = None
    names: Mapping[str, str] | None = None

    def run(self, tensors: dict[str, Any]) -> list[tuple[str, Any]]:
        """Its outputs by name, in their order."""
        import torch

        if self.session is not None:
            named = self.names or {}
            found = self.session.run({named.get(key, key): each for key, each in tensors.items()})
            return list(zip(self.session.outputs, found, strict=True))
        assert self.call is not None
        with torch.no_grad():
            return [(name, each.detach()) for name, each in flat(self.call(self.module, tensors))]


def loaded(quantized: Quantized, staging: str, call: Call | None, *, beside: bool = False) -> Side:
    """The file, which still lies in `staging`, by its loading code.

    Args:
        beside: the file that shows the layers, instead.

    Raises:
        Failure: the code does not load it.
    """
    code = quantized.beside_code if beside else quantized.loading_code
    path = os.path.join(staging, quantized.beside if beside else quantized.files[0])
    names = run_program(code, path)
    if "session" in names:
        own = names["session"]
        session = OnnxSession.of(own)
        given = [*call.positional, *call.keywords] if call else session.inputs
        renamed = dict(zip(given, quantized.inputs or session.inputs, strict=False))
        return Side(None, None, f"onnxruntime {session.version}", session, renamed)
    import torch

    module = names["model"]
    if hasattr(module, "eval") and not _is_exported(module):
        module.eval()
    return Side(module, call, f"torch {torch.__version__}")


def run_program(code: str, path: str) -> dict[str, Any]:
    """What a loading program defines, run with the file at `path`."""
    lines = code.splitlines()
    places = [number for number, line in enumerate(lines) if line.startswith(_FILE_LINE)]
    if len(places) != 1:
        raise Failure("protocol", reason="the loading code does not name its file once")
    lines[places[0]] = f"{_FILE_LINE}{path!r}"
    names: dict[str, Any] = {"__name__": "loading"}
    try:
        with warnings.catch_warnings():
            # Of deprecation, and of observers that have seen nothing.
            warnings.simplefilter("ignore")
            exec(compile("\n".join(lines), "loading code", "exec"), names)
    except Exception as error:
        raise failure_of("quantized-not-loaded", error) from error
    return names


def _is_exported(module: Any) -> bool:
    """A module of torch.export, which has no train and eval."""
    return type(module).__module__.startswith("torch.fx")
