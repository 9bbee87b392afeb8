"""What `make exports` goes through: each kind of checkpoint, and each format by real workers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from real_workers import result_of

from inspector_app.worker.export import exporting
from inspector_app.worker.export_run import ExportOutcome
from inspector_app.worker.failures import Failed
from inspector_app.worker.proof import proving
from inspector_app.worker.protocol import Export, ProofCase, ProofSettings, Prove, Proved
from tests.exports.__main__ import as_expected, row, verdict
from tests.exports.matrix import (
    BY_NAME,
    GRAPHS,
    SOURCES,
    WAYS,
    cells,
    checkpoint_of,
    outcome_of,
    plan_of,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("own_imports"),
]


@pytest.mark.parametrize("source", SOURCES)
def test_each_kind_of_checkpoint(tmp_path: Path, source: str) -> None:
    subject = BY_NAME["Mlp"]
    checkpoint = checkpoint_of(subject, tmp_path, source)
    keys = torch.load(checkpoint)
    assert {
        "state_dict": "layers.0.weight",
        "DataParallel": "module.layers.0.weight",
        "torch.compile": "_orig_mod.layers.0.weight",
        "training": "optimizer_state_dict",
    }[source] in keys
    plan = plan_of(subject, checkpoint, "ONNX (TorchScript)")
    staging = tmp_path / "staging"
    staging.mkdir()
    result_of(exporting(Export(plan.model, plan.inputs, str(staging), "m.onnx", plan.options)))
    file = str(staging / "m.onnx")
    proof = Prove(plan.model, plan.inputs, file, plan.options, ProofSettings(repeats=0))
    assert result_of(proving(proof)).passed


@pytest.mark.parametrize("way", ["ONNX", ".pt2", "script", "safetensors"])
def test_formats_by_real_workers(tmp_path: Path, way: str) -> None:
    subject = BY_NAME["TwoInputs"]
    plan = plan_of(subject, checkpoint_of(subject, tmp_path), way)
    outcome = outcome_of(plan)
    assert as_expected(subject, way, outcome), verdict(outcome)
    assert Path(plan.target).is_file()
    assert "| passed |" in row("state_dict", subject, way, outcome, 1.0)


def test_the_matrix_is_whole() -> None:
    """As the table of the program's promises has it."""
    listed = list(cells())
    names = {subject.name for _, subject, _ in listed}
    assert names >= {"Mlp", "Cnn", "ResNet", "Lstm", "Encoder", "TwoInputs", "UNet"}
    assert names >= {"BertForSequenceClassification", "GPT2LMHeadModel"}
    for name in names:
        assert {way for _, subject, way in listed if subject.name == name} >= set(GRAPHS)
    assert {source for source, _, _ in listed} == set(SOURCES)
    assert {way for _, _, way in listed} == set(WAYS)


def test_what_is_not_as_expected() -> None:
    subject = BY_NAME["Lstm, dynamic sequence"]
    fixed = ExportOutcome(failed=Failed("axis-not-dynamic", {"reason": "it is 7"}))
    assert as_expected(subject, ".pt2", fixed)
    assert not as_expected(subject, "ONNX", fixed)
    # What was said to be impossible and is not has to be said, too.
    passed = ExportOutcome(("a",), None, Proved(True, (), 0, 0))
    assert as_expected(subject, "ONNX", passed)
    assert not as_expected(subject, ".pt2", passed)
    encoder = BY_NAME["Encoder, dynamic sequence"]
    case = ProofCase({"sequence": 1}, (), "a node fails")
    refuted = ExportOutcome((), None, Proved(False, (case,), 0, 0))
    assert as_expected(encoder, "ONNX (TorchScript)", refuted)
    assert not as_expected(encoder, "ONNX", refuted)
    assert "a node fails" in verdict(refuted)
