#!/usr/bin/env bash
# Opens a page in headless Chromium, desktop and phone width: it must draw, its console must stay empty, and it must not
# scroll sideways. A window is never narrower than 500 pixels, so the page is a frame of its width in a wrapper.
#   check.sh PAGE.html [FOLDER FOR SCREENSHOTS]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shots=${2:-$work}

# browse WIDTH OPTION…: opens the wrapper in a window with room for WIDTH
browse() {
	local width=$1
	shift
	chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
		--disable-component-update --disable-sync --user-data-dir="$work/profile" --hide-scrollbars --enable-logging=stderr \
		--virtual-time-budget=2000 --window-size=$((width < 500 ? 500 : width)),1600 "$@" \
		"file://$work/wrapper.html" 2>"$work/log"
	if grep CONSOLE "$work/log"; then
		echo "$page writes to the console" >&2
		exit 1
	fi
}

page=$1
# A copy of the page that tells the wrapper how wide it is and how wide it may be.
cp "$page" "$work/copy.html"
script='parent.postMessage(`${document.documentElement.scrollWidth} of ${innerWidth}`, "*")'
echo "<script>$script</script>" >>"$work/copy.html"

for width in 1280 390; do
	cat >"$work/wrapper.html" <<-END
		<!DOCTYPE html><title>no answer</title>
		<script>onmessage = (message) => { document.title = message.data }</script>
		<body style="margin: 0"><iframe src="copy.html" style="border: 0; width: ${width}px; height: 1600px"></iframe>
	END
	browse "$width" --screenshot="$shots/page-$width.png"
	test "$(stat -c %s "$shots/page-$width.png")" -gt 20000
	browse "$width" --dump-dom >"$work/dom"
	measured=$(grep -o -m 1 '<title>[^<]*' "$work/dom" | head -1)
	if [ "$measured" != "<title>$width of $width" ]; then
		echo "$page scrolls sideways: ${measured#<title>} pixels" >&2
		exit 1
	fi
done
