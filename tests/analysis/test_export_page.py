"""The page of an export: what it says, and that nothing in it can run or load."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis.export_page import html_report

CASE = {
    "sizes": {"batch": 2},
    "within": True,
    "error": None,
    "outputs": [{"name": "logits", "max_abs": 3e-7, "max_rel": 1e-6, "within": True}],
}
PROOF: dict[str, Any] = {
    "passed": True,
    "rtol": 1e-4,
    "atol": 1e-5,
    "runtime": "onnxruntime 1.31.1",
    "original_seconds": 0.004,
    "result_seconds": 0.002,
    "departs": None,
    "cases": [CASE],
    "notes": ["A note on the proof."],
}
DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "src": "/runs/net.pth",
    "src_bytes": 2_000_000,
    "model": {"source": "code", "spec": "net.py:Net", "arguments": {"width": 64}},
    "inputs": ["x:1,3,8,8:float32"],
    "dynamic": ["x:0=batch"],
    "out": "/runs/net.onnx",
    "format": "onnx",
    "options": {"exporter": "dynamo", "opset": None, "metadata": {}},
    "files": ["/runs/net.onnx"],
    "nbytes": 1_000_000,
    "seconds": 2.5,
    "outputs": [{"name": "logits", "shape": [2, 10], "dtype": "float32"}],
    "operators": {"Conv": 3, "Relu": 2},
    "notes": ["A note on the export."],
    "script": "import torch\n\nprint('<b>')\n",
    "proof": PROOF,
    "failure": None,
}


def page_of(**changed: Any) -> str:
    return "".join(html_report(DOCUMENT | changed))


def text_of(page: str) -> str:
    body = page.partition("<main>")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_what_a_page_says() -> None:
    text = text_of(page_of())
    for said in (
        "net.onnx computes the same as net.pth",
        "1 comparison, each within tolerance (rtol 1e−4, atol 1e−5)",
        "net.py:Net",
        "width=64",
        "exporter='dynamo'",
        "2 ms; the original 4 ms: 2 times as fast",
        "batch 2",
        "3e−7",
        "5 operators",
        "3 Conv",
        "A note on the proof.",
        "A note on the export.",
        "print('<b>')",
    ):
        assert said in text, said
    # What was not chosen is not listed.
    assert "opset" not in text


def test_a_failed_proof_says_where() -> None:
    wrong = {
        **CASE,
        "within": False,
        "outputs": [{"name": "logits", "max_abs": None, "max_rel": None, "within": False}],
    }
    broken = {"sizes": {}, "within": False, "error": "the result cannot be run", "outputs": []}
    proof = PROOF | {
        "passed": False,
        "departs": "head (Linear): max abs 0.2",
        "cases": [CASE, wrong, broken],
        "original_seconds": None,
        "result_seconds": None,
    }
    text = text_of(page_of(proof=proof, files=[]))
    assert "net.onnx computes something else than net.pth" in text
    assert "2 of 3 comparisons out of tolerance" in text
    assert "The first layer whose output departs: head (Linear): max abs 0.2" in text
    assert "as the example the result cannot be run" in text
    assert "Latency" not in text


def test_a_failure_is_two_sentences() -> None:
    failure = {"code": "disk-full", "cause": "There is no room left", "next_step": "Free some."}
    nothing = {"proof": None, "nbytes": None, "seconds": None, "outputs": [], "operators": {}}
    text = text_of(page_of(failure=failure, script=None, notes=[], files=[], **nothing))
    assert "net.onnx was not written" in text
    assert "There is no room left. Free some." in text
    assert "Python program" not in text


def test_without_a_proof_it_says_so() -> None:
    assert "was written and not compared" in text_of(page_of(proof=None))


def test_a_long_proof_is_cut() -> None:
    text = text_of(page_of(proof=PROOF | {"cases": [CASE] * 700}))
    assert "and 200 more" in text


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x>', "a\u202eb", "\x1b[2J"]
)
def test_hostile_text_stays_text(name: str) -> None:
    case = {
        **CASE,
        "sizes": {name: 2},
        "error": name,
        "outputs": [{**CASE["outputs"][0], "name": name}],
    }
    page = page_of(
        src=name,
        out=name,
        model={"source": "code", "spec": name, "arguments": {name: name}},
        inputs=[name],
        dynamic=[name],
        options={name: name},
        files=[name],
        outputs=[{"name": name, "shape": [1], "dtype": name}],
        operators={name: 1},
        notes=[name],
        script=name,
        proof=PROOF | {"departs": name, "runtime": name, "cases": [case]},
    )
    body = page.partition("<main>")[2].partition("</main>")[0]
    assert "<script" not in body
    assert "<img" not in body
    assert "\u202e" not in page
    assert "\x1b" not in page


@given(st.text())
def test_any_text_leaves_the_tags_as_they_are(text: str) -> None:
    tags = re.compile(r"</?[a-z0-9]+")
    plain = tags.findall(page_of(notes=["note"], src="a"))
    assert tags.findall(page_of(notes=[text], src="a")) == plain
