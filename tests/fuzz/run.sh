#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# run.sh TARGET|all SECONDS
#
# Builds a target, or all, with a fuzzing engine and the sanitizers, and lets it run
# that long; all of them one after the other. Prints how often each ran, what it
# reached, and what it found. Status 1: something was found.
#
# FUZZ_ENGINE	libfuzzer, or afl: AFL++, whose driver runs the same entry points
# FUZZ_BUILD	where: ./build-fuzz, or ./build-fuzz-afl, unless it is set; new inputs stay in
#		its work/NAME, findings in its findings/NAME
# FUZZ_JOBS	how many run at once: 1 unless it is set
# CC		clang, or clang-14; for afl afl-clang-fast

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
engine=${FUZZ_ENGINE:-libfuzzer}
jobs=${FUZZ_JOBS:-1}
case $engine in
libfuzzer)
	build=${FUZZ_BUILD:-$PWD/build-fuzz}
	: "${CC:=$(command -v clang || command -v clang-14)}"
	flags=--enable-sanitize=address,undefined
	;;
afl)
	build=${FUZZ_BUILD:-$PWD/build-fuzz-afl}
	: "${CC:=afl-clang-fast}"
	flags=LIB_FUZZING_ENGINE=-fsanitize=fuzzer
	export AFL_USE_ASAN=1 AFL_USE_UBSAN=1 AFL_QUIET=1
	# It is to ask for nothing, and to leave the machine as it is.
	export AFL_NO_UI=1 AFL_NO_AFFINITY=1 AFL_SKIP_CPUFREQ=1
	export AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1
	;;
*)
	echo "$0: FUZZ_ENGINE is $engine, expected is libfuzzer or afl" >&2
	exit 2
	;;
esac

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
test -f Makefile || "$top/configure" -q CC="$CC" --enable-fuzz "$flags"
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

# fuzz_libfuzzer NAME SECONDS DICTIONARY
fuzz_libfuzzer() {
	"tests/fuzz/fuzz_$1" -max_total_time="$2" -timeout=60 -rss_limit_mb=2048 \
		-print_final_stats=1 -dict="$3" -artifact_prefix="findings/$1/" \
		"work/$1" "$top/tests/fuzz/corpus-$1" >"logs/$1" 2>&1
}

# fuzz_afl NAME SECONDS DICTIONARY: what it writes is in work/NAME/default
fuzz_afl() {
	afl-fuzz -V "$2" -t 10000 -m none -x "$3" -i "$top/tests/fuzz/corpus-$1" \
		-o "work/$1" -- "tests/fuzz/fuzz_$1" >"logs/$1" 2>&1
	cp "work/$1/default/crashes/id:"* "work/$1/default/hangs/id:"* "findings/$1/" \
		2>/dev/null
}

# fuzz NAME SECONDS
fuzz() {
	words=$top/tests/fuzz/dict-$1
	test -f "$words" || words=dict
	mkdir -p "work/$1" "findings/$1" logs
	case $engine in
	afl) fuzz_afl "$1" "$2" "$words" ;;
	*) fuzz_libfuzzer "$1" "$2" "$words" ;;
	esac
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

# row WORD...
row() {
	printf '%-10s %12s %8s %8s %9s\n' "$@"
}

# result NAME FINDINGS
result() {
	case $engine in
	afl)
		stats=work/$1/default/fuzzer_stats
		row "$1" "$(last execs_done "$stats")" "$(last edges_found "$stats")" \
			"$(last corpus_count "$stats")" "$2"
		;;
	*)
		row "$1" "$(last stat::number_of_executed_units "logs/$1")" \
			"$(last cov "logs/$1")" "$(find "work/$1" -type f | wc -l)" "$2"
		;;
	esac
}

status=0
row target executions edges inputs findings
for name in $names; do
	found=$(find "findings/$name" -type f ! -name 'slow-unit-*' | wc -l)
	result "$name" "$found"
	[ "$found" -eq 0 ] || status=1
done
exit $status
