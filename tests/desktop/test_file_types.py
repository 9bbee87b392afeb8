"""The list of file types: consistent with itself, and its magic with real files."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.desktop import file_types
from inspector_app.desktop.file_types import FILE_TYPES, Match, Offered, recognised
from inspector_app.resources_path import resource

CHECKPOINT = file_types.CHECKPOINT
HEAD = 4096

# What of the corpus is known by its first bytes, whatever it is called.
NOT_KNOWN = {"adam1.dat", "tar_float32.tar", "README.md"}


def test_the_list_has_what_was_promised():
    wanted = {".pth", ".pt", ".pth.tar", ".ckpt", ".pt2", ".ptl", ".safetensors", ".onnx"}
    default = {each for kind in file_types.opened_by_default() for each in kind.endings}
    assert default == wanted
    assert set(file_types.endings()) - wanted == {".bin", ".pkl"}
    for name in ("key", "uti"):
        assert len({getattr(kind, name) for kind in FILE_TYPES}) == len(FILE_TYPES)
    default_types = [kind.mime_type for kind in file_types.opened_by_default()]
    assert len(set(default_types)) == len(default_types)
    assert len(set(file_types.endings())) == len(file_types.endings())


@pytest.mark.parametrize("kind", FILE_TYPES, ids=lambda kind: kind.key)
def test_each_type_has_its_icon(kind):
    for ending in ("svg", "ico", "icns"):
        assert resource("icons", f"{kind.icon}.{ending}").stat().st_size > 0
    sizes = [path.parent.parent.name for path in resource("icons", "hicolor").rglob("*.png")]
    assert {"16x16", "32x32", "48x48", "256x256"} <= set(sizes)
    for size in set(sizes):
        assert resource("icons", "hicolor", size, "mimetypes", f"{kind.icon}.png").exists()


def test_the_corpus_is_known_by_its_bytes(corpus):
    for path in sorted(each for each in corpus.rglob("*.*") if each.is_file()):
        kind = recognised(path.read_bytes()[:HEAD])
        if path.name in NOT_KNOWN:
            assert kind is None, path
        elif path.suffix == ".safetensors":
            assert kind is file_types.SAFETENSORS, path
        else:
            assert kind is CHECKPOINT, path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_is_known(tmp_path, protocol, zipped):
    import torch

    path = tmp_path / ("a name of some length " * 8)
    torch.save(
        {"weight": torch.ones(3)},
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    assert recognised(path.read_bytes()[:HEAD]) is CHECKPOINT


@pytest.mark.parametrize("length", range(1, 80))
def test_a_root_of_any_length_is_known(length, tmp_path):
    """The bytes that align the first entry are from none to 63."""
    import torch

    path = tmp_path / ("r" * length + ".pth")
    torch.save([], path)
    head = path.read_bytes()[:HEAD]
    assert head[30 : 30 + length] == b"r" * length
    assert recognised(head) is CHECKPOINT


def test_what_we_write_is_known(tmp_path):
    from inspector_app.__main__ import main

    source = str(resource("samples", "digits_cnn_epoch_2.pth"))
    for name, kind in (("out.pth", CHECKPOINT), ("out.safetensors", file_types.SAFETENSORS)):
        assert main(["convert", source, str(tmp_path / name), "--no-progress", "--quiet"]) == 0
        assert recognised((tmp_path / name).read_bytes()[:HEAD]) is kind


def test_a_checkpoint_zipped_anew_is_known():
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(resource("samples", "digits_cnn_epoch_2.pth")) as old,
        zipfile.ZipFile(packed, "w") as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    assert recognised(packed.getvalue()[:HEAD]) is CHECKPOINT


@pytest.mark.parametrize(
    "entries",
    [
        ["[Content_Types].xml", "_rels/.rels", "word/document.xml"],
        ["mimetype", "META-INF/container.xml"],
        ["META-INF/", "META-INF/MANIFEST.MF"],
        ["data/data.pkl.txt"],
        ["weights/data.pkl"],  # somebody's archive, of text
        ["package/__init__.py", "package/data.pkl"],
        ["arr_0.npy"],
        ["data/FB.txt"],
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("date", [(1980, 1, 1, 0, 0, 0), (2026, 3, 4, 5, 6, 7)])
def test_other_zips_are_left_alone(entries, method, date):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name in entries:
            archive.writestr(zipfile.ZipInfo(name, date), "FB\0\0ZZ text of no weight" * 9)
    assert recognised(packed.getvalue()[:HEAD]) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"PK\x05\x06" + b"\0" * 18,
        b"\x80\x02}q\x00.",  # some other pickle
        b"\x08\x07\x12\x04else",  # some other protobuf
        b'\x10\0\0\0\0\0\0\0{"a": 1}        ',
        b"import sys; exec('')\n",  # a .pth of site-packages
    ],
)
def test_other_files_are_left_alone(head):
    assert recognised(head) is None


@given(st.binary(max_size=64), st.integers(0, 8), st.integers(0, 8), st.data())
def test_a_match_says_what_a_search_would(head, first, more, data):
    value = data.draw(st.binary(min_size=1, max_size=3))
    found = any(head[at : at + len(value)] == value for at in range(first, first + more + 1))
    assert Match(value, first, first + more).matches(head) == found
    assert Match(value, first, first + more, b"\0" * len(value)).matches(head) == (
        len(head) >= first + len(value)
    )


def test_open_with_alone_has_no_magic():
    for kind in FILE_TYPES:
        if kind.offered is Offered.OPEN_WITH:
            assert not kind.magic
