#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# What a message costs the daemon, in instructions and system calls, against
# the table in budgets. No clock is read: callgrind counts, and the load does
# the same in every run (budget_play.c).
#
#	run.sh [NAME...]   checks all workloads, or those named
#	run.sh --update    measures all and writes the table anew
#
# Instructions depend on the compiler and the libraries. Where those are others
# than the table's, the budgets of instructions are not compared, which a line
# "# n/a" says; those of system calls, and what must be equal, still hold.

# shellcheck source=tests/sys/tap.sh
. "$(dirname "$0")/../sys/tap.sh"

here=$top_srcdir/tests/budget
budgets=$here/budgets
daemon=${VHU_DAEMON:-$top_builddir/src/vhost-device-console}
deadline=120    # seconds, for what must have hung
tolerance=2     # percent, for a row that the table has not yet
call_slack=0.01 # system calls a message
few=1           # instructions a message: rounding, and rare events

# The copying functions that every x86-64 has, whatever this one has.
GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-FSRM
export GLIBC_TUNABLES

# made_of VARIABLE: as the build tree's Makefile has it
made_of() {
	sed -n "s/^$1 = *//p" "$top_builddir/Makefile"
}

# What instructions depend on, in one line.
environment() {
	environment_cc=$(made_of CC)
	printf '%s; %s; %s; libc %s; liburing %s; %s\n' \
		"$($environment_cc --version | sed 1q)" "$(made_of CFLAGS)" "$(uname -m)" \
		"$(ldd --version | sed -n '1s/.* //p')" \
		"$(ldd "$daemon" | sed -n 's/.*=> \(.*liburing[^ ]*\).*/\1/p' | xargs -r realpath | sed 's/.*so\.//')" \
		"$(valgrind --version)"
}

# totals FILE: instructions and system calls of one of callgrind's dumps
totals() {
	awk '$1 == "totals:" { print $2 + 0, $3 + 0; found = 1 } END { exit !found }' "$1"
}

# measure_serve MESSAGES GUESTS PORTS KIND OPTION...
measure_serve() {
	serve_messages=$1
	serve_guests=$2
	serve_ports=$(echo " $3" | sed "s|^ |--port |; s|+| --port |g; s|@|unix:$tmp/p%i|g")
	serve_peers=
	case $3 in
	*@*) serve_peers=$(seq -f "--peer=unix:$tmp/p%.0f" 0 $((serve_guests - 1))) ;;
	esac
	shift 3
	# Peers are words, and a port's sockets have none of a shell's characters.
	# shellcheck disable=SC2086
	timeout -s KILL "$deadline" "$top_builddir/tests/budget/budget_play" "$@" \
		--messages "$serve_messages" --socket-path "$tmp/s" --guests "$serve_guests" \
		$serve_peers --exec "valgrind --tool=callgrind --collect-systime=yes \
			--dump-before=signal_done --callgrind-out-file=$tmp/cg \
			$daemon --sandbox=none -s $tmp/s -c $serve_guests $serve_ports --poll-us 0" \
		>"$tmp/log" 2>&1 || return 1
	# From mark to mark: nothing but a mark, and the messages and a mark.
	{ totals "$tmp/cg.2" && totals "$tmp/cg.3"; } |
		awk -v n="$serve_messages" 'NR == 1 { a = $1; b = $2 }
			NR == 2 { printf "%.1f %.3f\n", ($1 - a) / n, ($2 - b) / n }'
}

# measure_ring CHAINS SIZE KIND
measure_ring() {
	timeout -s KILL "$deadline" valgrind --tool=callgrind --collect-systime=yes \
		--collect-atstart=no --toggle-collect=ring_serve --callgrind-out-file="$tmp/cg" \
		"$top_builddir/tests/budget/budget_ring" "$2" "$3" "$1" >"$tmp/log" 2>&1 || return 1
	totals "$tmp/cg" | awk -v n="$1" '{ printf "%.1f %.3f\n", $1 / n, $2 / n }'
}

# measure NAME: sets $instructions and $calls; fails with $tmp/log.
measure() {
	rm -f "$tmp"/cg* "$tmp"/s[0-9]* "$tmp"/p[0-9]*
	measure_row=$(awk -v name="$1" '$1 == name { $1 = ""; print }' "$here/workloads")
	# shellcheck disable=SC2086
	set -- $measure_row
	measure_n=$1
	measure_how=$2
	shift 2
	measured=$("measure_$measure_how" "$measure_n" "$@")
	instructions=${measured% *}
	calls=${measured#* }
	[ -n "$measured" ]
}

# holds EXPRESSION: of awk
holds() {
	awk "BEGIN { exit !($1) }"
}

# field NAME N: column N of NAME's row in the table; empty if there is none
field() {
	[ ! -f "$budgets" ] || awk -v name="$1" -v n="$2" '$1 == name { print $n }' "$budgets"
}

# judge_instructions NAME; there is a budget, and it is for this environment.
judge_instructions() {
	judge_budget=$(field "$1" 2)
	judge_percent=$(field "$1" 4)
	judge_what="$1: $instructions instructions a message, budget $judge_budget + $judge_percent %"
	if holds "$instructions <= $judge_budget * (1 + $judge_percent / 100) + $few"; then
		ok "$judge_what"
	else
		not_ok "$judge_what"
	fi
	holds "$instructions >= $judge_budget * (1 - $judge_percent / 100) - $few" ||
		echo "$1 has become cheaper: run.sh --update keeps it so" | note
}

judge_calls() {
	judge_what="$1: $calls system calls a message, budget $(field "$1" 3)"
	if holds "$calls <= $(field "$1" 3) * (1 + $(field "$1" 4) / 100) + $call_slack"; then
		ok "$judge_what"
	else
		not_ok "$judge_what"
	fi
}

# judge_as NAME OTHER PERCENT: both were measured.
judge_as() {
	judge_a=$(awk -v name="$1" '$1 == name { print $2 }' "$tmp/measured")
	judge_b=$(awk -v name="$2" '$1 == name { print $2 }' "$tmp/measured")
	judge_what="$1: ${judge_a:-no figure} instructions, $2: ${judge_b:-no figure}, within $3 %"
	if [ -n "$judge_a" ] && [ -n "$judge_b" ] &&
		holds "$judge_a <= $judge_b * (1 + $3 / 100) && $judge_a >= $judge_b * (1 - $3 / 100)"; then
		ok "$judge_what"
	else
		not_ok "$judge_what"
	fi
}

# not_measured NAME
not_measured() {
	not_ok "$1: system calls"
	[ -z "$comparable" ] || not_ok "$1: instructions"
	grep -v "^==" "$tmp/log" | tail -n 10 | note
}

check_one() {
	if [ -z "$(field "$1" 4)" ]; then
		: >"$tmp/log"
		not_measured "$1"
		echo "$budgets has no row of four columns for it" | note
	elif measure "$1"; then
		echo "$1 $instructions" >>"$tmp/measured"
		judge_calls "$1"
		[ -z "$comparable" ] || judge_instructions "$1"
	else
		not_measured "$1"
	fi
}

# Both are among what is checked.
as_rows() {
	awk -v names=" $* " '$1 == "as" && index(names, " " $2 " ") && index(names, " " $3 " ")' \
		"$here/workloads"
}

check_all() {
	as_rows "$@" >"$tmp/as"
	comparable=yes
	if [ "$(sed -n 's/^# for: //p' "$budgets")" != "$(environment)" ]; then
		comparable=
		echo "n/a: instructions: the budgets are for $(sed -n 's/^# for: //p' "$budgets")" | note
		echo "and this is $(environment)" | note
	fi
	plan $(($# * (1 + ${comparable:+1}+0) + $(wc -l <"$tmp/as")))
	: >"$tmp/measured"
	for name; do
		check_one "$name"
	done
	while read -r _ name other percent; do
		judge_as "$name" "$other" "$percent"
	done <"$tmp/as"
}

update() {
	{
		echo "# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause"
		echo "# Written by run.sh --update; the last column may be changed by hand."
		echo "# A message of each workload: instructions, system calls, and by how many percent"
		echo "# both may grow: more where a timer takes part (bulk input is gathered)."
		echo "# for: $(environment)"
		for name; do
			if ! measure "$name"; then
				echo "run.sh: $name was not measured; the table stays as it is" >&2
				grep -v "^==" "$tmp/log" | tail -n 10 >&2
				exit 1
			fi
			percent=$(field "$name" 4)
			printf '%-22s %9s %8s %4s\n' "$name" "$instructions" "$calls" \
				"${percent:-$tolerance}"
		done
	} >"$tmp/budgets" || exit 1
	cp "$tmp/budgets" "$budgets" && cat "$budgets"
}

all() {
	awk '/^[^#]/ && $1 != "as" { print $1 }' "$here/workloads"
}

requires valgrind
[ -z "$(made_of INSTRUMENT_FLAGS)" ] || skip_all "built with $(made_of INSTRUMENT_FLAGS)"
for program in "$daemon" "$top_builddir"/tests/budget/budget_play "$top_builddir"/tests/budget/budget_ring; do
	[ -x "$program" ] || { echo "Bail out! $program is not built"; exit 1; }
done
# Names are words.
# shellcheck disable=SC2046
case ${1:-} in
--update) update $(all) ;;
'') check_all $(all) ;;
*) check_all "$@" ;;
esac
