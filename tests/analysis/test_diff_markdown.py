"""The Markdown report: what it says, and that names from files are nothing but text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis.comparison import ABSENT, Status, ValueDifference
from inspector_app.analysis.diff_markdown import MOST_KEYS, cell, code, markdown_report
from inspector_app.analysis.diff_report import ReportOptions
from inspector_app.analysis.key_mapping import KeyMapping
from tests.analysis.report_samples import HOSTILE, comparison, pair


def unspanned(line: str) -> str:
    """A line without its code spans, found as CommonMark finds them."""
    return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", line)


def cells(line: str) -> list[str]:
    """The cells of a table's row, found as cmark-gfm finds them: before anything else is.

    A backslash escapes any ASCII punctuation, another backslash as well.
    """
    assert line.startswith("|")
    found = re.findall(r"((?:\\[!-/:-@\[-`{-~]|[^|])+)\|", line[1:])
    return [each.strip() for each in found]


def test_what_a_report_says() -> None:
    of = comparison(
        [
            pair("fc.weight", Status.CHANGED, 0.25),
            pair("fc.bias", Status.MISSING),
            pair("head.weight", Status.MISMATCHED),
            pair("norm.weight", Status.IDENTICAL),
        ]
    )
    of.values = [ValueDifference(("epoch",), 10, 20), ValueDifference(("lr",), 0.1, ABSENT)]
    of.left_out = [("b", ("optimizer",), 2)]
    options = ReportOptions(KeyMapping(strip_b=("module.",)), rtol=0.5)
    text = "".join(markdown_report(of, options))
    lines = text.splitlines()
    assert "- **A**: `a.pth`, torch-zip, 1.00 kB, 4 tensors" in lines
    assert "- **B**: `b.pth`, torch-zip, 1.00 kB, 3 tensors" in lines
    for row in (
        "| C | changed | 1 |",
        "| = | identical | 1 |",
        "| V | other values | 2 |",
        "| `epoch` | `10` | `20` |",
        "| `lr` | `0.1` | `(absent)` |",
        "| `fc.weight` | 0.2500 | 0.5000 | 0.990000 |",
        "| X | `head.weight` | `[2, 3] → [4, 3]` | `float32` |  |  |  |  |  |  |",
        "- Only in B: `optimizer`, 2 tensors",
        "- B's keys lose: `module.`",
        "- Identical up to: `0 + 0.5000 · |a|`",
    ):
        assert row in lines
    changed = next(line for line in lines if line.startswith("| C | `fc.weight`"))
    assert cells(changed)[4:] == [
        "0.2500", "0.5000", "0.1000", "0.990000", "50.00 %", "`1 sign flip`",
    ]  # fmt: skip
    assert "```text\nError(s) in loading state_dict for Module:\n\tMissing key(s)" in text


def test_without_figures_there_are_no_columns() -> None:
    text = "".join(markdown_report(comparison([pair("w", Status.MISSING)])))
    assert "|  | key | shape | dtype | notes |" in text
    assert "moved most" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    statuses = (Status.MISMATCHED, Status.MISSING, Status.UNEXPECTED, Status.CHANGED)
    of = comparison([pair(name + status, status, 0.25) for status in statuses], path=name)
    of.values = [ValueDifference((name, 1), name, ABSENT)]
    of.left_out = [("a", (name,), 3)]
    of.not_compared = [(name,)]
    mapping = KeyMapping((name,), (name,), (), ((name, name),))
    text = "".join(markdown_report(of, ReportOptions(mapping, (name,))))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    before, fence, message = re.split(r"\n(`{3,})text\n", text)
    message, after = message.split(f"\n{fence}\n")
    assert fence not in message
    widths = set()
    for line in (before + after).splitlines():
        if line.startswith("|"):
            widths.add(len(cells(line)))
        assert not re.search(r"[<>\[\]]", unspanned(line)), line
    assert widths == {3, 4, 10}


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1))
def test_a_code_span_is_its_text(text: str) -> None:
    span = code(text)
    found = re.fullmatch(r"(?s)(`+)(.*?[^`])\1|(`+) (.*) \3", span)
    assert found is not None
    assert unspanned(span) == ""
    inner = found[2] if found[2] is not None else found[4]
    # One space on each side is taken off, unless there is nothing but spaces.
    if inner.startswith(" ") and inner.endswith(" ") and inner.strip(" "):
        inner = inner[1:-1]
    assert inner.strip() == text.strip()
    assert len(cells(f"| {cell(text)} | x |")) == 2


def test_it_is_bounded() -> None:
    pairs = [pair(f"layers.{n}.w", Status.CHANGED, n / 1e5) for n in range(2_000)]
    text = "".join(markdown_report(comparison(pairs)))
    assert len(text) < 65_536
    assert f"Not listed: {2_000 - MOST_KEYS:,} changed." in text
    assert "| C | `layers.1999.w` |" in text
    assert text == "".join(markdown_report(comparison(pairs)))
