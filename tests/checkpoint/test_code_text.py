from __future__ import annotations

import zipfile

import pytest
import torch

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.code_text import reading_code
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Checkpoint, CodeText


def text(checkpoint: Checkpoint, code: CodeText, limits: Limits | None = None) -> str:
    steps = reading_code(checkpoint, code, *([limits] if limits else []))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """A TorchScript file."""
    path = tmp_path_factory.mktemp("code") / "script.pt"
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.trace(torch.nn.Linear(2, 1), torch.ones(1, 2)).save(str(path))
    return path


def test_the_sources_of_torchscript_are_those_in_the_archive(script):
    checkpoint = open_checkpoint(script)
    assert checkpoint.code
    with zipfile.ZipFile(script) as archive:
        for code in checkpoint.code:
            assert text(checkpoint, code) == archive.read(code.record.name).decode()
    assert any("def forward" in text(checkpoint, code) for code in checkpoint.code)


def test_text_that_has_been_read_needs_no_file():
    assert text(None, CodeText("a.Model", text="class Model: ...")) == "class Model: ..."


def test_a_text_that_is_too_large_is_refused(script):
    checkpoint = open_checkpoint(script)
    with pytest.raises(CheckpointError, match="limit"):
        text(checkpoint, checkpoint.code[0], Limits(text_bytes=3))


def test_a_file_that_is_gone(script, tmp_path):
    checkpoint = open_checkpoint(script)
    checkpoint.path = str(tmp_path / "gone.pt")
    with pytest.raises(CheckpointError, match="no such file"):
        text(checkpoint, checkpoint.code[0])
