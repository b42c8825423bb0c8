#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# run.sh TARGET|all SECONDS
#
# Builds a target, or all, with libFuzzer and the sanitizers, and lets it run that
# long; all of them one after the other. Prints how often each ran, what it
# reached, and what it found. Status 1: something was found.
#
# FUZZ_BUILD	where: ./build-fuzz unless it is set; new inputs stay in its work/NAME,
#		findings in its findings/NAME
# FUZZ_JOBS	how many run at once: 1 unless it is set
# CC		clang, or clang-14

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${FUZZ_BUILD:-$PWD/build-fuzz}
jobs=${FUZZ_JOBS:-1}
: "${CC:=$(command -v clang || command -v clang-14)}"

if [ $# -ne 2 ] || [ "$2" -lt 1 ] 2>/dev/null; then
	echo "usage: $0 TARGET|all SECONDS" >&2
	exit 2
fi

names=$(sed -n 's/^\([a-z]*\):.*/\1/p' "$top/tests/fuzz/targets")
if [ "$1" != all ]; then
	if ! echo "$names" | grep -qx -- "$1"; then
		echo "$0: $1 is no target; there are: $(echo "$names" | tr '\n' ' ')" >&2
		exit 2
	fi
	names=$1
fi

mkdir -p "$build"
cd "$build"
test -f Makefile || "$top/configure" -q CC="$CC" --enable-fuzz \
	--enable-sanitize=address,undefined
programs=
for name in $names; do
	programs="$programs tests/fuzz/fuzz_$name"
done
# Without json-c there is no fuzz_request.
grep -q 'tests/fuzz/fuzz_request' Makefile || names=$(echo "$names" | grep -vx request)
make -s V=1 src/trace/page/page-text.h
# The names are a list of words.
# shellcheck disable=SC2086
make -s V=1 src/vhu-dump $programs
src/vhu-dump dict >dict

# fuzz NAME SECONDS
fuzz() {
	words=$top/tests/fuzz/dict-$1
	test -f "$words" || words=dict
	mkdir -p "work/$1" "findings/$1" logs
	"tests/fuzz/fuzz_$1" -max_total_time="$2" -timeout=60 -rss_limit_mb=2048 \
		-print_final_stats=1 -dict="$words" -artifact_prefix="findings/$1/" \
		"work/$1" "$top/tests/fuzz/corpus-$1" >"logs/$1" 2>&1
}

running=0
for name in $names; do
	fuzz "$name" "$2" || : &
	running=$((running + 1))
	if [ "$running" -ge "$jobs" ]; then
		wait
		running=0
	fi
done
wait

# What a log says last of NAME.
last() {
	sed -n "s/^.*$1 *:* *\([0-9][0-9]*\).*/\1/p" "$2" | tail -n 1
}

status=0
printf '%-10s %12s %8s %8s %9s\n' target executions edges inputs findings
for name in $names; do
	found=$(find "findings/$name" -type f ! -name 'slow-unit-*' | wc -l)
	printf '%-10s %12s %8s %8s %9s\n' "$name" \
		"$(last stat::number_of_executed_units "logs/$name")" "$(last cov "logs/$name")" \
		"$(find "work/$name" -type f | wc -l)" "$found"
	[ "$found" -eq 0 ] || status=1
done
exit $status
