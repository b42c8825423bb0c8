#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Escape sequences of a guest on their way to people: one port, and clients that
# are given more and less of it.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires socat

esc=$(printf '\033')
bell=$(printf '\007')
: >"$tmp/want.raw" >"$tmp/want.safe" >"$tmp/want.plain"

# says RAW SAFE PLAIN: the guest writes the first; clients are to have those.
says() {
	printf %s "$1" >>"$tmp/want.raw"
	printf %s "$2" >>"$tmp/want.safe"
	printf %s "$3" >>"$tmp/want.plain"
	guest --port 1 send "$1"
}

same() {
	cmp -s "$tmp/want.$1" "$tmp/got.$1"
}

all_have_theirs() {
	for kind in raw safe plain; do
		wait_for 10 same "$kind" || { cat -v "$tmp/got.$kind"; return 1; }
	done
}

# join KIND: a client that stays.
join() {
	: >"$tmp/got.$1"
	socat -u "UNIX-CONNECT:$tmp/$1" - >"$tmp/got.$1" 2>/dev/null &
	clients="$clients $!"
}

leave() {
	kill $clients
	wait $clients 2>/dev/null
	clients=
}
cleanup_fn '[ -z "$clients" ] || leave'

filtered() {
	says "a${esc}[31mb${esc}[6nc${esc}]52;c;QUJD${bell}d${esc}[?1000he${esc}Pq#0~${esc}\\f" \
		"a${esc}[31mbcdef" abcdef &&
		says "$(printf '\303\244\302\2335ng')" "$(printf '\303\244g')" "$(printf '\303\244g')" &&
		all_have_theirs
}

upgraded() {
	said "$tmp/log" 'upgraded: '
}

# A title, a colour and a character are cut in two.
filtered_across_an_upgrade() {
	says "1${esc}]0;ti" 1 1 && all_have_theirs && kill -USR2 "$daemon_pid" &&
		wait_for 20 upgraded && says "tle${bell}2${esc}[3" 2 2 && says 1m3 "${esc}[31m3" 3 &&
		all_have_theirs
}

# What was said is there for a client of today, too.
old_output_is_filtered() {
	leave
	join safe
	wait_for 10 same safe
}

wrong_word_is_refused() {
	"$daemon" --device "socket=$tmp/x" --port "console,unix:$tmp/y,sanitize=yes" 2>"$tmp/err" </dev/null
	[ $? -ne 0 ] && said "$tmp/err" "sanitize: 'yes' is not one of off|safe|plain"
}

plan 4
check "a wrong word is refused" wrong_word_is_refused
start_daemon 1 --device "socket=$tmp/s0,max-ports=2" \
	--port "1,unix:$tmp/raw,unix:$tmp/safe,sanitize=safe,replay=all,unix:$tmp/plain,sanitize=plain" ||
	exit 1
for kind in raw safe plain; do
	join "$kind"
done
for n in 1 2 3; do
	wait_for 10 said "$tmp/log" "client $n .* joined" || exit 1
done
check "each client is given what its attachment lets pass" filtered
check "so it is amid sequences while the program is replaced" filtered_across_an_upgrade
check "old output is filtered as well" old_output_is_filtered
leave
end_daemon
