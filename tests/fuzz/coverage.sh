#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# coverage.sh [TARGET...]
#
# Which lines of the files under test (see "targets") the committed corpora reach,
# with FUZZ_BUILD's work/NAME where there is one. Needs clang and llvm-cov.
#
# FUZZ_BUILD	as for run.sh; what is built for this is in its coverage/

set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${FUZZ_BUILD:-$PWD/build-fuzz}
: "${CC:=$(command -v clang || command -v clang-14)}"
tool() {
	command -v "$1" || command -v "$1-14"
}
profdata=$(tool llvm-profdata)
cov=$(tool llvm-cov)

targets=$top/tests/fuzz/targets
names=${*:-$(sed -n 's/^\([a-z]*\):.*/\1/p' "$targets")}
mkdir -p "$build/coverage"
cd "$build/coverage"
test -f Makefile || "$top/configure" -q CC="$CC" \
	CFLAGS='-O1 -g -fprofile-instr-generate -fcoverage-mapping'
make -s V=1 src/trace/page/page-text.h
for name in $names; do
	make -s V=1 "tests/fuzz/fuzz_$name"
done

printf '%-10s %-36s %6s %6s %7s\n' target file lines missed reached
for name in $names; do
	files=$(sed -n "s/^$name: //p" "$targets")
	find "$top/tests/fuzz/corpus-$name" "$build/work/$name" -type f -print0 2>/dev/null |
		LLVM_PROFILE_FILE=$name-%p.profraw xargs -0 -n 2000 "tests/fuzz/fuzz_$name" >/dev/null
	"$profdata" merge -o "$name.profdata" "$name"-*.profraw
	rm -f "$name"-*.profraw
	for file in $files; do
		"$cov" report "tests/fuzz/fuzz_$name" -instr-profile="$name.profdata" \
			"$top/src/$file" |
			awk -v name="$name" -v file="$file" '$1 == "TOTAL" {
				printf "%-10s %-36s %6d %6d %7s\n", name, file, $8, $9, $10 }'
	done
done
