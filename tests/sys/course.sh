#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The course of doc/wire-format: its captures are what its scripts still lead to, its
# blocks what their commands print, and its exercises have the answers that they name.

. "$(dirname "$0")/tap.sh"

requires cc timeout

course=$top_srcdir/doc/wire-format
trace=$top_builddir/src/vhu-trace
conform=$top_builddir/src/vhu-conform
export top_builddir

back_end=
stop_back_end() {
	[ -z "$back_end" ] || { kill "$back_end" && wait "$back_end"; } 2>/dev/null
	back_end=
}
cleanup_fn stop_back_end

# start_back_end KIND: the daemon for "console", else the one of the course, at $tmp/socket.
start_back_end() {
	stop_back_end
	rm -f "$tmp/socket"
	if [ "$1" = console ]; then
		set -- "$top_builddir/src/vhost-device-console" --log-level error \
			--device "socket=$tmp/socket,name=vm" --port console,null \
			--port name=org.example.log,null
	else
		set -- "$top_builddir/examples/minimal-backend" "$tmp/socket"
	fi
	"$@" >"$tmp/output" 2>&1 </dev/null &
	back_end=$!
	wait_for 10 test -S "$tmp/socket"
}

# same_capture NAME: made again, it has the same messages.
same_capture() {
	"$course/refresh.sh" text "$course/captures/$1.pcapng" >"$tmp/old" &&
		"$course/refresh.sh" text "$tmp/captures/$1.pcapng" >"$tmp/new" &&
		[ "$(wc -l <"$tmp/new")" -gt 30 ] && diff "$tmp/old" "$tmp/new"
}

# same_pages FILE...: every block is what its command prints, and none is empty.
same_pages() {
	for page in "$@"; do
		"$course/refresh.sh" page "$page" >"$tmp/page" && diff "$page" "$tmp/page" ||
			return 1
		awk -v page="$page" '
			/^```./ { open = NR }
			/^```$/ && open { if (NR == open + 1) { print page ":" NR; bad = 1 }; open = 0 }
			END { exit bad }' "$page" || return 1
	done
}

# A block that is not what its command prints, and one whose command fails.
# shellcheck disable=SC2016 # these backquotes are the page's
sees_stale_blocks() {
	mkdir -p "$tmp/stale/exercises" && cp "$course/refresh.sh" "$tmp/stale" &&
		printf '<!-- run: echo new -->\n```text\nold\n```\nend\n' >"$tmp/stale/a.md" &&
		printf '<!-- run: false -->\n```text\n```\n' >"$tmp/stale/b.md" &&
		"$tmp/stale/refresh.sh" page "$tmp/stale/a.md" >"$tmp/page" &&
		[ "$(tr '\n' ' ' <"$tmp/page")" = '<!-- run: echo new --> ```text new ``` end ' ] &&
		! "$tmp/stale/refresh.sh" page "$tmp/stale/b.md"
}

short_chapters() {
	for page in "$course"/[01]*.md; do
		[ "$(wc -l <"$page")" -le 150 ] || { echo "$page" && return 1; }
	done
	[ "$(find "$course" -maxdepth 1 -name '[01]*.md' | wc -l)" -eq 10 ]
}

# Links within the tree, but for places in a page.
links_lead_somewhere() {
	for page in "$course"/*.md "$course"/exercises/*.md; do
		grep -o '](\.*[^):]*)' "$page" | sed 's/^](//; s/#.*//; s/)$//' | while read -r link; do
			[ -e "$(dirname "$page")/$link" ] || echo "$page: $link"
		done
	done >"$tmp/links"
	cat "$tmp/links"
	[ ! -s "$tmp/links" ]
}

clauses_are_known() {
	grep -oh 'V[URC]-[0-9]\{3\}' "$course"/*.md "$course"/exercises/answers/* | sort -u |
		while read -r id; do
			"$conform" --explain "$id" >/dev/null 2>&1 || echo "$id"
		done >"$tmp/unknown"
	cat "$tmp/unknown"
	[ ! -s "$tmp/unknown" ]
}

every_exercise_has_an_answer() {
	for n in 01 02 03 04 05 06 07 08 09 10; do
		set -- "$course/exercises/$n"-*.md "$course/exercises/answers/$n"-*
		if [ $# -ne 2 ] || [ ! -e "$1" ] || [ ! -e "$2" ]; then
			echo "$*"
			return 1
		fi
	done
}

# script_holds FILE: and the back-end has printed what it should, if FILE says so.
script_holds() {
	start_back_end "$(sed -n 's/^# back-end: //p' "$1")" &&
		timeout -s KILL 30 "$trace" repl "$tmp/socket" "$1" || return 1
	text=$(sed -n 's/^# prints: //p' "$1")
	[ -z "$text" ] || [ "$(cat "$tmp/output")" = "$text" ]
}

# script_fails FILE SED: what it claims is not so once SED has changed it.
script_fails() {
	sed "$2" "$1" >"$tmp/changed.vhu" && ! cmp -s "$1" "$tmp/changed.vhu" &&
		start_back_end "$(sed -n 's/^# back-end: //p' "$1")" || return 1
	timeout -s KILL 30 "$trace" repl "$tmp/socket" "$tmp/changed.vhu" --timeout 300
	[ $? -eq 1 ]
}

# conforms STATUS PROGRAM CASES
conforms() {
	timeout -s KILL 60 "$conform" --exec "$2 {socket}" --device console --select "$3"
	[ $? -eq "$1" ]
}

# The tester finds the mistake where the answer says, and nothing there without it.
mistake_is_found() {
	cases=$(sed -n 's/^# finds: --select //p' "$1")
	n=$(basename "$1" | cut -c1-2)
	CC=cc sh "$course/exercises/variant.sh" "$n" "$tmp/variant" &&
		conforms 1 "$tmp/variant" "$cases" &&
		conforms 0 "$top_builddir/examples/minimal-backend" "$cases"
}

# found_first N: the command that the exercises name ends with the case that the answer names.
found_first() {
	case=$(sed -n 's/^# finds: --select //p' "$course/exercises/answers/$1"-*.sed)
	options=$(sed -n "s,^ .*/vhu-conform --exec '/tmp/wrong {socket}' ,,p" \
		"$course/exercises/README.md")
	CC=cc sh "$course/exercises/variant.sh" "$1" "$tmp/variant" || return 1
	# shellcheck disable=SC2086 # they are several words
	timeout -s KILL 60 "$conform" --exec "$tmp/variant {socket}" $options >"$tmp/said"
	[ $? -eq 1 ] && [ "$(grep -c '^  fail' "$tmp/said")" -eq 1 ] &&
		grep -F "  fail  $case: " "$tmp/said"
}

# The exercise says that the variant works.
variant_02_prints() {
	CC=cc sh "$course/exercises/variant.sh" 02 "$tmp/variant" && stop_back_end || return 1
	rm -f "$tmp/socket"
	"$tmp/variant" "$tmp/socket" >"$tmp/output" 2>&1 </dev/null &
	back_end=$!
	wait_for 10 test -S "$tmp/socket" &&
		timeout -s KILL 30 "$trace" repl "$tmp/socket" "$course/session.vhu" &&
		[ "$(grep -c '^Hello, console!' "$tmp/output")" -eq 2 ]
}

plan 25

mkdir "$tmp/captures"
check "the captures can be made again" "$course/refresh.sh" captures "$tmp/captures"
for name in session rings reconnect console; do
	check "capture $name has the same messages" same_capture "$name"
done
check "blocks of the chapters are what their commands print" same_pages "$course"/*.md
check "blocks that are stale are seen" sees_stale_blocks
check "ten chapters, none over 150 lines" short_chapters
check "links lead somewhere" links_lead_somewhere
check "clauses that are named are known" clauses_are_known
check "every exercise has an answer" every_exercise_has_an_answer

for script in "$course"/exercises/answers/*.vhu; do
	check "$(basename "$script") holds" script_holds "$script"
done
check "a wrong header is seen" \
	script_fails "$course/exercises/answers/01-header.vhu" 's/^recv 0 01/recv 0 02/'
check "a wrong address is seen" \
	script_fails "$course/exercises/answers/04-memory.vhu" 's/00108000/00109000/'
for mistake in "$course"/exercises/answers/*.sed; do
	check "$(basename "$mistake") is found" mistake_is_found "$mistake"
done
check "the mistake of variant 03 is the first thing found" found_first 03
check "variant 02 works" variant_02_prints
