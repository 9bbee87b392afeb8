from __future__ import annotations

import ctypes
import os
import socket

import pytest

from inspector_app.ui import platform_check


@pytest.fixture
def bare(monkeypatch):
    """A Linux without a display."""
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_a_display_it_says_so(bare):
    assert "no display" in platform_check.prepare(screenshot=False)


def test_a_picture_needs_no_display(bare):
    assert platform_check.prepare(screenshot=True) == ""
    assert os.environ["QT_QPA_PLATFORM"] == "offscreen"


def test_a_chosen_platform_is_left_alone(bare):
    bare.setenv("QT_QPA_PLATFORM", "minimal")
    assert platform_check.prepare(screenshot=False) == ""
    assert os.environ["QT_QPA_PLATFORM"] == "minimal"


def test_missing_libraries_are_named_as_packages(bare):
    real = ctypes.CDLL

    def without_cursor(name, *rest):
        if name == "libxcb-cursor.so.0":
            raise OSError(f"{name}: cannot open shared object file")
        return real(None)

    bare.setattr(ctypes, "CDLL", without_cursor)
    cache = b"libX11-xcb.so.1\0libxcb-cursor.so.01\0"
    bare.setattr(platform_check, "_content", lambda path: cache)
    bare.setenv("DISPLAY", ":0")
    sentence = platform_check.prepare(screenshot=False)
    assert sentence.endswith("apt-get install libxcb-cursor0")


def test_a_dead_display_is_found_before_qt_aborts(bare):
    bare.setattr(platform_check, "missing_packages", list)
    bare.setenv("DISPLAY", ":54321")
    assert platform_check.prepare(screenshot=False) == "the display :54321 does not answer"


def test_a_display_that_answers(tmp_path):
    address = "\0/tmp/.X11-unix/X54322"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        assert platform_check.display_answers(":54322")
        assert platform_check.display_answers(":54322.0")
    assert not platform_check.display_answers(":54322")
    assert platform_check.display_answers("far-away:0")


def test_why_an_import_failed():
    error = ImportError("libEGL.so.1: cannot open shared object file: No such file or directory")
    sentence = platform_check.import_trouble(error)
    assert "libEGL.so.1" in sentence
    assert "libegl1" in sentence
    assert "No module" in platform_check.import_trouble(ImportError("No module named 'PySide6'"))
