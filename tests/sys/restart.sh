#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# A daemon that is killed at random moments, and guests that move between two of them:
# every byte of lossless ports is compared. scripts/check does the same for longer.

. "$(dirname "$0")/tap.sh"

daemon=$top_builddir/src/vhost-device-console
[ -x "$daemon" ] || skip_all "the daemon is not built"

# prints WHAT PROGRAM...: its comment lines are shown.
prints() {
	name=$1
	shift
	if "$@" >"$tmp/out" 2>&1; then ok "$name"; else not_ok "$name"; fi
	sed -n 's/^\(#\|Bail\)/# \1/p' "$tmp/out"
}

# killed WHAT OPTION...
killed() {
	name=$1
	shift
	prints "killed: $name" "$top_builddir/tests/restart/restart" "$@" "$daemon"
}

# moved WHAT OPTION...
moved() {
	name=$1
	shift
	prints "moved: $name" "$top_builddir/tests/migrate/migrate" "$@" "$daemon"
}

plan 5
killed "split rings" --kills 12 --ports 2
killed "packed rings" --kills 12 --ports 2 --packed
moved "precopy" --mode precopy --moves 4 --ports 4
moved "precopy, packed rings, every second move fails" --mode precopy --moves 4 --ports 4 --packed --fail 2
moved "postcopy" --mode postcopy --moves 4 --ports 4
