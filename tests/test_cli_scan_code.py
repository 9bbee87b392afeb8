"""`scan` and the source texts in files: their names and places, and what they say."""

from __future__ import annotations

import inspect
import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from inspector_app.analysis import source_texts
from inspector_app.checkpoint.text import plain
from inspector_app.cli import run

Capture = pytest.CaptureFixture[str]
EVIL = 'def f():\n\treturn "\x1b[2J\u202e"  # \u200b\n    os.system  called\n'


def script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)


def with_code(path: Path, **texts: bytes) -> None:
    """A TorchScript file with more entries below code/."""
    script(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        root = archive.namelist()[0].split("/")[0]
        for name, text in texts.items():
            archive.writestr(f"{root}/code/{name}.py", text)


def as_json(capsys: Capture, *arguments: object) -> list[dict[str, Any]]:
    capsys.readouterr()
    run(["scan", *map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)["files"]


def as_text(capsys: Capture, *arguments: object) -> list[str]:
    capsys.readouterr()
    run(["scan", *map(str, arguments)])
    return capsys.readouterr().out.split("\n")


def notes(capsys: Capture, *paths: Path) -> list[dict[str, Any]]:
    capsys.readouterr()
    run(["scan", *map(str, paths), "--sarif"])
    (only,) = json.loads(capsys.readouterr().out)["runs"]
    rules = [rule["id"] for rule in only["tool"]["driver"]["rules"]]
    found = [each for each in only["results"] if each["ruleId"] == "code/source-text"]
    assert all(rules[each["ruleIndex"]] == each["ruleId"] for each in found)
    assert {each["level"] for each in found} <= {"note"}
    return found


def test_torchscript(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.pt"
    script(path)
    with zipfile.ZipFile(path) as archive:
        entries = {
            info.filename.partition("/")[2]: archive.read(info).decode()
            for info in archive.infolist()
            if "/code/" in info.filename and info.filename.endswith(".py")
        }
    (report,) = as_json(capsys, path)
    assert report["clean"] is True
    assert {code["name"]: code["text"] for code in report["code"]} == entries
    assert [code["truncated"] for code in report["code"]] == [False] * len(entries)
    lines = as_text(capsys, path)
    for code in report["code"]:
        assert f"    {code['name']} (TorchScript, byte {code['offset']})" in lines
    assert not any("def forward" in line for line in lines)
    lines = as_text(capsys, path, "--code")
    start = lines.index(
        f"    {report['code'][0]['name']} (TorchScript, byte {report['code'][0]['offset']})"
    )
    wanted = report["code"][0]["text"].removesuffix("\n").split("\n")
    printed = lines[start + 1 : start + 1 + len(wanted)]
    assert [line.removeprefix("      |").removeprefix(" ") for line in printed] == wanted
    assert any("def forward" in line for line in printed)
    assert as_text(capsys, path, "--code", "--quiet") == [""]
    found = notes(capsys, path)
    assert len(found) == len(entries)
    for note, code in zip(found, report["code"], strict=True):
        assert note["message"]["text"] == f"{code['name']} is source text (TorchScript)"
        (location,) = note["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"].endswith("a.pt")
        assert location["physicalLocation"]["region"] == {
            "byteOffset": code["offset"],
            "byteLength": code["bytes"],
        }
        assert location["logicalLocations"] == [
            {"fullyQualifiedName": code["name"], "kind": "resource"}
        ]


def test_the_place_is_where_its_bytes_are(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.pt"
    script(path)
    text = b"def found_by_its_place(): pass\n"
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{root}/code/stored.py", text)
    (report,) = as_json(capsys, path)
    (code,) = (each for each in report["code"] if each["name"] == "code/stored.py")
    assert path.read_bytes()[code["offset"] : code["offset"] + code["bytes"]] == text


def test_source_of_a_class_in_a_pickle(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.pth"
    model = torch.nn.Linear(2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(model, path, _use_new_zipfile_serialization=False)
    source = inspect.getsource(torch.nn.Linear)
    (report,) = as_json(capsys, path)
    (code,) = report["code"]
    assert (code["where"], code["text"], code["offset"]) == ("class source", source, None)
    lines = as_text(capsys, path, "--code")
    start = lines.index(f"    {code['name']} (class source)")
    assert lines[start + 1] == "      | class Linear(Module):"
    (note,) = notes(capsys, path)
    (location,) = note["locations"]
    assert "region" not in location["physicalLocation"]
    assert location["logicalLocations"][0]["fullyQualifiedName"] == code["name"]


def test_hostile_text_is_escaped_and_cannot_pass_for_the_scans_own(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "a.pt"
    with_code(path, evil=EVIL.encode(), binary=b"\xff\xfe\0", empty=b"")
    lines = as_text(capsys, path, "--code")
    assert all(plain(line, 10_000) == line for line in lines)
    assert '      |     return "\\x1b[2J\\u202e"  # \\u200b' in lines
    assert "    os.system  called" not in lines
    assert "      |     os.system  called" in lines
    (report,) = as_json(capsys, path)
    texts = {code["name"]: code["text"] for code in report["code"]}
    assert texts["code/evil.py"] == EVIL
    assert texts["code/binary.py"] == "\ufffd\ufffd\0"
    assert texts["code/empty.py"] == ""


def test_long_and_many_texts_are_cut(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pt"
    long = source_texts.MOST_CHARACTERS + 1
    with_code(path, long=b"a\n" * long, wide=b"b" * long, huge=b"c" * (17 << 20))
    (report,) = as_json(capsys, path)
    codes = {code["name"]: code for code in report["code"]}
    for name, text in (("long", "a\n" * long), ("wide", "b" * long)):
        code = codes[f"code/{name}.py"]
        assert code["truncated"] is True
        assert code["text"] == text[: source_texts.MOST_CHARACTERS]
    huge = codes["code/huge.py"]
    assert huge["text"] is None
    assert "the size of the entry" in huge["trouble"]
    lines = as_text(capsys, path, "--code")
    assert max(map(len, lines)) < 2_100
    assert sum(line == "      | a" for line in lines) == 2_000
    assert sum(line == "      and more, which is not shown" for line in lines) == 2
    assert f"      {huge['trouble']}" in lines
    # Of more together than there is room for, and more than are read.
    monkeypatch.setattr(source_texts, "MOST_TOGETHER", 150_000)
    (report,) = as_json(capsys, path)
    lengths = [len(code["text"] or "") for code in report["code"]]
    assert sum(lengths) == 150_000
    assert report["code"][-1]["truncated"] is (report["code"][-1]["text"] is not None)
    monkeypatch.setattr(source_texts, "MOST_TEXTS", 1)
    (report,) = as_json(capsys, path)
    assert [code["text"] for code in report["code"][1:]] == [""] * (len(codes) - 1)
    assert all(code["truncated"] for code in report["code"][1:])
    assert len(notes(capsys, path)) == len(codes)


def test_a_damaged_entry_is_told_and_the_others_are_read(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.pt"
    with_code(path, good=b"pass\n")
    content = bytearray(path.read_bytes())
    # Deflated, as its directory says, by a method that does not exist.
    at = content.rindex(b"PK\x01\x02")
    content[at + 10 : at + 12] = b"\x63\x00"
    path.write_bytes(content)
    (report,) = as_json(capsys, path)
    codes = {code["name"]: code for code in report["code"]}
    bad = codes.pop("code/good.py")
    assert bad["text"] is None
    assert bad["trouble"]
    assert codes
    assert all(code["text"] for code in codes.values())
    assert f"      {bad['trouble']}" in as_text(capsys, path, "--code")


def test_a_file_without_source_text_says_nothing_of_it(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert as_json(capsys, path)[0]["code"] == []
    assert len(as_text(capsys, path, "--code")) == 2
    assert notes(capsys, path) == []
