#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The daemon's end, inherited sockets, and its rest when nothing happens
# (VU-223, VU-225 to VU-228).

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires socat python3

# An idle guest on the first socket; sets $idler.
idle_guest() {
	rm -f "$tmp/stop"
	mkfifo "$tmp/stop"
	: >"$tmp/guest"
	"$vhu_guest" --socket "$tmp/s0" "$@" idle <"$tmp/stop" 2>>"$tmp/guest" &
	idler=$!
	exec 8>"$tmp/stop"
	wait_for 10 said "$tmp/guest" up
}

ends_cleanly() {
	end_daemon "$1"
	echo "status $daemon_status after $daemon_ms ms"
	[ "$daemon_status" -eq 0 ] && [ "$daemon_ms" -lt 1000 ] && [ ! -e "$tmp/s0" ]
}

ends_when_idle() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" && ends_cleanly "$1"
}

ends_under_a_guest() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" && idle_guest && ends_cleanly TERM ||
		return 1
	exec 8>&-
	wait "$idler" # which failed, as it should
	[ $? -eq 1 ]
}

# A client that takes nothing, and more output than all buffers on the way hold.
ends_under_a_blocked_client() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" --history 16M || return 1
	rm -f "$tmp/never"
	mkfifo "$tmp/never"
	socat -u "TCP:127.0.0.1:$port" "OPEN:$tmp/never,wronly" 2>/dev/null &
	blocked=$!
	exec 9<"$tmp/never"
	guest --wait-open seq 1500000 && ends_cleanly TERM
	result=$?
	exec 9<&-
	kill "$blocked" 2>/dev/null
	wait "$blocked"
	return $result
}

# Another server has taken the path meanwhile: its socket file is not ours to remove.
foreign_socket_is_left() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" || return 1
	rm "$tmp/s0"
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$tmp/s0"
	end_daemon
	[ "$daemon_status" -eq 0 ] && [ -S "$tmp/s0" ] && rm "$tmp/s0"
}

# with_socket KIND COMMAND...: COMMAND gets a socket as descriptor 5, whose other end
# (connected) or path (listening) a guest uses; both must end well.
with_socket() {
	python3 - "$vhu_guest" "$tmp/p" "$@" <<-'EOF'
		import os, socket, subprocess, sys
		guest, path, kind, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
		if kind == "connected":
		    ours, theirs = socket.socketpair(socket.AF_UNIX)
		    where, fds = ["--fd", str(ours.fileno())], [ours.fileno()]
		else:
		    theirs = socket.socket(socket.AF_UNIX)
		    theirs.bind(path)
		    theirs.listen()
		    where, fds = ["--socket", path], []
		number = theirs.fileno()
		daemon = subprocess.Popen(command + ["--fd", str(number)], pass_fds=[number])
		theirs.close()
		times = 1 if kind == "connected" else 3
		for i in range(times):
		    subprocess.run([guest] + where + ["send", "x"], pass_fds=fds, check=True,
		                   timeout=30)
		if kind == "connected":
		    ours.close()        # the last front-end there can be is gone
		else:
		    daemon.terminate()
		    assert os.path.exists(path)    # not made by the daemon
		    os.unlink(path)
		assert daemon.wait(timeout=10) == 0, daemon.returncode
	EOF
}

not_a_socket() {
	"$daemon" --fd 5 -b network -p "$port" 5</dev/null 2>"$tmp/err"
	[ $? -eq 1 ] && said "$tmp/err" 'fd 5'
}

same_process() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" && kill -0 "$daemon_pid" &&
		[ "$(awk '/^PPid/ { print $2 }' "/proc/$daemon_pid/status")" -eq $$ ]
}

# Nobody of it has been scheduled since the last look. What a guest said last may still be
# worked on when that guest says that it is up.
settled() {
	last=$before
	before=$(daemon_switches)
	[ -n "$before" ] && [ "$before" = "$last" ]
}

# Two seconds in which nothing is to be done: the interval is what is measured.
rests() {
	before=
	wait_for 10 settled || return 1
	sleep 2
	after=$(daemon_switches)
	echo "$((after - before)) times scheduled in 2 s"
	[ "$after" -eq "$before" ]
}

null_descriptors() {
	"$daemon" -s "$tmp/n" -b network -p "$((port + 1))" <&- >&- 2>&- &
	daemon_pid=$!
	there() { [ -S "$tmp/n0" ]; }
	wait_for 10 there && "$vhu_guest" --socket "$tmp/n0" send x 2>"$tmp/guest" || return 1
	end_daemon
	[ "$daemon_status" -eq 0 ]
}

plan 17
check "SIGTERM ends it" ends_when_idle TERM
check "SIGINT ends it" ends_when_idle INT
check "SIGHUP ends it" ends_when_idle HUP
check "SIGTERM under a guest" ends_under_a_guest
check "SIGTERM under a client that takes nothing" ends_under_a_blocked_client
check "a socket file of somebody else is left" foreign_socket_is_left
check "an inherited connection" with_socket connected "$daemon" -b network -p "$port"
check "an inherited listening socket" with_socket listening "$daemon" -b network -p "$port"
check "a descriptor that is no socket" not_a_socket
check "closed standard descriptors" null_descriptors

check "no fork" same_process
check "it rests without a guest" rests
socat -u "TCP:127.0.0.1:$port" "OPEN:$tmp/out,creat" 2>/dev/null &
client=$!
cleanup_fn 'kill "$client" 2>/dev/null'
check "a guest that calls by eventfd" idle_guest
check "it rests with a guest and a client" rests
exec 8>&-
wait "$idler"
check "a guest that calls by message" idle_guest --style uml
check "it rests with that, too" rests
exec 8>&-
wait "$idler"
check "SIGTERM ends it all" ends_cleanly TERM
