"""A checkpoint that is an ONNX graph already."""

from __future__ import annotations

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.worker.failures import Failure


def is_onnx(path: str) -> bool:
    """Whether the file at `path` is an ONNX graph.

    Raises:
        Failure: it cannot be read.
    """
    try:
        return open_checkpoint(path).format == "onnx"
    except CheckpointError as error:
        raise Failure("file-not-loaded", file=path, error=error.message) from None
