"""What of a checkpoint would run if its model were loaded: shown before anybody consents.

Read by the inspector's own reader, which runs nothing. Standard library only: the window
and the command line ask here before they start a worker, which asks again.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector_app.checkpoint.model import Checkpoint, GlobalUse

_NAMED = 12


def globals_that_run(checkpoint: Checkpoint) -> list[GlobalUse]:
    """The globals outside torch's allowlist that loading the whole model would import or
    call. TorchScript has none: its code runs in an interpreter of its own."""
    if checkpoint.format in ("torchscript", "safetensors", "onnx"):
        return []
    return [each for each in checkpoint.globals if not each.allowed]


def listed(globals_: Sequence[GlobalUse]) -> str:
    """Their names in one line."""
    names = [each.name for each in globals_[:_NAMED]]
    more = len(globals_) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")
