"""``file:`` URLs: from any path and back, those of Windows too, and lists as desktops send them."""

from __future__ import annotations

import json
import ntpath
import os
import socket
import sys
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.file_urls import path_in, paths_in, reference_of, text_of, url_of

unix = pytest.mark.skipif(sys.platform == "win32", reason="a path is bytes on Unix alone")
NAMES = st.text(
    st.characters(min_codepoint=32, exclude_characters='<>:"/\\|?*'), min_size=1, max_size=20
).filter(lambda name: name.strip(". ") != "")


@unix
@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
def test_any_path_comes_back(name):
    path = os.path.normpath(os.fsdecode(b"/" + name.lstrip(b"/")))
    url = url_of(path, windows=False)
    assert url.isascii()
    assert path_in(url.encode(), windows=False) == path
    assert paths_in(f"#{url}\r\n{url}\r\n".encode(), windows=False) == [path]


@given(st.sampled_from(["C:\\", "z:\\", "\\\\server\\share\\"]), st.lists(NAMES, max_size=3))
def test_any_path_of_windows_comes_back(root, names):
    path = ntpath.normpath(root + "\\".join(names))
    url = url_of(path, windows=True)
    assert url.isascii()
    assert path_in(url.encode(), windows=True) == path


@pytest.mark.parametrize(
    ("path", "url"),
    [
        (r"C:\models\a b.pth", "file:///C:/models/a%20b.pth"),
        (r"\\server\share\ü.pth", "file://server/share/%C3%BC.pth"),
        (r"models\a.pth", "models/a.pth"),
        ("C:/models/a.pth", "file:///C:/models/a.pth"),
    ],
)
def test_a_reference_on_windows(path, url):
    assert reference_of(path, windows=True) == url


@unix
@pytest.mark.parametrize(
    ("path", "url"),
    [
        (os.fsdecode(b"/a/\xff \\x.pth"), "file:///a/%FF%20%5Cx.pth"),
        ("a b/c:d.pth", "a%20b/c%3Ad.pth"),
        ("/C:/a.pth", "file:///C%3A/a.pth"),
    ],
)
def test_a_reference_on_unix(path, url):
    assert reference_of(path, windows=False) == url


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (b"file:///C:/a%20b.pth", r"C:\a b.pth"),
        (b"file:///C|/a.pth", r"C:\a.pth"),
        (b"file://localhost/C:/a.pth", r"C:\a.pth"),
        (b"file://server/share/a.pth", r"\\server\share\a.pth"),
        (b"file:////server/share/a.pth", r"\\server\share\a.pth"),
        (b"file:///C:/%FF.pth", None),
        (b"file:///C:/a%00b.pth", None),
        (b"https://server/a.pth", None),
    ],
)
def test_a_url_on_windows(url, path):
    assert path_in(url, windows=True) == path


@unix
@pytest.mark.parametrize(
    "url", [b"file://server/a.pth", b"file:a.pth", b"file:///a%00b", b"https://a/b", b"/a", b""]
)
def test_what_means_no_file_here(url):
    assert path_in(url, windows=False) is None


@unix
def test_a_list_has_comments_other_urls_and_an_end():
    own = b"file://" + socket.gethostname().encode() + b"/\xffy"
    text = b"# a comment\r\nhttps://a.example/b.pth\r\nfile:///tmp/%FFx.pth\n" + own + b"\r\n\0"
    assert paths_in(text, windows=False) == [
        os.fsdecode(b"/tmp/\xffx.pth"),
        os.fsdecode(b"/\xffy"),
    ]


@unix
def test_a_path_as_text_is_whole():
    assert text_of(os.fsdecode(b"/a\xff/\xc3\xbc.pth")) == "/a\ufffd/ü.pth"


@unix
@given(st.binary(max_size=60))
def test_no_bytes_are_too_odd(data):
    for path in paths_in(b"file:///" + data, windows=False):
        assert os.path.isabs(path)
    paths_in(b"file:///" + data, windows=True)
    paths_in(data, windows=False)


def test_a_log_names_places_as_urls(monkeypatch):
    from inspector_app.terminal import scan_sarif

    monkeypatch.setattr(scan_sarif, "reference_of", lambda path: reference_of(path, windows=True))
    place = json.dumps(scan_sarif._artifact(r"C:\models\a.pth"))
    assert place == '{"artifactLocation": {"uri": "file:///C:/models/a.pth"}}'


def test_the_standard_library_agrees():
    for path in ("/a b/ü%.pth", "/it's, a & b#?.onnx"):
        assert url_of(path, windows=False) == PurePosixPath(path).as_uri()
