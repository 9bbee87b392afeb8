"""Parts of the quantize dialog on their own: words, tables, layers, options, memory, the truth."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QApplication

from inspector_app.analysis.quantization_figures import (
    ErrorSums,
    Kept,
    TensorPreview,
    scheme_error,
)
from inspector_app.analysis.quantization_schemes import SCHEMES
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import Kind, Node, TensorInfo
from inspector_app.ui import quantize_memory
from inspector_app.ui.model_subject import subject_of
from inspector_app.ui.quantize_advice import Advice, LayersChart
from inspector_app.ui.quantize_forms import form_of, scheme_of, tag_of
from inspector_app.ui.quantize_images import ImagesForm
from inspector_app.ui.quantize_layers import LayerModel, namer, patterns_of
from inspector_app.ui.quantize_memory import CHOICES, Choices
from inspector_app.ui.quantize_result_page import ResultPage
from inspector_app.ui.quantize_table import PreviewTable
from inspector_app.ui.quantize_table_model import AFTER, DAMAGE, NAME
from inspector_app.ui.quantize_truth import output_rows, truth_rows, verdict
from inspector_app.ui.quantize_words import (
    cosine_text,
    damage_share,
    db_text,
    kept_text,
    percent_text,
    scheme_text,
    sizes_text,
)
from inspector_app.ui.target_field import TargetField
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Inputs, InputSpec, ModelChoice, ModelSource, SourceKind
from inspector_app.worker.quantize_methods import METHODS
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    CastOptions,
    DataKind,
    DynamicOptions,
    Latency,
    LayerDamage,
    LeftInFloat,
    Measured,
    OnnxStaticOptions,
    OutputDamage,
    Quantized,
    QuantizedLayer,
    StaticOptions,
    WeightOnlyOptions,
)
from inspector_app.worker.quantize_run import Memory, QuantizeOutcome, QuantizePlan

SCHEME = "int8-per-channel"
ROOT = Node("", Kind.MAPPING)
SECTION = Node("model_state_dict", Kind.MAPPING, parent=ROOT)


def preview(number: int, name: str, noise: float | None, kept: str = "") -> TensorPreview:
    """A weight of signal 1 and `noise`, or one that is kept."""
    tensor = TensorInfo(name, "float32", (10, 10), (10, 1), None, None, parent=ROOT)
    schemes = {}
    if noise is not None:
        sums = ErrorSums(100, 1.0, noise, 1.0, 1.0, math.sqrt(noise), 2)
        schemes[SCHEME] = scheme_error(SCHEME, sums, 140)
    return TensorPreview(number, tensor, 400, kept, schemes)


FOUND = [
    preview(0, "good", 1e-5),
    preview(1, "bias", None, Kept.NO_WEIGHT),
    preview(2, "bad", 1e-1),
    preview(3, "doubtful", 1e-2),
]


def test_words_of_figures():
    assert db_text(41.26) == "41.3 dB"
    assert db_text(math.inf) == "exact"
    assert db_text(-math.inf) == "overflows"
    assert db_text(math.nan) == "—"
    assert cosine_text(0.9999999) == "0.99999…"
    assert cosine_text(1.0) == "1.00000"
    assert percent_text(1e-9) == "<0.01%"
    assert percent_text(0.99999) == ">99.99%"
    assert percent_text(1.0) == "100%"
    assert percent_text(None) == "—"
    assert sizes_text(400, 100) == "400 B → 100 B (25%)"
    assert damage_share(60) == 0
    assert damage_share(-3) == 1
    assert damage_share(math.nan) == 0


def test_every_scheme_and_reason_has_a_name():
    names = [scheme_text(scheme) for scheme in SCHEMES]
    assert len(set(names)) == len(SCHEMES)
    assert scheme_text(SCHEMES[0]) == "int8, one scale per tensor"
    for reason, value in vars(Kept).items():
        if reason.isupper():
            assert kept_text(value)


def names_of(table: PreviewTable) -> list[str]:
    model = table.tensors
    return [model.index(row, NAME).data() for row in range(model.rowCount())]


def test_tensors_are_sorted_by_damage_and_those_kept_come_last(qtbot):
    table = PreviewTable()
    qtbot.addWidget(table)
    table.show_found(FOUND, SCHEME)
    assert names_of(table) == ["bad", "doubtful", "good", "bias"]
    assert table.tensors.index(0, DAMAGE).data() == "10.0 dB"
    assert table.tensors.index(3, DAMAGE).data() == "kept: bias or norm"
    assert table.tensors.index(0, AFTER).data() == "140 B"
    assert table.current().tensor.key == "bad"
    table.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
    assert names_of(table) == ["bad", "doubtful", "good", "bias"]
    table.sortByColumn(DAMAGE, Qt.SortOrder.AscendingOrder)
    assert names_of(table) == ["good", "doubtful", "bad", "bias"]


def test_the_tensor_that_was_chosen_stays_current_while_figures_come(qtbot):
    table = PreviewTable()
    qtbot.addWidget(table)
    chosen = []
    table.chosen.connect(chosen.append)
    found = FOUND[2:3]
    table.show_found(found, SCHEME)
    assert [each.number for each in chosen] == [2]
    found += FOUND[:2]
    table.show_found(found, SCHEME)
    assert names_of(table) == ["bad", "good", "bias"]
    table.select(0)
    found += FOUND[3:]
    table.show_found(found, SCHEME)
    assert names_of(table) == ["bad", "doubtful", "good", "bias"]
    assert table.current().number == 0


def test_many_tensors_are_ranked_in_steps(qtbot):
    table = PreviewTable()
    qtbot.addWidget(table)
    found = [preview(number, f"t{number}", 1 / (number + 2)) for number in range(5_000)]
    table.show_found(found, SCHEME)
    assert table.tensors.rowCount() == 0
    qtbot.waitUntil(lambda: table.tensors.rowCount() == len(found))
    assert names_of(table)[:2] == ["t0", "t1"]
    table.sortByColumn(DAMAGE, Qt.SortOrder.AscendingOrder)
    qtbot.waitUntil(lambda: names_of(table)[0] == "t4999")


@pytest.fixture
def subject(sample):
    return subject_of(open_checkpoint(str(sample)))


def test_layers_are_called_as_the_model_calls_them(subject):
    name_of = namer(subject)
    assert name_of(("model_state_dict", "features.0.weight")) == "features.0"
    assert name_of(("model_state_dict", "module._orig_mod.features.0.weight")) == "features.0"
    wrapped = ("model_state_dict", "module.features.0.weight")
    assert namer(subject, as_model=False)(wrapped) == "module.features.0"
    assert name_of(("optimizer_state_dict", "state", 0, "exp_avg")) == ""
    assert patterns_of("a.*, b  c") == ("a.*", "b", "c")


def layers_of(subject, *names: tuple[str, float]) -> LayerModel:
    model = LayerModel()
    found = []
    for number, (name, noise) in enumerate(names):
        found.append(preview(number, name, noise))
        found[-1].tensor.parent = SECTION
    for _ in model.showing(subject, found, SCHEME):
        pass
    return model


def test_layers_are_checked_alone_and_together(subject):
    model = layers_of(subject, ("a.0.weight", 1e-4), ("a.1.weight", 1e-1), ("b.weight", 1e-2))
    assert list(model.layers) == ["a.0", "a.1", "b"]
    assert model.left_out() == []
    top = model.index(0, 0, QModelIndex())
    assert top.data() == "a"
    first = model.index(0, 0, top)
    role = Qt.ItemDataRole.CheckStateRole
    model.setData(first, Qt.CheckState.Unchecked, role)
    assert model.left_out() == ["a.0"]
    assert top.data(role) == Qt.CheckState.PartiallyChecked
    model.setData(top, Qt.CheckState.Unchecked, role)
    assert model.left_out() == ["a.0", "a.1"]
    assert top.data(role) == Qt.CheckState.Unchecked
    assert model.parent(first) == top
    assert model.most_damaged(2) == ["a.1", "b"]
    assert model.matched(["a.*"]) == {"a.0", "a.1"}
    assert model.matched(["b.weight"]) == {"b"}
    assert model.cost(["b"]) == (1200, 1200)
    model.leave_out(["b"])
    assert model.cost([]) == (1200, 140 + 140 + 400)


def test_who_is_unchecked_stays_so_under_another_scheme(subject):
    model = layers_of(subject, ("a.weight", 1e-4), ("b.weight", 1e-1))
    model.leave_out(["b"])
    found = [each for each in FOUND if each.schemes]
    for _ in model.showing(subject, found, SCHEME):
        pass
    assert model.layers == {}
    model = layers_of(subject, ("b.weight", 1e-4))
    model.leave_out(["b"])
    assert model.left_out() == ["b"]


@pytest.mark.parametrize("method", METHODS, ids=lambda each: f"{each.method}-{each.engine}")
def test_options_are_shown_as_they_were_chosen(qtbot, method):
    form = form_of(method)
    qtbot.addWidget(form)
    form.restore(method.options)
    given = form.options()
    assert type(given) is type(method.options)
    form.restore(given)
    assert form.options() == given
    assert not form.problem()
    assert scheme_of(given) in {scheme.name for scheme in SCHEMES}
    assert tag_of(given)


def test_options_that_are_not_the_usual_ones(qtbot):
    by_name = {(each.method, each.engine): each for each in METHODS}
    for key, options in (
        (("dynamic", "eager"), DynamicOptions(dtype="float16", backend="qnnpack")),
        (("static", "eager"), StaticOptions("eager", "fbgemm", "minmax", False, False)),
        (("weight-only", "int4"), WeightOnlyOptions(4, 128)),
        (("cast", ""), CastOptions("float8_e5m2", True)),
        (("onnx-static", ""), OnnxStaticOptions("percentile", 99.9, "qoperator", "uint8")),
    ):
        form = form_of(by_name[key])
        qtbot.addWidget(form)
        form.restore(options)
        assert form.options() == options
    form.percentile.setText("3")
    assert "percentile" in form.problem()


def test_images_are_resized_and_normalised(qtbot):
    form = ImagesForm()
    qtbot.addWidget(form)
    assert not form.problem()
    form.size.setText("224 × 224")
    form.mean.setText("0.5")
    form.std.setText("0")
    assert "greater than 0" in form.problem()
    form.std.setText("0.5, 0.5")
    assert "3 numbers" in form.problem()
    form.imagenet.click()
    data = form.filled(CalibrationData(DataKind.IMAGES, "/images"))
    assert data.resize == (224, 224)
    assert len(data.mean) == len(data.std) == 3
    form.size.setText("0, 224")
    assert "no height and width" in form.problem()


def test_the_file_is_named_beside_the_checkpoint_and_never_replaces_it(qtbot, sample):
    field = TargetField(str(sample), str(sample.parent), "Quantize To")
    qtbot.addWidget(field)
    field.suggest("int8", ".pth", "state_dict")
    assert field.path() == str(sample.with_name("epoch_4.int8.pth"))
    field.suggest("fp16", ".safetensors", "safetensors")
    assert field.path() == str(sample.with_name("epoch_4.fp16.safetensors"))
    assert not field.problem()
    field.text.setText("mine.safetensors")
    field.suggest("int8", ".pth", "state_dict")
    assert field.path() == str(sample.with_name("mine.pth"))
    field.text.setText("epoch_4.pth")
    assert "checkpoint itself" in field.problem()
    field.text.setText("nowhere/a.pth")
    assert "no folder" in field.problem()
    field.text.setText("a.onnx")
    assert "end in .pth" in field.problem()
    sample.with_name("there.pth").write_bytes(b"1")
    field.text.setText("there.pth")
    assert "exists" in field.problem()
    field.replace.setChecked(True)
    assert not field.problem()


def test_what_was_chosen_is_remembered_without_consent(remembered):
    choices = Choices(
        "/usr/bin/python3",
        "/a.int8.pth",
        "fp16",
        StaticOptions(observer="minmax"),
        LeftInFloat(("head*",), ("a.0",)),
        ModelChoice("/a.pth", ModelSource(SourceKind.CODE, "net.py:Net"), trust=True),
        Inputs((InputSpec("x", (1, 4)),)),
        CalibrationData(path="/data.npz", samples=7),
    )
    quantize_memory.remember(remembered, "/a.pth", choices)
    found = quantize_memory.remembered(remembered, "/a.pth")
    assert found == choices._replace(model=replace(choices.model, trust=False))
    quantize_memory.remember(remembered, "/b.pth", Choices(nothing=True, options=CastOptions()))
    found = quantize_memory.remembered(remembered, "/b.pth")
    assert found == Choices(nothing=True, options=CastOptions())
    damaged = {"/c.pth": {"request": "{}", "scheme": 3}, "/d.pth": 5}
    remembered.write(CHOICES, damaged)
    assert quantize_memory.remembered(remembered, "/c.pth") == Choices()
    assert quantize_memory.remembered(remembered, "/d.pth") == Choices()


# --- the truth

LAYERS = (
    LayerDamage("first", 40.0, 45.0, 1e-4, 100),
    LayerDamage("wide", 9.0, 40.0, 1e-1, 3_000),
    LayerDamage("last", 9.5, 9.0, 0.0, 50),
)
MEASURED = Measured(
    100,
    "100 of 300 samples",
    (OutputDamage("logits", 9.5, 2.0, 0.5, 0.9, 0.8),),
    0.97,
    0.81,
    LAYERS,
    "wide",
    20.0,
    ("wide",),
    3_000,
    Latency(0.002, 0.0019, 0.0022),
    Latency(0.001, 0.0009, 0.0012),
    16,
    "torch 2",
    "torch 2",
)
QUANTIZED = Quantized(
    ("m.pth",),
    10_000,
    40_000,
    1.5,
    (
        QuantizedLayer("wide", "Linear", "int8", 8, 4_000, 1_000),
        QuantizedLayer("last", "Linear", "float32", 32, 67, 67, "left in float as asked"),
    ),
    loading_code="import torch  # loads",
    script="import torch  # quantizes",
)


def outcome_in(folder) -> tuple[QuantizePlan, QuantizeOutcome]:
    source, target = folder / "a.pth", folder / "m.pth"
    source.write_bytes(b"weights")
    target.write_bytes(b"quantized")
    plan = QuantizePlan(
        ModelChoice(str(source)),
        Inputs(()),
        StaticOptions(),
        str(target),
        data=CalibrationData(path=str(folder / "data.npz")),
    )
    return plan, QuantizeOutcome((str(target),), QUANTIZED, MEASURED, Memory(10**6, 3 * 10**6))


def test_both_sides_are_shown_with_what_changed(tmp_path):
    plan, outcome = outcome_in(tmp_path)
    rows = {row[0]: row[1:] for row in truth_rows(outcome)}
    assert rows["Size of the file"] == ["40.0 kB", "10.0 kB", "25% of it"]
    assert rows["Accuracy"] == ["97%", "81%", "-16.00 points"]
    assert rows["Latency of 16 samples"][2] == "2 times as fast"
    assert rows["Peak memory of a forward"] == ["1.00 MB", "3.00 MB", "3 times as much"]
    assert output_rows(MEASURED)[0][-1] == "80%"
    kind, title, cause, _ = verdict("m.pth", outcome, plan)
    assert (kind, title) == ("warning", "m.pth was written: 25% of the size")
    assert "97% → 81%" in cause
    fine = replace(MEASURED, quantized_accuracy=0.968)
    assert verdict("m.pth", replace(outcome, measured=fine), plan)[0] == "good"
    random = replace(plan, data=CalibrationData(DataKind.RANDOM))
    assert "random" in verdict("m.pth", replace(outcome, measured=fine), random)[3]
    assert "not measured" in verdict("m.pth", replace(outcome, measured=None), plan)[3]
    refused = QuantizeOutcome((), QUANTIZED, MEASURED, refused=("too much",))
    assert verdict("m.pth", refused, plan)[0] == "error"


def test_the_result_names_the_layer_and_what_leaving_it_costs(qtbot, tmp_path):
    page = ResultPage()
    qtbot.addWidget(page)
    plan, outcome = outcome_in(tmp_path)
    page.show_outcome(plan, outcome)
    page.show()
    assert "wide" in page.chart.words()
    assert [bar.name for bar in page.chart.chart.bars()] == ["first", "wide", "last"]
    assert page.advice.names() == ("wide",)
    assert page.advice.cost() == "about 3.00 kB more: 10.0 kB become 13.0 kB"
    with qtbot.waitSignal(page.run_again) as again:
        page.advice.button.click()
    assert again.args == [("wide",)]
    page.advice.boxes["wide"].setChecked(False)
    assert not page.advice.button.isEnabled()
    assert page.layers.rows()[1][2] == "float32 (left in float as asked)"
    page.loading_button.click()
    assert QApplication.clipboard().text() == QUANTIZED.loading_code
    page.python_button.click()
    assert QApplication.clipboard().text() == QUANTIZED.script
    assert "100 of 300 samples" in page.notes()
    page.show_outcome(plan, QuantizeOutcome(failed=Failed("disk-full", {"file": "m.pth"})))
    assert page.failure.isVisible()
    assert not page.open_button.isVisible()
    assert not page.advice.isVisible()
    assert page.summary() == "not written"
    page.close()


def test_the_report_is_saved_as_a_page_or_as_json(qtbot, tmp_path):
    page = ResultPage()
    qtbot.addWidget(page)
    plan, outcome = outcome_in(tmp_path)
    for name in ("r.html", "r.json"):
        with qtbot.waitSignal(page.message) as said:
            page.reports.save(str(tmp_path / name), plan, outcome)
        assert said.args == [f"{name} was saved."]
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert text.startswith("<!")
    assert "wide" in text
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["method"]["name"] == "static"
    with qtbot.waitSignal(page.message) as said:
        page.reports.save(str(tmp_path / "m.pth"), plan, outcome)
    assert "not saved" in said.args[0]
    assert (tmp_path / "m.pth").read_bytes() == b"quantized"


def test_many_layers_are_cut_to_the_most_damaged(qtbot):
    chart, advice = LayersChart(), Advice()
    qtbot.addWidget(chart)
    qtbot.addWidget(advice)
    layers = tuple(LayerDamage(f"l{n}", 60.0 - n, 60.0, n * 1e-6, 10) for n in range(40))
    measured = replace(MEASURED, layers=layers, leave=(), breaks="")
    chart.show_layers(measured)
    assert "24 most damaged of 40" in chart.words()
    assert [bar.name for bar in chart.chart.bars()] == [f"l{n}" for n in range(16, 40)]
    advice.show_layers(measured, 1_000)
    assert list(advice.boxes) == [f"l{n}" for n in range(39, 29, -1)]
    assert advice.names() == ()
    nothing = replace(measured, layers=(LayerDamage("x", math.nan, math.inf, 0.0, 0),))
    chart.show_layers(nothing)
    advice.show_layers(nothing, 1_000)
    assert list(advice.boxes) == []
