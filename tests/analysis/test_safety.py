"""What `examine` reports: groups, uses with their places, streams inside streams, code."""

from __future__ import annotations

import _compat_pickle
import argparse
import collections
import io
import pickle
import warnings
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bypass_pickles as bypass
import pytest
import torch

from inspector_app.analysis.safety import examine, tracing
from inspector_app.analysis.safety_groups import group_of
from inspector_app.analysis.safety_report import GROUPS, HOWS, FoundGlobal, Group, SafetyReport
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.allowed_globals import ALLOWED
from inspector_app.checkpoint.limits import DEFAULT


def finished(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def examined(path: Path, **options: bool) -> SafetyReport:
    report: SafetyReport = finished(examine(open_checkpoint(path), **options))
    return report


def found(report: SafetyReport, name: str) -> FoundGlobal:
    (one,) = (each for each in report.globals if each.name == name)
    return one


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def saved(path: Path, value: Any, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("argparse.Namespace", Group.PLAIN),
        ("numpy.core.multiarray.scalar", Group.PLAIN),
        ("numpy._core.multiarray._reconstruct", Group.PLAIN),
        ("pathlib._local.PosixPath", Group.PLAIN),
        ("__builtin__.dict", Group.PLAIN),
        ("collections.defaultdict", Group.PLAIN),
        ("somebody.models.Net", Group.MODEL),
        ("somebody.functions.make", Group.MODEL),
        ("__main__.Net", Group.MODEL),
        ("torch.nn.modules.linear.Linear", Group.MODEL),
        ("torch.optim.sgd.SGD", Group.MODEL),
        ("torch.nn.functional.silu", Group.MODEL),
        ("torch.nn.modules.linear.math.sqrt", Group.OTHER),
        ("torch.nn.functional.os.system", Group.OTHER),
        ("os.system", Group.OTHER),
        ("posix.system", Group.OTHER),
        ("nt.system", Group.OTHER),
        ("builtins.eval", Group.OTHER),
        ("__builtin__.eval", Group.OTHER),
        ("exceptions.Exception", Group.OTHER),
        ("Tkinter.Tk", Group.OTHER),
        ("anydbm.open", Group.OTHER),
        ("HTMLParser.HTMLParser", Group.OTHER),
        ("telnetlib.Telnet", Group.OTHER),
        ("asyncore.dispatcher", Group.OTHER),
        ("new.code", Group.OTHER),
        ("torch.hub.load", Group.OTHER),
        ("torch.storage._load_from_bytes", Group.OTHER),
        ("numpy.testing._private.utils.runstring", Group.OTHER),
        ("pip.main", Group.OTHER),
        ("dill._dill._create_function", Group.OTHER),
        ("cloudpickle.cloudpickle._make_function", Group.OTHER),
        ("tor\u0441h.Tensor", Group.OTHER),
        ("some body.Net", Group.OTHER),
        ("", Group.OTHER),
        (".", Group.OTHER),
        ("a..b", Group.OTHER),
    ],
)
def test_groups(name: str, group: str) -> None:
    assert group_of(name, allowed=False) == group


def test_modules_that_python_has_renamed_or_dropped() -> None:
    renamed = {module.partition(".")[0] for module in _compat_pickle.IMPORT_MAPPING}
    # `test` is also what many call the folder of their own tests.
    for module in renamed - {"test"}:
        assert group_of(f"{module}.f", allowed=False) in (Group.OTHER, Group.PLAIN), module


def test_every_allowed_global_belongs_to_the_tensors() -> None:
    assert {group_of(name, allowed=True) for name in ALLOWED} == {Group.TENSORS}


def test_uses_are_counted_and_placed(tmp_path: Path) -> None:
    value = {
        "args": [argparse.Namespace(lr=index) for index in range(3)],
        "kind": argparse.Namespace,
        "state": collections.OrderedDict(w=torch.ones(2)),
    }
    report = examined(saved(tmp_path / "x.pth", value))
    namespace = found(report, "argparse.Namespace")
    assert dict(namespace.counts) == {"newobj": 3, "build": 3}
    assert namespace.count == 6
    assert [how for how, _ in namespace.counts] == [
        how for how in HOWS if how in ("newobj", "build")
    ]
    assert [use.path for use in namespace.uses] == [("args", n) for n in (0, 0, 1, 1, 2, 2)]
    assert namespace.uses[1].arguments == "{'lr': 0}"
    content = (tmp_path / "x.pth").read_bytes()
    for use in namespace.uses:
        assert content[use.offset : use.offset + 1] == {"newobj": b"\x81", "build": b"b"}[use.how]
    storage = found(report, "torch.FloatStorage")
    assert storage.uses[0].path == ("state", "w")
    assert storage.uses[0].how == "persistent-id"
    order = [GROUPS.index(each.group) for each in report.globals]
    assert order == sorted(order)
    assert report.outside == (namespace,)
    assert not report.clean


def test_a_class_that_is_only_named(tmp_path: Path) -> None:
    report = examined(saved(tmp_path / "x.pth", {"kind": argparse.Namespace}))
    namespace = found(report, "argparse.Namespace")
    assert namespace.counts == (("named", 1),)
    assert namespace.uses[0].path == ("kind",)
    assert namespace.uses[0].arguments == ""


def test_briefly(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"w": torch.ones(2)})
    long, brief = examined(path), examined(path, briefly=True)
    assert [each.counts for each in long.globals] == [each.counts for each in brief.globals]
    assert all(each.uses for each in long.globals)
    assert not any(each.uses for each in brief.globals)


def test_python2_and_python3_names_are_told_apart(tmp_path: Path) -> None:
    stream = bypass.whole(
        b"("
        + bypass.call(bypass.name("__builtin__", "set"))
        + bypass.name("builtins", "set")
        + b"t"
    )
    report = examined(written(tmp_path / "x.pth", bypass.in_zip(stream)))
    assert [(each.name, each.allowed) for each in report.globals] == [
        ("__builtin__.set", True),
        ("builtins.set", True),
    ]


def test_streams_and_what_they_are_for(tmp_path: Path) -> None:
    inner = bypass.call(bypass.name("pickle", "loads"), bypass.data(bypass.INNER))
    main = bypass.whole(b"}" + bypass.text("x") + inner + b"s") + bypass.INNER
    content = bypass.in_zip(main, {"archive/extra.pkl": bypass.INNER})
    path = written(tmp_path / "x.pth", content)
    report = examined(path)
    rows = [(each.name.partition(" at ")[0], each.role) for each in report.pickles]
    assert rows == [
        ("archive/data.pkl", "loaded"),
        ("bytes", "nested"),
        ("archive/data.pkl (2)", "extra"),
        ("archive/extra.pkl", "extra"),
    ]
    # Of a stored entry the bytes are the file's; of a value that was decoded they are kept.
    for stream in report.pickles:
        raw = content if stream.data is None else stream.data
        piece = raw[stream.start : stream.end]
        assert piece[:1] == b"\x80"
        assert piece[-1:] == b"."
        assert pickle.STOP in piece
    system = found(report, "os.system")
    assert [use.pickle for use in system.uses] == [1, 2, 3]
    assert all(use.path is None for use in system.uses)
    assert found(report, "pickle.loads").uses[0].path == ("x",)
    codes = {each.code for each in report.anomalies}
    assert {"several-pickles", "hidden-pickle"} <= codes


@pytest.mark.parametrize("compressed", [False, True])
def test_places_of_one_stream(compressed: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"a": {"b": [1, argparse.Namespace(c=5)]}})
    if compressed:
        whole = io.BytesIO(path.read_bytes())
        with (
            zipfile.ZipFile(whole) as source,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
        ):
            for entry in source.namelist():
                target.writestr(entry, source.read(entry))
    report = examined(path)
    stream = report.pickles[0]
    assert (stream.data is not None) is compressed
    places = finished(tracing(stream))
    namespace = found(report, "argparse.Namespace")
    raw = path.read_bytes() if stream.data is None else stream.data
    for use in namespace.uses:
        assert places.path_at(use.offset) == use.path == ("a", "b", 1)
        assert raw[use.offset : use.offset + 1] in (b"\x81", b"b")
    start, end = places.span_of(("a", "b", 1, "c"))
    assert raw[start:end].startswith(b"X\x01\x00\x00\x00c")
    assert b"K\x05" in raw[start : end + 1]


def test_streams_that_are_no_part_of_the_tree(tmp_path: Path) -> None:
    content = bypass.in_zip(bypass.whole(bypass.WEIGHTS), {"archive/x.pkl": bypass.INNER})
    report = examined(written(tmp_path / "x.pth", content))
    assert finished(tracing(report.pickles[1])) is None


def test_code_of_torchscript_and_of_old_models(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "script.pt")
    report = examined(tmp_path / "script.pt")
    assert report.code
    assert {each.where for each in report.code} == {"TorchScript"}
    assert all(each.record is not None for each in report.code)
    assert report.clean
    assert all(stream.script for stream in report.pickles[:2])
    module = saved(tmp_path / "old.pt", torch.nn.Linear(2, 2), _use_new_zipfile_serialization=False)
    report = examined(module)
    (code,) = report.code
    assert code.where == "class source"
    assert "class Linear(Module)" in (code.text or "")
    linear = found(report, "torch.nn.modules.linear.Linear")
    assert dict(linear.counts) == {"newobj": 1, "build": 1, "persistent-id": 1}
    assert [each.name for each in report.pickles] == [
        "pickle of the magic number",
        "pickle of the protocol version",
        "pickle of the system information",
        "pickle of the object",
        "pickle of the storage keys",
    ]


def test_pickles_three_deep_and_no_deeper(tmp_path: Path) -> None:
    stream = bypass.whole(bypass.name("innermost", "f"))
    for level in range(6):
        name = bypass.name(f"level{level}", "loads")
        stream = bypass.whole(bypass.call(name, bypass.data(stream)))
    report = examined(written(tmp_path / "x.pth", bypass.in_zip(stream)))
    # Level 5 is the outermost; what lies deeper than three below it is not looked into.
    names = {each.name for each in report.globals}
    assert names == {f"level{level}.loads" for level in (5, 4, 3, 2)}
    assert "limit" in {each.code for each in report.anomalies}


def test_many_streams_are_cut_with_a_word(tmp_path: Path) -> None:
    others = {f"archive/{number}.pkl": bypass.whole(b"N") for number in range(2_100)}
    path = written(tmp_path / "x.pth", bypass.in_zip(bypass.whole(bypass.WEIGHTS), others))
    report = examined(path)
    assert len(report.pickles) == 2_000
    assert "pickle-count" in {each.code for each in report.anomalies}


def test_a_repeated_use_is_listed_a_thousand_times(tmp_path: Path) -> None:
    value = [argparse.Namespace(x=index) for index in range(1_500)]
    namespace = found(examined(saved(tmp_path / "x.pth", value)), "argparse.Namespace")
    assert namespace.count == 3_000
    assert len(namespace.uses) == 1_000


def test_a_pickle_that_is_too_large_to_follow(tmp_path: Path) -> None:
    path = written(tmp_path / "x.pth", bypass.in_zip(bypass.whole(b"](" + b"}" * 9_000 + b"e")))
    checkpoint = open_checkpoint(path)
    report = finished(examine(checkpoint, DEFAULT._replace(object_bytes=1 << 20)))
    assert report.weights_only.loads is None
    assert "cannot be told" in report.weights_only.sentence
    assert "pickle-limit" in {each.code for each in report.anomalies}
