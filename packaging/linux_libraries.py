"""Which shared libraries a folder of programs needs of a Linux system.

The X11 and font libraries, glib and the C++ runtime come from the system: they read its
configuration and load its plugins, and an older copy beside a newer one breaks (the AppImage
project keeps a list of such libraries, `excludelist`). What systems may lack stays in the bundle.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable

FROM_SYSTEM = re.compile(
    r"lib(X11|X11-xcb|Xau|Xdmcp|Xext|Xrender|Xfixes|Xi|Xcursor|Xrandr|Xinerama|Xcomposite|Xdamage"
    r"|xcb|bsd|md"
    r"|fontconfig|freetype|expat|png16"
    r"|glib-2\.0|gthread-2\.0|gobject-2\.0|gio-2\.0|gmodule-2\.0|pcre2-8|mount|blkid|selinux"
    r"|dbus-1|systemd|gcrypt|gpg-error|cap|lz4"
    r"|gssapi_krb5|krb5|krb5support|k5crypto|com_err|keyutils"
    r"|cups"
    r"|stdc\+\+|gcc_s|uuid|z|zstd)\.so\..*"
)

# What Debian and Ubuntu call the package of each. A new name since the year 2038 was dealt with
# (libglib2.0-0t64) still provides the old one.
PACKAGES = {
    "libc.so.6": "libc6",
    "ld-linux-x86-64.so.2": "libc6",
    "ld-linux-aarch64.so.1": "libc6",
    "libdl.so.2": "libc6",
    "libm.so.6": "libc6",
    "libpthread.so.0": "libc6",
    "librt.so.1": "libc6",
    "libresolv.so.2": "libc6",
    "libutil.so.1": "libc6",
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
    "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1",
    "libuuid.so.1": "libuuid1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libcups.so.2": "libcups2",
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libGLX.so.0": "libglx0",
    "libOpenGL.so.0": "libopengl0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
    "libX11.so.6": "libx11-6",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libXau.so.6": "libxau6",
    "libxcb.so.1": "libxcb1",
}

_NEEDED = re.compile(r"^ +NEEDED +(\S+)$", re.MULTILINE)
_C_LIBRARY = re.compile(r"\bGLIBC_(\d+)\.(\d+)\b")


class NotKnown(Exception):
    """A library that no package is known to have; the message names it."""


def described(path: str) -> str:
    """What `objdump -p` says about a program or library.

    Raises:
        subprocess.CalledProcessError: it is none.
    """
    return subprocess.run(
        ["objdump", "-p", path],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout


def needed(description: str) -> list[str]:
    """The names of the libraries that it is linked to, from what `described` says."""
    return _NEEDED.findall(description)


def c_library(description: str) -> tuple[int, int]:
    """The oldest glibc that has what it calls, such as (2, 36); (0, 0) if it calls nothing."""
    found = ((int(major), int(minor)) for major, minor in _C_LIBRARY.findall(description))
    return max(found, default=(0, 0))


def wanted(binaries: Iterable[tuple[str, str]]) -> set[str]:
    """Destinations of the binaries that belong into a bundle.

    Args:
        binaries: destination and source of each. What lies in a folder there is wanted by
            somebody; what lies at the top came along because something is linked to it, and is
            kept where that is still so and systems may lack it.
    """
    sources = dict(binaries)
    at_top = {os.path.basename(each): each for each in sources if "/" not in each}
    keep: set[str] = set()
    # libpython itself is loaded by the program.
    waiting = [each for each in sources if "/" in each or each.startswith("libpython")]
    while waiting:
        destination = waiting.pop()
        if destination in keep:
            continue
        keep.add(destination)
        for name in needed(described(sources[destination])):
            above = at_top.get(name)
            if above is not None and FROM_SYSTEM.fullmatch(name) is None:
                waiting.append(above)
    return keep


def elf_files(folder: str) -> Iterable[str]:
    """The programs and shared libraries below a folder; links are left out."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    if file.read(4) == b"\x7fELF":
                        yield path


def debian_depends(folder: str) -> list[str]:
    """What the Depends field of a package with this folder says.

    Raises:
        NotKnown: a library is neither in the folder nor in `PACKAGES`.
    """
    inside = {name for _, folders, names in os.walk(folder) for name in (*folders, *names)}
    libraries: dict[str, str] = {}
    oldest = (0, 0)
    for path in elf_files(folder):
        description = described(path)
        oldest = max(oldest, c_library(description))
        for name in needed(description):
            if name not in inside:
                libraries[name] = path
    packages = {f"libc6 (>= {oldest[0]}.{oldest[1]})"} if oldest > (0, 0) else set()
    for name, path in libraries.items():
        if name not in PACKAGES:
            raise NotKnown(f"{path} needs {name}, and which package has it is not known")
        packages.add(PACKAGES[name])
    packages.discard("libc6")
    return sorted(packages)
