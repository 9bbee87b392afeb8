"""Exported files, opened to be run: each by the runtime that people will run it with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from inspector_app.worker.example_inputs import Call
from inspector_app.worker.export_onnx import in_signature_order
from inspector_app.worker.failures import Failure
from inspector_app.worker.onnx_session import OnnxSession
from inspector_app.worker.outputs import flat
from inspector_app.worker.protocol import (
    ExportedProgramOptions,
    FormatOptions,
    OnnxOptions,
    TorchScriptOptions,
)


class Result(Protocol):
    """An exported file that can be run. `runtime` names what runs it, with its version."""

    runtime: str

    def run(self, tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
        """The outputs in their order, by the names that the file has for them."""


def opened(path: str, options: FormatOptions, module: Any, call: Call) -> Result:
    """The file at `path`.

    Args:
        module: the original, which the file's weights go into where it has no graph.
        call: how the original is called.

    Raises:
        Failure: what it takes to run it is missing.
        Exception: the runtime's own, where it cannot open the file.
    """
    if isinstance(options, OnnxOptions):
        return OnnxResult(path, options, in_signature_order(module, call))
    if isinstance(options, TorchScriptOptions):
        script = torch.jit.load(path, map_location=_device(module))
        return ModuleResult(f"torch.jit of torch {torch.__version__}", script, call)
    if isinstance(options, ExportedProgramOptions):
        program = torch.export.load(path)
        return ModuleResult(f"torch.export of torch {torch.__version__}", program.module(), call)
    raise Failure("protocol", reason=f"no graph in {options.kind}")


class ModuleResult:
    """A module that is called as the original is."""

    def __init__(self, runtime: str, module: Any, call: Call) -> None:
        self.runtime = runtime
        self._module, self._call = module, call

    def run(self, tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
        with torch.no_grad():
            return flat(self._call(self._module, tensors))


class OnnxResult:
    """An ONNX model in onnxruntime, on the CPU.

    Attributes:
        path: of the model.
    """

    def __init__(self, path: str, options: OnnxOptions, call: Call) -> None:
        self.path = path
        self._session = OnnxSession(path)
        own = (*call.positional, *call.keywords)
        self._names = dict(zip(own, options.input_names or own, strict=True))
        self.runtime = f"onnxruntime {self._session.version}"

    def feed(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inputs by the names that the graph has for them."""
        return {self._names[name]: tensor for name, tensor in tensors.items()}

    def run(self, tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
        found = self._session.run(self.feed(tensors))
        return list(zip(self._session.outputs, found, strict=True))


def _device(module: Any) -> torch.device:
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")
