"""An ONNX model in onnxruntime, with tensors in and out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from inspector_app.worker.torch_import import import_package

# Non-zero status code returned while running Reshape node. Name:'/a/Reshape_4' Status Message:
# /source/of/it.h:91 a::Signature(const b&) condition was false. What somebody can use
_NODE = re.compile(r"while running (\S+) node\. Name:'([^']*)' Status Message: (.*)", re.DOTALL)
_SOURCE = re.compile(r"^\S+:\d+ \S.*? was false\. ", re.DOTALL)
PURPOSE = "the proof of an ONNX model"
# onnx.TensorProto's numbers of dtypes that numpy lacks; torch views them as unsigned integers.
_RAW = {torch.bfloat16: (16, torch.uint16)}
_WITHOUT_NUMPY = frozenset(number for number, _ in _RAW.values())
_FATAL_ALONE = 4  # errors are raised, and said once


class NodeError(Exception):
    """A node of the graph failed at run time.

    Attributes:
        node: its name.
    """

    def __init__(self, node: str, operator: str, message: str) -> None:
        super().__init__(f"the {operator} node {node} fails: {message}")
        self.node = node


class OnnxSession:
    """Runs a model on the CPU.

    Attributes:
        inputs: names of the graph's inputs.
        outputs: names of its outputs.
        version: of onnxruntime.
    """

    def __init__(self, path: str, *, model: bytes | None = None, optimize: bool = True) -> None:
        """Load the model at `path`; with `model`, that one, whose external data lie beside it.

        Args:
            optimize: let onnxruntime rewrite the graph, as it does by itself.

        Raises:
            Failure: onnxruntime is missing or broken.
            Exception: onnxruntime's own, which have no common class, where it refuses the model.
        """
        runtime = import_package("onnxruntime", PURPOSE)
        self._runtime = runtime
        self.version: str = runtime.__version__
        options = runtime.SessionOptions()
        options.log_severity_level = _FATAL_ALONE
        options.intra_op_num_threads = torch.get_num_threads()
        if not optimize:
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if model is not None:
            folder = os.path.dirname(os.path.abspath(path))
            key = "session.model_external_initializers_file_folder_path"
            options.add_session_config_entry(key, folder)
        self._hold(
            runtime.InferenceSession(
                path if model is None else model, options, providers=["CPUExecutionProvider"]
            )
        )

    @classmethod
    def of(cls, session: Any) -> OnnxSession:
        """One around a session of onnxruntime that somebody else has made."""
        own = cls.__new__(cls)
        own._runtime = import_package("onnxruntime", PURPOSE)
        own.version = own._runtime.__version__
        own._hold(session)
        return own

    def _hold(self, session: Any) -> None:
        self._session = session
        self.inputs: list[str] = [each.name for each in session.get_inputs()]
        self.outputs: list[str] = [each.name for each in session.get_outputs()]

    def kinds(self) -> dict[str, str]:
        """What each input takes, as onnxruntime writes it: ``tensor(float)``."""
        return {each.name: each.type for each in self._session.get_inputs()}

    def fixed_batch(self) -> int:
        """The size that the graph fixes its inputs' first axis to; 0 where it fixes none."""
        firsts = [each.shape[0] for each in self._session.get_inputs() if each.shape]
        fixed = {each for each in firsts if isinstance(each, int) and each > 0}
        return fixed.pop() if len(fixed) == 1 else 0

    def run(
        self, tensors: Mapping[str, Tensor], outputs: Sequence[str] | None = None
    ) -> list[Tensor]:
        """The outputs, all of them or those that are named.

        Args:
            tensors: by name; those that the graph has no input for are left out, as an
                exporter does with what no output depends on.

        Raises:
            NodeError: a node fails on them.
        """
        given = {name: self._value(tensors[name]) for name in self.inputs if name in tensors}
        names = self.outputs if outputs is None else list(outputs)
        try:
            found = self._session.run_with_ort_values(names, given)
        except Exception as error:
            said = _NODE.search(str(error))
            if said is None:
                raise
            message = " ".join(_SOURCE.sub("", said[3]).split())
            raise NodeError(said[2], said[1], message) from error
        return [self._tensor(each) for each in found]

    def _value(self, tensor: Tensor) -> Any:
        tensor = tensor.detach().cpu()
        if tensor.is_complex():
            tensor = torch.view_as_real(tensor.resolve_conj())
        tensor = tensor.contiguous()
        if tensor.dtype in _RAW:
            number, raw = _RAW[tensor.dtype]
            return self._runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(
                tensor.view(raw).numpy(), number
            )
        return self._runtime.OrtValue.ortvalue_from_numpy(tensor.numpy())

    def _tensor(self, value: Any) -> Tensor:
        if not value.is_tensor():
            raise TypeError("an output is no tensor but a sequence or a map")
        if value.element_type() in _WITHOUT_NUMPY:
            return torch.from_dlpack(value._get_c_value()).clone()
        # numpy() of an OrtValue may share memory that the next run overwrites.
        return torch.from_numpy(value.numpy()).clone()
