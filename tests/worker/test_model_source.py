"""Where models come from, and each way in which they do not. In this process: the work of a
request is a generator, whoever drives it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from real_workers import NET, choice_of, failed_of, result_of, save_state, write_source
from torch import nn

from inspector_app.worker.describe import describing
from inspector_app.worker.model_source import building
from inspector_app.worker.protocol import Describe, ModelChoice, ModelSource, SourceKind, Weights


def same(module: Any, other: Any) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(module.state_dict().values(), other.values(), strict=True)
    )


@pytest.mark.parametrize("name", ["Net", "create"])
def test_a_class_or_a_function_of_a_file(checkpoint: Path, net: Path, name: str) -> None:
    model = result_of(building(choice_of(checkpoint, net, name)))
    assert same(model.module, torch.load(checkpoint))
    assert not model.module.training
    assert model.report.loaded == 6
    assert model.report.fits


def test_a_class_of_a_module(checkpoint: Path, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(net.parent)
    choice = ModelChoice(str(checkpoint), ModelSource(SourceKind.CODE, "net:Net"))
    assert same(result_of(building(choice)).module, torch.load(checkpoint))


def test_a_file_in_a_package_may_import_its_neighbours(checkpoint: Path, net: Path) -> None:
    package = net.parent / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    write_source(package, NET, "blocks.py")
    source = write_source(package, "from .blocks import Net as Whole", "whole.py")
    assert same(
        result_of(building(choice_of(checkpoint, source, "Whole"))).module, torch.load(checkpoint)
    )


def test_a_file_named_like_another_module_is_itself(checkpoint: Path, net: Path) -> None:
    source = write_source(net.parent, NET, "types.py")
    assert result_of(building(choice_of(checkpoint, source))).report.fits
    import types

    assert not hasattr(types, "Net")


@pytest.mark.parametrize(
    ("name", "arguments", "code", "says"),
    [
        ("Nett", {}, "class-not-found", "It has: Net, "),
        ("Net", {"widht": 8}, "constructor", "unexpected keyword argument 'widht'"),
        ("Net", {"width": "wide"}, "constructor", "TypeError"),
        ("Net", {"width": 9}, "weights-do-not-fit", "first.weight is [8, 4] instead of [9, 4]"),
        ("torch", {}, "no-module", "gave module"),
        ("1x", {}, "spec", "no Python name"),
    ],
)
def test_what_the_name_leads_to(
    checkpoint: Path, net: Path, name: str, arguments: dict[str, Any], code: str, says: str
) -> None:
    failed = failed_of(building(choice_of(checkpoint, net, name, **arguments)))
    assert failed.code == code
    assert says in f"{failed.cause} {failed.next_step}"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("import nonexistent_package", "module-not-found", "nonexistent_package"),
        ("1 / 0", "source-fails", "ZeroDivisionError"),
        ("def Net(:", "source-fails", "SyntaxError"),
    ],
)
def test_a_source_that_cannot_be_imported(
    checkpoint: Path, text: str, code: str, says: str
) -> None:
    source = write_source(checkpoint.parent, text, "broken.py")
    failed = failed_of(building(choice_of(checkpoint, source)))
    assert failed.code == code
    assert says in failed.cause
    assert "broken.py" in failed.traceback
    assert "inspector_app" not in failed.traceback.partition("broken.py")[0]


def test_a_source_that_is_not_there(checkpoint: Path) -> None:
    failed = failed_of(building(choice_of(checkpoint, checkpoint.parent / "nowhere.py")))
    assert failed.code == "source-not-found"


# --- the file holds it


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_a_torchscript_archive_is_its_own_model(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(4, 3))), path)
    described = result_of(describing(Describe(ModelChoice(str(path)))))
    assert described.model_class == "Sequential"
    assert [each.name for each in described.forward] == ["input"]


def test_an_exported_program_is_its_own_model(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(nn.Linear(4, 3), (torch.ones(2, 4),)), path)
    model = result_of(building(ModelChoice(str(path))))
    assert model.module(torch.ones(2, 4)).shape == (2, 3)


@pytest.fixture
def pickled(net: Path) -> Path:
    """A whole model whose class is in ``net``."""
    import importlib
    import sys

    sys.path.insert(0, str(net.parent))
    path = net.with_name("whole.pth")
    torch.save(importlib.import_module("net").Net(), path)
    sys.path.remove(str(net.parent))
    return path


def test_a_pickled_model_asks_first_and_names_what_it_imports(pickled: Path) -> None:
    failed = failed_of(building(ModelChoice(str(pickled))))
    assert failed.code == "consent-needed"
    assert {"net.Net", "net.Block"} <= set(failed.details["globals"].split(", "))
    model = result_of(building(ModelChoice(str(pickled), trust=True)))
    assert type(model.module).__name__ == "Net"


def test_a_pickled_model_whose_class_is_gone(pickled: Path) -> None:
    import sys

    for name in ("net",):
        sys.modules.pop(name, None)
    (pickled.parent / "net.py").unlink()
    failed = failed_of(building(ModelChoice(str(pickled), trust=True)))
    assert failed.code == "pickled-class-not-found"
    assert "net" in failed.cause


def test_a_pickled_model_of_a_script_finds_its_class_in_a_file(net: Path) -> None:
    """``__main__.Net`` is what a training script leaves."""
    import subprocess
    import sys

    script = f"{net.read_text()}\ntorch.save(Net(), {str(net.with_name('whole.pth'))!r})\n"
    subprocess.run([sys.executable, "-c", script], check=True)
    path = str(net.with_name("whole.pth"))
    failed = failed_of(building(ModelChoice(path, trust=True)))
    assert failed.code == "pickled-class-not-found"
    source = ModelSource(SourceKind.FILE, str(net))
    assert result_of(building(ModelChoice(path, source, trust=True))).module(
        torch.ones(1, 4)
    ).shape == (1, 3)


def test_the_weights_of_a_pickled_model_need_no_consent(pickled: Path, net: Path) -> None:
    """They are read without running the file, into a class that the user names."""
    model = result_of(building(choice_of(pickled, net)))
    assert model.report.fits
    whole = torch.load(pickled, weights_only=False)
    assert same(model.module, whole.state_dict())


def test_a_state_dict_is_no_model(checkpoint: Path) -> None:
    failed = failed_of(building(ModelChoice(str(checkpoint))))
    assert failed.code == "no-model-in-file"
    assert "6 tensors without a graph" in failed.cause


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_text("hello")
    failed = failed_of(building(ModelChoice(str(path))))
    assert failed.code == "file-not-loaded"


# --- transformers


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"),
        ("[]", "model_type"),
        ('{"hidden": 1}', "model_type"),
        (None, "No such file"),
    ],
)
def test_a_config_that_is_none(checkpoint: Path, text: str | None, says: str) -> None:
    if text is not None:
        (checkpoint.parent / "config.json").write_text(text)
    choice = ModelChoice(str(checkpoint), ModelSource(SourceKind.TRANSFORMERS))
    failed = failed_of(building(choice))
    assert failed.code == "config"
    assert says in failed.cause


def test_a_config_with_code_of_its_own_asks_first(checkpoint: Path) -> None:
    config = {"model_type": "own", "auto_map": {"AutoModel": "evil.py--Own"}}
    (checkpoint.parent / "config.json").write_text(json.dumps(config))
    failed = failed_of(building(ModelChoice(str(checkpoint), ModelSource(SourceKind.TRANSFORMERS))))
    assert failed.code == "consent-needed"
    assert "evil.py--Own" in failed.cause


def test_a_tiny_bert_from_its_config(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    torch.manual_seed(3)
    bert = transformers.BertForMaskedLM(config).eval()
    bert.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    choice = ModelChoice(str(path), ModelSource(SourceKind.TRANSFORMERS))
    described = result_of(describing(Describe(choice)))
    assert described.model_class.endswith("BertForMaskedLM")
    assert described.report.fits, described.report
    assert described.guesses[0].name == "input_ids"
    model = result_of(building(choice)).module
    ids = torch.arange(6)[None]
    assert torch.equal(model(input_ids=ids).logits, bert(input_ids=ids).logits)
    no_class = replace(choice, source=replace(choice.source, arguments={"class": "BertForNothing"}))
    assert failed_of(building(no_class)).code == "class-not-found"


# --- what describes it


def test_a_description_says_what_does_not_fit_and_raises_nothing(net: Path) -> None:
    path = save_state(net, "Net", lambda state: {"model": {**state, "extra": torch.ones(1)}})
    choice = choice_of(path, net, width=9)
    described = result_of(describing(Describe(choice)))
    assert described.model_class == "net.Net"
    assert described.report.unexpected == ("extra",)
    assert [each.key for each in described.report.mismatched] == [
        "first.weight",
        "first.bias",
        "block.fc.weight",
        "block.fc.bias",
        "last.weight",
    ]
    assert described.report.mismatched[0].model == (9, 4)
    assert described.report.mismatched[0].checkpoint == (8, 4)
    assert described.report.loaded == 1
    assert [each.name for each in described.forward] == ["x"]
    lenient = replace(choice, weights=Weights(strict=False))
    model = result_of(building(lenient))
    assert not model.report.fits
    assert model.notes == [
        "keys of the model that keep their initial values: "
        "first.weight, first.bias, block.fc.weight and 2 more",
        "keys of the checkpoint that are not used: extra",
    ]


def test_an_exported_program_that_would_run_code_asks_first(tmp_path: Path) -> None:
    """torch.export.load unpickles the sample inputs of old files without restriction."""
    import zipfile

    class Evil:
        def __reduce__(self) -> Any:
            return open, (str(tmp_path / "ran"), "w")

    path, evil = tmp_path / "m.pt2", tmp_path / "evil.pt2"
    torch.export.save(torch.export.export(nn.Linear(4, 3), (torch.ones(2, 4),)), path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(evil, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("sample_inputs/model.pt"):
                buffer = tmp_path / "inputs.pt"
                torch.save(Evil(), buffer)
                data = buffer.read_bytes()
            target.writestr(name, data)
    (tmp_path / "ran").unlink(missing_ok=True)
    failed = failed_of(building(ModelChoice(str(evil))))
    assert failed.code == "consent-needed"
    assert "open" in failed.details["globals"]
    assert not (tmp_path / "ran").exists()
