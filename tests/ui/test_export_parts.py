"""Parts of the export wizard on their own: values of arguments, axes, memory, pages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

from inspector_app.checkpoint import open_checkpoint
from inspector_app.ui import consent_memory, export_memory
from inspector_app.ui.export_memory import CHOICES, Choices
from inspector_app.ui.export_result_page import ResultPage
from inspector_app.ui.input_axes import axis_names
from inspector_app.ui.input_card import FILE, InputCard
from inspector_app.ui.model_arguments import ArgumentsForm, NoValue, text_of_value, value_of
from inspector_app.ui.model_subject import subject_of
from inspector_app.ui.wizard_stages import StageList
from inspector_app.ui.wizard_widgets import FailureBox
from inspector_app.ui.worker_words import seconds_text
from inspector_app.worker.export_run import ExportOutcome, ExportPlan
from inspector_app.worker.failures import FAILURES, Failed
from inspector_app.worker.protocol import (
    DynamicAxis,
    Exported,
    Inputs,
    InputSpec,
    ModelChoice,
    ModelSource,
    OnnxOptions,
    OutputError,
    ProofCase,
    ProofSettings,
    Proved,
    SourceKind,
    TorchScriptOptions,
)
from inspector_app.worker.source_listing import Argument, Offer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_a_value_that_is_shown_is_read_back(value):
    assert value_of(text_of_value(value)) == value


@pytest.mark.parametrize(
    ("text", "annotation", "default", "value"),
    [
        ("64", "int", None, 64),
        ("1e-3", "", None, 0.001),
        ("True", "bool", None, True),
        ("true", "bool", None, True),
        ("(1, 2)", "", None, [1, 2]),
        ("{'a': None}", "", None, {"a": None}),
        ("relu", "str", None, "relu"),
        ("relu", "", "gelu", "relu"),
        ("'relu'", "", None, "relu"),
        ("relu", "Literal['relu', 'gelu']", None, "relu"),
    ],
)
def test_values_are_written_as_people_write_them(text, annotation, default, value):
    assert value_of(text, annotation, default) == value


@pytest.mark.parametrize("text", ["relu", "", "1 +", "lambda: 0", "open('x')", "[" * 100_000])
def test_what_is_no_value_is_none(text):
    with pytest.raises(NoValue):
        value_of(text)


@pytest.fixture
def form(qtbot):
    holder = QWidget()
    qtbot.addWidget(holder)
    made = ArgumentsForm(QLineEdit(holder), holder)
    yield made
    made.close()


def test_arguments_are_prefilled_and_checked(form):
    form.set_offer(
        Offer(
            "Net",
            True,
            1,
            (
                Argument("width", "int", suggested=64, has_suggestion=True),
                Argument("depth", "int"),
                Argument("act", "str", "'relu'", "relu", required=False),
            ),
        )
    )
    assert form.rows["width"].field.text() == "64"
    assert form.rows["width"].origin.text() == "int, from the checkpoint"
    assert form.problem() == "depth has no default: give it a value."
    form.rows["depth"].field.setText("3")
    assert not form.problem()
    assert form.values() == {"width": 64, "depth": 3}
    form.rows["act"].field.setText("gelu")
    form.rows["width"].field.setText("32")
    assert form.rows["width"].origin.text() == "int"
    assert form.values() == {"width": 32, "depth": 3, "act": "gelu"}


def test_other_arguments_are_an_object(form):
    form.set_offer(Offer("Net", True, 1, (), any_keyword=True))
    form.others.setText('{"a": [1, 2]}')
    assert form.values() == {"a": [1, 2]}
    form.others.setText("[1]")
    assert "no JSON object" in form.problem()


def test_axes_have_the_names_that_are_usual():
    assert axis_names(4, "float32") == ["batch", "channels", "height", "width"]
    assert axis_names(2, "int64") == ["batch", "sequence"]
    assert axis_names(2, "float32") == ["batch", "axis_1"]
    assert axis_names(0, "float32") == []


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("shape", "1, x", "no shape"),
        ("shape", "9" * 20, "too large"),
        ("name", "", "no name"),
        ("low", "5", "no range"),
        ("high", "nan", "no range"),
    ],
)
def test_an_input_says_what_is_wrong_with_it(qtbot, tmp_path, field, text, said):
    card = InputCard(InputSpec("x", (1, 4)), str(tmp_path))
    qtbot.addWidget(card)
    assert not card.problem()
    getattr(card, field).setText(text)
    assert said in card.problem()


def test_an_input_gives_back_what_it_was_given(qtbot, tmp_path):
    specs = [
        InputSpec("x", (1, 3, 8, 8), "float16", -1.0, 1.5),
        InputSpec("ids", (1, 16), "int64", 0, 30521),
        InputSpec("s", (), "float32"),
    ]
    for spec in specs:
        card = InputCard(spec, str(tmp_path))
        qtbot.addWidget(card)
        assert card.spec() == spec
    axes = [DynamicAxis("ids", 0, "batch", 1, 64), DynamicAxis("ids", 1, "sequence")]
    card = InputCard(specs[1], str(tmp_path))
    qtbot.addWidget(card)
    card.axes.set_dynamic(axes)
    assert card.dynamic() == axes


def test_axes_of_a_file_wait_for_its_shape(qtbot, tmp_path):
    (tmp_path / "x.npy").touch()
    card = InputCard(InputSpec("x", (), "", file="x.npy"), str(tmp_path))
    qtbot.addWidget(card)
    assert card.values.currentIndex() == FILE
    assert card.spec().file == str(tmp_path / "x.npy")
    card.axes.set_dynamic([DynamicAxis("x", 1, "length")])
    assert card.dynamic() == []
    card.set_file_shape((2, 7))
    assert card.dynamic() == [DynamicAxis("x", 1, "length")]
    (tmp_path / "x.npy").unlink()
    assert "There is no file" in card.problem()


def choices() -> Choices:
    model = ModelChoice(
        "/a.pth", ModelSource(SourceKind.CODE, "net.py:Net", {"width": [1, None]}), trust=True
    )
    inputs = Inputs((InputSpec("x", (1, 4)),), (DynamicAxis("x", 0, "batch"),))
    options = OnnxOptions(opset=18, metadata={"author": "me"})
    return Choices("/python", "/a.onnx", model, inputs, options, ProofSettings(rtol=1e-3))


def test_choices_are_remembered_for_each_checkpoint(remembered):
    export_memory.remember(remembered, "/a.pth", choices())
    found = export_memory.remembered(remembered, "/a.pth")
    assert found._replace(model=None) == choices()._replace(model=None)
    assert found.model.source == choices().model.source
    # Consent is no choice: it belongs to the file as it was.
    assert not found.model.trust
    assert export_memory.remembered(remembered, "/b.pth") == Choices()


@pytest.mark.parametrize("kept", [[], "x", {"request": 3}, {"request": "{}"}, {"request": "[["}])
def test_damaged_memory_counts_as_none(remembered, kept):
    remembered.write(CHOICES, {"/a.pth": kept})
    assert export_memory.remembered(remembered, "/a.pth") == Choices()


def test_not_everything_is_remembered_for_ever(remembered):
    for number in range(60):
        export_memory.remember(remembered, f"/{number}.pth", choices())
    assert len(remembered.read(CHOICES)) == 40
    assert export_memory.remembered(remembered, "/59.pth").target


def test_trust_ends_when_the_file_changes(remembered, sample):
    subject = subject_of(open_checkpoint(str(sample)))
    assert not consent_memory.is_trusted(remembered, subject)
    consent_memory.trust(remembered, subject)
    assert consent_memory.is_trusted(remembered, subject)
    assert not consent_memory.is_trusted(remembered, subject._replace(stamp="other"))
    other = subject._replace(globals=(*subject.globals, ("os.system", "call")))
    assert not consent_memory.is_trusted(remembered, other)


def test_what_the_wizard_takes_from_a_training_checkpoint(sample):
    sample.with_name("net.py").write_text("", encoding="utf-8")
    subject = subject_of(open_checkpoint(str(sample)))
    assert subject.sections[0][0] == ("model_state_dict",)
    assert subject.config["image_size"] == 16
    assert subject.sources == (str(sample.with_name("net.py")),)
    assert subject.source_kinds() == [SourceKind.CODE]
    sample.with_name("config.json").write_text("{}", encoding="utf-8")
    kinds = subject_of(open_checkpoint(str(sample))).source_kinds()
    assert kinds == [SourceKind.TRANSFORMERS, SourceKind.CODE]


@pytest.mark.parametrize("code", sorted(FAILURES))
def test_every_failure_is_two_sentences_in_the_window(qtbot, code):
    names = set()
    for template in FAILURES[code]:
        names.update(part.partition("}")[0] for part in template.split("{")[1:])
    box = FailureBox()
    qtbot.addWidget(box)
    box.show_failure("It failed", Failed(code, dict.fromkeys(names, "<b>x</b>"), "line 3"))
    assert "{" not in box.banner.cause() + box.banner.advice()
    assert box.banner.cause().endswith(".")
    first = box.banner.cause().partition(" ")[0]
    assert first[0].isupper() or not first.isalpha()
    assert box.traceback() == "line 3"
    assert bool(box.pip.line()) == ("pip" in names)
    box.close()


def test_stages_follow_each_other(qtbot):
    stages = StageList()
    qtbot.addWidget(stages)
    stages.begin_group("Export")
    for text in ("Import torch", "Run", "Run", "Write"):
        stages.begin(text)
    assert stages.texts() == ["Import torch", "Run", "Write"]
    stages.end(False)
    stages.clear()
    assert stages.texts() == []


def outcome_of_a_failed_proof() -> ExportOutcome:
    errors = (OutputError("a", 0.25, float("inf"), False), OutputError("b", 0.0, 0.0, True))
    again = ProofCase({"batch": 2}, errors[:1])
    cases = (ProofCase({"batch": 2}, errors), again, ProofCase({}, (), "it crashed"))
    proved = Proved(False, cases, 1e-4, 1e-5, 0.002, 0.001, "onnxruntime 1", "layer /fc/Gemm")
    return ExportOutcome((), Exported(("m.onnx",), 1_000, 1.0, script="import torch"), proved)


def test_a_failed_proof_says_where(qtbot, tmp_path):
    page = ResultPage(2_000)
    qtbot.addWidget(page)
    plan = ExportPlan(
        ModelChoice("/a.pth"), Inputs(()), OnnxOptions(), str(tmp_path / "m.onnx"), proof=None
    )
    page.show_outcome(plan, outcome_of_a_failed_proof())
    page.show()
    assert "computes something else" in page.banner.title()
    assert "/fc/Gemm" in page.banner.cause()
    assert page.table.rows() == [
        ["batch 2", "a", "0.25", "inf", "no"],
        ["batch 2", "b", "0", "0", "yes"],
        ["batch 2, other values", "a", "0.25", "inf", "no"],
        ["as the example", "it crashed", "", "", "no"],
    ]
    assert not page.open_button.isVisible()
    assert page.rows()["Latency"] == "1 ms, the original 2 ms: 2 times as fast"
    page.python_button.click()
    assert QApplication.clipboard().text() == "import torch"
    page.close()


def test_the_report_is_saved_as_a_page_or_as_json(qtbot, tmp_path):
    page = ResultPage(2_000)
    qtbot.addWidget(page)
    source = tmp_path / "a.pth"
    source.write_bytes(b"weights")
    plan = ExportPlan(
        ModelChoice(str(source)), Inputs(()), TorchScriptOptions(), str(tmp_path / "m.pt")
    )
    outcome = outcome_of_a_failed_proof()
    for name in ("r.html", "r.json"):
        with qtbot.waitSignal(page.message) as said:
            page.reports.save(str(tmp_path / name), plan, outcome)
        assert said.args == [f"{name} was saved."]
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["format"] == "torchscript"
    with qtbot.waitSignal(page.message) as said:
        page.reports.save(str(source), plan, outcome)
    assert source.read_bytes() == b"weights"
    with qtbot.waitSignal(page.message) as said:
        page.reports.save(str(tmp_path / "none" / "r.json"), plan, outcome)
    assert "was not saved" in said.args[0]


def test_times_are_short():
    assert seconds_text(0.00026) == "260 µs"
    assert seconds_text(0.0123) == "12.3 ms"
    assert seconds_text(4.123) == "4.1 s"
    assert seconds_text(float("nan")) == "—"
