#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# vhu-conform frontend: verdicts on front-ends that are good, that break
# something, crash, hang or never come; with and without starting them.

. "$(dirname "$0")/tap.sh"

requires python3 timeout

toy="python3 $top_srcdir/tests/sys/toy-frontend.py"
conform=${conform:-$top_builddir/src/vhu-conform frontend}

# vhu-load with a peer for it, which takes a console's output and says nothing.
cat >"$tmp/load.py" <<'END'
import os, socket, sys

peer = socket.socket(socket.AF_UNIX)
peer.bind(sys.argv[2] + "/peer")
peer.listen()
if os.fork():
    os.execv(sys.argv[3], ["vhu-load", "kick", "--seconds", "2", "--socket", sys.argv[1],
                           "--peer", "unix:" + sys.argv[2] + "/peer"])
while True:
    c = peer.accept()[0]
    while c.recv(65536):
        pass
END
load="python3 $tmp/load.py {socket} {dir} ${load:-$top_builddir/src/vhu-load}"

# judge STATUS ARGUMENT...: ends with STATUS.
judge() {
	want=$1
	shift
	# shellcheck disable=SC2086 # a program and its first word
	timeout -s KILL 100 $conform --wait 3 --settle 1 --after 1 "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	cat "$tmp/err" "$tmp/out"
	[ "$status" -eq "$want" ]
}

good_front_end() {
	judge 0 --exec "$load" --wait 20 --select 'fe/[rmn]*' --verbose &&
		grep -q 'pass *fe/rule/version' "$tmp/out" &&
		grep -q 'pass *fe/ring/chain/04' "$tmp/out"
}

lives_through_wrong_replies() {
	judge 0 --exec "$load" --wait 20 --select 'fe/fault/reply-*/get-features'
}

broken_order() {
	judge 1 --exec "$toy {socket} early" --select 'fe/ring/order/*' &&
		grep -q 'fail *fe/ring/order/02' "$tmp/out" &&
		grep -q 'SET_VRING_KICK' "$tmp/out"
}

crash() {
	judge 4 --exec "$toy {socket} crash" --select fe/fault/die/get-features &&
		grep -q 'crash *fe/fault/die/get-features' "$tmp/out"
}

hang() {
	judge 4 --exec "$toy {socket} spin" --select fe/fault/die/get-features &&
		grep -q 'hang *fe/fault/die/get-features' "$tmp/out"
}

listening() {
	(
		wait_for 10 test -S "$tmp/socket"
		for how in good good; do
			timeout 20 $toy "$tmp/socket" $how
		done
	) &
	judge 0 --socket "$tmp/socket" --select fe/rule/version --select fe/fault/die/set-owner
}

nobody() {
	judge 3 --exec true --select fe/rule/version &&
		judge 3 --socket "$tmp/lonely" --wait 1 --select fe/rule/version &&
		[ ! -e "$tmp/lonely" ]
}

usage() {
	judge 2 && judge 2 --socket "$tmp/s" --device toaster && judge 0 --help && judge 0 --list
}

plan 8
check "a good front-end passes" good_front_end
check "it lives through wrong replies" lives_through_wrong_replies
check "an order that is not kept fails its case" broken_order
check "a front-end that crashes is seen" crash
check "a front-end that spins is seen" hang
check "front-ends that others start are judged" listening
check "no front-end at all is exit status 3" nobody
check "the command line is checked" usage
