#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# A configuration file, and what SIGHUP does.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires socat python3 timeout

conf=$tmp/conf

is() {
	[ "$(cat "$1" 2>/dev/null)" = "$2" ]
}

has_lines() {
	[ "$(grep -c "$2" "$1")" -ge "$3" ]
}

# reload: SIGHUP, and the daemon has said that it is done.
n_reloads=0
reload() {
	n_reloads=$((n_reloads + 1))
	kill -HUP "$daemon_pid"
	wait_for 10 has_lines "$tmp/log" 'setup was read again\|stays as it was' "$n_reloads" ||
		{ cat "$tmp/log"; return 1; }
}

start() {
	n_reloads=0
	start_daemon 1 --config "$conf" --sandbox-path "$tmp"
}

event() {
	grep -qx "$1" "$tmp/events"
}

from_a_file() {
	cat >"$conf" <<-EOF
		# one guest
		device socket=$tmp/s0,max-ports=8
		port = 0,console,tcp:$port
		port name=org.a,unix:$tmp/a
		port name=org.b,unix:$tmp/b
	EOF
	start && guest --port org.b send "x"
}

# A port comes while the client of another stays where it is.
port_comes() {
	client "UNIX-CONNECT:$tmp/a" "$tmp/out"
	mine=$client
	watch_guest && wait_for 10 event 'open 1 1' || return 1
	echo "port name=org.c,unix:$tmp/c" >>"$conf"
	reload && wait_for 10 event 'add 3' && wait_for 10 event 'name 3 org.c' &&
		[ -S "$tmp/c" ] && kill -0 "$mine" || { cat "$tmp/events"; return 1; }
}

port_goes() {
	sed -i '/org.b/d' "$conf"
	reload && wait_for 10 event 'remove 2' && [ ! -e "$tmp/b" ] && [ -S "$tmp/c" ] &&
		kill -0 "$mine" || { cat "$tmp/events"; return 1; }
}

name_changes() {
	sed -i 's/org.a,/org.new,/' "$conf"
	reload && wait_for 10 event 'remove 1' && wait_for 10 event 'name 1 org.new' &&
		kill -0 "$mine" || { cat "$tmp/events"; return 1; }
}

client_has_stayed() {
	unwatch_guest && guest --port org.new send "after all this" &&
		wait_for 10 is "$tmp/out" "after all this" && client_leaves
}

# A file that is wrong is one line in the log, and nothing else.
wrong_file() {
	cp "$conf" "$conf.good"
	echo "port name=org.x,nonsense:y" >>"$conf"
	before=$(wc -l <"$tmp/log")
	reload && tail -n "+$((before + 1))" "$tmp/log" >"$tmp/new" || return 1
	cat "$tmp/new"
	cp "$conf.good" "$conf"
	[ "$(wc -l <"$tmp/new")" -eq 1 ] && said "$tmp/new" "$conf:" && said "$tmp/new" nonsense &&
		guest --port org.new send x
}

file_that_is_gone() {
	mv "$conf" "$conf.away"
	reload && guest --port org.new send x
	result=$?
	mv "$conf.away" "$conf"
	return $result
}

# What cannot be opened is left out, and the rest is there.
part_fails() {
	echo "port name=org.x,unix:$tmp/none/x" >>"$conf"
	echo "port name=org.y,unix:$tmp/y" >>"$conf"
	reload && said "$tmp/log" "none/x" && [ -S "$tmp/y" ] && guest --port org.y send x
}

device_comes_and_goes() {
	cp "$conf" "$conf.good"
	cat >>"$conf" <<-EOF
		device socket=$tmp/more,name=more
		port name=z,file:$tmp/z
	EOF
	reload && "$vhu_guest" --socket "$tmp/more" --port z send "new here" 2>"$tmp/guest" &&
		wait_for 10 is "$tmp/z" "new here" || { cat "$tmp/guest" "$tmp/log"; return 1; }
	cp "$conf.good" "$conf"
	reload && [ ! -e "$tmp/more" ] && guest --port org.new send x
}

# The address of one device goes to another, and the name stays.
socket_moves() {
	sed -i "s|socket=$tmp/s0|socket=$tmp/t0|" "$conf"
	reload && [ ! -e "$tmp/s0" ] && [ -S "$tmp/t0" ] &&
		"$vhu_guest" --socket "$tmp/t0" --port org.new send x 2>"$tmp/guest" ||
		{ cat "$tmp/guest" "$tmp/log"; return 1; }
}

many_reloads() {
	before=$(daemon_fds)
	for i in 1 2 3 4 5 6 7 8 9 10; do
		kill -HUP "$daemon_pid"
	done
	reload || return 1
	sed -i 's/org.y,/org.yy,/' "$conf"
	for i in 1 2 3 4 5 6 7 8 9 10; do
		reload || return 1
	done
	# What the steps before this one closed may have been open still.
	no_more_fds() { [ "$(daemon_fds)" -le "$before" ]; }
	wait_for 10 no_more_fds
}

# The only device cannot be had any more: the daemon waits for better days, or its end.
no_device_left() {
	cat >"$conf" <<-EOF
		device socket=$tmp/u0
		port 0,console,null
	EOF
	start || return 1
	sed -i "s|$tmp/u0|$tmp/none/u0|" "$conf"
	reload && said "$tmp/log" none/u0 && [ ! -e "$tmp/u0" ] || return 1
	mkdir "$tmp/none"
	reload && "$vhu_guest" --socket "$tmp/none/u0" boot 2>"$tmp/guest" || return 1
	rm -r "$tmp/none"
	sed -i "s|$tmp/none/u0|$tmp/gone/u0|" "$conf"
	reload || return 1
	end_daemon
	[ "$daemon_status" -eq 0 ]
}

# The end comes while a reload waits for a client that takes nothing.
ends_in_a_reload() {
	cat >"$conf" <<-EOF
		device socket=$tmp/s0
		port 0,console,null
		port name=a,unix:$tmp/a,history=8M
	EOF
	start || return 1
	mkfifo "$tmp/never"
	socat -u "UNIX-CONNECT:$tmp/a" "OPEN:$tmp/never,wronly" 2>/dev/null &
	blocked=$!
	exec 9<"$tmp/never"
	guest --port a --wait-open seq 500000 || return 1
	sed -i /name=a/d "$conf"
	kill -HUP "$daemon_pid"
	end_daemon
	exec 9<&-
	kill "$blocked" 2>/dev/null
	wait "$blocked"
	echo "status $daemon_status after $daemon_ms ms"
	[ "$daemon_status" -eq 0 ] && [ "$daemon_ms" -lt 2000 ] && [ ! -e "$tmp/s0" ]
}

# Logs are opened anew, with a file to read again and without.
log_is_reopened() {
	guest --port org.log send "first" && wait_for 10 said "$tmp/l" first || return 1
	mv "$tmp/l" "$tmp/l.old"
	kill -HUP "$daemon_pid"
	there() { [ -e "$tmp/l" ]; }
	wait_for 10 there && guest --port org.log send "second" &&
		wait_for 10 said "$tmp/l" second && ! said "$tmp/l" first
}

without_a_file() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" --port "name=org.log,log:$tmp/l" &&
		log_is_reopened
}

nothing_to_read() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" --port "name=a,unix:$tmp/q" || return 1
	end_daemon HUP
	[ "$daemon_status" -eq 0 ] && [ ! -e "$tmp/q" ]
}

# What there is to reopen may be attached later, by the control socket.
control_stays() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" --control "$tmp/ctl" || return 1
	kill -s HUP "$daemon_pid"
	"$daemon" ctl --control "$tmp/ctl" status >/dev/null || return 1
	end_daemon
	[ "$daemon_status" -eq 0 ]
}

# The terminal that is the console is closed: that is the end, whatever could be read again.
terminal_hangs_up() {
	cat >"$conf" <<-EOF
		socket-path $tmp/h
		backend nested
	EOF
	python3 - "$daemon" --config "$conf" <<-'EOF'
		import os, pty, sys, time
		pid, master = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], sys.argv[1:])
		text = b""
		while b"front-end" not in text:
		    text += os.read(master, 4096)
		os.close(master)
		deadline = time.monotonic() + 10
		while time.monotonic() < deadline:
		    done, status = os.waitpid(pid, os.WNOHANG)
		    if done:
		        assert os.waitstatus_to_exitcode(status) == 0, status
		        sys.exit(0)
		    time.sleep(0.02)
		os.kill(pid, 9)
		sys.exit("it lives on")
	EOF
}

terminal_stays() {
	python3 - "$daemon" "$tmp/log" --config "$conf" <<-'EOF'
		import os, pty, signal, sys
		pid, master = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], [sys.argv[1]] + sys.argv[3:])
		text = b""
		while b"front-end" not in text:
		    text += os.read(master, 4096)
		os.kill(pid, signal.SIGHUP)
		while b"setup was read again" not in text:
		    text += os.read(master, 4096)
		os.kill(pid, signal.SIGTERM)
		assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
	EOF
}

poll_changes() {
	echo "poll-us 7" >>"$conf"
	reload && said "$tmp/log" 'poll-us is 7 now' && sed -i '/poll-us/d' "$conf" && reload &&
		said "$tmp/log" 'poll-us is 100 now'
}

plan 22
check "a guest from a file" from_a_file
check "a port comes, a client of another stays" port_comes
check "a port goes" port_goes
check "a port gets another name" name_changes
check "the client is still connected" client_has_stayed
check "a file that is wrong changes nothing" wrong_file
check "so does one that is gone" file_that_is_gone
check "what cannot be opened is left out" part_fails
check "another --poll-us counts at once" poll_changes
check "a device comes and goes" device_comes_and_goes
check "a device moves to another socket" socket_moves
check "reloads leave nothing behind" many_reloads
end_daemon
check "the daemon ends well" test "$daemon_status" -eq 0

check "a device that cannot be had again" no_device_left
check "SIGTERM while a reload is under way" ends_in_a_reload

check "a log is reopened without a file" without_a_file
end_daemon
cat >"$conf" <<EOF
socket-path $tmp/s
backend network
tcp-port $port
port name=org.log,log:$tmp/l
EOF
rm -f "$tmp/l"
start
check "and with one" log_is_reopened
end_daemon
check "it ends well" test "$daemon_status" -eq 0
check "without anything to read, SIGHUP is the end" nothing_to_read
if "$daemon" ctl --help 2>&1 | grep -q json-c; then
	ok "with a control socket it is not # SKIP this build has none"
else
	check "with a control socket it is not" control_stays
fi
check "SIGHUP under a terminal that stays" terminal_stays
check "a terminal that hangs up is the end" terminal_hangs_up
