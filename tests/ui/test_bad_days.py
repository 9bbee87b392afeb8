"""Bad days: each ends with the window alive, a sentence on the screen and no file lost."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from export_driving import Hands, hurry, save_net, workers
from PySide6.QtCore import Qt
from safetensors.torch import load_file

from inspector_app.ui import file_reading, save_dialog, save_preview
from inspector_app.ui.export_wizard import RESULT, ExportWizard
from inspector_app.ui.save_dialog import SaveDialog
from inspector_app.ui.tensor_pane import VALUES

PATIENCE_MS = 30_000
WEIGHT = ("model", "layer0.weight")
NOBODY = 65534


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """600 kB of weights, and the epoch."""
    torch.manual_seed(0)
    model = {f"layer{n}.weight": torch.randn(224, 224) for n in range(3)}
    torch.save({"model": model, "epoch": 3}, tmp_path / "epoch_3.pth")
    return tmp_path / "epoch_3.pth"


@pytest.fixture
def said(window) -> list[str]:
    """The sentences of the status bar."""
    sentences: list[str] = []
    window.statusBar().messageChanged.connect(sentences.append)
    return sentences


@pytest.fixture
def alive(qtbot, window, samples: Path, tmp_path: Path) -> Callable[[], None]:
    """The window still does its work: another file opens, is painted and closes."""

    def check() -> None:
        other = shutil.copy(samples / "digits_cnn_epoch_2.pth", tmp_path / "another.pth")
        (tab,) = window.open_paths([str(other)])
        qtbot.waitUntil(tab.is_settled, timeout=PATIENCE_MS)
        assert tab.checkpoint.find(("epoch",)).value == 2
        assert not window.grab().isNull()
        window.actions_by_id["close_tab"].trigger()

    return check


@contextmanager
def as_somebody_without_rights() -> Iterator[None]:
    """Root may read everything; nobody may not."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def look_at_values(qtbot, tab, path: tuple[str | int, ...]) -> None:
    """Select a tensor, and turn to its values."""
    tab.tree.select_path(path)
    qtbot.waitUntil(lambda: tab.node is not None and tab.node.path == path)
    tab.side.tensor.tabs.setCurrentIndex(VALUES)


# --- the disk is full


@pytest.fixture
def chosen(qtbot, window, opened, monkeypatch) -> Callable[[Path, Path], SaveDialog]:
    """The save dialog of a file with its target typed in, ready for its button."""
    monkeypatch.setattr(save_dialog, "TYPING_MS", 10)
    monkeypatch.setattr(save_preview, "TYPING_MS", 10)

    def choose(source: Path, target: Path) -> SaveDialog:
        opened(source)
        window.actions_by_id["save_as"].trigger()
        dialog = next(each for each in window.findChildren(SaveDialog) if each.isVisible())
        qtbot.waitUntil(lambda: dialog.is_settled() and dialog.plan is not None)
        field = dialog.target.path_field
        field.setFocus()
        field.selectAll()
        qtbot.keyClick(field, Qt.Key.Key_Backspace)
        qtbot.keyClicks(field, str(target))
        if target.exists():
            dialog.target.replace.setChecked(True)
        qtbot.waitUntil(lambda: dialog.is_settled() and dialog.save_button.isEnabled())
        return dialog

    return choose


@pytest.fixture
def save(qtbot) -> Callable[[SaveDialog], None]:
    """Presses the button, and waits for the end."""

    def press(dialog: SaveDialog) -> None:
        qtbot.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(dialog.run.banner.isVisible, timeout=PATIENCE_MS)

    return press


def test_saving_to_a_full_disk(chosen, save, training, small_disk, alive):
    old = small_disk / "old.safetensors"
    old.write_bytes(b"what was there before")
    dialog = chosen(training, old)
    save(dialog)
    assert dialog.run.banner.title() == "old.safetensors was not written"
    assert "not enough room on the disk" in dialog.run.banner.cause()
    assert os.listdir(small_disk) == ["old.safetensors"]
    assert old.read_bytes() == b"what was there before"
    dialog.close()
    alive()


def test_a_report_and_a_tensor_on_a_full_disk(
    qtbot, window, opened, training, small_disk, said, alive
):
    (small_disk / "filling").write_bytes(bytes(200 << 10))
    tab = opened(training)
    look_at_values(qtbot, tab, WEIGHT)
    qtbot.waitUntil(lambda: tab.side.tensor._bar.source is not None)
    tab.side.tensor.save_npy(str(small_disk / "layer.npy"))
    qtbot.waitUntil(lambda: "No space left on device" in tab.side.tensor.status())
    (small_disk / "more").write_bytes(bytes(52 << 10))
    comparison = window.compare(str(training), str(training))
    qtbot.waitUntil(comparison.is_settled, timeout=PATIENCE_MS)
    said.clear()
    comparison.body.reports.save(str(small_disk / "report.html"))
    qtbot.waitUntil(lambda: any("No space left on device" in text for text in said))
    assert sorted(os.listdir(small_disk)) == ["filling", "more"]
    alive()


# --- a permission is lost


def test_a_permission_that_is_lost_while_the_file_is_open(qtbot, window, opened, training, alive):
    tab = opened(training)
    training.chmod(0)
    with as_somebody_without_rights():
        look_at_values(qtbot, tab, WEIGHT)
        qtbot.waitUntil(lambda: "permission denied" in tab.side.tensor.status())
        window.actions_by_id["reload"].trigger()
        qtbot.waitUntil(lambda: tab.is_settled() and tab.error is not None)
    assert "may not be read: permission denied" in tab.banner.cause()
    assert tab.tree.isVisible()
    training.chmod(0o600)
    window.actions_by_id["reload"].trigger()
    qtbot.waitUntil(lambda: tab.is_settled() and tab.error is None)
    assert not tab.banner.isVisible()
    alive()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can come to."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def test_a_folder_that_may_no_longer_be_written(chosen, save, training, folder, alive):
    dialog = chosen(training, folder / "new.safetensors")
    folder.chmod(0o555)
    with as_somebody_without_rights():
        save(dialog)
    assert dialog.run.banner.title() == "new.safetensors was not written"
    assert "cannot be written: Permission denied" in dialog.run.banner.cause()
    assert not os.listdir(folder)
    dialog.close()
    folder.chmod(0o755)
    alive()


# --- the file changes while it is being read


def sparse(path: Path, count: int, nbytes: int) -> None:
    """A .safetensors file of tensors that are holes: long to read, and nothing on the disk."""
    header = ",".join(
        f'"w{n}":{{"dtype":"F32","shape":[{nbytes // 4}],'
        f'"data_offsets":[{n * nbytes},{(n + 1) * nbytes}]}}'
        for n in range(count)
    )
    text = b"{" + header.encode() + b"}"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + count * nbytes)


def test_a_file_that_is_cut_while_it_is_scanned(qtbot, opened, tmp_path, said, alive):
    sparse(tmp_path / "big.safetensors", 24, 256 << 20)
    tab = opened(tmp_path / "big.safetensors")
    tab.compute_statistics()
    run = tab.statistics
    qtbot.waitUntil(lambda: len(run.figures) > 0, timeout=PATIENCE_MS)
    os.truncate(tmp_path / "big.safetensors", 1 << 30)
    qtbot.waitUntil(lambda: not run.is_running, timeout=PATIENCE_MS)
    wrong = {figures.error for figures in run.figures.values() if figures.error}
    assert wrong == {"the file was changed after it was opened; open it again"}
    assert any(not figures.error for figures in run.figures.values())
    qtbot.waitUntil(tab.banner.isVisible, timeout=PATIENCE_MS)
    assert tab.banner.title() == "The file changed on disk"
    alive()


def test_a_file_that_is_cut_while_it_is_compared(qtbot, window, tmp_path, alive):
    for name in ("a", "b"):
        sparse(tmp_path / f"{name}.safetensors", 12, 128 << 20)
    tab = window.compare(str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors"))
    qtbot.waitUntil(tab.is_settled, timeout=PATIENCE_MS)
    tab.compare_values()
    qtbot.waitUntil(lambda: tab.body.run.is_running, timeout=PATIENCE_MS)
    os.truncate(tmp_path / "b.safetensors", 256 << 20)
    qtbot.waitUntil(lambda: not tab.body.run.is_running, timeout=PATIENCE_MS)
    qtbot.waitUntil(tab.banner.isVisible, timeout=PATIENCE_MS)
    assert tab.banner.title() == "One of the files changed on disk"
    alive()


def test_a_file_that_training_replaced(qtbot, window, opened, training, chosen, save, alive):
    tab = opened(training)
    before = training.read_bytes()
    dialog = chosen(training, training.with_name("weights.safetensors"))
    torch.save({"model": {"other": torch.ones(3)}}, training.with_name("next"))
    os.replace(training.with_name("next"), training)
    save(dialog)
    assert "changed after it was opened" in dialog.run.banner.cause()
    dialog.close()
    look_at_values(qtbot, tab, WEIGHT)
    qtbot.waitUntil(lambda: "changed after it was opened" in tab.side.tensor.status())
    qtbot.waitUntil(tab.banner.isVisible, timeout=PATIENCE_MS)
    assert tab.banner.title() == "The file changed on disk"
    window.actions_by_id["reload"].trigger()
    qtbot.waitUntil(
        lambda: tab.is_settled() and tab.checkpoint.find(("model", "other")) is not None
    )
    assert training.read_bytes() != before
    assert sorted(os.listdir(training.parent)) == ["epoch_3.pth", "settings"]
    alive()


# --- a process dies


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_worker_that_is_killed(qtbot, window, opened, tmp_path, monkeypatch, alive):
    hurry(monkeypatch)
    weights = save_net(tmp_path)
    old = weights.with_suffix(".pt")
    old.write_bytes(b"what was there before")
    before = workers()
    opened(weights)
    window.actions_by_id["export"].trigger()
    wizard = next(each for each in window.findChildren(ExportWizard) if each.isVisible())
    hands = Hands(qtbot, wizard)
    hands.choose_code("net.py")
    hands.to_inputs()
    hands.to_format()
    hands.press(wizard.format_page.buttons["torchscript"])
    hands.press(wizard.format_page.replace)
    weights.with_name("net.py.wait").touch()
    hands.press(wizard.next)
    hands.wait(lambda: "Trace the model" in wizard.run_page.stages.texts())
    (worker,) = workers() - before
    os.kill(worker, signal.SIGKILL)
    hands.wait(lambda: wizard.page_number() == RESULT)
    said = wizard.result_page.failure.banner
    assert "killed from outside" in said.title() + said.cause()
    assert old.read_bytes() == b"what was there before"
    assert not [name for name in os.listdir(tmp_path) if "partial" in name or "staging" in name]
    wizard.close()
    alive()


# --- memory


def test_memory_that_runs_out_while_a_file_is_read(qtbot, opened, training, monkeypatch, alive):
    real = file_reading.reading

    def reading(path, limits):
        yield from real(path, limits)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(file_reading, "reading", reading)
        tab = opened(training)
    assert tab.card.cause().endswith("\nThere is not enough memory.")
    alive()


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory")
def test_a_command_without_enough_memory(tmp_path: Path) -> None:
    """A million entries, in 60 MB."""
    torch.save({"numbers": [str(n) for n in range(1_000_000)]}, tmp_path / "many.pth")
    command = [sys.executable, "-m", "inspector_app", "show", str(tmp_path / "many.pth")]
    limited = f"ulimit -v 80000; exec {shlex.join(command)}"
    done = subprocess.run(
        ["bash", "-c", limited], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done
    assert done.stderr == (
        f"checkpoint-inspector: {tmp_path / 'many.pth'}: there is not enough memory\n"
    )


# --- two at once


def test_two_instances_that_save_to_one_place(training: Path, tmp_path: Path) -> None:
    """One of the two is there, whole; the other is told so, or was replaced."""
    target = tmp_path / "weights.safetensors"
    other = tmp_path / "other.pth"
    model = {f"layer{n}.weight": torch.zeros(224, 224) for n in range(3)}
    torch.save({"model": model}, other)
    command = [sys.executable, "-m", "inspector_app", "convert"]
    both = [
        subprocess.Popen([*command, str(source), str(target)], stderr=subprocess.PIPE, text=True)
        for source in (training, other)
    ]
    errors = [process.communicate(timeout=60)[1] for process in both]
    statuses = sorted(process.returncode for process in both)
    assert statuses == [0, 2], errors
    assert any("there is such a file already" in text for text in errors), errors
    loaded = load_file(target)
    assert set(loaded) == set(model)
    zeros = [not tensor.any() for tensor in loaded.values()]
    assert all(zeros) or not any(zeros)
    assert sorted(os.listdir(tmp_path)) == ["epoch_3.pth", "other.pth", target.name]
