#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Another program in the daemon's place (SIGUSR2): guests and clients notice nothing.
# And programs that cannot take it: the daemon goes on as if nothing had been asked.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires python3 socat timeout
[ "${VHU_STRICT:-auto}" = auto ] || skip_all "the strict sandbox starts no other program"

here=$top_srcdir/tests/sys
real=$top_builddir/src/vhost-device-console
conform=$top_builddir/src/vhu-conform
client_py=$here/upgrade-client.py

# The daemon runs from a place where another program can be put.
mkdir "$tmp/bin"
program=$tmp/bin/vdc
install_real() {
	cp "$real" "$program.new" && mv "$program.new" "$program"
}
install_real || exit 99
daemon=$program

# install_script: what comes on standard input is the new program.
install_script() {
	cat >"$program.new" && chmod +x "$program.new" && mv "$program.new" "$program"
}

n_upgraded() {
	grep -c 'console: upgraded: ' "$tmp/log"
}

n_refused() {
	grep -c 'not upgraded: ' "$tmp/log"
}

upgraded() {
	[ "$(n_upgraded)" -ge "$1" ]
}

refused() {
	[ "$(n_refused)" -ge "$1" ]
}

# upgrade: SIGUSR2, and the new program goes on.
upgrade() {
	next=$(($(n_upgraded) + 1))
	kill -USR2 "$daemon_pid" && wait_for 20 upgraded "$next" ||
		{ cat "$tmp/log"; return 1; }
}

# refuse TEXT: SIGUSR2 leads to a line with TEXT, and to nothing else.
refuse() {
	next=$(($(n_refused) + 1))
	before=$(n_upgraded)
	kill -USR2 "$daemon_pid" && wait_for 20 refused "$next" &&
		grep 'not upgraded: ' "$tmp/log" | tail -n 1 | grep -q -- "$1" &&
		[ "$(n_upgraded)" -eq "$before" ] && echoes 5 ||
		{ cat "$tmp/log"; return 1; }
}

# echo_guest N BYTES: a guest on socket N whose port 1 sends back what comes. Sets $guest.
echo_guest() {
	"$vhu_guest" --socket "$tmp/s$1" --port org.echo --timeout 60000 echo "$2" \
		2>"$tmp/guest$1" &
	guest=$!
}

# echoes BLOCKS: a guest and a client are as well served as ever.
echoes() {
	: >"$tmp/stop"
	echo_guest 0 $((4096 * $1))
	timeout 60 python3 "$client_py" "tcp:$port" "$1" "$tmp/stop" && wait "$guest"
}

# busy ADDRESS...: a guest and a client of each address are at it while the daemon is
# upgraded five times.
busy() {
	guests=
	clients=
	i=0
	rm -f "$tmp/stop"
	for address in "$@"; do
		echo_guest $i 1000000000
		guests="$guests $guest"
		timeout 100 python3 "$client_py" "$address" 100 "$tmp/stop" >"$tmp/client$i" &
		clients="$clients $!"
		wait_for 20 said "$tmp/client$i" READY || { cat "$tmp/log"; return 1; }
		i=$((i + 1))
	done
	for _ in 1 2 3 4 5; do
		upgrade || return 1
	done
	: >"$tmp/stop"
	for pid in $clients; do
		wait "$pid" || { cat "$tmp"/client? "$tmp"/guest? "$tmp/log"; return 1; }
	done
	cat "$tmp"/client?
	for pid in $guests; do
		kill "$pid" && wait "$pid"
	done
	return 0
}

write_conf() {
	cat >"$tmp/conf" <<-EOF2
		socket-path=$tmp/s
		socket-count=4
		control=$tmp/ctl
		port=0,console,tcp:$((port + 4))+%i
		port=1,name=org.echo,tcp:$port+%i,unix:$tmp/u%i,telnet:$((port + 8))+%i,pty:$tmp/p%i
	EOF2
}

kinds="tcp:$port unix:$tmp/u1 telnet:$((port + 10)) pty:$tmp/p3"
write_conf

# The one before ends by itself: its terminals are gone then.
start() {
	[ -z "$daemon_pid" ] || end_daemon
	start_daemon 4 --config "$tmp/conf" "$@"
}

under_load() {
	# shellcheck disable=SC2086
	start && busy $kinds
}

# One client, alone: its bytes go past the port's buffers.
bulk() {
	busy "tcp:$port"
}

with_workers() {
	# shellcheck disable=SC2086
	start --loops 2 && busy $kinds
}

twenty() {
	start && echoes 1 || return 1
	upgrade || return 1
	fds=$(daemon_fds)
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
		upgrade || return 1
	done
	echo "$fds descriptors before, $(daemon_fds) after"
	[ "$(daemon_fds)" -eq "$fds" ] && echoes 5
}

twice_at_once() {
	next=$(($(n_upgraded) + 1))
	kill -USR2 "$daemon_pid" && kill -USR2 "$daemon_pid" && wait_for 20 upgraded "$next" &&
		echoes 5
}

ctl() {
	timeout 20 "$real" ctl --control "$tmp/ctl" "$@"
}

by_ctl() {
	next=$(($(n_upgraded) + 1))
	[ "$(ctl upgrade)" = upgraded ] && upgraded "$next" && ctl status console3 && echoes 5
}

# Programs of the test are scripts from here on, whose interpreters the sandbox does not start.
by_ctl_refused() {
	start --sandbox none || return 1
	install_script <<-EOF2
		#!/bin/sh
		echo "I would rather not" >&2
		exit 1
	EOF2
	! ctl upgrade 2>"$tmp/ctl.err" && cat "$tmp/ctl.err" &&
		said "$tmp/ctl.err" " ctl: not upgraded: $program: .*I would rather not; all goes on" &&
		echoes 5
	result=$?
	install_real
	return $result
}

# A connection of the control socket goes on; its next request is answered by the new one.
control_connection_stays() {
	rm -f "$tmp/ask"
	mkfifo "$tmp/ask"
	timeout 30 socat -t 20 - "UNIX-CONNECT:$tmp/ctl" <"$tmp/ask" >"$tmp/answers" &
	asker=$!
	exec 7>"$tmp/ask"
	echo '{"command": "help", "id": 1}' >&7
	wait_for 10 said "$tmp/answers" '"id":1' && upgrade || return 1
	echo '{"command": "upgrade", "id": "two"}' >&7
	wait_for 20 said "$tmp/answers" '"id":"two"' || return 1
	echo '{"command": "help", "id": 3}' >&7
	wait_for 10 said "$tmp/answers" '"id":3' || return 1
	exec 7>&-
	wait "$asker"
	[ "$(wc -l <"$tmp/answers")" -eq 3 ] && ! grep '"ok":false' "$tmp/answers"
}

# What is there at the daemon's path by then is what goes on.
new_file_is_taken() {
	install_script <<-EOF2
		#!/bin/sh
		echo was here >>"$tmp/proof"
		exec "$real" "\$@"
	EOF2
	upgrade && [ "$(wc -l <"$tmp/proof")" -eq 3 ] && echoes 5
	result=$?
	install_real
	# Its own path is the real one's now.
	start --sandbox none && return $result
}

exits() {
	install_script <<-EOF2
		#!/bin/sh
		exit 1
	EOF2
	refuse "ended with status 1"
}

exits_well() {
	install_script <<-EOF2
		#!/bin/sh
		exit 0
	EOF2
	refuse "did not say that it can"
}

crashes() {
	install_script <<-EOF2
		#!/bin/sh
		kill -SEGV \$\$
	EOF2
	refuse "signal 11"
}

hangs() {
	install_script <<-EOF2
		#!/bin/sh
		exec sleep 1000
	EOF2
	refuse "did not answer in time"
}

cannot_be_executed() {
	install_script </dev/null && chmod -x "$program" && refuse "cannot be executed"
}

is_gone() {
	rm "$program" && refuse "cannot be executed"
}

# changed HOW TEXT
changed() {
	install_script <<-EOF2
		#!/bin/sh
		VHU_REAL=$real VHU_CHANGE=$1 exec python3 "$here/upgrade-newer.py" "\$@"
	EOF2
	refuse "$2"
}

setup_is_wrong() {
	install_real
	echo "port=2,nonsense:x" >>"$tmp/conf"
	refuse nonsense
	result=$?
	write_conf
	return $result
}

after_all_that() {
	install_real && upgrade && echoes 50
}

# A client that is there and silent before, during and after; files and logs as well.
others_stay() {
	cat >"$tmp/conf" <<-EOF2
		socket-path=$tmp/s
		port=0,console,tcp:$((port + 4)),log:$tmp/log0
		port=1,name=org.echo,tcp:$port
		port=2,name=org.file,file:$tmp/file
		port=3,name=org.out,unix-connect:$tmp/peer
	EOF2
	socat -u "UNIX-LISTEN:$tmp/peer" "CREATE:$tmp/out" &
	peer=$!
	wait_for 10 test -S "$tmp/peer" && start_daemon 1 --config "$tmp/conf" || return 1
	guest --port org.file seq 1000 && upgrade && guest --port org.file seq 1000 &&
		guest --port org.out seq 2000 && upgrade && guest --port org.out seq 2000 &&
		guest --port 0 seq 3000 && upgrade && guest --port 0 seq 3000 || return 1
	"$vhu_guest" --socket "$tmp/s0" --port org.file seq 1 2>/dev/null
	end_daemon
	wait "$peer"
	ls -l "$tmp"
	{ seq 1000; seq 1000; seq 1; } | cmp - "$tmp/file" &&
		{ seq 2000; seq 2000; } | cmp - "$tmp/out" &&
		[ "$(grep -c '^[0-9]*.\{0,1\}$' "$tmp/log0")" -ge 6000 ]
}

ends_well() {
	write_conf && start && upgrade && end_daemon && [ "$daemon_status" -eq 0 ] && [ ! -e "$tmp/s0" ] &&
		[ ! -e "$tmp/u1" ] && [ ! -e "$tmp/ctl" ] && [ ! -L "$tmp/p1" ]
}

# rings FEATURES: rings of that kind are in full use while the daemon is upgraded.
rings() {
	cat >"$tmp/conf" <<-EOF2
		socket-path=$tmp/s
		port=0,console,overflow=hold,tcp:$port
	EOF2
	start_daemon 1 --config "$tmp/conf" || return 1
	timeout -s KILL 60 "$top_builddir/src/vhu-load" duplex --socket "$tmp/s0" \
		--tcp-port "$port" --no-limit --seconds 3 --ring-features "$1" >"$tmp/out" 2>&1 &
	load=$!
	wait_for 20 said "$tmp/log" "joined" && upgrade && upgrade && upgrade && upgrade
	result=$?
	wait "$load" || { cat "$tmp/out" "$tmp/log"; return 1; }
	cat "$tmp/out"
	end_daemon
	return $result
}

# Journals and the record of what is in flight as well: what no kill loses, a kill
# after upgrades, or amid one, does not lose either (VU-171 to VU-173, VU-235).
killed_after() {
	timeout 100 "$top_builddir/tests/restart/restart" --kills 20 --upgrades 2 "$@" "$real"
}

# What it offers to front-ends that come later is what its words say.
offers_the_same() {
	start_daemon 1 --device "socket=$tmp/s0,iommu=on,max-ports=1" --port console,null &&
		"$conform" info "$tmp/s0" --has ACCESS_PLATFORM && upgrade &&
		"$conform" info "$tmp/s0" --has ACCESS_PLATFORM
	result=$?
	end_daemon
	return $result
}

plan 28
check "four kinds of clients lose, double and reorder nothing under load" under_load
check "nor does a stream in bulk" bulk
check "with --loops neither" with_workers
check "twenty upgrades leave no descriptor behind" twenty
check "SIGUSR2 twice at once is one upgrade, or two" twice_at_once
check "ctl upgrade is answered by the new program" by_ctl
check "a connection of the control socket goes on" control_connection_stays
check "ctl upgrade tells why it was refused" by_ctl_refused
check "the file that is there by then is the new program" new_file_is_taken
check "a program that exits is refused" exits
check "one that says nothing is refused" exits_well
check "one that crashes is refused" crashes
check "one that hangs is refused" hangs
check "one that cannot be executed is refused" cannot_be_executed
check "one that is not there is refused" is_gone
check "a state of a newer version is refused" changed version version
check "a state with another checksum is refused" changed checksum checksum
check "half a state is refused" changed cut state
check "a setup that cannot be read is refused" setup_is_wrong
check "after all that an upgrade is one" after_all_that
check "files, logs and connectors go on; the end is as ever" eval others_stay '&&' ends_well
check "so do sockets and pipes that were passed to it" \
	timeout 100 python3 "$here/upgrade-passed.py" "$real" "$vhu_guest" "$tmp"
check "and a terminal, which stays raw as long as its guest" \
	timeout 100 python3 "$here/upgrade-terminal.py" "$real" "$vhu_guest" "$tmp"
check "a device offers what it did" offers_the_same
check "packed rings go on" rings packed
check "and packed rings in order" rings packed,in-order
check "kills among upgrades lose and double nothing" killed_after
check "nor with packed rings" killed_after --packed
