"""What the commands print of files whose every string is hostile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inspector_app.cli import run
from tests.evil_texts import UNSAFE, all_files, evil_file, evil_pickle, evil_safetensors

Capture = pytest.CaptureFixture[str]


def said(capsys: Capture, *arguments: object) -> str:
    capsys.readouterr()
    run([*map(str, arguments)])
    written = capsys.readouterr()
    return written.out + written.err


def check(text: str, what: object) -> None:
    found = UNSAFE.search(text)
    assert found is None, (what, text[max(found.start() - 60, 0) : found.end() + 20])


@pytest.mark.parametrize("command", ["show", "stats", "scan", "training", "run"])
def test_commands_about_one_file(command: str, tmp_path: Path, capsys: Capture) -> None:
    for path in all_files(tmp_path):
        text = said(capsys, command, path)
        assert text
        check(text, (command, path.suffix))
        check(said(capsys, command, path, "--json"), (command, path.suffix, "json"))


def test_what_is_not_there(tmp_path: Path, capsys: Capture) -> None:
    path = evil_file(tmp_path)
    path.unlink()
    for command in ("show", "stats", "scan", "training"):
        text = said(capsys, command, path)
        assert text.startswith("checkpoint-inspector: ")
        check(text, command)


def test_commands_about_two_files(tmp_path: Path, capsys: Capture) -> None:
    one, two = evil_file(tmp_path), evil_file(tmp_path, 1)
    out = tmp_path / "out.pth"
    for arguments in (
        ("diff", one, two),
        ("diff", one, two, "--values"),
        ("diff", one, two, "--json"),
        ("diff", one, evil_pickle(tmp_path)),
        ("diff", one, evil_safetensors(tmp_path)),
        ("convert", one, out, "--force"),
        ("convert", "--clean", one, out, "--force"),
        ("convert", "--clean", one, out, "--force", "--json"),
        ("convert", one, tmp_path / "out.safetensors", "--force", "--section", "state_dict"),
        ("convert", evil_pickle(tmp_path), out, "--force"),
        ("transfer", one, "--into", two, out, "--force"),
        ("quantize", one, "--preview"),
        ("quantize", one, out, "--method", "cast", "--dtype", "bfloat16"),
    ):
        text = said(capsys, *arguments)
        assert text, arguments
        check(text, arguments[0])


def test_reports_of_a_diff(tmp_path: Path, capsys: Capture) -> None:
    one, two = evil_file(tmp_path), evil_file(tmp_path, 1)
    page = tmp_path / "a.html"
    said(capsys, "diff", one, two, "--values", "--html", page)
    text = page.read_text(encoding="utf-8")
    check(text, "html")
    assert "<b>x</b>" not in text


def test_json_has_the_strings_as_they_are(tmp_path: Path, capsys: Capture) -> None:
    """Escaped by JSON itself: programs read names, and must find the tensors by them."""
    from tests.evil_texts import EVIL

    told = json.loads(said(capsys, "show", evil_file(tmp_path), "--json"))
    names = {tuple(each["path"]) for each in told["tensors"]}
    assert (f"{EVIL}model", f"a{EVIL}") in names
