# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Sourced by the tests on real guests.
# shellcheck shell=bash disable=SC2154

# scenario WHAT FUNCTION ARGUMENT...: a point that holds if no command of the
# function fails. It runs in a subshell: its conversations end with it.
scenario() {
	local what=$1 start=$EPOCHREALTIME status took
	shift
	(
		set -eE
		trap 'echo "failed: $BASH_COMMAND (${FUNCNAME[*]}, lines $LINENO ${BASH_LINENO[*]})"' ERR
		"$@"
	) >"$tmp/scenario.out" 2>&1
	status=$?
	took=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }')
	if [ "$status" = 0 ]; then
		ok "$what ($took)"
	else
		not_ok "$what ($took)"
		note "$tmp/scenario.out"
	fi
}
