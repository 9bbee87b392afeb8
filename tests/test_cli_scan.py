"""`checkpoint-inspector scan`: text, JSON and SARIF, folders, and the exit statuses."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from inspector_app.cli import run

sys.path.append(str(Path(__file__).parent / "analysis"))
import bypass_pickles as bypass

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.pth"
    torch.save({"w": torch.ones(3), "epoch": 5}, path)
    return path


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    path = tmp_path / "evil.pth"
    path.write_bytes(bypass.in_zip(bypass.whole(b"}" + bypass.text("w") + bypass.SHELL + b"s")))
    return path


def as_json(capsys: Capture, *arguments: object) -> tuple[int, dict[str, Any], str]:
    capsys.readouterr()
    status = run(["scan", *map(str, arguments), "--json"])

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} in JSON")

    out, err = capsys.readouterr()
    return status, json.loads(out, parse_constant=refuse), err


def test_a_file_with_nothing_to_report(clean: Path, capsys: Capture) -> None:
    assert run(["scan", str(clean)]) == 0
    out = capsys.readouterr().out
    assert out == f"{clean}: nothing outside the allowlist (torch-zip, 3 globals)\n"
    assert run(["scan", str(clean), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_file_with_findings(evil: Path, capsys: Capture) -> None:
    assert run(["scan", str(evil)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{evil}: 1 global outside the allowlist (torch-zip)"
    assert "    os.system  called" in lines
    (use,) = (line for line in lines if "called with" in line)
    assert use.startswith(f"      called with ('{bypass.COMMAND}') at w, byte ")
    assert use.endswith(" of archive/data.pkl")
    assert any("whose module os is blocked" in line for line in lines)
    assert not any("safe" in line.replace("unsafe", "") for line in lines)


def test_json(evil: Path, clean: Path, capsys: Capture) -> None:
    status, found, _ = as_json(capsys, evil, clean)
    assert status == 1
    assert found["schema"] == 1
    assert found["summary"] == {"clean": 1, "findings": 1, "skipped": 0, "failed": 0}
    first, second = found["files"]
    assert (first["path"], second["path"]) == (str(evil), str(clean))
    assert (first["clean"], second["clean"]) == (False, True)
    (system,) = first["globals"]
    assert system["name"] == "os.system"
    assert (system["group"], system["allowed"], system["use"]) == ("other", False, ["call"])
    (use,) = system["uses"]
    assert (use["how"], use["path"], use["pickle"]) == ("call", ["w"], "archive/data.pkl")
    assert evil.read_bytes()[use["offset"] : use["offset"] + 1] == b"R"
    assert use["arguments"] == f"'{bypass.COMMAND}'"
    assert first["weights_only"]["loads"] is False
    assert first["weights_only"]["lines"] == []
    assert second["weights_only"]["loads"] is True
    (stream,) = first["pickles"]
    assert evil.read_bytes()[stream["start"] : stream["end"]].startswith(b"\x80\x02}")
    assert evil.read_bytes()[stream["end"] - 1 : stream["end"]] == b"."


def test_lines_that_would_help(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "x.pth"
    torch.save({"args": argparse.Namespace(lr=1)}, path)
    assert run(["scan", str(path)]) == 1
    out = capsys.readouterr().out
    assert "plain data types" in out
    assert "torch.serialization.add_safe_globals([argparse.Namespace])" in out
    _, found, _ = as_json(capsys, path)
    assert found["files"][0]["weights_only"]["lines"][-1].startswith("torch.serialization.add")


def test_a_file_that_is_no_checkpoint(tmp_path: Path, clean: Path, capsys: Capture) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("these are notes\n")
    assert run(["scan", str(notes)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"checkpoint-inspector: {notes}: not a checkpoint")
    assert err.count("\n") == 1
    # The others are scanned all the same.
    status, found, err = as_json(capsys, notes, clean, tmp_path / "nowhere.pth")
    assert status == 2
    assert [each["path"] for each in found["files"]] == [str(clean)]
    assert [Path(each["path"]).name for each in found["failed"]] == ["notes.txt", "nowhere.pth"]
    assert err.count("\n") == 2


def test_a_folder(tmp_path: Path, clean: Path, evil: Path, capsys: Capture) -> None:
    inner = tmp_path / "b" / "deeper"
    inner.mkdir(parents=True)
    shutil.copy(clean, inner / "model.bin")
    (tmp_path / "notes.txt").write_text("notes\n")
    (inner / "empty").write_bytes(b"")
    status, found, err = as_json(capsys, tmp_path)
    assert (status, err) == (1, "")
    names = [os.path.relpath(each["path"], tmp_path) for each in found["files"]]
    assert names == ["clean.pth", "evil.pth", os.path.join("b", "deeper", "model.bin")]
    assert sorted(Path(each["path"]).name for each in found["skipped"]) == ["empty", "notes.txt"]
    assert run(["scan", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        "3 files: 2 with nothing to report, 1 with findings; 2 other files skipped"
    )


def test_a_file_is_scanned_once(tmp_path: Path, clean: Path, capsys: Capture) -> None:
    os.link(clean, tmp_path / "linked.pth")
    _, found, _ = as_json(capsys, clean, tmp_path, clean)
    assert len(found["files"]) == 1


@pytest.mark.parametrize("order", [("folder", "junk"), ("junk", "folder")])
def test_a_named_file_has_to_be_a_checkpoint_in_a_named_folder_too(
    tmp_path: Path, clean: Path, capsys: Capture, order: tuple[str, str]
) -> None:
    junk = tmp_path / "junk"
    junk.write_text("notes\n")
    paths = {"folder": tmp_path, "junk": junk}
    status, found, err = as_json(capsys, *(paths[each] for each in order))
    assert status == 2
    assert err.startswith(f"checkpoint-inspector: {junk}: not a checkpoint")
    assert err.count("\n") == 1
    assert [each["path"] for each in found["failed"]] == [str(junk)]
    assert found["skipped"] == []
    assert [each["path"] for each in found["files"]] == [str(clean)]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no symbolic links here")
def test_links_are_not_followed_out(tmp_path: Path, clean: Path, capsys: Capture) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "out.pth").symlink_to(clean)
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    shutil.copy(clean, folder / "own.pth")
    (folder / "in.pth").symlink_to(folder / "own.pth")
    status, found, _ = as_json(capsys, folder)
    assert status == 0
    assert [Path(each["path"]).name for each in found["files"]] == ["own.pth"]
    assert {Path(each["path"]).name: each["reason"] for each in found["skipped"]} == {
        "out.pth": "a link out of the folder",
        "up": "a link out of the folder",
    }
    # One that is named is meant.
    status, found, _ = as_json(capsys, folder / "out.pth")
    assert (status, len(found["files"])) == (0, 1)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_listed(tmp_path: Path, clean: Path, capsys: Capture) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0)
    try:
        status, found, err = as_json(capsys, tmp_path)
    finally:
        folder.chmod(0o700)
    assert status == 2
    assert "Permission denied" in err
    assert len(found["files"]) == 1


def test_an_empty_folder(tmp_path: Path, capsys: Capture) -> None:
    assert run(["scan", str(tmp_path)]) == 2
    assert "there is no checkpoint" in capsys.readouterr().err


def test_pipes_and_devices_in_a_folder(tmp_path: Path, clean: Path, capsys: Capture) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no pipes with names here")
    os.mkfifo(tmp_path / "pipe.pth")
    status, found, _ = as_json(capsys, tmp_path)
    assert (status, len(found["files"])) == (0, 1)
    assert run(["scan", str(tmp_path / "pipe.pth")]) == 2


def test_a_broken_file_still_names_what_it_calls(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(bypass.PROTOCOL_2 + bypass.SHELL + b"0\xff")
    status, found, _ = as_json(capsys, path)
    assert status == 1
    (report,) = found["files"]
    assert [each["name"] for each in report["globals"]] == ["os.system"]
    assert "broken" in {each["code"] for each in report["anomalies"]}


def test_checksums_are_verified_on_demand(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "x.pth"
    torch.save({"w": torch.full((500,), 3.0)}, path)
    content = path.read_bytes()
    at = content.index(torch.full((500,), 3.0).numpy().tobytes())
    path.write_bytes(content[: at + 8] + b"\x01" + content[at + 9 :])
    assert run(["scan", str(path)]) == 0
    status, found, _ = as_json(capsys, path, "--verify")
    assert status == 1
    assert [each["code"] for each in found["files"][0]["anomalies"]] == ["bad-checksum"]
    assert "data/0" in found["files"][0]["anomalies"][0]["where"]


def test_other_formats(tmp_path: Path, capsys: Capture) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.ones(2)}, tmp_path / "a.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "b.pt")
    torch.save([torch.ones(2)], tmp_path / "c.pt", _use_new_zipfile_serialization=False)
    torch.export.save(
        torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), tmp_path / "d.pt2"
    )
    status, found, _ = as_json(capsys, tmp_path)
    rows = {Path(each["path"]).name: each for each in found["files"]}
    assert status == 0, [each["anomalies"] for each in found["files"]]
    assert {name: row["weights_only"]["loads"] for name, row in rows.items()} == {
        "a.safetensors": True,
        "b.pt": False,
        "c.pt": True,
        "d.pt2": None,
    }
    assert rows["b.pt"]["code"][0]["where"] == "TorchScript"
    assert [each["name"] for each in rows["c.pt"]["pickles"]][3] == "pickle of the object"
    assert any("sample_inputs" in each["name"] for each in rows["d.pt2"]["pickles"])


def test_a_sharded_checkpoint(tmp_path: Path, capsys: Capture) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "one.bin")
    (tmp_path / "two.bin").write_bytes(
        bypass.in_zip(bypass.whole(b"}" + bypass.text("b") + bypass.SHELL + b"s"))
    )
    index = {"metadata": {}, "weight_map": {"a": "one.bin", "b": "two.bin"}}
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(json.dumps(index))
    status, found, _ = as_json(capsys, path)
    (report,) = found["files"]
    assert status == 1
    (system,) = (each for each in report["globals"] if not each["allowed"])
    assert system["uses"][0]["path"] == ["b"]
    files = {each["file"]: each["name"] for each in report["pickles"]}
    assert sorted(map(os.path.basename, files)) == ["one.bin", "two.bin"]


# --- SARIF


def sarif(capsys: Capture, *paths: Path) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = run(["scan", *map(str, paths), "--sarif"])
    return status, json.loads(capsys.readouterr().out)


def assert_valid(log: dict[str, Any]) -> None:
    """What the schema of SARIF 2.1.0 asks of the parts that are used."""
    assert set(log) == {"version", "$schema", "runs"}
    assert log["version"] == "2.1.0"
    (only,) = log["runs"]
    assert set(only) <= {"results", "tool", "invocations", "columnKind"}
    driver = only["tool"]["driver"]
    assert driver["name"] == "checkpoint-inspector"
    assert driver["version"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert set(rule) == {"id", "shortDescription", "defaultConfiguration"}
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    for result in only["results"]:
        assert set(result) == {"ruleId", "ruleIndex", "level", "message", "locations"}
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        assert_location(result["locations"])
    (invocation,) = only["invocations"]
    assert isinstance(invocation["executionSuccessful"], bool)
    for note in invocation["toolExecutionNotifications"]:
        assert note["message"]["text"]


def assert_location(locations: list[dict[str, Any]]) -> None:
    (location,) = locations
    assert set(location) <= {"physicalLocation", "logicalLocations"}
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert " " not in uri
    region = location["physicalLocation"].get("region")
    if region is not None:
        assert set(region) == {"byteOffset", "byteLength"}
        assert region["byteOffset"] >= 0
        assert region["byteLength"] >= 1
    for logical in location.get("logicalLocations", []):
        assert set(logical) <= {"fullyQualifiedName", "kind"}
        assert logical["fullyQualifiedName"]


def test_sarif(tmp_path: Path, evil: Path, clean: Path, capsys: Capture) -> None:
    odd = tmp_path / "ein Würfel.pth"
    shutil.copy(evil, odd)
    with zipfile.ZipFile(odd, "a") as archive:
        archive.writestr("outside", b"x")
    status, log = sarif(capsys, evil, clean, odd)
    assert status == 1
    assert_valid(log)
    first, *others = log["runs"][0]["results"]
    assert first["ruleId"] == "global/other"
    assert first["level"] == "error"
    assert "os.system is called" in first["message"]["text"]
    offset = first["locations"][0]["physicalLocation"]["region"]["byteOffset"]
    assert evil.read_bytes()[offset : offset + 1] == b"R"
    assert first["locations"][0]["logicalLocations"][1] == {
        "fullyQualifiedName": "w",
        "kind": "member",
    }
    uri = others[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.endswith("/ein%20W%C3%BCrfel.pth")
    assert "anomaly/outside-root" in {each["ruleId"] for each in others}


def test_sarif_of_nothing_and_of_trouble(tmp_path: Path, clean: Path, capsys: Capture) -> None:
    status, log = sarif(capsys, clean)
    assert status == 0
    assert_valid(log)
    assert log["runs"][0]["results"] == []
    status, log = sarif(capsys, clean, tmp_path / "nowhere")
    assert status == 2
    assert_valid(log)
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is False


def test_sarif_of_every_trick(tmp_path: Path, capsys: Capture) -> None:
    for number, (content, _) in enumerate(bypass.files().values()):
        (tmp_path / f"{number:03}").write_bytes(content)
    status, log = sarif(capsys, tmp_path)
    assert status == 1
    assert_valid(log)
    assert len(log["runs"][0]["results"]) > 200


# --- benign files


def test_the_samples_and_the_corpus(samples: Path, corpus: Path, capsys: Capture) -> None:
    """No false anomaly; only what names a global outside the allowlist is reported."""
    assert run(["scan", str(samples)]) == 0
    _, found, _ = as_json(capsys, corpus)
    odd = {Path(each["path"]).name: each["anomalies"] for each in found["files"]}
    # Written by a script: it is no file of torch.save, and torch cannot read it either.
    assert odd.pop("tar_float32.tar")
    assert {name: anomalies for name, anomalies in odd.items() if anomalies} == {}
    for report in found["files"]:
        outside = [each for each in report["globals"] if not each["allowed"]]
        assert all(each["group"] in ("model code", "plain data") for each in outside)
    assert len(found["files"]) > 20
