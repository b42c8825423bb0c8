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

# rows NAME FILES: of each file, and of all
rows() {
	# How a path begins depends on how the compiler was called.
	awk -v name="$1" -v files="$2" '
		function row(what, lines, missed) {
			printf "%-10s %-36s %6d %6d %6.2f%%\n", name, what, lines, missed,
				100 * (lines - missed) / (lines ? lines : 1)
		}
		BEGIN { n = split(files, file, " ") }
		{
			for (i = 1; i <= n; i++)
				if (substr("/" $1, length($1) - length(file[i]) - 3) == "/src/" file[i]) {
					row(file[i], $8, $9)
					lines += $8
					missed += $9
				}
		}
		END { row("all", lines, missed) }' "$1.report"
}

printf '%-10s %-36s %6s %6s %7s\n' target file lines missed reached
for name in $names; do
	files=$(sed -n "s/^$name: //p" "$targets")
	find "$top/tests/fuzz/corpus-$name" "$build/work/$name" -type f -print0 2>/dev/null |
		LLVM_PROFILE_FILE=$name-%p.profraw xargs -0 -n 2000 "tests/fuzz/fuzz_$name" >/dev/null
	"$profdata" merge -o "$name.profdata" "$name"-*.profraw
	rm -f "$name"-*.profraw
	"$cov" report "tests/fuzz/fuzz_$name" -instr-profile="$name.profdata" >"$name.report"
	rows "$name" "$files"
done
