#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# vhu-load on the daemon: every mode, what it says of back-ends that fail or
# spoil what passes through them, and its command line.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires python3 timeout

vhu_load=$top_builddir/src/vhu-load
socket=$tmp/s0

# A console that loses nothing, consoles as they are by default, and a port for data.
console="$daemon --device socket=$socket,name=vm --port console,tcp:127.0.0.1:$port,overflow=hold \
--log-level error"
consoles="$daemon -s $tmp/s -c 3 -b network -p $port --log-level error"
data="$daemon --device socket=$socket,name=vm --port console,null \
--port name=data,tcp:127.0.0.1:$port --log-level error"

# load STATUS ARGUMENT...: ends with STATUS.
load() {
	want=$1
	shift
	timeout -s KILL 50 "$vhu_load" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	cat "$tmp/err" "$tmp/out"
	[ "$status" -eq "$want" ]
}

# holds_true EXPRESSION: of the last report, r.
holds_true() {
	python3 - "$tmp/out" "$1" <<-'END'
		import json, sys
		r = json.load(open(sys.argv[1]))
		if not eval(sys.argv[2]):
		    sys.exit(f"not true: {sys.argv[2]}")
	END
}

# measures EXPRESSION ARGUMENT...: a report of which it is true, without violations.
measures() {
	expression=$1
	shift
	load 0 "$@" --json && [ ! -s "$tmp/err" ] &&
		holds_true "r['violations'] == 0 and ($expression)"
}

on_console() {
	expression=$1
	shift
	measures "$expression" "$@" --socket "$socket" --tcp-port "$port" --exec "$console" \
		--no-limit
}

on_data() {
	expression=$1
	shift
	measures "$expression" "$@" --socket "$socket" --tcp-port "$port" --exec "$data" \
		--no-limit --port data
}

on_three() {
	expression=$1
	shift
	measures "r['guests'] == 3 and ($expression)" "$@" --socket-path "$tmp/s" --guests 3 \
		--tcp-port "$port" --exec "$consoles" --no-limit
}

# wrong TEXT ARGUMENT...: a wrong command line, for which one line has TEXT in it.
wrong() {
	text=$1
	shift
	load 2 "$@" && [ "$(wc -l <"$tmp/err")" -eq 1 ] && [ ! -s "$tmp/out" ] &&
		said "$tmp/err" "$text"
}

# fails TEXT ARGUMENT...: cannot measure, and says why.
fails() {
	text=$1
	shift
	load 1 "$@" && [ ! -s "$tmp/out" ] && said "$tmp/err" "$text"
}

# Starts vhu-load in the background on a daemon that has written its process's number to
# $tmp/pid. Sets $loader.
load_behind() {
	rm -f "$tmp/pid"
	"$vhu_load" "$@" --socket "$socket" --tcp-port "$port" --no-limit \
		--exec "sh -c 'echo \$\$ >$tmp/pid; exec $console'" >"$tmp/out" 2>"$tmp/err" &
	loader=$!
}

# The daemon's number, and the first descriptor of the guest's memory.
guest_is_up() {
	[ -s "$tmp/pid" ] && find "/proc/$loader/fd" -lname '/memfd:guest*' 2>/dev/null | grep -q .
}

loader_ends() {
	wait "$loader"
	status=$?
	cat "$tmp/err"
	[ "$status" -eq "$1" ] && said "$tmp/err" "$2"
}

daemon_dies() {
	load_behind "$@" -t 30
	if wait_for 10 guest_is_up; then
		kill -KILL "$(cat "$tmp/pid")"
	else
		kill "$loader"
	fi
	loader_ends 1 'by signal 9'
}

daemon_is_ended() {
	load_behind kick --messages 10
	wait "$loader" && [ -s "$tmp/pid" ] && ! kill -0 "$(cat "$tmp/pid")" 2>/dev/null
}

# The memory of a guest has ring 1 in the second page of its region: the used index of a
# ring of 16 entries is the word at 298. Written until somebody has seen it.
used_index_goes_too_far() {
	load_behind kick --ring 16 --rate 20 -t 30
	wait_for 10 guest_is_up || return 1
	python3 - "$loader" <<-'END'
		import mmap, os, sys, time
		fds = f"/proc/{sys.argv[1]}/fd"
		guest = next(f"{fds}/{fd}" for fd in os.listdir(fds)
		             if os.readlink(f"{fds}/{fd}").startswith("/memfd:guest"))
		with open(guest, "r+b") as f:
		    memory = mmap.mmap(f.fileno(), 0)
		index, deadline = 0x100000 + 4096 + 298, time.monotonic() + 10
		state = open(f"/proc/{sys.argv[1]}/stat")
		while time.monotonic() < deadline:
		    memory[index:index + 2] = b"\x00\x40"
		    state.seek(0)
		    if state.read().rpartition(")")[2].split()[0] == "Z":
		        break
		    time.sleep(0.01)
	END
	loader_ends 3 'more chains returned than offered'
}

# spoils HOW DIRECTION WHERE: the 5000th byte that passes between the daemon and the peer
# is wrong, lost or doubled.
spoils() {
	python3 - "$1" "$2" "$port" "$((port + 8))" >"$tmp/ready" 2>"$tmp/spoiler" <<-'END' &
		import socket, sys, threading, time
		how, direction, port, own = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
		at = 5000
		def spoiled(data, i):
		    byte = data[i:i + 1]
		    new = {"wrong": bytes([byte[0] ^ 4]), "lost": b"", "doubled": byte * 2}[how]
		    return data[:i] + new + data[i + 1:]
		def relay(source, sink, spoil):
		    n = 0
		    try:
		        while data := source.recv(65536):
		            i, n = at - n, n + len(data)
		            sink.sendall(spoiled(data, i) if spoil and 0 <= i < len(data) else data)
		    except OSError:
		        pass
		listener = socket.create_server(("127.0.0.1", own))
		print("ready", flush=True)
		peer, _ = listener.accept()
		deadline = time.monotonic() + 10
		while True:
		    try:
		        daemon = socket.create_connection(("127.0.0.1", port))
		        break
		    except OSError:
		        if time.monotonic() > deadline:
		            raise
		        time.sleep(0.01)
		threading.Thread(target=relay, args=(peer, daemon, direction == "rx"), daemon=True).start()
		relay(daemon, peer, direction == "tx")
	END
	spoiler=$!
	wait_for 10 said "$tmp/ready" ready || return 1
	fails "byte 5[0-9]* of the $3put is 0x.., not 0x" "$2" --messages 1000 --no-limit \
		--socket "$socket" --peer "tcp:127.0.0.1:$((port + 8))" --exec "$data" --port data
	result=$?
	kill "$spoiler" 2>/dev/null
	wait "$spoiler" 2>/dev/null
	return $result
}

prints() {
	text=$1
	shift
	load 0 "$@" && [ ! -s "$tmp/err" ] && said "$tmp/out" "$text"
}

plan 68

# Every mode.
all="r['messages'] == 300 and r['bytes'] == 300 * r['chunk']"
for mode in kick echo tx rx; do
	check "$mode on a console" on_console "$all" "$mode" --messages 300
	check "$mode on a port for data" on_data "$all" "$mode" --messages 300
	check "$mode, sleeping" on_data "$all" "$mode" --messages 300 --wait call
	check "$mode, indirect chains" on_data "$all" "$mode" --messages 300 --chunk 1000 \
		--chain 7 --indirect
	check "$mode, long chains in a small ring, without EVENT_IDX" on_console "$all" "$mode" \
		--messages 300 --chunk 70000 --chain 4 --ring 16 --event-idx off
done
both="r['messages'] == 600 and r['bytes'] == 600 * 4096"
check "duplex on a console" on_console "$both" duplex --messages 300
check "duplex on a port for data" on_data "$both" duplex --messages 300
check "duplex, sleeping" on_data "$both" duplex --messages 300 --wait call
check "many" on_three "$all and r['starved_ns'] > 0" many --messages 300 --depth 4
check "many, sleeping" on_three "$all" many --messages 300 --depth 4 --wait call
check "idle" on_three "r['fds_per_guest'] > 0 and r['private_bytes'] > 0" idle --seconds 1
check "start" on_three "r['messages'] == 3 and 0 < r['listen_ns'] <= r['serve_ns'] and \
	r['first_handshake_ns'] >= r['min_ns'] and r['cpu_us_per_message'] > 0" start

# How messages come.
check "several under way" on_data "$all" echo --messages 300 --depth 8
check "open loop" on_data "$all and r['rate'] == 2000" kick --messages 300 --rate 2000
check "kick, the back-end asleep" on_data "$all" kick --messages 300 --asleep
check "echo, the back-end asleep" on_data "$all" echo --messages 300 --asleep
for style in uml crosvm cloud-hypervisor libkrun; do
	check "handshake of $style" on_console "$all" kick --messages 300 --style "$style"
done
check "a peer by its address" measures "$all" kick --messages 300 --no-limit \
	--socket "$socket" --peer "tcp:127.0.0.1:$port" --exec "$console"

# Limits.
check "a limit in the same run" measures "r['limit'] == 'wake' and r['ratio'] > 0" kick \
	--messages 300 --seconds 1 --socket "$socket" --tcp-port "$port" --exec "$console"
check "limits alone" load 0 limit memcpy eventfd wake tcp-ping tcp-stream tcp-best relay-echo \
	relay-tx relay-rx --messages 100 --json
check "which are an object" holds_true "len(r['limits']) == 9"
check "the text names them" prints '^relay-echo ' limit relay-echo --messages 100

# A back-end that fails, or spoils what passes.
check "wrong byte of output" spoils wrong tx out
check "wrong byte of input" spoils wrong rx in
check "lost byte of output" spoils lost tx out
check "lost byte of input" spoils lost rx in
check "doubled byte of output" spoils doubled tx out
check "doubled byte of input" spoils doubled rx in
check "a used index too far" used_index_goes_too_far
check "dies while guests do nothing" daemon_dies idle
check "dies while a driver polls" daemon_dies kick --rate 20
check "dies while a driver sleeps" daemon_dies kick --rate 20 --wait call
check "dies under a stream" daemon_dies tx
check "ends with vhu-load" daemon_is_ended
check "ends at once" fails 'ended with status 7' kick --socket "$socket" --tcp-port "$port" \
	--no-limit --exec 'sh -c "exit 7"'
check "nobody listens" fails "$tmp/none" idle --socket "$tmp/none"

# The command line.
check "no mode" wrong 'expected a mode'
check "unknown mode" wrong 'unknown mode knock' knock
check "unknown limit" wrong 'unknown limit knock' limit knock
check "no socket" wrong 'either --socket or' idle
check "no peer" wrong 'expected --peer' kick --socket "$socket"
check "peers of fewer guests" wrong 'as many --peer' many --socket a --socket b --peer unix:p
check "plot of a stream" wrong 'no latencies' tx --plot x.png --socket a --tcp-port 1
check "plot of an unknown kind" wrong 'png or .svg' kick --plot x.gif --socket a --tcp-port 1
check "rate of a stream" wrong 'go with kick and echo' tx --rate 5 --socket a --tcp-port 1
check "depth of a stream" wrong 'goes with kick, echo and many' tx --depth 4 --socket a --tcp-port 1
check "a peer's port above all" wrong '99999' kick --socket a --peer tcp:127.0.0.1:99999
check "rings of an unknown kind" wrong "'square' is not one of packed, in-order" \
	tx --ring-features packed,square --socket a --tcp-port 1
check "a split ring of odd size" wrong 'not a power of two' tx --ring 100 --socket a --tcp-port 1
check "help names the modes" prints '^  duplex  ' --help
