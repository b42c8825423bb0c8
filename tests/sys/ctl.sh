#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The control socket of a running daemon, by ctl and by hand: what it tells, what
# it changes and that the guest sees it, and who may use it
# (VC-052, VC-073, VC-079 to VC-082).

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires socat python3

VHU_CONTROL=$tmp/control
export VHU_CONTROL

ctl() {
	"$daemon" ctl "$@"
}

# status EXPRESSION: Python's, on the answer r, its first device d, and its ports.
status() {
	ctl --json status | python3 -c '
import json, sys
r = json.load(sys.stdin)["result"]
d = r["devices"][0]
def port(n): return next(p for p in d["ports"] if p["number"] == n)
def all(n, what): return [c[what] for c in port(n)["clients"]]
print(eval(sys.argv[1]))' "$1"
}

# is EXPRESSION VALUE
is() {
	status_got=$(status "$1")
	echo "$1 is $status_got"
	[ "$status_got" = "$2" ]
}

# refused STATUS TEXT COMMAND...: ctl ends with that status, and says so.
refused() {
	refused_wanted=$1
	refused_text=$2
	shift 2
	ctl "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq "$refused_wanted" ] && said "$tmp/err" "$refused_text"
}

tables() {
	ctl status >"$tmp/out" && said "$tmp/out" '^console0  *-  *2 ' &&
		said "$tmp/out" "^console0/1  port  *org.test.0 " &&
		said "$tmp/out" "unix:$tmp/u1" &&
		awk 'length > 200 { exit 1 }' "$tmp/out"
}

verbose_tables() {
	ctl status -v >"$tmp/out" && said "$tmp/out" '  output 0, lost 0, discarded 0'
}

own_pid() {
	is 'r["pid"]' "$daemon_pid"
}

# In both forms the one that the daemon took.
engine() {
	engine=uring
	! said "$tmp/log" '; poll(2) takes its place' || engine=poll
	ctl status >"$tmp/out" && said "$tmp/out" "^vhost-device-console .*, engine $engine\$" &&
		is 'r["engine"]' "$engine"
}

size_reaches_the_guest() {
	ctl set-port console0/0 size=132x43 && wait_for 10 said "$tmp/events" '^resize 0 132 43$' &&
		is 'port(0)["size"]' 132x43
}

# The number is the lowest that is free.
added_port_reaches_the_guest() {
	number=$(ctl add-port "name=org.test.new,unix:$tmp/u2") || return 1
	echo "$number"
	[ "$number" = "port 2" ] && wait_for 10 said "$tmp/events" '^name 2 org.test.new$' &&
		[ -S "$tmp/u2" ] && is 'port(2)["name"]' org.test.new
}

removed_port_leaves_the_guest() {
	ctl remove-port org.test.new && wait_for 10 said "$tmp/events" '^remove 2$' &&
		refused 1 'console0 has no port 2; it has 0 and 1' remove-port 2 &&
		no_file() { [ ! -e "$tmp/u2" ]; } && wait_for 10 no_file
}

renamed_port_is_replugged() {
	ctl rename-port 1 org.test.other && wait_for 10 said "$tmp/events" '^remove 1$' &&
		wait_for 10 said "$tmp/events" '^name 1 org.test.other$' &&
		ctl rename-port org.test.other org.test.0
}

name_in_use_is_refused() {
	refused 1 'org.test.0' add-port name=org.test.0,null && is 'len(d["ports"])' 2
}

front_end_is_seen() {
	is 'd["present"]' "$1"
}

# What comes while output is off is gone; what comes after is not.
output_is_switched() {
	client "UNIX-CONNECT:$tmp/u1" "$tmp/out1"
	wait_for 10 is 'len(port(1)["clients"])' 1 && ctl set-port 1 output=off &&
		guest --port 1 send lost && is 'port(1)["counters"]["output_discarded"]' 4 &&
		ctl set-port 1 output=on && guest --port 1 send kept && wait_for 10 holds "$tmp/out1" 4
	result=$?
	client_leaves
	[ $result -eq 0 ] && [ "$(cat "$tmp/out1")" = kept ]
}

# Input is withheld while it is off: it waits, and comes when it is on.
input_is_switched() {
	ctl set-port 1 input=off && client "UNIX-CONNECT:$tmp/u1" "$tmp/out1" || return 1
	printf typed >&7
	wait_for 10 is 'port(1)["input_waiting"]' 5 || return 1
	: >"$tmp/guest"
	"$vhu_guest" --socket "$tmp/s0" --port 1 sink 5 >"$tmp/in" 2>>"$tmp/guest" &
	taker=$!
	wait_for 10 said "$tmp/guest" up && is 'port(1)["counters"]["input"]' 0 &&
		[ ! -s "$tmp/in" ] && ctl set-port 1 input=on && wait "$taker"
	result=$?
	client_leaves
	[ $result -eq 0 ] && [ "$(cat "$tmp/in")" = typed ]
}

overflow_is_changed() {
	is 'port(1)["overflow"]' hold && ctl set-port 1 overflow=drop &&
		is 'port(1)["overflow"]' drop && ctl set-port 1 overflow=hold
}

attachments_come_and_go() {
	id=$(ctl attach 1 "file:$tmp/copy") || return 1
	guest --port 1 send copied && wait_for 10 holds "$tmp/copy" 6 &&
		ctl detach 1 "${id#attachment }" && wait_for 10 is 'len(port(1)["attachments"])' 1 &&
		refused 1 'has no attachment' detach 1 "${id#attachment }"
}

two_clients() {
	socat -u "UNIX-CONNECT:$tmp/u0" "OPEN:$tmp/a,creat" 2>/dev/null &
	first=$!
	wait_for 10 is 'all(0, "role")' "['writer']" || return 1
	socat -u "UNIX-CONNECT:$tmp/u0" "OPEN:$tmp/b,creat" 2>/dev/null &
	second=$!
	cleanup_fn "kill $first $second 2>/dev/null"
	wait_for 10 is 'all(0, "role")' "['writer', 'watcher']"
}

keyboard_is_handed_over() {
	ctl steal 0 "$(status 'all(0, "id")[1]')" && is 'all(0, "role")' "['watcher', 'writer']"
}

client_is_disconnected() {
	ctl disconnect 0 "$(status 'all(0, "id")[0]')" && wait "$first"
	wait_for 10 is 'len(all(0, "id"))' 1 && ctl disconnect 0 "$(status 'all(0, "id")[0]')" &&
		wait "$second"
	wait_for 10 is 'len(all(0, "id"))' 0
}

# What was added here is not written anywhere, so it goes; its number is free again.
reload_undoes() {
	ctl add-port null && is 'len(d["ports"])' 3 && ctl reload &&
		wait_for 10 is 'len(d["ports"])' 2
}

# The first one finds the daemon's files as they were; the second says what is wrong in them.
reload_says_what_is_wrong() {
	printf 'control %s\nsocket-path %s\nport 0,console,null\n' "$tmp/c" "$tmp/r" >"$tmp/conf"
	start_daemon 1 --config "$tmp/conf" && ctl -C "$tmp/c" reload || return 1
	echo "port nonsense" >>"$tmp/conf"
	refused 1 "$tmp/conf:4: --port nonsense" -C "$tmp/c" reload && ctl -C "$tmp/c" status
}

exit_statuses() {
	ctl status >/dev/null && refused 1 'has no port 9' remove-port 9 &&
		refused 2 'there is no command' fly && refused 2 'is expected is' steal &&
		refused 3 'cannot reach a daemon' -C "$tmp/nobody" status
}

# by_hand: many requests in one write, bad ones among them, by bytes of all kinds.
by_hand() {
	python3 - "$VHU_CONTROL" <<-'EOP'
		import json, os, socket, sys
		def connect():
		    s = socket.socket(socket.AF_UNIX)
		    s.connect(sys.argv[1])
		    s.settimeout(20)
		    return s
		s = connect()
		n = 3000
		lines = [b'{"command":"status","id":%d}' % i if i % 3 else b'\xff{' * (i % 50) + b'x'
		         for i in range(n)]
		f = s.makefile("rb")
		pid = os.fork()
		if pid == 0:
		    s.sendall(b"\n".join(lines) + b"\n")
		    os._exit(0)
		for i in range(n):
		    answer = json.loads(f.readline())
		    assert answer["ok"] == bool(i % 3), answer
		    assert i % 3 == 0 or answer["id"] == i, answer
		os.waitpid(pid, 0)
		for i in range(64):    # and some that do not stay for the answer
		    with connect() as s:
		        s.sendall(os.urandom(10000) + b"\n" + lines[1] + b"\n")
	EOP
}

# as_user USER GROUP: asks for the status as somebody else.
as_user() {
	setpriv --reuid="$1" --regid="$2" --clear-groups "$daemon" ctl -C "$VHU_CONTROL" status \
		>"$tmp/out" 2>"$tmp/err"
}

only_the_group_may() {
	chmod 755 "$tmp" && chgrp 4242 "$VHU_CONTROL" && chmod 0666 "$VHU_CONTROL" || return 1
	as_user 4241 4241
	[ $? -eq 1 ] && said "$tmp/err" 'only root' && said "$tmp/log" 'was turned away' &&
		as_user 4241 4242 && chmod 0606 "$VHU_CONTROL"
}

plan 24
start_daemon 1 --control "$VHU_CONTROL" --device "socket=$tmp/s0,max-ports=3" \
	--port "0,console,unix:$tmp/u0" --port "1,name=org.test.0,unix:$tmp/u1" \
	--sandbox-path "$tmp" || exit 1
check "status as tables" tables
check "status with counters" verbose_tables
check "status as JSON" own_pid
check "status tells the engine" engine
check "no front-end is there" front_end_is_seen False
check "output is switched off and on" output_is_switched
check "input is switched off and on" input_is_switched
check "overflow is changed" overflow_is_changed
check "a guest comes" watch_guest
check "its front-end is there" front_end_is_seen True
check "a size reaches the guest" size_reaches_the_guest
check "a new port reaches the guest" added_port_reaches_the_guest
check "a port that is removed leaves the guest" removed_port_leaves_the_guest
check "a port that is renamed leaves and comes back" renamed_port_is_replugged
check "a name that is in use is refused" name_in_use_is_refused
unwatch_guest
check "attachments come and go" attachments_come_and_go
check "of two clients, one has the keyboard" two_clients
check "the keyboard is handed over" keyboard_is_handed_over
check "clients are disconnected" client_is_disconnected
check "a reload makes it what is written" reload_undoes
check "exit statuses" exit_statuses
check "requests by hand, good and bad" by_hand
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	check "others than the group are turned away" only_the_group_may
else
	ok "others than the group are turned away # SKIP needs root and setpriv"
fi
end_daemon
check "a reload says what is wrong with the file" reload_says_what_is_wrong
