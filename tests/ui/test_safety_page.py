"""The safety page: what it says of files, and where its clicks lead."""

from __future__ import annotations

import argparse
import os
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence

from inspector_app.checkpoint.pickle_opcodes import NAMES
from inspector_app.ui.checkpoint_tab import CheckpointTab
from inspector_app.ui.safety_disassembly import LISTED
from inspector_app.ui.safety_page import SafetyPage
from tests.checkpoint import hostile_pickles as hostile
from tests.saving.broken_proof import broken_proof


class Runs:
    def __reduce__(self) -> Any:
        return os.system, ("touch never\u202e",)


def opened(qtbot: Any, window: Any, path: Path) -> CheckpointTab:
    (tab,) = window.open_paths([str(path)])
    qtbot.waitUntil(lambda: tab.totals is not None, timeout=20_000)
    return tab


def safety(qtbot: Any, window: Any, path: Path) -> tuple[CheckpointTab, SafetyPage]:
    tab = opened(qtbot, window, path)
    window.actions_by_id["show_safety"].trigger()
    page = tab.side.pages.safety
    qtbot.waitUntil(lambda: page.report is not None and page.is_settled(), timeout=20_000)
    return tab, page


@pytest.fixture
def hostile_file(tmp_path: Path) -> Path:
    path = tmp_path / "hostile.pth"
    value = {"model": {"fc.weight": torch.ones(2, 2)}, "args": argparse.Namespace(lr=0.1)}
    torch.save({**value, "extra": Runs()}, path)
    return path


def test_a_harmless_file_is_calm_and_never_called_safe(qtbot, window, tmp_path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"w": torch.ones(2), "epoch": 3}, path)
    tab, page = safety(qtbot, window, path)
    title, text = page.findings.said()
    assert title == "Nothing outside the allowlist"
    assert text.startswith("The file names 3 classes and functions, all on the allowlist")
    assert page.findings.torch_said()[0].endswith("loads it.")
    assert page.findings.anomalies.isHidden()
    assert page.findings.clean_button.isHidden()
    assert tab.side.pages.bar.tabIcon(3).isNull()
    # The page takes the height of the details, which come back with the summary.
    assert tab.side.tensor.isHidden()
    tab.side.pages.bar.setCurrentIndex(0)
    assert not tab.side.tensor.isHidden()
    for text in (*page.findings.said(), *page.findings.torch_said()):
        assert "is safe" not in text.lower()


def test_a_hostile_file_is_told_with_place_and_arguments(qtbot, window, hostile_file) -> None:
    tab, page = safety(qtbot, window, hostile_file)
    title, text = page.findings.said()
    assert title == "2 classes and functions outside the allowlist"
    assert "would call posix.system" in text
    assert not tab.side.pages.bar.tabIcon(3).isNull()
    rows = page.findings.globals.texts()
    assert ("Other", "1") in rows
    assert ("posix.system", "called") in rows
    assert ("extra", "called ('touch never\\u202e')") in rows
    assert ("argparse.Namespace", "made, given a state") in rows
    # The allowed ones are folded away.
    assert rows[-1][0] == "Tensors, on the allowlist"
    assert not page.findings.clean_button.isHidden()
    _, message, _ = page.findings.torch_said()
    assert "argparse.Namespace" in message or "posix.system" in message
    assert not (hostile_file.parent / "never").exists()


def test_a_use_leads_to_its_row_and_its_opcode(qtbot, window, hostile_file) -> None:
    tab, page = safety(qtbot, window, hostile_file)
    findings = page.findings
    assert findings.globals.select("posix.system")
    assert findings.arguments() == "'touch never\\u202e'"
    findings.tree_button.click()
    qtbot.waitUntil(lambda: tab.node is not None and tab.node.path == ("extra",))
    findings.opcode_button.click()
    view = page.disassembly
    qtbot.waitUntil(lambda: view.list.current() >= 0 and view.is_settled())
    row = view.list.current_row()
    assert row is not None
    assert row.name == "REDUCE"
    assert view.place.text() == "extra"
    # From the tree to the opcodes.
    tab.tree.select_path(("model", "fc.weight"))
    qtbot.waitUntil(lambda: view.place.text() == "model/fc.weight")
    assert view.list.current_row().argument == "'fc.weight'"
    view.back.click()
    assert page.currentWidget() is findings


def test_an_opcode_leads_to_its_node(qtbot, window, hostile_file) -> None:
    tab, page = safety(qtbot, window, hostile_file)
    page.findings.opcodes_button.click()
    view = page.disassembly
    qtbot.waitUntil(view.is_settled)
    # Places are found out when somebody asks for one.
    assert view.places is None
    view.search.setText("0.1")
    qtbot.keyClick(view.search, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: view.list.current() >= 0 and view.is_settled())
    assert view.list.current_row().name == "BINFLOAT"
    assert view.place.text() == "args/lr"
    view.show_button.click()
    qtbot.waitUntil(lambda: tab.node is not None and tab.node.path == ("args", "lr"))


def test_a_row_of_the_tree_leads_to_its_opcodes(qtbot, window, hostile_file) -> None:
    tab = opened(qtbot, window, hostile_file)
    tab.tree.select_path(("args", "lr"))
    qtbot.waitUntil(lambda: tab.node is not None and tab.node.path == ("args", "lr"))
    # Before the file has been examined.
    window.actions_by_id["show_opcodes"].trigger()
    page = tab.side.pages.safety
    view = page.disassembly
    qtbot.waitUntil(lambda: view.list.current() >= 0 and page.is_settled(), timeout=20_000)
    assert page.currentWidget() is view
    assert view.list.current_row().argument == "'lr'"
    assert view.place.text() == "args/lr"


def test_searching_opcodes_both_ways_and_by_offset(qtbot, window, hostile_file) -> None:
    _, page = safety(qtbot, window, hostile_file)
    page.show_opcodes()
    view = page.disassembly
    qtbot.waitUntil(view.is_settled)
    with zipfile.ZipFile(hostile_file) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("data.pkl"))
        wanted = [
            (opcode.name, position)
            for opcode, _, position in pickletools.genops(archive.read(name))
        ]
    assert view.rows.count == len(wanted)

    def find(text: str, shift: bool = False) -> str:
        view.search.setText(text)
        modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
        qtbot.keyClick(view.search, Qt.Key.Key_Return, modifier)
        qtbot.waitUntil(view.is_settled)
        return view.list.current_row().name if view.list.current() >= 0 else ""

    assert find("STOP") == "STOP"
    assert find("REDUCE", shift=True) == "REDUCE"
    last = view.list.current()
    assert [name for name, _ in wanted].index("STOP") > last
    assert all(name != "REDUCE" for name, _ in wanted[last + 1 :])
    offset = view.rows.row(5).offset
    assert find(f"@{offset}") == wanted[5][0]
    assert find(hex(view.rows.row(7).offset)) == wanted[7][0]
    find("@99999999")
    assert view.status.text() == "There is no opcode at this offset"
    find("no such thing")
    assert view.status.text() == "Nothing like this in the opcodes"


def test_odd_offsets_typed_by_keys(qtbot, window, hostile_file) -> None:
    _, page = safety(qtbot, window, hostile_file)
    page.show_opcodes()
    view = page.disassembly
    qtbot.waitUntil(view.is_settled)
    offset = view.rows.row(5).offset

    def typed(text: str) -> int | None:
        """The row that it leads to, or None where it says that there is none."""
        view.list.go_to(0)
        view.search.clear()
        if text.isascii() and len(text) < 100:
            qtbot.keyClicks(view.search, text)
        else:
            QGuiApplication.clipboard().setText(text)
            qtbot.keySequence(view.search, QKeySequence.StandardKey.Paste)
        assert view.search.text() == text
        qtbot.keyClick(view.search, Qt.Key.Key_Return)
        qtbot.waitUntil(view.is_settled)
        if view.status.text() in (
            "There is no opcode at this offset",
            "Nothing like this in the opcodes",
        ):
            return None
        return view.list.current()

    found = (f"@0{offset}", f"@ {offset}", f"@0X{offset:X}", f"@0x000{offset:x}", f"0x{offset:x}")
    assert [typed(text) for text in found] == [5] * len(found)
    assert typed("@0123") == view.rows.row_at(123)
    nines = "9" * 5_000  # beyond what Python reads as a number
    for text in ("@00", "@-1", "@", "@0x", "@0b1", "@1_0", f"@{nines}", f"@0x{nines}"):
        assert typed(text) is None
    assert typed("@99999999999999999999") is None
    assert view.status.text() == "There is no opcode at this offset"
    # Figures of other alphabets are text to look for.
    assert typed("@\u0661\u0662") is None
    assert view.status.text() == "Nothing like this in the opcodes"


@pytest.mark.parametrize("broken", [False, True])
def test_more_streams_than_are_listed_at_first(qtbot, window, tmp_path, broken: bool) -> None:
    ordinary = pickle.dumps({"a": 1}, 2)
    body = b"]" + hostile.text("a") + b"a\x82\x05a" if broken else b"cos\nsystem\n(K\1tR"
    path = tmp_path / "many.pth"
    torch.save({"w": torch.ones(2)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        for number in range(LISTED + 1):
            archive.writestr(f"{root}/more/{number:05}.pkl", ordinary)
        archive.writestr(f"{root}/more/last.pkl", hostile.PROTOCOL_2 + body + hostile.STOP)
    _, page = safety(qtbot, window, path)
    view, findings = page.disassembly, page.findings
    assert view.streams.count() == LISTED
    if broken:
        model = findings.anomalies.model()
        (number,) = (
            index
            for index, problem in enumerate(page.report.anomalies)
            if "last.pkl" in problem.where and "offset" in problem.details
        )
        findings.anomalies.activated.emit(model.index(number, 0))
    else:
        assert findings.globals.select("os.system")
        findings.opcode_button.click()
    assert page.currentWidget() is view
    qtbot.waitUntil(lambda: view.rows is not None and view.rows.count > 0 and view.is_settled())
    assert view.streams.currentText().startswith(f"{root}/more/last.pkl")
    assert view.list.current() >= 0
    # It stays among the others, once.
    view.streams.setCurrentIndex(0)
    view.streams.setCurrentIndex(LISTED)
    assert view.streams.count() == LISTED + 1
    qtbot.waitUntil(lambda: view.rows is not None and view.rows.count > 0 and view.is_settled())
    assert view.streams.currentText().startswith(f"{root}/more/last.pkl")


def test_the_list_of_opcodes_by_keys(qtbot, window, hostile_file) -> None:
    _, page = safety(qtbot, window, hostile_file)
    page.show_opcodes()
    view = page.disassembly
    qtbot.waitUntil(view.is_settled)
    view.list.setFocus()
    qtbot.keyClick(view.list, Qt.Key.Key_End)
    assert view.list.current_row().name == "STOP"
    assert view.list.shown()[-1].name == "STOP"
    qtbot.keyClick(view.list, Qt.Key.Key_Home)
    assert view.list.current() == 0
    qtbot.keyClick(view.list, Qt.Key.Key_Down)
    qtbot.keyClick(view.list, Qt.Key.Key_PageDown)
    assert view.list.current() > 5
    qtbot.keyClick(view.list, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    row = view.list.current_row()
    assert QGuiApplication.clipboard().text() == f"{row.offset}: {row.name} {row.argument}".rstrip()
    assert row.name in NAMES


def test_anomalies_are_listed_and_lead_to_their_place(qtbot, window, tmp_path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"a": [1, 2]}, 2)[:-3])
    tab, page = safety(qtbot, window, path)
    assert page.findings.said()[0].startswith("Nothing outside the allowlist, and ")
    (said,) = page.findings.anomalies.texts()
    assert "the stream ends" in said.lower()
    assert not tab.side.pages.bar.tabIcon(3).isNull()
    model = page.findings.anomalies.model()
    page.findings.anomalies.activated.emit(model.index(0, 0))
    assert page.currentWidget() is page.disassembly
    qtbot.waitUntil(page.is_settled)
    assert "the listing ends at byte" in page.disassembly.status.text()


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_an_anomaly_of_an_opcode_leads_to_it(qtbot, window, tmp_path, form: str) -> None:
    stream = hostile.PROTOCOL_2 + b"]" + hostile.text("a") + b"a\x82\x05a" + hostile.STOP
    path = tmp_path / "a.pth"
    path.write_bytes(hostile.in_zip(stream) if form == "zip" else hostile.in_legacy(stream))
    _, page = safety(qtbot, window, path)
    texts = page.findings.anomalies.texts()
    (number,) = [place for place, text in enumerate(texts) if "EXT1" in text]
    page.findings.anomalies.activated.emit(page.findings.anomalies.model().index(number, 0))
    qtbot.waitUntil(lambda: page.is_settled() and page.disassembly.list.current() >= 0)
    assert page.disassembly.list.current_row().name == "EXT1"


def test_checksums_are_verified_when_asked(qtbot, window, tmp_path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"w": torch.arange(1000)}, path)
    data = bytearray(path.read_bytes())
    _, page = safety(qtbot, window, path)
    checksums = page.findings.checksums
    with qtbot.waitSignal(checksums.settled):
        checksums.button.click()
    assert "checksums match" in checksums.said.text()
    at = data.index(torch.arange(1000).numpy().tobytes())
    data[at + 100] ^= 1
    path.write_bytes(data)
    tab = window.tab()
    tab.read()
    qtbot.waitUntil(lambda: tab.is_settled() and page.report is not None, timeout=20_000)
    with qtbot.waitSignal(checksums.settled):
        checksums.button.click()
    assert checksums.said.text() == "1 entry does not match"
    assert "data/0" in checksums.problems()


def test_formats_without_pickles_say_so(qtbot, window, tmp_path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    save_file({"w": torch.ones(2)}, path)
    _, page = safety(qtbot, window, path)
    assert page.findings.said() == (
        "Nothing outside the allowlist",
        "The format has no place for names that loading would import.",
    )
    assert page.findings.opcodes_button.isHidden()
    page.show_opcodes()
    assert page.currentWidget() is page.findings


def test_another_file_in_the_tab_is_examined_anew(qtbot, window, hostile_file) -> None:
    tab, page = safety(qtbot, window, hostile_file)
    page.show_opcodes()
    qtbot.waitUntil(page.is_settled)
    torch.save({"w": torch.ones(3)}, hostile_file)
    tab.read()
    qtbot.waitUntil(lambda: page.report is not None and not page.report.outside, timeout=20_000)
    assert page.currentWidget() is page.findings
    assert page.findings.said()[0] == "Nothing outside the allowlist"
    # Gone while nobody looks at it: the summary is shown, and nothing is examined.
    tab.side.pages.bar.setCurrentIndex(0)
    tab.read()
    qtbot.waitUntil(tab.is_settled)
    assert page.report is None


def test_a_file_that_is_gone_says_so(qtbot, window, hostile_file) -> None:
    tab = opened(qtbot, window, hostile_file)
    hostile_file.unlink()
    window.actions_by_id["show_safety"].trigger()
    page = tab.side.pages.safety
    qtbot.waitUntil(page.is_settled)
    assert page.report is None
    assert "exist" in page._state.text() or "no such" in page._state.text().lower()


def test_the_summary_leads_here(qtbot, window, hostile_file) -> None:
    tab = opened(qtbot, window, hostile_file)
    summary = tab.side.summary
    assert "posix.system" in summary.part("globals")
    summary._globals_title.link.click()
    assert tab.side.pages.bar.currentIndex() == 3
    qtbot.waitUntil(tab.side.pages.safety.is_settled)


@pytest.mark.parametrize("name", ["executing", "wrong"])
def test_hostile_streams_are_shown_without_an_error(qtbot, tmp_path, name: str) -> None:
    """Each is examined and listed; what cannot be read at all has no page."""
    from inspector_app.checkpoint import open_checkpoint
    from inspector_app.checkpoint.errors import CheckpointError

    page = SafetyPage()
    qtbot.addWidget(page)
    page.resize(460, 600)
    page.show()
    streams = (
        hostile.dangerous(str(tmp_path / "marker")) if name == "executing" else hostile.wrong()
    )
    shown = 0
    for number, stream in enumerate(list(streams.values())[::3]):
        path = tmp_path / f"{number}.pth"
        path.write_bytes(hostile.in_zip(stream) if number % 2 else stream)
        try:
            checkpoint = open_checkpoint(path)
        except CheckpointError:
            continue
        shown += 1
        page.show_checkpoint(checkpoint)
        qtbot.waitUntil(lambda: page.report is not None and page.is_settled(), timeout=20_000)
        page.findings.grab()
        if name == "executing":
            assert not page.report.clean
        page.show_opcodes()
        qtbot.waitUntil(page.is_settled)
        page.disassembly.grab()
    assert shown > 5
    assert not (tmp_path / "marker").exists()
    page.cancel()


def test_a_clean_copy_from_the_page(qtbot, window, hostile_file) -> None:
    from inspector_app.ui.save_dialog import SaveDialog

    _, page = safety(qtbot, window, hostile_file)
    page.findings.clean_button.click()
    (dialog,) = window.findChildren(SaveDialog)
    qtbot.waitUntil(lambda: dialog.plan is not None and dialog.is_settled(), timeout=20_000)
    target = hostile_file.parent / "hostile.clean.pth"
    assert dialog.windowTitle() == "Save a Clean Copy of hostile.pth"
    assert dialog.target.path() == str(target)
    assert dialog.cleaned.text() == (
        "1 entry becomes plain data, 1 cannot and is left out; the list says which."
    )
    rows = {row.old: row.form for row in dialog.preview.listed()}
    assert rows["args"] == "argparse.Namespace becomes a plain dict"
    assert rows["extra"] == "weights_only would refuse it (posix.system)"
    dialog.copy_command()
    assert QGuiApplication.clipboard().text().endswith("--clean")
    dialog.target.path_field.setText(str(target.with_suffix(".safetensors")))
    assert dialog.problem() == "The name has to end in .pth."
    dialog.target.path_field.setText(str(target))
    qtbot.waitUntil(lambda: dialog.plan is not None and dialog.is_settled())
    dialog.save()
    qtbot.waitUntil(lambda: target.exists() and dialog.is_settled(), timeout=20_000)
    qtbot.waitUntil(lambda: not dialog.run.running, timeout=20_000)
    qtbot.waitUntil(lambda: dialog.proven.text().startswith("✓"), timeout=20_000)
    after = torch.load(target, weights_only=True)
    assert set(after) == {"model", "args"}
    assert after["args"] == {"lr": 0.1}
    dialog.close()


def test_a_copy_that_is_not_proven_clean_is_not_there(
    qtbot, window, hostile_file, monkeypatch
) -> None:
    from inspector_app.ui.save_dialog import SaveDialog

    _, page = safety(qtbot, window, hostile_file)
    page.findings.clean_button.click()
    (dialog,) = window.findChildren(SaveDialog)
    qtbot.waitUntil(lambda: dialog.plan is not None and dialog.is_settled(), timeout=20_000)
    broken_proof(monkeypatch)
    qtbot.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.run.running, timeout=20_000)
    assert dialog.run.banner.title() == "hostile.clean.pth was not written"
    assert "the copy is not clean: os.system" in dialog.run.banner.cause().lower()
    assert dialog.proven.isHidden()

    def lying() -> list[str]:
        return sorted(name for name in os.listdir(hostile_file.parent) if "hostile" in name)

    assert lying() == ["hostile.pth"]
    # The old one stays where it would be replaced.
    target = hostile_file.parent / "hostile.clean.pth"
    target.write_bytes(b"the old file")
    dialog.target.replace.setChecked(True)
    qtbot.waitUntil(lambda: dialog.save_button.isEnabled() and dialog.is_settled())
    qtbot.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.run.running, timeout=20_000)
    assert dialog.run.banner.title() == "hostile.clean.pth was not written"
    assert target.read_bytes() == b"the old file"
    assert lying() == ["hostile.clean.pth", "hostile.pth"]
    dialog.close()
