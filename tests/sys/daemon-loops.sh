#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# --loops: guests spread over threads.

VHU_LOOPS= # each point has its own
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires socat python3

conf=$tmp/conf

# n_loops: threads that run guests.
n_loops() {
	cat "/proc/$daemon_pid"/task/*/comm | grep -c '^loop [0-9]'
}

# set_up LOOPS DEVICE...: the configuration file
set_up() {
	echo "loops = $1" >"$conf"
	shift
	for i in "$@"; do
		echo "device socket=$tmp/$i,name=$i"
		echo "port = 0,console,unix:$tmp/$i.c"
	done >>"$conf"
}

# places: "name loop" of each device, in one line.
places() {
	"$daemon" ctl -C "$tmp/control" --json status | python3 -c '
import json, sys
devices = json.load(sys.stdin)["result"]["devices"]
print(" ".join("%s %d" % (d["name"], d["loop"]) for d in devices))'
}

are_places() {
	places_got=$(places)
	echo "$places_got"
	[ "$places_got" = "$1" ]
}

reloaded() {
	[ "$(grep -c 'setup was read again' "$tmp/log")" -ge "$1" ]
}

# reload N: for the Nth time
reload() {
	kill -HUP "$daemon_pid"
	wait_for 10 reloaded "$1"
}

one_thread() {
	start_daemon 1 -s "$tmp/s" -c 1 -b network -p "$port" || return 1
	[ "$(ls "/proc/$daemon_pid/task")" = "$daemon_pid" ] || return 1
	end_daemon
	[ "$daemon_status" -eq 0 ]
}

more_threads() {
	start_daemon 5 -s "$tmp/m" -c 5 -b network -p "$port" --loops 4 || return 1
	[ "$(n_loops)" -eq 4 ]
}

# five_at_once: each prints to its own client.
five_at_once() {
	seq 1 5000 >"$tmp/part"
	for i in 0 1 2 3 4; do
		socat -u "TCP:127.0.0.1:$((port + i))" "OPEN:$tmp/out$i,creat,trunc" 2>/dev/null &
		eval "client$i=$!"
		"$vhu_guest" --socket "$tmp/m$i" --wait-open seq 5000 2>"$tmp/guest$i" &
		eval "guest$i=$!"
	done
	for i in 0 1 2 3 4; do
		eval "wait \$guest$i" || return 1
		wait_for 10 holds "$tmp/out$i" "$(wc -c <"$tmp/part")" || return 1
		cmp "$tmp/part" "$tmp/out$i" || return 1
	done
}

ends_under_load() {
	: >"$tmp/log"
	for i in 0 1 2 3 4; do
		"$vhu_guest" --socket "$tmp/m$i" seq 100000000 2>/dev/null &
		eval "guest$i=$!"
	done
	for i in 0 1 2 3 4; do
		wait_for 10 has_front_end "$i" || return 1
	done
	end_daemon
	for i in 0 1 2 3 4; do
		eval "wait \$guest$i"
	done
	[ "$daemon_status" -eq 0 ]
}

has_front_end() {
	said "$tmp/log" "console$1: a front-end is connected"
}

spread() {
	set_up 2 a b c d
	start_daemon 0 --config "$conf" --control "$tmp/control" || return 1
	are_places "a 0 b 1 c 0 d 1"
}

# a and c go, so there is room where they were.
new_one_goes_where_room_is() {
	set_up 2 b d e f
	reload 1 && are_places "b 1 d 1 e 0 f 0"
}

another_number() {
	set_up 3 b d e f
	sed -i '1i engine = poll' "$conf"
	reload 2 && said "$tmp/log" 'another --loops counts when the daemon is started again' &&
		said "$tmp/log" 'another --engine counts when the daemon is started again'
}

terminal_leaves() {
	python3 - "$daemon" "$tmp/t" <<-'EOF'
		import os, pty, select, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], [sys.argv[1], "-s", sys.argv[2], "--loops", "2"])
		seen = b""
		def until(text):
		    global seen
		    while text not in seen:
		        if not select.select([fd], [], [], 10)[0]:
		            sys.exit("no %r in %r" % (text, seen))
		        seen += os.read(fd, 4096)
		until(b"front-end socket")
		os.write(fd, b"\x03")
		_, status = os.waitpid(pid, 0)
		sys.exit(os.waitstatus_to_exitcode(status))
	EOF
}

plan 9
check "one loop is one thread" one_thread
check "four loops are four threads" more_threads
check "five guests at once" five_at_once
check "the end while all of them print" ends_under_load
if "$daemon" ctl --help 2>&1 | grep -q json-c; then
	for what in "guests are spread" "a new one goes where there is room" \
		"another number is for the next start" "it ends well"; do
		ok "$what # SKIP this build has no control socket"
	done
else
	daemon_up() { [ -S "$tmp/control" ]; }
	check "guests are spread" spread
	check "a new one goes where there is room" new_one_goes_where_room_is
	check "another number is for the next start" another_number
	end_daemon
	check "it ends well" test "$daemon_status" -eq 0
fi
check "a terminal" terminal_leaves
