"""Double clicks through the real desktop entry, on a real X server with a window manager."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator

import pytest
from double_clicks import ROOT, Desk, missing_programs, tree, wait

from inspector_app.desktop.file_types import opened_by_default
from inspector_app.resources_path import resource
from inspector_app.saving.zip_writer import ZipWriter
from inspector_app.ui.startup_end import end_startup, message


def exported_program() -> bytes:
    """A zip as torch.export begins it."""
    written = io.BytesIO()
    archive = ZipWriter(written.write)
    archive.begin("program/data/weights/weight_0", 4)
    written.write(b"abcd")
    archive.end(zlib.crc32(b"abcd"))
    archive.close()
    return written.getvalue()


ENTRY = "checkpoint-inspector.desktop"
SAMPLE = resource("samples", "digits_cnn_epoch_2.pth")
HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  '
CONTENT = {
    ".safetensors": len(HEADER).to_bytes(8, "little") + HEADER + b"abcd",
    ".onnx": b"\x08\x0a\x12\x07pytorch\x1a\x052.9.0:\x04\x12\x02me",
    ".pt2": exported_program(),
}

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="this desktop is of Linux"),
    pytest.mark.skipif(
        bool(missing_programs()), reason=f"not installed here: {missing_programs()}"
    ),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A session in which our types are installed, and one file is open."""
    made = Desk(tmp_path_factory.mktemp("desk"))
    try:
        made.show()
        done = made.inspector("desktop", "install", "--default")
        assert (done.returncode, done.stderr) == (0, "")
        first = made.home / "first.pth"
        shutil.copy(SAMPLE, first)
        made.double_click(first)
        made.window("first.pth")
        yield made
    finally:
        made.close()


def launch(desk: Desk, *opened: str) -> subprocess.CompletedProcess[str]:
    """What a file manager does with a file that `xdg-open` would not give us."""
    entry = desk.home / ".local/share/applications" / ENTRY
    return desk.run("gio", "launch", entry, *opened)


@pytest.mark.parametrize("desktop", ["GNOME", "X-Generic"])
def test_install_click_and_leave(tmp_path, desktop):
    if desktop == "X-Generic" and shutil.which("mimetype") is None:
        pytest.skip("not installed here: mimetype, by which xdg-open looks into files")
    desk = Desk(tmp_path, desktop)
    files = {}
    for kind in opened_by_default():
        for ending in kind.endings:
            path = desk.home / f"a model{ending}"
            files[path] = kind.mime_type
            path.write_bytes(CONTENT.get(ending, SAMPLE.read_bytes()))
    before = tree(desk.home)
    try:
        desk.show()
        done = desk.inspector("desktop", "install", "--default")
        assert (done.returncode, done.stderr) == (0, "")
        for path, expected in files.items():
            # By the ending in a desktop; by the content, which is as certain, without one.
            assert desk.file_type(path) == expected, path
        for kind in opened_by_default():
            assert desk.default(kind.mime_type) == ENTRY
        desk.double_click(desk.home / "a model.pth")
        window = desk.window("a model.pth")
        assert "checkpoint-inspector" in desk.run("xprop", "-id", window, "WM_CLASS").stdout
        process = desk.process_of(window)
        desk.double_click(desk.home / "a model.ckpt")
        desk.window("a model.ckpt")
        assert desk.windows() == {window: "a model.ckpt — Checkpoint Inspector"}
        assert desk.processes() == [process]
        done = desk.inspector("desktop", "uninstall")
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        desk.close()
    # What a window manager and a window remember is theirs.
    left = {
        name: content
        for name, content in tree(desk.home).items()
        if not name.startswith((".cache", ".config/checkpoint-inspector", ".local/state"))
    }
    for folder in (".config", ".local"):
        left.pop(folder, None)
    assert left == before


ODD_NAMES = [
    "with spaces in it.pth",
    'it\'s "quoted" & $HOME `id` 100% %20;#?.pth',
    "new\nline.pth",
    "-n.pth",
    "Schrödingers 数据.pth",
    os.fsdecode(b"caf\xe9 \xff.pth"),
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_file_of_any_name_opens(desk, name):
    path = desk.home / name
    shutil.copy(SAMPLE, path)
    desk.double_click(path)
    shown = name.encode("ascii", "replace").decode().partition("?")[0].partition("\n")[0]
    desk.window(shown)
    assert len(desk.windows()) == 1


def test_a_file_in_a_path_of_4000_characters_opens(desk):
    name = b"deep.pth"
    path = os.fsencode(desk.home)
    folder = os.open(path, os.O_RDONLY)
    while len(path) < 4000 - 200:
        part = b"d" * 180
        os.mkdir(part, dir_fd=folder)
        inner = os.open(part, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder, path = inner, path + b"/" + part
    name = b"deep" + b"p" * (4000 - len(path) - 9) + b".pth"
    target = os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder)
    os.write(target, SAMPLE.read_bytes())
    os.close(target)
    os.close(folder)
    path += b"/" + name
    assert len(path) == 4000
    desk.double_click(path)
    desk.window("deepp")


def test_a_url_of_a_file_opens(desk):
    path = desk.home / "from a browser.pth"
    shutil.copy(SAMPLE, path)
    assert launch(desk, f"file://{desk.home}/from%20a%20browser.pth").returncode == 0
    desk.window("from a browser.pth")
    desk.inspector(f"file://{desk.home}/first.pth")
    desk.window("first.pth")


def test_an_address_of_the_web_is_told(desk):
    assert desk.inspector("https://example.org/models/far%20away.pth").returncode == 0
    desk.window("far%20away.pth")


@pytest.mark.parametrize("what", ["vanished", "folder", "pipe", "corrupt", "zeros", "text"])
def test_what_cannot_be_opened_has_a_tab_that_says_so(desk, what):
    path = desk.home / f"{what}.pth"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what != "vanished":
        content = {"corrupt": SAMPLE.read_bytes()[:5000], "zeros": b"\0" * 99}
        path.write_bytes(content.get(what, b"import something\n"))
    assert launch(desk, str(path)).returncode == 0
    desk.window(path.name)
    assert len(desk.processes()) == 1


def test_who_may_not_read_a_file_is_told(desk):
    """Root may, but for a process that has put that right away."""
    path = desk.home / "secret.pth"
    shutil.copy(SAMPLE, path)
    path.chmod(0)
    command = [sys.executable, "-m", "inspector_app", "show", str(path)]
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("not installed here: setpriv, to be no longer almighty")
        command[:0] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    window = [*command[:-2], "open", "--screenshot", str(desk.home / "secret.png"), str(path)]
    for each in (command, window):
        done = desk.run(*each, cwd=ROOT)
        assert (done.returncode, done.stdout) == (2, "")
        assert "the file may not be read: permission denied" in done.stderr
    assert launch(desk, str(path)).returncode == 0
    desk.window("secret.pth")


def test_comparing_from_the_menu_entry(desk):
    """By the entry's own words: `gio` starts no actions."""
    text = (desk.home / ".local/share/applications" / ENTRY).read_text()
    starts = [line.partition("=")[2] for line in text.splitlines() if line.startswith("Exec=")]
    compare = next(line for line in starts if "--compare" in line)
    second = desk.home / "second.pth"
    shutil.copy(SAMPLE, second)
    both = compare.replace("%F", f"{desk.home}/first.pth {second}")
    done = desk.run("sh", "-c", both)
    assert (done.returncode, done.stderr) == (0, "")
    desk.window("first.pth ↔ second.pth")
    done = desk.run("sh", "-c", compare.replace("%F", str(second)))
    assert (done.returncode, done.stderr) == (0, "")

    def asks() -> bool:
        title = "Compare second.pth With"
        return bool(desk.run("xdotool", "search", "--onlyvisible", "--name", title).stdout)

    wait(asks, "a dialog that asks for the other file")


@pytest.mark.skipif(shutil.which("xev") is None, reason="not installed here: xev")
def test_a_start_that_is_handed_over_ends_the_busy_pointer(desk):
    spy = subprocess.Popen(
        ["xev", "-root", "-event", "property"],
        env=desk.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    desk.environment["DESKTOP_STARTUP_ID"] = started = "files-7-a b_TIME4711"
    try:
        assert desk.inspector(str(desk.home / "first.pth")).returncode == 0
    finally:
        del desk.environment["DESKTOP_STARTUP_ID"]
        desk.run("xprop", "-root", "-f", "_END", "8s", "-set", "_END", "x")
        said = ""
        for line in spy.stdout:
            said += line
            if "_END" in line:
                break
        spy.kill()
        spy.communicate()
    # Twenty bytes a message.
    assert message(started) == b"remove: ID=files-7-a\\ b_TIME4711\0"
    assert said.count("(_NET_STARTUP_INFO_BEGIN), format 8") == 1
    assert said.count("(_NET_STARTUP_INFO), format 8") == 1


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"DISPLAY": ":7"},
        {"DESKTOP_STARTUP_ID": "x"},
        {"DISPLAY": ":7", "WAYLAND_DISPLAY": "wayland-0", "DESKTOP_STARTUP_ID": "x"},
        {"DISPLAY": ":7", "DESKTOP_STARTUP_ID": "a\nb"},
        {"DISPLAY": ":7", "DESKTOP_STARTUP_ID": "x" * 9_999},
        {"DISPLAY": "nowhere.invalid:7", "DESKTOP_STARTUP_ID": "x"},
    ],
)
def test_where_there_is_nothing_to_end(environment):
    assert not end_startup(environment)


def test_nothing_was_said_on_stderr(desk):
    ours = [line for line in desk.errors.splitlines() if "inspector" in line.lower()]
    assert [line for line in ours if "Traceback" in line or "fault" in line] == []
