"""No text breaks out of a literal or a comment."""

import ast
import tokenize
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis.needed_globals import split_global
from inspector_app.analysis.python_text import bracketed, comment, is_identifier, literal, variable

# Surrogates, too: a key may hold what UTF-8 does not.
TEXT = st.text(st.characters(codec=None), max_size=60) | st.text("\n\r\x0c\x1c\u2028'\"\\#ab {}")


@given(TEXT | st.integers())
def test_a_literal_is_its_value(value: str | int) -> None:
    text = literal(value)
    assert ast.literal_eval(text) == value
    assert len(text.splitlines()) == 1


@given(TEXT)
def test_a_comment_is_nothing_but_comment(text: str) -> None:
    lines = comment(text)
    assert lines
    source = "\n".join(lines)
    assert source.splitlines() == lines
    kinds = {
        token.type for token in tokenize.tokenize(BytesIO(source.encode("utf-8")).readline)
    } - {tokenize.ENCODING, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
    assert kinds == {tokenize.COMMENT}


@given(TEXT, st.sets(st.sampled_from(["model", "model_2", "a", "netG"])))
def test_a_variable_is_a_free_name(text: str, taken: set[str]) -> None:
    name = variable(text, taken, "model")
    assert is_identifier(name)
    assert name not in taken


def test_variables_are_named_after_keys() -> None:
    assert variable("netG", (), "model") == "netG"
    assert variable("gen.state_dict", (), "model") == "gen"
    assert variable("optimizer_state_dict", ("optimizer",), "optimizer") == "optimizer_2"
    assert variable("class", (), "model") == "model"
    assert variable("print", (), "model") == "model"
    assert variable("", ("model",), "model") == "model_2"


def test_names_that_python_would_change_are_no_identifiers() -> None:
    assert not is_identifier("ﬁt")
    assert not is_identifier("a b")
    assert not is_identifier("")
    assert not is_identifier("class")
    assert not is_identifier("x\n")


@given(st.lists(TEXT.map(literal), max_size=5))
def test_a_list_is_the_same_on_one_line_and_on_many(items: list[str]) -> None:
    source = "\n".join(bracketed("", items, ""))
    assert ast.literal_eval(source) == [ast.literal_eval(item) for item in items]


def test_modules_end_where_classes_begin() -> None:
    assert split_global("argparse.Namespace") == ("argparse", "Namespace")
    assert split_global("a.b.Outer.Inner") == ("a.b", "Outer.Inner")
    assert split_global("a.b.function") == ("a.b", "function")
    assert split_global("Upper.lower") == ("Upper", "lower")
