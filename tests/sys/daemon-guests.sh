#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Guests of every front-end's habits on the daemon, their consoles on TCP.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires socat md5sum timeout

styles="uml qemu crosvm cloud-hypervisor libkrun dpdk spdk libblkio"

seq 1 20000 >"$tmp/seq"
head -c 60000 "$tmp/seq" >"$tmp/paste"

# Output written before anybody is there, then a client that is there, then input.
one_style() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" || return 1
	guest --style "$1" send "early " && client "TCP:127.0.0.1:$port" "$tmp/out" &&
		wait_for 10 holds "$tmp/out" 6 &&
		guest --style "$1" seq 20000 &&
		wait_for 10 holds "$tmp/out" "$((6 + $(wc -c <"$tmp/seq")))" || return 1
	client_leaves
	{ printf 'early ' && cat "$tmp/seq"; } | cmp - "$tmp/out" || return 1

	client "TCP:127.0.0.1:$port" "$tmp/out"
	"$vhu_guest" --socket "$tmp/s0" --style "$1" sink 60000 >"$tmp/in" 2>"$tmp/guest" &
	taker=$!
	cat "$tmp/paste" >&7
	wait "$taker" && cmp "$tmp/paste" "$tmp/in" || return 1
	client_leaves

	end_daemon && [ "$daemon_status" -eq 0 ]
}

# echoed BYTES: what came out last is that much of the paste.
echoed() {
	[ "$(tail -c "$1" "$tmp/out" | md5sum)" = "$(head -c "$1" "$tmp/paste" | md5sum)" ]
}

# pasted BYTES: a paste in one write comes back from a guest that echoes.
pasted() {
	client "TCP:127.0.0.1:$port" "$tmp/out"
	: >"$tmp/guest"
	"$vhu_guest" --socket "$tmp/s0" --wait-open echo "$1" 2>>"$tmp/guest" &
	taker=$!
	wait_for 10 said "$tmp/guest" up || return 1
	head -c "$1" "$tmp/paste" >&7
	wait "$taker" && wait_for 10 echoed "$1" || return 1
	client_leaves
}

# As many descriptors as before the first guest: nothing of any stays behind.
descriptors_stay() {
	for style in $styles; do
		guest --style "$style" --reboots 2 --connections 3 send x || return 1
	done
	same_fds() { [ "$(daemon_fds)" -eq "$before" ]; }
	wait_for 10 same_fds
}

killed_guest() {
	for i in 1 2 3 4 5; do
		guest --die send "last words" && return 1
		guest send "next" || return 1
	done
}

client_comes_and_goes() {
	rm -f "$tmp/stop"
	mkfifo "$tmp/stop"
	: >"$tmp/guest"
	: >"$tmp/first"
	"$vhu_guest" --socket "$tmp/s0" idle <"$tmp/stop" 2>>"$tmp/guest" &
	idler=$!
	exec 8>"$tmp/stop"
	wait_for 10 said "$tmp/guest" up || return 1
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		client "TCP:127.0.0.1:$port" "$tmp/out"
		wait_for 10 holds "$tmp/out" 1 || return 1
		client_leaves
	done
	exec 8>&-
	wait "$idler"
}

# A second front-end is turned away at once, and the first notices nothing.
second_is_refused() {
	rm -f "$tmp/stop"
	mkfifo "$tmp/stop"
	: >"$tmp/guest"
	: >"$tmp/first"
	"$vhu_guest" --socket "$tmp/s0" idle <"$tmp/stop" 2>>"$tmp/first" &
	idler=$!
	exec 8>"$tmp/stop"
	wait_for 10 said "$tmp/first" up || return 1
	timeout 5 "$vhu_guest" --socket "$tmp/s0" boot 2>"$tmp/guest"
	[ $? -eq 1 ] || return 1
	exec 8>&-
	wait "$idler"
}

four_at_once() {
	seq 1 5000 >"$tmp/part"
	for i in 0 1 2 3; do
		socat -u "TCP:127.0.0.1:$((port + 4 + i))" "OPEN:$tmp/out$i,creat" 2>/dev/null &
		eval "client$i=$!"
		"$vhu_guest" --socket "$tmp/m$i" --wait-open seq 5000 2>"$tmp/guest$i" &
		eval "guest$i=$!"
	done
	for i in 0 1 2 3; do
		eval "wait \$guest$i" || return 1
		wait_for 10 holds "$tmp/out$i" "$(wc -c <"$tmp/part")" || return 1
		cmp "$tmp/part" "$tmp/out$i" || return 1
	done
	end_daemon
	[ "$daemon_status" -eq 0 ]
}

plan 17
for style in $styles; do
	check "$style: output before and after the client, input" one_style "$style"
done

start_daemon 1 -s "$tmp/s" -b network -p "$port"
before=$(daemon_fds)
check "paste of 200 bytes" pasted 200
check "paste of 4000 bytes" pasted 4000
check "paste of 60000 bytes" pasted 60000
check "guests killed and started again" killed_guest
check "no descriptor stays behind" descriptors_stay
check "a client comes and goes twenty times" client_comes_and_goes
check "a second front-end is turned away" second_is_refused
end_daemon
check "the daemon ends well" test "$daemon_status" -eq 0

start_daemon 4 -s "$tmp/m" -c 4 -b network -p "$((port + 4))"
check "four guests at once" four_at_once
