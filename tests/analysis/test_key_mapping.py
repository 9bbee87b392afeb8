"""Prefixes, rules and renames: what is suggested, and that nothing wrong is."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inspector_app.analysis.comparison import Comparison
from inspector_app.analysis.diff import model_keys
from inspector_app.analysis.key_mapping import (
    NO_MAPPING,
    BadRuleError,
    KeyMapping,
    RenameSuggestion,
    Rule,
    stripping,
    suggest_prefixes,
    suggesting_renames,
)
from tests.analysis.comparisons import compared, compared_files, finished

KEYS = [
    f"layers.{layer}.{part}" for layer in range(12) for part in ("fc.weight", "fc.bias", "norm.g")
]


def renames(comparison: Comparison, mapping: KeyMapping = NO_MAPPING) -> list[RenameSuggestion]:
    return finished(suggesting_renames(comparison, mapping))


def pairs(found: list[RenameSuggestion]) -> dict[str, str]:
    return {each.a_key: each.b_key for each in found}


# --- prefixes


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.module.", "model.net.", "ema.", "ema_", "a/b/", "x._y.", "state:"],
)
def test_a_prefix_is_found_on_either_side(prefix: str) -> None:
    wrapped = [prefix + key for key in KEYS]
    best = suggest_prefixes(KEYS, wrapped)[0]
    assert (best.a_prefix, best.b_prefix, best.share) == ("", prefix, 1.0)
    best = suggest_prefixes(wrapped, KEYS)[0]
    assert (best.a_prefix, best.b_prefix, best.share) == (prefix, "", 1.0)
    mapping = best.applied_to(NO_MAPPING)
    assert [mapping.a_key(key) for key in wrapped] == KEYS


def test_each_side_may_have_its_own() -> None:
    best = suggest_prefixes(
        [f"model.{key}" for key in KEYS], [f"net.module.{key}" for key in KEYS]
    )[0]
    assert (best.a_prefix, best.b_prefix, best.share) == ("model.", "net.module.", 1.0)


def test_the_share_is_that_of_the_keys_of_a() -> None:
    wrapped = [f"_orig_mod.module.{key}" for key in KEYS[1:]] + ["other"]
    best = suggest_prefixes(KEYS, wrapped)[0]
    assert (best.matched, best.total) == (len(KEYS) - 1, len(KEYS))
    assert f"{best.share:.0%}" == "97%"


def test_a_part_of_a_larger_model() -> None:
    larger = [f"encoder.{key}" for key in KEYS] + [f"decoder.{number}.w" for number in range(100)]
    best = suggest_prefixes(KEYS, larger)[0]
    assert (best.b_prefix, best.share) == ("encoder.", 1.0)


def test_wrapped_within() -> None:
    inner = [key.replace("fc.", "fc._orig_mod.") for key in KEYS]
    best = suggest_prefixes(KEYS, inner)[0]
    assert best.share == 1.0
    mapping = best.applied_to(NO_MAPPING)
    assert [mapping.b_key(key) for key in inner] == KEYS


def test_nothing_is_suggested_where_nothing_is_gained() -> None:
    assert suggest_prefixes(KEYS, KEYS) == []
    assert suggest_prefixes(KEYS, [f"x{number}.y" for number in range(40)]) == []
    assert suggest_prefixes([], KEYS) == suggest_prefixes(KEYS, []) == []


@given(st.lists(st.text("ab._", max_size=12), max_size=30), st.lists(st.text("ab._", max_size=12)))
def test_a_suggestion_keeps_its_word(a: list[str], b: list[str]) -> None:
    a, b = list(dict.fromkeys(a)), list(dict.fromkeys(b))
    for each in suggest_prefixes(a, b):
        mapping = each.applied_to(NO_MAPPING)
        matched = {mapping.a_key(key) for key in a} & {mapping.b_key(key) for key in b}
        assert len(matched) == each.matched > len(set(a) & set(b))


def test_a_prefix_is_stripped_where_it_makes_keys_match() -> None:
    wrapped = [f"module.{key}" for key in KEYS]
    prefixes = ["module."]
    assert stripping(prefixes, KEYS, wrapped, NO_MAPPING) == KeyMapping(strip_b=("module.",))
    assert stripping(prefixes, wrapped, KEYS, NO_MAPPING) == KeyMapping(strip_a=("module.",))
    assert stripping(prefixes, KEYS, KEYS, NO_MAPPING) == KeyMapping(strip_b=("module.",))
    twice = [f"module.{key}" for key in wrapped]
    assert stripping(prefixes * 2, KEYS, twice, NO_MAPPING).strip_b == ("module.", "module.")


# --- rules


def test_rules() -> None:
    rule = Rule.parse(r"^blocks\.(\d+)\.=>layers.\1.")
    assert rule.apply("blocks.12.fc") == "layers.12.fc"
    assert Rule.parse(str(rule)) == rule
    assert Rule.parse("a=>").apply("cat") == "ct"
    mapping = KeyMapping(strip_b=("m.",), rules=(Rule("a", "b"), Rule("b", "c")))
    assert mapping.b_key("m.ab") == "cc"
    assert mapping.a_key("m.ab") == "m.ab"


@pytest.mark.parametrize(
    "text", ["", "abc", "=>x", "(=>x", r"a=>\1", r"(a)=>\g<b>", "a{99999999999}=>"]
)
def test_a_wrong_rule_is_a_sentence(text: str) -> None:
    with pytest.raises(BadRuleError) as caught:
        Rule.parse(text)
    assert text in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_renames_can_be_taken_back() -> None:
    mapping = NO_MAPPING.with_renames([("b", "a"), ("c", "d")]).with_renames([("b", "x")])
    assert mapping.renames == (("b", "x"), ("c", "d"))
    assert mapping.without_rename("b").renames == (("c", "d"),)
    assert bool(mapping)
    assert not NO_MAPPING


# --- single renames


def test_equal_content_is_found_under_any_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    a = {f"layers.{number}.weight": torch.rand(5, 4) for number in range(9)}
    b = dict(a)
    b["quite.another"] = b.pop("layers.3.weight")
    found = renames(compared(tmp_path, a, b))
    assert [tuple(each)[:3] for each in found] == [("layers.3.weight", "quite.another", "content")]
    mapping = NO_MAPPING.with_renames(each.rename for each in found)
    assert compared(tmp_path, a, b, mapping).summary() == {"identical": 9}


def test_a_similar_name_of_equal_shape(tmp_path: Path) -> None:
    torch.manual_seed(0)
    a = {
        f"h.{number}.attn.qkv.{leaf}": torch.rand(4, 4)
        for number in range(5)
        for leaf in ("weight", "bias")
    }
    b = {key.replace("h.3.attn", "h.3.attention"): torch.rand(4, 4) for key in a}
    found = renames(compared(tmp_path, a, b))
    assert pairs(found) == {
        "h.3.attn.qkv.weight": "h.3.attention.qkv.weight",
        "h.3.attn.qkv.bias": "h.3.attention.qkv.bias",
    }
    assert {each.evidence for each in found} == {"name"}


def test_a_tied_weight_is_one_content(tmp_path: Path) -> None:
    shared = torch.rand(9, 9)
    a = {"embed.weight": shared, "lm_head.weight": shared, "x.bias": torch.rand(2)}
    b = {"embed.weight": shared, "output.weight": shared, "x.bias": a["x.bias"]}
    assert pairs(renames(compared(tmp_path, a, b))) == {"lm_head.weight": "output.weight"}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        # Nothing but ones, or so little that it may be equal by chance.
        ({"enc.norm.weight": torch.ones(64)}, {"classifier.temperature": torch.ones(64)}),
        ({"scale.weight": torch.tensor([3.0])}, {"steps.taken": torch.tensor([3.0])}),
        # What torch calls otherwise means something else.
        ({"norm.weight": torch.rand(4)}, {"norm.bias": torch.rand(4)}),
        # Another layer of the same kind.
        ({"layers.3.fc.weight": torch.rand(4, 4)}, {"layers.4.fc.weight": torch.rand(4, 4)}),
        # Another shape.
        ({"head.weight": torch.rand(4, 4)}, {"heads.weight": torch.rand(4, 5)}),
        # Two that are as near.
        ({"fc.weight": torch.rand(4)}, {"fc1.weight": torch.rand(4), "fc2.weight": torch.rand(4)}),
    ],
)
def test_what_is_ambiguous_is_not_guessed(tmp_path: Path, a: Any, b: Any) -> None:
    both = {"same.weight": torch.rand(3), "same.bias": torch.rand(3)}
    assert renames(compared(tmp_path, a | both, b | both)) == []


def test_equal_contents_are_told_apart_by_their_names(tmp_path: Path) -> None:
    one = torch.rand(8, 8)
    a = {"left.query.weight": one, "right.query.weight": one.clone(), "o.weight": torch.rand(2)}
    b = {"left.q.weight": one, "right.q.weight": one.clone(), "o.weight": a["o.weight"]}
    found = renames(compared(tmp_path, a, b))
    assert pairs(found) == {
        "left.query.weight": "left.q.weight",
        "right.query.weight": "right.q.weight",
    }
    assert {each.evidence for each in found} == {"content"}


def test_without_checksums_the_names_decide(tmp_path: Path) -> None:
    a = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).state_dict()
    b = {key.replace("1.", "1.head_"): value for key, value in a.items()}
    safetensors.torch.save_file(a, tmp_path / "a.safetensors")
    safetensors.torch.save_file(b, tmp_path / "b.safetensors")
    found = renames(compared_files(tmp_path / "a.safetensors", tmp_path / "b.safetensors"))
    assert pairs(found) == {"1.weight": "1.head_weight", "1.bias": "1.head_bias"}


def test_many_renames_below_a_stacked_prefix(tmp_path: Path) -> None:
    """A small edition of the benchmark: all found, none wrong, whatever else is missing."""
    torch.manual_seed(0)
    chosen = random.Random(0)
    parts = (
        "attn.qkv.weight",
        "attn.proj.weight",
        "mlp.fc1.weight",
        "mlp.fc2.weight",
        "norm.weight",
    )
    a = {f"blocks.{n}.{part}": torch.rand(4, 4) for n in range(60) for part in parts}
    renamed = {
        key: key.replace("attn", "attention").replace("fc", "linear") if n % 2 else f"moved.{n}.w"
        for n, key in enumerate(chosen.sample([k for k in a if "norm" not in k], 40))
    }
    b = {f"_orig_mod.module.{renamed.get(key, key)}": value for key, value in a.items()}
    for number in range(10):  # noise: what is really gone, and really new
        del a[f"blocks.{number}.norm.weight"]
        b[f"_orig_mod.module.extra.{number}.table"] = torch.rand(4, 4)
    plain = compared(tmp_path, a, b)
    best = suggest_prefixes(*model_keys(plain))[0]
    assert best.b_prefix == "_orig_mod.module."
    mapping = best.applied_to(NO_MAPPING)
    found = renames(compared(tmp_path, a, b, mapping), mapping)
    assert pairs(found) == {key: f"_orig_mod.module.{new}" for key, new in renamed.items()}
    accepted = mapping.with_renames(each.rename for each in found)
    final = compared(tmp_path, a, b, accepted)
    assert final.summary() == {"identical": len(a), "unexpected": 20}
