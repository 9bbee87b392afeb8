"""Models whose source lies beside their checkpoint, and what workers answer about them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from inspector_app.worker.client import events
from inspector_app.worker.failures import Failed, Failure
from inspector_app.worker.protocol import (
    Event,
    Finished,
    ModelChoice,
    ModelSource,
    Request,
    SourceKind,
    Weights,
)

NET = """
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, width: int = 8):
            super().__init__()
            self.fc = nn.Linear(width, width)

        def forward(self, x):
            return self.fc(x).relu()

    class Net(nn.Module):
        '''Two layers and a block.'''

        def __init__(self, width: int = 8, *, classes: int = 3):
            super().__init__()
            self.first = nn.Linear(4, width)
            self.block = Block(width)
            self.last = nn.Linear(width, classes)

        def forward(self, x):
            return self.last(self.block(self.first(x)))

    def create(width=8):
        return Net(width)

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 3)
            self.b = nn.Embedding(10, 3)

        def forward(self, x, ids, scale=None):
            out = self.a(x) + self.b(ids).sum(1)
            return {"sum": out, "parts": [self.a(x), out * 2]}
"""


def write_source(folder: Path, text: str, name: str = "net.py") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def save_state(
    source: Path, name: str, wrap: Callable[[dict[str, Any]], Any] | None = None
) -> Path:
    import torch

    from inspector_app.worker.code_source import build

    torch.manual_seed(1)
    state = build(f"{source}:{name}", {}).state_dict()
    path = source.with_name(f"{name}.pth")
    torch.save(wrap(state) if wrap else state, path)
    return path


def choice_of(checkpoint: Path, source: Path, name: str = "Net", **arguments: Any) -> ModelChoice:
    return ModelChoice(
        str(checkpoint), ModelSource(SourceKind.CODE, f"{source}:{name}", arguments), Weights()
    )


def result_of(work: Generator[Any, None, Any]) -> Any:
    """Drive the work of a request in this process."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def failed_of(work: Generator[Any, None, Any]) -> Failed:
    """The failure that the work ends with."""
    with pytest.raises(Failure) as caught:
        result_of(work)
    return caught.value.failed


def answers(request: Request, interpreter: str = "", **options: Any) -> list[Event]:
    """All events of a real worker."""
    return [event for event in events(request, interpreter, **options) if event is not None]


def answer(request: Request, interpreter: str = "", **options: Any) -> Finished | Failed:
    last = answers(request, interpreter, **options)[-1]
    assert isinstance(last, (Finished, Failed))
    return last
