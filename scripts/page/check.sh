#!/usr/bin/env bash
# Opens a page in headless Chromium, desktop and phone width: it must draw, and its console must stay empty.
#   check.sh PAGE.html [FOLDER FOR SCREENSHOTS]
set -euo pipefail
page=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shots=${2:-$work}

for width in 1280 390; do
	chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update \
		--disable-sync --user-data-dir="$work/profile" --hide-scrollbars --enable-logging=stderr --window-size=$width,1600 \
		--screenshot="$shots/page-$width.png" "file://$page" 2>"$work/log"
	if grep CONSOLE "$work/log"; then
		echo "the page writes to the console" >&2
		exit 1
	fi
	test "$(stat -c %s "$shots/page-$width.png")" -gt 20000
done
