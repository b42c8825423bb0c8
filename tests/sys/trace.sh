#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# vhu-trace between a guest and the daemon: both notice nothing, and what is
# written down is what was said. And the daemon's own --trace.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires python3 timeout

vhu_trace=$top_builddir/src/vhu-trace
vhu_conform=$top_builddir/src/vhu-conform
front=$tmp/front
trace_pid=

stop_trace_hard() {
	[ -n "$trace_pid" ] || return 0
	kill -KILL "$trace_pid" 2>/dev/null
	wait "$trace_pid" 2>/dev/null
	trace_pid=
}
cleanup_fn stop_trace_hard

# start_trace ARGUMENT...: between $front and the daemon; text to $tmp/text.
start_trace() {
	stop_trace_hard
	: >"$tmp/trace.err"
	"$vhu_trace" --listen "$front" --connect "$tmp/s0" "$@" >"$tmp/text" 2>"$tmp/trace.err" \
		</dev/null &
	trace_pid=$!
	wait_for 20 said "$tmp/trace.err" 'passed on to' && return
	note "$tmp/trace.err"
	return 1
}

# end_trace STATUS [SIGNAL]: it ends with STATUS.
end_trace() {
	kill "-${2:-TERM}" "$trace_pid"
	await_trace "$1"
}

# await_trace STATUS: it ends by itself.
await_trace() {
	wait "$trace_pid"
	trace_status=$?
	trace_pid=
	[ "$trace_status" -eq "$1" ]
}

# through ARGUMENT...: a guest whose front-end connects to vhu-trace.
through() {
	timeout 30 "$vhu_guest" --socket "$front" "$@" 2>"$tmp/guest" </dev/null
}

# one_session TRACE-ARGUMENT...: a guest boots, sends a line and goes.
one_session() {
	start_trace --once "$@" && through send hello && await_trace 0
}

# shown ARGUMENT...: the capture, read with ARGUMENT..., in $tmp/shown.
shown() {
	timeout 30 "$vhu_trace" --read "$tmp/x.pcapng" "$@" >"$tmp/shown" 2>"$tmp/shown.err"
}

# names FILE: the messages in it, one a line, "-> NAME" or "<- NAME".
names() {
	sed -nE 's/^[^-<]*(->|<-) ([A-Z_]+).*/\1 \2/p' "$1"
}

start_daemon 1 -s "$tmp/s" -b network -p "$port"

# A session

session_is_complete() {
	one_session --time none -w "$tmp/x.pcapng" || return 1
	names "$tmp/text" >"$tmp/names"
	for name in GET_FEATURES SET_FEATURES SET_VRING_KICK GET_VRING_BASE; do
		grep -q -e "^-> $name\$" "$tmp/names" || return 1
	done
	# Each question has its answer after it.
	[ "$(grep -c -e '-> GET_' "$tmp/names")" -eq "$(grep -c -e '<- GET_' "$tmp/names")" ] &&
		said "$tmp/text" 'fds=\[eventfd\]' && said "$tmp/text" 'fds=\[memfd' &&
		said "$tmp/text" 'ring 1: .*running' && ! said "$tmp/text" '!'
}

bytes_are_the_same() {
	shown --json && python3 - "$tmp/shown" <<-'END'
		import json, sys
		asked = []
		for line in open(sys.argv[1]):
		    r = json.loads(line)
		    if r['kind'] != 'message':
		        continue
		    data = bytes.fromhex(r['bytes'])
		    number, flags, size = (int.from_bytes(data[i:i + 4], 'little') for i in (0, 4, 8))
		    assert number == r['id'] and size == len(data) - 12, r
		    if r.get('reply'):
		        assert asked.pop(0) == number, r
		    elif r['name'].startswith('GET_') or r.get('need_reply'):
		        asked.append(number)
		assert not asked
	END
}

capture_reads_the_same() {
	shown --time none && diff "$tmp/text" "$tmp/shown"
}

capture_comes_by_a_pipe() {
	timeout 30 "$vhu_trace" -r - --time none <"$tmp/x.pcapng" >"$tmp/shown" &&
		diff "$tmp/text" "$tmp/shown"
}

cut_capture_shows_what_there_is() {
	head -c "$(($(wc -c <"$tmp/x.pcapng") - 7))" "$tmp/x.pcapng" >"$tmp/cut.pcapng"
	timeout 30 "$vhu_trace" -r "$tmp/cut.pcapng" --time none >"$tmp/shown" 2>"$tmp/err"
	[ $? -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] &&
		[ "$(names "$tmp/shown" | wc -l)" -eq "$(names "$tmp/text" | wc -l)" ]
}

filters_choose() {
	shown --time none --only 'GET_FEATURES,SET_VRING_*' && names "$tmp/shown" >"$tmp/names" &&
		said "$tmp/names" GET_FEATURES && said "$tmp/names" SET_VRING_NUM &&
		! grep -vE 'GET_FEATURES|SET_VRING_' "$tmp/names" &&
		shown --time none --from back-end && ! said "$tmp/shown" '^->' &&
		said "$tmp/shown" '^<- ' &&
		shown --time none --ring 1 --only 'SET_VRING_NUM' &&
		[ "$(names "$tmp/shown" | wc -l)" -eq 1 ] &&
		shown --time none --not 'GET_*' && ! said "$tmp/shown" ' GET_'
}

several_outputs() {
	shown --time none -o "$tmp/o.txt" --html "$tmp/o.html" -w "$tmp/o.pcapng" &&
		[ ! -s "$tmp/shown" ] && diff "$tmp/text" "$tmp/o.txt" &&
		said "$tmp/o.html" '</html>' &&
		timeout 30 "$vhu_trace" -r "$tmp/o.pcapng" --time none >"$tmp/again" &&
		diff "$tmp/text" "$tmp/again"
}

nothing_is_broken() {
	shown --broken && ! said "$tmp/shown" ' ! '
}

# What the guest and its port get

bulk_is_not_touched() {
	start_trace --once --rings all -o "$tmp/text.all" && through seq 3000 &&
		await_trace 0 && said "$tmp/text.all" 'ring 1: '
}

three_sessions() {
	start_trace --time none && through --connections 3 send hello && end_trace 0 &&
		[ "$(grep -c 'a front-end has connected' "$tmp/text")" -eq 3 ] &&
		[ "$(grep -c 'SET_MEM_TABLE\|-> ADD_MEM_REG' "$tmp/text")" -ge 3 ]
}

usr1_shows_rings() {
	start_trace --time none && rm -f "$tmp/hold" && mkfifo "$tmp/hold" || return 1
	"$vhu_guest" --socket "$front" watch <"$tmp/hold" >"$tmp/events" 2>"$tmp/guest" &
	watcher=$!
	exec 6>"$tmp/hold"
	wait_for 10 said "$tmp/guest" up && kill -USR1 "$trace_pid" &&
		wait_for 10 said "$tmp/text" 'ring 0: asked'
	status=$?
	exec 6>&-
	wait "$watcher"
	[ $status -eq 0 ] && end_trace 0
}

data_follows_on_request() {
	one_session --time none --follow-data && said "$tmp/text" '68 65 6c 6c 6f' &&
		one_session --time none --rings all && ! said "$tmp/text" '68 65 6c 6c 6f'
}

# What the daemon returns before anybody looks is not measured, but it is looked at.
latencies_are_looked_for() {
	one_session --latency && said "$tmp/text" 'chains  *offered  *returned' &&
		said "$tmp/text" 'ring 1: finish'
}

rings_none_maps_nothing() {
	one_session --rings none && ! said "$tmp/text" 'begin'
}

# Ends

backend_not_there() {
	rm -f "$tmp/none"
	start_trace --time none || return 1
	stop_trace_hard
	"$vhu_trace" -l "$front" -c "$tmp/none" >"$tmp/text" 2>"$tmp/trace.err" &
	trace_pid=$!
	wait_for 20 said "$tmp/trace.err" 'passed on to' || return 1
	! through send hello && said "$tmp/text" 'cannot connect to .*none' && end_trace 0
}

backend_killed() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" && start_trace --time none || return 1
	rm -f "$tmp/hold"
	mkfifo "$tmp/hold"
	"$vhu_guest" --socket "$front" watch <"$tmp/hold" >"$tmp/events" 2>"$tmp/guest" &
	watcher=$!
	exec 6>"$tmp/hold"
	wait_for 10 said "$tmp/guest" up && kill_daemon &&
		wait_for 10 said "$tmp/text" 'the back-end has closed'
	status=$?
	exec 6>&-
	wait "$watcher"
	[ $status -eq 0 ] && start_daemon 1 -s "$tmp/s" -b network -p "$port" &&
		through send again && end_trace 0
}

frontend_killed() {
	start_trace --time none && through --die send hello
	wait_for 10 said "$tmp/text" 'the front-end has closed' && through send again &&
		end_trace 0 INT
}

reader_that_leaves_stops_nobody() {
	rm -f "$tmp/pipe"
	mkfifo "$tmp/pipe"
	head -n 1 <"$tmp/pipe" >"$tmp/first" &
	"$vhu_trace" -l "$front" -c "$tmp/s0" --once -w "$tmp/x.pcapng" >"$tmp/pipe" \
		2>"$tmp/trace.err" </dev/null &
	trace_pid=$!
	wait_for 20 said "$tmp/trace.err" 'passed on to' && through send hello &&
		await_trace 1 && [ "$(grep -c 'cannot write standard output' "$tmp/trace.err")" -eq 1 ] &&
		shown --time none && said "$tmp/shown" GET_VRING_BASE
}

reading_for_head_is_quiet() {
	{ "$vhu_trace" -r "$tmp/x.pcapng" 2>"$tmp/err"; } | head -n 1 >"$tmp/first"
	[ ! -s "$tmp/err" ] && [ "$(wc -l <"$tmp/first")" -eq 1 ]
}

socket_file_is_gone_at_the_end() {
	start_trace && [ -S "$front" ] && end_trace 0 && [ ! -e "$front" ]
}

# verdicts SOCKET FILE: of cases that look at nothing but the socket.
verdicts() {
	timeout 100 "$vhu_conform" --socket "$1" --device console --select 'vu/row/*' \
		--select 'vu/framing/*' --select 'vu/features/*' --select 'vu/fds/*' \
		--skip 'vu/fds/cloexec/*' --format jsonl >"$2.raw" 2>"$tmp/err"
	sed -nE 's/.*"type":"result","id":"([^"]*)".*"verdict":"([^"]*)".*/\1 \2/p' "$2.raw" >"$2"
	[ "$(wc -l <"$2")" -gt 100 ]
}

conformance_is_that_of_the_backend() {
	start_trace -w "$tmp/x.pcapng" -o /dev/null && verdicts "$tmp/s0" "$tmp/direct" &&
		verdicts "$front" "$tmp/indirect" && end_trace 0 &&
		diff "$tmp/direct" "$tmp/indirect"
}

broken_rules_are_found() {
	shown --broken
	[ $? -eq 1 ] && said "$tmp/shown" ' ! VU-' && said "$tmp/shown" '(VERSION)' &&
		shown && [ "$(wc -l <"$tmp/shown.err")" -eq 0 ]
}

# The daemon's own

daemon_writes_the_same() {
	start_daemon 1 -s "$tmp/s" -b network -p "$port" --trace "$tmp/d.pcapng" &&
		one_session --time none && end_daemon && [ "$daemon_status" -eq 0 ] &&
		"$vhu_trace" -r "$tmp/d.pcapng" --time none >"$tmp/shown" &&
		names "$tmp/text" >"$tmp/names" && names "$tmp/shown" | diff "$tmp/names" - &&
		said "$tmp/shown" 'a front-end has connected to console0'
}

daemon_writes_other_forms() {
	start_daemon 2 -s "$tmp/s" -c 2 -b network -p "$port" --loops 2 --trace "$tmp/d.jsonl" &&
		timeout 30 "$vhu_guest" --socket "$tmp/s0" send a 2>/dev/null &&
		timeout 30 "$vhu_guest" --socket "$tmp/s1" send b 2>/dev/null && end_daemon &&
		python3 - "$tmp/d.jsonl" <<-'END'
			import json, sys
			rows = [json.loads(line) for line in open(sys.argv[1])]
			assert {r['session'] for r in rows} == {1, 2}
			assert sum(r['kind'] == 'end' for r in rows) == 4
		END
}

daemon_cannot_write() {
	not_for_a_trace "$tmp/no/such" 'no/such'
}

# not_for_a_trace FILE TEXT: the daemon ends with one line that has TEXT in it.
not_for_a_trace() {
	timeout 10 "$daemon" -s "$tmp/s" -b network -p "$port" --trace "$1" \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	[ $? -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && said "$tmp/err" "$2"
}

# Guests would wait for whoever reads, or for memory.
daemon_writes_files_only() {
	rm -f "$tmp/pipe" && mkfifo "$tmp/pipe" && not_for_a_trace "$tmp/pipe" 'expected a file' &&
		not_for_a_trace "$tmp/d.html" 'vhu-trace -r'
}

pipe_that_nobody_reads() {
	timeout 10 "$vhu_trace" -l "$tmp/f" -c "$tmp/s0" -o "$tmp/pipe" >"$tmp/out" 2>"$tmp/all"
	status=$?
	# Which engine it took is another matter.
	grep -v '; poll(2) takes its place' "$tmp/all" >"$tmp/err"
	[ "$status" -eq 1 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && said "$tmp/err" "$tmp/pipe"
}

# wrong TEXT ARGUMENT...: a wrong command line, for which one line has TEXT in it.
wrong() {
	text=$1
	shift
	timeout 10 "$vhu_trace" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	[ $? -eq 2 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && [ ! -s "$tmp/out" ] &&
		said "$tmp/err" "$text"
}

help_fits() {
	"$vhu_trace" --help >"$tmp/help" && [ "$(wc -l <"$tmp/help")" -le 45 ] &&
		! grep -q '.\{81\}' "$tmp/help" &&
		"$vhu_trace" --version | grep -q '^vhu [0-9]'
}

# An io_uring that was asked for and is forbidden: one line, and a status of its own.
without_uring() {
	"$no_uring" "$vhu_trace" -l "$tmp/a" -c "$tmp/b" --engine uring 2>"$tmp/err"
	status=$?
	cat "$tmp/err"
	[ "$status" -eq 3 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && said "$tmp/err" 'io_uring'
}

plan 36

check "a session is written down, message by message" session_is_complete
check "the bytes are messages, and each reply follows its request" bytes_are_the_same
check "a capture reads the same as what was shown" capture_reads_the_same
check "a capture comes by a pipe" capture_comes_by_a_pipe
check "a capture that is cut shows what there is" cut_capture_shows_what_there_is
check "filters choose" filters_choose
check "several outputs at once" several_outputs
check "nothing is broken between guest and daemon" nothing_is_broken
check "bulk data is not touched" bulk_is_not_touched
check "sessions, one after the other" three_sessions
check "SIGUSR1 shows the rings" usr1_shows_rings
check "data is shown on request only" data_follows_on_request
check "latencies are looked for" latencies_are_looked_for
check "no rings, no pictures" rings_none_maps_nothing
check "a back-end that is not there" backend_not_there
check "a back-end that is killed, and comes again" backend_killed
check "a front-end that is killed" frontend_killed
check "a reader that leaves stops nobody" reader_that_leaves_stops_nobody
check "a capture that is read for head is quiet" reading_for_head_is_quiet
check "the socket's file is gone at the end" socket_file_is_gone_at_the_end
check "conformance through it is that of the back-end" conformance_is_that_of_the_backend
check "broken rules are found in what a tester does" broken_rules_are_found
check "the daemon's own trace has the same messages" daemon_writes_the_same
check "the daemon's own trace is a file" daemon_writes_files_only
check "a pipe that nobody reads is no output" pipe_that_nobody_reads
check "the daemon's own trace of two guests on two loops" daemon_writes_other_forms
check "the daemon says that it cannot write" daemon_cannot_write
check "nothing to look at" wrong 'listen PATH'
check "both a capture and a socket" wrong 'either' -r x -l y
check "a socket and no back-end" wrong 'connect PATH' -l "$tmp/a"
check "one path for both" wrong 'cannot be both' -l "$tmp/a" -c "$tmp/a"
check "a message that there is none of" wrong 'SET_NONSENSE' -r x --only GET_FEATURES,SET_NONSENSE
check "no list of rings" wrong 'list of rings' -r x --ring a
check "a path that is too long" wrong '107' -l "$tmp/a" -c "$(printf '%0110d' 0)"
check "io_uring that is forbidden and asked for" without_uring
check "help and version" help_fits
