"""The HTML report: what it says, that nothing in it comes alive, and that it is bounded."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis.comparison import ABSENT, Comparison, Status, ValueDifference
from inspector_app.analysis.content import measuring
from inspector_app.analysis.diff import comparing
from inspector_app.analysis.diff_html import html_report
from inspector_app.analysis.diff_report import MOST_IN_MESSAGE, MOST_KEYS, ReportOptions
from inspector_app.analysis.key_mapping import (
    KeyMapping,
    PrefixSuggestion,
    RenameSuggestion,
    Rule,
)
from inspector_app.analysis.report_words import LETTERS
from inspector_app.checkpoint import open_checkpoint
from tests.analysis.report_samples import HOSTILE, Page, comparison, metrics, pair

# Tags and attributes that a report is made of; nothing that loads or leads anywhere.
TAGS = set(
    "html head meta title style body main h1 h2 p b section div span code i ul li table caption "
    "thead tbody tr th td fieldset legend label input svg path text circle rect pre dl dt dd "
    "footer script".split()
)
LOADING = ("src", "href", "xlink:href", "srcset", "action", "data", "background", "style")


def page_of(of: Comparison, options: ReportOptions | None = None) -> Page:
    return Page("".join(html_report(of, options)))


def compared(a: Path, b: Path) -> Comparison:
    steps = comparing(open_checkpoint(a), open_checkpoint(b))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Comparison = end.value
            return found


def is_inert(page: Page) -> None:
    """Nothing that could run or load, but for the page's own script."""
    assert page.count("script") == page.count("style") == page.count("body") == 1
    for tag, attributes in page.tags:
        assert tag in TAGS, tag
        for name in attributes:
            assert name not in LOADING, (tag, name)
            assert not name.startswith("on"), (tag, name)


def real(folder: Path) -> Comparison:
    """A training checkpoint, and what came of it."""
    torch.manual_seed(0)
    before = {f"layers.{n}.{kind}": torch.randn(8) for n in range(6) for kind in ("w", "b")}
    before["norm.scale"] = torch.zeros(4)
    after = {key: value.clone() for key, value in before.items()}
    after["layers.4.w"] += 0.5
    after["layers.2.b"] += 1e-4
    after["norm.scale"] += 1
    after["layers.5.w"] = torch.randn(9)
    del after["layers.0.b"]
    after["layers.0.c"] = torch.ones(1)
    torch.save({"state_dict": before, "epoch": 10, "lr": 1e-3}, folder / "a.pth")
    torch.save({"state_dict": after, "epoch": 20, "lr": 1e-4}, folder / "b.pth")
    return compared(folder / "a.pth", folder / "b.pth")


def test_what_a_report_says(tmp_path: Path) -> None:
    of = real(tmp_path)
    changed = [each for each in of.pairs if each.status == Status.CHANGED]
    list(measuring(of, changed))
    page = page_of(of)
    is_inert(page)
    assert page.texts["h2"][0] == "14 keys"
    assert [text.split() for text in page.texts["li"]][:6] == [
        ["X1", "mismatched"],
        ["M1", "missing"],
        ["U1", "unexpected"],
        ["C3", "changed"],
        ["=8", "identical"],
        ["V2", "other", "values"],
    ]
    names = [text for text in page.texts["span"] if text.endswith(".pth")]
    assert names == ["a.pth", str(tmp_path / "a.pth"), "b.pth", str(tmp_path / "b.pth")]
    assert "8 identical by checksum" in "".join(page.texts["li"])
    assert "3 changed by bytes" in "".join(page.texts["li"])
    keys = {row[1]: row for row in page.rows if row[0][:1] in tuple(LETTERS.values())}
    assert set(keys) == {
        "layers.5.w", "layers.0.b", "layers.0.c", "layers.2.b", "layers.4.w", "norm.scale",
    }  # fmt: skip
    assert keys["layers.5.w"][2] == "[8] → [9]"
    moved = torch.load(tmp_path / "a.pth", weights_only=True)["state_dict"]["layers.4.w"].double()
    relative = 0.5 * math.sqrt(8) / float(moved.norm())
    assert float(keys["layers.4.w"][4]) == pytest.approx(relative, rel=1e-3)
    assert keys["norm.scale"][4] == "∞"
    # What moved most stands first; layers come in the order of A.
    movers = [row[0] for row in page.rows if len(row) == 5][1:]
    assert movers == ["norm.scale", "layers.4.w", "layers.2.b"]
    hints = [text.partition(": ")[0] for text in page.texts["circle"]]
    assert [hint.rpartition(".")[0] for hint in hints] == [f"layers.{n}" for n in range(6)]
    values = [row for row in page.rows if len(row) == 3]
    assert values == [["where", "A", "B"], ["epoch", "10", "20"], ["lr", "0.001", "0.0001"]]


def test_it_has_torchs_message(tmp_path: Path) -> None:
    of = real(tmp_path)
    model = torch.nn.Module()
    for key, value in torch.load(of.a.path, weights_only=True)["state_dict"].items():
        owner = model
        *parts, last = key.split(".")
        for part in parts:
            if part not in dict(owner.named_children()):
                owner.add_module(part, torch.nn.Module())
            owner = getattr(owner, part)
        owner.register_buffer(last, value)
    with pytest.raises(RuntimeError) as raised:
        model.load_state_dict(torch.load(of.b.path, weights_only=True)["state_dict"])
    assert page_of(of).texts["pre"] == [str(raised.value)]


def test_without_values_it_says_so(tmp_path: Path) -> None:
    page = page_of(real(tmp_path))
    assert page.count("circle") == 0
    assert "No layer moved." not in page.texts["p"]
    assert "3 of 7 layers are not known" in "".join(page.texts["p"])
    assert "3 changed keys moved was not measured" in "".join(page.texts["li"])
    assert all(len(row) != 10 for row in page.rows)


def test_nothing_differs() -> None:
    page = page_of(comparison([pair("a.w", Status.IDENTICAL)]))
    is_inert(page)
    assert page.texts["pre"] == ["<All keys matched successfully>"]
    assert "Keys that differ" not in page.texts["h2"]
    assert "A.load_state_dict(B), of the two models, raises nothing." in page.texts["p"]
    assert page_of(comparison([])).texts["h2"][0] == "0 keys"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    statuses = (Status.MISMATCHED, Status.MISSING, Status.UNEXPECTED, Status.CHANGED)
    of = comparison([pair(name + status, status, 0.25) for status in statuses], path=name)
    of.sections = ((name,), (name, 3))
    of.values = [
        ValueDifference((name, 1), name, ABSENT),
        ValueDifference((name,), 10**5_000, float("nan")),
    ]
    of.left_out = [("a", (name,), 3)]
    of.not_compared = [(name, 0)]
    assert of.pairs[0].a is not None
    of.pairs[0].a.dtype = name
    of.pairs[1] = replace(of.pairs[1], error=name)
    of.pairs[3] = replace(of.pairs[3], notes=("renamed", "collides", "device"))
    mapping = KeyMapping((name,), (name,), (Rule("x", name),), ((name, name),))
    hints = {
        "prefixes": [PrefixSuggestion(name, name, (Rule(name, name),), 1, 1)],
        "renames": [RenameSuggestion(name, name, "content", 1.0)] * 2,
    }
    options = ReportOptions(mapping, (name,), 1e-3, 0.5, **hints)
    text = "".join(html_report(of, options))
    is_inert(Page(text))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert len(text) < 60_000
    text.encode()


@given(st.lists(st.text(max_size=40), max_size=5, unique=True), st.data())
def test_any_names(names: list[str], data: st.DataObject) -> None:
    statuses = st.sampled_from(list(LETTERS)[:5])
    changes = st.one_of(st.none(), st.floats(min_value=0))
    pairs = [pair(name, data.draw(statuses), data.draw(changes)) for name in names]
    text = "".join(html_report(comparison(pairs)))
    page = Page(text)
    is_inert(page)
    assert text == "".join(html_report(comparison(pairs)))
    text.encode()


def test_only_its_own_script_and_style_may_run() -> None:
    page = page_of(comparison([pair("a.w", Status.CHANGED, 0.5)]))
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert "default-src 'none'" in policy
    for tag in ("script", "style"):
        digest = hashlib.sha256(page.texts[tag][0].encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}';" in policy


def test_nothing_comes_from_elsewhere() -> None:
    text = "".join(html_report(comparison([pair("a.w", Status.CHANGED, 0.5)])))
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<link|<base", text)


def test_it_is_bounded() -> None:
    pairs = [pair(f"layers.{n}.w", Status.CHANGED, n / 1e5) for n in range(20_000)]
    pairs += [pair(f"gone.{n}.w", Status.MISSING) for n in range(3_000)]
    pairs += [pair(f"new.{n}.w", Status.UNEXPECTED) for n in range(3)]
    pairs += [pair(f"same.{n}.w", Status.IDENTICAL) for n in range(10_000)]
    text = "".join(html_report(comparison(pairs)))
    assert len(text) < 4_000_000
    assert text.count('<tr class="') == MOST_KEYS
    page = page_of(comparison(pairs), ReportOptions(most_keys=400))
    rows = [row for row in page.rows if row[0][:1] in ("C", "M", "U")]
    listed = {letter: [row[1] for row in rows if row[0][0] == letter] for letter in "CMU"}
    # Three unexpected keys are not crowded out; of the changed ones the largest are listed.
    assert listed["U"] == ["new.0.w", "new.1.w", "new.2.w"]
    assert listed["C"][-1] == "layers.19999.w"
    assert len(rows) == 400
    said = " ".join(page.texts["p"])
    missing, changed = (len(listed[letter]) for letter in "MC")
    assert (
        f"400 of 23,003 are listed. Left out: {3_000 - missing:,} missing, "
        f"{20_000 - changed:,} changed."
    ) in said
    assert page.count("circle") <= 1_000
    shown = page.texts["pre"][0]
    assert shown.count("gone.") == MOST_IN_MESSAGE
    assert f"{3_000 - MOST_IN_MESSAGE:,} more keys left out." in page.texts["p"]


def test_how_it_was_compared() -> None:
    mapping = KeyMapping(
        ("a.",), ("module.",), (Rule("x", "y"),), tuple((f"b{n}", f"a{n}") for n in range(30))
    )
    options = ReportOptions(mapping, ("*.weight",), rtol=0.001)
    page = page_of(comparison([pair("w", Status.IDENTICAL)]), options)
    said = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert said["A's keys lose"] == "a."
    assert said["B's keys lose"] == "module."
    assert said["B's keys are mapped"] == "x=>y"
    assert said["B's key stands for A's"] == "and 10 more renames"
    assert said["Only keys like"] == "*.weight"
    assert said["Identical up to"] == "0 + 0.001000 · |a|"


@pytest.mark.parametrize("values", [(1e-320, 1e308), (0.0, 0.0), (math.inf,), (5e-324, math.inf)])
def test_any_scale(values: tuple[float, ...]) -> None:
    pairs = [pair(f"l.{n}.w", Status.CHANGED, value) for n, value in enumerate(values)]
    page = page_of(comparison(pairs))
    drawn = [attributes for tag, attributes in page.tags if tag in ("circle", "path")]
    for attributes in drawn:
        assert "nan" not in str(attributes)
        assert "inf" not in str(attributes)
    heights = [float(a["cy"] or "") for t, a in page.tags if t == "circle"]
    assert all(0 < height < 270 for height in heights)


def test_zero_in_a_is_infinite() -> None:
    changed = pair("l.w", Status.CHANGED)
    changed.metrics = metrics(None, 1.0)
    page = page_of(comparison([changed]))
    assert [a["class"] for t, a in page.tags if t == "path" and a.get("class") == "cross"]
    assert "A cross is a tensor that is all zero in A." in " ".join(page.texts["p"])
