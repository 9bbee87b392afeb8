#!/usr/bin/env bash
# Makes the virtual environment and installs this project into it.
#
#   environment.sh VENV EXTRAS     EXTRAS: "" or "[dev]"
#
# PYTHON chooses the interpreter; without it the first one that is new enough is taken.
# pip's own configuration is honoured, so an index with a CPU build of torch can be set there.
set -euo pipefail

venv=$1
extras=$2
root=$(cd "$(dirname "$0")/.." && pwd)

new_enough() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 10))' 2>/dev/null
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

may_install() {
    command -v apt-get >/dev/null 2>&1 &&
        { [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }; }
}

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python}; do
    if new_enough "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Checkpoint Inspector needs Python 3.10 or newer (looked for: ${PYTHON:-python3})." >&2
    echo "Install one, or name it: make run PYTHON=/path/to/python3" >&2
    exit 1
fi

# Debian and Ubuntu keep ensurepip, without which venv makes no pip, in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    package=python$version-venv
    if may_install; then
        echo "Installing $package"
        as_root apt-get update -qq
        as_root apt-get install -y -qq --no-install-recommends "$package" >/dev/null
    else
        echo "$python lacks the venv module. Install it, then run make again:" >&2
        echo "    sudo apt-get install $package" >&2
        exit 1
    fi
fi

if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    echo "Making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi
echo "Installing the Python packages into $venv (torch makes this take a few minutes)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$root/constraints.txt" --editable "$root$extras"
# An editable install leaves our own modules uncompiled, which doubles the time to start where
# Python may not write byte code itself.
"$venv/bin/python" -m compileall -q "$root/inspector_app"
