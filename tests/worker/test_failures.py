"""The list of failures, against the places that raise them and the window that shows them."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from inspector_app.terminal import model_options
from inspector_app.worker import failures
from inspector_app.worker.failures import FAILURES

WORKER = Path(failures.__file__).parent
PLACES = (WORKER, WORKER.parent / "terminal", WORKER.parent / "ui")
# What makes a failure of a code, and the details that it adds by itself.
MAKERS = {
    "Failure": {"traceback"},
    "failure_of": {"error", "traceback"},
    "written_failure": {"error", "traceback"},
    "Failed": set(),
}


@cache
def trees() -> list[tuple[str, ast.Module]]:
    """The modules that have failures."""
    read = {path: path.read_text(encoding="utf-8") for each in PLACES for path in each.glob("*.py")}
    return [
        (path.name, ast.parse(text))
        for path, text in sorted(read.items())
        if "Fail" in text and path.name != "failures.py"
    ]


def made() -> Iterator[tuple[str, ast.Call, str]]:
    """Each place that makes a failure of a code that is written there."""
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                code = node.args[0] if node.args else None
                if node.func.id in MAKERS and isinstance(code, ast.Constant):
                    assert isinstance(code.value, str)
                    yield f"{name}:{node.lineno}", node, code.value


def fields(code: str) -> set[str]:
    return {
        name
        for text in FAILURES[code]
        for _, name, _, _ in string.Formatter().parse(text)
        if name is not None
    }


def test_every_code_that_is_raised_has_its_sentences_and_every_sentence_is_raised() -> None:
    raised = {code for _, _, code in made()}
    assert raised <= set(FAILURES)
    # Some are chosen by an expression, so any text counts.
    texts = {
        node.value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(FAILURES) <= texts


def test_every_place_gives_what_its_sentences_name() -> None:
    count = 0
    for place, call, code in made():
        assert isinstance(call.func, ast.Name)
        given = {each.arg for each in call.keywords if each.arg}
        if any(each.arg is None for each in call.keywords):
            continue  # a dictionary, made elsewhere
        if call.func.id == "Failed":
            details = call.args[1] if len(call.args) > 1 else ast.Dict([], [])
            if not isinstance(details, ast.Dict):
                continue
            given = {key.value for key in details.keys if isinstance(key, ast.Constant)}
        lacking = fields(code) - given - MAKERS[call.func.id]
        assert not lacking, f"{place}: {code} lacks {', '.join(sorted(lacking))}"
        count += 1
    assert count > 60


def test_the_command_has_options_for_codes_that_there_are() -> None:
    assert set(model_options._OPTION_FOR) <= set(FAILURES)
