"""What a Python file offers as a model, read without importing it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from real_workers import NET, write_source

from inspector_app.checkpoint import open_checkpoint
from inspector_app.worker.failures import Failure
from inspector_app.worker.source_listing import Argument, config_of, listing

MORE = """
    import sys
    sys.exit("this must not run")
    from dataclasses import dataclass
    from typing import Generic, TypeVar
    import torch.nn as nn
    from transformers import PreTrainedModel
    from timm.models import VisionTransformer as Base

    class Config: pass
    class A(nn.Module):
        def __init__(self, *layers, width=4 * 2, sizes=(1, 2), act=nn.ReLU, name="x", **rest): ...
    class B(A): pass
    class C(B, Generic[T]):
        "Says what it is.\\n\\nAnd more."
        def __init__(self, a, /, b: int, c: "list[int]" = None): ...
    class D(PreTrainedModel): ...
    @dataclass
    class E(nn.Module):
        width: int
        depth: int = 3
    class Loop(Pool): ...
    class Pool(Loop): ...
    def helper(x): ...
    def build_model(width): return A(width=width)
    def _private(): ...
    for i in range(3): pass
    if __name__ == "__main__":
        main()
"""


def test_classes_first_and_those_that_others_use_after_them(tmp_path: Path) -> None:
    found = listing(str(write_source(tmp_path, NET)))
    assert [(each.name, each.is_class) for each in found.offers] == [
        ("Net", True),
        ("Named", True),
        ("Block", True),
        ("create", False),
    ]
    net = found.offers[0]
    assert net.summary == "Two layers and a block."
    assert net.arguments == (
        Argument("width", "int", "8", 8, required=False),
        Argument("classes", "int", "3", 3, required=False),
    )
    assert found.runs == ()


def test_whatever_a_file_has(tmp_path: Path) -> None:
    found = listing(str(write_source(tmp_path, MORE)))
    offers = {each.name: each for each in found.offers}
    assert list(offers) == ["A", "B", "C", "D", "E", "build_model", "helper"]
    a = offers["A"]
    assert a.any_keyword
    assert [(each.name, each.default, each.value) for each in a.arguments] == [
        ("width", "4 * 2", None),
        ("sizes", "(1, 2)", [1, 2]),
        ("act", "nn.ReLU", None),
        ("name", "'x'", "x"),
    ]
    assert offers["B"].arguments == a.arguments
    assert [each.name for each in offers["C"].arguments] == ["b", "c"]
    assert offers["C"].arguments[0].required
    assert offers["C"].summary == "Says what it is."
    assert [each.name for each in offers["E"].arguments] == ["width", "depth"]
    assert [MORE.splitlines()[line - 1].strip()[:4] for line in found.runs] == ["sys.", "for "]


def test_arguments_are_suggested_by_the_checkpoint(tmp_path: Path) -> None:
    import argparse

    path = tmp_path / "a.pth"
    hyper = argparse.Namespace(width=16, sizes=[1, 2], lr=1e-3)
    torch.save(
        {"hparams": {"args": hyper}, "classes": 7, "model": {"a.weight": torch.ones(1)}}, path
    )
    config = config_of(open_checkpoint(path))
    assert config["width"] == 16
    assert config["sizes"] == [1, 2]
    assert config["classes"] == 7
    arguments = listing(str(write_source(tmp_path, NET)), config).offers[0].arguments
    assert [(each.suggested, each.has_suggestion) for each in arguments] == [(16, True), (7, True)]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"def f(:\n", "line 1"),
        (b"\0", "null bytes"),
        (b"# coding: nonsense\n", "nonsense"),
        (b"(" * 10_000, "too many nested parentheses"),
        (b"-" * 100_000 + b"1", ""),
        (b"#" * (9 << 20), "too long"),
    ],
    ids=["syntax", "null", "coding", "nested", "deep", "long"],
)
def test_what_is_no_python(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(data)
    with pytest.raises(Failure) as caught:
        listing(str(path))
    assert caught.value.failed.code == "source-fails"
    assert says in caught.value.failed.cause


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        listing(str(tmp_path / "a.py"))
    assert caught.value.failed.code == "source-not-found"


@given(st.text(alphabet="abc=():,*/ \n\tclassdefNnModule.@[]'\"1", max_size=200))
def test_any_text_is_listed_or_said_to_be_no_python(text: str) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(text)
        file.flush()
        try:
            listing(file.name)
        except Failure as failure:
            assert failure.failed.code == "source-fails"  # noqa: PT017
