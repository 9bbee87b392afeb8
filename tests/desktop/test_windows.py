"""What Windows is told: entries, and a registry as it was when they go."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_registry import SmallRegistry

from inspector_app.desktop import windows_registry
from inspector_app.desktop.file_types import FILE_TYPES
from inspector_app.desktop.launch import windows_arguments, windows_line
from inspector_app.desktop.report import DesktopTrouble, State
from inspector_app.desktop.windows import WindowsDesktop

COMMAND = [r"C:\Users\A B\Python\pythonw.exe", "-c", "import sys; sys.path[:1] = ['C:\\\\x']"]
ICONS = r"C:\Users\A B\icons"
CLASSES = r"\Software\Classes"


class Shell:
    """Counts how often it was told to look again."""

    told = 0

    def __call__(self) -> None:
        self.told += 1


@pytest.fixture
def registry() -> SmallRegistry:
    found = SmallRegistry()
    found.CreateKey(found.HKEY_CURRENT_USER, r"Software\Classes")
    with found.CreateKey(found.HKEY_CURRENT_USER, r"Software\RegisteredApplications") as key:
        found.SetValueEx(key, "Other", 0, found.REG_SZ, r"Software\Other")
    with found.CreateKey(found.HKEY_CURRENT_USER, r"Software\Classes\.onnx") as key:
        found.SetValueEx(key, "", 0, found.REG_SZ, "Netron.Model")
    with found.CreateKey(found.HKEY_CURRENT_USER, r"Software\Classes\.bin\OpenWithProgids") as key:
        found.SetValueEx(key, "Other.Bin", 0, found.REG_SZ, "")
    return found


@pytest.fixture
def desktop(registry: SmallRegistry) -> WindowsDesktop:
    return WindowsDesktop(registry, ICONS, Shell())


@pytest.mark.parametrize("default", [True, False])
def test_the_registry_is_as_before(registry, desktop, default):
    before = registry.everything()
    assert desktop.status().state is State.ABSENT
    desktop.install(COMMAND, default)
    installed = registry.everything()
    desktop.install(COMMAND, default)
    assert registry.everything() == installed
    assert desktop.uninstall().removed
    assert registry.everything() == before
    assert desktop.uninstall().removed == ()
    assert registry.everything() == before
    assert desktop._tell.told == 4


def test_only_a_request_makes_us_the_default(registry, desktop):
    desktop.install(COMMAND, default=False)
    said = registry.everything()
    assert said[rf"{CLASSES}\.onnx@"] == "Netron.Model"
    assert rf"{CLASSES}\.pth@" not in said
    assert said[rf"{CLASSES}\.pth\OpenWithProgids@CheckpointInspector.PyTorchCheckpoint"] == ""
    desktop.install(COMMAND, default=True)
    said = registry.everything()
    assert said[rf"{CLASSES}\.onnx@"] == "CheckpointInspector.OnnxModel"
    assert rf"{CLASSES}\.bin@" not in said
    assert rf"{CLASSES}\.pkl@" not in said
    assert rf"{CLASSES}\.tar@" not in said
    assert desktop.status().ours == set(desktop.status().defaults)


def test_who_became_the_default_after_us_stays(registry, desktop):
    desktop.install(COMMAND, default=True)
    with registry.CreateKey(registry.HKEY_CURRENT_USER, r"Software\Classes\.pth") as key:
        registry.SetValueEx(key, "", 0, registry.REG_SZ, "Another.Pth")
    desktop.uninstall()
    said = registry.everything()
    assert said[rf"{CLASSES}\.pth@"] == "Another.Pth"
    assert said[rf"{CLASSES}\.onnx@"] == "Netron.Model"
    assert not [name for name in said if "CheckpointInspector" in name]


def test_the_users_own_choice_is_told(registry, desktop):
    desktop.install(COMMAND, default=True)
    place = r"Software\Microsoft\Windows\CurrentVersion\Explorer\FileExts\.pt\UserChoice"
    with registry.CreateKey(registry.HKEY_CURRENT_USER, place) as key:
        registry.SetValueEx(key, "ProgId", 0, registry.REG_SZ, "Chosen.Pt")
    status = desktop.status()
    assert status.defaults[".pt"] == "Chosen.Pt"
    assert ".pt" not in status.ours
    assert ".pth" in status.ours


def test_the_state_says_what_is_wrong(registry, desktop, tmp_path):
    program = tmp_path / "program.exe"
    program.touch()
    desktop.install([str(program)], default=False)
    assert desktop.status().state is State.INSTALLED
    assert desktop.status().command == (str(program),)
    place = r"Software\Classes\CheckpointInspector.OnnxModel"
    with registry.CreateKey(registry.HKEY_CURRENT_USER, place) as key:
        registry.SetValueEx(key, "", 0, registry.REG_SZ, "Of old")
    assert desktop.status().state is State.STALE
    registry.DeleteKey(registry.HKEY_CURRENT_USER, rf"{place}\DefaultIcon")
    assert desktop.status().state is State.PARTLY
    desktop.install([str(program)], default=False)
    program.unlink()
    status = desktop.status()
    assert (status.state, status.command_is_there) == (State.STALE, False)


@pytest.mark.parametrize(
    "command",
    [
        COMMAND,
        [r"C:\Python\pythonw.exe", "-c", 'print("a b", "c")'],
        [r"C:\Python\pythonw.exe", '"', "", "\\", 'a\\"b\\', "%1 "],
    ],
)
def test_a_command_with_arguments_is_read_back(desktop, command):
    desktop.install(command, default=False)
    assert desktop.status().command == tuple(command)


@given(st.lists(st.text(alphabet='ab\\" \t\n%1', max_size=12), max_size=5))
def test_a_line_splits_as_it_was_joined(command):
    assert windows_arguments(windows_line(command, '"%1"')) == [*command, "%1"]


@given(st.text(alphabet='ab\\" \t', max_size=30))
def test_no_line_is_too_odd(line):
    words = windows_arguments(line)
    assert windows_arguments(windows_line(words)) == words


def test_an_empty_registry_is_empty_again():
    registry = SmallRegistry()
    desktop = WindowsDesktop(registry, ICONS, Shell())
    desktop.install(COMMAND, default=True)
    desktop.uninstall()
    assert registry.everything() == {r"\Software": "", CLASSES: ""}


def test_what_is_refused_is_a_sentence(registry, desktop, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(5, "Access is denied")

    monkeypatch.setattr(registry, "CreateKey", refuse)
    with pytest.raises(DesktopTrouble, match="Access is denied"):
        desktop.install(COMMAND, default=False)


def test_a_reg_file_says_the_same():
    entries = windows_registry.registry_entries(COMMAND, ICONS)
    text = windows_registry.reg_text([*entries, *windows_registry.default_entries()])
    lines = text.split("\r\n")
    assert lines[0] == "Windows Registry Editor Version 5.00"
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string("\n".join(lines[1:]))
    for entry in [*entries, *windows_registry.default_entries()]:
        section = parser[f"HKEY_CURRENT_USER\\{entry.key}"]
        value = section[f'"{entry.name}"' if entry.name else "@"]
        assert value[0] == value[-1] == '"'
        assert value[1:-1].replace('\\"', '"').replace("\\\\", "\\") == entry.text


def test_every_ending_is_offered_and_few_are_claimed():
    entries = windows_registry.registry_entries(COMMAND, ICONS)
    offered = {each.key.split("\\")[2] for each in entries if each.key.endswith("OpenWithProgids")}
    assert offered == {
        ".pth", ".pt", ".ckpt", ".tar", ".ptl", ".pt2", ".safetensors", ".onnx", ".bin", ".pkl"
    }  # fmt: skip
    claimed = {each.key.split("\\")[2] for each in windows_registry.default_entries()}
    assert offered - claimed == {".tar", ".bin", ".pkl"}
    assert len({(each.key.lower(), each.name.lower()) for each in entries}) == len(entries)
    icons = {each.text for each in entries if each.key.endswith("DefaultIcon")}
    assert icons == {rf"{ICONS}\{name}.ico" for name in {kind.icon for kind in FILE_TYPES}} | {
        rf"{ICONS}\checkpoint-inspector.ico"
    }
