"""What to begin with for a checkpoint: its weights' section, and where its model may come from.

Standard library only: window, command line and worker ask alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from inspector_app.checkpoint.model import Checkpoint, Kind, Node, SectionKind, TensorInfo, TreePath
from inspector_app.worker.protocol import ModelSource, SourceKind

_HOLDS_GRAPH = ("torchscript", "torch-export")
_SAMPLE = 1_000
_MODEL_DEPTH = 4


def default_section(checkpoint: Checkpoint) -> TreePath | None:
    """The path of the first model section, or of the first average where there is none; else
    of what holds the most tensors near the root."""
    for kind in (SectionKind.MODEL, SectionKind.EMA):
        for section in checkpoint.sections:
            if section.kind == kind:
                return section.path
    near = [checkpoint.root, *checkpoint.root.children[:_SAMPLE]]
    most = max(near, key=_tensors_in)
    return most.path if _tensors_in(most) else None


def _tensors_in(node: Node) -> int:
    return sum(isinstance(child, TensorInfo) for child in node.children[:_SAMPLE])


def pickled_models(checkpoint: Checkpoint) -> list[TreePath]:
    """The paths of the whole pickled ``nn.Module``s, one that is called a model first, then
    those near the root."""
    models = [section.path for section in checkpoint.sections if section.kind == SectionKind.MODEL]
    found = [node.path for node in _modules(checkpoint.root)]
    return sorted(found, key=lambda path: path not in models)


def _modules(root: Node) -> Iterator[Node]:
    level: Sequence[Node] = [root]
    for _ in range(_MODEL_DEPTH):
        below: list[Node] = []
        for node in level:
            if node.kind == Kind.MODULE:
                yield node
            elif node.kind in (Kind.MAPPING, Kind.SEQUENCE, Kind.OBJECT):
                below.extend(node.children[:_SAMPLE])
        level = below


def pickled_model(checkpoint: Checkpoint) -> TreePath | None:
    """The path of the first of `pickled_models`."""
    return next(iter(pickled_models(checkpoint)), None)


def suggested_source(checkpoint: Checkpoint) -> ModelSource | None:
    """The file itself if it holds the model, or the config.json of Hugging Face beside it;
    None where the model's code has to be named."""
    if checkpoint.format in _HOLDS_GRAPH or pickled_model(checkpoint) is not None:
        return ModelSource(SourceKind.FILE)
    config = config_beside(checkpoint.path)
    return ModelSource(SourceKind.TRANSFORMERS, config) if os.path.isfile(config) else None


def config_beside(path: str) -> str:
    """Where a Hugging Face model has its config.json."""
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    return os.path.join(os.path.abspath(folder), "config.json")
