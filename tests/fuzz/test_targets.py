"""The fuzz targets: what they are given, and one of them for a moment where atheris is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.fuzz import stored_seeds
from tests.fuzz.targets import running
from tests.fuzz.targets.table import TARGETS, dictionary


def test_words_are_written_as_libfuzzer_reads_them() -> None:
    words = [b'a"b\\', b"\x80\x02", b"plain", b"plain"]
    assert dictionary(words) == '"a\\x22b\\x5c"\n"\\x80\\x02"\n"plain"\n'
    for target in TARGETS.values():
        assert len(dictionary(target.words).splitlines()) >= 9, target.name


def test_what_a_target_says_is_understood(tmp_path: Path) -> None:
    said = (
        "#2 INITED cov: 120 ft: 340 corp: 5/2Kb exec/s: 0 rss: 90Mb\n"
        "#900 pulse cov: 123 ft: 456 corp: 7/3Kb\n"
        " === Uncaught Python exception: ===\nKeyError: 'x'\n"
        'Traceback (most recent call last):\n  File "/a/inspector_app/checkpoint/onnx.py", '
        "line 3, in read\n"
        f"Test unit written to {tmp_path}/crash-1\nstat::number_of_executed_units: 901\n"
    )
    ran = running.Ran("onnx")
    running._add(ran, said, tmp_path)
    assert (ran.executions, ran.branches, ran.features, ran.corpus) == (901, 123, 456, 7)
    place = "inspector_app/checkpoint/onnx.py:3:read KeyError: 'x'"
    assert ran.findings == {place: tmp_path / "crash-1"}


def test_without_atheris_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert running.run_targets(tmp_path, "", 1, 1, tmp_path) == 2
    assert capsys.readouterr().err.startswith("the fuzz targets need atheris")


def test_an_unknown_target_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: pip install -e '.[dev,fuzz]'")
    assert running.run_targets(tmp_path, "tiff", 1, 1, tmp_path) == 2
    assert "torch-zip, torch-legacy" in capsys.readouterr().err


def test_a_target_runs(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: pip install -e '.[dev,fuzz]'")
    stored_seeds.make(tmp_path / "seeds")
    seeds = stored_seeds.stored(tmp_path / "seeds")
    ran = running.run(TARGETS["zip-directory"], tmp_path / "seeds", seeds, 6, tmp_path / "found")
    assert ran.findings == {}
    assert ran.trouble == ""
    assert ran.executions > 100
    assert ran.branches > 100
