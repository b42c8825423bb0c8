# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# shellcheck shell=sh
# For tests of the daemon, after tap.sh: starting, stopping, guests. $daemon is
# the program, by default the one that was built.

daemon=${VHU_DAEMON:-$top_builddir/src/vhost-device-console}
# VHU_LOOPS: the same with that many loops.
if [ -n "$VHU_LOOPS" ]; then
	mkdir "$tmp/loops"
	cat >"$tmp/loops/vhost-device-console" <<-EOF
		#!/bin/sh
		[ "\$1" = ctl ] && exec "$daemon" "\$@"
		exec "$daemon" --loops $VHU_LOOPS "\$@"
	EOF
	daemon=$tmp/loops/vhost-device-console
	chmod +x "$daemon"
fi
vhu_guest=$top_builddir/tests/tools/vhu-guest
no_uring=$top_builddir/tests/tools/no-uring

# TCP ports of our own, below those that the kernel picks: tests run side by
# side, and none takes more than 16.
port=$((10240 + $$ % 1400 * 16))

daemon_pid=

# As by accident: it cleans nothing up.
kill_daemon() {
	[ -n "$daemon_pid" ] || return 0
	kill -KILL "$daemon_pid" 2>/dev/null
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}
cleanup_fn kill_daemon

# daemon_up N: its log says where guest N's front-end connects. All is open by then.
daemon_up() {
	grep -q "console$1: front-end " "$tmp/log"
}

# start_daemon GUESTS ARGUMENT...: returns when it serves that many.
start_daemon() {
	kill_daemon # of a point that failed
	daemon_last=$(($1 - 1))
	shift
	: >"$tmp/log" # before anybody looks: the last one's says what is waited for
	"$daemon" "$@" 2>>"$tmp/log" </dev/null &
	daemon_pid=$!
	wait_for 20 daemon_up "$daemon_last" && return
	note "$tmp/log"
	return 1
}

# end_daemon [SIGNAL]: sets $daemon_status, and $daemon_ms as a bound of how long it took.
end_daemon() {
	daemon_began=$(date +%s%N)
	kill "-${1:-TERM}" "$daemon_pid"
	wait "$daemon_pid"
	daemon_status=$?
	daemon_ms=$((($(date +%s%N) - daemon_began) / 1000000))
	daemon_pid=
}

# guest ARGUMENT...: a guest on the first socket; what it says goes to $tmp/guest.
guest() {
	"$vhu_guest" --socket "$tmp/s0" "$@" 2>"$tmp/guest"
}

# watch_guest: a guest on the first socket that writes what it is told to $tmp/events,
# until unwatch_guest. Sets $watcher.
watch_guest() {
	rm -f "$tmp/watch"
	mkfifo "$tmp/watch"
	: >"$tmp/events"
	: >"$tmp/guest"
	"$vhu_guest" --socket "$tmp/s0" watch <"$tmp/watch" >>"$tmp/events" 2>>"$tmp/guest" &
	watcher=$!
	exec 6>"$tmp/watch"
	wait_for 10 said "$tmp/guest" up
}

unwatch_guest() {
	exec 6>&-
	wait "$watcher"
}

# client ADDRESS FILE: what comes out of a port at socat's ADDRESS goes to FILE, what is
# written to descriptor 7 goes in. Sets $client.
client() {
	rm -f "$tmp/keys"
	mkfifo "$tmp/keys"
	: >"$2"
	socat -t 0 - "$1" <"$tmp/keys" >>"$2" 2>/dev/null &
	client=$!
	exec 7>"$tmp/keys"
}

client_leaves() {
	exec 7>&-
	wait "$client"
}

# said FILE TEXT: a line of FILE says so.
said() {
	grep -q "$2" "$1"
}

# holds FILE N: FILE has at least N bytes.
holds() {
	[ "$(wc -c <"$1")" -ge "$2" ]
}

# daemon_fds: how many descriptors it has open.
daemon_fds() {
	ls "/proc/$daemon_pid/fd" | wc -l
}

# daemon_switches: how often its threads were scheduled. Not those of the kernel that do
# operations apart: the last of them looks up every five seconds.
daemon_switches() {
	cat /proc/"$daemon_pid"/task/*/status |
		awk '/^Name:/ { own = $2 !~ /^iou-wrk/ } own && /ctxt_switches/ { n += $2 } END { print n }'
}
