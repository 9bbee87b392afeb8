#!/usr/bin/env bash
# A disk image of the application that `make bundle` made on macOS.
#
#   make_dmg.sh [DIST]
#
# To hand it to others, sign and notarise it first (codesign --deep --options runtime --sign
# "Developer ID Application: …", xcrun notarytool submit, xcrun stapler staple).
set -euo pipefail

dist=${1:-$(cd "$(dirname "$0")/../.." && pwd)/dist}
application="$dist/Checkpoint Inspector.app"
plist="$application/Contents/Info.plist"

if [ ! -d "$application" ]; then
    echo "There is no $application; “make bundle” on macOS makes it." >&2
    exit 2
fi
plutil -lint "$plist"
version=$(plutil -extract CFBundleShortVersionString raw "$plist")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -R "$application" "$folder/"
# Where it is dragged to.
ln -s /Applications "$folder/Applications"
hdiutil create -volname "Checkpoint Inspector" -srcfolder "$folder" -ov -format UDZO \
    "$dist/checkpoint-inspector-$version-macos-$(uname -m).dmg"
