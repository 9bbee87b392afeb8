"""Each way past a scanner that a container offers is reported, and nothing of it is run."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.scan_answers import ROOT, answers_of

sys.path.append(str(ROOT / "tests" / "checkpoint"))
import hostile_archives as hostile

HANGS_AFTER = 240
WAYS = dict(hostile.ways())
REFUSED = dict(hostile.refused())


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What `scan` and `show` say about each file, by its title."""
    titles = ("compressed", "a bomb", "cut in its directory", "both cases")
    warm_up = [WAYS[title].content for title in titles]
    warm_up += [REFUSED["an archive of an archive"], hostile.CALL, b"text"]
    files = {title: way.content for title, way in WAYS.items()} | REFUSED
    return answers_of(warm_up, files, tmp_path_factory.mktemp("ways"))


def test_nothing_is_imported_run_written_or_sent(answers: dict[str, dict[str, Any]]) -> None:
    assert {title: row["seen"] for title, row in answers.items() if row["seen"]} == {}
    assert {title: row["unsafe"] for title, row in answers.items() if row["unsafe"]} == {}


@pytest.mark.parametrize("title", WAYS)
def test_each_way_is_named(answers: dict[str, dict[str, Any]], title: str) -> None:
    answer, way = answers[title], WAYS[title]
    assert (answer["status"], answer["text_status"]) == (1, 1), answer["trouble"]
    (report,) = answer["report"]["files"]
    assert way.code in {problem["code"] for problem in report["anomalies"]}
    if way.named:
        assert "os.system" in {found["name"] for found in report["globals"]}
    else:
        assert report["globals"] == []


@pytest.mark.parametrize("title", WAYS)
def test_what_can_be_shown_is_shown(answers: dict[str, dict[str, Any]], title: str) -> None:
    answer = answers[title]
    if WAYS[title].named and not WAYS[title].broken:
        assert answer["show_status"] == 0
        assert answer["shown"]
    else:
        assert answer["show_status"] == 2
        assert answer["show_trouble"].count("\n") == 1


@pytest.mark.parametrize("title", REFUSED)
def test_what_no_reader_recognises_is_trouble(
    answers: dict[str, dict[str, Any]], title: str
) -> None:
    answer = answers[title]
    assert (answer["status"], answer["text_status"], answer["show_status"]) == (2, 2, 2)
    assert "not a checkpoint: it is " in answer["trouble"]
    assert answer["trouble"].count("\n") == 1


def scanned(path: Path) -> tuple[int, dict[str, str]]:
    """Exit status, and each anomaly's code with its message."""
    result = subprocess.run(
        [sys.executable, "-m", "inspector_app", "scan", "--json", "--no-progress", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER,
        check=False,
    )
    (report,) = json.loads(result.stdout)["files"]
    return result.returncode, {p["code"]: p["message"] for p in report["anomalies"]}


def test_a_tar_that_begins_as_a_legacy_file(tmp_path: Path) -> None:
    """torch tries the tar first, so the magic number must not decide alone."""
    legacy = io.BytesIO()
    torch.save({"a": 1}, legacy, _use_new_zipfile_serialization=False)
    path = tmp_path / "both.pth"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in (("magic", b""), ("pickle", hostile.CALL)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    content = bytearray(path.read_bytes())
    content[:16] = legacy.getvalue()[:16]
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)
    status, found = scanned(path)
    assert status == 1
    assert {"also-tar", "missing-record"} <= found.keys()
    assert torch.serialization.MAGIC_NUMBER.to_bytes(10, "little") in content[:32]


def test_safetensors_with_bytes_that_nobody_owns(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4) + hostile.CALL)
    assert scanned(path) == (1, {"trailing-bytes": f"{len(hostile.CALL)} bytes follow the end"})


def test_an_index_that_leads_out_of_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": "../../etc/passwd"}}))
    status, found = scanned(path)
    assert status == 1
    assert "which lies outside its folder" in found["shard-outside"]


def test_a_link_itself_is_followed_but_devices_are_refused(tmp_path: Path) -> None:
    """A link that somebody names is what they mean; what it leads to decides."""
    way = WAYS["compressed"]
    (tmp_path / "real.pth").write_bytes(way.content)
    (tmp_path / "link.pth").symlink_to(tmp_path / "real.pth")
    assert scanned(tmp_path / "link.pth")[0] == 1
    (tmp_path / "zero.pth").symlink_to("/dev/zero")
    result = subprocess.run(
        [sys.executable, "-m", "inspector_app", "scan", str(tmp_path / "zero.pth")],
        cwd=ROOT, capture_output=True, text=True, timeout=HANGS_AFTER, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert "this is a device, not a regular file" in result.stderr
