#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The page of vhu-trace --html, in a browser: a guest's session, and names that
# are markup. VHU_NODE_MODULES: where `npm ci` of tests/page has put its modules.
# VHU_SCREENSHOTS: a folder that keeps the screenshots.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires node chromium timeout python3
VHU_NODE_MODULES=${VHU_NODE_MODULES:-$top_srcdir/tests/page/node_modules}
[ -d "$VHU_NODE_MODULES/puppeteer-core" ] ||
	skip_all "puppeteer-core is not installed: npm ci in tests/page"
CHROMIUM=$(command -v chromium)
HOME=$tmp # the browser's own files
export VHU_NODE_MODULES CHROMIUM HOME

trace=${VHU_TRACE:-$top_builddir/src/vhu-trace}
shots=${VHU_SCREENSHOTS:-$tmp/shots}
mkdir -p "$shots"

# traced CAPTURE COMMAND...: COMMAND with a front-end's socket, through the tracer
traced() {
	capture=$1
	shift
	"$trace" --once --rings all --follow-data --device console \
		--listen "$tmp/f" --connect "$tmp/s0" -w "$capture" >/dev/null 2>"$tmp/trace.log" &
	tracer=$!
	wait_for 10 test -S "$tmp/f" && timeout 30 "$@" && wait "$tracer"
}

guest_session() {
	traced "$tmp/guest.pcapng" "$vhu_guest" --socket "$tmp/f" --style qemu seq 300
}

# A front-end whose memory has a name that would be markup.
hostile_session() {
	traced "$tmp/hostile.pcapng" python3 - "$tmp/f" <<-'EOF'
		import os, socket, struct, sys
		markup = '</script><script>window.pwned=1</script><img src=x onerror=window.pwned=2>'
		memory = os.memfd_create(markup)
		os.ftruncate(memory, 4096)
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		table = struct.pack('<II4Q', 1, 0, 0, 4096, 0x7f0000000000, 0)
		s.sendall(struct.pack('<III', 1, 1, 0))
		assert len(s.recv(20)) == 20
		socket.send_fds(s, [struct.pack('<III', 5, 1, len(table)) + table], [memory])
		s.sendall(struct.pack('<III', 1, 1, 0))
		assert len(s.recv(20)) == 20
	EOF
}

# page NAME: the page of its capture
page() {
	"$trace" -r "$tmp/$1.pcapng" --device console --html "$tmp/$1.html" >/dev/null
}

# As often as one likes: there is nothing in it but the capture.
page_again() {
	cp "$tmp/guest.html" "$tmp/first.html" && page guest && cmp "$tmp/first.html" "$tmp/guest.html"
}

# browse: its points become ours
browse() {
	timeout 300 node "$top_srcdir/tests/page/page.test.js" \
		"$tmp/guest.html" "$tmp/hostile.html" "$shots" >"$tmp/browser" 2>&1
	browsed=$?
	grep -E '^(not )?ok ' "$tmp/browser" >"$tmp/points"
	while read -r line; do
		case $line in
		ok*) ok "in a browser:${line#*-}" ;;
		*) not_ok "in a browser:${line#*-}" ;;
		esac
	done <"$tmp/points"
	return "$browsed"
}

n_points=$(grep -c "^test('" "$top_srcdir/tests/page/page.test.js")
plan $((n_points + 6))

start_daemon 1 -s "$tmp/s" -b network -p "$port"
check "a guest is traced" guest_session
check "a front-end with a hostile name is traced" hostile_session
check "the guest's page is written" page guest
check "the hostile page is written" page hostile
check "a page is the same when it is made again" page_again
if browse; then
	ok "the browser ended well"
else
	not_ok "the browser ended well"
	note "$tmp/browser"
fi
