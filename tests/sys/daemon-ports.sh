#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Guests with many ports, and all that can be attached to them.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires socat stat md5sum timeout

# is FILE TEXT: FILE holds exactly that.
is() {
	[ "$(cat "$1" 2>/dev/null)" = "$2" ]
}

log_says() {
	said "$tmp/log" "$1" || { cat "$tmp/log"; return 1; }
}

the_guest_sees_them() {
	guest list >"$tmp/list" || { cat "$tmp/guest"; return 1; }
	cat "$tmp/list"
	[ "$(cut -d' ' -f1-4 "$tmp/list")" = "0 - console closed
1 org.a port closed
2 org.b port closed
3 - console open
7 org.c port open" ]
}

mode_of() {
	[ "$(stat -c %a "$1")" = "$2" ]
}

# through NAME ADDRESS: a text each way on the port of that name.
through() {
	client "$2" "$tmp/out"
	guest --port "$1" --wait-open send "from the guest" &&
		wait_for 10 is "$tmp/out" "from the guest" || return 1
	"$vhu_guest" --socket "$tmp/s0" --port "$1" sink 9 >"$tmp/in" 2>"$tmp/guest" &
	taker=$!
	printf 'from here' >&7
	wait "$taker"
	client_leaves
	is "$tmp/in" "from here"
}

# A port without a console waits for its client rather than lose a byte.
held_until_read() {
	rm -f "$tmp/late"
	mkfifo "$tmp/late"
	socat -u "UNIX-CONNECT:$tmp/a" "OPEN:$tmp/late,wronly" 2>/dev/null &
	reader=$!
	exec 9<"$tmp/late"
	"$vhu_guest" --socket "$tmp/s0" --port org.a --wait-open --timeout 30000 seq 300000 \
		2>"$tmp/guest" &
	writer=$!
	md5sum <&9 >"$tmp/sum" &
	summer=$!
	wait "$writer" || { cat "$tmp/guest"; return 1; }
	end_daemon
	wait "$summer" "$reader"
	exec 9<&-
	[ "$(cat "$tmp/sum")" = "$(seq 300000 | md5sum)" ]
}

# The writer cannot end while nobody reads: it is what is waited for in vain.
blocks_the_guest() {
	rm -f "$tmp/never"
	mkfifo "$tmp/never"
	socat -u "UNIX-CONNECT:$tmp/a" "OPEN:$tmp/never,wronly" 2>/dev/null &
	reader=$!
	exec 9<"$tmp/never"
	"$vhu_guest" --socket "$tmp/s0" --port org.a --wait-open --timeout 700 seq 1500000 \
		2>"$tmp/guest"
	status=$?
	exec 9<&-
	kill "$reader" 2>/dev/null
	wait "$reader"
	[ "$status" -eq 1 ]
}

each_to_its_own_file() {
	set --
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
		set -- "$@" --port "name=port.$i,file:$tmp/out.$i"
	done
	start_daemon 1 -s "$tmp/s" -b network -p "$port" "$@" || return 1
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
		guest --port "port.$i" send "this is $i" || return 1
	done
	end_daemon
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
		is "$tmp/out.$i" "this is $i" || return 1
	done
}

# Two devices, each with ports of its own, and none of the shorthand's.
two_devices() {
	start_daemon 1 --device "socket=$tmp/x,name=console0,mode=0600" \
		--port "0,console,tcp:$port" --port "name=first,file:$tmp/first" \
		--device "socket=$tmp/y,name=other" --port "name=second,file:$tmp/second" || return 1
	wait_for 10 said "$tmp/log" 'other: front-end' || return 1
	"$vhu_guest" --socket "$tmp/x" --port first send one 2>"$tmp/guest" &&
		"$vhu_guest" --socket "$tmp/y" --port second send two 2>"$tmp/guest" &&
		mode_of "$tmp/x" 600 || { cat "$tmp/guest"; return 1; }
	end_daemon
	is "$tmp/first" one && is "$tmp/second" two && [ ! -e "$tmp/x" ] && [ ! -e "$tmp/y" ]
}

# "%i" and sums give every device of --socket-count addresses of its own.
one_line_for_many_devices() {
	start_daemon 2 -s "$tmp/s" -c 2 -b network -p "$port" \
		--port "name=agent,unix:$tmp/agent%i" --port "name=tcp,tcp:$((port + 4))+%i" || return 1
	for i in 0 1; do
		client "UNIX-CONNECT:$tmp/agent$i" "$tmp/out"
		"$vhu_guest" --socket "$tmp/s$i" --port agent --wait-open send "I am $i" \
			2>"$tmp/guest" && wait_for 10 is "$tmp/out" "I am $i" || return 1
		client_leaves
		client "TCP:127.0.0.1:$((port + 4 + i))" "$tmp/out"
		"$vhu_guest" --socket "$tmp/s$i" --port tcp --wait-open send "TCP $i" \
			2>"$tmp/guest" && wait_for 10 is "$tmp/out" "TCP $i" || return 1
		client_leaves
	done
	end_daemon
	[ "$daemon_status" -eq 0 ]
}

# fails STATUS TEXT ARGUMENT...
fails() {
	want=$1
	text=$2
	shift 2
	timeout 10 "$daemon" "$@" 2>"$tmp/err" </dev/null
	status=$?
	cat "$tmp/err"
	[ "$status" -eq "$want" ] && said "$tmp/err" "$text"
}

nothing_is_left() {
	fails 1 "console0: port 2: .*$tmp/none" -s "$tmp/z" -b network -p "$port" --port "name=a,unix:$tmp/za" \
		--port "name=b,unix:$tmp/none/x" && [ ! -e "$tmp/z0" ] && [ ! -e "$tmp/za" ]
}

plan 20

start_daemon 1 -s "$tmp/s" -b network -p "$port" --port "name=org.a,unix:$tmp/a,mode=0600" \
	--port "name=org.b,pty:$tmp/pty" --port "3,console,null" \
	--port "7,name=org.c,file:$tmp/file,log:$tmp/log.c"
check "the log says what is where" log_says "console0: port 1 org.a (hold): Unix $tmp/a"
check "and what drops" log_says 'console0: port 0 (console, drop): TCP 127.0.0.1:'
check "the guest sees names and consoles" the_guest_sees_them
check "a socket has the mode it was given" mode_of "$tmp/a" 600
check "a Unix socket, both ways" through org.a "UNIX-CONNECT:$tmp/a"
check "a pseudo-terminal, both ways" through org.b "OPEN:$tmp/pty,rdwr,rawer"
check "TCP beside them" through 0 "TCP:127.0.0.1:$port"
check "output goes to a file and a log" guest --port org.c send "kept twice"
kept() { is "$tmp/file" "kept twice" && said "$tmp/log.c" 'kept twice'; }
check "both have it" wait_for 10 kept
check "emergency writes are output of the console" guest emerg "oops"
client "TCP:127.0.0.1:$port" "$tmp/out"
check "a client sees them" wait_for 10 said "$tmp/out" oops
client_leaves
check "a port that holds makes the guest wait" blocks_the_guest
check "and loses nothing when it is read" held_until_read
check "all is cleaned up" [ ! -e "$tmp/a" ]
check "the link of the pseudo-terminal too" [ ! -L "$tmp/pty" ]

check "sixteen ports to sixteen files" each_to_its_own_file
check "two devices with ports of their own" two_devices
check "one line for all devices" one_line_for_many_devices
check "a port that cannot be opened ends it, and nothing is left" nothing_is_left
check "a wrong word is a matter of usage" fails 2 'nonsense' -s "$tmp/z" -b network \
	--port "name=a,nonsense:x"
