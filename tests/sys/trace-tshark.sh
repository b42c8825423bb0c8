#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# What tshark makes of a capture: with the dissector, and without.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires tshark python3
tshark --version 2>/dev/null | grep -q 'with Lua' || skip_all "this tshark has no Lua"

trace=${VHU_TRACE:-$top_builddir/src/vhu-trace}
lua=${VHU_LUA:-$top_builddir/src/trace/capture/vhost-user.lua}

# Neither plugins nor preferences of who runs this.
HOME=$tmp
XDG_CONFIG_HOME=$tmp
export HOME XDG_CONFIG_HOME

tracer=
kill_tracer() {
	[ -z "$tracer" ] || kill -KILL "$tracer" 2>/dev/null
}
cleanup_fn kill_tracer

# capture STYLE: a guest of that style speaks through the tracer, all of it to $tmp/w.pcapng
# and as text to $tmp/text.
capture() {
	"$trace" --listen "$tmp/t" --connect "$tmp/s0" --once --rings all --time none \
		-w "$tmp/w.pcapng" >"$tmp/text" 2>"$tmp/trace.log" &
	tracer=$!
	wait_for 10 test -S "$tmp/t" &&
		"$vhu_guest" --socket "$tmp/t" --style "$1" send "a word" 2>"$tmp/guest" &&
		wait "$tracer" && tracer=
}

# bare FILE ARGUMENT...: what tshark says without the dissector.
bare() {
	tshark -n -r "$@" 2>"$tmp/tshark.log"
}

# shark FILE ARGUMENT...: with it. Scripts that fail are only mentioned.
shark() {
	bare "$@" -X "lua_script:$lua" || return 1
	! grep -q Lua "$tmp/tshark.log"
}

# frames FILE FILTER: how many pass.
frames() {
	shark "$1" -Y "$2" -T fields -e frame.number | wc -l
}

# lines PATTERN: how many lines of the text have it.
lines() {
	grep -c -- "$1" "$tmp/text"
}

# every FILTER MORE: some frames pass the first, and all of them pass both.
every() {
	every_n=$(frames "$tmp/w.pcapng" "$1")
	every_more=$(frames "$tmp/w.pcapng" "($1) && ($2)")
	echo "$1: $every_n, and $2: $every_more"
	[ "$every_n" -gt 0 ] && [ "$every_n" -eq "$every_more" ]
}

# none FILE FILTER
none() {
	shark "$1" -Y "$2" >"$tmp/some" || return 1
	cat "$tmp/some"
	[ ! -s "$tmp/some" ]
}

nothing_malformed() {
	none "$tmp/w.pcapng" "_ws.malformed || _ws.lua.error || vhost_user.error" &&
		[ "$(frames "$tmp/w.pcapng" vhost_user)" -eq "$(bare "$tmp/w.pcapng" | wc -l)" ]
}

# The names of the frames that have the number, as often as in the text.
tables_are_found() {
	n=$(lines '-> SET_MEM_TABLE ')
	shark "$tmp/w.pcapng" -Y 'vhost_user.request == 5' -T fields -e vhost_user.name >"$tmp/names" &&
		[ "$n" -gt 0 ] && [ "$(wc -l <"$tmp/names")" -ge "$n" ] &&
		! grep -qvx SET_MEM_TABLE "$tmp/names" &&
		[ "$(frames "$tmp/w.pcapng" 'vhost_user.request == 5 && !vhost_user.reply == 1')" -eq "$n" ] &&
		[ "$(frames "$tmp/w.pcapng" 'vhost_user.name == "SET_MEM_TABLE"')" -eq \
			"$(wc -l <"$tmp/names")" ]
}

memory_is_seen() {
	every 'vhost_user.request == 5 && vhost_user.reply == 0' \
		'vhost_user.fd.kind == 0 && vhost_user.fd.size > 0x10000 && vhost_user.region.size > 0'
}

# A line of the text, which has been broken, begins with what the comment begins with.
comments_are_there() {
	bare "$tmp/w.pcapng" -T fields -e frame.comment >"$tmp/comments" &&
		[ "$(grep -c . "$tmp/comments")" -eq "$(wc -l <"$tmp/comments")" ] &&
		grep -q -e '^-> SET_MEM_TABLE' "$tmp/comments" &&
		[ "$(grep -c -e '^-> ' "$tmp/comments")" -eq "$(lines '^-> ')" ]
}

pictures_are_apart() {
	every 'frame.interface_name == "rings"' 'vhost_user.ring.cause && vhost_user.ring.size > 0' &&
		every 'vhost_user.ring.cause' 'frame.interface_name == "rings"' &&
		every 'vhost_user.request' 'frame.interface_name == "messages"'
}

# The guest's word has been in a chain that a picture shows.
chains_are_seen() {
	[ "$(frames "$tmp/w.pcapng" 'vhost_user.ring.chain && vhost_user.ring.desc.len == 6')" -gt 0 ]
}

directions_are_known() {
	every 'vhost_user.request && vhost_user.reply == 0' \
		'vhost_user.direction == 0 && frame.packet_flags_direction == 1' &&
		every 'vhost_user.request && vhost_user.reply == 1' \
			'vhost_user.direction == 1 && frame.packet_flags_direction == 2'
}

replies_are_linked() {
	every 'vhost_user.reply == 1' 'vhost_user.response_to && vhost_user.time < 10' &&
		[ "$(shark "$tmp/w.pcapng" -2 -Y vhost_user.response_in | wc -l)" -eq \
			"$(frames "$tmp/w.pcapng" vhost_user.response_to)" ]
}

bits_have_names() {
	every 'vhost_user.name == "SET_FEATURES"' \
		'vhost_user.features.version_1 == 1 && vhost_user.features.ring_packed == 0'
}

# Behind its arrow, a comment begins as the line of the dissector does; a rule follows it.
lines_agree() {
	shark "$tmp/w.pcapng" -Y 'vhost_user.request || vhost_user.ring.cause' -T fields \
		-E separator=@ -e frame.comment -e _ws.col.Info >"$tmp/lines" &&
		awk -F@ '{ line = substr($1, 4); sub(/  \(.*/, "", line)
			sub(/ [!~] [A-Z_]+ .*\)$/, "", line)
			if (index($2, line) != 1) { print $1; print "   " $2; bad++ } }
			END { exit NR == 0 || bad > 0 }' "$tmp/lines"
}

# Sizes of SET_VRING_NUM say 9, and 8 bytes are there.
damage_is_shown() {
	damage_at='\x08\x00\x00\x00\x01\x00\x00\x00'
	LC_ALL=C sed "s/$damage_at\\x08\\x00\\x00\\x00/$damage_at\\x09\\x00\\x00\\x00/" \
		"$tmp/w.pcapng" >"$tmp/damaged.pcapng"
	n=$(frames "$tmp/damaged.pcapng" 'vhost_user.error')
	[ "$n" -gt 0 ] && [ "$n" -eq "$(frames "$tmp/damaged.pcapng" 'vhost_user.request == 8')" ] &&
		none "$tmp/damaged.pcapng" '_ws.malformed || _ws.lua.error'
}

# A front-end that breaks a rule, asks too early, and has room for two regions in its table.
capture_clumsy() {
	"$trace" --listen "$tmp/t" --connect "$tmp/s0" --once --time none \
		-w "$tmp/clumsy.pcapng" >"$tmp/text" 2>"$tmp/trace.log" &
	tracer=$!
	wait_for 10 test -S "$tmp/t" && python3 - "$tmp/t" <<-'END' && wait "$tracer" && tracer=
		import os, socket, struct, sys
		memory = os.memfd_create('ram')
		os.ftruncate(memory, 4096)
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		table = struct.pack('<II4Q', 1, 0, 0, 4096, 0x7f0000000000, 0) + bytes(32)
		s.sendall(struct.pack('<III', 17, 1, 0))
		assert len(s.recv(20)) == 20
		socket.send_fds(s, [struct.pack('<III', 5, 1, len(table)) + table], [memory])
		s.sendall(struct.pack('<III', 8, 1, 8) + struct.pack('<II', 0, 3000000))
	END
}

broken_rules_are_in_the_capture() {
	capture_clumsy &&
		[ "$(bare "$tmp/clumsy.pcapng" -Y 'frame.comment contains "! NUM_LIMIT" &&
			frame.comment contains "VU-083"' | wc -l)" -eq 1 ] &&
		[ "$(frames "$tmp/clumsy.pcapng" 'vhost_user.rule &&
			vhost_user.name == "SET_VRING_NUM"')" -eq 1 ] &&
		[ "$(frames "$tmp/clumsy.pcapng" vhost_user.rule)" -eq 1 ] &&
		[ "$(frames "$tmp/clumsy.pcapng" 'vhost_user.rule_noted &&
			vhost_user.name == "GET_QUEUE_NUM"')" -eq 1 ]
}

room_for_more_is_a_note() {
	[ "$(frames "$tmp/clumsy.pcapng" 'vhost_user.spare &&
		vhost_user.name == "SET_MEM_TABLE"')" -eq 1 ] &&
		none "$tmp/clumsy.pcapng" vhost_user.error && ! said "$tmp/text" '!.*VU-012'
}

plan 14
start_daemon 1 -s "$tmp/s" -b network -p "$port" || note "$tmp/log"
check "a guest is captured" capture crosvm
check "all is understood" nothing_malformed
check "a filter finds the memory tables" tables_are_found
check "their descriptors are memory" memory_is_seen
check "comments are there without the dissector" comments_are_there
check "pictures are on an interface of their own" pictures_are_apart
check "they show chains" chains_are_seen
check "directions are those of the capture" directions_are_known
check "replies lead to their requests" replies_are_linked
check "feature bits have names" bits_have_names
check "the line of a message is the tracer's" lines_agree
check "a damaged message is an error" damage_is_shown
check "broken rules stand in comments, and are found" broken_rules_are_in_the_capture
check "room for more regions is a note" room_for_more_is_a_note
