#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Run in a build folder after the tests: lines reached, per file of src and in
# all. gcov describes one object at a time, and a source may be in several, so
# a line counts when any object reached it. A file that never ran counts too:
# its .gcno is there, its .gcda is not.
#
# coverage.sh judge: instead of that, whether src/vhu and src/virtio are covered as they
# are to be: 95 % of the lines of each, and each line that is not reached is in
# tests/coverage-why. Says what is wrong, then counts; fails if anything is.
set -e
why=${top_srcdir:-.}/tests/coverage-why
case "${CC:-gcc}" in
*clang*) gcov="llvm-cov${CC##*clang} gcov" ;;
*) gcov=gcov ;;
esac

# "FILE<tab>LINE<tab>reached, missed or -<tab>TEXT" for each line of src that gcov knows.
lines() {
	find . -name '*.gcno' | while read -r data; do
		$gcov --stdout --source-prefix "${top_srcdir:-.}" "$data" 2>/dev/null || :
	done | awk '
		# "count: line: text"; the line number 0 carries "Source:path".
		{
			split($0, part, ":")
			count = part[1]; line = part[2] + 0
			gsub(/[ \t]/, "", count)
		}
		line == 0 && part[3] == "Source" {
			file = part[4]
			keep = match(file, /src\/[^:]*$/) && file !~ /tests\//
			if (keep) file = substr(file, RSTART)
			next
		}
		!keep || line == 0 { next }
		!((file, line) in text) {
			line_text = substr($0, index($0, ":") + length(part[2]) + 2)
			gsub(/[ \t]+/, " ", line_text)
			text[file, line] = line_text
			state[file, line] = "-"
		}
		count == "-" { next }
		count !~ /^[#=]/ { state[file, line] = "reached" }
		state[file, line] == "-" { state[file, line] = "missed" }
		END {
			for (key in text) {
				split(key, at, SUBSEP)
				printf "%s\t%d\t%s\t%s\n", at[1], at[2], state[key], text[key]
			}
		}' | LC_ALL=C sort -t "$(printf '\t')" -k1,1 -k2,2n
}

list() {
	awk -F '\t' '
	$3 == "-" { next }
	{ total[$1]++; reached[$1] += $3 == "reached"; all++; got += $3 == "reached" }
	END {
		for (f in total)
			printf "%5.1f%% %6d/%-6d %s\n", 100 * reached[f] / total[f],
				reached[f], total[f], f | "LC_ALL=C sort -b -k3"
		close("LC_ALL=C sort -b -k3")
		if (!all) { print "no line was counted"; exit 1 }
		printf "%5.1f%% %6d/%-6d all of src\n", 100 * got / all, got, all
	}'
}

# tests/coverage-why is read first: see its head.
judge() {
	awk -F '\t' -v least=95 '
	function trimmed(s) { gsub(/[ \t]+/, " ", s); gsub(/^ | $/, "", s); return s }
	FILENAME != "-" && /^src\// {
		i = index($0, ": ")
		if (!i) { print "coverage-why: no reason: " $0; bad++; next }
		split(substr($0, 1, i - 1), at, " ")
		place = at[1] SUBSEP at[2]
		next
	}
	FILENAME != "-" && /^\t/ {
		row = place SUBSEP trimmed($0)
		if (row in given) { print "coverage-why: twice: " at[1] " " at[2] ": " trimmed($0); bad++ }
		given[row] = 1
		next
	}
	FILENAME != "-" { next }
	$1 !~ /^src\/(vhu|virtio)\// { next }
	$1 != file { file = $1; fn = "-" }
	# A function begins in the first column, and a declaration ends on its line.
	$4 ~ /^[A-Za-z_].*\(/ && $4 !~ /;$/ {
		fn = $4; sub(/^__attribute__\(\([^ ]*\)\) /, "", fn)
		sub(/\(.*/, "", fn); sub(/.*[ *]/, "", fn)
	}
	$3 == "-" { next }
	{ split($1, part, "/"); folder = part[1] "/" part[2]; total[folder]++ }
	{ row = $1 SUBSEP fn SUBSEP trimmed($4) }
	row in given { there[row] = 1 }
	$3 == "reached" { got[folder]++; next }
	{
		if (row in given) { used[row] = 1; n_why++; next }
		printf "%s:%d: not reached, in %s: %s\n", $1, $2, fn, trimmed($4)
		bad++
	}
	END {
		for (row in given) if (!(row in used)) {
			split(row, part, SUBSEP)
			printf "coverage-why: %s: %s %s: %s\n",
				row in there ? "reached this time" : "gone", part[1], part[2], part[3]
			bad += !(row in there)
		}
		for (folder in total) {
			percent = 100 * got[folder] / total[folder]
			printf "%s: %d of %d lines, %.2f %%\n", folder, got[folder], total[folder],
				percent
			if (percent < least) { print folder ": expected " least " % at least"; bad++ }
			n++
		}
		if (n != 2) { print "expected lines of two folders"; bad++ }
		printf "check-coverage: %d lines have a reason, %d findings\n", n_why, bad
		exit bad > 0
	}' "$why" -
}

case "$1" in
judge) lines | judge ;;
*) lines | list ;;
esac
