#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The daemon's command line and what it does when it cannot start (VU-222 to VU-230).

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires bash socat timeout

# fails STATUS TEXT ARGUMENT...: ends at once with STATUS, one line that has TEXT in it.
fails() {
	want=$1
	text=$2
	shift 2
	timeout 10 "$daemon" "$@" >"$tmp/out" 2>"$tmp/all" </dev/null
	status=$?
	cat "$tmp/all"
	# Which engine it took, and which walls it has, is another matter.
	grep -v '; poll(2) takes its place\|the sandbox has no wall' "$tmp/all" >"$tmp/err"
	[ "$status" -eq "$want" ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && [ ! -s "$tmp/out" ] &&
		said "$tmp/err" "$text"
}

# prints TEXT ARGUMENT...: ends well, with TEXT on standard output.
prints() {
	text=$1
	shift
	timeout 10 "$daemon" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null && said "$tmp/out" "$text"
}

capabilities() {
	timeout 10 "$daemon" "$@" >"$tmp/out" </dev/null &&
		[ "$(tr -d ' \n' <"$tmp/out")" = '{"type":"console"}' ]
}

plan 43

check "no socket at all is an error" fails 2 'socket-path' -b network
check "unknown option" fails 2 'no-such' --no-such
check "missing value" fails 2 'socket-path' --socket-path
check "unknown backend" fails 2 'nested' -s "$tmp/s" -b carrier-pigeon
check "port 0" fails 2 '65535' -s "$tmp/s" -b network -p 0
check "port 65536" fails 2 '65535' -s "$tmp/s" -b network -p 65536
check "port that is no number" fails 2 'tcp-port' -s "$tmp/s" -b network -p 12x
check "last port beyond all" fails 2 '65535' -s "$tmp/s" -b network -p 65535 -c 2
check "queue size that is no power of two" fails 2 'power of two' -s "$tmp/s" -b network -q 100
check "queue size 0" fails 2 'max-queue-size' -s "$tmp/s" -b network -q 0
check "queue size beyond all" fails 2 '32768' -s "$tmp/s" -b network -q 65536
check "no guests" fails 2 'socket-count' -s "$tmp/s" -b network -c 0
check "nested with two guests" fails 2 'nested' -s "$tmp/s" -c 2
check "path and descriptor" fails 2 'fd' -s "$tmp/s" --fd 3 -b network
check "path too long for a socket" fails 2 'socket-path' -b network -s \
	"$tmp/$(printf '%0120d' 0)"
check "descriptor that messages go to" fails 2 'messages' --fd 2 -b network
check "descriptor that is the console's" fails 2 "console's" --fd 0
check "configuration file without a name" fails 2 'config: the value has 0 bytes' --config ''
check "word that is no control socket's" fails 2 "'ro' is not known; mode, owner, group, allow-uid and allow-gid" \
	-s "$tmp/s" --control "$tmp/c,ro"
check "device that cannot listen is named" fails 1 "web: cannot listen on $tmp/none/w" \
	--device "socket=$tmp/none/w,name=web" --port null
check "unknown log level" fails 2 'log-level' -s "$tmp/s" -b network --log-level loud

check "capabilities" capabilities --print-capabilities
check "capabilities with junk around" capabilities --junk -x --socket-path --print-capabilities \
	--fd=99 junk
check "help" prints 'socket-path' --help
check "version" prints '[0-9]\.[0-9]' --version

# Each failure to start has a sentence of its own, and status 1.
socat -u "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr" "OPEN:/dev/null" 2>/dev/null &
squatter=$!
squatter_leaves() {
	kill "$squatter" && wait "$squatter"
	squatter=
}
cleanup_fn '[ -z "$squatter" ] || squatter_leaves'
listening() {
	awk -v "port=$(printf ':%04X' "$port")" '$2 ~ port && $4 == "0A" { found = 1 }
		END { exit !found }' /proc/net/tcp
}
wait_for 10 listening
check "port that is taken" fails 1 "$port" -s "$tmp/s" -b network -p "$port"
squatter_leaves

check "folder that is not there" fails 1 "$tmp/none/s0" -s "$tmp/none/s" -b network \
	-p "$((port + 1))"
echo precious >"$tmp/f0"
check "file that is no socket" fails 1 'not a socket' -s "$tmp/f" -b network -p "$((port + 1))"
check "it is left alone" grep -q precious "$tmp/f0"
check "descriptor that was not inherited" fails 1 '99' --fd 99 -b network -p "$((port + 1))"

# wrong_fd: inherits a socket that no front-end can be at.
wrong_fd() {
	bash -c 'exec 5<>"/dev/udp/127.0.0.1/$1"; shift; exec "$@"' sh "$((port + 5))" \
		timeout 10 "$daemon" --fd 5 -b network -p "$((port + 1))" 2>"$tmp/err" </dev/null
	status=$?
	cat "$tmp/err"
	[ "$status" -eq 1 ] && said "$tmp/err" 'Unix stream socket'
}
check "descriptor that is a datagram socket" wrong_fd

# forbidden ERRNO: io_uring was asked for and cannot be had.
forbidden() {
	program=$daemon
	daemon=$no_uring
	fails 3 'io_uring' "$1" "$program" -s "$tmp/s" -b network -p "$((port + 1))" --engine uring
	result=$?
	daemon=$program
	return $result
}
check "io_uring that is forbidden and asked for" forbidden 1
check "io_uring that is hidden and asked for" forbidden 38

# ends_well PROGRAM...: a daemon that starts, and ends as it is told to. Says so in $tmp/err.
ends_well() {
	rm -f "$tmp/s0"
	"$@" -s "$tmp/s" -b network -p "$((port + 1))" 2>"$tmp/err" </dev/null &
	daemon_pid=$!
	there() { [ -S "$tmp/s0" ]; }
	wait_for 10 there
	end_daemon
	cat "$tmp/err"
	[ "$daemon_status" -eq 0 ]
}

# without ERRNO OPTION...: where io_uring cannot be had, and nobody insists.
without() {
	ends_well "$no_uring" "$1" "$daemon" && said "$tmp/err" 'io_uring.*; poll(2) takes its place' &&
		[ "$(grep -c 'takes its place' "$tmp/err")" -eq 1 ]
}
check "io_uring that is forbidden: poll(2) takes its place, and one line says why" without 1
check "io_uring that is hidden: poll(2) takes its place" without 38

# Nobody needs a reason for what he asked for.
wanted() {
	ends_well "$no_uring" "$daemon" --engine poll && ! grep -q 'io_uring' "$tmp/err"
}
check "poll(2) that is asked for" wanted

# A closed standard stream does not become something else of ours.
closed_streams() {
	"$daemon" -s "$tmp/c" -b network -p "$((port + 6))" <&- >&- 2>&- &
	daemon_pid=$!
	there() { [ -S "$tmp/c0" ]; }
	wait_for 10 there && for fd in 0 1 2; do
		[ "$(readlink "/proc/$daemon_pid/fd/$fd")" = /dev/null ] || return 1
	done
}
check "closed standard streams are made up for" closed_streams
end_daemon
check "they take nothing from the end" [ "$daemon_status" -eq 0 ]

# A live socket is never taken; one that a dead server left is.
start_daemon 1 -s "$tmp/s" -b network -p "$((port + 2))"
check "socket of a live server" fails 1 'in use' -s "$tmp/s" -b network -p "$((port + 3))"
check "it has noticed nothing" guest boot
end_daemon
socat "UNIX-LISTEN:$tmp/s0,unlink-close=0" - </dev/null >/dev/null 2>&1 &
dead=$!
there() { [ -S "$tmp/s0" ]; }
wait_for 10 there
kill -KILL "$dead"
wait "$dead" 2>/dev/null
replaces() {
	[ -S "$tmp/s0" ] && start_daemon 1 -s "$tmp/s" -b network -p "$((port + 4))" && guest boot
}
check "socket of a dead server is replaced" replaces
# The kernel may take a moment to let go of what its io_uring was doing.
kill_daemon
check "so is a killed daemon's, at once" replaces
kill_daemon
check "and its port" replaces
