# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# shellcheck shell=sh
# TAP for shell tests. A test sources this file, calls requires and plan, and
# then ok or not_ok once per point:
#
#	. "$(dirname "$0")/tap.sh"
#	requires gcc
#	plan 1
#	check "two is two" test 2 -eq 2
#
# Variables: $top_srcdir, $top_builddir (absolute), $tmp (a fresh folder, gone
# at the end).

top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
top_builddir=${top_builddir:-$(pwd)}

tap_planned=0
tap_done=0
tap_failed=0
tap_cleanups=

tmp=$(mktemp -d "${TMPDIR:-/tmp}/vhu-test.XXXXXX") || exit 99

# cleanup_fn COMMAND...: run COMMAND at the end, the last one first.
cleanup_fn() {
	tap_cleanups="$*
$tap_cleanups"
}

# A test that stops early has fewer points than planned, and fails for it.
tap_exit() {
	tap_status=$?
	trap - EXIT
	eval "$tap_cleanups"
	rm -rf "$tmp"
	if [ "$tap_done" -ne "$tap_planned" ]; then
		echo "# $tap_done points of $tap_planned" >&2
		[ "$tap_status" -ne 0 ] || tap_status=1
	fi
	[ "$tap_failed" -eq 0 ] || tap_status=1
	exit "$tap_status"
}
trap tap_exit EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# plan N: how many points will follow.
plan() {
	tap_planned=$1
	echo "1..$1"
}

# skip_all WHY: the whole test cannot run here. Before plan.
skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

# requires PROGRAM...: skip the test where one is not installed.
requires() {
	for tap_program in "$@"; do
		command -v "$tap_program" >/dev/null 2>&1 ||
			skip_all "$tap_program is not installed"
	done
}

# ok WHAT
ok() {
	tap_done=$((tap_done + 1))
	echo "ok $tap_done - $*"
}

# not_ok WHAT
not_ok() {
	tap_done=$((tap_done + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_done - $*"
}

# note [FILE]: lines of FILE or of standard input, as comments.
note() {
	sed 's/^/# /' "$@"
}

# check WHAT COMMAND...: a point that holds if COMMAND succeeds; its output is shown if not.
check() {
	tap_what=$1
	shift
	if "$@" >"$tmp/check.out" 2>&1; then
		ok "$tap_what"
	else
		not_ok "$tap_what"
		note "$tmp/check.out"
	fi
}

# wait_for SECONDS COMMAND...: until COMMAND succeeds; fails at the deadline.
# Only for events that nothing announces, such as a line in a file.
wait_for() {
	tap_deadline=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$tap_deadline" ] || return 1
		sleep 0.02
	done
}
