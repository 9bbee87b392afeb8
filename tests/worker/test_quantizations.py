"""What `make quantizations` goes through: each method on a trained model, loaded by its own code
in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from real_workers import result_of

from inspector_app.checkpoint import open_checkpoint
from inspector_app.worker.failures import Failed
from inspector_app.worker.onnx_session import OnnxSession
from inspector_app.worker.quantize import quantizing
from inspector_app.worker.quantize_protocol import (
    LeftInFloat,
    Measure,
    Measured,
    MeasureSettings,
    Quantize,
    Quantized,
)
from inspector_app.worker.quantize_run import Memory, QuantizeOutcome
from inspector_app.worker.quantized_truth import measuring
from tests.quantizations.__main__ import as_expected, row
from tests.quantizations.matrix import (
    BY_NAME,
    WAYS,
    accuracy,
    cells,
    choice_of,
    data_of,
    plan_of,
    prepared,
    trained,
)

pytestmark = pytest.mark.filterwarnings("ignore")

# One cell of the matrix for each method; the whole of it is `make quantizations`.
CELLS = (
    ("Cnn", "static FX"),
    ("Cnn", "static FX, TorchScript"),
    ("Cnn", "static PT2E"),
    ("Cnn", "dynamic fp16"),
    ("Stubbed", "ONNX Runtime static, entropy"),
    ("Stubbed", "static eager"),
    ("Lstm", "dynamic int8"),
    ("Lstm", "dynamic int8, TorchScript"),
    ("Transformer", "cast fp16"),
    ("Encoder", "dynamic int8"),
    ("Transformer", "dynamic int8, torchao"),
    ("Transformer", "weight-only int8, .pt2"),
    ("Transformer", "weight-only int4"),
    ("Transformer", "ONNX Runtime dynamic"),
)
# Bits of a stored weight.
BITS = {"dynamic fp16": 16, "cast fp16": 16, "weight-only int4": 4}
# Prints what each program's model gives for the same inputs.
RUNS = """
import json, sys, warnings
import torch
warnings.simplefilter("ignore")
torch.set_num_threads(1)
for line in open(sys.argv[1]):
    cell = json.loads(line)
    names = {}
    exec(cell["code"], names)
    inputs = torch.load(cell["inputs"])
    if "session" in names:
        given = {cell["input"]: inputs.numpy()}
        output = torch.from_numpy(names["session"].run(None, given)[0])
    else:
        with torch.no_grad():
            output = names["model"](inputs)
    torch.save(output, cell["output"])
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """A quantization that was done here."""

    request: Quantize
    quantized: Quantized
    path: Path

    @property
    def inputs(self) -> Path:
        return self.path.with_suffix(".inputs")

    @property
    def output(self) -> Path:
        return self.path.with_suffix(".output")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Little is gained by more on models of this size."""
    before, fast = torch.get_num_threads(), torch.backends.mha.get_fastpath_enabled()
    engine = torch.backends.quantized.engine
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.backends.mha.set_fastpath_enabled(fast)
    torch.backends.quantized.engine = engine


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("quantizations")
    return {name: prepared(BY_NAME[name], folder) for name, _ in CELLS}


def request_of(checkpoints: Mapping[str, Path], name: str, way: str) -> Quantize:
    checkpoint = checkpoints[name]
    plan = plan_of(BY_NAME[name], checkpoint, way)
    folder = checkpoint.parent / Path(plan.target).name.replace(".", "-")
    folder.mkdir()
    target = folder / Path(plan.target).name
    return Quantize(
        plan.model,
        plan.inputs,
        plan.options,
        LeftInFloat(),
        plan.data,
        str(folder),
        target.name,
        str(target),
    )


@pytest.fixture(scope="module")
def quantized(checkpoints: dict[str, Path]) -> dict[tuple[str, str], Cell]:
    """Each cell, quantized in this process and loaded in a fresh one."""
    done = {}
    for name, way in CELLS:
        request = request_of(checkpoints, name, way)
        done[name, way] = Cell(request, result_of(quantizing(request)), Path(request.target))
    lines = []
    for (name, _), cell in done.items():
        subject = BY_NAME[name]
        torch.save(subject.data(8, 9)[0], cell.inputs)
        lines.append(
            {
                "code": cell.quantized.loading_code,
                "inputs": str(cell.inputs),
                "input": subject.input,
                "output": str(cell.output),
            }
        )
    folder = checkpoints["Cnn"].parent
    listed, program = folder / "cells.jsonl", folder / "load.py"
    listed.write_text("\n".join(map(json.dumps, lines)))
    program.write_text(RUNS)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(program), str(listed)],
        check=True,
        timeout=300,
        cwd=folder,
        env=environment,
        capture_output=True,
    )
    return done


@pytest.fixture(scope="module")
def measured(quantized: dict[tuple[str, str], Cell]) -> dict[tuple[str, str], Measured]:
    """What each of them costs."""
    found = {}
    for key, cell in quantized.items():
        request = cell.request
        assert request.data is not None
        measure = Measure(
            request.model,
            request.inputs,
            request.options,
            request.left,
            request.data,
            cell.quantized,
            request.staging,
            MeasureSettings(repeats=4),
        )
        found[key] = result_of(measuring(measure))
    return found


@pytest.mark.parametrize(("name", "way"), CELLS)
def test_its_own_code_loads_it_in_a_fresh_process(
    quantized: dict[tuple[str, str], Cell], name: str, way: str
) -> None:
    cell = quantized[name, way]
    output = torch.load(cell.output)
    # The inspector's own process loads the same file.
    names: dict[str, object] = {}
    exec(cell.quantized.loading_code, names)
    inputs = torch.load(cell.inputs)
    if "session" in names:
        session = OnnxSession.of(names["session"])
        here = session.run({BY_NAME[name].input: inputs})[0]
    else:
        with torch.no_grad():
            here = names["model"](inputs)
    assert torch.equal(output, here)
    assert output.shape == (8, 4)
    with torch.no_grad():
        original = trained_once(name)(inputs)
    assert not torch.equal(output, original), "nothing was quantized"
    assert (output - original).norm() < 0.2 * original.norm()


_TRAINED: dict[str, torch.nn.Module] = {}


def trained_once(name: str) -> torch.nn.Module:
    if name not in _TRAINED:
        from tests.quantizations import quantization_models as models

        module = getattr(models, name)()
        _TRAINED[name] = module
    return _TRAINED[name]


@pytest.fixture(autouse=True)
def originals(checkpoints: dict[str, Path]) -> None:
    for name, path in checkpoints.items():
        if name not in _TRAINED:
            trained_once(name).load_state_dict(torch.load(path))
            trained_once(name).eval()


@pytest.mark.parametrize("name", sorted({name for name, _ in CELLS}))
def test_models_are_really_trained(checkpoints: dict[str, Path], name: str) -> None:
    assert accuracy(trained_once(name), BY_NAME[name]) > 0.95


@pytest.mark.parametrize(("name", "way"), CELLS)
def test_little_is_lost(
    quantized: dict[tuple[str, str], Cell],
    measured: dict[tuple[str, str], Measured],
    name: str,
    way: str,
) -> None:
    found = measured[name, way]
    most = 0.03 if "int4" in way else 0.01
    assert found.float_accuracy is not None
    assert found.quantized_accuracy is not None
    assert found.float_accuracy > 0.9
    assert found.quantized_accuracy >= found.float_accuracy - most - 1e-9
    (output,) = found.outputs
    assert output.agreement is not None
    assert output.agreement >= 0.95
    assert 5 < output.sqnr_db < 100
    assert found.samples == 200
    assert found.deterministic
    assert found.float_latency is not None
    assert found.float_latency.low <= found.float_latency.median <= found.float_latency.high


@pytest.mark.parametrize(("name", "way"), CELLS)
def test_each_quantized_layer_is_compared(
    quantized: dict[tuple[str, str], Cell],
    measured: dict[tuple[str, str], Measured],
    name: str,
    way: str,
) -> None:
    layers = {each.name for each in quantized[name, way].quantized.layers if each.quantized}
    if way.startswith("cast"):
        layers = {each.rpartition(".")[0] for each in layers}
    found = measured[name, way]
    assert not [note for note in found.notes if "could not be compared" in note]
    compared = {each.name for each in found.layers}
    assert compared <= layers
    # ONNX Runtime may leave a value of a node nowhere.
    assert len(compared) >= (len(layers) * 2 // 3 if "ONNX" in way else len(layers))
    assert all(each.sqnr_db > 10 for each in found.layers), "not compared at the same place"


def test_static_int8_of_a_million_parameters(
    quantized: dict[tuple[str, str], Cell], measured: dict[tuple[str, str], Measured]
) -> None:
    cell = quantized["Cnn", "static FX"]
    assert sum(each.numel() for each in trained_once("Cnn").parameters()) >= 1_000_000
    assert cell.path.stat().st_size <= 0.30 * cell.quantized.original_bytes
    checkpoint = Path(cell.request.model.checkpoint)
    assert cell.path.stat().st_size <= 0.30 * checkpoint.stat().st_size
    found = measured["Cnn", "static FX"]
    assert found.quantized_accuracy >= found.float_accuracy - 0.01


@pytest.mark.parametrize(("name", "way"), CELLS)
def test_weights_are_stored_in_the_bits_of_the_method(
    quantized: dict[tuple[str, str], Cell], name: str, way: str
) -> None:
    """By the bytes of storages that the inspector's own reader finds in the file."""
    cell = quantized[name, way]
    bits = BITS.get(way, 8)
    done = [each for each in cell.quantized.layers if each.quantized]
    assert done
    assert all(each.nbytes < each.float_bytes for each in done)
    assert {each.bits for each in done} == {bits}
    numel = sum(each.float_bytes for each in done) // 4
    rest = cell.quantized.original_bytes - 4 * numel
    # A scale and a zero point: of a group of 32 weights in 4 bits, of a row in others.
    scales = numel / 32 * 8 if bits == 4 else numel * 0.3
    limit = numel * bits / 8 + scales + rest
    if cell.path.suffix == ".pth" and name != "Lstm":
        file = open_checkpoint(cell.path)
        sizes = {each.storage.key: each.storage.nbytes for each in file.tensors if each.storage}
        assert sum(sizes.values()) < limit
    elif cell.path.suffix == ".pt2":
        with zipfile.ZipFile(cell.path) as archive:
            found = [each.file_size for each in archive.infolist() if "/weight_" in each.filename]
        # A tensor of torchao's is a pickle of 3 kB with the bytes in it.
        assert sum(found) < limit + 3_000 * len(done)
    else:
        assert cell.quantized.nbytes < limit + 60_000  # the graph, and the form's own


def test_the_copied_program_does_the_same(
    quantized: dict[tuple[str, str], Cell], checkpoints: dict[str, Path]
) -> None:
    """Programs of two methods that calibrate, in one fresh process."""
    chosen = [("Cnn", "static FX"), ("Cnn", "static PT2E"), ("Lstm", "dynamic int8")]
    chosen += [("Transformer", "weight-only int4"), ("Cnn", "dynamic fp16")]
    programs = []
    for key in chosen:
        cell = quantized[key]
        assert cell.quantized.script
        other = cell.path.with_name(f"copied-{cell.path.name}")
        code = cell.quantized.script.replace(repr(str(cell.path)), repr(str(other)))
        programs.append(f"exec({code!r}, {{'__name__': 'copied'}})")
    program = checkpoints["Cnn"].with_name("copied.py")
    quiet = "import warnings, torch\nwarnings.simplefilter('ignore')\ntorch.set_num_threads(1)\n"
    program.write_text(quiet + "\n".join(programs))
    subprocess.run([sys.executable, str(program)], check=True, timeout=300, capture_output=True)
    for key in chosen:
        cell = quantized[key]
        other = cell.path.with_name(f"copied-{cell.path.name}")
        inputs = torch.load(cell.inputs)
        outputs = []
        for path in (cell.path, other):
            names: dict[str, object] = {}
            exec(cell.quantized.loading_code.replace(repr(str(cell.path)), repr(str(path))), names)
            with torch.no_grad():
                outputs.append(names["model"](inputs))
        assert torch.equal(*outputs), key


def test_a_line_of_the_table(
    quantized: dict[tuple[str, str], Cell], measured: dict[tuple[str, str], Measured]
) -> None:
    """As `make quantizations` judges and prints what its workers did."""
    key = ("Cnn", "static FX")
    found, way = measured[key], key[1]
    subject = BY_NAME["Cnn"]
    outcome = QuantizeOutcome(
        (str(quantized[key].path),), quantized[key].quantized, found, Memory(100, 40)
    )
    assert as_expected(subject, way, outcome)
    line = row(subject, way, outcome, 1.0)
    assert line.startswith("| Cnn | static FX | ")
    assert "| 0.40 | written | 1.0 s |" in line
    worse = replace(found, quantized_accuracy=found.float_accuracy - 0.02)
    assert not as_expected(subject, way, replace(outcome, measured=worse))
    failed = QuantizeOutcome(failed=Failed("no-stubs"))
    assert as_expected(subject, "static eager", failed)
    assert not as_expected(subject, way, failed)


def test_the_matrix_is_whole() -> None:
    listed = list(cells())
    for name in ("Cnn", "Lstm", "Transformer", "Encoder"):
        assert {way for subject, way in listed if subject.name == name} == set(WAYS)
    assert ("Stubbed", "static eager") in {(subject.name, way) for subject, way in listed}
    assert {way for _, way in CELLS} <= set(WAYS)
    assert choice_of(BY_NAME["Cnn"], Path("a.pth")).checkpoint == "a.pth"
    assert data_of(Path("a.pth")).path == "a.npz"
    assert callable(trained)
