#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# analyze.sh CC FILE FLAGS...: gcc's analyzer on one file, in the folder of the sources.
# Rows of tests/checkers/analyzer-known are no findings; one that does not occur is.
#
# Left out as a class: analyzer-malloc-leak. gcc 12 forgets what is kept through a pointer
# in a structure, and takes it for lost; clang's analyzer, which check-tidy runs, and
# LeakSanitizer, under which the tests run, look for the same.
cc=$1
file=$2
shift
# -O1: with -O0 some warnings come twice; optimisation changes nothing else here.
LC_ALL=C $cc -O1 -fanalyzer -Wno-analyzer-malloc-leak -fdiagnostics-plain-output \
	-fanalyzer-verbosity=1 "$@" -Wno-error -c -o /dev/null 2>&1 |
	awk -v file="$file" '
	FILENAME != "-" {
		sub(/:/, "", $3)
		if ($1 == file) known[$2, $3] = 1
		next
	}
	{ said = said $0 "\n" }
	/: In function / { fn = $0; sub(/.*: In function ./, "", fn); sub(/.:$/, "", fn) }
	/^In function / { fn = $3; gsub(/[^A-Za-z0-9_]/, "", fn) }
	/: warning: .*\[-Wanalyzer-/ {
		class = $0; sub(/.*\[-Wanalyzer-/, "", class); sub(/\].*/, "", class)
		if ((fn, class) in known) { seen[fn, class] = 1; next }
		bad = 1
		next
	}
	/: (warning|fatal error|error): / { bad = 1 }
	END {
		if (bad) printf "%s", said
		for (row in known) if (!(row in seen)) {
			split(row, part, SUBSEP)
			printf "%s: %s %s of tests/checkers/analyzer-known does not occur\n",
				file, part[1], part[2]
			bad = 1
		}
		exit bad
	}' tests/checkers/analyzer-known -
