#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# vhu-trace repl on the daemon: from nothing to a line on the console by hand,
# what scripts that are wrong get to hear, and somebody at a terminal.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires socat timeout

vhu_trace=$top_builddir/src/vhu-trace
session=$top_srcdir/doc/wire-format/session.vhu
typist=

# repl STATUS ARGUMENT...: ends with STATUS; what it says is in $tmp/said and $tmp/complained.
repl() {
	wanted=$1
	shift
	timeout 30 "$vhu_trace" repl "$tmp/s0" "$@" >"$tmp/said" 2>"$tmp/complained"
	got=$?
	[ "$got" -eq "$wanted" ] && return
	echo "status $got, not $wanted"
	cat "$tmp/said" "$tmp/complained"
	return 1
}

# script STATUS LINE...: these lines as a script.
script() {
	status=$1
	shift
	printf '%s\n' "$@" >"$tmp/script"
	repl "$status" "$tmp/script"
}

says() {
	grep -qF -e "$1" "$tmp/said" || { cat "$tmp/said"; return 1; }
}

complains() {
	grep -qF -e "$1" "$tmp/complained" || { cat "$tmp/complained"; return 1; }
}

# printed TIMES: so often has the guest printed the session's line.
printed() {
	[ "$(grep -c '^Hello, console!' "$tmp/console")" -eq "$1" ]
}

whole_session() {
	repl 0 "$session" && wait_for 10 printed 2 && says '<- GET_VRING_BASE reply index=1 num=2'
}

# The script as it stands, but for one expectation, which is wrong.
other_expectation() {
	sed 's/^expect index=1 num=2/expect index=1 num=3/' "$session" >"$tmp/other"
	repl 1 "$tmp/other" &&
		complains 'expected num=3, got GET_VRING_BASE reply index=1 num=2' &&
		complains "line $(grep -n '^expect index=1 num=3' "$tmp/other" | cut -d: -f1): "
}

wrong_statements() {
	script 2 GET_FEATURES 'SET_FEATURES FLYING' && complains 'line 2: value: expected names' &&
		script 2 'SET_VRING_NUM index=0 num=4 nun=4' &&
		complains 'nun is no field of it; expected index, num' &&
		script 2 fly && complains 'fly is neither a message nor a statement' &&
		script 2 'SET_VRING_NUM index=0 num=3' && complains 'breaks NUM_POWER'
}

broken_rules() {
	script 0 'break-rules on' 'SET_OWNER version=2' expect-closed &&
		says '!! VERSION: ' && says '<- the back-end has closed the connection'
}

from_standard_input() {
	echo GET_FEATURES | repl 0 && says '<- GET_FEATURES reply value=0x'
}

decoded() {
	script 0 GET_FEATURES && ! grep -q '^ ' "$tmp/said" &&
		repl 0 --fields --hex "$tmp/script" &&
		says 'VERSION_1' && says '01 00 00 00'
}

nobody_there() {
	timeout 10 "$vhu_trace" repl "$tmp/nowhere" "$session" >"$tmp/said" 2>"$tmp/complained"
	[ $? -eq 1 ] && complains "a connection to $tmp/nowhere: No such file or directory"
}

# At a terminal.

# types TEXT: as printf has it.
types() {
	# shellcheck disable=SC2059 # escapes of the caller are meant
	printf "$1" >&7
}

shown() {
	grep -qF -e "$1" "$tmp/screen"
}

# sees TEXT: it appears.
sees() {
	wait_for 10 shown "$1" && return
	echo "not seen: $1"
	cat "$tmp/screen"
	return 1
}

# at_terminal COMMAND...: while somebody sits there; the end of the input is the end, status 0.
at_terminal() {
	rm -f "$tmp/keys"
	mkfifo "$tmp/keys"
	: >"$tmp/screen"
	TERM=xterm timeout 60 socat -t 5 - \
		"EXEC:$vhu_trace repl $tmp/s0,pty,setsid,ctty,stderr" \
		<"$tmp/keys" >"$tmp/screen" 2>&1 &
	typist=$!
	exec 7>"$tmp/keys"
	"$@"
	at_status=$?
	types '\004'
	wait "$typist" || at_status=1
	exec 7>&-
	return "$at_status"
}

goes_on() {
	sees 'vhu> ' && types 'fly\r' && sees 'neither a message' &&
		types 'GET_FEATURES\r' && sees '<- GET_FEATURES reply'
}

completes() {
	sees 'vhu> ' && types 'GET_PROTO\t\r' && sees 'GET_PROTOCOL_FEATURES breaks' &&
		types 'GET_FEA\t\r' && sees '<- GET_FEATURES reply' &&
		types 'eventfd e1\r' && types 'SET_VRING_K\tri\t0 fds=\t\r' &&
		sees '> SET_VRING_KICK ring=0 fds=1'
}

# In small letters; and all ways are told once, however often they are asked for.
completes_small_letters() {
	sees 'vhu> ' && types 'get_fea\t\r' && sees '<- GET_FEATURES reply' &&
		types 'SET_VRING_E\t\t\t' && sees 'SET_VRING_ENABLE' &&
		types 'NDIAN index=0 num=0\r' && sees 'SET_VRING_ENDIAN breaks' || return 1
	[ "$(grep -c 'SET_VRING_ERR' "$tmp/screen")" -eq 1 ]
}

# taken TEXT: a line of it has been read, and has said nothing so far.
taken() {
	shown "$1" && [ -z "$(tail -c 1 "$tmp/screen")" ]
}

# ^C ends what is awaited, throws away what is typed, and ends nothing else.
interrupts() {
	sees 'vhu> ' && types 'wait 60000\r' && wait_for 10 taken 'wait 60000' &&
		types '\003' && sees 'interrupted' && types 'GET_FEA' && sees 'GET_FEA' && types '\003' &&
		types 'eventfd e\r' && types 'silent e 60000\r' &&
		wait_for 10 taken 'silent e 60000' && types '\003' && types 'show\r' && sees 'connection 0' &&
		types 'GET_FEATURES\r' && sees '<- GET_FEATURES reply' &&
		! shown 'neither a message'
}

# Nothing is typed, and yet it is told.
hears_the_end() {
	sees 'vhu> ' && types 'GET_FEATURES\r' && sees '<- GET_FEATURES reply' &&
		end_daemon && sees '<- the back-end has closed the connection'
}

serve() {
	start_daemon 1 -s "$tmp/s" --port "0,console,file:$tmp/console"
}

plan 14
check "the daemon is up" serve
check "by hand from nothing to a line on the console" whole_session
check "an expectation that is not met" other_expectation
check "wrong statements" wrong_statements
check "rules are broken on purpose" broken_rules
check "statements from standard input" from_standard_input
check "fields and bytes" decoded
check "no back-end" nobody_there
check "at a terminal errors end nothing" at_terminal goes_on
if grep -q '^#define HAVE_LIBEDIT 1' "$top_builddir/config.h"; then
	check "at a terminal words are ended" at_terminal completes
	check "at a terminal words are ended in small letters" at_terminal completes_small_letters
else
	ok "at a terminal words are ended # SKIP built without libedit"
	ok "at a terminal words are ended in small letters # SKIP built without libedit"
fi
check "at a terminal ^C ends a wait and a line" at_terminal interrupts
check "at a terminal the end is told at once" at_terminal hears_the_end
check "no crash, no complaint of the daemon" grep -q 'console0' "$tmp/log"
