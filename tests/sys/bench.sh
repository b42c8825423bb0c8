#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# bench/run: its table, its page and its JSON. Whether figures are good is not asked here.

. "$(dirname "$0")/tap.sh"
requires python3

run() {
	timeout -s KILL 120 "$top_srcdir/bench/run" --build "$top_builddir" "$@" \
		</dev/null >"$tmp/out" 2>"$tmp/err"
}

# says STATUS TEXT ARGUMENT...: how it ends with those, and what it says
says() {
	status=$1 text=$2
	shift 2
	run "$@"
	ended=$?
	[ "$ended" -eq "$status" ] && grep -q -e "$text" "$tmp/err" && return
	echo "status $ended"
	cat "$tmp/err"
	return 1
}

# row TEXT: a row of the table with figures
row() {
	grep -qE "^\| $1.*\| [0-9.]+ [a-zA-Z/]+ \[[0-9.]+\.\.[0-9.]+\] \|" "$2"
}

# holds EXPRESSION: of the JSON, which is j
holds() {
	python3 -c "import json, sys; j = json.load(open(sys.argv[1])); sys.exit(not ($1))" "$tmp/json"
}

# measures ROWS
measures() {
	run --quick --rounds 1 --only "$1" --out "$tmp/page.md" --json "$tmp/json" && return
	cat "$tmp/err"
	return 1
}

# The same daemon as the other one, and one that does not start.
against() {
	run --quick --only start --json "$tmp/json" --against \
		"$top_builddir/src/vhost-device-console --log-level error $1"
}

plan 15
check "some rows are measured" measures kick,tx
check "a row of latencies has figures" row 'kick.*default options' "$tmp/out"
check "a row of speeds has figures" row 'tx, data port' "$tmp/out"
check "the page has the rows too" row 'tx, data port' "$tmp/page.md"
check "the JSON has a row for each of the table" holds 'len(j["rows"]) == 5'
check "the JSON has each run of each round" holds \
	'len(j["runs"]) == 1 and j["runs"][0]["ours"]["tx"]["messages"] > 0'
check "the JSON counts violations" holds 'j["violations"] == 0'

sed 's/^<!-- kept: begin -->$/&\nWords of a person./' "$tmp/page.md" >"$tmp/edited"
mv "$tmp/edited" "$tmp/page.md"
check "a page is made anew" measures start
check "it has the new rows" row 'handshake' "$tmp/page.md"
check "what a person wrote is kept" grep -qx 'Words of a person.' "$tmp/page.md"

against '-s {prefix} -c {n} -b network -p {tcp}'
check "another daemon is in the same rounds" holds \
	'j["runs"][0]["other"]["start"]["messages"] > 0 and j["rows"][0]["ours_over_other"]'
against '--no-such-option'
check "a daemon that does not start is in the JSON with why" holds \
	'j["runs"][0]["other"]["start"]["error"]'

check "a name of no row is refused" says 2 "'kicks' is not one of kick" --only kicks
check "a word of no meaning is refused" says 2 "expected one of {prefix}" --against 'x {path}'
mkdir "$tmp/empty"
check "a folder without programs is refused" says 2 "build it first" --build "$tmp/empty"
