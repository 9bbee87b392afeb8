"""Tells an X11 desktop that a start is over which ends without a window of its own.

Whoever starts a program by its desktop entry shows a busy pointer until a window of that start
appears, for up to half a minute. Qt ends that for the first window; a start that hands its files
over has no Qt and no window. The "Startup Notification Protocol" 0.1 of freedesktop.org: a text
``remove: ID=…``, sent to the root window by client messages of 20 bytes. On Wayland the token
that is handed over ends it.
"""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress

VARIABLE = "DESKTOP_STARTUP_ID"
LONGEST_ID = 1_024
_BEGIN, _MORE = b"_NET_STARTUP_INFO_BEGIN", b"_NET_STARTUP_INFO"
_CLIENT_MESSAGE = 33
_PROPERTY_CHANGE = 1 << 22
_INPUT_ONLY = 2


def end_startup(environment: os._Environ[str] | dict[str, str] = os.environ) -> bool:
    """End the start that this process belongs to; whether there was anything to end."""
    started = environment.get(VARIABLE, "")
    if not started or not environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return False
    if len(started) > LONGEST_ID or not started.isprintable():
        return False
    # A pointer that stays busy is no reason to fail.
    with suppress(OSError, AttributeError):
        return _send(environment["DISPLAY"], message(started))
    return False


def message(started: str) -> bytes:
    """The text that ends the start of that identifier."""
    quoted = started.replace("\\", "\\\\").replace('"', '\\"').replace(" ", "\\ ")
    return f"remove: ID={quoted}".encode() + b"\0"


class _Roots(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("rem", ctypes.c_int), ("index", ctypes.c_int))


class _Cookie(ctypes.Structure):
    _fields_ = (("sequence", ctypes.c_uint),)


def _send(display: str, text: bytes) -> bool:
    xcb = ctypes.CDLL("libxcb.so.1")
    free = ctypes.CDLL(None).free
    free.argtypes = [ctypes.c_void_p]
    pointer, number = ctypes.c_void_p, ctypes.c_uint32
    for name in ("connect", "get_setup", "intern_atom_reply", "get_input_focus_reply"):
        getattr(xcb, f"xcb_{name}").restype = pointer
    for name in ("intern_atom", "get_input_focus"):
        getattr(xcb, f"xcb_{name}").restype = _Cookie
    xcb.xcb_setup_roots_iterator.restype = _Roots
    xcb.xcb_setup_roots_iterator.argtypes = [pointer]
    xcb.xcb_generate_id.restype = number

    connection = pointer(xcb.xcb_connect(display.encode(), None))
    try:
        if xcb.xcb_connection_has_error(connection):
            return False
        roots = xcb.xcb_setup_roots_iterator(xcb.xcb_get_setup(connection))
        root = number.from_address(roots.data).value
        atoms = []
        for name in (_BEGIN, _MORE):
            cookie = xcb.xcb_intern_atom(connection, 0, len(name), name)
            reply = xcb.xcb_intern_atom_reply(connection, cookie, None)
            if not reply:
                return False
            atoms.append(number.from_address(reply + 8).value)
            free(reply)
        window = xcb.xcb_generate_id(connection)
        place = [ctypes.c_int16(-1)] * 2 + [ctypes.c_uint16(1)] * 2 + [ctypes.c_uint16(0)]
        xcb.xcb_create_window(
            connection, ctypes.c_uint8(0), number(window), number(root), *place,
            ctypes.c_uint16(_INPUT_ONLY), number(0), number(0), None,
        )  # fmt: skip
        for at in range(0, len(text), 20):
            atom = atoms[0 if at == 0 else 1]
            event = struct.pack(
                "=BBHII20s", _CLIENT_MESSAGE, 8, 0, window, atom, text[at : at + 20]
            )
            xcb.xcb_send_event(
                connection, ctypes.c_uint8(0), number(root), number(_PROPERTY_CHANGE), event
            )
        # All has arrived once the server has answered something that came after it.
        reply = xcb.xcb_get_input_focus_reply(connection, xcb.xcb_get_input_focus(connection), None)
        if reply:
            free(reply)
        return bool(reply)
    finally:
        xcb.xcb_disconnect(connection)
