"""Each way past a scanner that a pickle offers is reported, and nothing of it is run.

The files are scanned and shown by `scan_watcher.py` in a process of its own, where an audit
hook sees every import, call of the system, socket, and file that is opened for writing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from inspector_app.checkpoint.text import plain
from tests.scan_answers import ROOT, answers_of

sys.path.append(str(ROOT / "tests" / "analysis"))
import bypass_pickles as bypass

FILES = bypass.files()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What `scan` and `show` say about each file, by its title."""
    warm_up = [
        bypass.in_zip(bypass.INNER, {"archive/notes": bypass.INNER}),
        bypass.legacy(bypass.INNER),
        bypass.INNER,
        bypass.INNER[:-3],
        b"\x80\x02",
        b"text",
    ]
    files = {title: content for title, (content, _) in FILES.items()}
    return answers_of(warm_up, files, tmp_path_factory.mktemp("tricks"))


def test_nothing_is_imported_run_written_or_sent(answers: dict[str, dict[str, Any]]) -> None:
    assert {title: row["seen"] for title, row in answers.items() if row["seen"]} == {}
    assert {title: row["unsafe"] for title, row in answers.items() if row["unsafe"]} == {}
    assert not Path("/tmp/executed-by-a-checkpoint").exists()


@pytest.mark.parametrize("title", FILES)
def test_each_trick_is_named(answers: dict[str, dict[str, Any]], title: str) -> None:
    answer, trick = answers[title], FILES[title][1]
    assert (answer["status"], answer["text_status"]) == (1, 1), answer["trouble"]
    (report,) = answer["report"]["files"]
    outside = {found["name"]: found for found in report["globals"] if not found["allowed"]}
    if trick.named:
        found = outside[trick.named]
        assert found["uses"]
        assert found["group"] == ("model code" if "somebody" in trick.named else found["group"])
        assert found["group"] != "tensors"
        assert plain(trick.named) in answer["text"]
    if trick.code:
        assert trick.code in {problem["code"] for problem in report["anomalies"]}
    assert report["weights_only"]["loads"] is not None


@pytest.mark.parametrize("title", FILES)
def test_what_can_be_shown_is_shown(answers: dict[str, dict[str, Any]], title: str) -> None:
    answer = answers[title]
    if answer["show_status"] == 0:
        assert answer["shown"]
    else:
        # Nothing is left to show where the stream breaks before it has made anything.
        assert answer["show_status"] == 2
        assert "nothing can be read" in answer["show_trouble"]
        assert answer["show_trouble"].count("\n") == 1
