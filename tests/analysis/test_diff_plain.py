"""The plain text report: a line for each difference, and nothing from a file breaks a line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis.comparison import ABSENT, Status, ValueDifference
from inspector_app.analysis.diff_plain import plain_report
from inspector_app.analysis.diff_report import ReportOptions
from inspector_app.analysis.key_mapping import KeyMapping
from inspector_app.checkpoint.text import plain
from tests.analysis.report_samples import HOSTILE, comparison, pair


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
    options = ReportOptions(KeyMapping(strip_b=("module.",)))
    lines = "".join(plain_report(of, options)).splitlines()
    assert lines[:2] == ["A: a.pth", "B: b.pth"]
    assert "1 mismatched, 1 missing, 1 changed, 1 identical" in lines
    assert "B's keys lose: module." in lines
    assert "V  epoch: 10 → 20" in lines
    assert "V  lr: 0.1 → (absent)" in lines
    assert "Only in B: optimizer, 2 tensors" in lines
    rows = {line[:1]: line.split() for line in lines if "  fc." in line or "  head." in line}
    assert rows["C"][:8] == [
        "C",
        "fc.weight",
        "[2,",
        "3]",
        "float32",
        "0.2500",
        "0.5000",
        "0.990000",
    ]
    assert rows["M"] == ["M", "fc.bias", "[2,", "3]", "float32"]
    assert rows["X"] == ["X", "head.weight", "[2,", "3]", "→", "[4,", "3]", "float32"]
    starts = {line.index("float32") for line in lines if "float32" in line}
    assert len(starts) == 1


def test_identical_files_list_no_key() -> None:
    text = "".join(plain_report(comparison([pair("a", Status.IDENTICAL)])))
    assert "1 identical" in text
    assert "\n=  " not in text


@given(st.lists(st.one_of(st.text(max_size=30), st.sampled_from(HOSTILE)), max_size=5))
def test_a_key_is_one_line(keys: list[str]) -> None:
    of = comparison([pair(key, Status.CHANGED, 0.5) for key in keys])
    lines = "".join(plain_report(of)).split("\n")
    assert sum(line.startswith("C  ") for line in lines) == len(keys)
    assert all(plain(line, 10**6) == line for line in lines)
