"""What a double click gives: paths of any bytes, URLs, and things that are no files."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.ui.given_paths import path_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths here are those of Unix")


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_a_url_gives_back_the_bytes_of_a_path(name):
    path = os.path.abspath(os.fsdecode(b"/" + name.lstrip(b"/")))
    assert path_of(Path(path).as_uri()) == path


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/a b.pth", "/a b.pth"),
        ("file:///a%20b.pth", "/a b.pth"),
        ("file:/a.pth", "/a.pth"),
        ("FILE://localhost/a.pth", "/a.pth"),
        ("file:///a?b#c%23.pth", "/a?b#c#.pth"),
        ("file:///caf%E9.pth", os.fsdecode(b"/caf\xe9.pth")),
        ("file:///Schr%C3%B6dinger/数据.pth", "/Schrödinger/数据.pth"),
        ("file:///a/../b.pth", "/b.pth"),
        ("file:///100%.pth", "/100%.pth"),
        # What means no file of this computer stays what it is.
        ("file://another.example/a.pth", f"{os.getcwd()}/file:/another.example/a.pth"),
        ("file:///a%00b.pth", f"{os.getcwd()}/file:/a%00b.pth"),
        ("file:a.pth", f"{os.getcwd()}/file:a.pth"),
        ("file:", f"{os.getcwd()}/file:"),
        ("https://a.example/b.pth", f"{os.getcwd()}/https:/a.example/b.pth"),
    ],
)
def test_a_url_means_a_path(given, path):
    assert path_of(given) == path


@pytest.mark.parametrize(
    ("name", "cause", "advice"),
    [
        ("https://a.example/b.pth", "an address of the web", "Download it first"),
        ("s3://bucket/b.pth", "an address of the web", "Download it first"),
        ("pipe", "This is a pipe, not a regular file", "Open a checkpoint itself"),
        ("vanished.pth", "There is no such file", "moved, renamed or deleted"),
        ("https:.pth", "There is no such file", "moved, renamed or deleted"),
    ],
)
def test_what_is_no_file_is_told(opened, tmp_path, name, cause, advice):
    path = tmp_path / name
    if name == "pipe":
        os.mkfifo(path)
    tab = opened(path)
    assert tab.checkpoint is None
    assert cause in tab.card.cause()
    assert advice in tab.card.advice()


@pytest.mark.parametrize("name", [b"caf\xe9 \xff.pth", b"new\nline.pth", b'it\'s "a" <b>.pth'])
def test_names_of_any_bytes_open(opened, sample, window, name):
    path = os.fsdecode(os.fsencode(sample.parent) + b"/" + name)
    shutil.copy(sample, path)
    tab = opened(path)
    assert tab.checkpoint is not None
    assert window.tabs.tabText(0).isprintable()
