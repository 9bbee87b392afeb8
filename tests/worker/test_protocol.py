"""Requests and events as lines of JSON, and back."""

from __future__ import annotations

import json
import string
from dataclasses import fields
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.worker.failures import FAILURES, Failed, sentence
from inspector_app.worker.protocol import (
    BadMessage,
    Describe,
    Described,
    DynamicAxis,
    Event,
    Export,
    Exported,
    Finished,
    FormatOptions,
    ForwardParameter,
    Inputs,
    InputSpec,
    KeyShape,
    LoadReport,
    Log,
    Mismatch,
    ModelChoice,
    ModelSource,
    OnnxOptions,
    OutputError,
    OutputInfo,
    Probe,
    Probed,
    Progress,
    ProofCase,
    Prove,
    Proved,
    Request,
    Result,
    TorchScriptOptions,
    Trial,
    Tried,
    Weights,
    read_event,
    read_request,
    write_event,
    write_request,
)
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    Latency,
    LayerDamage,
    LeftInFloat,
    Measure,
    Measured,
    MethodsProbed,
    MethodState,
    OnnxStaticOptions,
    OutputDamage,
    ProbeMethods,
    Quantize,
    Quantized,
    QuantizedLayer,
    QuantizeOptions,
    Weigh,
    Weighed,
    WeightOnlyOptions,
)
from inspector_app.worker.rehearsal_protocol import (
    Finding,
    OptimizerChoice,
    ParameterSpec,
    RateCurves,
    Rates,
    Rehearse,
    Rehearsed,
    ResumeCurves,
    SchedulerChoice,
)

MODEL = ModelChoice(
    "/models/a\udcff.pth",
    ModelSource("code", "net.py:Net", {"sizes": [1, 2.5, None], "name": "ä"}),
    Weights(("model", 0), {"module.fc.weight": "fc.weight"}, strict=False),
    trust=True,
)
INPUTS = Inputs(
    (
        InputSpec("x", (1, 3, 8, 8)),
        InputSpec("ids", (1, 4), "int64", 0, 99),
        InputSpec("y", file="y.npy"),
    ),
    (DynamicAxis("x", 0, "batch", 1, 64), DynamicAxis("ids", 0, "batch")),
)
LEFT = LeftInFloat(("head*",), ("fc",))
DATA = CalibrationData("images", "/images", resize=(4, 5), mean=(0.5,), std=(0.25,))
QUANTIZED = Quantized(
    ("a.pth",), 25, 100, 0.5, (QuantizedLayer("fc", "Linear", "int8", 8, 100, 25),), 3, "2 of 5"
)
REQUESTS = [
    Probe(),
    Describe(MODEL),
    Trial(MODEL, INPUTS),
    Export(MODEL, INPUTS, "/t", "a.onnx", OnnxOptions(opset=18, metadata={"a": "b"})),
    Prove(MODEL, INPUTS, "/t/a.pt", TorchScriptOptions("script", freeze=True)),
    Rehearse(
        "/t/a.pth",
        OptimizerChoice(("o", 0), "SGD", ((ParameterSpec("w", (2, 3), path=("m", "w")),),)),
        SchedulerChoice(("s",), "SequentialLR", (SchedulerChoice(("s", 0), "StepLR"),)),
        epoch=3,
    ),
    Rates("/t/a.pth", SchedulerChoice(("s",), "StepLR"), ("o",)),
    ProbeMethods(),
    Quantize(MODEL, INPUTS, OnnxStaticOptions(), LEFT, DATA, "/t", "a.onnx", "/a.onnx"),
    Measure(MODEL, INPUTS, WeightOnlyOptions(4, 32), LEFT, DATA, QUANTIZED, "/t"),
    Weigh(MODEL, INPUTS, DATA, None, "/t"),
]
EVENTS = [
    Progress("tracing", 1, 2),
    Log("a line\nand another"),
    Failed("torch-missing", {"interpreter": "python", "pip": "pip install torch"}, "Traceback"),
    Finished(Probed("/usr/bin/python", "3.12.1", {"torch": "2.6.0", "onnx": None})),
    Finished(
        Described(
            "net.Net",
            12,
            (KeyShape("fc.weight", (3, 4), "float32"),),
            LoadReport(1, ("a",), (), (Mismatch("b", (1,), ()),), "module."),
            (ForwardParameter("x", "Tensor"),),
            (InputSpec("x", (1, 4), low=0.5),),
        )
    ),
    Finished(Tried((), (OutputInfo("0", (1, 3), "float32"),), 0.25)),
    Finished(Exported(("a.onnx", "a.onnx.data"), 1 << 40, 1.5, operators={"Gemm": 2})),
    Finished(
        Proved(
            False,
            (ProofCase({"batch": 2}, (OutputError("0", float("inf"), 1.0, False),)),),
            1e-5,
            1e-5,
        )
    ),
    Finished(
        Rehearsed(
            "SGD",
            "",
            True,
            False,
            3,
            ((0.1, 0.01),),
            (Finding("state-shape", {"count": 3, "first": "a"}),),
            ResumeCurves((1.0, 0.5), (1.0, 0.7), 12, True),
        )
    ),
    Finished(RateCurves("StepLR", 1, ((0.1, 0.1),), ())),
    Finished(
        MethodsProbed((MethodState("static", "fx", True, choices={"backend": ("x86",)}),), True)
    ),
    Finished(QUANTIZED),
    Finished(
        Measured(
            3,
            "2 of 5",
            (OutputDamage("0", float("inf"), 0.0, 0.0, 1.0, 0.5),),
            layers=(LayerDamage("fc", 20.5, float("inf"), 0.01, 75),),
            float_latency=Latency(0.2, 0.1, 0.3),
        )
    ),
    Finished(Weighed(None)),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: each.kind)
def test_a_request_comes_back(request_: Request) -> None:
    line = write_request(request_)
    assert line.count("\n") == 1
    assert read_request(line) == request_


@pytest.mark.parametrize("event", EVENTS, ids=lambda each: each.kind)
def test_an_event_comes_back(event: Event) -> None:
    line = write_event(event)
    assert line.count("\n") == 1
    assert read_event(line) == event


def test_every_kind_is_tried_here() -> None:
    assert {type(each) for each in REQUESTS} == set(get_args(Request))
    assert {type(each) for each in EVENTS} == set(get_args(Event))
    results = {type(each.result) for each in EVENTS if isinstance(each, Finished)}
    assert results == set(get_args(Result))


@pytest.mark.parametrize("options", get_args(QuantizeOptions), ids=lambda each: each.kind)
def test_each_method_keeps_its_options(options: type) -> None:
    request = Quantize(MODEL, INPUTS, options(), LEFT, None, "/t", "a", "/a")
    assert read_request(write_request(request)) == request


@pytest.mark.parametrize("options", get_args(FormatOptions), ids=lambda each: each.kind)
def test_each_format_keeps_its_options(options: type) -> None:
    request = Export(MODEL, INPUTS, "/t", "a", options())
    assert read_request(write_request(request)) == request


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("{}", "protocol None"),
        ('{"protocol": 2, "request": {"kind": "probe"}}', "protocol 2"),
        ('{"protocol": 1}', "request is missing"),
        ('{"protocol": 1, "request": {"kind": "dance"}}', "none of what may stand here"),
        ('{"protocol": 1, "request": {"kind": "probe", "x": 1}}', "unknown: x"),
        ('{"protocol": 1, "request": {"kind": "describe", "model": []}}', "list [] is no object"),
    ],
)
def test_what_is_no_request_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadMessage) as caught:
        read_request(text)
    assert says in str(caught.value)


def test_a_field_of_another_type_is_refused() -> None:
    value = json.loads(write_request(Trial(MODEL, INPUTS)))
    value["request"]["inputs"]["specs"][1]["shape"][0] = "1"
    with pytest.raises(BadMessage, match=r"specs\[1\].shape\[0\]: str '1' is no int"):
        read_request(json.dumps(value))
    value["request"]["inputs"]["specs"][1]["shape"][0] = True
    with pytest.raises(BadMessage, match="bool True is no int"):
        read_request(json.dumps(value))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_json_is_an_event_or_refused(value: object) -> None:
    for each in (value, {"event": value}, {"event": {"kind": "finished", "result": value}}):
        with pytest.raises(BadMessage):
            read_event(json.dumps(each))


@pytest.mark.parametrize("code", FAILURES)
def test_each_failure_is_two_sentences(code: str) -> None:
    """Both can be filled from one set of arguments, and read as sentences."""
    cause, step = FAILURES[code]
    names = {
        name for text in (cause, step) for _, name, _, _ in string.Formatter().parse(text) if name
    }
    failed = Failed(code, dict.fromkeys(names, "Value"))
    assert failed.cause
    assert failed.next_step
    assert "\n" not in failed.cause + failed.next_step


def test_what_comes_from_a_file_cannot_move_the_cursor() -> None:
    assert sentence("{name} is it", {"name": "a\x1b[2Jb\u202e"}) == "a\\x1b[2Jb\\u202e is it"


def test_messages_are_frozen() -> None:
    for each in (*REQUESTS, *EVENTS):
        for name in (field.name for field in fields(each)):
            with pytest.raises(AttributeError):
                setattr(each, name, None)
