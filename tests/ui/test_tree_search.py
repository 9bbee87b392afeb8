"""The search language: what it finds, what it says, and that it cannot hang."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_checkpoints import checkpoint, language_model, mapping, node, rows_of, run, tensor

from inspector_app.checkpoint.model import Kind, Quantizer, StorageRef, TensorDetails
from inspector_app.ui.tree_filter import finding, naming
from inspector_app.ui.tree_search import parse, searchable
from inspector_app.ui.tree_search_fields import SearchError, _fits
from inspector_app.ui.tree_search_regex import Expression

NAMES = [
    "model/layers.0.attn.q.weight",
    "model/layers.0.attn.q.bias",
    "model/layers.10.mlp.weight",
    "model/Head.Weight",
    "optimizer/state/0/exp_avg",
]


def found(text: str) -> list[str]:
    names = [searchable(name) for name in NAMES]
    return [NAMES[i] for i in parse(text).select(names, [None] * len(names))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weight", [0, 2, 3]),
        ("WEIGHT attn", [0]),
        ("weight -attn", [2, 3]),
        ("-weight", [1, 4]),
        ("*attn*weight", [0]),
        ("layers.?.*", [0, 1]),
        ("head.*", [3]),
        ("exp_avg", [4]),
        ("exp*", [4]),
        ("state/*", [4]),
        ("q*", []),
        ("/layers\\.\\d+\\.mlp/", [2]),
        ("/q\\.(weight|bias)$/", [0, 1]),
        ("-/weight/", [1, 4]),
        ("/layers", [0, 1, 2]),
        ('"q.bias"', [1]),
        ("", range(5)),
        ("   ", range(5)),
        ("-", range(5)),
        ("dtype:", range(5)),
        ("size:>", range(5)),
        ("model/", [0, 1, 2, 3]),
    ],
)
def test_words_patterns_and_expressions(text, expected):
    assert found(text) == [NAMES[i] for i in expected]


def matching(text: str, source) -> set[str]:
    rows = rows_of(source)
    names = run(naming(rows))
    query = parse(text, rows.shared)
    return {names.nodes[i].name for i in query.select(names.names, names.nodes)}


@pytest.fixture
def zoo():
    root = mapping()
    tensor(root, "bf", (8, 4096), "bfloat16", device="cuda:0")
    tensor(root, "f8", (3, 5, 4096), "float8_e4m3fn", details=TensorDetails(parameter=True))
    tensor(root, "scalar", (), "int64")
    tensor(root, "empty", (0, 4), "bool", device="meta")
    tied = tensor(root, "tied", (3, 7, 7))
    tensor(root, "again", (3, 7, 7), storage=tied.storage)
    tensor(root, "part", (2,), storage=StorageRef("big", 4000))
    tensor(root, "grad", (600, 600), "float64", requires_grad=True)
    tensor(root, "q", (4,), "qint8", details=TensorDetails(quantizer=Quantizer("x")))
    tensor(root, "z", (4,), "complex64", layout="sparse_coo")
    node(root, "lr", Kind.SCALAR, "float", 0.1)
    return checkpoint(root)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dtype:bf16", "bf"),
        ("dtype:BFloat16", "bf"),
        ("dtype:fp8", "f8"),
        ("dtype:torch.float8_e4m3fn", "f8"),
        ("dtype:long,bool", "scalar empty"),
        ("dtype:float", "tied again part"),
        ("dtype:floa", "f8 tied again part grad"),
        ("dtype:int*", "scalar"),
        ("shape:*x4096", "bf f8"),
        ("shape:?x4096", "bf"),
        ("shape:3x*", "f8 tied again"),
        ("shape:3×7×7", "tied again"),
        ("shape:(3,7,7)", "tied again"),
        ("shape:3x", "f8 tied again"),
        ("shape:scalar", "scalar"),
        ("size:>1MB", "grad"),
        ("size:>=2880000 size:<=2.88MB", "grad"),
        ("size:=8", "scalar part"),
        ("size:60kB..70kB", "bf f8"),
        ("size:<1", "empty"),
        ("params:>1e5", "grad"),
        ("params:300k..", "grad"),
        ("device:cuda", "bf"),
        ("device:*:0", "bf"),
        ("is:shared", "tied again"),
        ("is:tied", "tied again"),
        ("is:view", "part"),
        ("is:param", "f8"),
        ("is:grad", "grad"),
        ("is:scalar", "scalar"),
        ("is:empty", "empty"),
        ("is:meta", "empty"),
        ("is:quantized", "q"),
        ("is:complex", "z"),
        ("is:sparse", "z"),
        ("is:value", "lr"),
        ("is:quan", "q"),
        ("-is:tensor", "lr"),
        ("t* -is:shared", ""),
    ],
)
def test_fields(zoo, text, expected):
    assert matching(text, zoo) == set(expected.split())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("color:red", "unknown-field"),
        ("dtype:elephant", "unknown-dtype"),
        ("is:happy", "unknown-property"),
        ("shape:axb", "bad-shape"),
        ("shape:x", "bad-shape"),
        ("size:big", "bad-number"),
        ("size:>10XB", "bad-number"),
        ("params:1e999999999", "bad-number"),
        ("/(/", "bad-expression"),
        ("/[/", "bad-expression"),
        ("/a{99999999999}/", "bad-expression"),
        ("/(a+)+$/", "slow-expression"),
        ("/(a|a)*$/", "slow-expression"),
        ("/(a|ab)*c/", "slow-expression"),
        ("/(a?){30}a{30}/", "slow-expression"),
        ("/" + "a?" * 30 + "a" * 30 + "/", "slow-expression"),
        ("/" + "(a|a)" * 30 + "b/", "slow-expression"),
        ("/(.*)(.*)(.*)(.*)(.*)(.*)x/", "slow-expression"),
        ("/" + "(" * 200 + "a" + ")" * 200 + "/", "slow-expression"),
        ("x" * 600, "too-long"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text, code):
    with pytest.raises(SearchError) as caught:
        parse(text)
    assert caught.value.code == code
    assert caught.value.message
    assert "{" not in caught.value.message.replace(text, "")


@pytest.mark.parametrize("source", ["(a|b)*c", "a+b+c+d", "(foo|bar)+", "x{2,3}y?", "(?i)w.*"])
def test_expressions_that_end_soon_are_run(source):
    assert not Expression(source).matches("zzz")


@pytest.mark.parametrize(
    "source", [".*a.*a.*b", "a*a*a*a*a*b", "(.+)x(.+)y", "a?a?a?a?aaaa!", "(.+)\\1c", "(a|a)(a|a)b"]
)
@pytest.mark.parametrize("length", [30, 300, 4000])
def test_an_expression_that_is_run_comes_to_an_end(source, length):
    # Without the bound on names, some of these take longer than the sun will last.
    expression = Expression(source)
    assert not expression.matches("a" * length)


def test_names_too_long_for_an_expression_are_counted():
    query = parse("/a*a*a*b/")
    assert query.select(["ab", "a" * 4000], [None, None]) == [0]
    assert query.too_long == 1


def test_what_matched_is_marked():
    assert parse("attn weight").spans("h.attn.Weight") == [(2, 6), (7, 13)]
    assert parse("aa a").spans("aaa") == [(0, 3)]
    assert parse("*t*w*").spans("attn.w") == [(1, 2), (5, 6)]
    assert parse("/n.w/").spans("attn.w") == [(3, 6)]
    assert parse("-attn").spans("attn") == []


def test_finding_lists_matches_with_what_they_lie_in():
    rows = rows_of(language_model())
    result = run(finding(rows, run(naming(rows)), parse("qkv.weight")))
    assert result.matches == 12
    assert result.entries == 57
    for row, bits in enumerate(result.shown):
        if bits & 1:
            assert "qkv" in rows.nodes[row].key
            assert all(result.shown[up] & 2 and result.expanded[up] for up in rows.ancestors(row))


@given(st.text(max_size=60))
def test_any_text_is_a_search_or_a_sentence(text):
    try:
        query = parse(text)
    except SearchError as error:
        sentence = error.message
        query = parse("x")
    else:
        sentence = "none"
    query.select([searchable(name) for name in NAMES], [None] * len(NAMES))
    query.spans(NAMES[0])
    assert sentence


@given(st.text(alphabet='abAB.*?/"- :', max_size=12), st.text(alphabet="abAB./[]", max_size=12))
def test_spans_are_ordered_and_inside(text, name):
    try:
        spans = parse(text).spans(name)
    except SearchError:
        return
    last = 0
    for start, end in spans:
        assert last <= start < end <= len(name)
        last = end


@given(st.text(alphabet="ab*?[].", min_size=1, max_size=10), st.text(alphabet="ab[].", max_size=10))
def test_patterns_agree_with_fnmatch(pattern, name):
    if "*" not in pattern and "?" not in pattern:
        pattern += "*"
    expected = fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
    assert bool(parse(pattern).select([name], [None])) is expected


@given(
    st.lists(st.integers(0, 3), max_size=6),
    st.lists(st.sampled_from([0, 1, 2, 3, "?", "…"]), max_size=6),
)
def test_shapes_agree_with_a_pattern_of_letters(shape, pattern):
    text = "".join(map(str, shape))
    letters = "".join({"?": "?", "…": "*"}.get(part, str(part)) for part in pattern)
    assert _fits(shape, pattern) is fnmatch.fnmatchcase(text, letters)
