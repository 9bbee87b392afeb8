#!/usr/bin/env bash
# Finds the system libraries that Qt lacks here and installs their packages (Debian, Ubuntu).
#
#   system-libraries.sh VENV window|offscreen
#
# Asks the loader instead of the package list: a library counts as missing when `ldd` cannot
# find it. Where packages may not be installed, it prints the one command that does it.
set -euo pipefail

venv=$1
mode=$2
[ "$(uname -s)" = Linux ] || exit 0

declare -A package_of=(
    [libEGL.so.1]=libegl1
    [libGL.so.1]=libgl1
    [libGLX.so.0]=libgl1
    [libOpenGL.so.0]=libopengl0
    [libX11.so.6]=libx11-6
    [libX11-xcb.so.1]=libx11-xcb1
    [libdbus-1.so.3]=libdbus-1-3
    [libfontconfig.so.1]=libfontconfig1
    [libfreetype.so.6]=libfreetype6
    [libglib-2.0.so.0]=libglib2.0-0
    [libgthread-2.0.so.0]=libglib2.0-0
    [libgssapi_krb5.so.2]=libgssapi-krb5-2
    [libwayland-client.so.0]=libwayland-client0
    [libwayland-cursor.so.0]=libwayland-cursor0
    [libwayland-egl.so.1]=libwayland-egl1
    [libxcb.so.1]=libxcb1
    [libxcb-cursor.so.0]=libxcb-cursor0
    [libxcb-glx.so.0]=libxcb-glx0
    [libxcb-icccm.so.4]=libxcb-icccm4
    [libxcb-image.so.0]=libxcb-image0
    [libxcb-keysyms.so.1]=libxcb-keysyms1
    [libxcb-randr.so.0]=libxcb-randr0
    [libxcb-render.so.0]=libxcb-render0
    [libxcb-render-util.so.0]=libxcb-render-util0
    [libxcb-shape.so.0]=libxcb-shape0
    [libxcb-shm.so.0]=libxcb-shm0
    [libxcb-sync.so.1]=libxcb-sync1
    [libxcb-util.so.1]=libxcb-util1
    [libxcb-xfixes.so.0]=libxcb-xfixes0
    [libxcb-xinerama.so.0]=libxcb-xinerama0
    [libxcb-xkb.so.1]=libxcb-xkb1
    [libxkbcommon.so.0]=libxkbcommon0
    [libxkbcommon-x11.so.0]=libxkbcommon-x11-0
    [libz.so.1]=zlib1g
    [libzstd.so.1]=libzstd1
)

# Not imported: without its libraries PySide6 cannot be.
qt=$("$venv/bin/python" - <<'PYTHON'
from importlib.util import find_spec
from pathlib import Path

print(Path(find_spec("PySide6").origin).parent / "Qt")
PYTHON
)
binaries=("$qt"/lib/libQt6{Widgets,Svg,Network}.so.6 "$qt/plugins/platforms/libqoffscreen.so")
if [ "$mode" = window ]; then
    binaries+=("$qt/plugins/platforms/libqxcb.so" "$qt"/plugins/xcbglintegrations/*.so)
    [ -z "${WAYLAND_DISPLAY:-}" ] || binaries+=("$qt"/plugins/platforms/libqwayland*.so)
fi

missing_libraries() {
    local binary
    for binary in "${binaries[@]}"; do
        [ -e "$binary" ] && ldd "$binary" 2>/dev/null
    done | awk '/=> not found/ && $1 !~ /^libQt6/ { print $1 }' | sort -u
}

packages=()
unknown=()
for library in $(missing_libraries); do
    if [ -n "${package_of[$library]:-}" ]; then
        packages+=("${package_of[$library]}")
    else
        unknown+=("$library")
    fi
done
# Qt brings no fonts; without one every letter is an empty box.
if [ -z "$(find /usr/share/fonts /usr/local/share/fonts ~/.fonts ~/.local/share/fonts \
    \( -name '*.ttf' -o -name '*.otf' -o -name '*.ttc' \) -print -quit 2>/dev/null || true)" ]; then
    packages+=(fonts-dejavu-core)
fi

if [ ${#unknown[@]} -gt 0 ]; then
    echo "Qt needs these libraries, which this system lacks: ${unknown[*]}" >&2
    echo "Install them with the system's package tool, then run make again." >&2
    exit 1
fi
[ ${#packages[@]} -gt 0 ] || exit 0
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Qt needs libraries that this system lacks. On Debian they are in the packages" >&2
    echo "    ${packages[*]}" >&2
    echo "Install what holds them here, then run make again." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    root=()
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    root=(sudo -n)
else
    echo "Qt needs libraries that this system lacks. Install them, then run make again:" >&2
    echo "    sudo apt-get install ${packages[*]}" >&2
    exit 1
fi
echo "Installing system libraries for Qt: ${packages[*]}"
"${root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends \
    "${packages[@]}" >/dev/null
still=$(missing_libraries)
if [ -n "$still" ]; then
    echo "Qt still lacks: $still" >&2
    exit 1
fi
