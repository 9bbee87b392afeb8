"""The MIME package, as the system's own tools understand it."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from inspector_app.desktop.desktop_entry import desktop_entry
from inspector_app.desktop.mime_package import FILE_NAME, mime_package
from inspector_app.resources_path import resource

CHECKPOINT = "application/x-pytorch-checkpoint"

pytestmark = pytest.mark.skipif(
    shutil.which("update-mime-database") is None, reason="shared-mime-info is not installed"
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the types are known."""
    data = tmp_path_factory.mktemp("data")
    packages = data / "mime" / "packages"
    packages.mkdir(parents=True)
    (packages / FILE_NAME).write_text(mime_package())
    environment = {**os.environ, "XDG_DATA_HOME": str(data), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["update-mime-database", str(data / "mime")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout + done.stderr == "", "the package is not clean"
    return environment


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file of a kind, by a short name."""
    folder = tmp_path_factory.mktemp("files")
    sample = resource("samples", "digits_cnn_epoch_2.pth").read_bytes()
    made = {}

    def put(name: str, content: bytes) -> None:
        made[name] = folder / name
        made[name].write_bytes(content)

    for name in ("a.pth", "b.pt", "c.PTH", "d.pth.tar", "e.ckpt", "f.ptl", "noending", "g.bin"):
        put(name, sample)
    put("h.weights", sample)
    put("i.pt2", sample[:100])
    put("j.safetensors", b"x")
    put(
        "tensors",
        b'\x3a\0\0\0\0\0\0\0{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}    abcd',
    )
    put("k.onnx", b"x")
    put("graph", b"\x08\x0a\x12\x07pytorch\x1a\x052.9.0:\x04\x12\x02me")
    put("l.pkl", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    put("m.pkl", b"\x80\x04\x95\x02\0\0\0\0\0\0\0}\x94.")
    for name in ("n.zip", "o.docx", "p.jar", "q.epub"):
        made[name] = folder / name
        with zipfile.ZipFile(made[name], "w") as archive:
            if name == "q.epub":
                archive.writestr("mimetype", "application/epub+zip")
            archive.writestr("word/document.xml" if name == "o.docx" else "text", "<x/>" * 99)
    for ending in ("zip", "docx", "jar", "epub"):
        source = next(path for name, path in made.items() if name.endswith(ending))
        put(f"no ending, {ending}", source.read_bytes())
    return made


EXPECTED = {
    **dict.fromkeys(["a.pth", "b.pt", "c.PTH", "d.pth.tar", "e.ckpt", "f.ptl"], CHECKPOINT),
    # By content alone.
    **dict.fromkeys(["noending", "g.bin", "h.weights", "l.pkl"], CHECKPOINT),
    "i.pt2": "application/x-pytorch-exported-program",
    "j.safetensors": "application/x-safetensors",
    "tensors": "application/x-safetensors",
    "k.onnx": "application/x-onnx",
    "graph": "application/x-onnx",
    # Left alone.
    "m.pkl": "application/octet-stream",
    "n.zip": "application/zip",
    "o.docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "q.epub": "application/epub+zip",
    "no ending, zip": "application/zip",
    "no ending, epub": "application/epub+zip",
}


@pytest.mark.skipif(shutil.which("gio") is None, reason="GLib's gio is not installed")
def test_glib_knows_them(database, files):
    asked = subprocess.run(
        ["gio", "info", "-a", "standard::content-type", *map(str, files.values())],
        env=database,
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line.split(": ")[1] for line in asked.stdout.splitlines() if "::content-type:" in line]
    found = dict(zip(files, said, strict=True))
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert "pytorch" not in found["p.jar"] + found["no ending, jar"] + found["no ending, docx"]


@pytest.mark.skipif(shutil.which("mimetype") is None, reason="File::MimeInfo is not installed")
def test_the_tool_that_bare_window_managers_have_knows_them(database, files):
    asked = subprocess.run(
        ["mimetype", "--brief", *map(str, files.values())],
        env=database,
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(zip(files, asked.stdout.splitlines(), strict=True))
    different = {
        name: found[name]
        for name, expected in EXPECTED.items()
        # It knows no order among the types that are made of zips.
        if found[name] != expected and "pytorch" in found[name] + expected
    }
    # It believes such certain magic more than an ending.
    assert different in ({}, {"i.pt2": CHECKPOINT})


@pytest.mark.skipif(shutil.which("gio") is None, reason="GLib's gio is not installed")
def test_the_corpus_is_known(database, corpus):
    paths = sorted(path for path in corpus.rglob("*.*") if path.is_file() and path.suffix != ".md")
    asked = subprocess.run(
        ["gio", "info", "-a", "standard::content-type", *map(str, paths)],
        env=database,
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line.split(": ")[1] for line in asked.stdout.splitlines() if "::content-type:" in line]
    others = {path.name: kind for path, kind in zip(paths, said, strict=True) if kind != CHECKPOINT}
    assert others == {
        "adam1.dat": "application/octet-stream",
        "shakespeare.pt.zip": "application/zip",
        "silero_vad_16k.safetensors": "application/x-safetensors",
        "tar_float32.tar": "application/x-tar",
    }


@pytest.mark.skipif(
    shutil.which("desktop-file-validate") is None, reason="desktop-file-utils is not installed"
)
@pytest.mark.parametrize(
    "command",
    [["checkpoint-inspector"], ["/a b/it's", "$x", "100%", 'quo"te', "back\\slash", "`ls`"]],
)
def test_the_entry_is_clean(tmp_path, command):
    path = tmp_path / "checkpoint-inspector.desktop"
    path.write_text(desktop_entry(command, command[0]))
    done = subprocess.run(
        ["desktop-file-validate", str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
