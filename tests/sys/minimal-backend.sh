#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# examples/minimal-backend.c: small, of libc alone, without warnings, conforming, and a console.

. "$(dirname "$0")/tap.sh"

requires cc timeout

source=$top_srcdir/examples/minimal-backend.c
program=$top_builddir/examples/minimal-backend
conform=$top_builddir/src/vhu-conform
trace=$top_builddir/src/vhu-trace
vhu_guest=$top_builddir/tests/tools/vhu-guest

back_end=
stop_back_end() {
	exec 7>&-
	[ -z "$back_end" ] || { kill "$back_end" && wait "$back_end"; } 2>/dev/null
	back_end=
}
cleanup_fn stop_back_end

# start_back_end: at $tmp/socket; descriptor 7 is its input, $tmp/printed its output.
start_back_end() {
	stop_back_end
	rm -f "$tmp/keys" "$tmp/socket"
	mkfifo "$tmp/keys"
	"$program" "$tmp/socket" <"$tmp/keys" >"$tmp/printed" 2>"$tmp/err" &
	back_end=$!
	exec 7>"$tmp/keys"
	wait_for 10 test -S "$tmp/socket"
}

guest() {
	timeout -s KILL 30 "$vhu_guest" --socket "$tmp/socket" "$@" 2>"$tmp/guest"
}

small() {
	[ "$(wc -l <"$source")" -le 300 ] && ! expand "$source" | grep '.\{101\}'
}

# What is included, and what is linked.
of_libc_alone() {
	grep '^#include' "$source" >"$tmp/includes" && ! grep -v '<[a-z/]*\.h>$' "$tmp/includes" &&
		! grep 'linux/\|uring' "$tmp/includes" &&
		cc -o "$tmp/alone" "$source" && cc -o "$tmp/alone" "$source" -nodefaultlibs -lc -lgcc
}

without_warnings() {
	cc -std=gnu11 -O2 -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wcast-qual \
		-Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla -Wundef -Werror \
		-c -o "$tmp/quiet.o" "$source"
}

# conforms ARGUMENT...
conforms() {
	timeout -s KILL 200 "$conform" --exec "$program {socket}" "$@" >"$tmp/verdict" 2>&1
	status=$?
	tail -n 40 "$tmp/verdict"
	[ "$status" -eq 0 ] && grep -q ' pass, 0 fail' "$tmp/verdict" &&
		! grep -q ' 0 pass' "$tmp/verdict"
}

# The same output twice, from two guests, one after the other.
prints() {
	start_back_end && guest seq 2000 && guest seq 2000 || return 1
	{ seq 2000 && seq 2000; } | tr -d '\r' >"$tmp/want"
	wait_for 10 printed && cmp "$tmp/want" "$tmp/plain"
}

printed() {
	tr -d '\r' <"$tmp/printed" >"$tmp/plain"
	[ "$(wc -c <"$tmp/plain")" -ge "$(wc -c <"$tmp/want")" ]
}

# A kilobyte waits before the guest comes, and arrives in order.
reads() {
	start_back_end && seq 1000 | head -c 1000 >"$tmp/want" && cat "$tmp/want" >&7 &&
		guest sink 1000 >"$tmp/read" && cmp "$tmp/want" "$tmp/read"
}

# A guest whose machine dies, and the next one.
survives() {
	start_back_end || return 1
	guest --die send one
	guest send two && wait_for 10 grep -q two "$tmp/printed" && kill -0 "$back_end"
}

# style NAME: a front-end with the habits of NAME, and its device started anew.
style() {
	start_back_end && guest --style "$1" --reboots 1 send hello &&
		wait_for 10 grep -q hello "$tmp/printed"
}

# by_hand: a script of what it reads holds, once ring 1 is set up. The ring has four entries: the
# descriptors are at 0, and the first is a line, the available ring at 0x100, the used at 0x200.
by_hand() {
	cat >"$tmp/script" <<-'END'
		SET_OWNER
		GET_FEATURES
		GET_PROTOCOL_FEATURES
		SET_PROTOCOL_FEATURES MQ|REPLY_ACK
		SET_FEATURES VERSION_1|PROTOCOL_FEATURES
		memory ram 0x10000
		SET_MEM_TABLE fds=ram regions[0].guest_addr=0x100000 regions[0].size=0x10000 \
			regions[0].user_addr=0x7f0000000000
		write ram 0x1000 390a
		write ram 0x0 0010100000000000 02000000 0000 0000
		eventfd kick
		SET_VRING_NUM index=1 num=4
		SET_VRING_BASE index=1 num=0
		SET_VRING_ADDR index=1 desc=0x7f0000000000 avail=0x7f0000000100 used=0x7f0000000200
		break-rules on
	END
	cat >>"$tmp/script"
	start_back_end && timeout -s KILL 30 "$trace" repl "$tmp/socket" "$tmp/script"
}

# A line before the request, and one after it.
refused() {
	by_hand <<-END
		SET_VRING_KICK ring=1 fds=kick
		SET_VRING_ENABLE index=1 num=1
		write ram 0x102 0100
		kick kick
		await16 ram 0x202 1
		$1 need_reply
		expect value=1
		write ram 0x102 0200
		kick kick
		await16 ram 0x202 2
		SET_VRING_ENABLE index=1 num=1 need_reply
		expect value=0
	END
}

# Without bit 30 rings would be enabled.
refused_features_enable_nothing() {
	by_hand <<-END
		SET_VRING_KICK ring=1 fds=kick
		SET_FEATURES value=0x8000000000000000 need_reply
		expect value=1
		write ram 0x102 0100
		kick kick
		GET_QUEUE_NUM
		check16 ram 0x202 0
	END
}

# The device before this one has died while it wanted no kicks.
asks_for_kicks() {
	by_hand <<-END
		write ram 0x200 0100
		SET_VRING_KICK ring=1 fds=kick
		SET_VRING_ENABLE index=1 num=1
		await16 ram 0x200 0
		write ram 0x102 0100
		kick kick
		await16 ram 0x202 1
		check16 ram 0x200 0
	END
}

# Its interrupt comes from there: without it no device is found. Nothing else here shows that.
offers_a_channel() {
	by_hand <<-END
		GET_PROTOCOL_FEATURES
		expect MQ|REPLY_ACK|BACKEND_REQ
	END
}

# Half a header of GET_FEATURES, then half a SET_VRING_ENABLE: rings go on.
half_a_message() {
	by_hand <<-END
		SET_VRING_KICK ring=1 fds=kick
		SET_VRING_ENABLE index=1 num=1
		send 0 010000
		write ram 0x102 0100
		kick kick
		await16 ram 0x202 1
		send 0 00 01000000 00000000
		recv 0 01000000 05000000 08000000 0000004001000000
		send 0 12000000 09000000 08000000 01000000
		write ram 0x102 0200
		kick kick
		await16 ram 0x202 2
		send 0 01000000
		recv 0 12000000 05000000 08000000 0000000000000000
	END
}

# What cannot be written is not taken for written.
output_that_fails() {
	stop_back_end
	rm -f "$tmp/socket"
	timeout -s KILL 10 "$program" "$tmp/socket" </dev/null >/dev/full 2>"$tmp/err" &
	back_end=$!
	wait_for 10 test -S "$tmp/socket"
	guest send lost
	wait "$back_end"
	[ $? -eq 1 ] && grep 'standard output' "$tmp/err"
}

# usage STATUS ARGUMENT...
usage() {
	want=$1
	shift
	timeout -s KILL 10 "$program" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq "$want" ] && [ "$(wc -l <"$tmp/err")" -eq 1 ]
}

# A file that is no socket stays, and so does a socket that is in use.
takes_nothing_away() {
	echo mine >"$tmp/file" && usage 1 "$tmp/file" && [ "$(cat "$tmp/file")" = mine ] &&
		start_back_end && usage 1 "$tmp/socket" && guest boot
}

serves_at_an_old_socket() {
	start_back_end && kill -KILL "$back_end" || return 1
	wait "$back_end" 2>/dev/null
	[ -S "$tmp/socket" ] || return 1
	"$program" "$tmp/socket" </dev/null >"$tmp/printed" 2>"$tmp/err" &
	back_end=$!
	wait_for 10 guest boot
}

plan 32

check "at most 300 lines, none over 100 columns" small
check "of libc alone" of_libc_alone
check "without warnings" without_warnings
check "what must hold of every back-end does" conforms --level must
check "and what follows from it" conforms
check "the same with data in its rings" conforms --device console
check "prints, one guest after the other" prints
check "reads" reads
check "survives a front-end that dies" survives
for style in uml qemu crosvm cloud-hypervisor libkrun dpdk spdk; do
	check "with the habits of $style" style "$style"
done
check "offers the channel that Linux as a process needs" offers_a_channel
for request in 'SET_FEATURES value=0x8000000000000000' \
	'SET_PROTOCOL_FEATURES value=0x8000000000000000' 'SET_VRING_NUM index=1 num=3' \
	'SET_VRING_BASE index=1 num=65536' 'SET_VRING_ENABLE index=1 num=2' \
	'SET_VRING_ADDR index=1 desc=0x7f0000000001 avail=0x7f0000000101 used=0x7f0000000201'; do
	check "refused without effect: ${request%% *}" refused "$request"
done
check "refused features enable nothing" refused_features_enable_nothing
check "asks for kicks where somebody has not" asks_for_kicks
check "half a message stops no ring" half_a_message
check "nor do replies that nobody reads" conforms --device console --hostile \
	--select vu/framing/unread/01
check "output that fails is said" output_that_fails
check "no socket named" usage 2
check "an option" usage 2 --help
check "takes nothing away" takes_nothing_away
check "serves where an old socket lies" serves_at_an_old_socket
