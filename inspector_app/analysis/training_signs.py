"""Whether there is a training in a file: asked of each that is opened, so next to nothing."""

from __future__ import annotations

from inspector_app.checkpoint.model import Checkpoint, Kind, Node, SectionKind


def trains(checkpoint: Checkpoint) -> bool:
    """Whether the file has a state of a training, as its sections tell: at once."""
    kinds = (SectionKind.OPTIMIZER, SectionKind.SCHEDULER, SectionKind.SCALER)
    if any(section.kind in kinds for section in checkpoint.sections):
        return True
    root: Node = checkpoint.root
    return root.kind == Kind.MAPPING and any(
        child.key in ("epoch", "global_step", "step", "iteration") for child in root.children[:64]
    )
