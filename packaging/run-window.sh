#!/usr/bin/env bash
# Opens the window on a checkpoint; without a display, prints the tree and paints a screenshot.
#
#   run-window.sh VENV FILE SCREENSHOT
set -euo pipefail

inspector=$1/bin/checkpoint-inspector
file=$2
screenshot=$3

if [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    echo "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so no window can"
    echo "open. Instead, the tree of $file:"
    echo
    "$inspector" show "$file"
    mkdir -p "$(dirname "$screenshot")"
    "$inspector" open "$file" --screenshot "$screenshot"
    echo
    echo "The window, as it would look: $screenshot"
else
    exec "$inspector" open "$file"
fi
